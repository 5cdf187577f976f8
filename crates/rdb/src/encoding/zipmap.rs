//! Zipmap.
/// A checked view.
#[derive(Debug, Clone, Copy)]
pub struct Zipmap<'a> { bytes: &'a [u8] }
