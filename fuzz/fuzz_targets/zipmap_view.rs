//! Any bytes: the zipmap view and the nom grammar give one verdict and show the same pairs.
#![no_main]
#[path = "../../crates/rdb/tests/model/views.rs"]
#[expect(dead_code, reason = "the file is shared; other targets use the rest")]
mod views;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    views::zipmap(data);
});
