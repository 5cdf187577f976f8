//! Patterns, prepared: four ways to the same answers, for listings that try one pattern on millions of keys.
//!
//! The way is chosen for each listing. [`glob`] is the reference; a prepared pattern is read by it, byte by byte, so
//! that what odd patterns mean is decided in one place.

use crate::glob;

/// How keys are compared with a pattern. The answers are the same, the speed is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Matching {
    /// The pattern as it is, anew for each key. No preparation: best for few keys.
    #[default]
    Glob,
    /// A lone `*`, or one at an end or in the middle, by comparing ends; other patterns as [`Glob`](Self::Glob).
    Simple,
    /// A regular expression.
    #[cfg(feature = "regex")]
    Regex,
    /// A state machine that looks at each byte once.
    Automaton,
}

/// A pattern that was prepared for many keys.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: Box<[u8]>,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    Glob,
    Exactly,
    /// One `*` between these ends.
    Ends(Box<[u8]>, Box<[u8]>),
    /// One `*` at either end.
    Within(Box<[u8]>),
    #[cfg(feature = "regex")]
    Regex(Box<regex::bytes::Regex>),
    Automaton(Box<Automaton>),
}

impl Pattern {
    /// Prepares a pattern. What cannot be prepared this way (a regular expression that grows too large) is compared
    /// as [`Matching::Glob`] does it.
    #[must_use]
    pub fn new(pattern: &[u8], matching: Matching) -> Self {
        let way = match matching {
            Matching::Glob => Way::Glob,
            Matching::Simple => simple(pattern),
            #[cfg(feature = "regex")]
            Matching::Regex => expression(pattern).map_or(Way::Glob, |regex| Way::Regex(Box::new(regex))),
            Matching::Automaton => {
                Automaton::of(pattern).map_or(Way::Glob, |automaton| Way::Automaton(Box::new(automaton)))
            }
        };
        Self { text: pattern.into(), way }
    }

    /// Whether a listing with this pattern shows `key`; see [`glob::selects`].
    #[must_use]
    pub fn selects(&self, key: &[u8]) -> bool {
        if key.is_empty() {
            return glob::selects(&self.text, key);
        }
        match &self.way {
            Way::Glob => glob::selects(&self.text, key),
            Way::Exactly => *self.text == *key,
            Way::Ends(head, tail) => {
                key.len() >= head.len() + tail.len() && key.starts_with(head) && key.ends_with(tail)
            }
            Way::Within(part) => part.is_empty() || key.windows(part.len()).any(|window| window == &**part),
            #[cfg(feature = "regex")]
            Way::Regex(regex) => regex.is_match(key),
            Way::Automaton(automaton) => automaton.accepts(key),
        }
    }
}

fn simple(pattern: &[u8]) -> Way {
    if pattern.iter().any(|byte| matches!(byte, b'?' | b'[' | b'\\')) {
        return Way::Glob;
    }
    let stars: Vec<usize> = (0..pattern.len()).filter(|at| pattern[*at] == b'*').collect();
    match stars[..] {
        [] => Way::Exactly,
        [at] => Way::Ends(pattern[..at].into(), pattern[at + 1..].into()),
        [0, last] if last + 1 == pattern.len() => Way::Within(pattern[1..last].into()),
        _ => Way::Glob,
    }
}

/// What a pattern consists of.
enum Item {
    /// Any bytes, or none.
    Star,
    /// One byte of these.
    One(Box<[bool; 256]>),
}

fn items(pattern: &[u8]) -> Vec<Item> {
    let (mut items, mut at) = (Vec::new(), 0);
    while at < pattern.len() {
        if pattern[at] == b'*' {
            items.push(Item::Star);
            at += 1;
            continue;
        }
        let mut of = Box::new([false; 256]);
        let mut next = at + 1;
        for byte in 0..=u8::MAX {
            (of[usize::from(byte)], next) = glob::one(pattern, at, byte);
        }
        items.push(Item::One(of));
        at = next;
    }
    items
}

#[cfg(feature = "regex")]
fn expression(pattern: &[u8]) -> Option<regex::bytes::Regex> {
    use std::fmt::Write as _;
    let mut text = String::from(r"(?s-u)\A");
    for item in items(pattern) {
        match item {
            Item::Star => text.push_str(".*"),
            Item::One(of) if of.iter().all(|hit| *hit) => text.push('.'),
            Item::One(of) if of.iter().all(|hit| !hit) => text.push_str(r"[^\x00-\xff]"),
            Item::One(of) => {
                text.push('[');
                for byte in (0..256).filter(|byte| of[*byte]) {
                    let _ = write!(text, r"\x{byte:02x}");
                }
                text.push(']');
            }
        }
    }
    text.push_str(r"\z");
    regex::bytes::RegexBuilder::new(&text).build().ok()
}

