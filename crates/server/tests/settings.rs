//! CONFIG and MEMORY beside the real servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{beside_each, words};
use testkit::{Client, Reply};

/// Sent to both; replies must be equal.
const EXACT: &[&str] = &[
    "CONFIG",
    "CONFIG FOO",
    "CONFIG GET",
    "CONFIG SET",
    "CONFIG SET a",
    "CONFIG SET a b c",
    "CONFIG SET nosuch 1",
    "CONFIG SET nosuch 1 maxmemory 5",
    "CONFIG SET maxmemory 1 NoSuch 1",
    "CONFIG GET maxmemory",
    "CONFIG SET maxmemory 100mb maxmemory-samples abc",
    "CONFIG GET maxmemory",
    "CONFIG SET maxmemory abc",
    "CONFIG SET MAXMEMORY abc",
    "CONFIG SET maxmemory -1",
    "CONFIG SET maxmemory 10%",
    "CONFIG SET maxmemory 1 MAXMEMORY 2",
    "CONFIG SET MaxMemory 5gb",
    "CONFIG GET MAXMEMORY",
    "CONFIG GET MAXMEMORY maxmemory",
    "CONFIG SET maxmemory 0",
    "CONFIG SET maxmemory-policy foo",
    "CONFIG SET maxmemory-policy ALLKEYS-LRU",
    "CONFIG GET maxmemory-policy",
    "CONFIG SET maxmemory-policy noeviction",
    "CONFIG SET maxmemory-samples 0",
    "CONFIG SET maxmemory-samples 65",
    "CONFIG SET maxmemory-samples 5000000000",
    "CONFIG SET maxmemory-samples a",
    "CONFIG SET maxmemory-samples 5.5",
    "CONFIG SET maxmemory-samples 5k",
    "CONFIG SET maxmemory-samples 5",
    "CONFIG SET maxmemory-eviction-tenacity 101",
    "CONFIG SET lfu-log-factor -1",
    "CONFIG SET lfu-decay-time 2147483648",
    "CONFIG SET active-expire-effort 0",
    "CONFIG SET active-expire-effort 11",
    "CONFIG SET replica-ignore-maxmemory maybe",
    "CONFIG SET slave-ignore-maxmemory NO",
    "CONFIG GET replica-ignore-maxmemory",
    "CONFIG SET replica-ignore-maxmemory yes",
    "CONFIG SET hash-max-listpack-entries -1",
    "CONFIG SET hash-max-ziplist-entries -1",
    "CONFIG SET hash-max-listpack-entries 1mb",
    "CONFIG SET hash-max-listpack-value 1kb",
    "CONFIG GET hash-max-ziplist-value",
    "CONFIG SET hash-max-listpack-value 64",
    "CONFIG SET hash-max-listpack-value x",
    "CONFIG SET hash-max-listpack-value -1",
    "CONFIG SET list-max-listpack-size x",
    "CONFIG SET list-max-listpack-size -6",
    "CONFIG SET list-max-ziplist-size -2",
    "CONFIG SET list-max-listpack-size 99999999999",
    "CONFIG SET stream-node-max-bytes -1",
    "CONFIG SET stream-node-max-bytes 4kb",
    "CONFIG GET stream-node-max-bytes",
    "CONFIG SET stream-node-max-entries -1",
    "CONFIG SET hll-sparse-max-bytes -1",
    "CONFIG SET proto-max-bulk-len 1",
    "CONFIG SET proto-max-bulk-len 512MB",
    "CONFIG SET set-max-intset-entries 99999999999999999999",
    "CONFIG SET set-max-intset-entries 9223372036854775808",
    "CONFIG SET set-max-listpack-entries -5",
    "CONFIG SET set-max-intset-entries 512 hash-max-ziplist-entries 5 hash-max-listpack-entries 6",
    "CONFIG GET hash-max-ziplist-entries",
    "CONFIG SET hash-max-ziplist-entries 512",
    "CONFIG SET databases 5",
    "CONFIG SET Databases 5",
    "CONFIG GET databases DATABASES data*",
    "CONFIG GET DATABASE*",
    "CONFIG SET enable-debug-command yes",
    "CONFIG SET hz 1000",
    "CONFIG GET hz",
    "CONFIG SET hz 10",
    "CONFIG SET lazyfree-lazy-expire 1",
    "CONFIG SET lazyfree-lazy-expire yes",
    "CONFIG GET lazyfree-lazy-expire",
    "CONFIG GET nosuch",
    "CONFIG RESETSTAT x",
    "CONFIG RESETSTAT",
    "CONFIG REWRITE",
    "CONFIG GET acllog-max-len",
    "CONFIG GET latency-tracking",
    "CONFIG SET acllog-max-len -1",
    "CONFIG SET acllog-max-len 5kb",
    "CONFIG SET acllog-max-len 9223372036854775808",
    "CONFIG SET tracking-table-max-keys -1",
    "CONFIG SET tracking-table-max-keys x",
    "CONFIG SET tracking-table-max-keys 0",
    "CONFIG GET tracking-table-max-keys",
    "CONFIG SET tracking-table-max-keys 1000000",
    "CONFIG SET latency-tracking 1",
    "CONFIG SET latency-tracking NO",
    "INFO latencystats",
    "CONFIG SET latency-tracking yes",
    "CONFIG SET latency-tracking-info-percentiles x",
    "CONFIG SET latency-tracking-info-percentiles -1",
    "CONFIG SET latency-tracking-info-percentiles 100.1",
    "CONFIG SET latency-tracking-info-percentiles nan",
    "CONFIG SET latency-tracking-info-percentiles inf",
    "CONFIG SET latency-tracking-info-percentiles \"50  99\"",
    "CONFIG SET latency-tracking-info-percentiles \" 50\"",
    "CONFIG SET latency-tracking-info-percentiles \"\"",
    "CONFIG GET latency-tracking-info-percentiles",
    "CONFIG SET latency-tracking-info-percentiles \"1e1 33.3333333333 0.0 100 99.999\"",
    "CONFIG GET latency-tracking-info-percentiles",
    "CONFIG SET latency-tracking-info-percentiles \"50 99 99.9\"",
    "CONFIG HELP",
    "OBJECT HELP",
    "MEMORY",
    "MEMORY FOO",
    "MEMORY HELP",
    "MEMORY USAGE",
    "MEMORY USAGE nosuch",
    "SET s x",
    "MEMORY USAGE s SAMPLES",
    "MEMORY USAGE s SAMPLES -1",
    "MEMORY USAGE s SAMPLES x",
    "MEMORY USAGE s foo 1",
    "MEMORY USAGE nosuch foo 1",
    "MEMORY DOCTOR",
    "MEMORY DOCTOR x",
    "MEMORY PURGE",
    "MEMORY STATS x",
];

