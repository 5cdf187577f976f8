//! Any operations: the listpack builder does what a vector of byte strings does.
#![no_main]
#[path = "../../crates/rdb/tests/model/listpack_ops.rs"]
mod ops;

libfuzzer_sys::fuzz_target!(|list: Vec<ops::Op>| {
    ops::run(&list[..list.len().min(64)]);
});