/// Items beyond which an automaton would be large.
const MOST_ITEMS: usize = 4096;

/// Every way in which the text so far can have met the pattern, at once: bit `n` says that its first `n` bytes (stars
/// aside) are met.
#[derive(Debug, Clone)]
struct Automaton {
    /// Words of a state.
    words: usize,
    /// The bit that says that all is met.
    last: usize,
    /// For each byte of the text, which bits step on.
    step: Box<[u64]>,
    /// Bits that stay whatever comes: a star stands there.
    stay: Box<[u64]>,
}

impl Automaton {
    fn of(pattern: &[u8]) -> Option<Self> {
        let items = items(pattern);
        if items.len() > MOST_ITEMS {
            return None;
        }
        let last = items.iter().filter(|item| matches!(item, Item::One(_))).count();
        let words = last / 64 + 1;
        let (mut step, mut stay) = (vec![0; 256 * words], vec![0; words]);
        let mut at = 0;
        for item in &items {
            match item {
                Item::Star => stay[at / 64] |= 1 << (at % 64),
                Item::One(of) => {
                    for byte in (0..256).filter(|byte| of[*byte]) {
                        step[byte * words + at / 64] |= 1 << (at % 64);
                    }
                    at += 1;
                }
            }
        }
        Some(Self { words, last, step: step.into(), stay: stay.into() })
    }

    fn accepts(&self, text: &[u8]) -> bool {
        if self.words == 1 {
            let stay = self.stay[0];
            let mut state = 1_u64;
            for byte in text {
                state = (state & self.step[usize::from(*byte)]) << 1 | state & stay;
                if state == 0 {
                    return false;
                }
            }
            return state >> self.last & 1 == 1;
        }
        let mut state = vec![0_u64; self.words];
        state[0] = 1;
        for byte in text {
            let step = &self.step[usize::from(*byte) * self.words..][..self.words];
            let mut carry = 0;
            let mut any = 0;
            for ((word, step), stay) in state.iter_mut().zip(step).zip(&self.stay) {
                let stepping = *word & step;
                let next = stepping << 1 | carry | *word & stay;
                carry = stepping >> 63;
                any |= next;
                *word = next;
            }
            if any == 0 {
                return false;
            }
        }
        state[self.last / 64] >> (self.last % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ways() -> Vec<Matching> {
        vec![
            Matching::Glob,
            Matching::Simple,
            #[cfg(feature = "regex")]
            Matching::Regex,
            Matching::Automaton,
        ]
    }

    fn agree(pattern: &[u8], keys: &[&[u8]]) {
        for way in ways() {
            let prepared = Pattern::new(pattern, way);
            for key in keys {
                assert_eq!(
                    prepared.selects(key),
                    glob::selects(pattern, key),
                    "{way:?} {} {}",
                    pattern.escape_ascii(),
                    key.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn usual_patterns_are_met_in_every_way() {
        let keys: [&[u8]; 9] =
            [b"", b"a", b"user:1", b"user:", b"xuser:1", b"1", b"us\xff\ner:1", b"u", b"user:1:name"];
        for pattern in
            ["", "*", "**", "user:*", "*:1", "us*:1", "*er*", "u?er:[0-9]", "[^u]*", "\\u*", "*\n*"]
        {
            agree(pattern.as_bytes(), &keys);
        }
    }

    #[test]
    fn long_patterns_need_more_than_a_word() {
        let pattern = "ab?".repeat(60) + "*" + &"[xy]z".repeat(30);
        let text = "abc".repeat(60) + "anything" + &"yz".repeat(30);
        let (short, longer) = (&text[..text.len() - 1], text.clone() + "z");
        agree(pattern.as_bytes(), &[text.as_bytes(), short.as_bytes(), longer.as_bytes()]);
        assert!(Pattern::new(pattern.as_bytes(), Matching::Automaton).selects(text.as_bytes()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn all_ways_agree(pattern in r"[ab*?\[\]^\\-]{0,12}", key in r"[ab\]\[^-]{0,8}") {
            agree(pattern.as_bytes(), &[key.as_bytes()]);
        }

        #[test]
        fn all_ways_agree_on_any_bytes(
            pattern in prop::collection::vec(prop_oneof![Just(b'*'), Just(b'['), Just(b']'), any::<u8>()], 0..8),
            key in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            agree(&pattern, &[&key]);
        }
    }
}
