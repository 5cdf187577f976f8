//! The writer: whole dumps, value by value, into a growing buffer that can be taken away in pieces.
mod bytes;
mod stream;
mod value;

use std::fmt;

use crate::crc64::Crc64;
use crate::version::{Flavour, Version};
use crate::visitor::EntryMeta;
pub(crate) use bytes::Bytes;
pub use stream::StreamEncoder;
pub use value::{ListNode, ValueEncoder};

/// Choices of an [`Encoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodeOptions {
    /// Whether strings longer than 20 bytes are compressed if that makes them shorter. Default: yes.
    pub compress: bool,
    /// Whether the checksum is computed; otherwise 0 is written, which readers do not check. Default: yes.
    pub checksum: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { compress: true, checksum: true }
    }
}

impl EncodeOptions {
    /// Leaves strings as they are.
    pub fn without_compression(mut self) -> Self {
        self.compress = false;
        self
    }

    /// Writes 0 for the checksum.
    pub fn without_checksum(mut self) -> Self {
        self.checksum = false;
        self
    }
}

/// What the version of a dump cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Not one of the versions that this crate writes: Redis 9 to 12, Valkey 80.
    Version(Version),
    /// Hash fields that expire need Redis 12 or Valkey 80.
    FieldExpiry(Version),
    /// The version has no idempotent producers of streams.
    Producers,
    /// Functions need Redis 10 or later.
    Functions(Version),
    /// The value is of a kind of which the layout is known only for reading.
    Kind,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "{version} cannot be written"),
            Self::Producers => f.write_str("no version before Redis RDB 13 has producers of streams"),
            Self::FieldExpiry(version) => write!(f, "{version} has no hash fields that expire"),
            Self::Functions(version) => write!(f, "{version} has no functions"),
            Self::Kind => f.write_str("values of this kind cannot be written"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// What stands before a key: when it expires, and how it was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyMeta {
    /// Unix milliseconds at which the key expires.
    pub expire_ms: Option<i64>,
    /// Seconds since the last access.
    pub idle_seconds: Option<u64>,
    /// LFU counter.
    pub freq: Option<u8>,
}

impl KeyMeta {
    /// Nothing but an expiry.
    pub fn expiring(expire_ms: Option<i64>) -> Self {
        Self { expire_ms, ..Self::default() }
    }
}

impl From<&EntryMeta> for KeyMeta {
    fn from(meta: &EntryMeta) -> Self {
        Self { expire_ms: meta.expire_ms, idle_seconds: meta.idle_seconds, freq: meta.freq }
    }
}

/// Writes a dump.
///
/// The caller takes the bytes away whenever enough have gathered; the checksum goes on. Values are written in the most
/// compact form that the version's readers know: a packed blob as it is where they do, element by element otherwise.
///
/// ```
/// use rdb::{EncodeOptions, Encoder, KeyMeta, Version};
///
/// let mut dump = Encoder::new(Version::REDIS_11, EncodeOptions::default())?;
/// dump.aux(b"redis-ver", b"7.2.6");
/// dump.select_db(0);
/// dump.resize_db(2, 1);
/// dump.entry(b"greeting", KeyMeta::expiring(Some(4_102_444_800_000))).string(b"hello");
/// dump.entry(b"colours", KeyMeta::default()).set(2, [&b"red"[..], b"blue"]);
/// let mut file = dump.take();
/// file.extend(dump.finish());
/// assert!(file.starts_with(b"REDIS0011\xFA\x09redis-ver"));
/// # Ok::<_, rdb::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct Encoder {
    version: Version,
    options: EncodeOptions,
    out: Bytes,
    crc: Crc64,
}

impl Encoder {
    /// Begins a dump with its magic.
    ///
    /// # Errors
    /// [`EncodeError::Version`].
    pub fn new(version: Version, options: EncodeOptions) -> Result<Self, EncodeError> {
        check_version(version)?;
        let mut out = Bytes::new(options.compress);
        out.raw(&version.magic());
        Ok(Self { version, options, out, crc: Crc64::new() })
    }

    /// Begins records without a dump around them, to be put into one by [`append`](Self::append).
    ///
    /// # Errors
    /// [`EncodeError::Version`].
    pub fn records(version: Version, options: EncodeOptions) -> Result<Self, EncodeError> {
        check_version(version)?;
        Ok(Self { version, options, out: Bytes::new(options.compress), crc: Crc64::new() })
    }

    /// Records that another encoder has written. Their version need not be this dump's, but its readers must
    /// know their types.
    pub fn append(&mut self, records: &[u8]) {
        self.out.raw(records);
    }

    /// The version being written.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How many bytes wait to be taken.
    pub fn buffered(&self) -> usize {
        self.out.buf.len()
    }

    /// Takes the bytes written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        self.fold();
        std::mem::take(&mut self.out.buf)
    }

    /// Appends the bytes written since the last time to `to`, and keeps the buffer.
    pub fn drain_into(&mut self, to: &mut Vec<u8>) {
        self.fold();
        to.append(&mut self.out.buf);
    }

    fn fold(&mut self) {
        if self.options.checksum {
            self.crc.update(&self.out.buf);
        }
    }

    /// Ends the dump and gives the bytes written since the last [`take`](Self::take), the checksum included.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.u8(0xFF);
        let mut last = self.take();
        let crc = if self.options.checksum { self.crc.value() } else { 0 };
        last.extend_from_slice(&crc.to_le_bytes());
        last
    }

    /// An AUX field. The names of section 7 come first, before any key.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.out.u8(0xFA);
        self.out.string(name);
        self.out.string(value);
    }

    /// A function library's source; libraries come before the first database.
    ///
    /// # Errors
    /// [`EncodeError::Functions`] for version 9.
    pub fn function(&mut self, code: &[u8]) -> Result<(), EncodeError> {
        if self.version.number < 10 {
            return Err(EncodeError::Functions(self.version));
        }
        self.out.u8(0xF5);
        self.out.string(code);
        Ok(())
    }

    /// A module's auxiliary record as [`Visitor::module_aux`](crate::Visitor::module_aux) got it.
    pub fn module_aux(&mut self, bytes: &[u8]) {
        self.out.u8(0xF7);
        self.out.raw(bytes);
    }

    /// The keys that follow belong to this database.
    pub fn select_db(&mut self, db: u64) {
        self.out.u8(0xFE);
        self.out.len(db);
    }

    /// How many keys the database has, and how many of them expire: a hint to the reader.
    pub fn resize_db(&mut self, keys: u64, expires: u64) {
        self.out.u8(0xFB);
        self.out.len(keys);
        self.out.len(expires);
    }

    /// A key; its value must follow, by one call on what this returns. Databases do not hold empty collections.
    pub fn entry<'e>(&'e mut self, key: &'e [u8], meta: KeyMeta) -> ValueEncoder<'e> {
        if let Some(ms) = meta.expire_ms {
            self.out.u8(0xFC);
            self.out.raw(&ms.to_le_bytes());
        }
        if let Some(seconds) = meta.idle_seconds {
            self.out.u8(0xF8);
            self.out.len(seconds);
        }
        if let Some(freq) = meta.freq {
            self.out.raw(&[0xF9, freq]);
        }
        ValueEncoder::new(self.version, &mut self.out, Some(key))
    }
}

pub(crate) fn check_version(version: Version) -> Result<(), EncodeError> {
    match (version.flavour, version.number) {
        (Flavour::Redis, 9..=13) | (Flavour::Valkey, 80) => Ok(()),
        _ => Err(EncodeError::Version(version)),
    }
}
