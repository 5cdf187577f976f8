//! Numbers as text: what servers accept and what they print.
//!
//! `integer` and `float` parse, `format` prints; the three share nothing but their subject.

mod float;
mod format;
mod grisu;
mod integer;

pub use float::parse_f64;
pub use format::{DoubleFormat, format_f64, format_human_f64};
pub use integer::{parse_i64, write_i64};
