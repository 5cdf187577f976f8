//! Numbers as Redis reads and prints them: the rules of the `resp` crate, which are rules about text, and
//! the arithmetic that commands do on text.

pub use resp::{DoubleFormat, format_f64, format_human_f64, parse_f64, parse_i64};

use crate::error::CommandError;
use crate::extended::Extended;

/// The sum of two decimals, as INCRBYFLOAT prints it.
///
/// # Errors
/// [`CommandError::NotAFloat`], or the sum is not finite.
pub fn add_decimals(a: &[u8], b: &[u8]) -> Result<String, CommandError> {
    let number = |text| Extended::parse(text).ok_or(CommandError::NotAFloat);
    let sum = number(a)?.plus(number(b)?);
    let sum = sum.ok_or(CommandError::err("increment would produce NaN or Infinity"))?;
    Ok(sum.text())
}

/// Whether a text that [`add_decimals`] takes is finite; `None` if it takes it not.
#[must_use]
pub fn is_finite_decimal(text: &[u8]) -> Option<bool> {
    Extended::parse(text).map(Extended::is_finite)
}
