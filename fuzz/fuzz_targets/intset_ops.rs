//! Any operations: the intset builder does what an ordered set does. Any bytes: view and grammar agree.
#![no_main]
#[path = "../../crates/rdb/tests/model/intset_ops.rs"]
mod ops;
#[path = "../../crates/rdb/tests/model/views.rs"]
#[expect(dead_code, reason = "the file is shared; other targets use the rest")]
mod views;

libfuzzer_sys::fuzz_target!(|input: (Vec<ops::Op>, Vec<u8>)| {
    let (list, bytes) = input;
    ops::run(&list[..list.len().min(64)]);
    views::intset(&bytes);
    // A header that fits, so that the integers are reached.
    let width = [2, 4, 8][bytes.len() % 3];
    let mut mended = [width as u8, 0, 0, 0].to_vec();
    mended.extend_from_slice(&((bytes.len() / width) as u32).to_le_bytes());
    mended.extend_from_slice(&bytes[..bytes.len() / width * width]);
    views::intset(&mended);
});
