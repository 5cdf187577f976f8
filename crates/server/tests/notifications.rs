//! Keyspace notifications beside the real servers: the same commands, the same events in the same order, those of new
//! keys and of keys that were looked for in vain among them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{JUDGES, beside_each, ours, words};
use testkit::Client;

const STEPS: &[&str] = &[
    "GET none",
    "MGET none none2",
    "EXISTS none",
    "TTL none",
    "TYPE none",
    "SET a 1",
    "SET a 2",
    "SET a 3 KEEPTTL",
    "SET a 4 GET",
    "SET a 4 NX",
    "SET b 4 GET",
    "SETNX a 4",
    "SETNX a2 4",
    "GETSET a3 4",
    "GETSET a3 5",
    "GETDEL none",
    "GETDEL a3",
    "GETEX none",
    "GETEX a EX 100",
    "APPEND a 5",
    "APPEND app x",
    "INCR n",
    "INCR n",
    "INCRBYFLOAT nf 1.5",
    "SETRANGE sr 3 x",
    "SETBIT sb 3 1",
    "SETBIT sb 3 0",
    "GETBIT none 4",
    "MSET a 1 m1 2 m2 3",
    "MSETNX m3 1 m4 2",
    "SETEX a 100 v",
    "PSETEX a5 100000 v",
    "LPUSH l x",
    "LPUSH l y",
    "RPUSHX none x",
    "LRANGE none 0 1",
    "LPOP none",
    "LPOP l",
    "RPOP l",
    "LMOVE none none2 LEFT LEFT",
    "RPUSH l a b c",
    "LMOVE l l2 LEFT LEFT",
    "LMOVE l l2 LEFT LEFT",
    "LINSERT none BEFORE a b",
    "SADD s a",
    "SADD s b",
    "SADD s a",
    "SISMEMBER none a",
    "SREM none a",
    "SMOVE s s2 a",
    "SINTER none none2",
    "SUNIONSTORE su s s2",
    "SUNIONSTORE su s s2",
    "SINTERSTORE su none none2",
    "HSET h f v",
    "HSET h f v",
    "HGET none f",
    "HGET h nofield",
    "HINCRBY h2 f 1",
    "HSETNX h3 f 1",
    "ZADD z 1 a",
    "ZADD z 2 a",
    "ZINCRBY z3 1 a",
    "ZSCORE none a",
    "ZUNIONSTORE zu 1 z",
    "ZUNIONSTORE zu 1 z",
    "ZRANGESTORE zr z 0 -1",
    "XADD st 1-1 f v",
    "XADD st 2-1 f v",
    "XRANGE none - +",
    "XREAD STREAMS none 0",
    "XGROUP CREATE st2 g $ MKSTREAM",
    "XINFO STREAM none",
    "PFADD pf a",
    "PFADD pf a",
    "PFCOUNT none",
    "PFMERGE pf3 pf",
    "PFMERGE pf3 pf",
    "GEOADD geo 1 1 a",
    "GEOSEARCHSTORE gs geo FROMLONLAT 1 1 BYRADIUS 10 km",
    "DEL none",
    "DEL a",
    "RENAME b bb",
    "SET b 1",
    "RENAME b bb",
    "RENAMENX bb b3",
    "SET cc 1",
    "COPY cc cc2",
    "COPY cc cc2 REPLACE",
    "COPY none x",
    "MOVE cc 1",
    "EXPIRE none 10",
    "EXPIRE cc2 100",
    "PERSIST cc2",
    "SORT none",
    "SORT none STORE so",
    "DUMP none",
    "OBJECT ENCODING none",
    "TOUCH none",
    "MEMORY USAGE none",
    "BITOP AND bo sb sb",
    "BITOP AND bo sb sb",
    "BITOP AND bo none none",
    "BITFIELD bf SET u8 0 1",
    "BITFIELD_RO none GET u8 0",
    "EVAL \"return redis.call('GET', KEYS[1])\" 1 none",
    "EVAL_RO \"return redis.call('GET', KEYS[1])\" 1 none",
    "EVAL \"return redis.call('SET', KEYS[1], 1)\" 1 fresh",
    "MULTI",
    "GET none",
    "SET fresh2 1",
    "EXEC",
    "LMPOP 2 none none2 LEFT",
    "SINTERCARD 2 none none2",
    "ZINTER 2 none none2",
    "HMGET none a",
    "HSCAN none 0",
    "PFMERGE pf4 none pf none2",
    "COPY none over",
    "SORT none STORE over",
    "GETDEL none",
    "GETDEL over2",
    "GETEX a PERSIST",
    "SET a 1 GET",
    "SET a 1 NX GET",
    "XREAD STREAMS st 0",
    "ZRANGESTORE zr none 0 1",
    "RPUSH over 3 1 2",
    "SET other 1",
    "RENAME other over",
    "SORT l STORE over",
    "RPUSH over2 3 1 2",
    "COPY over2 over REPLACE",
    "SET over2 1 KEEPTTL",
    "SETEX over2 100 1",
    "GETSET over2 5",
    "INCR over2",
    "INCRBYFLOAT over2 1.5",
    "APPEND over2 1",
    "SADD over3 a",
    "SUNIONSTORE over2 over3",
    "BITOP NOT over3 other2",
    "SET other2 a",
    "BITOP NOT over3 other2",
    "MSET over 1 over2 2 over3 3",
    "ZADD over4 1 m",
    "ZUNIONSTORE over 1 over4",
    "ZINTERSTORE over 2 over4 none",
    "EVAL \"redis.call('SET', KEYS[1], 1)\" 1 over4",
];

