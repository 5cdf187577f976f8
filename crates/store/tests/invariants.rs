//! What readers may rely on while somebody writes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::{Args, Discard, Expiry, Keyspace, Loader, ShardSet, View, Viewer, Writer, command};

fn set_all(writer: &mut Writer, keys: &[Vec<u8>], value: &[u8]) {
    let keyspace = Arc::clone(writer.keyspace());
    let mut set = ShardSet::none();
    keys.iter().for_each(|key| set.add(&keyspace, 0, key));
    let mut txn = writer.begin(&set, Viewer::Stream, 0);
    for key in keys {
        txn.set_string(key, value, Expiry::Never).unwrap();
    }
}

#[test]
fn readers_of_several_keys_never_see_a_part_of_a_transaction() {
    let (keyspace, mut writer) = Keyspace::new(1);
    let keys: Vec<Vec<u8>> = (0..20).map(|n| format!("k{n}").into_bytes()).collect();
    set_all(&mut writer, &keys, b"0");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut set = ShardSet::none();
                keys.iter().for_each(|key| set.add(&keyspace, 0, key));
                while !done.load(Ordering::Acquire) {
                    let view = View::new(&keyspace, &set, Viewer::Client, 0);
                    let first = view.string(&keys[0]).unwrap().unwrap().to_vec();
                    for key in &keys {
                        assert_eq!(view.string(key).unwrap(), Some(&first[..]));
                    }
                }
            });
        }
        for n in 1..3000 {
            set_all(&mut writer, &keys, n.to_string().as_bytes());
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn reads_one_after_the_other_never_go_back_in_time() {
    let (keyspace, mut writer) = Keyspace::new(1);
    let keys: Vec<Vec<u8>> = (0..8).map(|n| format!("k{n}").into_bytes()).collect();
    set_all(&mut writer, &keys, b"0");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let read = |key: &[u8]| -> u64 {
                let blob = keyspace.blob(0, key).unwrap().unwrap();
                std::str::from_utf8(&blob).unwrap().parse().unwrap()
            };
            while !done.load(Ordering::Acquire) {
                let mut seen = 0;
                for key in &keys {
                    let now = read(key);
                    assert!(
                        now >= seen,
                        "{now} after {seen}: an effect was seen before its group was complete"
                    );
                    seen = now;
                }
            }
        });
        for n in 1..3000 {
            set_all(&mut writer, &keys, n.to_string().as_bytes());
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn a_scan_meets_every_lasting_key_once_through_growth_and_swaps() {
    let (keyspace, mut writer) = Keyspace::new(1);
    let lasting: Vec<Vec<u8>> = (0..2000).map(|n| format!("lasting:{n}").into_bytes()).collect();
    set_all(&mut writer, &lasting, b"v");
    let (mut met, mut cursor, mut fresh) = (HashMap::<Vec<u8>, usize>::new(), 0, 0);
    loop {
        let view = View::new(&keyspace, &ShardSet::none(), Viewer::Client, 0);
        cursor = view.scan(0, cursor, 50, |entry| *met.entry(entry.key().to_vec()).or_default() += 1);
        drop(view);
        if cursor == 0 {
            break;
        }
        // Growth by a multiple, so that segments split; and now and then the same contents anew.
        if fresh == 40_000 {
            continue;
        }
        let more: Vec<Vec<u8>> = (fresh..fresh + 2000).map(|n| format!("fresh:{n}").into_bytes()).collect();
        fresh += 2000;
        set_all(&mut writer, &more, b"v");
        if fresh % 20_000 == 0 {
            let mut loader = Loader::new(&keyspace);
            let mut bytes = Vec::new();
            store::save::save(&keyspace, rdb::Version::REDIS_10, &[], |piece| bytes.extend(piece)).unwrap();
            rdb::Decoder::default().feed(&bytes, &mut loader).unwrap();
            drop(keyspace.swap_contents(loader.finish(), || {}));
        }
    }
    for key in &lasting {
        assert_eq!(met.get(key), Some(&1), "{}", String::from_utf8_lossy(key));
    }
}

#[test]
fn a_reader_of_a_swap_sees_the_old_or_the_new_and_keeps_what_it_holds() {
    let (keyspace, mut writer) = Keyspace::new(1);
    let keys: Vec<Vec<u8>> = (0..500).map(|n| format!("k{n}").into_bytes()).collect();
    set_all(&mut writer, &keys, b"old");
    let held = keyspace.blob(0, b"k7").unwrap().unwrap();
    let (other, mut other_writer) = Keyspace::new(1);
    set_all(&mut other_writer, &keys, b"new");
    let mut dump = Vec::new();
    store::save::save(&other, rdb::Version::REDIS_10, &[], |piece| dump.extend(piece)).unwrap();
    let (swapped, keyspace, keys) = (&AtomicBool::new(false), &keyspace, &keys);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut set = ShardSet::none();
            keys.iter().for_each(|key| set.add(keyspace, 0, key));
            loop {
                let over = swapped.load(Ordering::Acquire);
                let view = View::new(keyspace, &set, Viewer::Client, 0);
                let first = view.string(&keys[0]).unwrap().unwrap().to_vec();
                assert!(keys.iter().all(|key| view.string(key).unwrap() == Some(&first[..])));
                if over {
                    assert_eq!(first, b"new");
                    return;
                }
            }
        });
        let mut loader = Loader::new(keyspace);
        rdb::Decoder::default().feed(&dump, &mut loader).unwrap();
        drop(keyspace.swap_contents(loader.finish(), || {}));
        swapped.store(true, Ordering::Release);
    });
    assert_eq!(held, b"old");
}

#[test]
fn the_accounts_return_to_nothing_when_everything_goes() {
    let (keyspace, mut writer) = Keyspace::new(2);
    let mut run = |line: &str| {
        let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let args = Args::new(&parts);
        let row = command::find(args).unwrap();
        let mut set = ShardSet::none();
        row.add_shards(&keyspace, 0, args, &mut set);
        row.write(&mut writer.begin(&set, Viewer::Client, 0), args, &mut Discard).unwrap();
    };
    for line in [
        "SET a b",
        "APPEND a c",
        "RPUSH l 1 2 3",
        "SADD s 1 2 x",
        "ZADD z 1 a 2 b",
        "HSET h f v g w",
        "XADD x 1-1 f v",
        "PEXPIRE h 100000",
        "SETRANGE a 5000 x",
        "LPOP l 3",
        "SREM s 1 2 x",
        "ZREM z a b",
        "HDEL h f g",
        "COPY a b",
        "RENAME b c",
        "INCR n",
        "PFADD p 1 2 3",
    ] {
        run(line);
    }
    assert!(keyspace.counts().keys > 0 && keyspace.counts().bytes > 0);
    run("DEL a c n p x");
    assert_eq!(keyspace.counts(), store::Counts::default());
}
