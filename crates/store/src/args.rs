//! The arguments of a command.

use crate::error::CommandError;
use crate::number;

/// A command as it came: its name first, then its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a>(&'a [&'a [u8]]);

impl<'a> Args<'a> {
    /// Wraps a command; never empty.
    #[must_use]
    pub fn new(parts: &'a [&'a [u8]]) -> Self {
        debug_assert!(!parts.is_empty(), "a command has a name");
        Self(parts)
    }

    /// How many parts, the name included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the name is always there")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Everything, the name included.
    #[must_use]
    pub fn all(&self) -> &'a [&'a [u8]] {
        self.0
    }

    /// The parts from `index` on; none beyond the end.
    #[must_use]
    pub fn from(&self, index: usize) -> &'a [&'a [u8]] {
        self.0.get(index..).unwrap_or_default()
    }

    /// The part at `index`; empty beyond the end (arity has been checked before a handler runs).
    #[inline]
    #[must_use]
    pub fn at(&self, index: usize) -> &'a [u8] {
        self.0.get(index).copied().unwrap_or_default()
    }

    /// The part at `index`, if there is one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.0.get(index).copied()
    }

    /// Whether the part at `index` is this word, whatever its case.
    #[must_use]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).is_some_and(|a| is_word(a, word))
    }

    /// The part at `index` as a 64-bit integer.
    ///
    /// # Errors
    /// [`CommandError::NotAnInteger`]
    pub fn int(&self, index: usize) -> Result<i64, CommandError> {
        number::parse_i64(self.at(index)).ok_or(CommandError::NotAnInteger)
    }

    /// Argument `i` as an integer of 32 bits.
    ///
    /// # Errors
    /// It is none, or out of the range.
    pub fn int_of_32_bits(self, i: usize) -> Result<i32, CommandError> {
        i32::try_from(self.int(i)?).map_err(|_| {
            CommandError::err("value is out of range, value must between -2147483648 and 2147483647")
        })
    }

    /// The part at `index` as a double (infinities allowed, NaN not).
    ///
    /// # Errors
    /// [`CommandError::NotAFloat`]
    pub fn float(&self, index: usize) -> Result<f64, CommandError> {
        number::parse_f64(self.at(index)).ok_or(CommandError::NotAFloat)
    }
}

/// Whether an argument is this word, whatever its case.
#[must_use]
pub fn is_word(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// An argument in the text of an error: up to its first zero byte, since the real servers print C strings.
pub(crate) fn in_text(arg: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(arg.split(|byte| *byte == 0).next().unwrap_or_default())
}
