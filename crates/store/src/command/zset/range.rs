//! ZRANGE with its older names, ZRANGESTORE, ZREMRANGEBY...: a range of ranks, scores or members becomes one of ranks.

use std::ops::Range;

use super::add::removed_some;
use super::look::{header, pair};
use super::{bounds, combine};
use crate::args::{Args, is_word};
use crate::error::{CommandError, CommandResult};
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Zset;
use crate::value::zset::{LexBounds, ScoreBounds};
use crate::view::View;

/// What the two ends of a range mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What the command's name leaves open.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// Place of the key that is read.
    key: usize,
    /// `None`: options tell.
    by: Option<By>,
    /// Whether from high to low; `None`: options tell.
    down: Option<bool>,
    store: bool,
}

#[derive(Debug, Clone, Copy)]
enum Ends<'a> {
    Rank(i64, i64),
    Score(ScoreBounds),
    Lex(LexBounds<'a>),
}

/// What is asked for.
#[derive(Debug)]
struct Query<'a> {
    ends: Ends<'a>,
    down: bool,
    with_scores: bool,
    offset: i64,
    limit: i64,
}

impl<'a> Query<'a> {
    fn parse(view: &View<'_>, args: Args<'a>, form: Form) -> Result<Self, CommandError> {
        let Form { key, mut by, mut down, store } = form;
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        let mut at = key + 3;
        while let Some(word) = args.get(at) {
            let left = args.len() - at - 1;
            if !store && is_word(word, "withscores") {
                with_scores = true;
            } else if is_word(word, "limit") && left >= 2 {
                (offset, limit) = (args.int(at + 1)?, args.int(at + 2)?);
                at += 2;
            } else if down.is_none() && is_word(word, "rev") {
                down = Some(true);
            } else if by.is_none() && is_word(word, "bylex") {
                by = Some(By::Lex);
            } else if by.is_none() && is_word(word, "byscore") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        let (by, down) = (by.unwrap_or(By::Rank), down.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(CommandError::err(
                "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(CommandError::err(
                "syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (low, high) = if down && by != By::Rank { (key + 2, key + 1) } else { (key + 1, key + 2) };
        let ends = match by {
            By::Rank => Ends::Rank(args.int(low)?, args.int(high)?),
            By::Score => Ends::Score(bounds::scores(view, args.at(low), args.at(high))?),
            By::Lex => Ends::Lex(bounds::lex(args.at(low), args.at(high))?),
        };
        Ok(Self { ends, down, with_scores, offset, limit })
    }

    /// The ranks asked for, counted from the low end.
    fn ranks(&self, view: &View<'_>, set: &Zset) -> Range<usize> {
        let ranks = match self.ends {
            Ends::Rank(start, stop) => {
                let ranks = set.ranks(start, stop);
                return if self.down { set.len() - ranks.end..set.len() - ranks.start } else { ranks };
            }
            Ends::Score(bounds) => bounds.ranks(set),
            Ends::Lex(bounds) => bounds.ranks(set),
        };
        // A negative offset skips everything, or counts from the other end; a negative limit is none.
        let offset = match usize::try_from(self.offset) {
            Ok(offset) => offset.min(ranks.len()),
            Err(_) if view.differences().offsets_from_end && set.as_listpack().is_none() => {
                let back = usize::try_from(self.offset.unsigned_abs()).unwrap_or(usize::MAX);
                ranks.len().checked_sub(back).unwrap_or_else(|| ranks.len())
            }
            Err(_) => ranks.len(),
        };
        let len = usize::try_from(self.limit).unwrap_or(usize::MAX).min(ranks.len() - offset);
        if self.down {
            ranks.end - offset - len..ranks.end - offset
        } else {
            ranks.start + offset..ranks.start + offset + len
        }
    }
}

fn answer(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply, form: Form) -> CommandResult {
    let query = Query::parse(view, args, form)?;
    let Some(set) = view.typed::<Zset>(args.at(form.key))? else {
        out.array(0);
        return Ok(());
    };
    let ranks = query.ranks(view, set);
    header(out, ranks.len(), query.with_scores);
    let elements = if query.down { set.range_down(ranks) } else { set.range(ranks) };
    for (member, score) in elements {
        pair(out, member.to_bytes(&mut [0; 20]), score, query.with_scores);
    }
    Ok(())
}

const AUTO: Form = Form { key: 1, by: None, down: None, store: false };

pub(super) fn zrange(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    answer(view, args, out, AUTO)
}

pub(super) fn zrevrange(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    answer(view, args, out, Form { by: Some(By::Rank), down: Some(true), ..AUTO })
}

pub(super) fn zrangebyscore(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    answer(view, args, out, Form { by: Some(By::Score), down: Some(false), ..AUTO })
}

pub(super) fn zrevrangebyscore(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    answer(view, args, out, Form { by: Some(By::Score), down: Some(true), ..AUTO })
}

pub(super) fn zrangebylex(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    answer(view, args, out, Form { by: Some(By::Lex), down: Some(false), ..AUTO })
}

pub(super) fn zrevrangebylex(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    answer(view, args, out, Form { by: Some(By::Lex), down: Some(true), ..AUTO })
}

pub(super) fn zrangestore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let query = Query::parse(txn, args, Form { key: 2, store: true, ..AUTO })?;
    let mut result = Zset::default();
    if let Some(set) = txn.typed::<Zset>(args.at(2))? {
        let ranks = query.ranks(txn, set);
        for (member, score) in set.range(ranks) {
            result.insert(member.to_bytes(&mut [0; 20]), score, txn.limits());
        }
    }
    combine::store(txn, args.at(1), result, "zrangestore", out)
}

pub(super) fn zremrangebyrank(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    remove(txn, args.at(1), "zremrangebyrank", out, |set| set.ranks(start, stop))
}

pub(super) fn zremrangebyscore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let bounds = bounds::scores(txn, args.at(2), args.at(3))?;
    remove(txn, args.at(1), "zremrangebyscore", out, |set| bounds.ranks(set))
}

pub(super) fn zremrangebylex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let bounds = bounds::lex(args.at(2), args.at(3))?;
    remove(txn, args.at(1), "zremrangebylex", out, |set| bounds.ranks(set))
}

fn remove(
    txn: &mut Txn<'_>,
    key: &[u8],
    event: &'static str,
    out: &mut dyn Reply,
    ranks: impl FnOnce(&Zset) -> Range<usize>,
) -> CommandResult {
    let Some(mut set) = txn.typed_mut::<Zset>(key)? else {
        out.integer(0);
        return Ok(());
    };
    let ranks = ranks(&set);
    let removed = set.remove_range(ranks);
    let vanishes = set.will_vanish();
    drop(set);
    removed_some(txn, key, event, removed, vanishes);
    out.count(removed);
    Ok(())
}
