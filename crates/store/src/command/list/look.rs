//! Reading lists.

use crate::args::{Args, is_word};
use crate::command::list::range;
use crate::command::options::{BELOW_LEAST, within};
use crate::error::{CommandError, CommandResult};
use crate::number;
use crate::reply::{Null, Reply};
use crate::value::List;
use crate::view::View;

pub(super) fn llen(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.count(view.typed::<List>(args.at(1))?.map_or(0, List::len));
    Ok(())
}

/// A key that is not there is answered before the index is looked at.
pub(super) fn lindex(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let found = match view.typed::<List>(args.at(1))? {
        Some(list) => list.get(args.int(2)?),
        None => None,
    };
    match found {
        Some(item) => out.bulk(item.to_bytes(&mut [0; 20])),
        None => out.null(Null::Bulk),
    }
    Ok(())
}

pub(super) fn lrange(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let list = view.typed::<List>(args.at(1))?;
    let (first, count) = list.map_or((0, 0), |list| range(start, end, list.len()));
    out.array(count);
    for item in list.into_iter().flat_map(|list| list.iter_from(first)).take(count) {
        out.bulk(item.to_bytes(&mut [0; 20]));
    }
    Ok(())
}

/// The options of LPOS.
struct Search {
    rank: i64,
    count: Option<usize>,
    most: usize,
}

impl Search {
    fn parse(view: &View<'_>, args: Args<'_>) -> Result<Self, CommandError> {
        let mut this = Self { rank: 1, count: None, most: 0 };
        let mut i = 3;
        while let Some(word) = args.get(i) {
            let Some(n) = args.get(i + 1) else { return Err(CommandError::Syntax) };
            let natural =
                |text| within(n, 0, i64::MAX, text).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            if is_word(word, "rank") {
                this.rank = number::parse_i64(n).ok_or(CommandError::NotAnInteger)?;
                if this.rank < view.differences().least_place {
                    return Err(BELOW_LEAST);
                }
                // Where the lowest one is taken it overflows, and counts as the first from the tail.
                if this.rank == i64::MIN {
                    this.rank = -1;
                }
                if this.rank == 0 {
                    return Err(CommandError::err(
                        "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
                    ));
                }
            } else if is_word(word, "count") {
                this.count = Some(natural("COUNT can't be negative")?);
            } else if is_word(word, "maxlen") {
                this.most = natural("MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::Syntax);
            }
            i += 2;
        }
        Ok(this)
    }

    /// The places found, in the order of the search.
    fn places(&self, list: &List, element: &[u8]) -> Vec<usize> {
        let last = list.len().saturating_sub(1);
        let skip = usize::try_from(self.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        let look = if self.most == 0 { usize::MAX } else { self.most };
        let wanted = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(n) => n,
        };
        let equal = |item: &rdb::encoding::Item<'_>| item.eq_bytes(element);
        if self.rank > 0 {
            let found = list.iter().take(look).enumerate().filter(|(_, item)| equal(item)).map(|(i, _)| i);
            found.skip(skip).take(wanted).collect()
        } else {
            let back = list.iter().rev().take(look).enumerate();
            back.filter(|(_, item)| equal(item)).map(|(i, _)| last - i).skip(skip).take(wanted).collect()
        }
    }
}

pub(super) fn lpos(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let search = Search::parse(view, args)?;
    let list = view.typed::<List>(args.at(1))?;
    let places = list.map_or_else(Vec::new, |list| search.places(list, args.at(2)));
    if search.count.is_some() {
        out.array(places.len());
        places.iter().for_each(|place| out.count(*place));
    } else if let Some(place) = places.first() {
        out.count(*place);
    } else {
        out.null(Null::Bulk);
    }
    Ok(())
}
