//! Scripts.
use std::time::Duration;
/// Scripts.
#[derive(Debug)]
pub(crate) struct Scripts { limit: Duration }
impl Scripts { pub(crate) fn new(limit: Duration) -> Self { Self { limit } } }
