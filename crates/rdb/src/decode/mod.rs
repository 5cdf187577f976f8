//! The push parser.
//!
//! ```text
//! feed(input) --> is the head of a unit carried over?  -- yes --> take exactly what the unit lacks from the input,
//!                       |                                         run on the carried bytes
//!                       no
//!                       v
//!                 run on the input itself: unit after unit, no copies
//!                       |
//!                       v
//!                 carry the incomplete unit at the end over
//! ```
//!
//! A unit is an element, a pair, a blob, or an opcode with its arguments; strings longer than [`WHOLE`] are no unit but
//! are handed on in pieces, and what is skipped is not even looked at. So what is kept between two feeds is one unit
//! at most, and only as far as it has arrived.
mod collection;
mod cursor;
mod module;
mod packed;
mod record;
mod stream;
mod string;
mod template;

use crate::crc64::Crc64;
use crate::error::{Error, ErrorKind};
use crate::version::Version;
use crate::visitor::{EntryMeta, Kind, Visitor, Want};
pub(crate) use collection::FIELD_EXPIRY_MAX;
use cursor::{Cursor, Read, Stop, Text, trim};
pub(crate) use packed::parse_score;

/// Choices of a [`Decoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whether the checksum is computed and compared. Default: yes.
    pub verify_checksum: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { verify_checksum: true }
    }
}

impl Options {
    /// Does not compute the checksum: for a transport that protects the bytes itself.
    pub fn without_checksum(mut self) -> Self {
        self.verify_checksum = false;
        self
    }
}

/// How far [`Decoder::feed`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All of the input belonged to the dump, and more of it is to come.
    NeedMore,
    /// The dump is complete.
    Done {
        /// How many bytes of this input belonged to it, the checksum included. What follows is somebody else's.
        consumed: usize,
    },
}

/// Reads a dump from bytes in pieces of any size and tells a [`Visitor`] what it says.
///
/// ```
/// use rdb::{Decoder, EntryMeta, Part, Progress, Reject, Visitor, Want};
///
/// #[derive(Default)]
/// struct Keys(Vec<Vec<u8>>);
///
/// impl Visitor for Keys {
///     fn entry(&mut self, key: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
///         self.0.push(key.to_vec());
///         Ok(Want::Skip)
///     }
/// }
///
/// let mut keys = Keys::default();
/// let mut decoder = Decoder::default();
/// assert_eq!(decoder.feed(b"REDIS0003\xFE\0\0\x01k", &mut keys)?, Progress::NeedMore);
/// assert_eq!(decoder.feed(b"\x02hi\xFF+OK", &mut keys)?, Progress::Done { consumed: 4 });
/// assert_eq!(keys.0, [b"k"]);
/// # Ok::<_, rdb::Error>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    options: Options,
    /// One value without a key: a DUMP payload.
    single: bool,
    version: Option<Version>,
    state: State,
    /// The head of an incomplete unit, from earlier inputs.
    carry: Vec<u8>,
    /// How many bytes the carried unit needs before it is worth running again.
    need: usize,
    /// Bytes that are to pass unseen.
    skip: u64,
    /// Bytes done with; a carried unit's are not.
    offset: u64,
    crc: Crc64,
    entry: Entry,
    first: Text,
    second: Text,
    templates: template::Templates,
}

/// What is known about the key at hand.
#[derive(Debug, Default)]
struct Entry {
    db: u64,
    expire_ms: Option<i64>,
    idle_seconds: Option<u64>,
    freq: Option<u8>,
    /// Where its first byte was.
    began: Option<u64>,
    /// A copy of the key, made where its value is not handled together with it.
    key: Vec<u8>,
    has_key: bool,
}

/// What the next bytes are.
#[derive(Debug)]
enum State {
    Header,
    Record,
    /// The type byte of a DUMP payload.
    Payload,
    /// Behind the value of a DUMP payload.
    PayloadEnd,
    /// Function libraries and nothing else.
    Libraries,
    /// Slot ranges of a SLOT_IMPORT.
    Ranges(u64),
    String(string::Pieces),
    /// A value to be skipped, as atoms repeated so many times.
    Skim(collection::Skim),
    Plain(collection::Plain),
    /// A value that is one blob.
    Blob(packed::Shape, Want),
    Nodes(collection::Nodes),
    Stream(Box<stream::Stream>),
    Module(module::Module),
    Template(template::Values),
    Checksum,
    Done,
    Failed,
}

