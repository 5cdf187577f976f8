//! Sorted sets: a listpack, or an order-statistics tree beside an index by hash.
//!
//! ```text
//! few, short members:   listpack  | member | score | member | score | ...
//! few, longer ones:     the same, though servers call it a skiplist: a tenth of the memory of what follows
//! others:               index --id--> arena <--id-- tree
//!                       by hash     member, score    by (score, member), with ranks
//! ```
//!
//! The order is by score, then by the members' bytes. Every range of scores, members or ranks is first turned into a
//! range of ranks by [`Zset::below`], then walked by [`Zset::range`].

mod arena;
mod bounds;
mod gather;
mod index;
mod large;
mod packed;
mod tree;

use std::ops::Range;

use rdb::encoding::{Item, Listpack, ListpackBuf, Ziplist, encoded_size};

use crate::limits::Limits;
use crate::number::{DoubleFormat, format_f64};
use crate::value::wide;
pub use bounds::{LexBound, LexBounds, ScoreBounds};
pub(crate) use gather::Gathered;
use large::Large;

/// A sorted set.
#[derive(Debug, Clone)]
pub struct Zset(Form);

#[derive(Debug, Clone)]
enum Form {
    Packed(ListpackBuf),
    /// Beyond the limits of the small form, and still so small that a blob serves best.
    Wide(ListpackBuf),
    Large(Box<Large>),
}

impl Default for Zset {
    fn default() -> Self {
        Self(Form::Packed(ListpackBuf::new()))
    }
}

