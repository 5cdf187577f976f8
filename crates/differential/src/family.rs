//! A family of commands: how they are made, from what data on, under which settings.

use std::collections::BTreeSet;

use testkit::Random;

use crate::atoms::COMMON;
use crate::pattern::{Atoms, Pattern};
use crate::spoil::spoil;
use crate::{Command, Round, families};

/// How many commands a round has at most; then everything begins anew, with other settings.
const ROUND: usize = 1500;

/// Everything that a family says about itself.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Settings with the values that rounds choose from, the same on both sides.
    pub settings: &'static [(&'static str, &'static [&'static str])],
    /// What a round begins with, beside a key of each type.
    pub preamble: &'static [&'static str],
    /// Atoms of its own.
    pub atoms: Atoms,
    /// Its commands, and how often each is chosen.
    pub patterns: &'static [(u32, &'static str)],
    /// Whether the streams to replicas are compared too.
    pub compare_streams: bool,
    /// Whether OBJECT ENCODING of every key is compared at the end.
    pub compare_encodings: bool,
}

/// Every family starts with a key of each type, and strings that stay cheap at the limit.
const PREAMBLE: &[&str] = &[
    "SET s1 hello",
    "RPUSH l1 a b c 1 2",
    "SADD t1 1 2 3",
    "ZADD z1 1 a 2 b 3 c",
    "HSET h1 f v g 2",
    "XADD x1 1-1 f v",
];
const SETTINGS: &[(&str, &[&str])] = &[("proto-max-bulk-len", &["1048576"])];

/// Whether a spoilt command adds to a stream under an id that the clock makes, or names a hash as a condition: Valkey
/// 9.1.2 takes that out of what it tells replicas. Or whether FUNCTION LIST would be told of an argument with a line end
/// in it, which 8.2.3 and 9.1.2 send back as it is: the reply is broken then.
fn is_unfair(command: &Command) -> bool {
    let is = |at: usize, words: &[&str]| {
        let word = command.get(at).map(Vec::as_slice).unwrap_or_default();
        words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
    };
    is(0, &["XADD"]) && command.iter().any(|word| word == b"*")
        || is(0, &["HSETEX"]) && is(1, &["NX", "XX", "FNX", "FXX", "KEEPTTL", "EX", "PX", "EXAT", "PXAT"])
        || is(0, &["FUNCTION"]) && is(1, &["LIST"]) && command.iter().any(|word| word.contains(&b'\n'))
}

/// Whether a spoilt command gives its key so little time that the key may go between two commands: a moment long ago
/// without the word that makes it one. Both sides then wait for that.
fn ends_soon(command: &Command) -> bool {
    let is = |name: &str| command[0].eq_ignore_ascii_case(name.as_bytes());
    let time = command.get(2).and_then(|time| std::str::from_utf8(time).ok()?.parse().ok());
    (is("RESTORE") || is("PEXPIRE")) && time.is_some_and(|ms: i64| (1..=1000).contains(&ms))
}

impl Family {
    /// All of them.
    #[must_use]
    pub fn all() -> &'static [&'static Self] {
        families::ALL
    }

    /// The family of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|family| family.name == name).copied()
    }

    /// The round of a seed, of at most so many commands, for a server that knows these commands.
    ///
    /// # Panics
    /// When a pattern is written wrongly.
    #[must_use]
    pub fn round(&self, seed: u64, most: usize, known: &BTreeSet<String>) -> Round {
        let mut random = Random::new(seed);
        let atoms = [self.atoms, COMMON];
        let make_all = |lines: &[&'static str], random: &mut Random| {
            lines.iter().flat_map(|line| Pattern::new(1, line, &atoms).make(random)).collect::<Vec<Command>>()
        };
        let mut commands = make_all(PREAMBLE, &mut random);
        commands.extend(make_all(self.preamble, &mut random));
        let patterns: Vec<Pattern> =
            self.patterns.iter().map(|(weight, text)| Pattern::new(*weight, text, &atoms)).collect();
        let total: u32 = patterns.iter().map(Pattern::weight).sum();
        while commands.len() < most.min(ROUND) {
            let mut place = random.below(total as usize) as u32;
            let chosen = patterns.iter().find(|pattern| {
                let here = place < pattern.weight();
                place = place.wrapping_sub(if here { 0 } else { pattern.weight() });
                here
            });
            let Some(pattern) = chosen else { continue };
            // What the server does not know is refused, which is soon seen.
            if !pattern.names().iter().all(|name| known.contains(name)) && !random.one_in(50) {
                continue;
            }
            let mut made = pattern.make(&mut random);
            if random.one_in(25) && made.len() == 1 {
                spoil(&mut random, &mut made[0]);
                if is_unfair(&made[0]) {
                    continue;
                }
                if ends_soon(&made[0]) {
                    made.push(vec![b"@gone".to_vec()]);
                }
            }
            commands.append(&mut made);
        }
        let settings = SETTINGS.iter().chain(self.settings);
        let settings =
            settings.map(|(name, values)| ((*name).to_owned(), random.pick(values).to_owned())).collect();
        let resp3 = random.one_in(2);
        Round {
            settings,
            resp3,
            compare_streams: self.compare_streams,
            compare_encodings: self.compare_encodings,
            commands,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_goes_between_two_commands_by_chance() {
        let past = Family::find("past").unwrap();
        let known: BTreeSet<String> = past
            .patterns
            .iter()
            .flat_map(|(_, text)| Pattern::new(1, text, &[past.atoms, COMMON]).names().to_vec())
            .collect();
        let mut short = 0;
        for seed in 0..100 {
            let commands = past.round(seed, ROUND, &known).commands;
            for pair in commands.windows(2) {
                let is_soon =
                    ends_soon(&pair[0]) && !pair[0].iter().any(|arg| arg.eq_ignore_ascii_case(b"ABSTTL"));
                assert!(!is_soon || pair[1][0] == b"@gone", "seed {seed}: {pair:?}");
                short += usize::from(is_soon && pair[0][0].eq_ignore_ascii_case(b"RESTORE"));
            }
        }
        assert!(short > 0, "nothing was there to be looked at");
    }
}
