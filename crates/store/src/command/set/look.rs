//! Reading one set.

use hashbrown::HashSet;
use rdb::encoding::Item;

use crate::args::Args;
use crate::command::options::{ScanOptions, Walk, signed_count};
use crate::error::{CommandError, CommandResult};
use crate::random::{Random, sample};
use crate::reply::{Aggregate, Null, Reply};
use crate::value::Set;
use crate::view::View;

pub(super) fn scard(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.count(view.typed::<Set>(args.at(1))?.map_or(0, Set::len));
    Ok(())
}

pub(super) fn sismember(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let set = view.typed::<Set>(args.at(1))?;
    out.integer(set.is_some_and(|set| set.contains(args.at(2))).into());
    Ok(())
}

pub(super) fn smismember(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let set = view.typed::<Set>(args.at(1))?;
    out.array(args.len() - 2);
    for member in args.from(2) {
        out.integer(set.is_some_and(|set| set.contains(member)).into());
    }
    Ok(())
}

pub(super) fn smembers(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let set = view.typed::<Set>(args.at(1))?;
    out.aggregate(Aggregate::Set, set.map_or(0, Set::len));
    for member in set.into_iter().flat_map(Set::iter) {
        out.bulk(member.to_bytes(&mut [0; 20]));
    }
    Ok(())
}

pub(super) fn sscan(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let cursor = ScanOptions::cursor(view, args)?;
    let mut found: Vec<Item<'_>> = Vec::new();
    let mut next = 0;
    if let Some(set) = view.typed::<Set>(args.at(1))? {
        let options = ScanOptions::parse(view, args, Walk::Set)?;
        next = set.scan(cursor, options.count, |member| {
            if options.wants(member.to_bytes(&mut [0; 20])) {
                found.push(member);
            }
        });
    }
    out.array(2);
    out.bulk(itoa::Buffer::new().format(next).as_bytes());
    out.array(found.len());
    for member in &found {
        out.bulk(member.to_bytes(&mut [0; 20]));
    }
    Ok(())
}

pub(super) fn srandmember(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let mut random = Random::new(view);
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    if args.len() == 2 {
        match view.typed::<Set>(args.at(1))?.and_then(|set| set.random(&mut |n| random.below(n))) {
            Some(member) => out.bulk(member.to_bytes(&mut [0; 20])),
            None => out.null(Null::Bulk),
        }
        return Ok(());
    }
    let count = signed_count(args.at(2))?;
    let set = view.typed::<Set>(args.at(1))?;
    let members = set.map_or_else(Vec::new, |set| drawn(set, count, &mut random));
    out.array(members.len());
    for member in members {
        out.bulk(member.to_bytes(&mut [0; 20]));
    }
    Ok(())
}

/// Up to `count` different members, or exactly `-count` that may repeat.
pub(super) fn drawn<'a>(set: &'a Set, count: i64, random: &mut Random) -> Vec<Item<'a>> {
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let mut below = |n: usize| random.below(n);
    if count < 0 {
        return (0..wanted).map_while(|_| set.random(&mut below)).collect();
    }
    if wanted.saturating_mul(8) >= set.len() {
        return sample(set.iter(), set.len(), wanted, &mut below);
    }
    let (mut seen, mut members) = (HashSet::with_hasher(foldhash::fast::FixedState::default()), Vec::new());
    while members.len() < wanted
        && let Some(member) = set.random(&mut below)
    {
        if seen.insert(member.to_vec()) {
            members.push(member);
        }
    }
    members
}
