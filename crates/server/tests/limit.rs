//! The limit of memory, what is known of the use of keys, and expiry, beside the real servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use store::Compat;
use support::{beside_each, ours};
use testkit::{Client, Reply};

/// Sent to both; replies must be equal.
const EXACT: &[&str] = &[
    "SET n 5",
    "SET s xx",
    "SET big 100000",
    "SET e v EX 100",
    "OBJECT REFCOUNT n",
    "OBJECT REFCOUNT s",
    "OBJECT REFCOUNT big",
    "OBJECT REFCOUNT nosuch",
    "OBJECT IDLETIME s",
    "OBJECT FREQ s",
    "OBJECT FREQ nosuch",
    "CONFIG SET maxmemory-policy allkeys-lfu",
    "OBJECT IDLETIME s",
    "OBJECT IDLETIME nosuch",
    "SET fresh text",
    "OBJECT FREQ fresh",
    "CONFIG SET maxmemory-policy allkeys-lru",
    "CONFIG SET maxmemory 1gb",
    "SET n 7",
    "OBJECT REFCOUNT n",
    "OBJECT IDLETIME n",
    "CONFIG SET maxmemory-policy noeviction",
    "CONFIG SET maxmemory 1",
    "SET a b",
    "GET s",
    "DEL big",
    "APPEND s x",
    "LPUSH l a",
    "EXPIRE s 100",
    "PFCOUNT x",
    "SORT l STORE d",
    "GETSET s x",
    "INCR n",
    "MULTI",
    "SET a b",
    "GET s",
    "EXEC",
    "MULTI",
    "GET s",
    "PING",
    "EXEC",
    // No room is told of before what else is in the way.
    "CONFIG SET min-replicas-to-write 1",
    "SET a b",
    "DEL a",
    "SET a",
    "NOSUCH a",
    "MULTI",
    "SET a b",
    "GET s",
    "DEL a",
    "WATCH a",
    "EXEC",
    "CONFIG SET min-replicas-to-write 0",
    "SUBSCRIBE channel",
    "SET a b",
    "GET s",
    "UNSUBSCRIBE channel",
    "CONFIG SET maxmemory 0",
    "MULTI",
    "SET a b",
    "CONFIG SET maxmemory 1",
    "EXEC",
    "EXEC",
    "DISCARD",
    "MULTI",
    "CONFIG SET maxmemory 1",
    "EXEC",
    "CONFIG SET maxmemory 0",
    "DBSIZE",
    "CLIENT NO-TOUCH on",
    "CLIENT NO-TOUCH off",
    "TOUCH s n nosuch",
];

#[tokio::test]
async fn refusals_and_what_object_tells_are_those_of_the_real_server() {
    beside_each(|compat, theirs, mine| {
        let both = |theirs: &mut Client, mine: &mut Client, command: &[&[u8]], what: &str| {
            assert_eq!(mine.call(command), theirs.call(command), "{compat}: {what} (ours, theirs)");
        };
        for line in EXACT {
            if line.contains("NO-TOUCH") && compat == Compat::Redis70 {
                continue;
            }
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            both(theirs, mine, &words, line);
        }
        let script = |client: &mut Client, text: &str| client.call(&["EVAL", text, "0"]);
        for client in [&mut *theirs, &mut *mine] {
            client.line("CONFIG SET maxmemory 1").ok();
        }
        for text in [
            "return redis.pcall('SET', 'a', 'b')",
            "return redis.call('GET', 's')",
            "redis.call('DEL', 's'); return redis.call('SET', 's', 'b')",
            "#!lua\nreturn redis.call('GET', 's')",
            "#!lua flags=allow-oom\nreturn redis.call('SET', 's', 'b')",
            "#!lua flags=no-writes\nreturn redis.call('GET', 's')",
            "#!lua flags=no-writes\nreturn redis.pcall('SET', 'a', 'b')",
            "#!lua flags=no-writes\nreturn redis.pcall('DEL', 'a')",
        ] {
            assert_eq!(script(mine, text), script(theirs, text), "{compat}: {text} (ours, theirs)");
        }
        for client in [&mut *theirs, &mut *mine] {
            client.line("CONFIG SET maxmemory 0").ok();
        }
        // An EXEC whose commands find no room any more.
        for line in ["MULTI", "SET q 1"] {
            assert_eq!(mine.line(line), theirs.line(line));
        }
        // RESTORE tells of the use; so does a dump.
        theirs.line("DISCARD").ok();
        mine.line("DISCARD").ok();
        let payload = theirs.line("DUMP n").as_bytes().unwrap().to_vec();
        for (policy, word, n) in [("allkeys-lru", "IDLETIME", "1000"), ("allkeys-lfu", "FREQ", "77")] {
            let policy = format!("CONFIG SET maxmemory-policy {policy}");
            for client in [&mut *theirs, &mut *mine] {
                client.line(&policy).ok();
            }
            let key = word.as_bytes();
            let restore: [&[u8]; 6] = [b"RESTORE", key, b"0", &payload, word.as_bytes(), n.as_bytes()];
            both(theirs, mine, &restore, word);
            both(theirs, mine, &[b"OBJECT", key, key], word);
            for bad in ["-1", "256", "x"] {
                let bad: [&[u8]; 6] = [b"RESTORE", b"bad", b"0", &payload, word.as_bytes(), bad.as_bytes()];
                if word == "FREQ" || bad[5] != b"256" {
                    both(theirs, mine, &bad, word);
                }
            }
        }
    })
    .await;
}

