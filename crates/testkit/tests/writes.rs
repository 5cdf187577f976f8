//! Random writes on the real servers.

use testkit::{Server, assert_equal, differences, random_writes, wait_until_caught_up};

const SEED: u64 = 11;

#[test]
fn a_replica_follows_random_writes_on_every_server_since_6_2() {
    for server in Server::ALL.into_iter().filter(|server| *server != Server::R6_0) {
        let primary = server.start();
        let replica = primary.start_replica();
        let tally = random_writes(&mut primary.client(), SEED, 20_000);
        assert!(tally.done() > 15_000, "{server:?}\n{tally}");
        wait_until_caught_up(&mut primary.client(), &mut replica.client());
        assert_equal(&mut primary.client(), &mut replica.client());
    }
}

/// It keeps from its replicas the consumers that read nothing, and repeats scripts and relative expiry times by the
/// replica's clock: its replicas drift from it under these writes, so only the writes themselves are looked at.
#[test]
fn redis_6_0_takes_random_writes() {
    let tally = random_writes(&mut Server::R6_0.start().client(), 11, 20_000);
    assert!(tally.done() > 15_000, "{tally}");
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
