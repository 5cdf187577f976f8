//! DEBUG, form by form, beside the real servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use server::{Engine, Listener, Options, Role};
use store::Compat;
use support::{JUDGES, beside_each, ours};
use testkit::{Client, Running, Server, fill_every_type};

/// Loads what the real server saves.
fn load(engine: &Engine, real: &Running) {
    real.client().line("SAVE").ok();
    let dump = std::fs::read(real.dir().join("dump.rdb")).unwrap();
    let mut loader = store::Loader::new(engine.keyspace());
    rdb::Decoder::default().feed(&dump, &mut loader).unwrap();
    engine.load(loader.finish());
}

fn status(client: &mut Client, command: &[&[u8]]) -> String {
    let bytes = client.call_for_bytes(command).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_data_has_the_digest_of_the_real_server() {
    for (server, compat) in JUDGES {
        let real = server.start();
        let (engine, listener) = ours(compat).await;
        let (mut theirs, mut mine) = (real.client(), Client::connect(listener.local_addr()).unwrap());
        let zeros = status(&mut theirs, &[b"DEBUG", b"DIGEST"]);
        assert_eq!(status(&mut mine, &[b"DEBUG", b"DIGEST"]), zeros, "{server:?}");
        fill_every_type(&mut theirs, 7, 3000);
        load(&engine, &real);
        if status(&mut mine, &[b"DEBUG", b"DIGEST"]) != status(&mut theirs, &[b"DEBUG", b"DIGEST"]) {
            for db in 0..16_u32 {
                let select: &[&[u8]] = &[b"SELECT", &db.to_string().into_bytes()];
                theirs.call_for_bytes(select).unwrap();
                mine.call_for_bytes(select).unwrap();
                for key in theirs.line("KEYS *").strings() {
                    let ask: &[&[u8]] = &[b"DEBUG", b"DIGEST-VALUE", &key];
                    let (a, b) = (status(&mut mine, ask), status(&mut theirs, ask));
                    let shown: &[&[u8]] = &[b"DUMP", &key];
                    let (ours, real) = (status(&mut mine, shown), status(&mut theirs, shown));
                    assert_eq!(
                        a,
                        b,
                        "{server:?}, database {db}, key {}: {ours:?} {real:?}",
                        key.escape_ascii()
                    );
                }
            }
            panic!("{server:?}: every value is equal, and the whole is not");
        }
        // A difference shows.
        let before = status(&mut mine, &[b"DEBUG", b"DIGEST"]);
        mine.line("SET of-no-consequence 1").ok();
        assert_ne!(status(&mut mine, &[b"DEBUG", b"DIGEST"]), before);
        listener.shutdown().await;
    }
}

/// Sent to both on data that the lines before have made; replies must be equal byte for byte.
const EXACT: &[&str] = &[
    "DEBUG",
    "DEBUG FOO",
    "DEBUG HELP",
    "DEBUG DIGEST x",
    "DEBUG DIGEST-VALUE",
    "SET s hello",
    "SET n 12",
    "RPUSH l a b 3",
    "SADD st a",
    "SADD is 1",
    "ZADD z 1.1 a",
    "HSET h f v",
    "XADD x 5-1 a 1",
    "SET e v EX 1000",
    "DEBUG DIGEST-VALUE s n l st is z h x e nosuch",
    "DEBUG SLEEP",
    "DEBUG SLEEP 0",
    "DEBUG SLEEP abc",
    "DEBUG SLEEP 0.01 x",
    "DEBUG SET-ACTIVE-EXPIRE",
    "DEBUG SET-ACTIVE-EXPIRE x",
    "DEBUG SET-ACTIVE-EXPIRE 1",
    "DEBUG OBJECT",
    "DEBUG OBJECT nosuch",
    "DEBUG SDSLEN n",
    "DEBUG SDSLEN l",
    "DEBUG SDSLEN nosuch",
    "DEBUG LISTPACK l",
    "DEBUG LISTPACK h",
    "DEBUG LISTPACK st",
    "DEBUG LISTPACK s",
    "DEBUG LISTPACK is",
    "DEBUG LISTPACK nosuch",
    "DEBUG LISTPACK",
    "DEBUG QUICKLIST l",
    "DEBUG QUICKLIST s",
    "DEBUG QUICKLIST nosuch",
    "DEBUG QUICKLIST",
    "DEBUG QUICKLIST-PACKED-THRESHOLD",
    "DEBUG QUICKLIST-PACKED-THRESHOLD x",
    "DEBUG QUICKLIST-PACKED-THRESHOLD 5gb",
    "DEBUG QUICKLIST-PACKED-THRESHOLD 100b",
    "DEBUG QUICKLIST-PACKED-THRESHOLD 0",
    "DEBUG STRINGMATCH-LEN 10 aa",
    "DEBUG JMAP",
    "DEBUG ZIPLIST l",
    "DEBUG CHANGE-REPL-ID x",
    "DEBUG CHANGE-REPL-ID",
    "DEBUG HTSTATS",
    "DEBUG HTSTATS 1",
    "DEBUG HTSTATS 99",
    "DEBUG HTSTATS x",
    "DEBUG HTSTATS-KEY",
    "DEBUG HTSTATS-KEY s",
    "DEBUG HTSTATS-KEY nosuch",
    "DEBUG POPULATE",
    "DEBUG POPULATE x",
    "DEBUG POPULATE -1",
    "DEBUG POPULATE 3 pre x",
    "DEBUG POPULATE 3 pre -1",
    "DEBUG POPULATE 3 pre 3 4",
    "DEBUG POPULATE 3",
    "DEBUG POPULATE 3 pre",
    "DEBUG POPULATE 3 pre 20",
    "DEBUG POPULATE 5 pre 12",
    "DEBUG POPULATE 1 cut 2",
    "MGET key:0 key:2 key:3 pre:2 pre:4 cut:0",
    "DBSIZE",
    "DEBUG DIGEST",
    "DEBUG ERROR",
    "DEBUG ERROR foo",
    "DEBUG ERROR -foo",
    "DEBUG LOG",
    "DEBUG LOG hello",
    "DEBUG LEAK x",
    "DEBUG DICT-RESIZING 1",
    "DEBUG PAUSE-CRON 0",
    "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1",
    "RESTORE r 0 \"\\x00\\x01A\\x0a\\x00abcdefgh\"",
    "GET r",
    "DEBUG SET-SKIP-CHECKSUM-VALIDATION 0",
    "RESTORE r2 0 \"\\x00\\x01A\\x0a\\x00abcdefgh\"",
    "DEBUG REPLICATE",
    "DEBUG REPLICATE PING",
    "DEBUG PROTOCOL",
    "DEBUG PROTOCOL foo",
    "DEBUG PROTOCOL string",
    "DEBUG PROTOCOL integer",
    "DEBUG PROTOCOL double",
    "DEBUG PROTOCOL bignum",
    "DEBUG PROTOCOL null",
    "DEBUG PROTOCOL array",
    "DEBUG PROTOCOL set",
    "DEBUG PROTOCOL map",
    "DEBUG PROTOCOL attrib",
    "DEBUG PROTOCOL verbatim",
    "DEBUG PROTOCOL true",
    "DEBUG PROTOCOL false",
    "MULTI",
    "DEBUG DIGEST",
    "SET in-between 1",
    "DEBUG DIGEST-VALUE in-between s",
    "EXEC",
];

/// An inline line, its quotes as real servers read them: `\x00` within double ones.
fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ')
        .map(|word| match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
            None => word.as_bytes().to_vec(),
            Some(quoted) => {
                let mut parts = quoted.split("\\x");
                let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
                for part in parts {
                    bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
                    bytes.extend_from_slice(&part.as_bytes()[2..]);
                }
                bytes
            }
        })
        .collect()
}

