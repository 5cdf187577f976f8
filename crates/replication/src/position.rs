//! Where a replica stands in a primary's history.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

/// The name of a history: 40 hex digits on the wire, 20 bytes here.
///
/// Servers compare the digits without regard to case, and so does this type: it keeps the value, not
/// the spelling, and prints lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplId([u8; 20]);

impl ReplId {
    /// How many digits an id has on the wire.
    pub const DIGITS: usize = 40;

    /// The id that servers print where there is none (`master_replid2` when unused).
    pub const ZERO: Self = Self([0; 20]);

    /// A new id for a new history. Unpredictable enough to never meet itself; not a secret.
    #[must_use]
    pub fn random() -> Self {
        let mut id = [0; 20];
        for chunk in id.chunks_mut(8) {
            let word = RandomState::new().hash_one(chunk.len()).to_le_bytes();
            chunk.copy_from_slice(word.get(..chunk.len()).unwrap_or_default());
        }
        Self(id)
    }

    /// Reads 40 hex digits, and nothing but them.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.len() != Self::DIGITS {
            return None;
        }
        let mut id = [0; 20];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            *byte = hex(high)? << 4 | hex(low)?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text was not 40 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a replication id is 40 hex digits")]
pub struct InvalidReplId;

impl FromStr for ReplId {
    type Err = InvalidReplId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes()).ok_or(InvalidReplId)
    }
}

/// How many bytes of a history's stream have passed, so that the next byte has number `offset + 1`.
///
/// Everything in the stream counts: framing, SELECT, MULTI and EXEC, PING, REPLCONF GETACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset `bytes` later.
    #[must_use]
    pub fn after(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// The offset `bytes` earlier.
    #[must_use]
    pub fn before(self, bytes: u64) -> Self {
        Self(self.0.saturating_sub(bytes))
    }

    /// Bytes from `earlier` to here; 0 if `earlier` is in fact later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A history, and how much of it has been applied.
///
/// ```
/// use replication::{Offset, Position};
///
/// # fn run() -> Option<()> {
/// let replid = "294ca7ccecb15e09947725733d2696ed86452ca1".parse().ok()?;
/// let position = Position { replid, offset: Offset(42) };
/// assert_eq!(position.to_string(), "294ca7ccecb15e09947725733d2696ed86452ca1:42");
/// # Some(())
/// # }
/// # run().unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The history.
    pub replid: ReplId,
    /// Bytes of it that have been applied.
    pub offset: Offset,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replid, self.offset)
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_it_was_read_but_in_lower_case() {
        let text = "0123456789ABCDEFabcdef012345678900000000";
        let id: ReplId = text.parse().unwrap();
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
        assert_eq!(ReplId::parse(text.to_ascii_lowercase().as_bytes()), Some(id));
    }

    #[test]
    fn only_forty_hex_digits_are_an_id() {
        assert_eq!(ReplId::parse(b"?"), None);
        assert_eq!(ReplId::parse(&[b'a'; 39]), None);
        assert_eq!(ReplId::parse(&[b'a'; 41]), None);
        assert_eq!(ReplId::parse(&[b'g'; 40]), None);
    }

    #[test]
    fn random_ids_differ() {
        assert_ne!(ReplId::random(), ReplId::random());
        assert_ne!(ReplId::random(), ReplId::ZERO);
    }
}
