//! Key specifications: where a command's keys stand, and what happens to them.

use super::describe;
use crate::args::{Args, is_word};
use crate::compat::Compat;
use crate::number;

/// One of a command's key specifications.
#[derive(Debug, Clone)]
pub struct KeySpec {
    /// `RO`, `access` and the like.
    pub flags: &'static str,
    /// Where the search begins.
    pub begin: Begin,
    /// Which arguments from there on are keys.
    pub find: Find,
    /// What a specification cannot say.
    pub notes: Option<&'static str>,
}

/// Where the search for keys begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(i64),
    /// Behind this word, which is looked for from an argument on; backwards if that is negative.
    Keyword(&'static str, i64),
    /// Nobody knows.
    Unknown,
}

/// Which arguments are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find {
    /// Up to `last` further (from the end if negative), one in `step`; with a `limit`, as many parts of the rest.
    Range {
        /// Offset of the last key.
        last: i64,
        /// Distance between keys.
        step: i64,
        /// 2: the first half of the rest.
        limit: i64,
    },
    /// As many as an argument says.
    Keynum {
        /// Offset of the number.
        count: i64,
        /// Offset of the first key.
        first: i64,
        /// Distance between keys.
        step: i64,
    },
    /// Nobody knows.
    Unknown,
}

impl KeySpec {
    pub(super) fn parse(line: &'static str) -> Self {
        let mut parts = line.splitn(4, "; ");
        let flags = parts.next().unwrap_or_default();
        let words = |part: Option<&'static str>| part.unwrap_or_default().split(' ').collect::<Vec<_>>();
        let number = |text: &&str| text.parse::<i64>().unwrap_or(0);
        let begin = match words(parts.next()).as_slice() {
            ["index", at] => Begin::Index(number(at)),
            ["keyword", word, from] => Begin::Keyword(word, number(from)),
            _ => Begin::Unknown,
        };
        let find = match words(parts.next()).as_slice() {
            ["range", last, step, limit] => {
                Find::Range { last: number(last), step: number(step), limit: number(limit) }
            }
            ["keynum", count, first, step] => {
                Find::Keynum { count: number(count), first: number(first), step: number(step) }
            }
            _ => Find::Unknown,
        };
        Self { flags, begin, find, notes: parts.next() }
    }

    /// Whether it tells everything by itself.
    fn is_sure(&self) -> bool {
        self.begin != Begin::Unknown
            && self.find != Find::Unknown
            && !self.flags.split(' ').any(|flag| matches!(flag, "variable_flags" | "incomplete"))
    }

    /// Appends its keys in a call; false if the call does not fit it.
    fn find_in(&self, args: Args<'_>, parse: fn(&[u8]) -> Option<i64>, out: &mut Vec<FoundKey>) -> bool {
        let argc = i64::try_from(args.len()).unwrap_or(i64::MAX);
        let arg = |at: i64| usize::try_from(at).ok().and_then(|at| args.get(at));
        let first = match self.begin {
            Begin::Index(at) => at,
            Begin::Keyword(word, from) => {
                let mut places: Box<dyn Iterator<Item = i64>> =
                    if from < 0 { Box::new((1..=argc + from).rev()) } else { Box::new(from..argc - 1) };
                match places.find(|at| arg(*at).is_some_and(|arg| is_word(arg, word))) {
                    Some(at) => at + 1,
                    // Whoever leaves the word out has no such keys.
                    None => return true,
                }
            }
            Begin::Unknown => return true,
        };
        let (first, last, step) = match self.find {
            Find::Range { last, step, .. } if last >= 0 => (first, first + last, step),
            Find::Range { last, step, limit: 0 } => (first, argc + last, step),
            Find::Range { last, step, limit } => (first, first + (argc - first) / limit + last, step),
            Find::Keynum { count, first: offset, step } => {
                let Some(n) = arg(first + count).and_then(parse).filter(|n| (0..argc).contains(n)) else {
                    return false;
                };
                (first + offset, first + offset + (n - 1) * step, step)
            }
            Find::Unknown => return true,
        };
        if first >= argc || last >= argc || last < first {
            return false;
        }
        let flags = self.flags;
        let places = (first..=last).step_by(usize::try_from(step).unwrap_or(1).max(1));
        out.extend(places.filter_map(|at| Some(FoundKey { at: usize::try_from(at).ok()?, flags })));
        true
    }
}

/// A key among the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundKey {
    /// Which argument.
    pub at: usize,
    /// What the command does with it.
    pub flags: &'static str,
}

/// Why a call's keys cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// The command never has any.
    NoKeys,
    /// The arguments do not fit the command.
    Invalid,
}

