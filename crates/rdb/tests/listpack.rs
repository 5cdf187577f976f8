//! Listpacks: the builder against a vector, the view against the grammar.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use rdb::encoding::{EncodingError, Listpack, ListpackBuf};

#[path = "model/listpack_ops.rs"]
mod ops;
#[path = "model/views.rs"]
#[expect(dead_code, reason = "the file is shared; other tests use the rest")]
mod views;

fn element() -> impl Strategy<Value = ops::Element> {
    (any::<u8>(), any::<i64>(), proptest::collection::vec(any::<u8>(), 0..80))
}

proptest! {
    #[test]
    fn any_operations_do_what_they_do_to_a_vector(
        list in proptest::collection::vec((any::<u8>(), any::<u16>(), element()), 0..24),
    ) {
        ops::run(&list);
    }

    #[test]
    fn the_view_accepts_what_the_grammar_accepts(
        elements in proptest::collection::vec(element(), 0..8),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut list = ListpackBuf::new();
        for element in &elements {
            list.push(&ops::element(element)).unwrap();
        }
        let mut bytes = list.into_bytes();
        views::listpack(&bytes);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            views::listpack(&bytes);
        }
        views::listpack(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        views::listpack(&bytes);
        let mut framed = (bytes.len() as u32 + 7).to_le_bytes().to_vec();
        framed.extend_from_slice(b"\xFF\xFF");
        framed.extend_from_slice(&bytes);
        framed.push(0xFF);
        views::listpack(&framed);
    }

    #[test]
    fn a_stale_place_never_panics(
        elements in proptest::collection::vec(element(), 1..8),
        kind: u8,
        new in element(),
    ) {
        let mut long = ListpackBuf::new();
        for element in &elements {
            long.push(&ops::element(element)).unwrap();
        }
        let places: Vec<_> = long.as_listpack().iter_with_pos().map(|(pos, _)| pos).chain([long.as_listpack().end()]).collect();
        for place in places {
            let mut short = ListpackBuf::new();
            short.push(b"abc").unwrap();
            match kind % 3 {
                0 => short.insert(place, &ops::element(&new)).unwrap(),
                1 => short.replace(place, &ops::element(&new)).unwrap(),
                _ => short.remove(place),
            }
            let _ = short.iter().rev().count();
        }
    }
}

#[test]
fn the_count_saturates_and_len_stays_exact() {
    let mut list = ListpackBuf::new();
    for value in 0..65_534 {
        list.push_int(value % 100).unwrap();
    }
    assert_eq!(list.as_bytes()[4..6], [0xFE, 0xFF]);
    list.push_int(0).unwrap();
    list.push_int(1).unwrap();
    assert_eq!(list.as_bytes()[4..6], [0xFF, 0xFF]);
    assert_eq!(list.len(), 65_536);
    assert_eq!(Listpack::new(list.as_bytes()).unwrap().get(-1).unwrap().as_int(), Some(1));
    list.remove_range(list.as_listpack().first().unwrap(), 65_530);
    assert_eq!(list.len(), 6);
    assert_eq!(Listpack::new(list.as_bytes()).unwrap().len(), 6);
}

#[test]
fn back_lengths_keep_the_servers_odd_bounds() {
    // Redis 7.0.15 puts three bytes behind an entry of 16383 bytes, four behind one of 2097151.
    for (len, tail) in [
        (16_377, &b"\x7F\xFE\xFF"[..]),
        (16_378, b"\x00\xFF\xFF\xFF"),
        (16_379, b"\x01\x80\x80\xFF"),
        (2_097_145, b"\x7F\xFF\xFE\xFF"),
        (2_097_146, b"\x00\xFF\xFF\xFF\xFF"),
        (2_097_147, b"\x01\x80\x80\x80\xFF"),
    ] {
        let mut list = ListpackBuf::new();
        list.push(&vec![b'x'; len]).unwrap();
        assert!(list.as_bytes().ends_with(tail), "{len}");
        views::listpack(list.as_bytes());
    }
}

#[test]
fn errors_say_what_and_where() {
    let new = |bytes| Listpack::new(bytes).unwrap_err();
    assert_eq!(new(b"\x07\0\0"), EncodingError::Truncated { offset: 0 });
    assert_eq!(new(b"\x08\0\0\0\0\0\xFF"), EncodingError::Size { claimed: 8, actual: 7 });
    assert_eq!(new(b"\x07\0\0\0\0\0\x00"), EncodingError::Terminator { offset: 6 });
    assert_eq!(new(b"\x09\0\0\0\x02\0\x01\x01\xFF"), EncodingError::Count { claimed: 2, actual: 1 });
    assert_eq!(new(b"\x09\0\0\0\x01\0\x01\x02\xFF"), EncodingError::BackLength { offset: 6 });
    assert_eq!(new(b"\x09\0\0\0\x01\0\xF5\x01\xFF"), EncodingError::Entry { offset: 6 });
    assert_eq!(new(b"\x09\0\0\0\x01\0\x85a\xFF"), EncodingError::Truncated { offset: 6 });
    assert_eq!(new(b"\x0D\0\0\0\x01\0\xF0\xFF\xFF\xFF\xFF\x05\xFF"), EncodingError::Truncated { offset: 6 });
}

#[test]
fn a_builder_is_three_words_and_empty_ones_allocate_nothing() {
    assert!(size_of::<ListpackBuf>() <= 24);
    assert!(size_of::<rdb::encoding::IntsetBuf>() <= 24);
    assert_eq!(ListpackBuf::new().heap_bytes(), 0);
    let mut list = ListpackBuf::new();
    list.push(b"abc").unwrap();
    assert_eq!(list.heap_bytes(), list.bytes_len());
}

#[test]
fn growth_wastes_an_eighth_at_most() {
    let mut list = ListpackBuf::new();
    for _ in 0..1000 {
        list.push(b"abcdefgh").unwrap();
        assert!(list.heap_bytes() <= list.bytes_len() + list.bytes_len() / 8 + 16);
    }
    list.shrink();
    assert_eq!(list.heap_bytes(), list.bytes_len());
}
