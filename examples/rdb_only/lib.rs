//! Only the example beside it: `cargo run --example rdb_only`.
