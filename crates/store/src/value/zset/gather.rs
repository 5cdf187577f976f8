//! A sorted set that a dump tells member by member: those that will be one blob are gathered first and then written
//! in order, with no look at their neighbours.

use std::cmp::Ordering;

use super::{Form, SCORE, Zset, packed, too_many};
use crate::limits::Limits;
use crate::value::seen::Seen;
use crate::value::wide;
use rdb::encoding::{ListpackBuf, encoded_size};

/// Members as they come.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// All names, one after the other.
    names: Vec<u8>,
    /// Where each name ends, and its score.
    ends: Vec<(usize, f64)>,
    seen: Seen,
    /// A member may have come twice, or a score is no number or -0.
    is_odd: bool,
}

impl Gathered {
    /// For a set that claims so many members, if they may come to be a blob.
    pub(crate) fn of(claim: u64, limits: &Limits) -> Option<Self> {
        let claim = usize::try_from(claim).ok()?;
        let few = claim <= wide::ELEMENTS || claim <= MOST && too_many(claim, limits).is_none();
        few.then(|| Self { ends: Vec::with_capacity(claim), ..Self::default() })
    }

    pub(crate) fn push(&mut self, member: &[u8], score: f64) {
        self.is_odd |=
            !self.seen.is_first(member) || score.is_nan() || score == 0.0 && score.is_sign_negative();
        self.names.extend_from_slice(member);
        self.ends.push((self.names.len(), score));
    }

    /// The set, as [`Zset::load_member`] and [`Zset::pack`] would make it.
    pub(crate) fn finish(self, limits: &Limits) -> Zset {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        let mut members: Vec<(&[u8], f64)> =
            starts.zip(&self.ends).map(|(start, (end, score))| (&self.names[start..*end], *score)).collect();
        if let Some(form) = self.blob(&mut members, limits) {
            return Zset(form);
        }
        let mut set = Zset::default();
        for (member, score) in members {
            set.load_member(member, score, limits);
        }
        set.pack(limits);
        set.shrink();
        set
    }

    fn blob(&self, members: &mut [(&[u8], f64)], limits: &Limits) -> Option<Form> {
        if self.is_odd {
            return None;
        }
        let longest = usize::try_from(limits.zset_value()).unwrap_or(0);
        let is_small = too_many(members.len(), limits).is_none()
            && members.iter().all(|(member, _)| member.len() <= longest);
        if !is_small && members.len() > wide::ELEMENTS {
            return None;
        }
        // Dumps begin with the highest.
        members.reverse();
        members.sort_by(|(m, s), (n, t)| s.partial_cmp(t).unwrap_or(Ordering::Equal).then_with(|| m.cmp(n)));
        let mut list = ListpackBuf::with_capacity(self.names.len() + members.len() * (AROUND + SCORE));
        for (member, score) in members {
            let bytes = list.bytes_len() + encoded_size(member) + SCORE;
            if !is_small && bytes > wide::BYTES || packed::push(&mut list, member, *score).is_err() {
                return None;
            }
        }
        list.shrink();
        Some(if is_small { Form::Packed(list) } else { Form::Wide(list) })
    }
}

/// What is gathered at most.
const MOST: usize = 512;
/// More bytes than a listpack entry takes beside its text.
const AROUND: usize = 10;
