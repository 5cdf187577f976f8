//! The `replica` binary.
fn main() {}