const READ: &str = "RO access";
const OVERWRITTEN: &str = "OW update";
const CHANGED: &str = "RW access update";

/// The keys of a call, as COMMAND GETKEYSANDFLAGS tells them; `name` is the command's, with its subcommand's.
///
/// # Errors
/// [`KeyError`]
pub fn keys(compat: Compat, name: &str, args: Args<'_>) -> Result<Vec<FoundKey>, KeyError> {
    let description = describe(compat, name).ok_or(KeyError::NoKeys)?;
    let specs: Vec<KeySpec> =
        description.key_specs().filter(|spec| !spec.flags.split(' ').any(|flag| flag == "not_key")).collect();
    if specs.is_empty() {
        return Err(KeyError::NoKeys);
    }
    let mut found = Vec::new();
    let fits = if specs.iter().all(KeySpec::is_sure) {
        specs.iter().all(|spec| spec.find_in(args, number::parse_i64, &mut found)) || {
            // A number that is written oddly still counts, though then nobody says what happens to the keys, and the
            // destination is told last.
            found.clear();
            let is_counted = specs.iter().any(|spec| matches!(spec.find, Find::Keynum { .. }));
            let fits = is_counted && specs.iter().rev().all(|spec| spec.find_in(args, lenient, &mut found));
            found.iter_mut().for_each(|key| key.flags = "");
            fits
        }
    } else {
        by_hand(name, compat, &specs, args, &mut found)
    };
    match (fits, found.is_empty()) {
        (true, false) => Ok(found),
        _ if description.words("flags").any(|flag| flag == "no_mandatory_keys") => Ok(Vec::new()),
        _ => Err(KeyError::Invalid),
    }
}

/// A number at the front, as C reads it.
fn lenient(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii_start();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

/// The commands whose keys, or what happens to them, depend on options.
fn by_hand(name: &str, compat: Compat, specs: &[KeySpec], args: Args<'_>, out: &mut Vec<FoundKey>) -> bool {
    let mut key = |at, flags| out.push(FoundKey { at, flags });
    match name {
        "set" => key(1, if (3..args.len()).any(|at| args.is(at, "get")) { CHANGED } else { OVERWRITTEN }),
        "bitfield" => key(1, if only_reads(args) { READ } else { CHANGED }),
        "sort" | "sort_ro" => {
            key(1, READ);
            if let Some(at) = sort_target(args).filter(|_| name == "sort") {
                key(at, OVERWRITTEN);
            }
        }
        "georadius" | "georadiusbymember" if compat == Compat::Valkey91 => {
            key(1, READ);
            let (mut at, mut target) = (5, None);
            while at + 1 < args.len() {
                if args.is(at, "store") || args.is(at, "storedist") {
                    at += 1;
                    target = Some(at);
                }
                at += 1;
            }
            if let Some(at) = target {
                key(at, OVERWRITTEN);
            }
        }
        "migrate" => {
            let flags = specs.first().map_or("", |spec| spec.flags);
            let keys = migrate_keys(args);
            match keys {
                Some(_) if !args.at(3).is_empty() => return false,
                Some(first) => (first..args.len()).for_each(|at| key(at, flags)),
                None => key(3, flags),
            }
        }
        _ => return specs.iter().all(|spec| spec.find_in(args, number::parse_i64, out)),
    }
    true
}

/// BITFIELD without SET and INCRBY, as far as it can be read.
fn only_reads(args: Args<'_>) -> bool {
    let mut at = 2;
    while at < args.len() {
        let left = args.len() - at - 1;
        if args.is(at, "get") && left >= 2 {
            at += 3;
        } else if args.is(at, "overflow") && left >= 1 {
            at += 2;
        } else {
            return false;
        }
    }
    true
}

/// The place of SORT's destination: behind the last STORE that is no option's value. What follows a STORE is looked at
/// again, as an option, by every real server.
fn sort_target(args: Args<'_>) -> Option<usize> {
    let (mut at, mut target) = (2, None);
    while at < args.len() {
        at += if args.is(at, "limit") {
            3
        } else if args.is(at, "get") || args.is(at, "by") {
            2
        } else if args.is(at, "store") && at + 1 < args.len() {
            target = Some(at + 1);
            1
        } else {
            1
        };
    }
    target
}

/// The place of the first key behind MIGRATE's KEYS, which may also be a password.
fn migrate_keys(args: Args<'_>) -> Option<usize> {
    let mut at = 6;
    while at < args.len() {
        at += if args.is(at, "keys") {
            return (at + 1 < args.len()).then_some(at + 1);
        } else if args.is(at, "auth") {
            2
        } else if args.is(at, "auth2") {
            3
        } else {
            1
        };
    }
    None
}
