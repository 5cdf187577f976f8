//! A dump as the commands that make its data set.

use crate::encode::EncodeError;
use crate::score::print_score;
use crate::version::Version;
use crate::visitor::{EntryMeta, Kind, Part, Reject, StreamId, StreamMeta, Visitor, Want};

/// Writes RESP commands (as `redis-cli --pipe` takes them) that make the data set of a dump: SET, RPUSH, SADD, ZADD,
/// HSET, XADD and their like, which every server understands whatever dumps it reads. Holds one element at a time, a
/// large string not even whole.
///
/// Commands cannot say everything: when consumers of streams were last seen, pending entries of messages that are
/// gone, names that idempotent producers gave, how long a key was idle. [`Restores`](crate::Restores) keeps all of it,
/// for servers that read the dump's values.
///
/// ```
/// use rdb::{Commands, Decoder, Version};
///
/// let mut commands = Commands::new(Version::REDIS_12);
/// Decoder::default().feed(b"REDIS0003\xFE\0\0\x01k\x02hi\xFF", &mut commands)?;
/// assert_eq!(commands.take(), b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nhi\r\n");
/// # Ok::<_, rdb::Error>(())
/// ```
#[derive(Debug)]
pub struct Commands {
    /// What the servers that are to run them know.
    version: Version,
    replace: bool,
    out: Vec<u8>,
    /// The database that was selected last.
    selected: Option<u64>,
    key: Vec<u8>,
    expire_ms: Option<i64>,
    kind: Kind,
    batch: Batch,
    /// Fields of the batch that expire.
    fields: Vec<(Vec<u8>, i64)>,
    figures: Option<StreamMeta>,
    group: Vec<u8>,
    consumer: Vec<u8>,
    /// Pending entries of the group, ascending.
    pending: Vec<(StreamId, i64, u64)>,
    module: Vec<u8>,
    source: Option<Version>,
    refused: Option<EncodeError>,
}

/// Arguments that gather for one command.
#[derive(Debug, Default)]
struct Batch {
    args: usize,
    bytes: Vec<u8>,
}

/// A command of a collection takes about so many bytes, or so many arguments.
const BATCH_BYTES: usize = 32 * 1024;
const BATCH_ARGS: usize = 512;

impl Batch {
    fn push(&mut self, arg: &[u8]) {
        self.args += 1;
        bulk(&mut self.bytes, arg);
    }

    fn is_full(&self) -> bool {
        self.args >= BATCH_ARGS || self.bytes.len() >= BATCH_BYTES
    }
}

impl Commands {
    /// Commands for servers that write dumps of this version: what such a server has no command for is refused
    /// (functions and figures of streams before Redis 7, hash fields that expire before Redis 7.4 and Valkey 9).
    pub fn new(version: Version) -> Self {
        Self {
            version,
            replace: false,
            out: Vec::new(),
            selected: None,
            key: Vec::new(),
            expire_ms: None,
            kind: Kind::String,
            batch: Batch::default(),
            fields: Vec::new(),
            figures: None,
            group: Vec::new(),
            consumer: Vec::new(),
            pending: Vec::new(),
            module: Vec::new(),
            source: None,
            refused: None,
        }
    }

