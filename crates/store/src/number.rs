//! Numbers as Redis reads and prints them: the rules of the `resp` crate, which are rules about text, and
//! the arithmetic that commands do on text.

pub use resp::{DoubleFormat, format_f64, format_human_f64, parse_f64, parse_i64};

use crate::error::CommandError;

/// The sum of two decimals, as INCRBYFLOAT prints it.
///
/// # Errors
/// [`CommandError::NotAFloat`], or the sum is not finite.
pub fn add_decimals(a: &[u8], b: &[u8]) -> Result<String, CommandError> {
    let (a, b) = (parse_f64(a).ok_or(CommandError::NotAFloat)?, parse_f64(b).ok_or(CommandError::NotAFloat)?);
    if !(a + b).is_finite() {
        return Err(CommandError::err("increment would produce NaN or Infinity"));
    }
    let mut text = Vec::new();
    format_human_f64(&mut text, a + b);
    Ok(String::from_utf8_lossy(&text).into_owned())
}
