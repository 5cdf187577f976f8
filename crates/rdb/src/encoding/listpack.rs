//! Listpack.
/// A checked view.
#[derive(Debug, Clone, Copy)]
pub struct Listpack<'a> { bytes: &'a [u8] }
