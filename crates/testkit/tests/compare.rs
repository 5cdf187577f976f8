//! The judge, judged: it finds nothing between a primary and its replica, and every single change.

use testkit::{
    Client, Server, differences, differences_after_full_sync, fill_every_type, wait_until_caught_up,
};

#[test]
fn a_replica_of_every_server_equals_its_primary() {
    for server in Server::ALL {
        let primary = server.start();
        fill_every_type(&mut primary.client(), 3, 3_000);
        let replica = primary.start_replica();
        let found = differences_after_full_sync(&mut primary.client(), &mut replica.client());
        assert!(found.is_empty(), "{server:?}: {} differences, first: {}", found.len(), found[0]);
    }
}

#[test]
fn an_old_and_a_new_server_with_the_same_dump_are_equal() {
    let old = Server::R6_0.start();
    fill_every_type(&mut old.client(), 4, 2_000);
    let new = Server::R8_2.start_with(&["--replicaof", "127.0.0.1", &old.port().to_string()]);
    wait_until_caught_up(&mut old.client(), &mut new.client());
    let found = differences(&mut old.client(), &mut new.client());
    assert!(found.is_empty(), "{} differences, first: {}", found.len(), found[0]);
}

#[test]
fn every_kind_of_change_is_found() {
    let (one, two) = (Server::R8_2.start(), Server::R8_2.start());
    let setup = [
        "SET string a",
        "RPUSH list a b c",
        "SADD set a b c",
        "ZADD zset 1 a 2 b",
        "HSET hash f v g w",
        "XADD stream 1-1 f v",
        "XADD stream 2-1 f v",
        "XGROUP CREATE stream g 0",
        "XCLAIM stream g anna 0 1-1 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID",
    ];
    let changes = [
        ("string", "value", "SET string b"),
        ("string", "type", "DEL string"),
        ("string", "expiry", "PEXPIREAT string 4102444800000"),
        ("added", "type", "SET added 1"),
        ("list", "value", "LSET list 1 x"),
        ("list", "value", "RPUSH list d"),
        ("set", "value", "SREM set a"),
        ("zset", "value", "ZINCRBY zset 0.1 a"),
        ("zset", "value", "ZREM zset a"),
        ("hash", "value", "HSET hash f x"),
        ("hash", "field expiry", "HPEXPIREAT hash 4102444800000 FIELDS 1 f"),
        ("stream", "value", "XADD stream 3-1 f v"),
        ("stream", "stream", "XSETID stream 9-9"),
        ("stream", "groups", "XGROUP SETID stream g 2-1"),
        ("stream", "counters", "XGROUP SETID stream g 0 ENTRIESREAD 1"),
        ("stream", "groups", "XGROUP CREATE stream h 0"),
        ("stream", "idle consumer", "XGROUP CREATECONSUMER stream g bert"),
        ("stream", "groups", "XACK stream g 1-1"),
        ("stream", "groups", "XCLAIM stream g anna 0 1-1 TIME 1700000000000 RETRYCOUNT 2 FORCE JUSTID"),
        ("stream", "groups", "XCLAIM stream g anna 0 1-1 TIME 1700000000001 RETRYCOUNT 1 FORCE JUSTID"),
    ];
    let (mut a, mut b) = (one.client(), two.client());
    for (key, what, change) in changes {
        for client in [&mut a, &mut b] {
            client.line("FLUSHALL").ok();
            for line in setup {
                client.line(line).ok();
            }
        }
        assert_eq!(differences(&mut a, &mut b), [], "before {change}");
        b.line(change).ok();
        let found = differences_after_full_sync(&mut a, &mut b);
        assert!(
            found.iter().any(|d| d.db == Some(0) && d.key == key.as_bytes() && d.what == what),
            "{change}: {found:?}"
        );
        assert!(found.iter().all(|d| d.key == key.as_bytes()), "{change}: {found:?}");
    }
}

#[test]
fn a_key_in_another_database_is_found() {
    let (one, two) = (Server::R7_0.start(), Server::R7_0.start());
    two.client().pipeline(&[vec!["SELECT", "15"], vec!["SET", "k", "v"]]);
    let found = differences(&mut one.client(), &mut two.client());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].db, found[0].what), (Some(15), "type"));
}

#[test]
fn another_function_is_found() {
    let (one, two) = (Server::R7_0.start(), Server::R7_0.start());
    let load = |client: &mut Client, number: u32| {
        let code = format!("#!lua name=lib\nredis.register_function('f', function() return {number} end)");
        client.call(&["FUNCTION", "LOAD", &code]).ok();
    };
    load(&mut one.client(), 1);
    let found = differences(&mut one.client(), &mut two.client());
    assert_eq!((found[0].db, &*found[0].key, found[0].what), (None, b"lib".as_slice(), "code"));
    load(&mut two.client(), 2);
    assert_eq!(differences(&mut one.client(), &mut two.client()).len(), 1);
}