#[tokio::test]
async fn replies_and_refusals_are_those_of_the_real_server() {
    beside_each(|compat, theirs, mine| {
        for resp in [2, 3] {
            for line in [&*format!("HELLO {resp}"), "FLUSHALL"] {
                theirs.line(line).ok();
                mine.line(line).ok();
            }
            for line in EXACT {
                let [ours, real] = [&mut *mine, &mut *theirs].map(|client| client.call(&words(line)));
                assert_eq!(ours, real, "{compat}, RESP{resp}: {line} (ours, theirs)");
            }
        }
    })
    .await;
}

/// Name and value of all settings.
fn settings(client: &mut Client) -> Vec<(String, String)> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let all = client.line("CONFIG GET *").strings();
    let mut pairs: Vec<_> = all.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    pairs.sort();
    pairs
}

#[tokio::test]
async fn names_and_defaults_are_those_of_the_real_server() {
    // What differs by what we are, or by how the test started the real server.
    const OURS: [&str; 9] = [
        "port",
        "repl-backlog-size",
        "replica-priority",
        "slave-priority",
        "replica-announced",
        "tcp-keepalive",
        "enable-debug-command",
        "dir",
        // The binary says yes; a library leaves the process to its program.
        "disable-thp",
    ];
    // What no real server has.
    const NO_OTHER: [&str; 6] = [
        "active-expire-cleanup",
        "cluster-topology",
        "replica-memory-limit",
        "replica-reclaim-expired",
        "replica-writes",
        "replica-writes-as",
    ];
    beside_each(|compat, theirs, mine| {
        let (ours, real) = (settings(mine), settings(theirs));
        assert!(ours.len() > 50, "{compat}: {ours:?}");
        for (name, value) in ours {
            if NO_OTHER.contains(&&*name) {
                continue;
            }
            let theirs = real.iter().find(|(other, _)| *other == name);
            let Some((_, theirs)) = theirs else { panic!("{compat} has no {name}") };
            assert!(
                *theirs == value || OURS.contains(&&*name),
                "{compat}: {name} is {value}, {theirs} there"
            );
        }
    })
    .await;
}

/// The names of an INFO section's fields.
fn fields(client: &mut Client, section: &str) -> Vec<String> {
    let reply = client.line(&format!("INFO {section}"));
    let text = String::from_utf8_lossy(reply.as_bytes().unwrap()).into_owned();
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
}

#[tokio::test]
async fn memory_is_told_in_the_shape_of_the_real_server() {
    beside_each(|compat, theirs, mine| {
        for line in ["HELLO 3", "SET a b", "SET c d EX 100"] {
            theirs.line(line).ok();
            mine.line(line).ok();
        }
        let shape = |reply: Reply| match reply {
            Reply::Map(fields) => {
                let kind = |value: &Reply| match value {
                    Reply::Int(_) => "integer",
                    Reply::Double(_) => "double",
                    Reply::Map(_) => "map",
                    _ => "other",
                };
                let name = |name: &Reply| String::from_utf8_lossy(name.as_bytes().unwrap()).into_owned();
                fields.iter().map(|(n, v)| (name(n), kind(v))).collect::<Vec<_>>()
            }
            other => panic!("{compat}: MEMORY STATS gave {other:?}"),
        };
        assert_eq!(
            shape(mine.line("MEMORY STATS")),
            shape(theirs.line("MEMORY STATS")),
            "{compat} (ours, theirs)"
        );
        assert!(matches!(mine.line("MEMORY MALLOC-STATS"), Reply::Bulk(_) | Reply::Verbatim(..)));
        // Every field of ours is one of theirs, in their order.
        let (ours, real) = (fields(mine, "memory"), fields(theirs, "memory"));
        let known: Vec<_> = real.iter().filter(|name| ours.contains(name)).cloned().collect();
        assert_eq!(ours, known, "{compat}: INFO memory");
        // Within a transaction too.
        for client in [theirs, mine] {
            client.line("MULTI").ok();
            for line in ["SET a b", "INFO", "MEMORY STATS", "MEMORY USAGE a", "MEMORY DOCTOR"] {
                client.line(line).ok();
            }
            let Reply::Array(replies) = client.line("EXEC") else { panic!("{compat}: EXEC") };
            assert!(replies.iter().all(|reply| !reply.is_error()), "{compat}: {replies:?}");
            assert!(replies[3] != Reply::Null);
        }
    })
    .await;
}
