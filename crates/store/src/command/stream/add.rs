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

/// Checks the form of an id for a new entry.
pub(super) fn check_new(text: &[u8]) -> CommandResult {
    let (_, seq) = id::parts(text).ok_or(id::INVALID)?;
    if !matches!(seq, None | Some(b"*")) {
        id::strict(text, 0)?;
    }
    Ok(())
}

/// The id that XADD's argument stands for on this stream.
fn resolve(text: &[u8], stream: Option<&Stream>, now: i64) -> Result<StreamId, CommandError> {
    const NOT_ABOVE: CommandError =
        CommandError::err("The ID specified in XADD is equal or smaller than the target stream top item");
    let last = stream.map_or(MIN_ID, |stream| stream.log.last_id);
    if text == b"*" {
        let ms = u64::try_from(now).unwrap_or(0);
        return if last.ms >= ms { next_id(last).ok_or(NOT_ABOVE) } else { Ok(StreamId { ms, seq: 0 }) };
    }
    let (ms, seq) = id::parts(text).ok_or(id::INVALID)?;
    let id = match seq {
        Some(b"*") if ms == last.ms && stream.is_some() => {
            StreamId { ms, seq: last.seq.checked_add(1).ok_or(NOT_ABOVE)? }
        }
        // 0-0 is no id of an entry.
        Some(b"*") => StreamId { ms, seq: u64::from(ms == 0) },
        Some(seq) => StreamId { ms, seq: id::sequence(seq)? },
        None => StreamId { ms, seq: 0 },
    };
    if id <= last { Err(NOT_ABOVE) } else { Ok(id) }
}

pub(super) fn xadd(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let limits = txn.limits();
    let trim = Trimming::parse(args, true, txn)?;
    let given = args.at(trim.next);
    let fields = args.from(trim.next + 1);
    if fields.len() < 2 || !fields.len().is_multiple_of(2) {
        return Err(CommandError::Arity("xadd".into()));
    }
    if given != b"*" && !given.ends_with(b"-*") && id::strict(given, 0)? == MIN_ID {
        return Err(CommandError::err("The ID specified in XADD must be greater than 0-0"));
    }
    txn.reap(key);
    let now = txn.now();
    let stream = txn.typed::<Stream>(key)?;
    if stream.is_none() && trim.no_stream {
        out.null(Null::Bulk);
        return Ok(());
    }
    let pairs: Vec<(&[u8], &[u8])> = fields.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let name = trim.producer.as_ref().map(|producer| match producer.iid {
        Some(iid) => iid.to_vec(),
        None => name_of(pairs.iter().copied()).to_vec(),
    });
    if let (Some(producer), Some(name), b"*") = (&trim.producer, &name, given) {
        // A primary gives every new entry its id: this one it has recognised.
        return duplicate(txn, key, producer, name, out);
    }
    if stream.is_some_and(|stream| stream.log.last_id == MAX_ID) {
        return Err(CommandError::err(
            "The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = resolve(given, stream, now)?;
    let size: usize = pairs.iter().map(|(field, value)| field.len() + value.len()).sum();
    if size > (1 << 30) - (1 << 20) {
        return Err(CommandError::err("Elements are too large to be stored"));
    }
    let mut stream = txn.typed_or_new::<Stream>(key)?;
    if stream.log.append(id, pairs.iter().copied(), limits).is_err() {
        return Err(CommandError::err("Elements are too large to be stored"));
    }
    if let (Some(producer), Some(name)) = (&trim.producer, &name) {
        stream.producers.get_or_insert_default().record(producer.name, name, id);
    }
    let trimmed = trim.run(&mut stream);
    let mut told = trim.told(args, &stream);
    drop(stream);
    txn.changed(Class::Stream, "xadd", key);
    if trimmed > 0 {
        txn.notify(Class::Stream, "xtrim", key);
    }
    if txn.has_replicas() {
        // What was given whole stays as it was given.
        told.push(if given.ends_with(b"*") { id::text(id).into_bytes() } else { given.to_vec() });
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
