//! Ranges of scores and of members, and the ranks they stand for.

use std::ops::Range;

use super::Zset;

/// Scores between two ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreBounds {
    /// The lower end.
    pub min: f64,
    /// Whether the lower end itself is left out.
    pub above_min: bool,
    /// The upper end.
    pub max: f64,
    /// Whether the upper end itself is left out.
    pub below_max: bool,
}

impl ScoreBounds {
    /// The ranks of the elements with such scores; empty if there are none. O(log n).
    #[must_use]
    pub fn ranks(&self, set: &Zset) -> Range<usize> {
        let start = set.below(|score, _| if self.above_min { score <= self.min } else { score < self.min });
        let end = set.below(|score, _| if self.below_max { score < self.max } else { score <= self.max });
        start..end.max(start)
    }
}

/// One end of a range of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// Before every member (`-`).
    Least,
    /// Behind every member (`+`).
    Greatest,
    /// At this member (`[m`).
    Including(&'a [u8]),
    /// Just beyond this member (`(m`).
    Excluding(&'a [u8]),
}

/// Members between two ends, for sets whose scores are all equal; with others the answer means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LexBounds<'a> {
    /// The lower end.
    pub min: LexBound<'a>,
    /// The upper end.
    pub max: LexBound<'a>,
}

impl LexBounds<'_> {
    /// The ranks of the members in between; empty if there are none. O(log n).
    #[must_use]
    pub fn ranks(&self, set: &Zset) -> Range<usize> {
        let start = match self.min {
            LexBound::Least => 0,
            LexBound::Greatest => set.len(),
            LexBound::Including(min) => set.below(|_, member| member < min),
            LexBound::Excluding(min) => set.below(|_, member| member <= min),
        };
        let end = match self.max {
            LexBound::Least => 0,
            LexBound::Greatest => set.len(),
            LexBound::Including(max) => set.below(|_, member| member <= max),
            LexBound::Excluding(max) => set.below(|_, member| member < max),
        };
        start..end.max(start)
    }
}

impl Zset {
    /// The ranks from `start` to `stop`, both included, negative ones counted from the end; empty if there are none.
    #[must_use]
    pub fn ranks(&self, start: i64, stop: i64) -> Range<usize> {
        let len = i64::try_from(self.len()).unwrap_or(i64::MAX);
        let from_front = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
        let start = from_front(start).clamp(0, len);
        let end = from_front(stop).clamp(-1, len - 1) + 1;
        // Both are between 0 and `len`.
        start as usize..end.max(start) as usize
    }
}
