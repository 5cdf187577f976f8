//! FUNCTION and SCRIPT beside the real servers: the same steps, the same bytes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use store::Compat;
use support::beside_each;
use testkit::Client;

const LIBRARY: &str = "#!lua name=lib1
redis.register_function('f1', function(keys, args) return {keys[1], args[1], redis.call('ping')} end)
redis.register_function{function_name='f2', callback=function(keys, args) return redis.call('set', keys[1], args[1]) end, description='sets'}";

/// Steps of one conversation; words are separated by `|`.
const STEPS: &[&str] = &[
    "FUNCTION|FLUSH",
    "FUNCTION|LIST",
    "FUNCTION|DUMP",
    "FUNCTION|STATS",
    "FCALL|f1|1|k|a",
    "FUNCTION|LOAD|REPLACE",
    "FUNCTION|LOAD|FOO|x",
    "FUNCTION|LIST|x",
    "EVAL|return redis.call('slowlog', 'reset')|0",
    "EVAL|return redis.call('acl', 'help')|0",
    "EVAL|return redis.pcall('cluster', 'meet', 'a', '1')|0",
    "FUNCTION|LIST|LIBRARYNAME",
    "FUNCTION|LIST|WITHCODE|WITHCODE",
    "FCALL|nope|0",
    "FUNCTION|KILL",
    "FUNCTION|DELETE|nope",
    "FUNCTION|DELETE|a|b",
    "FUNCTION|RESTORE|xx",
    "FUNCTION|RESTORE|xx|BAD",
    "FUNCTION|RESTORE|xx|FLUSH|y",
    "FUNCTION|BAD",
    "FUNCTION",
    "FUNCTION|HELP",
    "FUNCTION|FLUSH|X",
    "FUNCTION|FLUSH|SYNC|x",
    "FUNCTION|FLUSH|ASYNC",
    "SCRIPT|FLUSH",
    "SCRIPT|LOAD|return 1",
    "SCRIPT|EXISTS|x|e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
    "SCRIPT|SHOW|e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
    "SCRIPT|SHOW|x",
    "SCRIPT|FLUSH|X",
    "SCRIPT|FLUSH|SYNC|ASYNC",
    "SCRIPT|KILL",
    "SCRIPT|DEBUG",
    "SCRIPT|DEBUG|NO",
    "SCRIPT|DEBUG|X",
    "SCRIPT|HELP",
    "SCRIPT|NOPE",
    "SCRIPT|LOAD|return (",
    "EVALSHA|abc|0",
    "EVALSHA_RO|0000000000000000000000000000000000000000|0",
    "EVAL|return 1|x",
    "EVAL|return 1|-1",
    "EVAL|return 1|5",
    "EVAL_RO|return redis.call('set','x','y')|0",
    "EVAL_RO|#!lua\nreturn 1|0",
    "EVAL_RO|#!lua flags=no-writes\nreturn 1|0",
    "EVAL|#!lua flags=no-writes\nreturn redis.call('set','x','y')|0",
    "EVAL|#!lua name=x\nreturn 1|0",
    "EVAL|return redis.acl_check_cmd('nosuch')|0",
];

