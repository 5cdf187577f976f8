//! What random commands beside a real server (the crate `replica-differential`) do not reach: times to the
//! millisecond, and collections of thousands of elements.

mod support;

use store::Recorded;
use support::{Command, Pair, strings, words};
use testkit::Server;

/// Times from now on: ours must be exact by our clock, theirs between the askings before and after.
#[test]
fn relative_times_count_from_the_clock() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("relative", false, &[]);
    for (line, ttl) in [
        ("SET k v EX 5000", 5_000_000),
        ("SET k v PX 5000001", 5_000_001),
        ("SETEX k 6000 v", 6_000_000),
        ("PSETEX k 6000001 v", 6_000_001),
        ("GETEX k EX 7000", 7_000_000),
        ("GETEX k PX 7000001", 7_000_001),
        ("EXPIRE k 8000", 8_000_000),
        ("PEXPIRE k 8000001", 8_000_001),
        ("EXPIRE k 9000 GT", 9_000_000),
        ("PEXPIRE k 4000001 LT", 4_000_001),
        ("EXPIRE k 4001 XX", 4_001_000),
    ] {
        let before = pair.tick();
        pair.check(&words(line));
        let (ours, theirs) = pair.both(&words("PEXPIRETIME k"));
        assert_eq!(ours, Recorded::Integer(before + ttl), "{line}");
        pair.check_at_follower(&words("PEXPIRETIME k"));
        let after = pair.tick();
        let Recorded::Integer(theirs) = theirs else { panic!("{line}: {theirs:?}") };
        assert!((before + ttl..=after + ttl).contains(&theirs), "{line}: {theirs}");
    }
}

#[test]
fn seconds_left_are_rounded_as_the_real_server_does() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("rounding", false, &[]);
    pair.check(&words("SET k v"));
    for ms in [0, 1, 499, 500, 501, 999] {
        let at = 99_999_999_000_i64 * 1000 + ms;
        pair.check(&words(&format!("PEXPIREAT k {at}")));
        pair.check(&words("EXPIRETIME k"));
        pair.check(&words("PEXPIRETIME k"));
        // What is left depends on the moment: ours by our clock, theirs by the askings before and after.
        let before = pair.tick();
        let (ours, theirs) = pair.both(&words("TTL k"));
        let after = pair.tick();
        let left = |now: i64| (at - now + 500) / 1000;
        assert_eq!(ours, Recorded::Integer(left(before)));
        let Recorded::Integer(theirs) = theirs else { panic!("{theirs:?}") };
        assert!((left(after)..=left(before)).contains(&theirs), "{theirs}");
    }
}

#[test]
fn keys_are_walked_whole() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("scan", false, &[]);
    for n in 0..3000 {
        pair.check(&words(&format!("SET key:{n} {n}")));
    }
    for count in [1, 10, 100, 10_000] {
        pair.check_scan("SCAN", "", count);
    }
    for n in 0..2990 {
        pair.check(&words(&format!("UNLINK key:{n}")));
    }
    pair.check_scan("SCAN", "", 10);
}

#[test]
fn large_sets_combine_and_are_walked_beside_the_real_ones() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("large", false, &[("set-max-listpack-entries", 0)]);
    for n in 0..3000 {
        pair.check(&words(&format!("SADD a m{n} m{}", n * 2)));
        pair.check(&words(&format!("SADD b m{} {n}", n * 3)));
    }
    for line in [
        "SINTER a b",
        "SUNION a b",
        "SDIFF a b",
        "SDIFF b a",
        "SINTERCARD 2 a b LIMIT 500",
        "SUNIONSTORE c a b",
    ] {
        pair.check(&words(line));
    }
    pair.check_scan("SSCAN", "c", 7);
    let popped = strings(&pair.ours(&words("SPOP c 6000")));
    let mut remove = words("SREM c");
    remove.extend(popped.iter().cloned());
    assert_eq!(pair.real(&remove), Recorded::Integer(popped.len() as i64));
    pair.check_scan("SSCAN", "c", 7);
    pair.check_contents();
}

fn restore(pair: &mut Pair, payload: &[u8], to: &str, ttl: &str, options: &str) {
    let mut command: Command = words(&format!("RESTORE {to} {ttl}"));
    command.push(payload.to_vec());
    command.extend(words(options));
    pair.check(&command);
}

#[test]
fn a_relative_time_reaches_replicas_as_a_deadline() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("relative", false, &[]);
    pair.check(&words("SET s text"));
    let Recorded::Bulk(payload) = pair.real(&words("DUMP s")) else { panic!("no payload") };
    let now = pair.tick();
    restore(&mut pair, &payload, "k", "5000000", "");
    assert_eq!(pair.ours(&words("PEXPIRETIME k")), Recorded::Integer(now + 5_000_000));
    pair.check_at_follower(&words("PEXPIRETIME k"));
}
