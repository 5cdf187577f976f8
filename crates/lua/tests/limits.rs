//! Scripts that would not end, would not fit, or would reach out.

#![cfg(feature = "vm")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lua::testing::{MapCall, Recorder};
use lua::{Call, Clock, Engine, Error, KillSwitch, Options, ReplyBuilder, Scripts};

fn run(engine: &mut Engine, source: &str) -> Result<String, Error> {
    let mut out = Recorder::default();
    engine.eval(source.as_bytes(), &[], &[], &mut MapCall::default(), &mut out)?;
    Ok(out.bytes().escape_ascii().to_string())
}

/// Each look at this clock is a millisecond later.
fn ticking() -> Clock {
    let now = AtomicU64::new(0);
    Arc::new(move || Duration::from_millis(now.fetch_add(1, Ordering::Relaxed)))
}

const ENDLESS: [&str; 8] = [
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(error) end",
    "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    "while true do pcall(table.sort, {1,2,3}, function() while true do end end) end",
    "local f f = function() pcall(load, f) return f() end f()",
];

#[test]
fn the_time_limit_wins_against_whatever_a_script_catches() {
    let mut options = Options::default();
    options.time_limit = Some((Duration::from_millis(20), ticking()));
    let mut engine = Engine::new(options).expect("an engine");
    for source in ENDLESS {
        assert!(matches!(run(&mut engine, source), Err(Error::TimeLimit(_))), "{source}");
        assert_eq!(run(&mut engine, "return 1"), Ok(":1\\r\\n".into()), "after {source}");
    }
}

/// Pulls the switch from inside the script's first command.
struct Puller(KillSwitch);

impl Call for Puller {
    fn call(&mut self, _: &[&[u8]], out: &mut ReplyBuilder<'_>) {
        self.0.kill();
        out.simple(b"OK");
    }
}

#[test]
fn the_kill_switch_wins_against_whatever_a_script_catches() {
    let mut engine = Engine::new(Options::default()).expect("an engine");
    for source in ENDLESS {
        let source = format!("redis.call('ping') {source}");
        let mut call = Puller(engine.kill_switch());
        let ended = engine.eval(source.as_bytes(), &[], &[], &mut call, &mut Recorder::default());
        assert!(matches!(ended, Err(Error::Killed(_))), "{source}: {ended:?}");
        assert_eq!(run(&mut engine, "return 1"), Ok(":1\\r\\n".into()), "after {source}");
    }
}

/// Gives a run up at its first command.
struct Wary;

impl Call for Wary {
    fn call(&mut self, _: &[&[u8]], out: &mut ReplyBuilder<'_>) {
        out.give_up();
    }

    fn may_be_seen(&mut self) -> bool {
        false
    }
}

#[test]
fn a_run_that_is_given_up_ends_whatever_the_script_catches_and_leaves_nothing() {
    const DRAW: &str = "return tostring(math.random())";
    let options = || {
        let mut options = Options::default();
        options.log = Some(Arc::new(|_, _| panic!("a line of a run that never was")));
        options
    };
    let (mut engine, mut other) = (Engine::new(options()).unwrap(), Engine::new(options()).unwrap());
    for end in [
        "redis.call('ping')",
        "pcall(redis.call, 'ping')",
        "while true do pcall(redis.pcall, 'ping') end",
        "coroutine.wrap(function() redis.call('ping') end)()",
        "redis.log(redis.LOG_WARNING, 'a line')",
        "pcall(redis.log, redis.LOG_WARNING, 'a line')",
    ] {
        let source = format!("math.random() KEYS.left = 1 {end} return 1");
        let mut out = Recorder::default();
        let ended = engine.eval(source.as_bytes(), &[], &[], &mut Wary, &mut out);
        assert_eq!((ended, out.bytes()), (Err(Error::GivenUp), &b""[..]), "{end}");
        // The next number is the one that there would have been.
        assert_eq!(run(&mut engine, DRAW), run(&mut other, DRAW));
    }
}

#[test]
fn the_memory_limit_ends_the_script_and_not_the_engine() {
    let mut options = Options::default();
    options.memory_limit = 8 << 20;
    let mut engine = Engine::new(options).expect("an engine");
    for source in [
        "local t = {} while true do t[#t+1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t+1] = string.rep('x', 1e6) .. #t end",
        "return string.rep('x', 5e7)",
        "local t = {} while true do pcall(function() while true do t[#t+1] = 'x' .. #t end end) t = {} error('done') end",
    ] {
        assert!(run(&mut engine, source).is_err(), "{source}");
        assert_eq!(run(&mut engine, "return 1"), Ok(":1\\r\\n".into()), "after {source}");
        assert!(engine.used_memory() < 4 << 20, "{} bytes after {source}", engine.used_memory());
    }
}

#[test]
fn string_rep_is_bounded() {
    let mut engine = Engine::new(Options::default()).expect("an engine");
    let error = run(&mut engine, "return #string.rep('x', 2^40)").expect_err("too long");
    assert!(error.to_string().starts_with("ERR user_script:1: resulting string too large"), "{error}");
    assert_eq!(run(&mut engine, "return string.rep('', 2^40)"), Ok("$0\\r\\n\\r\\n".into()));
}

#[test]
fn a_table_inside_itself_ends_in_an_error() {
    let mut engine = Engine::new(Options::default()).expect("an engine");
    let reply = run(&mut engine, "local t = {} t[1] = t return t").expect("a reply");
    assert!(reply.ends_with("-ERR reached lua stack limit\\r\\n"));
}

