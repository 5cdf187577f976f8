//! LZF: all entries against a decoder that goes byte by byte, and against the crate of the same name.

use proptest::prelude::*;
use rdb::lzf::{LzfError, check_ratio, compress, decompress};

#[path = "model/lzf_naive.rs"]
mod naive;

/// Text with repetitions near and far, and runs.
fn compressible() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..40),
        (any::<u8>(), 1..600_usize).prop_map(|(byte, len)| vec![byte; len]),
        Just(b"the quick brown fox ".to_vec()),
        (2..40_usize).prop_map(|period| (0..300).map(|i| (i % period) as u8).collect()),
    ];
    proptest::collection::vec((piece, 1..4_usize), 0..40)
        .prop_map(|pieces| pieces.into_iter().flat_map(|(piece, times)| piece.repeat(times)).collect())
}

proptest! {
    #[test]
    fn what_was_compressed_comes_back(plain in compressible(), cut in 1..50_usize) {
        naive::comes_back(&plain, cut);
    }

    #[test]
    fn the_lzf_crate_reads_what_we_write_and_the_reverse(plain in compressible()) {
        if let Some(packed) = compress(&plain) {
            prop_assert_eq!(lzf::decompress(&packed, plain.len()).unwrap(), plain.clone());
        }
        if let Ok(packed) = lzf::compress(&plain) {
            prop_assert_eq!(decompress(&packed, plain.len()).unwrap(), plain);
        }
    }

    #[test]
    fn any_bytes_get_one_verdict(
        input in proptest::collection::vec(prop_oneof![any::<u8>(), 0..4_u8, 0x20..0x60_u8, Just(0xE0)], 0..60),
        len in 0..900_usize,
        cut in 1..10_usize,
    ) {
        naive::decodes_alike(&input, len, cut);
        // With the length that it really has, if it has any.
        if let Some(len) = (0..6000).find(|len| naive::naive(&input, *len).is_some()) {
            naive::decodes_alike(&input, len, cut);
        }
    }

    #[test]
    fn a_flipped_byte_gets_one_verdict(plain in compressible(), at: prop::sample::Index, byte: u8, cut in 1..50_usize) {
        if let Some(mut packed) = compress(&plain) {
            let at = at.index(packed.len());
            packed[at] = byte;
            naive::decodes_alike(&packed, plain.len(), cut);
        }
    }
}

#[test]
fn real_strings_decode() {
    // Redis 6.2.14, DUMP of 40 times a and 4 times abcdefghij.
    assert_eq!(decompress(b"\x01aa\xE0\x1B\x00\x01aa", 40).unwrap(), [b'a'; 40]);
    let packed = b"\x0aabcdefghija\xE0\x12\x09\x01ij";
    assert_eq!(decompress(packed, 40).unwrap(), b"abcdefghij".repeat(4));
}

#[test]
fn each_wrong_input_has_its_error() {
    assert_eq!(decompress(b"\x00a", 177), Err(LzfError::Bomb { input: 2, output: 177 }));
    assert_eq!(check_ratio(3, 264), Ok(()));
    assert_eq!(decompress(b"\x02ab", 3), Err(LzfError::Truncated { output: 0 }));
    assert_eq!(decompress(b"\x00a\xE0", 10), Err(LzfError::Truncated { output: 1 }));
    assert_eq!(decompress(b"\x00a\x20\x01", 4), Err(LzfError::Distance { output: 1 }));
    assert_eq!(decompress(b"\x00a\x20\x00", 3), Err(LzfError::Overlong { claimed: 3 }));
    assert_eq!(decompress(b"\x00a\x20\x00", 5), Err(LzfError::Short { claimed: 5, actual: 4 }));
    assert_eq!(decompress(b"", 0), Ok(vec![]));
}

#[test]
fn the_stream_keeps_the_window_over_many_pieces() {
    // Longer than its buffer several times over, with references of the farthest kind.
    let page: Vec<u8> = (0..8192_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let plain = page.repeat(20);
    for cut in [1, 7, 4096, usize::MAX] {
        naive::comes_back(&plain, cut);
    }
}
