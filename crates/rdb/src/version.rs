//! Magic and version: who wrote a dump decides what four of its bytes mean.

use std::fmt;

/// Which family of servers wrote a dump (format section 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// `REDIS` + 4 digits; versions 1 to 16. Valkey up to 8 writes this as well.
    Redis,
    /// `VALKEY` + 3 digits; versions 80 and 81.
    Valkey,
}

/// Flavour and number of a dump's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// The magic's family.
    pub flavour: Flavour,
    /// The number behind it.
    pub number: u16,
}

impl Version {
    /// Redis 5.0 to 6.2; loaded by every later server of both families.
    pub const REDIS_9: Self = Self { flavour: Flavour::Redis, number: 9 };
    /// Redis 7.0.
    pub const REDIS_10: Self = Self { flavour: Flavour::Redis, number: 10 };
    /// Redis 7.2, Valkey 7.2 and 8.
    pub const REDIS_11: Self = Self { flavour: Flavour::Redis, number: 11 };
    /// Redis 7.4 to 8.4: hash fields that expire.
    pub const REDIS_12: Self = Self { flavour: Flavour::Redis, number: 12 };
    /// Redis 8.6: idempotent producers of streams.
    pub const REDIS_13: Self = Self { flavour: Flavour::Redis, number: 13 };
    /// Valkey 9.0: hash fields that expire, in another form.
    pub const VALKEY_80: Self = Self { flavour: Flavour::Valkey, number: 80 };

    /// Size of the magic with its digits.
    pub const MAGIC_LEN: usize = 9;

    /// Reads the nine bytes with which a dump begins; `None` if they are not of that form.
    ///
    /// ```
    /// use rdb::Version;
    /// assert_eq!(Version::from_magic(b"VALKEY080"), Some(Version::VALKEY_80));
    /// assert_eq!(Version::from_magic(b"REDIS0011"), Some(Version::REDIS_11));
    /// assert_eq!(Version::from_magic(b"RODIS0011"), None);
    /// ```
    pub fn from_magic(magic: &[u8; Self::MAGIC_LEN]) -> Option<Self> {
        let (flavour, digits) = match magic {
            [b'R', b'E', b'D', b'I', b'S', digits @ ..] => (Flavour::Redis, &digits[..]),
            [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => (Flavour::Valkey, &digits[..]),
            _ => return None,
        };
        let mut number = 0_u16;
        for digit in digits {
            // At most four digits: no overflow.
            number = number * 10 + u16::from(char::from(*digit).is_ascii_digit().then(|| digit - b'0')?);
        }
        Some(Self { flavour, number })
    }

    /// The nine bytes with which a dump of this version begins.
    pub fn magic(self) -> [u8; Self::MAGIC_LEN] {
        let digit = |place: u16| b'0' + u8::try_from(self.number / place % 10).unwrap_or_default();
        match self.flavour {
            Flavour::Redis => [b'R', b'E', b'D', b'I', b'S', digit(1000), digit(100), digit(10), digit(1)],
            Flavour::Valkey => [b'V', b'A', b'L', b'K', b'E', b'Y', digit(100), digit(10), digit(1)],
        }
    }

    /// The version that the footer of a DUMP payload means: it has no magic, but Valkey begins at 80.
    pub fn from_footer(number: u16) -> Self {
        let flavour = if number >= 80 { Flavour::Valkey } else { Flavour::Redis };
        Self { flavour, number }
    }

    /// Whether this crate reads dumps of this version.
    pub fn is_readable(self) -> bool {
        match self.flavour {
            Flavour::Redis => (1..=16).contains(&self.number),
            Flavour::Valkey => (80..=81).contains(&self.number),
        }
    }

    /// Whether a checksum follows the end.
    pub(crate) fn has_checksum(self) -> bool {
        self.number >= 5
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flavour {
            Flavour::Redis => write!(f, "Redis RDB {}", self.number),
            Flavour::Valkey => write!(f, "Valkey RDB {}", self.number),
        }
    }
}
