//! What a server answers, in either protocol.

use std::fmt;

/// One reply. The null forms of RESP2 and RESP3 are one variant; who must tell them apart reads the bytes
/// ([`crate::Client::call_for_bytes`]).
#[derive(Clone, PartialEq)]
pub enum Reply {
    /// `$-1`, `*-1` or `_`.
    Null,
    /// `:`
    Int(i64),
    /// `,`
    Double(f64),
    /// `#`
    Bool(bool),
    /// `(`, the digits.
    BigNumber(Vec<u8>),
    /// `+`
    Simple(Vec<u8>),
    /// `$`
    Bulk(Vec<u8>),
    /// `=`, the three letters of the format and the text.
    Verbatim([u8; 3], Vec<u8>),
    /// `-` or `!`
    Error(String),
    /// `*`
    Array(Vec<Self>),
    /// `~`
    Set(Vec<Self>),
    /// `>`
    Push(Vec<Self>),
    /// `%`
    Map(Vec<(Self, Self)>),
    /// `|` and the reply that follows it.
    Attributed(Vec<(Self, Self)>, Box<Self>),
}

impl Reply {
    /// Asserts that this is not an error, and hands it on.
    ///
    /// # Panics
    /// On an error reply.
    #[track_caller]
    pub fn ok(self) -> Self {
        if let Self::Error(text) = &self {
            panic!("the server answered: {text}");
        }
        self
    }

    /// The text of an error reply.
    ///
    /// # Panics
    /// On any other reply.
    #[must_use]
    #[track_caller]
    pub fn error(&self) -> &str {
        match self {
            Self::Error(text) => text,
            other => panic!("expected an error, got {other:?}"),
        }
    }

    /// True for an error reply.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// True for any of the null forms.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The bytes of a string of any kind, or `None`.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(bytes) | Self::Bulk(bytes) | Self::BigNumber(bytes) | Self::Verbatim(_, bytes) => {
                Some(bytes)
            }
            _ => None,
        }
    }

    /// The bytes of a string of any kind.
    ///
    /// # Panics
    /// On any other reply.
    #[must_use]
    #[track_caller]
    pub fn bytes(&self) -> &[u8] {
        self.as_bytes().unwrap_or_else(|| panic!("expected a string, got {self:?}"))
    }

    /// The text of a string of any kind; what is not UTF-8 is replaced.
    ///
    /// # Panics
    /// On any other reply.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// An integer, also one written as a string, or `None`.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            other => std::str::from_utf8(other.as_bytes()?).ok()?.parse().ok(),
        }
    }

    /// An integer, also one written as a string.
    ///
    /// # Panics
    /// On any other reply.
    #[must_use]
    #[track_caller]
    pub fn int(&self) -> i64 {
        self.as_int().unwrap_or_else(|| panic!("expected an integer, got {self:?}"))
    }

    /// The elements of an array, a set or a push, or `None`.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Push(items) => Some(items),
            _ => None,
        }
    }

    /// The elements of an array, a set or a push.
    ///
    /// # Panics
    /// On any other reply.
    #[must_use]
    #[track_caller]
    pub fn array(&self) -> &[Self] {
        self.as_array().unwrap_or_else(|| panic!("expected an array, got {self:?}"))
    }

    /// The pairs of a map, or of an array that stands for one in RESP2, or `None`.
    #[must_use]
    pub fn as_pairs(&self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::Map(pairs) => Some(pairs.clone()),
            other => {
                Some(other.as_array()?.as_chunks::<2>().0.iter().cloned().map(|[k, v]| (k, v)).collect())
            }
        }
    }

    /// The value under a name in a map, or in an array that stands for one.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Self> {
        let pairs = self.as_pairs()?;
        pairs.into_iter().find(|(key, _)| key.as_bytes() == Some(name.as_bytes())).map(|(_, value)| value)
    }

    /// Owned byte strings of an array of strings.
    ///
    /// # Panics
    /// On any other reply.
    #[must_use]
    #[track_caller]
    pub fn strings(&self) -> Vec<Vec<u8>> {
        self.array().iter().map(|item| item.bytes().to_vec()).collect()
    }
}

/// Text as text, so that failed assertions can be read.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::BigNumber(digits) => write!(f, "({}", digits.escape_ascii()),
            Self::Simple(text) => write!(f, "+{}", text.escape_ascii()),
            Self::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Verbatim(format, bytes) => {
                write!(f, "{}:\"{}\"", format.escape_ascii(), bytes.escape_ascii())
            }
            Self::Error(text) => write!(f, "-{text}"),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Set(items) => f.debug_set().entries(items).finish(),
            Self::Push(items) => f.write_str(">").and_then(|()| f.debug_list().entries(items).finish()),
            Self::Map(pairs) => f.debug_map().entries(pairs.iter().map(|(k, v)| (k, v))).finish(),
            Self::Attributed(pairs, reply) => {
                f.write_str("|")?;
                f.debug_map().entries(pairs.iter().map(|(k, v)| (k, v))).finish()?;
                write!(f, " {reply:?}")
            }
        }
    }
}