/// Sources that FUNCTION LOAD gets, each on empty ground, and what is called afterwards.
const LIBRARIES: &[(&str, &[&str])] = &[
    (
        LIBRARY,
        &[
            "FCALL|f1|1|k|a",
            "FCALL|F1|0",
            "FCALL|f2|1|k|v",
            "FCALL_RO|f2|1|k|v",
            "FCALL|f1|5|k",
            "FCALL|f1|-1",
            "FCALL|f1|x",
            "FUNCTION|STATS",
        ],
    ),
    ("x", &[]),
    ("#!lua\nx", &[]),
    ("#!lua name=\nx", &[]),
    ("#!lua name=a-b\nx", &[]),
    ("#!lua name=ab\nx", &[]),
    ("#!lua name=ab\nreturn 1", &[]),
    ("#!js name=ab\nreturn 1", &[]),
    ("#!lua name=ab name=cd\nreturn 1", &[]),
    ("#!lua foo=ab\nreturn 1", &[]),
    ("#!lua name=ab", &[]),
    ("#!lua name=\"q\nx", &[]),
    (
        "#!LUA name=\"q\"\nredis.register_function('a', function() return 5 end)",
        &["FCALL|a|0", "FUNCTION|DUMP"],
    ),
    ("#!lua name=ab\n\x1bLua", &[]),
    ("#!lua name=ab\nredis.call('ping')", &[]),
    ("#!lua name=ab\nerror('x')", &[]),
    ("#!lua name=ab\nlocal x = string", &[]),
    ("#!lua name=ab\nlocal x = redis.sha1hex", &[]),
    ("#!lua name=ab\nlocal x = server redis.register_function('a', function() end)", &[]),
    (
        "#!lua name=ab\nredis.log(redis.LOG_DEBUG, redis.REDIS_VERSION) redis.register_function('a', function() end)",
        &["FCALL|a|0"],
    ),
    ("#!lua name=ab\nredis.register_function()", &[]),
    ("#!lua name=ab\nredis.register_function('a')", &[]),
    ("#!lua name=ab\nredis.register_function('a', 1)", &[]),
    ("#!lua name=ab\nredis.register_function({}, function() end)", &[]),
    ("#!lua name=ab\nredis.register_function(1, function() end)", &["FCALL|1|0"]),
    ("#!lua name=ab\nredis.register_function('a-b', function() end)", &[]),
    (
        "#!lua name=ab\nredis.register_function('a', function() end) redis.register_function('a', function() end)",
        &[],
    ),
    ("#!lua name=ab\nredis.register_function{}", &[]),
    ("#!lua name=ab\nredis.register_function{function_name='a'}", &[]),
    ("#!lua name=ab\nredis.register_function{callback=function() end}", &[]),
    ("#!lua name=ab\nredis.register_function{function_name='a', callback=1}", &[]),
    ("#!lua name=ab\nredis.register_function{function_name={}, callback=function() end}", &[]),
    (
        "#!lua name=ab\nredis.register_function{function_name='a', callback=function() end, description={}}",
        &[],
    ),
    (
        "#!lua name=ab\nredis.register_function{function_name='a', callback=function() end, description=1}",
        &["FUNCTION|LIST"],
    ),
    ("#!lua name=ab\nredis.register_function{function_name='a', callback=function() end, flags=1}", &[]),
    ("#!lua name=ab\nredis.register_function{function_name='a', callback=function() end, flags={'x'}}", &[]),
    ("#!lua name=ab\nredis.register_function{function_name='a', callback=function() end, foo=1}", &[]),
    ("#!lua name=ab\nredis.register_function('a', function() end, 1)", &[]),
    ("#!lua name=ab\nx = 1", &[]),
    ("#!lua name=ab\nreturn y", &[]),
    (
        "#!lua name=ab\nlocal n = 0 redis.register_function('a', function() n = n + 1 return n end)",
        &["FCALL|a|0", "FCALL|a|0"],
    ),
    ("#!lua name=ab\nredis.register_function('a', function() error('boom') end)", &["FCALL|a|0"]),
    ("#!lua name=ab\nredis.register_function('a', function() return KEYS end)", &["FCALL|a|0"]),
    ("#!lua name=ab\nredis.register_function('a', function() y = 1 end)", &["FCALL|a|0"]),
    (
        "#!lua name=ab\nredis.register_function('a', function() return redis.register_function('x', function() end) end)",
        &["FCALL|a|0"],
    ),
    (
        "#!lua name=ab\nredis.register_function('a', function() local t = {} for k in pairs(redis) do t[#t + 1] = k end table.sort(t) return t end)",
        &["FCALL|a|0"],
    ),
    (
        "#!lua name=ab\nredis.register_function('a', function() local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) return t end)",
        &["FCALL|a|0"],
    ),
    (
        "#!lua name=ab\nredis.register_function('a', function(...) return select('#', ...) end)",
        &["FCALL|a|2|x|y|z"],
    ),
    (
        "#!lua name=ab\nredis.register_function('a', function() return redis.call('function', 'list') end)",
        &["FCALL|a|0"],
    ),
    (
        "#!lua name=ab\nredis.register_function('a', function() return redis.call('fcall', 'a', 0) end)",
        &["FCALL|a|0"],
    ),
    (
        "#!lua name=ab\nredis.register_function('a', function() redis.setresp(3) return redis.call('hgetall', 'nokey') end)",
        &["FCALL|a|0"],
    ),
    (
        "#!lua name=ab\nredis.register_function{function_name='a', callback=function(k) return redis.call('set', k[1], 1) end, flags={'no-writes', 'allow-stale'}}",
        &[
            "FCALL|a|1|k",
            "FCALL_RO|a|1|k",
            "FUNCTION|LIST|WITHCODE|LIBRARYNAME|a*",
            "FUNCTION|LIST|LIBRARYNAME|x*",
        ],
    ),
    (
        "#!lua name=ab\nredis.register_function{function_name='a', callback=function(k) return redis.call('get', k[1]) end, flags={'no-writes','allow-oom','allow-stale','no-cluster','allow-cross-slot-keys'}, description='x'}",
        &["FCALL_RO|a|1|k", "FUNCTION|LIST"],
    ),
];

