//! What a script costs beyond its commands: `lua/operation/case`.

use criterion::{Criterion, criterion_group, criterion_main};
use lua::testing::{MapCall, Recorder};
use lua::{Digest, Engine, Options};

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

criterion_group!(benches, scripts);
criterion_main!(benches);
