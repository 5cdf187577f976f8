//! The families, one a file.

use crate::family::Family;

mod strings;

/// All of them.
pub(crate) const ALL: &[&Family] = &[&strings::FAMILY];