/// What both answer, as bytes.
fn both(real: &mut Client, ours: &mut Client, words: &[&[u8]]) -> (String, String) {
    let ask = |client: &mut Client| client.call_for_bytes(words).unwrap().escape_ascii().to_string();
    (ask(real), ask(ours))
}

fn step(differences: &mut Vec<String>, compat: Compat, clients: [&mut Client; 2], words: &[&[u8]]) {
    let [real, ours] = clients;
    let (theirs, ours) = both(real, ours, words);
    if theirs != ours {
        let shown = words.join(&b'|').escape_ascii().to_string();
        differences.push(format!("{shown}\n  {compat}: {theirs}\n  ours: {ours}"));
    }
}

fn split(line: &str) -> Vec<&[u8]> {
    line.split('|').map(str::as_bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_and_scripts_answer_as_on_the_servers() {
    beside_each(|compat, real, ours| {
        let mut found = Vec::new();
        for line in STEPS {
            step(&mut found, compat, [real, ours], &split(line));
        }
        for hello in ["2", "3"] {
            step(&mut Vec::new(), compat, [real, ours], &[b"HELLO", hello.as_bytes()]);
            for (source, calls) in LIBRARIES {
                // A server of 9.1.2 dies of it.
                if compat == Compat::Valkey91 && source.contains("redis.log(") {
                    continue;
                }
                step(&mut found, compat, [real, ours], &[b"FUNCTION", b"FLUSH"]);
                step(&mut found, compat, [real, ours], &[b"FUNCTION", b"LOAD", source.as_bytes()]);
                for line in *calls {
                    step(&mut found, compat, [real, ours], &split(line));
                }
            }
        }
        assert!(found.is_empty(), "{} differ\n{}", found.len(), found.join("\n"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_of_functions_go_both_ways() {
    beside_each(|compat, real, ours| {
        let mut found = Vec::new();
        let other = LIBRARY.replace("lib1", "lib2").replace("f1", "g1").replace("f2", "g2");
        let load: [&[u8]; 3] = [b"FUNCTION", b"LOAD", LIBRARY.as_bytes()];
        step(&mut found, compat, [real, ours], &load);
        step(&mut found, compat, [real, ours], &[b"FUNCTION", b"DUMP"]);
        let payload = real.call(&["FUNCTION", "DUMP"]).bytes().to_vec();
        for policy in [&b"APPEND"[..], b"REPLACE", b"FLUSH", b"append"] {
            step(&mut found, compat, [real, ours], &[b"FUNCTION", b"RESTORE", &payload, policy]);
        }
        step(&mut found, compat, [real, ours], &[b"FUNCTION", b"FLUSH"]);
        step(&mut found, compat, [real, ours], &[b"FUNCTION", b"LOAD", other.as_bytes()]);
        step(&mut found, compat, [real, ours], &[b"FUNCTION", b"RESTORE", &payload]);
        step(&mut found, compat, [real, ours], &[b"FCALL", b"f1", b"1", b"k", b"a"]);
        step(&mut found, compat, [real, ours], &[b"FUNCTION", b"STATS"]);
        step(&mut found, compat, [real, ours], &[b"FUNCTION", b"DELETE", b"lib2"]);
        step(&mut found, compat, [real, ours], &[b"FCALL", b"g1", b"0"]);
        let clash = other.replace("lib2", "lib3").replace("g1", "f1");
        step(&mut found, compat, [real, ours], &[b"FUNCTION", b"LOAD", clash.as_bytes()]);
        step(&mut found, compat, [real, ours], &[b"FUNCTION", b"LOAD", b"REPLACE", LIBRARY.as_bytes()]);
        assert!(found.is_empty(), "{} differ\n{}", found.len(), found.join("\n"));
    })
    .await;
}

/// Begins an endless command on its own connection, and asks on another until it is told that the server is busy.
fn until_busy(endless: &mut Client, other: &mut Client, command: &[&[u8]]) -> String {
    endless.send(command);
    endless.flush().unwrap();
    loop {
        let reply = other.call_for_bytes(&["GET", "x"]).unwrap();
        if reply.starts_with(b"-BUSY") {
            return reply.escape_ascii().to_string();
        }
    }
}

/// What an endless script and those who meet it are told: on `addr`.
fn endless(addr: std::net::SocketAddr) -> Vec<String> {
    let connect = || Client::connect(addr).unwrap();
    let (mut endless, mut other) = (connect(), connect());
    let mut told = Vec::new();
    let mut ask = |client: &mut Client, words: &[&str]| {
        told.push(client.call_for_bytes(words).unwrap().escape_ascii().to_string());
    };
    ask(&mut other, &["CONFIG", "SET", "busy-reply-threshold", "50"]);
    ask(&mut other, &["CONFIG", "GET", "lua-time-limit"]);
    let library =
        "#!lua name=l\nredis.register_function('loop', function() while true do pcall(error) end end)";
    ask(&mut other, &["FUNCTION", "LOAD", library]);
    let caught = b"while true do pcall(function() while true do end end) end";
    let busy = until_busy(&mut endless, &mut other, &[b"EVAL", caught, b"0"]);
    ask(&mut other, &["PING"]);
    ask(&mut other, &["FUNCTION", "KILL"]);
    ask(&mut other, &["FUNCTION", "STATS"]);
    for heard in [
        "MULTI",
        "EXEC",
        "UNWATCH",
        "WATCH a",
        "DISCARD",
        "SELECT 0",
        "CLIENT GETNAME",
        "SCRIPT EXISTS a",
        "SUBSCRIBE c",
        "REPLCONF listening-port 1234",
        "REPLCONF capa eof capa psync2",
        "PSYNC ? -1",
        "SHUTDOWN",
        "SHUTDOWN SAVE",
        "SHUTDOWN NOSAVE SAVE",
    ] {
        ask(&mut other, &heard.split(' ').collect::<Vec<_>>());
    }
    ask(&mut other, &["SCRIPT", "KILL"]);
    let killed = format!("{:?}", endless.receive().unwrap());
    ask(&mut other, &["GET", "x"]);
    let busy_function = until_busy(&mut endless, &mut other, &[b"FCALL", b"loop", b"0"]);
    ask(&mut other, &["SCRIPT", "KILL"]);
    ask(&mut other, &["FUNCTION", "KILL"]);
    let killed_function = format!("{:?}", endless.receive().unwrap());
    ask(&mut other, &["SCRIPT", "KILL"]);
    let wrote = b"redis.call('set', 'w', 1) for i = 1, 1e8 do end return 1";
    let busy_writing = until_busy(&mut endless, &mut other, &[b"EVAL", wrote, b"0"]);
    ask(&mut other, &["SCRIPT", "KILL"]);
    let written = format!("{:?}", endless.receive().unwrap());
    told.extend([busy, killed, busy_function, killed_function, busy_writing, written]);
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn endless_scripts_make_others_busy_and_can_be_killed() {
    for (judge, compat) in support::JUDGES {
        let (_engine, listener) = support::ours(compat).await;
        let addr = listener.local_addr();
        let told = tokio::task::spawn_blocking(move || {
            let real = judge.start();
            (endless(real.addr().parse().unwrap()), endless(addr))
        });
        let (theirs, ours) = told.await.unwrap();
        assert_eq!(theirs, ours, "{compat}");
        listener.shutdown().await;
    }
}

/// What those are told who would write while a script reads without end: on `addr`.
fn endless_reading(addr: std::net::SocketAddr) -> Vec<String> {
    let connect = || Client::connect(addr).unwrap();
    let (mut endless, mut other) = (connect(), connect());
    other.call(&["CONFIG", "SET", "busy-reply-threshold", "50"]).ok();
    endless.send(&["EVAL_RO", "while true do end", "0"]);
    endless.flush().unwrap();
    let mut told = Vec::new();
    loop {
        let reply = other.call_for_bytes(&["SET", "x", "1"]).unwrap();
        if reply.starts_with(b"-BUSY") {
            told.push(reply.escape_ascii().to_string());
            break;
        }
    }
    // More of them than there are threads that serve.
    let mut waiting: Vec<Client> = (0..4).map(|_| connect()).collect();
    for client in &mut waiting {
        client.send(&["SET", "y", "1"]);
        client.flush().unwrap();
    }
    let mut ask = |words: &[&str]| {
        told.push(connect().call_for_bytes(words).unwrap().escape_ascii().to_string());
    };
    ask(&["EVAL", "return 1", "0"]);
    ask(&["FUNCTION", "KILL"]);
    ask(&["SCRIPT", "KILL"]);
    let killed = format!("{:?}", endless.receive().unwrap());
    for client in &mut waiting {
        // It may have waited for less than a script is given.
        let reply = client.receive().unwrap();
        assert!(!reply.is_error() || format!("{reply:?}").contains("BUSY"), "{reply:?}");
    }
    told.push(killed);
    told.push(other.call_for_bytes(&["SET", "x", "1"]).unwrap().escape_ascii().to_string());
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_script_that_reads_without_end_hangs_no_server_of_one_thread() {
    for (judge, compat) in support::JUDGES {
        let (_engine, listener) = support::ours(compat).await;
        let addr = listener.local_addr();
        let told = tokio::task::spawn_blocking(move || {
            let real = judge.start();
            (endless_reading(real.addr().parse().unwrap()), endless_reading(addr))
        });
        let (theirs, ours) = told.await.unwrap();
        assert_eq!(theirs, ours, "{compat}");
        listener.shutdown().await;
    }
}

/// Work that goes on for minutes within one call of a function of the library.
const LONG_CALLS: [&str; 6] = [
    "return string.find(string.rep('a', 30000), string.rep('a-', 20) .. 'b')",
    "return string.find(string.rep('a', 100), string.rep('a*', 30) .. 'b')",
    "return string.match(string.rep('(', 1000000), '%b()')",
    "return string.gsub(string.rep('a', 2000000), '.-b', 'x')",
    "return string.find(string.rep('y', 1000000), '[' .. string.rep('x', 1000000) .. ']')",
    // Strings that Lua's hash does not tell apart: each is compared with thousands.
    "local t, x = {}, string.rep('x', 1000) while true do t[#t + 1] = x .. #t .. 'x' end",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_that_takes_minutes_hangs_no_server_of_one_thread_and_can_be_killed() {
    let (_engine, listener) = support::ours(Compat::Redis82).await;
    let addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        let mut other = Client::connect(addr).unwrap();
        other.call(&["CONFIG", "SET", "busy-reply-threshold", "50"]).ok();
        for script in LONG_CALLS {
            let mut long = Client::connect(addr).unwrap();
            long.send(&["EVAL", script, "0"]);
            long.flush().unwrap();
            testkit::eventually("others are told that a script runs", || {
                format!("{:?}", other.line("PING")).contains("BUSY")
            });
            other.line("SCRIPT KILL").ok();
            let reply = format!("{:?}", long.receive().unwrap());
            assert!(reply.contains("Script killed by user with SCRIPT KILL"), "{script}: {reply}");
            assert_eq!(other.line("PING").text(), "PONG");
        }
    })
    .await
    .unwrap();
    listener.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_library_keeps_is_there_for_every_client() {
    let (_engine, listener) = support::ours(Compat::Redis82).await;
    let addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        let library = "#!lua name=counter\nlocal n = 0\nredis.register_function{function_name='next', \
            callback=function() n = n + 1 return n end, flags={'no-writes'}}";
        Client::connect(addr).unwrap().call(&["FUNCTION", "LOAD", library]).ok();
        let mut numbers: Vec<i64> = std::thread::scope(|scope| {
            let calls = |_| {
                let mut client = Client::connect(addr).unwrap();
                (0..50).map(|_| client.call(&["FCALL_RO", "next", "0"]).int()).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || calls(n))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=400).collect::<Vec<_>>());
    })
    .await
    .unwrap();
    listener.shutdown().await;
}
