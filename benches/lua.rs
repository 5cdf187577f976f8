//! What a script costs beyond its commands: `lua/operation/case`.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lua::testing::{MapCall, Recorder};
use lua::{Digest, Engine, Options, StoreCall};

#[global_allocator]
static ALLOCATOR: measure::Allocator = measure::Allocator;

const GET: &[u8] = b"return redis.call('GET', KEYS[1])";
const LIMITER: &[u8] = b"local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
if n > tonumber(ARGV[2]) then return 0 end
return 1";

fn scripts(c: &mut Criterion) {
    let mut engine = Engine::new(Options::default()).expect("an engine");
    let mut call = MapCall::default();
    call.strings.insert(b"key:000000001".to_vec(), vec![b'v'; 64]);
    let mut out = Recorder::default();
    let mut bench = |name: &str, source: &[u8], keys: &[&[u8]], args: &[&[u8]]| {
        engine.load(source).expect("compiles");
        let sha = Digest::of(source).to_hex();
        c.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                engine.eval_sha(sha.as_bytes(), keys, args, &mut call, &mut out).expect("runs");
            });
        });
    };
    bench("lua/evalsha/constant", b"return 1", &[], &[]);
    bench("lua/evalsha/get", GET, &[b"key:000000001"], &[b"arg"]);
    bench("lua/evalsha/limiter", LIMITER, &[b"counter"], &[b"10", b"1000000000"]);
    bench("lua/evalsha/ten-gets", b"for i=1,10 do redis.call('GET', KEYS[1]) end", &[b"key:000000001"], &[]);
    bench("lua/evalsha/loop-1000", b"local n=0 for i=1,1000 do n=n+i end return n", &[], &[]);
    c.bench_function("lua/eval/get", |b| {
        b.iter(|| {
            out.clear();
            engine.eval(GET, &[b"key:000000001"], &[b"arg"], &mut call, &mut out).expect("runs");
        });
    });
    c.bench_function("lua/engine/new", |b| b.iter(|| Engine::new(Options::default())));
}

/// A server in this process that knows the script and has these keys.
fn server_with(keys: &[String]) -> Arc<server::Engine> {
    let engine = server::Engine::new(server::Role::Primary, server::Options::default());
    let mut caller = server::Caller::new(&engine);
    let mut call = |args: &[&[u8]]| drop(caller.call(args).expect("answers"));
    call(&[&b"SCRIPT"[..], b"LOAD", GET]);
    for key in keys {
        call(&[&b"SET"[..], key.as_bytes(), &[b'v'; 64]]);
    }
    engine
}

/// A script of a server in this process: the whole way of EVALSHA but the socket.
fn served(c: &mut Criterion) {
    // A thousand keys, in no order.
    let keys: Vec<String> = (0..1000).map(|n| format!("key:{:09}", n * 7919 % 1000)).collect();
    let engine = server_with(&keys);
    let mut caller = server::Caller::new(&engine);
    let mut call = |args: &[&[u8]]| caller.call(args).expect("answers");
    let sha = Digest::of(GET).to_hex();
    for name in ["EVALSHA", "EVALSHA_RO"] {
        let args: [&[u8]; 5] = [name.as_bytes(), sha.as_bytes(), b"1", b"key:000000001", b"arg"];
        c.bench_function(&format!("lua/served/{name}/get"), |b| b.iter(|| call(&args)));
    }
    // All keys of one server; one key, which all want; and each thread on a server of its own, so that they share
    // nothing but the machine: no more can be had there.
    let one = [Arc::clone(&engine)];
    let two = [engine, server_with(&keys)];
    for (name, engines, keys) in [
        ("side-by-side", &one[..], &keys[..]),
        ("side-by-side-one-key", &one[..], &keys[..1]),
        ("apart", &two[..], &keys[..]),
    ] {
        let mut group = c.benchmark_group(format!("lua/served/{name}"));
        for threads in [1, 2] {
            group.throughput(Throughput::Elements(threads as u64));
            group.bench_function(format!("{threads}"), |b| {
                b.iter_custom(|calls| side_by_side(engines, &sha, keys, threads, calls));
            });
        }
    }
}

/// The time in which each of so many threads has made its calls, once all of them have begun to.
fn side_by_side(
    engines: &[Arc<server::Engine>],
    sha: &str,
    keys: &[String],
    threads: usize,
    calls: u64,
) -> Duration {
    let start = Barrier::new(threads);
    let run = |thread: usize| {
        let mut caller = server::Caller::new(&engines[thread % engines.len()]);
        let mut run = |calls: u64| {
            for n in 0..calls as usize {
                let key = keys[(n + thread * keys.len() / 2) % keys.len()].as_bytes();
                let args: [&[u8]; 5] = [b"EVALSHA_RO", sha.as_bytes(), b"1", key, b"arg"];
                drop(caller.call(&args).expect("answers"));
            }
        };
        // A new thread's interpreter has everything to come yet.
        run(2000);
        start.wait();
        let begun = Instant::now();
        run(calls);
        begun.elapsed()
    };
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("ends")).max().unwrap_or_default()
    })
}

/// The same on a store, without a server.
fn on_store(c: &mut Criterion) {
    let (_, mut writer) = store::Keyspace::new(16);
    let mut engine = Engine::new(Options::default()).expect("an engine");
    let sha = engine.load(GET).expect("compiles");
    let mut out = Recorder::default();
    let (key, value): (&[u8], &[u8]) = (b"key:000000001", &[b'v'; 64]);
    let set = b"return redis.call('SET', KEYS[1], ARGV[1])";
    engine.eval(set, &[key], &[value], &mut StoreCall::new(&mut writer, 0), &mut out).expect("runs");
    c.bench_function("lua/store/evalsha/get", |b| {
        b.iter(|| {
            out.clear();
            let mut call = StoreCall::new(&mut writer, 0);
            engine.eval_sha(sha.as_bytes(), &[key], &[b"arg"], &mut call, &mut out).expect("runs");
        });
    });
}

criterion_group!(benches, scripts, on_store, served);
criterion_main!(benches);
