//! Whom we claim to be, asked beside the real one.

mod support;

use support::beside_each;
use testkit::Reply;

/// The lines of INFO that say who answers.
fn versions(info: &Reply) -> Vec<String> {
    let names = [
        "redis_version:",
        "server_name:",
        "valkey_version:",
        "valkey_release_stage:",
        "redis_mode:",
        "server_mode:",
    ];
    let text = info.text();
    text.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_those_of_the_real_server() {
    beside_each(|compat, real, ours| {
        let ask = ["INFO", "server"];
        assert_eq!(versions(&ours.call(&ask)), versions(&real.call(&ask)), "{compat}");
        for protocol in ["2", "3"] {
            let (theirs, mine) = (real.call(&["HELLO", protocol]), ours.call(&["HELLO", protocol]));
            for field in ["server", "version", "proto", "mode", "role"] {
                assert_eq!(mine.field(field), theirs.field(field), "{compat}: {field}");
            }
        }
        let script = "return {redis.REDIS_VERSION, redis.REDIS_VERSION_NUM}";
        let ask = ["EVAL", script, "0"];
        assert_eq!(ours.call(&ask), real.call(&ask), "{compat}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_exists_where_the_real_server_has_it() {
    beside_each(|compat, real, ours| {
        let calls: [&[&str]; 6] = [
            &["HTTL", "nokey", "FIELDS", "1", "f"],
            &["HGETDEL", "nokey", "FIELDS", "1", "f"],
            &["CLIENT", "SETINFO", "LIB-NAME", "x"],
            &["SINTERCARD", "1", "nokey"],
            &["JSON.GET", "nokey"],
            &["BF.ADD", "nokey", "item"],
        ];
        for call in calls {
            assert_eq!(ours.call(call), real.call(call), "{compat}: {call:?}");
        }
        // A script sees the same commands.
        let ask = ["EVAL", "return redis.pcall('HTTL', KEYS[1], 'FIELDS', '1', 'f')", "1", "nokey"];
        assert_eq!(ours.call(&ask).is_error(), real.call(&ask).is_error(), "{compat}");
        ours.call(&["FLUSHALL"]).ok();
    })
    .await;
}