/// Why a run ended.
enum Pause {
    Need(usize),
    Skip,
    /// The EOF opcode has passed: the checksum covers everything before.
    Eof,
    Done,
    Fail(usize, Box<ErrorKind>),
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Decoder {
    /// A decoder before the first byte of a dump.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            single: false,
            version: None,
            state: State::Header,
            carry: Vec::new(),
            need: 0,
            skip: 0,
            offset: 0,
            crc: Crc64::new(),
            entry: Entry::default(),
            first: Text::default(),
            second: Text::default(),
            templates: template::Templates::default(),
        }
    }

    /// A decoder of a single value without key, as DUMP makes it.
    pub(crate) fn payload(version: Version) -> Self {
        let mut decoder = Self::new(Options::default().without_checksum());
        decoder.version = Some(version);
        decoder.single = true;
        decoder.state = State::Payload;
        decoder
    }

    /// Whether a single value has been read to its end.
    pub(crate) fn payload_complete(&self) -> bool {
        matches!(self.state, State::PayloadEnd) && self.carry.is_empty() && self.skip == 0
    }

    /// A decoder of function libraries, as FUNCTION DUMP makes them.
    pub(crate) fn functions(version: Version) -> Self {
        let mut decoder = Self::new(Options::default().without_checksum());
        decoder.version = Some(version);
        decoder.state = State::Libraries;
        decoder
    }

    /// Whether the last library has been read to its end.
    pub(crate) fn functions_complete(&self) -> bool {
        matches!(self.state, State::Libraries) && self.carry.is_empty()
    }

    /// The version, once the header has been read.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// How many bytes of the dump have been used; what is carried over counts as used.
    pub fn offset(&self) -> u64 {
        self.offset.saturating_add(self.carry.len() as u64)
    }

    /// Takes the next bytes of the dump.
    ///
    /// Whatever lies in `input` as a whole is handed to the visitor from there, without a copy.
    ///
    /// # Errors
    /// The first thing that is wrong with the dump, or the visitor's refusal. The decoder is then of no further use.
    pub fn feed<V: Visitor + ?Sized>(&mut self, input: &[u8], visitor: &mut V) -> Result<Progress, Error> {
        let mut at = 0_usize;
        // Input before this has been folded into the checksum.
        let mut folded = if matches!(self.state, State::Checksum) { input.len() } else { 0 };
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let pause = if self.skip > 0 {
                let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
                at += n;
                self.skip -= n as u64;
                self.offset += n as u64;
                if self.skip > 0 { Pause::Need(0) } else { continue }
            } else if self.carry.is_empty() {
                let (done, pause) = self.run(rest, visitor);
                at += done;
                if let Pause::Need(need) = pause {
                    self.carry.extend_from_slice(rest.get(done..).unwrap_or_default());
                    self.need = need;
                    at = input.len();
                }
                pause
            } else {
                let take = self.need.saturating_sub(self.carry.len()).min(rest.len());
                self.carry.extend_from_slice(rest.get(..take).unwrap_or_default());
                at += take;
                if self.carry.len() < self.need {
                    Pause::Need(0)
                } else {
                    let mut carry = std::mem::take(&mut self.carry);
                    let (done, pause) = self.run(&carry, visitor);
                    if done == carry.len() {
                        trim(&mut carry);
                    } else {
                        carry.drain(..done);
                    }
                    self.carry = carry;
                    if let Pause::Need(need) = pause {
                        self.need = need;
                        if at < input.len() {
                            continue;
                        }
                    }
                    pause
                }
            };
            match pause {
                Pause::Skip => {}
                Pause::Need(_) => {
                    self.fold(input.get(folded..at));
                    return Ok(Progress::NeedMore);
                }
                Pause::Eof => {
                    self.fold(input.get(folded..at));
                    folded = input.len();
                }
                Pause::Done => return Ok(Progress::Done { consumed: at }),
                Pause::Fail(place, kind) => return Err(self.fail(place, *kind)),
            }
        }
    }

    fn fold(&mut self, bytes: Option<&[u8]>) {
        if self.options.verify_checksum {
            self.crc.update(bytes.unwrap_or_default());
        }
    }

    #[cold]
    fn fail(&mut self, place: usize, kind: ErrorKind) -> Error {
        self.state = State::Failed;
        let key = self.entry.has_key.then(|| self.entry.key.as_slice().into());
        Error { offset: self.offset.saturating_add(place as u64), key, kind }
    }

    /// Parses units from `buf`. Answers how many bytes are done with, and why it ended.
    fn run<V: Visitor + ?Sized>(&mut self, buf: &[u8], visitor: &mut V) -> (usize, Pause) {
        let mut cur = Cursor::new(buf);
        let pause = loop {
            let step = self.step(&mut cur, visitor);
            match step {
                Ok(None) => {}
                Ok(Some(pause)) => break pause,
                Err(Stop::Need(n)) => break Pause::Need(n),
                Err(Stop::Fail(kind)) => {
                    break Pause::Fail(cur.pos().saturating_sub(cur.start()), kind);
                }
            }
            if self.skip > 0 {
                self.skip -= cur.up_to(self.skip).len() as u64;
                cur.commit();
                if self.skip > 0 {
                    break Pause::Skip;
                }
            }
        };
        self.offset = self.offset.saturating_add(cur.start() as u64);
        (cur.start(), pause)
    }

    fn step<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<Option<Pause>> {
        match &mut self.state {
            State::Record => return self.records(cur, visitor),
            State::Header => self.header(cur, visitor)?,
            State::Payload => self.payload_value(cur, visitor)?,
            State::PayloadEnd => {
                cur.u8()?;
                return cursor::corrupt("bytes behind the value");
            }
            State::Libraries => self.library(cur, visitor)?,
            State::Ranges(_) => self.ranges(cur)?,
            State::String(_) => self.string_pieces(cur, visitor)?,
            State::Skim(_) => self.skim(cur)?,
            State::Plain(_) => self.plain(cur, visitor)?,
            State::Blob(..) => self.blob(cur, visitor)?,
            State::Nodes(_) => self.nodes(cur, visitor)?,
            State::Stream(_) => self.stream(cur, visitor)?,
            State::Module(_) => self.module(cur, visitor)?,
            State::Template(_) => self.template(cur, visitor)?,
            State::Checksum => {
                let stored = u64::from_le_bytes(cur.array()?);
                let computed = self.crc.value();
                if self.options.verify_checksum && stored != 0 && stored != computed {
                    return Err(ErrorKind::Checksum { stored, computed }.into());
                }
                cur.commit();
                self.state = State::Done;
                visitor.end()?;
            }
            State::Done => return Ok(Some(Pause::Done)),
            State::Failed => return Err(ErrorKind::Failed.into()),
        }
        Ok(None)
    }

    fn header<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        let magic = cur.array()?;
        let version = Version::from_magic(&magic).ok_or(ErrorKind::Magic)?;
        if !version.is_readable() {
            return Err(ErrorKind::UnsupportedVersion(version).into());
        }
        self.version = Some(version);
        cur.commit();
        self.state = State::Record;
        visitor.header(version);
        Ok(())
    }

    /// Tells the visitor of the key at hand; the prefix is used up.
    fn announce<V: Visitor + ?Sized>(&self, byte: u8, kind: Kind, visitor: &mut V) -> Read<Want> {
        let meta = self.entry.meta(byte, kind);
        Ok(visitor.entry(&self.entry.key, &meta)?)
    }

    /// The value at hand is complete and was wanted.
    fn finish<V: Visitor + ?Sized>(&mut self, visitor: &mut V) -> Read<()> {
        visitor.entry_end()?;
        self.next_record();
        Ok(())
    }

    /// The value at hand is behind us.
    fn next_record(&mut self) {
        self.entry.reset();
        self.first.trim();
        self.second.trim();
        self.state = if self.single { State::PayloadEnd } else { State::Record };
    }
}

impl Entry {
    #[inline]
    fn meta(&self, type_byte: u8, kind: Kind) -> EntryMeta {
        EntryMeta {
            db: self.db,
            kind,
            type_byte,
            expire_ms: self.expire_ms,
            idle_seconds: self.idle_seconds,
            freq: self.freq,
            offset: self.began.unwrap_or(0),
        }
    }

    #[inline]
    fn set_key(&mut self, key: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.has_key = true;
    }

    #[inline]
    fn reset(&mut self) {
        self.expire_ms = None;
        self.idle_seconds = None;
        self.freq = None;
        self.began = None;
        if self.has_key {
            self.has_key = false;
            trim(&mut self.key);
        }
    }
}

/// A string value up to this size is handed on as one piece, so that its visitor may rely on it.
const WHOLE: u64 = 64 * 1024;
