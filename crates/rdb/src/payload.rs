//! DUMP payloads: one value, or the functions, with a footer (format section 16).
//!
//! ```text
//! | type | value ... | version, u16 LE | CRC-64 of everything before, u64 LE |
//! ```

use std::fmt;

use crate::crc64;
use crate::decode::Decoder;
use crate::encode::{Bytes, EncodeError, ValueEncoder, check_version};
use crate::error::{Error, ErrorKind};
use crate::version::Version;
use crate::visitor::Visitor;

/// Which payloads are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The highest Redis version. Default: the highest that is known, 16.
    pub redis_max: u16,
    /// The highest Valkey version; 0 refuses them all. Default: the highest that is known, 81.
    pub valkey_max: u16,
    /// Whether a checksum of 0 means "none", as for Redis 8.6 alone. Default: no.
    pub zero_checksum: bool,
    /// Whether any checksum will do, for those who test what corrupt values do. Default: no.
    pub any_checksum: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { redis_max: 16, valkey_max: 81, zero_checksum: false, any_checksum: false }
    }
}

impl Policy {
    /// Takes a checksum of 0 for "none".
    pub fn with_zero_checksum(mut self) -> Self {
        self.zero_checksum = true;
        self
    }

    /// Takes any checksum, if `any`.
    pub fn with_any_checksum(mut self, any: bool) -> Self {
        self.any_checksum = any;
        self
    }

    fn accepts(self, version: Version) -> bool {
        let max = match version.flavour {
            crate::Flavour::Redis => self.redis_max,
            crate::Flavour::Valkey => self.valkey_max,
        };
        version.is_readable() && version.number <= max
    }
}

/// Why a payload was refused. Displays as RESTORE answers, without the leading `ERR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadError {
    /// The footer is absent, of a version that is not taken, or the checksum is wrong.
    Footer,
    /// The value is malformed, or the visitor refused it.
    Value(Error),
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Footer => "DUMP payload version or checksum are wrong",
            Self::Value(_) => "Bad data format",
        })
    }
}

impl std::error::Error for PayloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Footer => None,
            Self::Value(error) => Some(error),
        }
    }
}

/// Writes one value as DUMP does.
///
/// ```
/// use rdb::{Version, payload};
/// let bytes = payload::encode(Version::REDIS_9, |value| Ok(value.string(b"abc")))?;
/// assert_eq!(bytes, b"\x00\x03abc\x09\x00\x09\x5E\x61\xF1\x15\xF4\xC1\x53");
/// # Ok::<_, rdb::EncodeError>(())
/// ```
///
/// # Errors
/// [`EncodeError`]: the version cannot be written, or cannot say what the value is.
pub fn encode(
    version: Version,
    value: impl FnOnce(ValueEncoder<'_>) -> Result<(), EncodeError>,
) -> Result<Vec<u8>, EncodeError> {
    check_version(version)?;
    let mut out = Bytes::new(true);
    value(ValueEncoder::new(version, &mut out, None))?;
    Ok(sealed(version, out.buf))
}

/// Writes function libraries as FUNCTION DUMP does.
///
/// # Errors
/// [`EncodeError`]: the version cannot be written, or has no functions.
pub fn encode_functions<'a>(
    version: Version,
    libraries: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, EncodeError> {
    check_version(version)?;
    if version.number < 10 {
        return Err(EncodeError::Functions(version));
    }
    let mut out = Bytes::new(true);
    for code in libraries {
        out.u8(0xF5);
        out.string(code);
    }
    Ok(sealed(version, out.buf))
}

/// Reads a payload of DUMP. The visitor gets `entry` with an empty key, the parts, and `entry_end`.
///
/// # Errors
/// [`PayloadError`]; what the visitor has received is then to be dropped.
pub fn decode<V: Visitor + ?Sized>(
    payload: &[u8],
    policy: Policy,
    visitor: &mut V,
) -> Result<(), PayloadError> {
    let (version, value) = open(payload, policy)?;
    let mut decoder = Decoder::payload(version);
    decoder.feed(value, visitor).map_err(PayloadError::Value)?;
    if decoder.payload_complete() { Ok(()) } else { Err(truncated(value)) }
}

/// Reads a payload of FUNCTION DUMP: `function` is called for each library's source.
///
/// # Errors
/// [`PayloadError`].
pub fn decode_functions<V: Visitor + ?Sized>(
    payload: &[u8],
    policy: Policy,
    visitor: &mut V,
) -> Result<(), PayloadError> {
    let (version, libraries) = open(payload, policy)?;
    let mut decoder = Decoder::functions(version);
    decoder.feed(libraries, visitor).map_err(PayloadError::Value)?;
    if decoder.functions_complete() { Ok(()) } else { Err(truncated(libraries)) }
}

/// A module's value in the version that it came in.
pub(crate) fn encode_module(version: Version, value: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(value.len().saturating_add(11));
    payload.push(7);
    payload.extend_from_slice(value);
    sealed(version, payload)
}

fn truncated(value: &[u8]) -> PayloadError {
    let kind = ErrorKind::Corrupt("the value is cut off");
    PayloadError::Value(Error { offset: value.len() as u64, key: None, kind })
}

fn sealed(version: Version, mut payload: Vec<u8>) -> Vec<u8> {
    payload.extend_from_slice(&version.number.to_le_bytes());
    payload.extend_from_slice(&crc64::checksum(&payload).to_le_bytes());
    payload
}

/// Checks the footer and takes it off.
fn open(payload: &[u8], policy: Policy) -> Result<(Version, &[u8]), PayloadError> {
    let (covered, stored) = payload.split_last_chunk::<8>().ok_or(PayloadError::Footer)?;
    let (value, number) = covered.split_last_chunk::<2>().ok_or(PayloadError::Footer)?;
    let version = Version::from_footer(u16::from_le_bytes(*number));
    let stored = u64::from_le_bytes(*stored);
    let unchecked = policy.any_checksum || policy.zero_checksum && stored == 0;
    if !policy.accepts(version) || !unchecked && crc64::checksum(covered) != stored {
        return Err(PayloadError::Footer);
    }
    Ok((version, value))
}
