//! Operations on a value of each type, any: the store answers and holds what a naive model does.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the tests of the models are not built here")]

#[path = "../../crates/store/tests/models/main.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| models::run_bytes(bytes));
