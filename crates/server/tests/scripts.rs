//! Scripts that have only read so far run as readers, and once more where they want to write: nobody may see that.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use server::{DebugCommand, Engine, Listener, Options, Role, housekeeper};
use store::Compat;
use support::{JUDGES, beside_each};
use testkit::{Client, Reply};

/// Each does more than read where its first argument is `w`.
const SCRIPTS: &[&str] = &[
    "if ARGV[1] == 'w' then return redis.call('incr', KEYS[1]) end return redis.call('get', KEYS[1])",
    "local a = redis.call('get', KEYS[1])
     if ARGV[1] == 'w' then local ok, e = pcall(redis.call, 'append', KEYS[1], '1') return {a, ok, e} end
     return a",
    "local a = redis.call('exists', KEYS[1])
     if ARGV[1] == 'w' then a = a + redis.pcall('incrby', KEYS[1], 'x').err:len() end return a",
    "local a = redis.call('strlen', KEYS[1])
     if ARGV[1] == 'w' then return {a, redis.call('publish', 'channel', 'text')} end return a",
    "if ARGV[1] == 'w' then redis.log(redis.LOG_WARNING, 'text') end return redis.call('type', KEYS[1])",
    "for n = 1, 3 do
         if ARGV[1] == 'w' and n == 3 then redis.call('set', KEYS[1], n) redis.call('del', KEYS[2]) end
         redis.call('get', KEYS[1])
     end
     return redis.call('mget', KEYS[1], KEYS[2])",
    "redis.setresp(3) local a = redis.call('hgetall', KEYS[2])
     if ARGV[1] == 'w' then redis.call('hset', 'h' .. KEYS[2], 'f', 'v') end return a",
    "if ARGV[1] == 'w' then redis.call('set', KEYS[1], '7') error('behind it') end return redis.call('get', KEYS[1])",
    "local a = redis.call('get', KEYS[1]) if ARGV[1] == 'w' then return redis.call('nosuch') end return a",
    "if ARGV[1] == 'w' then redis.set_repl(redis.REPL_NONE) redis.call('incr', KEYS[1]) end
     return redis.call('get', KEYS[1])",
];

fn same(a: &mut Client, b: &mut Client, words: &[&str], context: &str) {
    let (real, our) = (a.call_for_bytes(words).unwrap(), b.call_for_bytes(words).unwrap());
    assert_eq!(our.escape_ascii().to_string(), real.escape_ascii().to_string(), "{context}: {words:?}");
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_begins_again_has_run_once() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("SEED={seed}");
    beside_each(move |compat, real, our| {
        let mut random = Random(seed);
        let context = format!("SEED={seed}, {compat:?}");
        let load = |real: &mut Client, our: &mut Client| {
            for script in SCRIPTS {
                same(real, our, &["SCRIPT", "LOAD", script], &context);
            }
        };
        load(real, our);
        for _ in 0..600 {
            if random.below(40) == 0 {
                // Known anew, as what has done nothing yet.
                same(real, our, &["SCRIPT", "FLUSH"], &context);
                load(real, our);
            }
            let script = SCRIPTS[random.below(SCRIPTS.len())];
            let digest = lua::Digest::of(script.as_bytes()).to_hex();
            let keys = [format!("k{}", random.below(4)), format!("l{}", random.below(2))];
            let what = if random.below(6) == 0 { "w" } else { "r" };
            same(real, our, &["EVALSHA", &digest, "2", &keys[0], &keys[1], what], &context);
        }
        same(real, our, &["DEBUG", "DIGEST"], &context);
    })
    .await;
}

/// Calls `f` with clients of real servers and of ours, whose clock goes.
fn with_each(f: impl Fn(Compat, &mut Client)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (judge, compat) in JUDGES {
        let real = judge.start();
        f(compat, &mut real.client());
        let mut options = Options::default();
        options.compat = Some(compat);
        options.debug_command = DebugCommand::Local;
        let engine = Engine::new(Role::Primary, options);
        housekeeper::spawn(&engine).unwrap();
        let listener = runtime.block_on(Listener::bind(Arc::clone(&engine), "127.0.0.1:0")).unwrap();
        f(compat, &mut Client::connect(listener.local_addr()).unwrap());
        runtime.block_on(listener.shutdown());
    }
}

#[test]
fn what_a_reading_script_finds_expired_goes() {
    with_each(|_, server| {
        let get = "return redis.call('get', KEYS[1])";
        let digest = lua::Digest::of(get.as_bytes()).to_hex();
        server.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        server.call(&["SCRIPT", "LOAD", get]);
        for _ in 0..3 {
            server.call(&["EVALSHA", &digest, "1", "k"]);
        }
        server.call(&["SET", "k", "v", "PX", "1"]);
        server.call(&["SET", "later", "v", "PX", "1"]);
        // Whoever looks at one sees it go; the other stays until it is looked at.
        testkit::eventually("a key expires", || server.call(&["EXISTS", "later"]) == Reply::Int(0));
        assert_eq!(server.call(&["DBSIZE"]), Reply::Int(1));
        assert_eq!(server.call(&["EVALSHA", &digest, "1", "k"]), Reply::Null);
        assert_eq!(server.call(&["DBSIZE"]), Reply::Int(0));
    });
}

#[test]
fn time_stands_still_for_scripts() {
    // The wait is the script's own: behind it, the key would be gone.
    const SCRIPT: &str = "local function look()
            return cjson.encode({redis.call('exists', KEYS[1]), ARGV[1] == 'all' and {redis.call('pttl', KEYS[1]), redis.call('time')}})
        end
        local before, n = look(), 0
        for _ = 1, 20000000 do n = n + 1 end
        return before == look()";
    with_each(|compat, server| {
        // Redis 7.0 shows the time going on, though no key expires.
        let what = if compat == Compat::Redis70 { "keys" } else { "all" };
        let digest = lua::Digest::of(SCRIPT.as_bytes()).to_hex();
        for how in ["EVAL", "EVAL_RO", "EVALSHA", "EVALSHA"] {
            let script = if how == "EVALSHA" { digest.as_str() } else { SCRIPT };
            server.call(&["SET", "k", "v", "PX", "20"]);
            assert_eq!(server.call(&[how, script, "1", "k", what]), Reply::Int(1), "{how}, {compat:?}");
        }
    });
}
