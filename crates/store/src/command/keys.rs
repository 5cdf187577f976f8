//! Where a command's keys stand.

use crate::args::{Args, is_word};
use crate::number;

/// The places of keys among the arguments; the name is at 0.
#[derive(Debug, Clone, Copy)]
pub enum Keys {
    /// No key.
    None,
    /// `first`, `first + step`, ... up to `last`, which counts from the end if negative (-1: the last).
    Range {
        /// Place of the first key.
        first: u16,
        /// Place of the last key.
        last: i16,
        /// Distance between keys.
        step: u16,
    },
    /// A number of keys stands at `count`, the keys behind it; one more key at `also` unless that is 0.
    Counted {
        /// Place of the number.
        count: u16,
        /// Place of one more key (a destination).
        also: u16,
    },
    /// The first half of what follows the word STREAMS.
    Streams,
    /// At the places that the function tells.
    By(fn(Args<'_>, &mut dyn FnMut(usize))),
}

impl Keys {
    /// One key.
    #[must_use]
    pub const fn one(at: u16) -> Self {
        Self::Range { first: at, last: at as i16, step: 1 }
    }

    /// Every argument from `first` on.
    #[must_use]
    pub const fn from(first: u16) -> Self {
        Self::Range { first, last: -1, step: 1 }
    }

    /// Two neighbours.
    #[must_use]
    pub const fn two(first: u16) -> Self {
        Self::Range { first, last: first as i16 + 1, step: 1 }
    }

    /// The key, if this call has one and no more.
    #[must_use]
    pub fn only<'a>(&self, args: Args<'a>) -> Option<&'a [u8]> {
        let Self::Range { first, last, .. } = *self else { return None };
        let last = if last < 0 { args.len() as i64 + i64::from(last) } else { i64::from(last) };
        if last == i64::from(first) { args.get(usize::from(first)) } else { None }
    }

    /// Calls `f` with each key of a call whose arity is right. Keys may repeat.
    pub fn each<'a>(&self, args: Args<'a>, mut f: impl FnMut(&'a [u8])) {
        match *self {
            Self::None => {}
            Self::Range { first, last, step } => {
                let last = if last < 0 { args.len() as i64 + i64::from(last) } else { i64::from(last) };
                let mut at = usize::from(first);
                while at as i64 <= last && at < args.len() {
                    f(args.at(at));
                    at += usize::from(step.max(1));
                }
            }
            Self::Counted { count, also } => {
                if also != 0 && usize::from(also) < args.len() {
                    f(args.at(usize::from(also)));
                }
                let n = number::parse_i64(args.at(usize::from(count))).and_then(|n| usize::try_from(n).ok());
                args.from(usize::from(count) + 1).iter().take(n.unwrap_or(0)).for_each(|key| f(key));
            }
            Self::Streams => {
                let from =
                    (0..args.len()).find(|i| is_word(args.at(*i), "streams")).map_or(args.len(), |i| i + 1);
                let rest = args.from(from);
                rest.iter().take(rest.len() / 2).for_each(|key| f(key));
            }
            Self::By(places) => places(args, &mut |at| f(args.at(at))),
        }
    }
}
