//! Only the example beside it: `cargo run --example axum_cache`.