#[tokio::test]
async fn every_form_answers_as_the_real_server_does() {
    beside_each(|compat, theirs, mine| {
        for resp in [2, 3] {
            for client in [&mut *theirs, &mut *mine] {
                client.line(&format!("HELLO {resp}")).ok();
                client.line("FLUSHALL").ok();
            }
            for line in EXACT {
                let command = words(line);
                let (b, a) =
                    (theirs.call_for_bytes(&command).unwrap(), mine.call_for_bytes(&command).unwrap());
                let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
                assert_eq!(shown(&a), shown(&b), "{compat}, RESP{resp}: {line} (ours, theirs)");
            }
        }
    })
    .await;
}

/// The numbers in a reply are each side's own.
fn without_numbers(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.split_once("at:0x").map_or_else(
        || text.to_string(),
        |(before, behind)| {
            format!("{before}at:0x{}", behind.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
        },
    );
    text.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect()
}

#[tokio::test]
async fn what_forms_show_has_the_shape_of_the_real_server() {
    beside_each(|compat, theirs, mine| {
        let many: String = (0..3000).map(|n| format!(" element-{n}")).collect();
        for line in [
            "SET s hello",
            "RPUSH l a b 3",
            &format!("RPUSH long{many}"),
            &format!("SADD table{many}"),
            "SET e v EX 1000",
            "DEBUG OBJECT s",
            "DEBUG OBJECT l",
            "DEBUG OBJECT long",
            "DEBUG OBJECT table",
            "DEBUG OBJECT e",
            "DEBUG SDSLEN s",
            "DEBUG HTSTATS 0",
            "DEBUG HTSTATS-KEY table",
            // A table where there are no listpacks of sets.
            "SADD few a b c",
            "DEBUG HTSTATS-KEY few",
            "DEBUG STRUCTSIZE",
        ] {
            let command = words(line);
            let (b, a) = (theirs.call_for_bytes(&command).unwrap(), mine.call_for_bytes(&command).unwrap());
            // Chains differ in length, and so do the lines that count them.
            if line.contains("HTSTATS") && compat == Compat::Redis70 {
                let head = |bytes: &[u8]| without_numbers(bytes).split("max").next().unwrap().to_owned();
                assert_eq!(head(&a), head(&b), "{compat}: {line} (ours, theirs)");
            } else {
                assert_eq!(without_numbers(&a), without_numbers(&b), "{compat}: {line} (ours, theirs)");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debug_is_refused_unless_it_is_enabled() {
    let real = Server::R8_2.start_with(&["--enable-debug-command", "no"]);
    let engine = Engine::new(Role::Primary, Options::default());
    let listener = Listener::bind(engine, "127.0.0.1:0").await.unwrap();
    let (mut theirs, mut mine) = (real.client(), Client::connect(listener.local_addr()).unwrap());
    let ask: &[&[u8]] = &[b"DEBUG", b"DIGEST"];
    assert_eq!(status(&mut mine, ask), status(&mut theirs, ask));
    listener.shutdown().await;
}

/// Doubles whose digits the servers' own algorithm finds, not the shortest ones.
#[tokio::test]
async fn scores_are_spelled_as_each_server_spells_them() {
    beside_each(|compat, theirs, mine| {
        let mut state = 20_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ state >> 29
        };
        let mut scores = Vec::new();
        while scores.len() < 20_000 {
            let score = match random() % 3 {
                0 => f64::from_bits(random()),
                1 => (random() % 1_000_000_000) as f64 / 1000.0,
                _ => random() as f64 * 10_f64.powi((random() % 50) as i32 - 40),
            };
            scores.extend(score.is_finite().then_some(score));
        }
        for scores in scores.chunks(1000) {
            let mut add = vec!["ZADD".to_owned(), "z".into()];
            let mut ask = vec!["ZMSCORE".to_owned(), "z".into()];
            for (n, score) in scores.iter().enumerate() {
                add.extend([format!("{score:e}"), n.to_string()]);
                ask.push(n.to_string());
            }
            for client in [&mut *theirs, &mut *mine] {
                client.call(&add).ok();
            }
            assert_eq!(mine.call(&ask), theirs.call(&ask), "{compat} (ours, theirs)");
        }
    })
    .await;
}