/// What is heard of a command.
fn heard(client: &mut Client, listener: &mut Client, line: &str) -> Vec<String> {
    let reply = client.call_for_bytes(&words(line)).unwrap();
    if line == "MULTI" || reply == b"+QUEUED\r\n" {
        return Vec::new();
    }
    client.call(&["PUBLISH", "__keyevent@0__:end", ""]).ok();
    let mut heard = Vec::new();
    loop {
        let event = listener.receive().unwrap();
        let [.., channel, key] = event.array() else { panic!("{event:?}") };
        let (channel, key) = (channel.text(), key.text());
        if channel.ends_with(":end") {
            return heard;
        }
        heard.push(format!("{channel} {key}"));
    }
}

/// What is heard of all steps, said on the first connection and heard on the second.
fn all_heard(mut client: Client, mut listener: Client) -> Vec<Vec<String>> {
    // Events of overwriting are told from Redis 8.2 on, and refused by all others.
    if client.call_for_bytes(&["CONFIG", "SET", "notify-keyspace-events", "KEAmnoc"]).unwrap() != b"+OK\r\n" {
        client.call(&["CONFIG", "SET", "notify-keyspace-events", "KEAmn"]).ok();
    }
    listener.call(&["PSUBSCRIBE", "__keyevent@*"]).ok();
    STEPS.iter().map(|line| heard(&mut client, &mut listener, line)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_as_on_the_servers() {
    for (judge, compat) in JUDGES {
        let (_engine, listener) = ours(compat).await;
        let addr = listener.local_addr();
        tokio::task::spawn_blocking(move || {
            let real = judge.start();
            let theirs = all_heard(real.client(), real.client());
            let mine = all_heard(Client::connect(addr).unwrap(), Client::connect(addr).unwrap());
            let differ: Vec<String> = STEPS
                .iter()
                .zip(theirs.iter().zip(&mine))
                .filter(|(_, (theirs, mine))| theirs != mine)
                .map(|(line, (theirs, mine))| format!("{line}\n  real {theirs:?}\n  ours {mine:?}"))
                .collect();
            assert!(differ.is_empty(), "{compat:?}: {} differ\n{}", differ.len(), differ.join("\n"));
        })
        .await
        .unwrap();
        listener.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_and_missed_is_counted() {
    beside_each(|compat, real, ours| {
        let told = [real, ours].map(|client| {
            client.call(&["FLUSHALL"]).ok();
            let counted = STEPS.iter().map(|line| {
                client.call(&["CONFIG", "RESETSTAT"]).ok();
                client.call_for_bytes(&words(line)).unwrap();
                // Queued in a transaction: then there is nothing to count.
                let info = client.call(&["INFO", "stats"]).text();
                let count = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
                [count("keyspace_hits:"), count("keyspace_misses:")]
            });
            counted.collect::<Vec<[Option<u64>; 2]>>()
        });
        let differ: Vec<String> = STEPS
            .iter()
            .zip(told[0].iter().zip(&told[1]))
            .filter(|(_, (theirs, mine))| theirs != mine)
            .map(|(line, (theirs, mine))| format!("{line}\n  real {theirs:?}\n  ours {mine:?}"))
            .collect();
        assert!(differ.is_empty(), "{compat:?}: {} differ\n{}", differ.len(), differ.join("\n"));
        assert!(told[0].iter().flatten().flatten().any(|count| *count > 0), "{told:?}");
    })
    .await;
}
