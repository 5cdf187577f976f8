//! Random writes on the real servers.

use testkit::{Server, differences, random_writes, wait_until_caught_up};

const SEED: u64 = 11;

#[test]
fn a_replica_follows_random_writes_on_every_server() {
    for server in Server::ALL {
        let primary = server.start();
        let replica = primary.start_replica();
        let tally = random_writes(&mut primary.client(), SEED, 10_000);
        assert!(tally.done() > 7_500, "{server:?}\n{tally}");
        wait_until_caught_up(&mut primary.client(), &mut replica.client());
        let mut found = differences(&mut primary.client(), &mut replica.client());
        if !matches!(server, Server::R6_2 | Server::R7_0) {
            // The others do not tell their replicas of every consumer that reads nothing.
            found.retain(|difference| difference.what != "idle consumer");
        }
        let shown: Vec<String> = found.iter().take(20).map(ToString::to_string).collect();
        assert!(found.is_empty(), "{server:?}: {} differences:\n{}", found.len(), shown.join("\n"));
    }
}

#[test]
fn every_command_succeeds_at_least_once() {
    let primary = Server::V9_1.start();
    let tally = random_writes(&mut primary.client(), 5, 100_000);
    let never: Vec<_> = tally.commands.iter().filter(|(_, (done, _))| *done == 0).collect();
    assert!(never.is_empty(), "{never:?}");
    let names = "APPEND BITFIELD BITOP BLMOVE BLPOP BRPOPLPUSH BZPOPMIN COPY DECR DECRBY DEL DISCARD EVAL EXEC EXPIRE \
                 EXPIREAT FLUSHDB GEOADD GEORADIUS GEOSEARCHSTORE GETDEL GETEX GETSET HDEL HEXPIRE HEXPIREAT HGETEX HINCRBY \
                 HINCRBYFLOAT HMSET HPERSIST HPEXPIRE HPEXPIREAT HSET HSETEX HSETNX INCR INCRBY INCRBYFLOAT LINSERT LMOVE \
                 LMPOP LPOP LPUSH LPUSHX LREM LSET LTRIM MOVE MSET MSETNX MULTI PERSIST PEXPIRE PEXPIREAT PFADD PFMERGE \
                 PSETEX RENAME RENAMENX RPOP RPOPLPUSH RPUSH RPUSHX SADD SDIFFSTORE SELECT SET SETBIT SETEX SETNX SETRANGE \
                 SINTERSTORE SMOVE SORT SPOP SREM SUNIONSTORE SWAPDB TOUCH UNLINK XACK XADD XAUTOCLAIM XCLAIM XDEL XGROUP \
                 XREADGROUP XSETID XTRIM ZADD ZDIFFSTORE ZINCRBY ZINTERSTORE ZMPOP ZPOPMAX ZPOPMIN ZRANGESTORE ZREM \
                 ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZUNIONSTORE";
    let missing: Vec<_> =
        names.split_whitespace().filter(|name| !tally.commands.contains_key(*name)).collect();
    assert!(missing.is_empty(), "never tried: {missing:?}");
}

#[test]
fn the_same_seed_makes_the_same_keys() {
    let (one, two) = (Server::R7_0.start(), Server::R7_0.start());
    for running in [&one, &two] {
        // Random for the server, too, are SPOP and the clock; so only the commands are compared, by their counts.
        assert_eq!(
            random_writes(&mut running.client(), 3, 3_000).commands.keys().collect::<Vec<_>>(),
            random_writes(&mut running.client(), 3, 3_000).commands.keys().collect::<Vec<_>>()
        );
    }
    let unlike = differences(&mut one.client(), &mut two.client()).len();
    let third = Server::R7_0.start();
    random_writes(&mut third.client(), 4, 6_000);
    assert!(unlike < differences(&mut one.client(), &mut third.client()).len());
}
