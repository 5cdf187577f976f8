//! Readers without a lock beside a writer. Under Miri this also looks for races and for what is used after it was
//! freed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::entry::ValueRef;
use crate::keyspace::Keyspace;
use crate::lock::ShardSet;
use crate::txn::Expiry;
use crate::view::Viewer;

/// A writer sets two keys to one number at a time, replaces, expires, deletes and grows; readers must find numbers
/// that are whole, that never go back, and of which the second key's is never older than the first's.
#[test]
fn readers_find_whole_values_in_the_order_they_were_written() {
    let (keyspace, mut writer) = Keyspace::new(1);
    let rounds: u64 = if cfg!(miri) { 150 } else { 60_000 };
    let done = Arc::new(AtomicBool::new(false));
    {
        let mut txn = writer.begin(&ShardSet::everything(), Viewer::Stream, 0);
        txn.set_string(b"first", b"00", Expiry::Never).unwrap();
        txn.set_string(b"second", b"00", Expiry::Never).unwrap();
    }
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (keyspace, done) = (Arc::clone(&keyspace), Arc::clone(&done));
            std::thread::spawn(move || {
                let number = |key: &[u8]| {
                    keyspace.with(0, key, |entry| {
                        let entry = entry.expect("both keys are there throughout");
                        let ValueRef::Inline(text) = entry.value() else { panic!("a string") };
                        let (half, other) = text.split_at(text.len() / 2);
                        assert_eq!(half, other, "a torn value");
                        assert!(entry.expire().is_none_or(|at| at > 1_000_000));
                        std::str::from_utf8(half).unwrap().parse::<u64>().unwrap()
                    })
                };
                let (mut last, mut reads) = (0, 0_u64);
                while !done.load(Ordering::Relaxed) || reads == 0 {
                    let first = number(b"first");
                    let second = number(b"second");
                    assert!(second >= first && first >= last, "{last} {first} {second}");
                    last = first;
                    let blob = keyspace.blob(0, b"first").unwrap().unwrap();
                    assert!(blob.len() >= 2);
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    for round in 0..rounds {
        let mut set = ShardSet::none();
        let other = (round % 3000).to_string();
        for key in [&b"first"[..], b"second", other.as_bytes()] {
            set.add(&keyspace, 0, key);
        }
        let mut txn = writer.begin(&set, Viewer::Stream, 0);
        // Half of the transaction is never seen.
        txn.set_string(b"second", b"0101", Expiry::Never).unwrap();
        let text = format!("{round}{round}");
        txn.set_string(b"second", text.as_bytes(), Expiry::Keep).unwrap();
        txn.set_string(b"first", text.as_bytes(), Expiry::At(1_000_001)).unwrap();
        if round % 7 == 0 {
            txn.set_expire(b"first", Some(1_000_002));
        }
        if round % 6000 < 3000 {
            txn.set_string(other.as_bytes(), b"filler", Expiry::Never).unwrap();
        } else {
            txn.remove(other.as_bytes());
        }
        drop(txn);
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().unwrap() > 0);
    }
    crate::graveyard::sweep();
}
