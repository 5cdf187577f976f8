//! Each view accepts what its grammar accepts and shows the same. Property tests and fuzzing share this.

use rdb::StreamId;
use rdb::encoding::{Intset, Item, Listpack, NodeEntry, StreamNode, Ziplist, Zipmap, grammar};

/// A checked view against the grammar; a trusted one is only not to panic and to end.
pub(crate) fn listpack(bytes: &[u8]) {
    let view = Listpack::new(bytes);
    assert_eq!(view.map(|view| view.iter().collect()).ok(), grammar::listpack(bytes));
    if let Ok(view) = view {
        both_ends(view.iter());
        assert_eq!(view.len(), view.iter().count());
        assert_eq!(view.is_empty(), view.iter().next().is_none());
    }
    let trusted = Listpack::trusted(bytes);
    assert!(trusted.iter().count() <= bytes.len());
    assert!(trusted.iter().rev().count() <= bytes.len());
    let _ = (trusted.len(), trusted.is_empty(), trusted.last(), trusted.get(-2), trusted.get(1));
    let _ = (trusted.find(b"1", 1), trusted.find(b"", 0), trusted.seek(i64::MIN));
    for (pos, _) in trusted.iter_with_pos().take(100) {
        let _ = (trusted.at(pos), trusted.next(pos), trusted.prev(pos), trusted.iter_at(pos).next_back());
    }
}

/// The same for ziplists.
pub(crate) fn ziplist(bytes: &[u8]) {
    let view = Ziplist::new(bytes);
    assert_eq!(view.map(|view| view.iter().collect()).ok(), grammar::ziplist(bytes));
    if let Ok(view) = view {
        both_ends(view.iter());
        assert_eq!(view.len(), view.iter().count());
    }
}

/// The same for intsets.
pub(crate) fn intset(bytes: &[u8]) {
    let view = Intset::new(bytes);
    assert_eq!(view.map(|view| view.iter().collect()).ok(), grammar::intset(bytes));
    let trusted = Intset::trusted(bytes);
    assert!(trusted.iter().count() <= bytes.len());
    let _ = (trusted.contains(7), trusted.position(-1), trusted.get(usize::MAX));
}

/// The same for zipmaps.
pub(crate) fn zipmap(bytes: &[u8]) {
    let view = Zipmap::new(bytes);
    assert_eq!(view.map(|view| view.iter().collect()).ok(), grammar::zipmap(bytes));
    if let Ok(view) = view {
        assert_eq!(view.len(), view.iter().count());
    }
}

/// The same for stream nodes.
pub(crate) fn stream_node(base: StreamId, bytes: &[u8]) {
    let Ok(list) = Listpack::new(bytes) else {
        assert_eq!(grammar::stream_node(base, bytes), None);
        return;
    };
    let view = StreamNode::new(base, list);
    let seen = view.map(|view| view.iter_with_deleted().map(|entry| item(&entry)).collect::<Vec<_>>());
    assert_eq!(seen.ok(), grammar::stream_node(base, bytes));
    if let Ok(view) = view {
        let live: Vec<_> = view.iter().map(|entry| item(&entry)).collect();
        let mut back: Vec<_> = view.iter().rev().map(|entry| item(&entry)).collect();
        back.reverse();
        assert_eq!(live, back);
        assert_eq!((live.len() as u64, live.is_empty()), (view.len(), view.is_empty()));
        assert_eq!(view.len() + view.deleted(), view.iter_with_deleted().rev().count() as u64);
    }
    let trusted = StreamNode::trusted(base, list);
    assert!(trusted.iter().count() <= bytes.len());
    assert!(trusted.iter_with_deleted().rev().count() <= bytes.len());
}

fn item(entry: &NodeEntry<'_>) -> grammar::NodeItem {
    grammar::NodeItem {
        id: entry.id(),
        deleted: entry.is_deleted(),
        fields: entry.fields().map(|(field, value)| (field.to_vec(), value.to_vec())).collect(),
    }
}

fn both_ends<'a>(items: impl DoubleEndedIterator<Item = Item<'a>> + Clone) {
    let forward: Vec<_> = items.clone().collect();
    let mut backward: Vec<_> = items.clone().rev().collect();
    backward.reverse();
    assert_eq!(forward, backward);
    // The ends meet without losing or repeating an element.
    let (mut from_ends, mut front, mut back) = (items, Vec::new(), Vec::new());
    while let Some(item) = from_ends.next() {
        front.push(item);
        back.extend(from_ends.next_back());
    }
    front.extend(back.into_iter().rev());
    assert_eq!(forward, front);
}
