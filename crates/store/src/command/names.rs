//! Things by the names of commands, which clients write in any case.

use std::collections::HashMap;

use crate::args::Args;

/// A name of up to sixteen bytes in lower case, as two words that overlap where it is short, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    words: [u64; 2],
    length: u8,
}

impl Short {
    #[inline]
    fn of(name: &[u8]) -> Option<Self> {
        let words = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(head), Some(tail)) if name.len() <= 16 => {
                [u64::from_le_bytes(*head), u64::from_le_bytes(*tail)]
            }
            (Some(_), _) => return None,
            _ => match (name.first_chunk::<4>(), name.last_chunk::<4>(), name) {
                (Some(head), Some(tail), _) => {
                    [u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into()]
                }
                (_, _, [a, b, c]) => [u32::from_le_bytes([*a, *b, *c, 0]).into(), 0],
                (_, _, [a, b]) => [u32::from_le_bytes([*a, *b, 0, 0]).into(), 0],
                (_, _, [a]) => [u64::from(*a), 0],
                _ => [0, 0],
            },
        };
        Some(Self { words: words.map(lower), length: name.len() as u8 })
    }

    #[inline]
    fn hash(self) -> usize {
        let [a, b] = self.words;
        let mixed =
            u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b.rotate_left(32) ^ 0xd1b5_4a32_d192_ed03);
        ((mixed >> 64) as u64 ^ mixed as u64 ^ u64::from(self.length)) as usize
    }
}

/// Eight letters in lower case; what is no letter of ASCII stays.
#[inline]
fn lower(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let seven = word & (EACH * 0x7f);
    let from_a = seven + EACH * (0x80 - b'A' as u64);
    let beyond_z = seven + EACH * (0x7f - b'Z' as u64);
    let upper = (from_a ^ beyond_z) & !word & (EACH * 0x80);
    word | (upper >> 2)
}

/// A table of `T` by name. Finding one costs a few nanoseconds and allocates nothing.
#[derive(Debug)]
struct Names<T> {
    /// Open addressing; its length is a power of two, and at most half of it is taken.
    short: Box<[Option<(Short, T)>]>,
    long: HashMap<Box<[u8]>, T, foldhash::fast::FixedState>,
}

impl<T> Names<T> {
    /// What has this name, in whatever case it is written.
    #[inline]
    fn get(&self, name: &[u8]) -> Option<&T> {
        let Some(short) = Short::of(name) else { return self.long.get(&*name.to_ascii_lowercase()) };
        let mask = self.short.len() - 1;
        let mut at = short.hash() & mask;
        while let Some((found, thing)) = &self.short[at] {
            if *found == short {
                return Some(thing);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

impl<'n, T> FromIterator<(&'n str, T)> for Names<T> {
    fn from_iter<I: IntoIterator<Item = (&'n str, T)>>(all: I) -> Self {
        let all: Vec<_> = all.into_iter().collect();
        let mut short: Box<[_]> = (0..(all.len() * 2 + 1).next_power_of_two()).map(|_| None).collect();
        let mut long = HashMap::default();
        let mask = short.len() - 1;
        for (name, thing) in all {
            match Short::of(name.as_bytes()) {
                Some(key) => {
                    let mut at = key.hash() & mask;
                    while short[at].as_ref().is_some_and(|(taken, _)| *taken != key) {
                        at = (at + 1) & mask;
                    }
                    short[at] = Some((key, thing));
                }
                None => drop(long.insert(name.to_ascii_lowercase().into_bytes().into(), thing)),
            }
        }
        Self { short, long }
    }
}

/// Rows by name, those of subcommands behind their container's: nobody calls one without it.
#[derive(Debug)]
pub struct Rows<T> {
    commands: Names<T>,
    /// As `container|sub`.
    subcommands: Names<T>,
}

impl<T> Rows<T> {
    /// The row that a request names: its subcommand's if `is_container` says so of the command and there is a second
    /// word.
    #[inline]
    #[must_use]
    pub fn find(&self, args: Args<'_>, is_container: impl Fn(&T) -> bool) -> Option<&T> {
        let row = self.commands.get(args.at(0))?;
        if is_container(row) && args.len() > 1 {
            return self.subcommands.get(&[args.at(0), b"|", args.at(1)].concat());
        }
        Some(row)
    }

    /// The row of a command alone.
    #[must_use]
    pub fn command(&self, name: &[u8]) -> Option<&T> {
        self.commands.get(name)
    }
}

impl<'n, T> FromIterator<(&'n str, T)> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = (&'n str, T)>>(rows: I) -> Self {
        let (subcommands, commands): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(name, _)| name.contains('|'));
        Self { commands: commands.into_iter().collect(), subcommands: subcommands.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_nothing_else_is() {
        let names: Vec<String> =
            (0..40).map(|n| "georadiusbymember_ro|store-of-everything-x"[..n].to_owned()).collect();
        let table: Names<usize> = names.iter().enumerate().map(|(n, name)| (name.as_str(), n)).collect();
        for (n, name) in names.iter().enumerate() {
            assert_eq!(table.get(name.as_bytes()), Some(&n), "{name}");
            assert_eq!(table.get(name.to_ascii_uppercase().as_bytes()), Some(&n), "{name}");
            for at in 0..n {
                for byte in 0..=u8::MAX {
                    let mut other = name.clone().into_bytes();
                    other[at] = byte;
                    let is_same = other.eq_ignore_ascii_case(name.as_bytes());
                    assert_eq!(table.get(&other) == Some(&n), is_same, "{name} with {byte:#x} at {at}");
                }
            }
        }
        assert_eq!(table.get(&[b'g'; 41]), None);
    }
}
