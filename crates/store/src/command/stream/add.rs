//! XADD, and what takes entries away.

use super::id;
use crate::args::{Args, is_word};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::{Null, Reply};
use crate::txn::Txn;
use crate::value::Stream;
use crate::value::stream::{MAX_ID, MIN_ID, StreamId, Trim, next_id};
use crate::view::{View, Viewer};

/// How XADD and XTRIM trim.
#[derive(Default)]
struct Trimming {
    keep: Option<Trim>,
    approximately: bool,
    limit: Option<u64>,
    no_stream: bool,
    /// Place of the id, or the end.
    next: usize,
}

impl Trimming {
    fn parse(args: Args<'_>, is_add: bool, view: &View<'_>) -> Result<Self, CommandError> {
        let mut trim = Self { next: 2, ..Self::default() };
        while let Some(word) = args.get(trim.next) {
            let more = args.len() - trim.next - 1;
            if is_add && word == b"*" {
                break;
            } else if more > 0 && (is_word(word, "maxlen") || is_word(word, "minid")) {
                let by_id = is_word(word, "minid");
                if trim.keep.is_some() {
                    return Err(CommandError::err(
                        "syntax error, MAXLEN and MINID options at the same time are not compatible",
                    ));
                }
                trim.approximately = false;
                let mut at = trim.next + 1;
                if more >= 2 && matches!(args.at(at), b"~" | b"=") {
                    trim.approximately = args.at(at) == b"~";
                    at += 1;
                }
                trim.keep = Some(if by_id {
                    Trim::MinId(id::strict(args.at(at), 0)?)
                } else {
                    let most = u64::try_from(args.int(at)?);
                    Trim::MaxLen(most.map_err(|_| CommandError::err("The MAXLEN argument must be >= 0."))?)
                });
                trim.next = at + 1;
            } else if is_word(word, "limit") && more > 0 {
                let limit = u64::try_from(args.int(trim.next + 1)?);
                trim.limit = Some(limit.map_err(|_| CommandError::err("The LIMIT argument must be >= 0."))?);
                trim.next += 2;
            } else if is_add && is_word(word, "nomkstream") {
                trim.no_stream = true;
                trim.next += 1;
            } else if is_add {
                check_new(word)?;
                break;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if trim.limit.is_some() && trim.keep.is_none() {
            return Err(CommandError::err(
                "syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if !is_add && trim.keep.is_none() {
            return Err(CommandError::err("syntax error, XTRIM must be called with MAXLEN or MINID"));
        }
        if view.viewer() == Viewer::Stream {
            // The primary has said how far it came; its limit is done with.
            trim.limit = None;
            return Ok(trim);
        }
        if trim.limit.is_some() && !trim.approximately {
            return Err(CommandError::err("syntax error, LIMIT cannot be used without the special ~ option"));
        }
        if trim.approximately && trim.limit.is_none() {
            // A hundred nodes, within reason.
            let entries = u64::try_from(view.limits().stream_entries()).unwrap_or(0);
            trim.limit = Some(match entries.saturating_mul(100) {
                0 => 10_000,
                limit => limit.min(1_000_000),
            });
        }
        Ok(trim)
    }

    fn run(&self, stream: &mut Stream) -> u64 {
        self.keep.map_or(0, |keep| stream.log.trim(keep, !self.approximately, self.limit.unwrap_or(0)))
    }

    /// What replicas must do to come to the same: the exact outcome.
    fn rewritten(&self, stream: &Stream) -> Option<[Vec<u8>; 3]> {
        let outcome = match self.keep? {
            Trim::MaxLen(_) => ("MAXLEN", stream.len().to_string()),
            // An empty stream has no first id to trim to. (Real servers say 0-0, and their replicas keep everything.)
            Trim::MinId(_) if stream.is_empty() => ("MAXLEN", "0".to_owned()),
            Trim::MinId(_) => ("MINID", id::text(stream.log.first_id())),
        };
        Some([outcome.0.into(), b"=".to_vec(), outcome.1.into_bytes()])
    }
}

/// Checks the form of an id for a new entry.
fn check_new(text: &[u8]) -> CommandResult {
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
    if stream.is_some_and(|stream| stream.log.last_id == MAX_ID) {
        return Err(CommandError::err(
            "The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = resolve(given, stream, now)?;
    let pairs: Vec<(&[u8], &[u8])> = fields.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let size: usize = pairs.iter().map(|(field, value)| field.len() + value.len()).sum();
    if size > (1 << 30) - (1 << 20) {
        return Err(CommandError::err("Elements are too large to be stored"));
    }
    let mut stream = txn.typed_or_new::<Stream>(key)?;
    if stream.log.append(id, pairs.iter().copied(), limits).is_err() {
        return Err(CommandError::err("Elements are too large to be stored"));
    }
    let trimmed = trim.run(&mut stream);
    let rewritten = trim.rewritten(&stream).filter(|_| trim.approximately);
    drop(stream);
    txn.changed(Class::Stream, "xadd", key);
    if trimmed > 0 {
        txn.notify(Class::Stream, "xtrim", key);
    }
    if txn.has_replicas() {
        let text = id::text(id);
        let mut parts: Vec<&[u8]> = vec![b"XADD", key];
        match &rewritten {
            Some(outcome) => {
                if trim.no_stream {
                    parts.push(b"NOMKSTREAM");
                }
                parts.extend(outcome.iter().map(Vec::as_slice));
            }
            None => parts.extend(&args.all()[2..trim.next]),
        }
        parts.push(text.as_bytes());
        parts.extend(fields);
        txn.rewrite(&parts);
    }
    id::reply(id, out);
    Ok(())
}

pub(super) fn xtrim(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let trim = Trimming::parse(args, false, txn)?;
    let Some(mut stream) = txn.typed_mut::<Stream>(key)? else {
        out.integer(0);
        return Ok(());
    };
    let trimmed = trim.run(&mut stream);
    let rewritten = trim.rewritten(&stream).filter(|_| trim.approximately);
    drop(stream);
    if trimmed > 0 {
        txn.changed(Class::Stream, "xtrim", key);
        if let Some([strategy, how, outcome]) = rewritten {
            txn.rewrite(&[b"XTRIM", key, &strategy, &how, &outcome]);
        }
    }
    out.integer(i64::try_from(trimmed).unwrap_or(i64::MAX));
    Ok(())
}

pub(super) fn xdel(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    txn.reap(key);
    if txn.typed::<Stream>(key)?.is_none() {
        out.integer(0);
        return Ok(());
    }
    let ids: Vec<StreamId> = args.from(2).iter().map(|text| id::strict(text, 0)).collect::<Result<_, _>>()?;
    let mut gone = 0;
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        gone = ids.into_iter().filter(|id| stream.log.delete(*id)).count();
    }
    if gone > 0 {
        txn.changed(Class::Stream, "xdel", key);
    }
    out.count(gone);
    Ok(())
}

pub(super) fn xsetid(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    const TOO_SMALL: CommandError =
        CommandError::err("The ID specified in XSETID is smaller than the target stream top item");
    let key = args.at(1);
    let last = id::strict(args.at(2), 0)?;
    let (mut added, mut deleted, mut i) = (None, None, 3);
    while i < args.len() {
        if args.is(i, "entriesadded") && i + 1 < args.len() {
            let n = u64::try_from(args.int(i + 1)?);
            added = Some(n.map_err(|_| CommandError::err("entries_added must be positive"))?);
        } else if args.is(i, "maxdeletedid") && i + 1 < args.len() {
            let id = id::strict(args.at(i + 1), 0)?;
            if last < id {
                return Err(CommandError::err(
                    "The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            deleted = Some(id);
        } else {
            return Err(CommandError::Syntax);
        }
        i += 2;
    }
    txn.reap(key);
    let Some(mut stream) = txn.typed_mut::<Stream>(key)? else { return Err(CommandError::NoSuchKey) };
    if !stream.is_empty() {
        if last < stream.log.last_live_id() {
            return Err(TOO_SMALL);
        }
        if added.is_some_and(|n| n < stream.len() as u64) {
            return Err(CommandError::err(
                "The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
    }
    let log = &mut stream.log;
    log.last_id = last;
    log.entries_added = added.unwrap_or(log.entries_added);
    log.max_deleted_id = deleted.filter(|id| *id != MIN_ID).unwrap_or(log.max_deleted_id);
    drop(stream);
    txn.changed(Class::Stream, "xsetid", key);
    out.ok();
    Ok(())
}
