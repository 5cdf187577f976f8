//! Command lines as clients send them, any bytes: the dispatch of a standalone server answers each, panics at none,
//! and its accounts equal what it holds. The first byte chooses the personality.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use resp::{Limits, RequestDecoder};
use server::{Engine, Options, Role};
use store::{Args, Compat, ShardSet, View, Viewer, command};

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| {
    let engine = Engine::new(Role::Primary, Options::default());
    engine.tick();
    assert!(engine.keyspace().limits().set("proto-max-bulk-len", 1 << 20));
    engine
});

/// More in a row show nothing that fewer do not.
const COMMANDS: usize = 100;

/// Commands on data alone; the others reach the machine, or wait. Nobody asks for millions of chosen elements here.
fn is_wanted(parts: &[&[u8]]) -> bool {
    if parts.is_empty() {
        return false;
    }
    let number = |part: &&[u8]| std::str::from_utf8(part).ok()?.parse::<i64>().ok();
    let chooses =
        parts.first().is_some_and(|name| name.to_ascii_lowercase().windows(4).any(|w| w == b"rand"));
    command::find(Args::new(parts)).is_some()
        && !(chooses && parts.iter().filter_map(number).any(|n| n < -1000))
}

fuzz_target!(|data: &[u8]| {
    let Some((which, wire)) = data.split_first() else { return };
    let engine = &*ENGINE;
    engine.set_compat(Compat::ALL[usize::from(*which) % Compat::ALL.len()]);
    engine.call(&[b"FLUSHALL"]).expect("everything goes");
    let mut requests = RequestDecoder::new(Limits::requests());
    requests.feed(wire);
    for _ in 0..COMMANDS {
        let Ok(Some(request)) = requests.next_ref() else { break };
        let parts: Vec<&[u8]> = request.iter().collect();
        if is_wanted(&parts) {
            let _ = engine.call(&parts);
        }
    }
    let keyspace = engine.keyspace();
    let (mut keys, mut bytes) = (0, 0);
    for db in 0..16 {
        let view = View::new(keyspace, &ShardSet::none(), Viewer::Stream, db);
        let mut cursor = 0;
        loop {
            cursor = view.scan(db, cursor, 1000, |entry| {
                keys += 1;
                bytes += entry.weight();
            });
            if cursor == 0 {
                break;
            }
        }
    }
    let counts = keyspace.counts();
    assert_eq!((counts.keys, counts.bytes), (keys, bytes), "accounts, recount");
});
