//! Any bytes: the three LZF entries agree with a decoder that goes byte by byte; what was compressed comes back.
#![no_main]
#[path = "../../crates/rdb/tests/model/lzf_naive.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|input: (u16, u8, Vec<u8>)| {
    let (len, cut, bytes) = input;
    naive::decodes_alike(&bytes, len.into(), cut.into());
    // With the length that it really has: the claim is a bound for the naive decoder, and 88 for the ratio.
    if let Some(len) = length(&bytes) {
        naive::decodes_alike(&bytes, len, cut.into());
    }
    naive::comes_back(&bytes, cut.into());
    naive::comes_back(&bytes.repeat(usize::from(cut % 5)), cut.into());
});

fn length(mut bytes: &[u8]) -> Option<usize> {
    let mut len = 0;
    while let [control, rest @ ..] = bytes {
        let (items, skip) = match control {
            0..32 => (usize::from(*control) + 1, usize::from(*control) + 1),
            32..224 => (usize::from(control >> 5) + 2, 1),
            224.. => (usize::from(*rest.first()?) + 9, 2),
        };
        len += items;
        bytes = rest.get(skip..)?;
    }
    Some(len)
}
