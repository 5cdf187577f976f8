//! Only the example beside it: `cargo run --example resp_only`.
