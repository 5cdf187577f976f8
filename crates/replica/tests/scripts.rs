//! Functions and scripts as a primary hands them on: in its dump, in its stream, and as they are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use replica::{Error, Writes};
use testkit::{Client, Server};

mod support;
use support::{assert_equal, builder, caught_up, client_of, start};

fn library(name: &str, function: &str) -> String {
    format!(
        "#!lua name={name}\nredis.register_function{{function_name='{function}', flags={{'no-writes'}},
         callback=function(keys) return redis.call('get', keys[1]) end}}
         redis.register_function('{function}_write', function(keys, args)
           redis.call('set', keys[1], args[1]) return redis.call('rpush', keys[2], args[1], cjson.encode(args)) end)"
    )
}

fn alike(real: &mut Client, ours: &mut Client, words: &[&str]) {
    let (theirs, ours) = (real.call_for_bytes(words).unwrap(), ours.call_for_bytes(words).unwrap());
    assert_eq!(theirs.escape_ascii().to_string(), ours.escape_ascii().to_string(), "{words:?}");
}

/// The same libraries; and what we dump of them, the primary takes back. The bytes may differ: there are many ways to
/// compress a text.
fn alike_functions(real: &mut Client, ours: &mut Client) {
    // The order of a library's functions is nobody's promise.
    let lines = |client: &mut Client| {
        let list = client.call_for_bytes(&["FUNCTION", "LIST", "WITHCODE"]).unwrap();
        let list = String::from_utf8(list).unwrap();
        let mut lines: Vec<String> = list.split("\r\n").map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(real), lines(ours));
    let payload = ours.call(&["FUNCTION", "DUMP"]).bytes().to_vec();
    real.call(&[&b"FUNCTION"[..], b"RESTORE", &payload, b"FLUSH"]).ok();
    assert_eq!(lines(real), lines(ours));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_arrive_by_dump_and_by_stream() {
    for server in [Server::R7_0, Server::R8_2, Server::V9_1] {
        let primary = server.builder().config("repl-diskless-sync-delay", "0").start();
        let mut real = primary.client();
        real.call(&["SET", "k", "before"]).ok();
        assert!(!real.call(&["FUNCTION", "LOAD", &library("one", "f")]).is_error());
        let replica = start(builder(primary.url())).await;
        let mut ours = client_of(&replica);
        caught_up(&mut real, &replica).await;
        alike_functions(&mut real, &mut ours);
        alike(&mut real, &mut ours, &["FCALL_RO", "f", "1", "k"]);
        alike(&mut real, &mut ours, &["FUNCTION", "STATS"]);
        // By stream, with effects.
        real.call(&["FUNCTION", "LOAD", "REPLACE", &library("one", "g")]);
        for n in 0..20 {
            let (key, n) = (format!("k{}", n % 5), n.to_string());
            assert!(!real.call(&["FCALL", "g_write", "2", &key, "list", &n]).is_error());
            let script = "redis.call('incr', KEYS[1]) redis.set_repl(redis.REPL_ALL) redis.call('expire', KEYS[1], 1000)";
            real.call(&["EVAL", script, "1", "counter"]).ok();
        }
        caught_up(&mut real, &replica).await;
        alike_functions(&mut real, &mut ours);
        alike(&mut real, &mut ours, &["FCALL", "f", "1", "k"]);
        alike(&mut real, &mut ours, &["FCALL_RO", "g", "1", "k1"]);
        assert_equal(&mut real, &mut ours);
        // What may write is refused before it begins, a script at the call that writes.
        let refused = ours.call(&["FCALL", "g_write", "2", "k", "list", "x"]);
        assert!(
            refused.error().starts_with("READONLY You can't write against a read only replica"),
            "{refused:?}"
        );
        let refused = ours.call(&["EVAL", "redis.call('get', 'k') return redis.call('set', 'k', 'x')", "0"]);
        assert!(
            refused.error().starts_with("READONLY You can't write against a read only replica."),
            "{refused:?}"
        );
        assert!(ours.call(&["FUNCTION", "FLUSH"]).error().starts_with("READONLY"));
        let payload = real.call(&["FUNCTION", "DUMP"]).bytes().to_vec();
        real.call(&["FUNCTION", "FLUSH"]).ok();
        real.call(&[&b"FUNCTION"[..], b"RESTORE", &payload, b"APPEND"]).ok();
        real.call(&["FUNCTION", "LOAD", &library("two", "h")]);
        real.call(&["FUNCTION", "DELETE", "one"]).ok();
        caught_up(&mut real, &replica).await;
        alike_functions(&mut real, &mut ours);
        assert_eq!(replica.status().diverged, 0, "{server:?}");
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_of_an_old_primary_arrive_as_they_are() {
    let builder_of = |server: Server| server.builder().config("repl-diskless-sync-delay", "0");
    for server in [Server::R6_0, Server::R6_2] {
        let primary = builder_of(server).config("lua-replicate-commands", "no").start();
        let mut real = primary.client();
        let replica = start(builder(primary.url())).await;
        let body = "for i = 1, 3 do redis.call('rpush', KEYS[1], ARGV[1] .. i) end
            redis.call('set', KEYS[2], cjson.encode({ARGV[1], #ARGV})) return redis.call('llen', KEYS[1])";
        let sha = real.call(&["SCRIPT", "LOAD", body]).text();
        for n in 0..10 {
            let n = n.to_string();
            real.call(&["SELECT", if n == "5" { "3" } else { "0" }]).ok();
            assert!(!real.call(&["EVALSHA", &sha, "2", "list", "json", &n]).is_error());
            assert!(!real.call(&["EVAL", body, "2", "list2", "json2", &n]).is_error());
            // It fails halfway, here as there.
            let half = "redis.call('incr', KEYS[1]) return redis.call('lpush', KEYS[1], 1)";
            assert!(real.call(&["EVAL", half, "1", "n"]).is_error());
        }
        caught_up(&mut real, &replica).await;
        assert_equal(&mut real, &mut client_of(&replica));
        assert_eq!(replica.status().diverged, 0);
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_the_handle_answers_as_the_primary_does() {
    let primary = Server::R7_0.start();
    let mut real = primary.client();
    real.line("SET n 40").ok();
    real.line("RPUSH list a b c").ok();
    real.line("SELECT 2").ok();
    real.line("SET n 2").ok();
    real.line("SELECT 0").ok();
    // Passing on the writes of clients concerns nobody in the process.
    let replica = start(builder(primary.url()).writes(Writes::Forward)).await;
    let get = replica.script("return redis.call('GET', KEYS[1])").unwrap();
    assert_eq!(get.sha(), real.call(&["SCRIPT", "LOAD", "return redis.call('GET', KEYS[1])"]).text());
    assert_eq!(get.key("n").eval::<u32>().unwrap(), 40);
    assert_eq!(get.key("n").in_db(2).eval_ro::<String>().unwrap(), "2");
    assert_eq!(get.key("none").eval::<Option<String>>().unwrap(), None);
    let range = replica.script("return redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])").unwrap();
    assert_eq!(range.keys(["list"]).args([1, 2]).eval::<Vec<String>>().unwrap(), ["b", "c"]);
    assert_eq!(replica.script("return #KEYS + #ARGV").unwrap().eval::<i64>().unwrap(), 0);
    // It is kept by its source: another client's SCRIPT FLUSH changes nothing.
    replica.call(&["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(get.key("n").eval::<u32>().unwrap(), 40);
    // Errors are those of the command, and of the one who asks for the wrong thing.
    let broken = replica.script("return (").unwrap_err();
    assert!(matches!(&broken, Error::Command(_)), "{broken:?}");
    assert_eq!(broken.to_string(), real.call(&["SCRIPT", "LOAD", "return ("]).error());
    assert!(matches!(get.key("list").eval::<String>(), Err(Error::Command(_))));
    assert!(matches!(range.key("list").args([0, 1]).eval::<i64>(), Err(Error::Convert(_))));
    let write = replica.script("return redis.call('SET', KEYS[1], ARGV[1])").unwrap();
    assert!(matches!(write.key("n").arg(1).eval::<()>(), Err(Error::ReadOnly)));
    let refused = write.key("n").arg(1).eval_ro::<()>().unwrap_err().to_string();
    assert!(refused.contains("Write commands are not allowed from read-only scripts"), "{refused}");
    assert_eq!(real.line("GET n").text(), "40");
    replica.shutdown().await.unwrap();
    // On the data alone it writes.
    let store = replica.into_store().await;
    let write = store.script("return redis.call('SET', KEYS[1], ARGV[1])").unwrap();
    write.key("n").arg(41).eval::<()>().unwrap();
    assert_eq!(store.db(0).get_as::<u8>("n").unwrap(), Some(41));
}