#[test]
fn nothing_a_script_leaves_behind_reaches_the_next() {
    let mut engine = Engine::new(Options::default()).expect("an engine");
    for attempt in [
        "x = 1",
        "_G.x = 1",
        "rawset(_G, 'x', 1)",
        "table.insert(_G, 1)",
        "redis.x = 1",
        "setmetatable(_G, nil)",
        "getmetatable(_G).__index = nil",
        "getmetatable('').__index.upper = nil",
        "setmetatable(string, {})",
        "getmetatable(redis).__index = {}",
        "redis.setresp(3) error('x')",
    ] {
        assert!(run(&mut engine, attempt).is_err(), "{attempt}");
    }
    let check =
        "return {rawget(_G, 'x') == nil, redis.x == nil, ('a'):upper(), redis.call('get', 'k') == false}";
    assert_eq!(run(&mut engine, check), Ok("*4\\r\\n:1\\r\\n:1\\r\\n$1\\r\\nA\\r\\n:1\\r\\n".into()));
}

#[test]
fn no_function_leads_to_the_table_behind_a_frozen_one() {
    let mut engine = Engine::new(Options::default()).expect("an engine");
    let walk = "
        local f, t, k = pairs(redis)
        local ok = pcall(function() t.planted = 1 end)
        local name = next(redis)
        return {tostring(ok), type(name), tostring(t == redis), tostring(redis.planted)}";
    assert_eq!(
        run(&mut engine, walk),
        Ok("*4\\r\\n$5\\r\\nfalse\\r\\n$6\\r\\nstring\\r\\n$4\\r\\ntrue\\r\\n$3\\r\\nnil\\r\\n".into())
    );
}

#[test]
fn a_flush_on_one_engine_of_a_pool_is_seen_by_all() {
    let scripts = Arc::new(Scripts::new());
    let mut one = Engine::with_scripts(Options::default(), Arc::clone(&scripts)).expect("an engine");
    let mut two = Engine::with_scripts(Options::default(), scripts).expect("an engine");
    let sha = one.load(b"return 7").expect("compiles");
    let mut out = Recorder::default();
    two.eval_sha(sha.to_uppercase().as_bytes(), &[], &[], &mut MapCall::default(), &mut out).expect("known");
    assert_eq!(out.bytes(), b":7\r\n");
    one.flush().expect("flushed");
    assert!(!two.exists(sha.as_bytes()));
    let gone = two.eval_sha(sha.as_bytes(), &[], &[], &mut MapCall::default(), &mut out);
    assert_eq!(gone, Err(Error::NoScript));
}

#[test]
fn a_bounded_engine_runs_more_scripts_than_it_keeps() {
    let mut options = Options::default();
    options.max_scripts = Some(3);
    let mut engine = Engine::new(options).expect("an engine");
    for round in 0..2 {
        for n in 0..10 {
            assert_eq!(run(&mut engine, &format!("return {n}")), Ok(format!(":{n}\\r\\n")), "round {round}");
        }
    }
    assert_eq!(engine.stats().scripts, 3);
    assert_eq!(engine.stats().evicted, 17);
}

#[test]
fn a_source_that_does_not_compile_is_not_kept() {
    let mut engine = Engine::new(Options::default()).expect("an engine");
    assert!(matches!(run(&mut engine, "return (("), Err(Error::Compile(_))));
    assert_eq!(engine.stats().scripts, 0);
}

#[test]
fn bytecode_is_refused_as_a_script_and_as_a_chunk() {
    let mut engine = Engine::new(Options::default()).expect("an engine");
    assert!(matches!(run(&mut engine, "\u{1b}LuaQ"), Err(Error::Compile(_))));
    let source = "local code = string.dump(function() return 1 end)
        local f, message = loadstring(code)
        local g = load(function() local c = code code = nil return c end)
        return {type(f), type(g), type(message)}";
    assert_eq!(
        run(&mut engine, source),
        Ok("*3\\r\\n$3\\r\\nnil\\r\\n$3\\r\\nnil\\r\\n$6\\r\\nstring\\r\\n".into())
    );
}

#[test]
fn engines_can_change_threads() {
    fn send<T: Send>(_: &T) {}
    let mut engine = Engine::new(Options::default()).expect("an engine");
    send(&engine);
    let moved = std::thread::spawn(move || run(&mut engine, "return redis.call('ping')")).join();
    assert_eq!(moved.expect("no panic"), Ok("+PONG\\r\\n".into()));
}

#[test]
fn the_api_has_two_names_on_valkey_and_one_on_redis() {
    let mut engine = Engine::new(Options::default()).expect("an engine");
    assert!(run(&mut engine, "return server.call('ping')").is_err());
    let mut options = Options::default();
    options.flavour = lua::Flavour::VALKEY_9_1;
    let mut engine = Engine::new(options).expect("an engine");
    assert_eq!(run(&mut engine, "return server.call('ping')"), Ok("+PONG\\r\\n".into()));
}

#[test]
fn a_table_without_a_list_is_answered_as_pairs_if_asked() {
    let mut options = Options::default();
    options.pairs = true;
    let mut engine = Engine::new(options).expect("an engine");
    assert_eq!(run(&mut engine, "return {a = 1}").as_deref(), Ok(r"*2\r\n$1\r\na\r\n:1\r\n"));
    assert_eq!(run(&mut engine, "return {7, a = 1}").as_deref(), Ok(r"*1\r\n:7\r\n"));
    assert_eq!(run(&mut engine, "return {}").as_deref(), Ok(r"*0\r\n"));
    // As the servers have it.
    let mut engine = Engine::new(Options::default()).expect("an engine");
    assert_eq!(run(&mut engine, "return {a = 1}").as_deref(), Ok(r"*0\r\n"));
}
