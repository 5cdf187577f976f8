//! Ziplist.
/// A checked view.
#[derive(Debug, Clone, Copy)]
pub struct Ziplist<'a> { bytes: &'a [u8] }
