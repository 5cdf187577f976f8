//! What real servers say of their commands, and we with them: flags, categories, key specifications, documentation.
//!
//! `servers.txt` has it all, ours or not, asked of the servers by `tests/descriptions.rs`. A line begins with
//! the letters of the servers that say it (`*`: all of them), so that one server's description is what is left without
//! the lines of others; its indentation makes a tree of them:
//!
//! ```text
//! * get
//! *  arity 2
//! *  key RO access; index 1; range 0 1 0     flags; where to begin; what to find from there; notes
//! 7  summary Get the value of a key
//! 8vV  summary Returns the string value of a key.
//! *   key key key:0                          an argument: name, type, attributes; its own arguments stand deeper
//! ```
//!
//! Redis 7.2 and 7.4 have no server among the judges. They say what Redis 8.2 says, without what is newer.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::compat::{Compat, Release};

mod key_spec;

pub use key_spec::{Begin, Find, FoundKey, KeyError, KeySpec, keys};

const SERVERS: &str = include_str!("servers.txt");

/// What one server says of one command.
#[derive(Debug, Default)]
pub struct Description {
    /// Lines without letters; an argument is indented, what is inside it one deeper.
    lines: Vec<&'static str>,
}

/// An argument of a command.
#[derive(Debug, Default)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// What a user sees for it, if not its name.
    pub display: Option<&'static str>,
    /// Which of the key specifications it belongs to.
    pub key: Option<i64>,
    /// The word before it, or that it is.
    pub token: Option<&'static str>,
    /// One sentence.
    pub summary: Option<&'static str>,
    /// The version that brought it.
    pub since: Option<&'static str>,
    /// The version that no longer wanted it.
    pub deprecated_since: Option<&'static str>,
    /// `optional`, `multiple`, `multiple_token`.
    pub flags: Vec<&'static str>,
    /// What it consists of, or the choice that it offers.
    pub arguments: Vec<Self>,
}

impl Description {
    /// The rest of each line that begins with this keyword.
    pub fn all<'d>(&'d self, keyword: &'d str) -> impl Iterator<Item = &'static str> + 'd {
        self.lines.iter().filter_map(move |line| match line.strip_prefix(keyword)? {
            "" => Some(""),
            rest => rest.strip_prefix(' '),
        })
    }

    /// The rest of the line that begins with this keyword.
    #[must_use]
    pub fn field(&self, keyword: &str) -> Option<&'static str> {
        self.all(keyword).next()
    }

    /// The words of that line.
    pub fn words<'d>(&'d self, keyword: &'d str) -> impl Iterator<Item = &'static str> + 'd {
        self.all(keyword).flat_map(str::split_ascii_whitespace)
    }

    /// The keys' places.
    pub fn key_specs(&self) -> impl Iterator<Item = KeySpec> + '_ {
        self.all("key").map(KeySpec::parse)
    }

    /// First, last and step of the keys, as far as three numbers can say.
    #[must_use]
    pub fn key_range(&self) -> [i64; 3] {
        let mut numbers = self.words("range").filter_map(|n| n.parse().ok());
        std::array::from_fn(|_| numbers.next().unwrap_or(0))
    }

    /// The tree of arguments.
    #[must_use]
    pub fn arguments(&self) -> Vec<Argument> {
        let mut lines = self.lines.iter().copied().filter(|line| depth(line) > 0).peekable();
        arguments(&mut lines, 1)
    }

    /// Without what a server of an older release cannot have.
    fn as_of(&mut self, release: Release) {
        let is_newer = |version: &str| Release::parse(version) > release;
        let undeprecated = self.field("deprecated_since").is_some_and(is_newer);
        let mut skipped = usize::MAX;
        self.lines.retain(|line| {
            let depth = depth(line);
            if depth > skipped {
                return false;
            }
            skipped = usize::MAX;
            let keyword = line.split(' ').next().unwrap_or_default();
            match keyword {
                "history" => !line.split(' ').nth(1).is_some_and(is_newer),
                "deprecated_since" | "replaced_by" => !undeprecated,
                "doc_flags" => !(undeprecated && *line == "doc_flags deprecated"),
                _ if depth > 0
                    && line.split(' ').filter_map(|word| word.strip_prefix("since:")).any(is_newer) =>
                {
                    skipped = depth;
                    false
                }
                _ => true,
            }
        });
    }
}

fn depth(line: &str) -> usize {
    line.bytes().take_while(|byte| *byte == b' ').count()
}

fn arguments(
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'static str>>,
    level: usize,
) -> Vec<Argument> {
    let mut found: Vec<Argument> = Vec::new();
    while let Some(line) = lines.next_if(|line| depth(line) >= level) {
        let mut argument = Argument::parse(line.trim_start());
        argument.arguments = arguments(lines, level + 1);
        found.push(argument);
    }
    found
}

