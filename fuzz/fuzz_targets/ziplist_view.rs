//! Any bytes: the ziplist view and the nom grammar give one verdict and show the same elements.
#![no_main]
#[path = "../../crates/rdb/tests/model/views.rs"]
#[expect(dead_code, reason = "the file is shared; other targets use the rest")]
mod views;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    views::ziplist(data);
    // Most mutations break the size: mend it, so that the entries are reached.
    if data.len() >= 11 {
        let mut mended = data.to_vec();
        mended[..4].copy_from_slice(&(data.len() as u32).to_le_bytes());
        mended[8..10].copy_from_slice(&[0xFF, 0xFF]);
        *mended.last_mut().unwrap() = 0xFF;
        views::ziplist(&mended);
    }
});
