//! XPENDING.

use super::group::no_group;
use super::{id, range};
use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::reply::{Null, Reply};
use crate::value::Stream;
use crate::value::stream::{Group, Pending, StreamId};
use crate::view::View;

pub(super) fn xpending(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, name) = (args.at(1), args.at(2));
    let asked = if args.len() == 3 { None } else { Some(Asked::parse(args)?) };
    let stream = view.typed::<Stream>(key)?;
    let group = stream.and_then(|stream| stream.groups.get(name)).ok_or_else(|| no_group(key, name, ""))?;
    match asked {
        None => summary(group, out),
        Some(asked) => asked.answer(group, view.now(), out),
    }
    Ok(())
}

fn summary(group: &Group, out: &mut dyn Reply) {
    out.array(4);
    out.count(group.pending().len());
    let ends = (group.pending().first_key_value(), group.pending().last_key_value());
    let (Some((first, _)), Some((last, _))) = ends else {
        out.null(Null::Bulk);
        out.null(Null::Bulk);
        out.null(Null::Array);
        return;
    };
    id::reply(*first, out);
    id::reply(*last, out);
    let owners = || group.consumers().filter(|(_, consumer)| !consumer.pending().is_empty());
    out.array(owners().count());
    for (name, consumer) in owners() {
        out.array(2);
        out.bulk(name);
        out.bulk(consumer.pending().len().to_string().as_bytes());
    }
}

/// The long form's arguments.
struct Asked<'a> {
    idle: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        if !(6..=9).contains(&args.len()) {
            return Err(CommandError::Syntax);
        }
        let (mut idle, mut at) = (0, 3);
        if args.is(3, "idle") {
            idle = args.int(4)?;
            at = 5;
            if args.len() < 8 {
                return Err(CommandError::Syntax);
            }
        }
        let count = usize::try_from(args.int(at + 2)?.max(0)).unwrap_or(usize::MAX);
        let (start, end) = (range::start(args.at(at))?, range::end(args.at(at + 1))?);
        Ok(Self { idle, start, end, count, consumer: args.get(at + 3) })
    }

    fn answer(&self, group: &Group, now: i64, out: &mut dyn Reply) {
        let wanted = |pending: &Pending| {
            self.consumer.is_none_or(|name| *pending.consumer == *name)
                && now.saturating_sub(pending.delivery_ms) >= self.idle
        };
        let found: Vec<(StreamId, &Pending)> = if self.start > self.end {
            Vec::new()
        } else {
            group
                .pending()
                .range(self.start..=self.end)
                .filter(|(_, p)| wanted(p))
                .take(self.count)
                .map(|(id, p)| (*id, p))
                .collect()
        };
        out.array(found.len());
        for (id, pending) in found {
            out.array(4);
            id::reply(id, out);
            out.bulk(&pending.consumer);
            out.integer(now.saturating_sub(pending.delivery_ms).max(0));
            out.integer(i64::try_from(pending.count).unwrap_or(i64::MAX));
        }
    }
}
