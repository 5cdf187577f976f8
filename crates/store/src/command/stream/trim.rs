//! How XADD and XTRIM take the oldest entries away.

use super::add::NewId;
use super::id;
use crate::args::{Args, is_word};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Stream;
use crate::value::stream::{References, Trim};
use crate::view::{View, Viewer};

/// What stands between the key of XADD or XTRIM and the id.
#[derive(Default)]
pub(super) struct Trimming<'a> {
    keep: Option<Trim>,
    /// Where the strategy's name stands.
    place: usize,
    pub(super) approximately: bool,
    limit: Option<u64>,
    references: Option<References>,
    pub(super) no_stream: bool,
    pub(super) producer: Option<Producer<'a>>,
    /// The id of what is added.
    pub(super) id: NewId,
    /// Place of the id, or the end.
    pub(super) next: usize,
}

/// Who names the entry (Redis 8.6), and how if not by what it holds.
pub(super) struct Producer<'a> {
    pub(super) name: &'a [u8],
    pub(super) iid: Option<&'a [u8]>,
}

/// The word for what becomes of references.
pub(super) fn references(word: &[u8]) -> Option<References> {
    let words =
        [("keepref", References::Keep), ("delref", References::Delete), ("acked", References::Acknowledged)];
    words.into_iter().find_map(|(name, what)| is_word(word, name).then_some(what))
}

impl<'a> Trimming<'a> {
    pub(super) fn parse(args: Args<'a>, is_add: bool, view: &View<'_>) -> Result<Self, CommandError> {
        let of_stream = view.viewer() == Viewer::Stream;
        let knows_references = of_stream || view.differences().trim_references;
        let mut trim = Self { next: 2, ..Self::default() };
        while let Some(word) = args.get(trim.next) {
            let more = args.len() - trim.next - 1;
            if is_add && word == b"*" {
                break;
            } else if more > 0 && (is_word(word, "maxlen") || is_word(word, "minid")) {
                trim.strategy(args)?;
            } else if is_word(word, "limit") && more > 0 {
                let limit = u64::try_from(args.int(trim.next + 1)?);
                trim.limit = Some(limit.map_err(|_| CommandError::err("The LIMIT argument must be >= 0."))?);
                trim.next += 2;
            } else if is_add && is_word(word, "nomkstream") {
                trim.no_stream = true;
                trim.next += 1;
            } else if let Some(references) =
                references(word).filter(|_| knows_references && trim.references.is_none())
            {
                trim.references = Some(references);
                trim.next += 1;
            } else if is_add && of_stream && more > 1 && is_word(word, "idmp") {
                trim.producer = Some(Producer { name: args.at(trim.next + 1), iid: args.get(trim.next + 2) });
                trim.next += 3;
            } else if is_add && of_stream && more > 0 && is_word(word, "idmpauto") {
                trim.producer = Some(Producer { name: args.at(trim.next + 1), iid: None });
                trim.next += 2;
            } else if is_add {
                trim.id = NewId::parse(word)?;
                break;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        trim.check(is_add, view)?;
        Ok(trim)
    }

    fn strategy(&mut self, args: Args<'_>) -> CommandResult {
        if self.keep.is_some() {
            return Err(CommandError::err(
                "syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        self.place = self.next;
        let mut at = self.next + 1;
        if at + 1 < args.len() && matches!(args.at(at), b"~" | b"=") {
            self.approximately = args.at(at) == b"~";
            at += 1;
        }
        self.keep = Some(if args.is(self.place, "minid") {
            Trim::MinId(id::strict(args.at(at), 0)?)
        } else {
            let most = u64::try_from(args.int(at)?);
            Trim::MaxLen(most.map_err(|_| CommandError::err("The MAXLEN argument must be >= 0."))?)
        });
        self.next = at + 1;
        Ok(())
    }

    fn check(&mut self, is_add: bool, view: &View<'_>) -> CommandResult {
        if self.limit.is_some_and(|limit| limit > 0) && self.keep.is_none() {
            return Err(CommandError::err(
                "syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if !is_add && self.keep.is_none() {
            return Err(CommandError::err("syntax error, XTRIM must be called with a trimming strategy"));
        }
        if view.viewer() == Viewer::Stream {
            // The primary has said how far it came; its limit is done with.
            self.limit = None;
            return Ok(());
        }
        if self.limit.is_some() && !self.approximately {
            return Err(CommandError::err("syntax error, LIMIT cannot be used without the special ~ option"));
        }
        if self.approximately && self.limit.is_none() {
            // A hundred nodes, within reason.
            let entries = u64::try_from(view.limits().stream_entries()).unwrap_or(0);
            self.limit = Some(match entries.saturating_mul(100) {
                0 => 10_000,
                limit => limit.min(1_000_000),
            });
        }
        Ok(())
    }

    pub(super) fn run(&self, stream: &mut Stream) -> u64 {
        let references = self.references.unwrap_or_default();
        self.keep
            .map_or(0, |keep| stream.trim(keep, !self.approximately, self.limit.unwrap_or(0), references))
    }

    /// The command up to the id, with the exact outcome in place of the strategy: replicas come to the same.
    pub(super) fn told(&self, args: Args<'_>, stream: &Stream) -> Vec<Vec<u8>> {
        let mut parts: Vec<Vec<u8>> = args.all()[..self.next].iter().map(|part| part.to_vec()).collect();
        let Some(keep) = self.keep.filter(|_| self.approximately) else { return parts };
        let (name, outcome) = match keep {
            Trim::MaxLen(_) => (None, stream.len().to_string()),
            // An empty stream has no first id to trim to. (Real servers say 0-0, and their replicas keep everything.)
            Trim::MinId(_) if stream.is_empty() => (Some("MAXLEN"), "0".to_owned()),
            Trim::MinId(_) => (None, id::text(stream.log.first_id())),
        };
        if let [strategy, how, threshold, ..] = &mut parts[self.place..] {
            if let Some(name) = name {
                *strategy = name.into();
            }
            *how = b"=".to_vec();
            *threshold = outcome.into_bytes();
        }
        parts
    }
}

pub(super) fn xtrim(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let trim = Trimming::parse(args, false, txn)?;
    let Some(mut stream) = txn.typed_mut::<Stream>(key)? else {
        out.integer(0);
        return Ok(());
    };
    let trimmed = trim.run(&mut stream);
    let told = (trimmed > 0 && trim.approximately).then(|| trim.told(args, &stream));
    drop(stream);
    if trimmed > 0 {
        txn.changed(Class::Stream, "xtrim", key);
        if let Some(told) = told {
            let parts: Vec<&[u8]> = told.iter().map(Vec::as_slice).collect();
            txn.rewrite(&parts);
        }
    }
    out.integer(i64::try_from(trimmed).unwrap_or(i64::MAX));
    Ok(())
}
