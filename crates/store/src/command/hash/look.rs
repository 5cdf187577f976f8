//! Reading hashes.

use hashbrown::HashSet;
use rdb::encoding::Item;

use crate::args::Args;
use crate::command::options::{ScanOptions, Walk, signed_count};
use crate::error::{CommandError, CommandResult};
use crate::random::Random;
use crate::reply::{Aggregate, Null, Reply};
use crate::value::Hash;
use crate::value::hash::Field;
use crate::view::View;

fn bulk(out: &mut dyn Reply, item: Item<'_>) {
    out.bulk(item.to_bytes(&mut [0; 20]));
}

fn field<'a>(view: &'a View<'_>, args: Args<'_>) -> Result<Option<Field<'a>>, CommandError> {
    Ok(view.typed::<Hash>(args.at(1))?.and_then(|hash| hash.get(args.at(2), view.field_time())))
}

pub(super) fn hexists(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.integer(field(view, args)?.is_some().into());
    Ok(())
}

pub(super) fn hget(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    match field(view, args)? {
        Some(field) => bulk(out, field.value),
        None => out.null(Null::Bulk),
    }
    Ok(())
}

pub(super) fn hstrlen(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.count(field(view, args)?.map_or(0, |field| field.value.len()));
    Ok(())
}

/// All fields, those included that have expired and are not removed yet: real servers count so too.
pub(super) fn hlen(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.count(view.typed::<Hash>(args.at(1))?.map_or(0, Hash::len));
    Ok(())
}

pub(super) fn hmget(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let hash = view.typed::<Hash>(args.at(1))?;
    let names = args.from(2);
    out.array(names.len());
    for name in names {
        match hash.and_then(|hash| hash.get(name, view.field_time())) {
            Some(field) => bulk(out, field.value),
            None => out.null(Null::Bulk),
        }
    }
    Ok(())
}

/// What of each field is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Names,
    Values,
    Both,
}

fn tell_all(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply, told: Told) -> CommandResult {
    let hash = view.typed::<Hash>(args.at(1))?;
    let len = hash.map_or(0, |hash| hash.visible(view.field_time()));
    out.aggregate(if told == Told::Both { Aggregate::Map } else { Aggregate::Array }, len);
    for (name, field) in hash.into_iter().flat_map(|hash| hash.iter(view.field_time())) {
        if told != Told::Values {
            bulk(out, name);
        }
        if told != Told::Names {
            bulk(out, field.value);
        }
    }
    Ok(())
}

pub(super) fn hgetall(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell_all(view, args, out, Told::Both)
}

pub(super) fn hkeys(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell_all(view, args, out, Told::Names)
}

pub(super) fn hvals(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell_all(view, args, out, Told::Values)
}

pub(super) fn hscan(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let cursor = ScanOptions::cursor(view, args)?;
    let mut found: Vec<Item<'_>> = Vec::new();
    let mut next = 0;
    if let Some(hash) = view.typed::<Hash>(args.at(1))? {
        let options = ScanOptions::parse(view, args, Walk::Hash)?;
        next = hash.scan(cursor, options.count, view.field_time(), |name, value| {
            if options.wants(name.to_bytes(&mut [0; 20])) {
                found.push(name);
                if !options.names_only {
                    found.push(value);
                }
            }
        });
    }
    out.array(2);
    out.bulk(itoa::Buffer::new().format(next).as_bytes());
    out.array(found.len());
    for item in found {
        bulk(out, item);
    }
    Ok(())
}

pub(super) fn hrandfield(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let mut random = Random::new(view);
    if args.len() == 2 {
        let hash = view.typed::<Hash>(args.at(1))?;
        match hash.and_then(|hash| drawn(hash, view.field_time(), 1, &mut random).into_iter().next()) {
            Some((name, _)) => bulk(out, name),
            None => out.null(Null::Bulk),
        }
        return Ok(());
    }
    let count = signed_count(args.at(2))?;
    let with_values = args.len() > 3;
    if args.len() > 4 || with_values && !args.is(3, "withvalues") {
        return Err(CommandError::Syntax);
    }
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::err("value is out of range"));
    }
    let hash = view.typed::<Hash>(args.at(1))?;
    let fields = hash.map_or_else(Vec::new, |hash| drawn(hash, view.field_time(), count, &mut random));
    let nested = with_values && out.is_resp3();
    out.array(if with_values && !nested { fields.len() * 2 } else { fields.len() });
    for (name, value) in fields {
        if nested {
            out.array(2);
        }
        bulk(out, name);
        if with_values {
            bulk(out, value);
        }
    }
    Ok(())
}

/// Up to `count` different fields, or exactly `-count` that may repeat.
fn drawn<'a>(hash: &'a Hash, time: i64, count: i64, random: &mut Random) -> Vec<(Item<'a>, Item<'a>)> {
    let visible = hash.visible(time);
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if visible == 0 || wanted == 0 {
        return Vec::new();
    }
    let mut below = |n: usize| random.below(n);
    if count < 0 && visible < hash.len() {
        let all: Vec<_> = hash.iter(time).map(|(name, field)| (name, field.value)).collect();
        return (0..wanted).map(|_| all[below(all.len())]).collect();
    }
    let draw =
        |below: &mut dyn FnMut(usize) -> usize| hash.random(below).map(|(name, field)| (name, field.value));
    if count < 0 {
        return (0..wanted).map_while(|_| draw(&mut below)).collect();
    }
    if visible == hash.len() && wanted.saturating_mul(8) < visible {
        let (mut names, mut fields) =
            (HashSet::with_hasher(foldhash::fast::FixedState::default()), Vec::new());
        while fields.len() < wanted
            && let Some((name, value)) = draw(&mut below)
        {
            if names.insert(name.to_vec()) {
                fields.push((name, value));
            }
        }
        return fields;
    }
    let fields = hash.iter(time).map(|(name, field)| (name, field.value));
    crate::random::sample(fields, visible, wanted, &mut below)
}
