//! Commands that only look: scores, counts, ranks, chance, walks.

use std::collections::HashSet;

use super::bounds;
use crate::args::Args;
use crate::command::options::{ScanOptions, Walk, signed_count};
use crate::error::{CommandError, CommandResult};
use crate::random::Random;
use crate::reply::{Null, Reply};
use crate::value::Zset;
use crate::view::View;

pub(super) fn zscore(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let set = view.typed::<Zset>(args.at(1))?;
    score_or_null(out, set.and_then(|set| set.score(args.at(2))));
    Ok(())
}

pub(super) fn zmscore(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let set = view.typed::<Zset>(args.at(1))?;
    let members = args.from(2);
    out.array(members.len());
    for member in members {
        score_or_null(out, set.and_then(|set| set.score(member)));
    }
    Ok(())
}

fn score_or_null(out: &mut dyn Reply, score: Option<f64>) {
    match score {
        Some(score) => out.double(score),
        None => out.null(Null::Bulk),
    }
}

pub(super) fn zcard(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.count(view.typed::<Zset>(args.at(1))?.map_or(0, Zset::len));
    Ok(())
}

pub(super) fn zcount(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let bounds = bounds::scores(view, args.at(2), args.at(3))?;
    out.count(view.typed::<Zset>(args.at(1))?.map_or(0, |set| bounds.ranks(set).len()));
    Ok(())
}

pub(super) fn zlexcount(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let bounds = bounds::lex(args.at(2), args.at(3))?;
    out.count(view.typed::<Zset>(args.at(1))?.map_or(0, |set| bounds.ranks(set).len()));
    Ok(())
}

pub(super) fn zrank(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    rank(view, args, out, "zrank", |_, rank| rank)
}

pub(super) fn zrevrank(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    rank(view, args, out, "zrevrank", |len, rank| len - 1 - rank)
}

fn rank(
    view: &View<'_>,
    args: Args<'_>,
    out: &mut dyn Reply,
    name: &'static str,
    turn: fn(usize, usize) -> usize,
) -> CommandResult {
    if args.len() > if view.differences().rank_withscore { 4 } else { 3 } {
        return Err(CommandError::Arity(name.into()));
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "withscore") {
        return Err(CommandError::Syntax);
    }
    let set = view.typed::<Zset>(args.at(1))?;
    match set.and_then(|set| set.rank(args.at(2)).map(|(rank, score)| (turn(set.len(), rank), score))) {
        None => out.null(if with_score { Null::Array } else { Null::Bulk }),
        Some((rank, score)) if with_score => {
            out.array(2);
            out.count(rank);
            out.double(score);
        }
        Some((rank, _)) => out.count(rank),
    }
    Ok(())
}

pub(super) fn zrandmember(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let mut random = Random::new(view);
    if args.len() == 2 {
        let set = view.typed::<Zset>(args.at(1))?;
        match set.and_then(|set| set.get(random.below(set.len()))) {
            Some((member, _)) => out.bulk(member.to_bytes(&mut [0; 20])),
            None => out.null(Null::Bulk),
        }
        return Ok(());
    }
    let count = signed_count(args.at(2))?;
    let with_scores = args.is(3, "withscores");
    if args.len() > 4 || (args.len() == 4 && !with_scores) {
        return Err(CommandError::Syntax);
    }
    if with_scores && !(-(i64::MAX / 2)..=i64::MAX / 2).contains(&count) {
        return Err(CommandError::err("value is out of range"));
    }
    let set = match view.typed::<Zset>(args.at(1))? {
        Some(set) if count != 0 => set,
        _ => {
            out.array(0);
            return Ok(());
        }
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        header(out, wanted, with_scores);
        for _ in 0..wanted {
            element(out, set, random.below(set.len()), with_scores);
        }
    } else if wanted >= set.len() {
        header(out, set.len(), with_scores);
        (0..set.len()).for_each(|rank| element(out, set, rank, with_scores));
    } else {
        header(out, wanted, with_scores);
        // Floyd's sampling: each choice of `wanted` among all is as likely as any other, whatever the set's size.
        let mut chosen = HashSet::with_capacity(wanted);
        for last in set.len() - wanted..set.len() {
            let rank = random.below(last + 1);
            let rank = if chosen.insert(rank) { rank } else { last };
            chosen.insert(rank);
            element(out, set, rank, with_scores);
        }
    }
    Ok(())
}

fn element(out: &mut dyn Reply, set: &Zset, rank: usize, with_scores: bool) {
    if let Some((member, score)) = set.get(rank) {
        pair(out, member.to_bytes(&mut [0; 20]), score, with_scores);
    }
}

/// The header of `len` elements with or without scores: pairs have arrays of their own in RESP3.
pub(super) fn header(out: &mut dyn Reply, len: usize, with_scores: bool) {
    out.array(if with_scores && !out.is_resp3() { len * 2 } else { len });
}

/// One of the elements that [`header`] announced.
pub(super) fn pair(out: &mut dyn Reply, member: &[u8], score: f64, with_scores: bool) {
    if with_scores && out.is_resp3() {
        out.array(2);
    }
    out.bulk(member);
    if with_scores {
        out.double(score);
    }
}

pub(super) fn zscan(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let cursor = ScanOptions::cursor(view, args)?;
    let set = view.typed::<Zset>(args.at(1))?;
    let mut found: Vec<(Box<[u8]>, f64)> = Vec::new();
    let (mut next, mut with_scores) = (0, true);
    // The real server looks at the options of a key that is there only.
    if let Some(set) = set {
        let options = ScanOptions::parse(view, args, Walk::Zset)?;
        with_scores = !options.names_only;
        next = set.scan(cursor, options.count, |member, score| {
            if options.wants(member) {
                found.push((member.into(), score));
            }
        });
    }
    out.array(2);
    out.bulk(itoa::Buffer::new().format(next).as_bytes());
    out.array(if with_scores { found.len() * 2 } else { found.len() });
    let mut text = Vec::with_capacity(24);
    for (member, score) in &found {
        out.bulk(member);
        if !with_scores {
            continue;
        }
        text.clear();
        // Scores are strings here, whatever the protocol.
        if let Some(set) = set {
            set.write_score(&mut text, *score, view.differences().doubles);
        }
        out.bulk(&text);
    }
    Ok(())
}
