//! Intset.
/// A checked view.
#[derive(Debug, Clone, Copy)]
pub struct Intset<'a> { bytes: &'a [u8] }
