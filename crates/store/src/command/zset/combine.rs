//! Unions, intersections and differences of sorted sets and sets, whose members all have the score 1.

use std::cmp::Ordering;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::look::{header, pair};
use crate::args::Args;
use crate::entry::{EntryRef, ValueRef};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::number;
use crate::reply::Reply;
use crate::txn::{Expiry, Txn};
use crate::value::{Set, Value, Zset};
use crate::view::View;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of a member's scores.
#[derive(Debug, Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn join(self, a: f64, b: f64) -> f64 {
        match self {
            // inf + -inf is 0 by the servers' rule, and so is every other sum that is not a number.
            Self::Sum => number_or_zero(a + b),
            Self::Min if b < a => b,
            Self::Max if b > a => b,
            Self::Min | Self::Max => a,
        }
    }
}

fn number_or_zero(n: f64) -> f64 {
    if n.is_nan() { 0.0 } else { n }
}

/// An input.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Nothing,
    Sorted(&'a Zset),
    Plain(&'a Set),
}

impl<'a> Source<'a> {
    fn at(view: &'a View<'_>, key: &[u8]) -> Result<Self, CommandError> {
        match view.entry(key).map(EntryRef::value) {
            None => Ok(Self::Nothing),
            Some(ValueRef::Owned(Value::Zset(set))) => Ok(Self::Sorted(set)),
            Some(ValueRef::Owned(Value::Set(set))) => Ok(Self::Plain(set)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Sorted(set) => set.len(),
            Self::Plain(set) => set.len(),
        }
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::Sorted(set) => set.score(member),
            Self::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Calls `f` with each member and its score, until it answers false.
    fn each(&self, mut f: impl FnMut(&[u8], f64) -> bool) {
        match self {
            Self::Nothing => {}
            Self::Sorted(set) => {
                let _ = set.iter().all(|(member, score)| f(member.to_bytes(&mut [0; 20]), score));
            }
            Self::Plain(set) => {
                let _ = set.iter().all(|member| f(member.to_bytes(&mut [0; 20]), 1.0));
            }
        }
    }
}

/// `numkeys key [key ...]` and the options behind.
#[derive(Debug)]
struct Query<'a> {
    operation: Operation,
    /// The inputs with their weights; for unions and intersections from the smallest to the largest.
    inputs: Vec<(Source<'a>, f64)>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

/// How the result is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Members,
    Stored,
    Count,
}

impl<'a> Query<'a> {
    fn parse(
        view: &'a View<'_>,
        args: Args<'_>,
        number_at: usize,
        operation: Operation,
        wanted: Wanted,
    ) -> Result<Self, CommandError> {
        let count = args.int(number_at)?;
        if count < 1 {
            let name = String::from_utf8_lossy(args.at(0)).to_ascii_lowercase();
            return Err(CommandError::Err(
                format!("at least 1 input key is needed for '{name}' command").into(),
            ));
        }
        let rest = args.from(number_at + 1);
        let Some((keys, options)) = usize::try_from(count).ok().and_then(|n| rest.split_at_checked(n)) else {
            return Err(CommandError::Syntax);
        };
        let mut inputs = Vec::with_capacity(keys.len());
        for key in keys {
            inputs.push((Source::at(view, key)?, 1.0));
        }
        let mut query = Self { operation, inputs, aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        query.options(view, args, args.len() - options.len(), wanted)?;
        if operation != Operation::Difference {
            query.inputs.sort_by_key(|(source, _)| source.len());
        }
        Ok(query)
    }

    fn options(
        &mut self,
        view: &View<'_>,
        args: Args<'_>,
        mut at: usize,
        wanted: Wanted,
    ) -> Result<(), CommandError> {
        let weighs = self.operation != Operation::Difference && wanted != Wanted::Count;
        while at < args.len() {
            let left = args.len() - at;
            if weighs && left > self.inputs.len() && args.is(at, "weights") {
                for (_, weight) in &mut self.inputs {
                    at += 1;
                    let number = view.float(args.at(at));
                    *weight = number.map_err(|_| CommandError::err("weight value is not a float"))?;
                }
            } else if weighs && left >= 2 && args.is(at, "aggregate") {
                at += 1;
                self.aggregate = match at {
                    at if args.is(at, "sum") => Aggregate::Sum,
                    at if args.is(at, "min") => Aggregate::Min,
                    at if args.is(at, "max") => Aggregate::Max,
                    _ => return Err(CommandError::Syntax),
                };
            } else if wanted == Wanted::Members && args.is(at, "withscores") {
                self.with_scores = true;
            } else if wanted == Wanted::Count && left >= 2 && args.is(at, "limit") {
                at += 1;
                let limit = number::parse_i64(args.at(at)).and_then(|n| usize::try_from(n).ok());
                self.limit = limit.ok_or(CommandError::err("LIMIT can't be negative"))?;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        Ok(())
    }

    /// Members and scores of the result, in order.
    fn run(&self) -> Vec<(Box<[u8]>, f64)> {
        let mut all: Vec<(Box<[u8]>, f64)> = match self.operation {
            Operation::Union => self.union(),
            Operation::Intersection => {
                let mut all = Vec::new();
                self.intersect(|member, score| {
                    all.push((member.into(), score));
                    true
                });
                all
            }
            Operation::Difference => self.difference(),
        };
        all.sort_unstable_by(|a, b| {
            a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal).then_with(|| a.0.cmp(&b.0))
        });
        all
    }

    fn union(&self) -> Vec<(Box<[u8]>, f64)> {
        let mut all: HashMap<Box<[u8]>, f64, RandomState> = HashMap::default();
        for (source, weight) in &self.inputs {
            source.each(|member, score| {
                let score = number_or_zero(score * weight);
                match all.get_mut(member) {
                    Some(before) => *before = self.aggregate.join(*before, score),
                    None => drop(all.insert(member.into(), score)),
                }
                true
            });
        }
        all.into_iter().collect()
    }

    /// Calls `f` with each member of all inputs, until it answers false.
    fn intersect(&self, mut f: impl FnMut(&[u8], f64) -> bool) {
        let Some(((smallest, weight), others)) = self.inputs.split_first() else { return };
        smallest.each(|member, score| {
            let mut joined = number_or_zero(score * weight);
            for (other, weight) in others {
                let Some(score) = other.score(member) else { return true };
                joined = self.aggregate.join(joined, score * weight);
            }
            f(member, joined)
        });
    }

    fn difference(&self) -> Vec<(Box<[u8]>, f64)> {
        let mut all = Vec::new();
        if let Some(((first, _), others)) = self.inputs.split_first() {
            first.each(|member, score| {
                if others.iter().all(|(other, _)| other.score(member).is_none()) {
                    all.push((member.into(), score));
                }
                true
            });
        }
        all
    }
}

fn answer(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply, operation: Operation) -> CommandResult {
    let query = Query::parse(view, args, 1, operation, Wanted::Members)?;
    let all = query.run();
    header(out, all.len(), query.with_scores);
    for (member, score) in &all {
        pair(out, member, *score, query.with_scores);
    }
    Ok(())
}

pub(super) fn zunion(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    answer(view, args, out, Operation::Union)
}

pub(super) fn zinter(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    answer(view, args, out, Operation::Intersection)
}

pub(super) fn zdiff(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    answer(view, args, out, Operation::Difference)
}

pub(super) fn zintercard(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let query = Query::parse(view, args, 1, Operation::Intersection, Wanted::Count)?;
    let mut count = 0;
    query.intersect(|_, _| {
        count += 1;
        count != query.limit
    });
    out.count(count);
    Ok(())
}

fn compute(
    txn: &mut Txn<'_>,
    args: Args<'_>,
    out: &mut dyn Reply,
    operation: Operation,
    event: &'static str,
) -> CommandResult {
    let all = Query::parse(txn, args, 2, operation, Wanted::Stored)?.run();
    let mut result = Zset::default();
    result.expect(all.len() as u64, txn.limits());
    for (member, score) in &all {
        result.load_member(member, *score, txn.limits());
    }
    result.pack(txn.limits());
    store(txn, args.at(1), result, event, out)
}

/// Puts a result at `key`, or deletes the key if the result is empty; replies with its size.
pub(in crate::command) fn store(
    txn: &mut Txn<'_>,
    key: &[u8],
    result: Zset,
    event: &'static str,
    out: &mut dyn Reply,
) -> CommandResult {
    let count = result.len();
    if count > 0 {
        txn.set_value(key, Value::Zset(result), Expiry::Never)?;
        txn.changed(Class::Zset, event, key);
    } else if txn.remove(key) {
        txn.changed(Class::Generic, "del", key);
    }
    out.count(count);
    Ok(())
}

pub(super) fn zunionstore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    compute(txn, args, out, Operation::Union, "zunionstore")
}

pub(super) fn zinterstore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    compute(txn, args, out, Operation::Intersection, "zinterstore")
}

pub(super) fn zdiffstore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    compute(txn, args, out, Operation::Difference, "zdiffstore")
}
