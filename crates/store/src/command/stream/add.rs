//! XADD.

use super::id;
use super::trim::{Producer, Trimming};
use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::{Null, Reply};
use crate::txn::Txn;
use crate::value::Stream;
use crate::value::stream::{MAX_ID, MIN_ID, StreamId, name_of, next_id};

/// What is given as the id of a new entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`
    #[default]
    Any,
    /// `ms-*`
    In(u64),
    /// `ms-seq`, or `ms` alone.
    Exactly(StreamId),
}

impl NewId {
    pub(super) fn parse(text: &[u8]) -> Result<Self, CommandError> {
        if text == b"*" {
            return Ok(Self::Any);
        }
        let (ms, seq) = id::parts(text).ok_or(id::INVALID)?;
        Ok(match seq {
            Some(b"*") => Self::In(ms),
            Some(seq) => Self::Exactly(StreamId { ms, seq: id::sequence(seq)? }),
            None => Self::Exactly(StreamId { ms, seq: 0 }),
        })
    }

    /// The id that it stands for on this stream.
    fn on(self, stream: Option<&Stream>, now: i64) -> Result<StreamId, CommandError> {
        const NOT_ABOVE: CommandError =
            CommandError::err("The ID specified in XADD is equal or smaller than the target stream top item");
        let last = stream.map_or(MIN_ID, |stream| stream.log.last_id);
        let id = match self {
            Self::Any => {
                let ms = u64::try_from(now).unwrap_or(0);
                if last.ms >= ms { next_id(last).ok_or(NOT_ABOVE)? } else { StreamId { ms, seq: 0 } }
            }
            Self::In(ms) if ms == last.ms && stream.is_some() => {
                StreamId { ms, seq: last.seq.checked_add(1).ok_or(NOT_ABOVE)? }
            }
            // 0-0 is no id of an entry.
            Self::In(ms) => StreamId { ms, seq: u64::from(ms == 0) },
            Self::Exactly(id) => id,
        };
        if id <= last { Err(NOT_ABOVE) } else { Ok(id) }
    }
}

pub(super) fn xadd(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let limits = txn.limits();
    let trim = Trimming::parse(args, true, txn)?;
    let fields = args.from(trim.next + 1);
    if fields.len() < 2 || !fields.len().is_multiple_of(2) {
        return Err(CommandError::Arity("xadd".into()));
    }
    if trim.id == NewId::Exactly(MIN_ID) {
        return Err(CommandError::err("The ID specified in XADD must be greater than 0-0"));
    }
    let now = txn.now();
    let stream = txn.typed::<Stream>(key)?;
    if stream.is_none() && trim.no_stream {
        out.null(Null::Bulk);
        return Ok(());
    }
    let pairs = fields.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let name = trim.producer.as_ref().map(|producer| match producer.iid {
        Some(iid) => iid.to_vec(),
        None => name_of(pairs.clone()).to_vec(),
    });
    if let (Some(producer), Some(name), NewId::Any) = (&trim.producer, &name, trim.id) {
        // A primary gives every new entry its id: this one it has recognised.
        return duplicate(txn, key, producer, name, out);
    }
    if stream.is_some_and(|stream| stream.log.last_id == MAX_ID) {
        return Err(CommandError::err(
            "The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = trim.id.on(stream, now)?;
    let size: usize = fields.iter().map(|element| element.len()).sum();
    if size > (1 << 30) - (1 << 20) {
        return Err(CommandError::err("Elements are too large to be stored"));
    }
    let has_replicas = txn.has_replicas();
    let mut stream = txn.typed_or_new::<Stream>(key)?;
    if stream.log.append(id, pairs, limits).is_err() {
        return Err(CommandError::err("Elements are too large to be stored"));
    }
    if let (Some(producer), Some(name)) = (&trim.producer, &name) {
        stream.producers.get_or_insert_default().record(producer.name, name, id);
    }
    let trimmed = trim.run(&mut stream);
    let told = has_replicas.then(|| trim.told(args, &stream));
    drop(stream);
    txn.changed(Class::Stream, "xadd", key);
    if trimmed > 0 {
        txn.notify(Class::Stream, "xtrim", key);
    }
    if let Some(mut told) = told {
        // What was given whole stays as it was given.
        let is_whole = matches!(trim.id, NewId::Exactly(_));
        told.push(if is_whole { args.at(trim.next).to_vec() } else { id::text(id).into_bytes() });
        let parts: Vec<&[u8]> = told.iter().map(Vec::as_slice).chain(fields.iter().copied()).collect();
        txn.rewrite(&parts);
    }
    id::reply(id, out);
    Ok(())
}

fn duplicate(
    txn: &mut Txn<'_>,
    key: &[u8],
    producer: &Producer<'_>,
    name: &[u8],
    out: &mut dyn Reply,
) -> CommandResult {
    let mut known = None;
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        let producers = stream.producers.get_or_insert_default();
        producers.duplicates = producers.duplicates.saturating_add(1);
        known = producers.find(producer.name, name);
    }
    txn.changed_quietly();
    match known {
        Some(id) => id::reply(id, out),
        None => out.null(Null::Bulk),
    }
    Ok(())
}
