//! Intsets, ziplists, zipmaps and stream nodes: builders against models, views against grammars.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use rdb::StreamId;
use rdb::encoding::{ListpackBuf, StreamNodeBuf, Ziplist, ZiplistBuf, Zipmap};

#[path = "model/intset_ops.rs"]
mod intset_ops;
#[path = "model/stream_ops.rs"]
mod stream_ops;
#[path = "model/views.rs"]
#[expect(dead_code, reason = "the file is shared; other tests use the rest")]
mod views;

type Flips = Vec<(prop::sample::Index, u8)>;

fn flips() -> impl Strategy<Value = Flips> {
    proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)
}

/// The bytes as they are, after each flip, and cut.
fn mutated(mut bytes: Vec<u8>, flips: Flips, check: impl Fn(&[u8])) {
    check(&bytes);
    for (at, byte) in flips {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check(&bytes);
        check(&bytes[..at]);
    }
}

fn bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..len),
        (any::<i64>(), 0..64_u32).prop_map(|(v, shift)| (v >> shift).to_string().into_bytes()),
        (250..260_usize).prop_map(|len| vec![b'z'; len]),
    ]
}

fn fields() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    proptest::collection::vec((bytes(6), bytes(70)), 0..4)
}

proptest! {
    #[test]
    fn intsets_do_what_ordered_sets_do(ops in proptest::collection::vec(any::<intset_ops::Op>(), 0..60)) {
        intset_ops::run(&ops);
    }

    #[test]
    fn intset_views_accept_what_the_grammar_accepts(
        width in prop_oneof![Just(2_u32), Just(4), Just(8), any::<u32>()],
        integers in proptest::collection::vec(any::<u8>(), 0..40),
        flips in flips(),
    ) {
        let mut blob = width.to_le_bytes().to_vec();
        blob.extend_from_slice(&(integers.len() as u32).checked_div(width).unwrap_or(0).to_le_bytes());
        blob.extend_from_slice(&integers);
        mutated(blob, flips, views::intset);
    }

    #[test]
    fn ziplists_show_what_was_pushed(elements in proptest::collection::vec(bytes(80), 0..12), flips in flips()) {
        let mut list = ZiplistBuf::new();
        for element in &elements {
            list.push(element).unwrap();
        }
        let view = Ziplist::new(list.as_bytes()).unwrap();
        prop_assert!(view.iter().map(|item| item.to_vec()).eq(elements.iter().cloned()));
        mutated(list.as_bytes().to_vec(), flips, views::ziplist);
    }

    #[test]
    fn zipmaps_show_what_was_packed(
        pairs in proptest::collection::vec((bytes(8), bytes(12), 0..5_u8), 0..6),
        many: bool,
        flips in flips(),
    ) {
        let mut blob = vec![if many { 254 } else { pairs.len() as u8 }];
        for (field, value, free) in &pairs {
            for (index, text) in [field, value].into_iter().enumerate() {
                if text.len() < 254 {
                    blob.push(text.len() as u8);
                } else {
                    blob.push(254);
                    blob.extend_from_slice(&(text.len() as u32).to_le_bytes());
                }
                if index == 1 {
                    blob.push(*free);
                }
                blob.extend_from_slice(text);
            }
            blob.extend(std::iter::repeat_n(0xAA, usize::from(*free)));
        }
        blob.push(0xFF);
        let view = Zipmap::new(&blob).unwrap();
        prop_assert!(view.iter().eq(pairs.iter().map(|(field, value, _)| (&field[..], &value[..]))));
        mutated(blob, flips, views::zipmap);
    }

    #[test]
    fn stream_nodes_do_what_vectors_do(
        ms: u64, seq: u64,
        ops in proptest::collection::vec((any::<u8>(), any::<u16>(), fields()), 1..14),
    ) {
        stream_ops::run(StreamId { ms, seq }, &ops);
    }

    #[test]
    fn stream_views_accept_what_the_grammar_accepts(
        entries in proptest::collection::vec(fields(), 1..4),
        swaps in proptest::collection::vec((any::<prop::sample::Index>(), -2..6_i64), 0..3),
        flips in flips(),
    ) {
        let base = StreamId { ms: 5, seq: 1 };
        let pairs = |fields: &[(Vec<u8>, Vec<u8>)]| fields.to_vec();
        let mut node: Option<StreamNodeBuf> = None;
        for fields in &entries {
            let fields = pairs(fields);
            let fields = fields.iter().map(|(field, value)| (&field[..], &value[..]));
            match &mut node {
                None => node = Some(StreamNodeBuf::new(base, fields).unwrap()),
                Some(node) => node.append(base, fields).unwrap(),
            }
        }
        let bytes = node.unwrap().as_bytes().to_vec();
        // Wrong integers where counts and flags stand, in a listpack that is well-formed.
        let mut list = ListpackBuf::from_listpack(rdb::encoding::Listpack::new(&bytes).unwrap());
        for (at, value) in swaps {
            let pos = list.as_listpack().seek(at.index(list.len()) as i64).unwrap();
            list.replace_int(pos, value).unwrap();
            views::stream_node(base, list.as_bytes());
        }
        mutated(bytes, flips, |bytes| views::stream_node(base, bytes));
    }
}

#[test]
fn a_ziplist_may_hold_a_short_previous_length_in_the_long_form() {
    let blob = b"\x13\0\0\0\x0D\0\0\0\x02\0\0\x01a\xFE\x03\0\0\0\xF2\xFF";
    let mut blob = blob.to_vec();
    blob[0] = blob.len() as u8;
    assert_eq!(Ziplist::new(&blob).unwrap().iter().next_back().unwrap().as_int(), Some(1));
    views::ziplist(&blob);
}
