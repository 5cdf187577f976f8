//! Ways out of Redis' sandbox that were found over the years, each tried: the script fails or gets nothing, and the
//! next script runs as if nothing had been.

#![cfg(feature = "vm")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lua::testing::{MapCall, Recorder};
use lua::{Engine, Flavour, Options};
use testkit::Server;

/// What each attempt is, and a script that answers 1 if it got anywhere.
const ATTEMPTS: &[(&str, &str)] = &[
    // Bytecode: a crafted chunk reads and writes any memory.
    ("bytecode by loadstring", "local f, e = loadstring(string.dump(function() return 1 end)) return f and 1 or e"),
    ("bytecode by load", "local code = string.dump(function() return 1 end)
        local f, e = load(function() local c = code code = nil return c end) return f and 1 or e"),
    ("bytecode in pieces", "local code, at = string.dump(function() return 1 end), 0
        local f, e = load(function() at = at + 1 local c = code:sub(at, at) return c ~= '' and c or nil end)
        return f and 1 or e"),
    ("bytecode behind a comment", "local f, e = loadstring('#x\\n' .. string.dump(function() return 1 end)) return f and 1 or e"),
    // The host's library.
    ("os", "return try(function() return os.execute('true') end)"),
    ("io", "return try(function() return io.open end)"),
    ("package", "return try(function() return package.loadlib end)"),
    ("require", "return try(function() return require('os') end)"),
    ("dofile", "return try(function() return dofile('/etc/passwd') end)"),
    ("loadfile", "return try(function() return loadfile('/etc/passwd') end)"),
    ("debug", "return try(function() return debug.getregistry() end)"),
    ("the package that Debian left behind", "local ok, p = pcall(function() return package end)
        return ok and p and p.loadlib and 1 or 0"),
    ("print", "return try(function() print('x') end)"),
    ("newproxy, whose finalizers run later", "return try(function() return newproxy(true) end)"),
    ("module", "return try(function() module('x') end)"),
    // Environments.
    ("getfenv", "return try(function() return getfenv(0) end)"),
    ("setfenv", "return try(function() setfenv(1, {}) end)"),
    ("globals by assignment", "return try(function() planted = 1 end)"),
    ("globals by rawset", "return try(rawset, _G, 'planted', 1)"),
    ("globals through _G._G", "return try(function() _G._G._G.planted = 1 end)"),
    ("globals by a metatable of their own", "return try(setmetatable, _G, {})"),
    ("the metatable of the globals", "local m = getmetatable(_G)
        return m and try(function() m.__index = function() return 1 end end) or 0"),
    ("the metatable of the globals by rawset", "local m = getmetatable(_G)
        return m and try(rawset, m, '__newindex', nil) or 0"),
    ("globals by table.insert", "return try(table.insert, _G, 1)"),
    ("globals by loadstring", "local f = loadstring('planted = 1') return try(f)"),
    ("globals by coroutine", "local co = coroutine.create(function() planted = 1 end)
        local ok, e = coroutine.resume(co) return ok and 1 or e"),
    // Tables of the library.
    ("the library of strings", "return try(function() string.rep = 1 end)"),
    ("the metatable of strings", "return try(function() getmetatable('').__index = {} end)"),
    ("the metatable of strings by setmetatable", "return try(setmetatable, getmetatable(''), {})"),
    ("the table behind the metatable of strings", "return try(function() getmetatable('').__index.upper = 1 end)"),
    ("a metatable for strings", "return try(setmetatable, '', {})"),
    ("the API", "return try(function() redis.call = 1 end)"),
    ("the API by rawset", "return try(rawset, redis, 'call', 1)"),
    ("the API's metatable", "local m = getmetatable(redis) return m and try(rawset, m, '__index', {}) or 0"),
    ("the libraries", "for _, t in ipairs({cjson, cmsgpack, struct, bit, table, math, coroutine, string}) do
        if pcall(function() t.planted = 1 end) or pcall(rawset, t, 'planted', 1) then return 1 end end return 0"),
    ("what pairs shows", "local _, t = pairs(redis) return try(function() t.planted = 1 end)"),
    ("what next shows", "return try(function() for k in next, redis do redis[k] = nil end end)"),
    ("table.foreach", "local ok = pcall(table.foreach, redis, function(k) redis[k] = 1 end) return redis.call == 1 and 1 or 0"),
    ("table.sort", "pcall(table.sort, _G) return 0"),
    ("table.remove", "pcall(table.remove, redis) return type(redis.call) == 'function' and 0 or 1"),
    ("table.setn", "pcall(table.setn, _G, 5) return 0"),
    // Upvalues of the API's functions are out of reach without debug; what they hold must not leak as values.
    ("the mark that stops scripts, by pcall", "local ok, e = pcall(error) return e ~= nil and 1 or 0"),
    ("the error handler", "return rawget(_G, '__redis__err__handler') ~= nil and 1 or 0"),
    ("collectgarbage cannot be stopped", "return collectgarbage('stop')"),
    ("collectgarbage's pace", "collectgarbage('setpause', 1000) return try(collectgarbage, 'x')"),
    ("collectgarbage with a table", "return try(collectgarbage, {})"),
    // Bounds of unpack and the stack.
    ("unpack of very many", "return try(unpack, {}, 1, 1e9)"),
    ("unpack across the end of integers", "return try(unpack, {}, -2147483648, 2147483647)"),
    ("unpack across the end of integers, the other way", "return select('#', unpack({}, 2147483647, -2147483648))"),
    ("select of nothing", "return try(select, -5)"),
    ("string.char out of range", "return try(string.char, 256)"),
    ("string.byte of very many", "return try(string.byte, ('x'):rep(1e6), 1, -1)"),
    ("string.rep of too much", "return try(string.rep, 'x', 1e12)"),
    ("string.rep of a negative count", "return #string.rep('x', -2^63)"),
    ("string.format with a long width", "return try(string.format, '%999999d', 1)"),
    ("string.format with an unknown option", "return try(string.format, '%p', {})"),
    ("string.format with %n", "return try(string.format, '%n', 1)"),
    ("table.concat across the end of integers", "return try(table.concat, {}, '', 1, 2147483647)"),
    ("deep recursion", "local function f() return 1 + f() end return try(f)"),
    ("deep recursion through pcall", "local function f() return pcall(f) end f() return 0"),
    ("deep recursion through metamethods", "local t = setmetatable({}, {__index = function(t, k) return t[k .. 'x'] end})
        return try(function() return t.a end)"),
    ("deep recursion in the parser", "local f, e = loadstring(('('):rep(1e5)) return f and 1 or e"),
    ("deep recursion in patterns", "return try(string.find, ('a'):rep(1e5), ('(a'):rep(1e3))"),
    ("deep recursion by coroutines", "local function f() return coroutine.wrap(f)() end return try(f)"),
    ("a list that grows downwards", "return try(table.insert, {}, 'x', 1)"),
    ("table.concat of a list of tables", "return try(table.concat, {{}})"),
    ("table.maxn of the globals", "return table.maxn(_G)"),
    // Coroutines and error handlers.
    ("yield out of the script", "return try(coroutine.yield, 1)"),
    ("yield across pcall", "local co = coroutine.wrap(function() return pcall(coroutine.yield, 1) end) local ok, e = co() return e"),
    ("yield across the API", "local co = coroutine.wrap(function() return redis.pcall('PING', coroutine.yield()) end) co() return 0"),
    ("resume of oneself", "local co co = coroutine.create(function() return coroutine.resume(co) end)
        local _, ok, e = coroutine.resume(co) return ok and 1 or e"),
    ("resume of the dead", "local co = coroutine.create(function() end) coroutine.resume(co)
        local ok, e = coroutine.resume(co) return ok and 1 or e"),
    ("the API in a coroutine", "local co = coroutine.create(function() redis.setresp(4) end)
        local ok, e = coroutine.resume(co) return ok and 1 or type(e) == 'table' and e.err or e"),
    ("a handler that fails", "local ok, e = xpcall(function() error('a') end, function() error('b') end) return ok and 1 or e"),
    ("a handler that is none", "local ok, e = xpcall(function() error('a') end, 1) return ok and 1 or e"),
    ("a handler that sees the stack's end", "local function f() return 1 + f() end
        local ok, e = xpcall(f, function(e) return type(e) end) return ok and 1 or e"),
    ("an error that is a table without text", "local ok, e = pcall(error, {}) return type(e) == 'table' and 0 or 1"),
    ("an error while a text is made", "return try(function() return tostring(setmetatable({}, {__tostring = function() error('x', 0) end})) end)"),
    ("tostring with a metamethod that answers no text", "return try(function() return tostring(setmetatable({}, {__tostring = function() return {} end})) .. '' end)"),
    ("a metamethod for everything", "local m = {} for _, k in ipairs({'__index', '__call', '__len', '__eq', '__lt', '__concat', '__unm'}) do
        m[k] = function() error(k, 0) end end return try(function() return -setmetatable({}, m) end)"),
    ("a finalizer", "local t = setmetatable({}, {__gc = function() redis.call('SET', 'k', 'gc') end}) t = nil
        collectgarbage() return 0"),
    ("weak tables of the libraries", "local w = setmetatable({redis.call}, {__mode = 'v'}) collectgarbage() return w[1] and 0 or 1"),
    // The API with arguments that are none.
    ("call of nothing", "return try(redis.call)"),
    ("call of a table", "return try(redis.call, {})"),
    ("call of a nil", "return try(redis.call, 'GET', nil)"),
    ("sha1hex of nothing", "return try(redis.sha1hex)"),
    ("log of nothing", "return try(redis.log)"),
    ("log at no level", "return try(redis.log, 10, 'x')"),
    ("log at no number", "return try(redis.log, 'x', 'x')"),
    ("set_repl of nothing", "return try(redis.set_repl)"),
    ("set_repl of everything", "return try(redis.set_repl, 100)"),
    ("setresp of 4", "return try(redis.setresp, 4)"),
    ("setresp of nothing", "return try(redis.setresp)"),
    ("acl_check_cmd of nothing", "return try(redis.acl_check_cmd)"),
    ("register_function in a script", "return try(function() return redis.register_function('x', function() end) end)"),
    ("error_reply of nothing", "return redis.error_reply()"),
    ("status_reply of a table", "return redis.status_reply({})"),
    // The overflows of struct, cmsgpack and bit (CVE-2018-11218, CVE-2018-11219, CVE-2022-24834, CVE-2024-31449).
    ("struct: a size that overflows", "return try(struct.pack, 'I2147483648', 1)"),
    ("struct: a size of more digits than fit", "return try(struct.unpack, 'I99999999999999999999', 'x')"),
    ("struct: a length from the data", "return (struct.unpack('Lc0', '\\255\\255\\255\\255\\255\\255\\255\\255x'))"),
    ("struct: a place beyond the end", "return try(struct.unpack, 'I4', 'abcd', 2^62)"),
    ("struct: a negative place", "return try(struct.unpack, 'I4', 'abcd', -2^31)"),
    ("struct: c with a huge count", "return try(struct.unpack, 'c2147483647', 'abcd')"),
    ("struct: an alignment of nothing", "return try(struct.pack, '!0I4', 1)"),
    ("cmsgpack: very deep", "return try(cmsgpack.unpack, ('\\145'):rep(1e6))"),
    ("cmsgpack: very many values", "return try(cmsgpack.unpack, ('\\1'):rep(1e6))"),
    ("cmsgpack: an array that claims to be huge", "return try(cmsgpack.unpack, '\\221\\255\\255\\255\\255')"),
    ("cmsgpack: a string that claims to be huge", "return try(cmsgpack.unpack, '\\219\\255\\255\\255\\255x')"),
    ("cmsgpack: a place beyond the end", "return try(cmsgpack.unpack_one, 'x', 2^62)"),
    ("cmsgpack: a table inside itself", "local t = {} t[1] = t return #cmsgpack.pack(t) < 100 and 0 or 1"),
    ("bit: tohex of the smallest count", "return #bit.tohex(1, -2^31) == 8 and 0 or 1"),
    ("cjson: very deep", "return try(cjson.decode, ('['):rep(1e6))"),
    ("cjson: very deep where it is allowed", "cjson.decode_max_depth(2147483647)
        local ok, e = pcall(cjson.decode, ('['):rep(1e6)) cjson.decode_max_depth(1000) return ok and 1 or e"),
    ("cjson: a table inside itself where depth is allowed", "local t = {} t[1] = t cjson.encode_max_depth(2147483647)
        local ok, e = pcall(cjson.encode, t) cjson.encode_max_depth(1000) return ok and 1 or e"),
    ("cjson: a sparse array of all memory", "cjson.encode_sparse_array(false, 0)
        local ok, e = pcall(cjson.encode, {[2147483647] = 1}) cjson.encode_sparse_array(false, 2, 10) return ok and 1 or e"),
    ("cjson: text that doubles", "local t = {('x'):rep(1000)} for i = 1, 25 do t = {t, t} end
        return try(cjson.encode, t)"),
];

fn engine(flavour: Flavour) -> Engine {
    let now = AtomicU64::new(0);
    let mut options = Options::default();
    options.flavour = flavour;
    options.memory_limit = 32 << 20;
    // Each look at this clock is a millisecond later: no attempt runs for ever.
    let tick = move || Duration::from_millis(now.fetch_add(1, Ordering::Relaxed));
    options.time_limit = Some((Duration::from_secs(600), Arc::new(tick)));
    Engine::new(options).expect("an engine")
}

fn run(engine: &mut Engine, source: &str) -> String {
    let mut out = Recorder::default();
    match engine.eval(source.as_bytes(), &[b"k"], &[b"a"], &mut MapCall::default(), &mut out) {
        Ok(()) => out.bytes().escape_ascii().to_string(),
        Err(error) => format!("-{}\\r\\n", error.line().escape_ascii()),
    }
}

/// Before each attempt, on its first line: 1 if the function succeeds, else what the error says.
const TRY: &str = "local function try(...) local ok, e = pcall(...)
    return ok and 1 or type(e) == 'table' and e.err or e end ";

/// What the real servers are not asked, or answer otherwise.
const OURS_ALONE: &[&str] = &[
    "cjson: very deep where it is allowed",
    "cjson: a table inside itself where depth is allowed",
    "cjson: a sparse array of all memory",
    "cjson: text that doubles",
    "string.rep of too much",
    // A global function there, which scripts can reach.
    "the error handler",
];

#[test]
fn every_known_way_out_is_closed() {
    let witness =
        "return {type(redis.call), ('x'):upper(), tostring(rawget(_G, 'planted')), #KEYS, cjson.encode({1}),
        tostring(pcall(function() return planted end)), string.rep('ab', 2), type(string.upper)}";
    let servers = [
        (Server::R7_0, Flavour::REDIS_7_0),
        (Server::R8_2, Flavour::REDIS_8_2),
        (Server::V9_1, Flavour::VALKEY_9_1),
    ];
    let mut differences = String::new();
    for (server, flavour) in servers {
        let running = server.start();
        let mut client = running.client();
        let mut engine = engine(flavour);
        let sane = run(&mut engine, witness);
        assert!(sane.starts_with("*8"), "{sane}");
        for (what, source) in ATTEMPTS {
            let source = format!("{}{source}", TRY.replace('\n', ""));
            let ours = run(&mut engine, &source);
            if !ours.starts_with(['-', '$']) && ours != ":0\\r\\n" {
                differences += &format!("{what}: {ours}\n");
            }
            assert_eq!(run(&mut engine, witness), sane, "after: {what}");
            if OURS_ALONE.contains(what) {
                continue;
            }
            let theirs = client.call_for_bytes(&["EVAL", &source, "1", "k", "a"]);
            let theirs = theirs.unwrap_or_else(|error| panic!("{what}: {error}")).escape_ascii().to_string();
            if ours != theirs {
                differences += &format!("{what}\n  {}: {theirs}\n  ours:  {ours}\n", server.version());
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// Calls that would stay inside a function of C for years, if it were one.
const LONG: &[&str] = &[
    "return ('a'):rep(100):find(('a?'):rep(50) .. ('a'):rep(120))",
    "return ('a'):rep(200):match(('.-'):rep(60) .. 'b')",
    "return ('a'):rep(200):gsub(('.-'):rep(60) .. 'b', '')",
    "for w in ('a'):rep(200):gmatch(('.-'):rep(60) .. 'b') do end",
    "while true do pcall(string.find, ('a'):rep(200), ('.-'):rep(60) .. 'b') end",
    "local t = {} for i = 1, 50000 do t[i] = i % 7 end while true do table.sort(t) end",
    "local t = {} for i = 1, 50000 do t[i] = i % 7 end while true do pcall(table.sort, t, function() return true end) end",
    "while true do string.rep('x', 1e5) end",
    "while true do cjson.decode('[1]') end",
    "table.insert({}, -2147483647, 1)",
    "while true do pcall(table.insert, {}, -2147483647, 1) end",
];

#[test]
fn long_calls_inside_functions_end_with_their_script() {
    let mut options = Options::default();
    let now = AtomicU64::new(0);
    let tick = move || Duration::from_millis(now.fetch_add(1, Ordering::Relaxed));
    options.time_limit = Some((Duration::from_millis(50), Arc::new(tick)));
    let mut engine = Engine::new(options).expect("an engine");
    for source in LONG {
        let answer = run(&mut engine, source);
        assert!(answer.contains("longer than the time limit"), "{source}: {answer}");
        assert_eq!(run(&mut engine, "return 1"), ":1\\r\\n", "after {source}");
    }
}
