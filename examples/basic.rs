//! First program.
fn main() {}