    /// Removes each key, and each function library, of the same name first.
    pub fn replacing(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Takes the bytes written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Why the decoder was refused.
    pub fn refused(&self) -> Option<EncodeError> {
        self.refused
    }

    fn refuse(&mut self, error: EncodeError) -> Reject {
        self.refused = Some(error);
        Reject("the servers that this is for have no command for it")
    }

    fn knows_figures(&self) -> bool {
        self.version.number >= 10
    }

    fn knows_field_expiry(&self) -> bool {
        self.version.number >= 12
    }

    /// Writes the gathered arguments as one command on the key.
    fn flush(&mut self, name: &[u8]) {
        if self.batch.args == 0 {
            return;
        }
        array(&mut self.out, self.batch.args.saturating_add(2));
        bulk(&mut self.out, name);
        bulk(&mut self.out, &self.key);
        self.out.append(&mut self.batch.bytes);
        self.batch.args = 0;
        for (field, ms) in std::mem::take(&mut self.fields) {
            let ms = ms.to_string();
            command(&mut self.out, &[b"HPEXPIREAT", &self.key, ms.as_bytes(), b"FIELDS", b"1", &field]);
        }
    }

    fn flush_if_full(&mut self, name: &[u8]) {
        if self.batch.is_full() {
            self.flush(name);
        }
    }

    /// An entry of a stream is a command of its own.
    fn add_entry(&mut self, id: StreamId, fields: &[&[u8]]) {
        array(&mut self.out, fields.len().saturating_add(3));
        bulk(&mut self.out, b"XADD");
        bulk(&mut self.out, &self.key);
        bulk(&mut self.out, text(id).as_bytes());
        for field in fields {
            bulk(&mut self.out, field);
        }
    }

    /// What stands behind the entries.
    fn set_figures(&mut self, figures: StreamMeta) {
        if figures.length == 0 {
            // A stream without entries: made by a group that goes again.
            let name = b"rdb";
            command(&mut self.out, &[b"XGROUP", b"CREATE", &self.key, name, b"0", b"MKSTREAM"]);
            command(&mut self.out, &[b"XGROUP", b"DESTROY", &self.key, name]);
        }
        let last = text(figures.last_id);
        if self.knows_figures() {
            let (added, deleted) = (figures.entries_added.to_string(), text(figures.max_deleted_id));
            let args: [&[u8]; 7] = [
                b"XSETID",
                &self.key,
                last.as_bytes(),
                b"ENTRIESADDED",
                added.as_bytes(),
                b"MAXDELETEDID",
                deleted.as_bytes(),
            ];
            command(&mut self.out, &args);
        } else {
            command(&mut self.out, &[b"XSETID", &self.key, last.as_bytes()]);
        }
    }

    fn add_group(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<u64>) {
        self.group.clear();
        self.group.extend_from_slice(name);
        self.pending.clear();
        let last = text(last_id);
        let read = entries_read.filter(|_| self.knows_figures()).map(|read| read.to_string());
        let mut args: Vec<&[u8]> = vec![b"XGROUP", b"CREATE", &self.key, name, last.as_bytes()];
        if let Some(read) = &read {
            args.extend([&b"ENTRIESREAD"[..], read.as_bytes()]);
        }
        command(&mut self.out, &args);
    }

    fn claim(&mut self, id: StreamId) {
        let at = self.pending.binary_search_by_key(&id, |(id, ..)| *id).ok();
        let Some((_, delivery_ms, count)) = at.and_then(|at| self.pending.get(at)) else { return };
        let (id, time, count) = (text(id), delivery_ms.to_string(), count.to_string());
        let args: [&[u8]; 12] = [
            b"XCLAIM",
            &self.key,
            &self.group,
            &self.consumer,
            b"0",
            id.as_bytes(),
            b"TIME",
            time.as_bytes(),
            b"RETRYCOUNT",
            count.as_bytes(),
            b"JUSTID",
            b"FORCE",
        ];
        command(&mut self.out, &args);
    }
}

impl Visitor for Commands {
    fn header(&mut self, version: Version) {
        self.source = Some(version);
    }

    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        if self.version.number < 10 {
            return Err(self.refuse(EncodeError::Functions(self.version)));
        }
        if self.replace {
            command(&mut self.out, &[b"FUNCTION", b"LOAD", b"REPLACE", code]);
        } else {
            command(&mut self.out, &[b"FUNCTION", b"LOAD", code]);
        }
        Ok(())
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        if matches!(meta.kind, Kind::Array | Kind::Gcra) {
            return Err(self.refuse(EncodeError::Kind));
        }
        if self.selected != Some(meta.db) {
            command(&mut self.out, &[b"SELECT", meta.db.to_string().as_bytes()]);
            self.selected = Some(meta.db);
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        self.kind = meta.kind;
        self.expire_ms = meta.expire_ms;
        self.figures = None;
        self.module.clear();
        if self.replace {
            command(&mut self.out, &[b"DEL", key]);
        }
        Ok(Want::Elements)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        match part {
            Part::String { offset, bytes, total } => {
                if offset == 0 {
                    array(&mut self.out, 3);
                    bulk(&mut self.out, b"SET");
                    bulk(&mut self.out, &self.key);
                    head(&mut self.out, b'$', total);
                }
                self.out.extend_from_slice(bytes);
                if offset.saturating_add(bytes.len() as u64) == total {
                    self.out.extend_from_slice(b"\r\n");
                }
            }
            Part::Element(element) => {
                self.batch.push(element);
                self.flush_if_full(if self.kind == Kind::List { b"RPUSH" } else { b"SADD" });
            }
            Part::Member { member, score } => {
                let mut digits = Vec::with_capacity(24);
                print_score(score, &mut digits);
                self.batch.push(&digits);
                self.batch.push(member);
                self.flush_if_full(b"ZADD");
            }
            Part::Field { field, value, expire_ms } => {
                self.batch.push(field);
                self.batch.push(value);
                if let Some(ms) = expire_ms {
                    if !self.knows_field_expiry() {
                        return Err(self.refuse(EncodeError::FieldExpiry(self.version)));
                    }
                    self.fields.push((field.to_vec(), ms));
                }
                self.flush_if_full(b"HSET");
            }
            Part::StreamEntry { id, fields } => self.add_entry(id, fields),
            Part::StreamMeta(figures) => {
                self.figures = Some(figures);
                self.set_figures(figures);
            }
            Part::Group { name, last_id, entries_read } => self.add_group(name, last_id, entries_read),
            Part::Pending { id, delivery_ms, count } => self.pending.push((id, delivery_ms, count)),
            Part::Consumer { name, .. } => {
                self.consumer.clear();
                self.consumer.extend_from_slice(name);
                if self.knows_figures() {
                    command(&mut self.out, &[b"XGROUP", b"CREATECONSUMER", &self.key, &self.group, name]);
                }
            }
            Part::ConsumerPending(id) => self.claim(id),
            Part::Module { bytes, .. } => self.module.extend_from_slice(bytes),
            // Hints, and what no command can say.
            _ => {}
        }
        Ok(())
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        match self.kind {
            Kind::List => self.flush(b"RPUSH"),
            Kind::Set => self.flush(b"SADD"),
            Kind::Zset => self.flush(b"ZADD"),
            Kind::Hash => self.flush(b"HSET"),
            Kind::Module => {
                // Its own server alone knows how to make it, and understands what it has written.
                let value = std::mem::take(&mut self.module);
                let source = self.source.unwrap_or(self.version);
                let payload = crate::payload::encode_module(source, &value);
                command(&mut self.out, &[b"RESTORE", &self.key, b"0", &payload]);
            }
            _ => {}
        }
        if let Some(ms) = self.expire_ms {
            command(&mut self.out, &[b"PEXPIREAT", &self.key, ms.to_string().as_bytes()]);
        }
        Ok(())
    }
}

/// A command by its words.
pub(crate) fn command(out: &mut Vec<u8>, args: &[&[u8]]) {
    array(out, args.len());
    args.iter().for_each(|arg| bulk(out, arg));
}

fn array(out: &mut Vec<u8>, len: usize) {
    head(out, b'*', len as u64);
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, b'$', bytes.len() as u64);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn head(out: &mut Vec<u8>, sign: u8, n: u64) {
    out.push(sign);
    out.extend_from_slice(n.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn text(id: StreamId) -> String {
    format!("{}-{}", id.ms, id.seq)
}