impl Argument {
    fn parse(line: &'static str) -> Self {
        let (line, summary) = match line.split_once(" summary:") {
            Some((line, summary)) => (line, Some(summary)),
            None => (line, None),
        };
        let mut words = line.split(' ');
        let mut argument = Self {
            name: words.next().unwrap_or_default(),
            kind: words.next().unwrap_or_default(),
            summary,
            ..Self::default()
        };
        for word in words {
            match word.split_once(':') {
                Some(("display", text)) => argument.display = Some(text),
                Some(("key", n)) => argument.key = n.parse().ok(),
                Some(("token", text)) => argument.token = Some(text),
                Some(("since", version)) => argument.since = Some(version),
                Some(("deprecated_since", version)) => argument.deprecated_since = Some(version),
                _ => argument.flags.push(word),
            }
        }
        argument
    }
}

/// The letter of the server that a personality is like, and the release beyond which it is not.
fn judge(compat: Compat) -> (char, Option<Release>) {
    let older = || Some(Release::parse(compat.differences().version));
    match compat {
        Compat::Redis70 => ('7', None),
        Compat::Redis72 | Compat::Redis74 => ('8', older()),
        Compat::Redis82 => ('8', None),
        Compat::Valkey81 => ('v', None),
        Compat::Valkey91 => ('V', None),
    }
}

type Catalogue = BTreeMap<&'static str, Description>;

fn catalogue(compat: Compat) -> &'static Catalogue {
    static CATALOGUES: [OnceLock<Catalogue>; Compat::ALL.len()] =
        [const { OnceLock::new() }; Compat::ALL.len()];
    CATALOGUES[compat as usize].get_or_init(|| {
        let (letter, release) = judge(compat);
        let mut all = Catalogue::new();
        let mut current = None;
        for line in SERVERS.lines() {
            let Some((letters, line)) = line.split_once(' ') else { continue };
            if letters != "*" && !letters.contains(letter) {
                continue;
            }
            match line.strip_prefix(' ') {
                None => current = Some(all.entry(line).or_default()),
                Some(line) => {
                    if let Some(description) = &mut current {
                        description.lines.push(line);
                    }
                }
            }
        }
        if let Some(release) = release {
            all.retain(|_, description| {
                description.as_of(release);
                description.field("since").is_none_or(|since| Release::parse(since) <= release)
            });
        }
        all
    })
}

/// What the server of this personality says of a command, or of a `container|sub`, in lower case.
#[must_use]
pub fn describe(compat: Compat, name: &str) -> Option<&'static Description> {
    catalogue(compat).get(name)
}

/// What a container answers to HELP, a line each.
#[must_use]
pub fn help(compat: Compat, container: &[u8]) -> Vec<&'static str> {
    let name = String::from_utf8_lossy(container).to_ascii_lowercase();
    describe(compat, &name).map(|description| description.all("help").collect()).unwrap_or_default()
}

/// Every command and subcommand of the server of this personality, in order of names.
pub fn names(compat: Compat) -> impl Iterator<Item = &'static str> {
    catalogue(compat).keys().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_reads_as_the_tree_that_it_is() {
        let set = describe(Compat::Valkey91, "set").expect("known");
        assert_eq!(set.words("flags").collect::<Vec<_>>(), ["write", "denyoom"]);
        assert_eq!(set.key_range(), [1, 1, 1]);
        let arguments = set.arguments();
        let names: Vec<_> = arguments.iter().map(|argument| argument.name).collect();
        assert_eq!(names, ["key", "value", "condition", "get", "expiration"]);
        assert_eq!(arguments[2].kind, "oneof");
        assert_eq!(arguments[2].flags, ["optional"]);
        assert_eq!(arguments[2].arguments[2].token, Some("IFEQ"));
        assert!(arguments[2].arguments[2].summary.is_some_and(|text| text.contains(' ')));
        assert_eq!(arguments[4].arguments[4].since, Some("6.0.0"));
    }

    #[test]
    fn servers_that_nobody_can_ask_have_nothing_from_after_their_time() {
        for (compat, has, has_not) in [
            (Compat::Redis72, "waitaof", "hexpire"),
            (Compat::Redis74, "hexpire", "hgetdel"),
            (Compat::Redis82, "hgetdel", "delifeq"),
        ] {
            assert!(describe(compat, has).is_some() && describe(compat, has_not).is_none(), "{compat}");
        }
        let last = |compat| {
            describe(compat, "client|list")
                .and_then(|list| list.all("history").last())
                .and_then(|h| h.get(..5))
        };
        assert_eq!(last(Compat::Redis72), Some("7.2.0"));
        assert_eq!(last(Compat::Redis74), Some("7.4.0"));
        assert_eq!(last(Compat::Redis82), Some("8.0.0"));
        for name in names(Compat::Redis72) {
            let text = describe(Compat::Redis72, name).expect("listed").lines.join("\n");
            assert!(!text.contains("since:7.4") && !text.contains("since:8"), "{name}: {text}");
        }
    }
}