impl Zset {
    /// Members. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(list) | Form::Wide(list) => list.len() / 2,
            Form::Large(set) => set.len(),
        }
    }

    /// No members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        match &self.0 {
            Form::Packed(list) | Form::Wide(list) => list.heap_bytes(),
            Form::Large(set) => set.allocated(),
        }
    }

    /// What OBJECT ENCODING says.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Packed(_) => "listpack",
            Form::Wide(_) | Form::Large(_) => "skiplist",
        }
    }

    /// Members and places of the index by member, if there is one.
    #[must_use]
    pub fn table_size(&self) -> Option<(usize, usize)> {
        match &self.0 {
            Form::Packed(_) => None,
            Form::Wide(_) => Some((self.len(), self.len())),
            Form::Large(set) => Some((set.len(), set.slots())),
        }
    }

    /// The blob of the small form.
    #[must_use]
    pub fn as_listpack(&self) -> Option<Listpack<'_>> {
        match &self.0 {
            Form::Packed(list) => Some(list.as_listpack()),
            Form::Wide(_) | Form::Large(_) => None,
        }
    }

    /// Appends a score as ZSCAN shows it: as a packed form spells it, where 1e17 is `100000000000000000` and all else
    /// has the digits of the personality; from a large form always with 17 digits.
    pub fn write_score(&self, out: &mut Vec<u8>, score: f64, doubles: DoubleFormat) {
        match packed::as_integer(score) {
            Some(n) if matches!(self.0, Form::Packed(_)) => {
                out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
            }
            _ if matches!(self.0, Form::Packed(_)) => format_f64(out, score, doubles),
            _ => format_f64(out, score, DoubleFormat::Digits17),
        }
    }

    // ---- loading

    /// Becomes this listpack.
    pub fn load_listpack(&mut self, all: Listpack<'_>, limits: &Limits) {
        let members = all.len() / 2;
        if all.len().is_multiple_of(2) && too_many(members, limits).is_none() {
            self.0 = Form::Packed(ListpackBuf::from_listpack(all));
        } else if all.len().is_multiple_of(2) && wide::is_wide(members, all.as_bytes().len()) {
            self.0 = Form::Wide(ListpackBuf::from_listpack(all));
        } else {
            self.load_items(all.iter(), members);
        }
    }

    /// Becomes this ziplist.
    pub fn load_ziplist(&mut self, all: Ziplist<'_>, limits: &Limits) {
        let members = all.len() / 2;
        if all.len() % 2 == 0 && too_many(members, limits).is_none() {
            let mut list = ListpackBuf::with_capacity(all.as_bytes().len());
            if all.iter().try_for_each(|item| list.push_item(item)).is_ok() {
                list.shrink();
                self.0 = Form::Packed(list);
                return;
            }
        }
        self.load_items(all.iter(), members);
    }

    /// Many members, or not a whole number of pairs.
    fn load_items<'a>(&mut self, mut items: impl Iterator<Item = Item<'a>>, members: usize) {
        let mut set = Large::new();
        set.reserve(members);
        while let (Some(member), Some(score)) = (items.next(), items.next()) {
            set.insert(member.to_bytes(&mut [0; 20]), packed::score_of(score));
        }
        self.0 = Form::Large(Box::new(set));
    }

    /// So many members may follow: a claim, for which a bounded amount of memory is reserved.
    pub fn expect(&mut self, n: u64, limits: &Limits) {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        if too_many(n, limits).is_some() && n > wide::ELEMENTS {
            self.enlarge().reserve(n);
        }
    }

    /// Adds or moves a member of a set that is not complete: of a dump, or of a result to be stored. Servers build
    /// those in the large form and pack them at the end, by [`Zset::pack`]; what shows is that the large form keeps
    /// a score of -0.
    pub fn load_member(&mut self, member: &[u8], score: f64, limits: &Limits) -> bool {
        if score == 0.0 && score.is_sign_negative() {
            self.enlarge();
        }
        self.insert(member, score, limits)
    }

    /// Gives back what growing has reserved: the set is complete.
    pub fn shrink(&mut self) {
        if let Form::Packed(list) | Form::Wide(list) = &mut self.0 {
            list.shrink();
        }
    }

    // ---- looking

    /// The score of a member.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Form::Packed(list) | Form::Wide(list) => {
                packed::score(list.as_listpack(), member).map(|(_, score)| score)
            }
            Form::Large(set) => set.score(member),
        }
    }

    /// How many members precede this one, and its score.
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Form::Packed(list) | Form::Wide(list) => packed::rank(list.as_listpack(), member),
            Form::Large(set) => set.rank(member),
        }
    }

    /// How many elements, from the first on, satisfy `is(score, member)`, which must hold for a prefix of the order.
    /// O(log n).
    #[must_use]
    pub fn below(&self, is: impl FnMut(f64, &[u8]) -> bool) -> usize {
        match &self.0 {
            Form::Packed(list) | Form::Wide(list) => packed::below(list.as_listpack(), is).0,
            Form::Large(set) => set.below(is),
        }
    }

    /// The element of this rank.
    #[must_use]
    pub fn get(&self, rank: usize) -> Option<(Item<'_>, f64)> {
        self.range(rank..rank.saturating_add(1)).next()
    }

    /// All elements in order.
    #[must_use]
    pub fn iter(&self) -> Elements<'_> {
        self.range(0..self.len())
    }

    /// The elements of these ranks, first to last.
    #[must_use]
    pub fn range(&self, ranks: Range<usize>) -> Elements<'_> {
        self.run(ranks, false)
    }

    /// The elements of these ranks, last to first.
    #[must_use]
    pub fn range_down(&self, ranks: Range<usize>) -> Elements<'_> {
        self.run(ranks, true)
    }

    fn run(&self, ranks: Range<usize>, down: bool) -> Elements<'_> {
        let end = ranks.end.min(self.len());
        let len = end.saturating_sub(ranks.start);
        let from = if down { end.saturating_sub(1) } else { ranks.start };
        Elements(match &self.0 {
            Form::Packed(list) | Form::Wide(list) => {
                Run::Packed(packed::Run::new(list.as_listpack(), from, len, down))
            }
            Form::Large(set) => Run::Large(set.range(from, len, down)),
        })
    }

    /// Calls `f` with at least `count` members (if so many are left) and their scores from the cursor on; the next
    /// cursor, 0 at the end. A member that is there throughout is met exactly once, except that a set which leaves
    /// the small form starts anew. The small form comes whole.
    pub fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(&[u8], f64)) -> u64 {
        match &self.0 {
            Form::Packed(_) | Form::Wide(_) => {
                self.iter().for_each(|(member, score)| f(member.to_bytes(&mut [0; 20]), score));
                0
            }
            Form::Large(set) => match u32::try_from(cursor) {
                Ok(cursor) => set.scan(cursor, count, f).into(),
                Err(_) => 0,
            },
        }
    }

    // ---- changing

    /// Adds or moves a member; whether it is new. A score that is not a number is ignored, as is a new member of a
    /// set of 16 GiB.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> bool {
        if score.is_nan() {
            return false;
        }
        if let Form::Packed(list) | Form::Wide(list) = &mut self.0 {
            let before = packed::score(list.as_listpack(), member);
            if let Some((_, before)) = before
                && before == score
            {
                return false;
            }
            if let Some((pos, _)) = before {
                list.remove_range(pos, 2);
            }
            if self.make_wide_unless_fits(member, score, before.is_some(), limits)
                && let Form::Packed(list) | Form::Wide(list) = &mut self.0
                && packed::insert(list, member, score).is_ok()
            {
                return before.is_none();
            }
            return self.enlarge().insert(member, score) && before.is_none();
        }
        self.enlarge().insert(member, score)
    }

    /// Whether a blob can take this member, after it has become a wide one if it must. A member that only moves
    /// changes nothing of that.
    fn make_wide_unless_fits(&mut self, member: &[u8], score: f64, moves: bool, limits: &Limits) -> bool {
        let size = encoded_size(member) + SCORE;
        let wide = |list: &ListpackBuf| {
            // A blob stores -0 as 0, and a skiplist does not.
            wide::is_wide(list.len() / 2 + 1, list.bytes_len() + size)
                && !(score == 0.0 && score.is_sign_negative())
        };
        match &mut self.0 {
            Form::Packed(list) => {
                let longest = usize::try_from(limits.zset_value()).unwrap_or(0);
                let is_short = too_many(list.len() / 2 + 1, limits).is_none() && member.len() <= longest;
                if moves || is_short && list.fits(size) {
                    return true;
                }
                let fits = wide(list);
                if fits {
                    self.0 = Form::Wide(std::mem::take(list));
                }
                fits
            }
            Form::Wide(list) => wide(list),
            Form::Large(_) => false,
        }
    }

    /// Removes a member; its score if it was there.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Form::Packed(list) | Form::Wide(list) => {
                let (pos, score) = packed::score(list.as_listpack(), member)?;
                list.remove_range(pos, 2);
                Some(score)
            }
            Form::Large(set) => set.remove(member),
        }
    }

    /// Removes the elements of these ranks; how many there were.
    pub fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        let end = ranks.end.min(self.len());
        let count = end.saturating_sub(ranks.start);
        if count == 0 {
            return 0;
        }
        if count == self.len() {
            *self = Self::default();
            return count;
        }
        match &mut self.0 {
            Form::Packed(list) | Form::Wide(list) => {
                let from = i64::try_from(ranks.start * 2).ok().and_then(|at| list.as_listpack().seek(at));
                from.map_or(0, |pos| list.remove_range(pos, count * 2) / 2)
            }
            Form::Large(set) => (0..count).filter(|_| set.remove_rank(ranks.start)).count(),
        }
    }

    /// Is the large form from now on, by its name at least: sorting does that in real servers.
    pub fn unpack(&mut self) {
        let Form::Packed(list) = &mut self.0 else { return };
        if wide::is_wide(list.len() / 2, list.bytes_len()) {
            self.0 = Form::Wide(std::mem::take(list));
        } else {
            self.enlarge();
        }
    }

    /// Takes the small form if the limits allow it, as results of STORE commands and loaded sets do.
    pub fn pack(&mut self, limits: &Limits) {
        let longest = usize::try_from(limits.zset_value()).unwrap_or(0);
        if let Form::Wide(list) = &mut self.0 {
            let short = list.iter().step_by(2).all(|member| member.len() <= longest);
            if short && too_many(list.len() / 2, limits).is_none() {
                self.0 = Form::Packed(std::mem::take(list));
            }
            return;
        }
        let Form::Large(set) = &self.0 else { return };
        let all = || set.range(0, set.len(), false);
        let small = too_many(set.len(), limits).is_none() && all().all(|(member, _)| member.len() <= longest);
        let wide = set.len() <= wide::ELEMENTS && all().all(|(_, s)| s != 0.0 || s.is_sign_positive());
        if !small && !wide {
            return;
        }
        let mut list = ListpackBuf::new();
        for (member, score) in all() {
            let bytes = list.bytes_len() + encoded_size(member) + SCORE;
            if !(small || bytes <= wide::BYTES) || packed::insert(&mut list, member, score).is_err() {
                return;
            }
        }
        list.shrink();
        self.0 = if small { Form::Packed(list) } else { Form::Wide(list) };
    }

    fn enlarge(&mut self) -> &mut Large {
        if let Form::Packed(list) | Form::Wide(list) = &mut self.0 {
            let list = std::mem::take(list);
            self.load_items(list.iter(), list.len() / 2);
        }
        match &mut self.0 {
            Form::Large(set) => set,
            Form::Packed(_) | Form::Wide(_) => unreachable!("load_items has just made it large"),
        }
    }
}

/// More bytes than any score takes as a listpack entry.
const SCORE: usize = 32;

fn too_many(members: usize, limits: &Limits) -> Option<()> {
    let most = usize::try_from(limits.zset_entries()).unwrap_or(0);
    (members > most).then_some(())
}

/// Members and scores in order.
#[derive(Debug, Clone)]
pub struct Elements<'a>(Run<'a>);

#[derive(Debug, Clone)]
enum Run<'a> {
    Packed(packed::Run<'a>),
    Large(large::Run<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Run::Packed(run) => run.next(),
            Run::Large(run) => run.next().map(|(member, score)| (Item::Str(member), score)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Run::Packed(run) => run.left,
            Run::Large(run) => run.left(),
        };
        (0, Some(left))
    }
}

#[cfg(test)]
mod tests;
