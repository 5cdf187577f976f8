//! LZF a byte at a time. Property tests and fuzzing compare all three entries of `rdb::lzf` with it.

use rdb::lzf::{Compressor, LzfStream, compress, decompress};

/// The format, obviously.
pub(crate) fn naive(mut input: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while let [control, rest @ ..] = input {
        input = rest;
        if *control < 32 {
            let n = usize::from(*control) + 1;
            out.extend_from_slice(input.get(..n)?);
            input = &input[n..];
        } else {
            let mut n = usize::from(control >> 5) + 2;
            if n == 9 {
                n += usize::from(*input.first()?);
                input = &input[1..];
            }
            let distance = usize::from(control & 31) * 256 + usize::from(*input.first()?) + 1;
            input = &input[1..];
            for _ in 0..n {
                out.push(*out.get(out.len().checked_sub(distance)?)?);
            }
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

/// Whatever the bytes: one verdict and one output, in one go or in pieces.
pub(crate) fn decodes_alike(input: &[u8], len: usize, cut: usize) {
    let expected = naive(input, len);
    assert_eq!(decompress(input, len).ok(), expected);
    assert_eq!(in_pieces(input, len, cut), expected);
}

/// Whatever the bytes: what was compressed comes back, and is four bytes smaller.
pub(crate) fn comes_back(plain: &[u8], cut: usize) {
    let packed = compress(plain);
    let mut again = Vec::new();
    let mut compressor = Compressor::new();
    // A used table must not leak places of an earlier input.
    compressor.compress(&plain[plain.len() / 2..], &mut Vec::new());
    if compressor.compress(plain, &mut again) {
        assert_eq!(decompress(&again, plain.len()).as_deref(), Ok(plain));
        assert!(again.len() + 4 <= plain.len());
    }
    if let Some(packed) = packed {
        assert!(packed.len() + 4 <= plain.len());
        assert_eq!(naive(&packed, plain.len()).as_deref(), Some(plain));
        decodes_alike(&packed, plain.len(), cut);
    }
}

fn in_pieces(input: &[u8], len: usize, cut: usize) -> Option<Vec<u8>> {
    let mut stream = LzfStream::new(input.len() as u64, len as u64).ok()?;
    let mut out = Vec::new();
    for mut piece in input.chunks(cut.max(1)) {
        loop {
            let bytes = stream.decode(&mut piece).ok()?;
            if bytes.is_empty() {
                break;
            }
            out.extend_from_slice(bytes);
        }
        assert!(piece.is_empty());
    }
    stream.finish().ok()?;
    Some(out)
}