fn number(client: &mut Client, section: &str, field: &str) -> u64 {
    let reply = client.line(&format!("INFO {section}"));
    let text = String::from_utf8_lossy(reply.as_bytes().unwrap()).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
    line.unwrap_or_else(|| panic!("INFO has no {field}")).parse().unwrap()
}

/// What the limit is about: without the stream kept for replicas.
fn data(client: &mut Client) -> u64 {
    let stream = number(client, "memory", "mem_not_counted_for_evict");
    number(client, "memory", "used_memory") - stream
}

#[tokio::test]
async fn each_policy_spares_whom_it_should() {
    let (engine, listener) = ours(Compat::Redis82).await;
    server::housekeeper::spawn(&engine).unwrap();
    let addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(addr).unwrap();
        let value = "v".repeat(200);
        for policy in [
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
        ] {
            client.line("CONFIG SET maxmemory 0").ok();
            client.line("FLUSHALL").ok();
            client.line("CONFIG RESETSTAT").ok();
            client.line(&format!("CONFIG SET maxmemory-policy {policy}")).ok();
            let volatile = policy.starts_with("volatile");
            // Half of the keys expire, the later the higher their number.
            for n in 0..2000 {
                let (key, seconds) = (format!("key:{n}"), (10_000 + n).to_string());
                if n % 2 == 0 {
                    client.call(&["SET", &key, &value, "EX", &seconds]).ok();
                } else {
                    client.call(&["SET", &key, &value]).ok();
                }
            }
            // Some are used again and again.
            for _ in 0..100 {
                for n in 0..50 {
                    client.call(&["GET", &format!("key:{n}")]).ok();
                }
            }
            let used = data(&mut client);
            let limit = used - 100_000;
            client.line(&format!("CONFIG SET maxmemory {limit}")).ok();
            let mut rounds = 0;
            while data(&mut client) > limit + 20_000 {
                client.line("SET another x").ok();
                rounds += 1;
                assert!(rounds < 1000, "{policy}: no room comes to be");
            }
            let gone = number(&mut client, "stats", "evicted_keys");
            assert!(gone > 100, "{policy}: {gone} keys went");
            let is_there = |client: &mut Client, n: i32| {
                client.line("CONFIG SET maxmemory 0").ok();
                client.call(&["EXISTS", &format!("key:{n}")]) == Reply::Int(1)
            };
            if volatile {
                assert!(
                    (1..2000).step_by(2).all(|n| is_there(&mut client, n)),
                    "{policy} took one that stays"
                );
            }
            if policy.ends_with("lfu") {
                let left = (0..50).filter(|n| is_there(&mut client, *n)).count();
                assert!(left >= 48, "{policy}: {left} of 50 that are used are left");
            }
            if policy == "volatile-ttl" {
                let gone = (0..2000).step_by(2).filter(|n| !is_there(&mut client, *n));
                assert!(gone.max().unwrap() < 1200, "those that live longest went");
            }
        }
        client.line("CONFIG SET maxmemory-policy noeviction").ok();
        client.line("CONFIG SET maxmemory 1").ok();
        assert!(client.line("SET a b").error().starts_with("OOM"));
    })
    .await
    .unwrap();
    listener.shutdown().await;
}

#[tokio::test]
async fn what_has_expired_goes_by_itself_and_when_somebody_looks() {
    let (engine, listener) = ours(Compat::Redis82).await;
    server::housekeeper::spawn(&engine).unwrap();
    let addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(addr).unwrap();
        let until = |client: &mut Client, line: &str, wanted: Reply| {
            let begin = Instant::now();
            while client.line(line) != wanted {
                assert!(begin.elapsed() < Duration::from_secs(20), "{line} never gave {wanted:?}");
                std::thread::yield_now();
            }
        };
        for n in 0..3000 {
            client.line(&format!("SET key:{n} v PX 5")).ok();
        }
        client.line("HSET h a 1 b 2").ok();
        client.line("HPEXPIRE h 5 FIELDS 2 a b").ok();
        until(&mut client, "DBSIZE", Reply::Int(0));
        assert_eq!(number(&mut client, "stats", "expired_keys"), 3000);
        assert_eq!(number(&mut client, "stats", "expired_subkeys"), 2);
        // Nobody looks, nothing goes; a look is enough.
        client.line("DEBUG SET-ACTIVE-EXPIRE 0").ok();
        client.line("SET lazy v PX 1").ok();
        until(&mut client, "EXISTS lazy", Reply::Int(0));
        assert_eq!(client.line("DBSIZE"), Reply::Int(0));
        assert_eq!(number(&mut client, "stats", "expired_keys"), 3001);
    })
    .await
    .unwrap();
    listener.shutdown().await;
}
