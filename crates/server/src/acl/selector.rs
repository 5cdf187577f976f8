//! One set of permissions: which commands, on which keys, channels and databases.

use std::collections::{BTreeSet, HashMap, HashSet};

use store::command::description::{self, FoundKey};
use store::{Args, Compat};

use super::rule::RuleError;

/// What may be done to keys that match a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Access {
    const ALL: Self = Self { read: true, write: true };

    fn allows(self, wanted: Self) -> bool {
        (self.read || !wanted.read) && (self.write || !wanted.write)
    }

    /// What a command does to a key, by the flags of its key specification.
    fn of_key(key: &FoundKey) -> Self {
        let mut wanted = Self { read: false, write: false };
        for flag in key.flags.split(' ') {
            match flag {
                "access" => wanted.read = true,
                "insert" | "delete" | "update" => wanted.write = true,
                _ => {}
            }
        }
        wanted
    }
}

/// Patterns, or all there is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Patterns<P> {
    All,
    Some(Vec<P>),
}

impl<P> Patterns<P> {
    fn none() -> Self {
        Self::Some(Vec::new())
    }
}

type Name = Box<[u8]>;

/// Why a selector does not allow a command, with the argument that it is about; the later the kind, the nearer it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Denied {
    /// The command itself.
    Command,
    /// The key at this argument.
    Key(usize),
    /// The channel at this argument.
    Channel(usize),
    /// The database at this argument, or the selected one.
    Database(usize),
}

/// Permissions that hold together.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    /// Whether commands that no rule names are allowed.
    by_default: bool,
    /// Command rules as they were given, without those that later ones made pointless; the first is `+@all` or `-@all`.
    rules: Vec<String>,
    keys: Patterns<(Access, Name)>,
    channels: Patterns<Name>,
    databases: Patterns<u32>,
    compiled: Compiled,
}

/// What the rules come to for one personality.
#[derive(Debug, Clone, Default)]
struct Compiled {
    commands: HashSet<&'static str>,
    /// Commands allowed for some first arguments only.
    first_args: HashMap<&'static str, BTreeSet<String>>,
}

impl Selector {
    /// Nothing is allowed, but every database.
    pub(crate) fn nothing() -> Self {
        Self {
            by_default: false,
            rules: vec!["-@all".to_owned()],
            keys: Patterns::none(),
            channels: Patterns::none(),
            databases: Patterns::All,
            compiled: Compiled::default(),
        }
    }

    /// Everything is allowed.
    pub(crate) fn everything(compat: Compat) -> Self {
        let mut selector = Self::nothing();
        (selector.keys, selector.channels) = (Patterns::All, Patterns::All);
        selector.all_commands(true, compat);
        selector
    }

    /// Whether there is nothing that it does not allow.
    pub(crate) fn is_everything(&self) -> bool {
        self.rules == ["+@all"]
            && self.keys == Patterns::All
            && self.channels == Patterns::All
            && self.databases == Patterns::All
    }

    /// Applies one rule of those that selectors take; `None` if it is none of them.
    pub(crate) fn apply(&mut self, rule: &[u8], compat: Compat) -> Option<Result<(), RuleError>> {
        let lower = rule.to_ascii_lowercase();
        match lower.as_slice() {
            b"allkeys" | b"~*" => self.keys = Patterns::All,
            b"resetkeys" => self.keys = Patterns::none(),
            b"allchannels" | b"&*" => self.channels = Patterns::All,
            b"resetchannels" => self.channels = Patterns::none(),
            b"allcommands" | b"+@all" => self.all_commands(true, compat),
            b"nocommands" | b"-@all" => self.all_commands(false, compat),
            b"alldbs" if has_databases(compat) => self.databases = Patterns::All,
            b"resetdbs" if has_databases(compat) => self.databases = Patterns::none(),
            [b'd', b'b', b'=', ids @ ..] if has_databases(compat) => return Some(self.add_databases(ids)),
            [b'~', ..] => return Some(self.add_key(Access::ALL, &rule[1..])),
            [b'%', ..] => return Some(self.add_key_with_access(&rule[1..])),
            [b'&', ..] => return Some(self.add_channel(&rule[1..])),
            [b'+' | b'-', b'@', ..] => return Some(self.add_category(&lower, compat)),
            [b'+' | b'-', ..] => return Some(self.add_command(&lower, compat)),
            _ => return None,
        }
        Some(Ok(()))
    }

    fn all_commands(&mut self, allowed: bool, compat: Compat) {
        self.by_default = allowed;
        self.rules = vec![if allowed { "+@all" } else { "-@all" }.to_owned()];
        self.compile(compat);
    }

    fn add_databases(&mut self, ids: &[u8]) -> Result<(), RuleError> {
        let text = std::str::from_utf8(ids).map_err(|_| RuleError::Syntax)?;
        let ids: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
        self.databases = Patterns::Some(ids.map_err(|_| RuleError::Syntax)?);
        Ok(())
    }

    fn add_key_with_access(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let tilde = rule.iter().position(|byte| *byte == b'~').ok_or(RuleError::Syntax)?;
        let mut access = Access { read: false, write: false };
        for letter in &rule[..tilde] {
            match letter.to_ascii_uppercase() {
                b'R' if !access.read => access.read = true,
                b'W' if !access.write => access.write = true,
                _ => return Err(RuleError::Syntax),
            }
        }
        if tilde == 0 {
            return Err(RuleError::Syntax);
        }
        if access == Access::ALL && &rule[tilde + 1..] == b"*" {
            self.keys = Patterns::All;
            return Ok(());
        }
        self.add_key(access, &rule[tilde + 1..])
    }

    fn add_key(&mut self, access: Access, pattern: &[u8]) -> Result<(), RuleError> {
        let Patterns::Some(patterns) = &mut self.keys else { return Err(RuleError::AfterAllKeys) };
        has_no_space(pattern)?;
        match patterns.iter_mut().find(|(_, known)| **known == *pattern) {
            Some((known, _)) => {
                *known = Access { read: known.read || access.read, write: known.write || access.write };
            }
            None => patterns.push((access, pattern.into())),
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        let Patterns::Some(patterns) = &mut self.channels else { return Err(RuleError::AfterAllChannels) };
        has_no_space(pattern)?;
        if !patterns.iter().any(|known| **known == *pattern) {
            patterns.push(pattern.into());
        }
        Ok(())
    }

    fn add_category(&mut self, rule: &[u8], compat: Compat) -> Result<(), RuleError> {
        let rule = std::str::from_utf8(rule).map_err(|_| RuleError::Unknown)?;
        if !categories(compat).contains(&&rule[2..]) {
            return Err(RuleError::Unknown);
        }
        self.add_rule(rule, compat);
        Ok(())
    }

    fn add_command(&mut self, rule: &[u8], compat: Compat) -> Result<(), RuleError> {
        let rule = std::str::from_utf8(rule).map_err(|_| RuleError::Unknown)?;
        let (allowed, name) = (rule.starts_with('+'), &rule[1..]);
        if known(compat, name).is_none() {
            // A command with a first argument; containers know their subcommands.
            let (command, argument) = name.split_once('|').ok_or(RuleError::Unknown)?;
            let command = known(compat, command).ok_or(RuleError::Unknown)?;
            if is_container(compat, command) {
                return Err(RuleError::Unknown);
            }
            if argument.is_empty() || argument.contains('|') {
                return Err(RuleError::Syntax);
            }
            if !allowed {
                return Err(RuleError::FirstArgument);
            }
        }
        self.add_rule(rule, compat);
        Ok(())
    }

    /// Takes the place of earlier rules about the same, or about parts of it.
    fn add_rule(&mut self, rule: &str, compat: Compat) {
        let name = &rule[1..];
        self.rules.retain(|known| {
            let rest = known[1..].strip_prefix(name);
            !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        });
        self.rules.push(rule.to_owned());
        // Rules about everything stand first, whatever a retain took.
        if !self.rules[0].ends_with("@all") {
            self.rules.insert(0, if self.by_default { "+@all" } else { "-@all" }.to_owned());
        }
        self.compile(compat);
    }

    /// Finds out what the rules mean for a personality's commands.
    pub(crate) fn compile(&mut self, compat: Compat) {
        let mut compiled = Compiled::default();
        for rule in &self.rules {
            let (allowed, name) = (rule.starts_with('+'), &rule[1..]);
            if let Some(category) = name.strip_prefix('@') {
                description::names(compat)
                    .filter(|name| category == "all" || is_in(compat, name, category))
                    .for_each(|name| compiled.set(name, allowed));
            } else if let Some(name) = known(compat, name) {
                compiled.set(name, allowed);
                let is_its = |sub: &&str| sub.split_once('|').is_some_and(|(container, _)| container == name);
                description::names(compat).filter(is_its).for_each(|sub| compiled.set(sub, allowed));
            } else if let Some((command, argument)) = name.split_once('|')
                && let Some(command) = known(compat, command)
            {
                compiled.first_args.entry(command).or_default().insert(argument.to_owned());
            }
        }
        self.compiled = compiled;
    }

    // ---- asking

    /// Whether the command with its arguments may run.
    pub(crate) fn check(&self, compat: Compat, name: &str, args: Args<'_>, db: u32) -> Result<(), Denied> {
        if !self.allows_command(compat, name, args) {
            return Err(Denied::Command);
        }
        if let Patterns::Some(patterns) = &self.keys {
            for key in description::keys(compat, name, args).unwrap_or_default() {
                let wanted = Access::of_key(&key);
                let text = args.at(key.at);
                let allowed = |(access, pattern): &(Access, Name)| {
                    access.allows(wanted) && store::glob::matches(pattern, text)
                };
                if !patterns.iter().any(allowed) {
                    return Err(Denied::Key(key.at));
                }
            }
        }
        if let Patterns::Some(patterns) = &self.channels {
            let (channels, literal) = channels(name, args);
            for at in channels {
                if !self.allows_channel_in(patterns, args.at(at), literal) {
                    return Err(Denied::Channel(at));
                }
            }
        }
        if let Patterns::Some(ids) = &self.databases {
            let mut all = databases(compat, name, args, db).into_iter();
            if let Some((at, _)) = all.find(|(_, db)| !ids.contains(db)) {
                return Err(Denied::Database(at));
            }
        }
        Ok(())
    }

    fn allows_command(&self, compat: Compat, name: &str, args: Args<'_>) -> bool {
        if self.compiled.commands.contains(name) {
            return true;
        }
        if self.by_default && known(compat, name).is_none() {
            return true;
        }
        let command = name.split('|').next().unwrap_or_default();
        self.compiled.first_args.get(command).is_some_and(|arguments| {
            let argument = String::from_utf8_lossy(args.at(1)).to_ascii_lowercase();
            arguments.contains(&argument)
        })
    }

    /// A subscriber's pattern must be one of ours to the letter.
    fn allows_channel_in(&self, patterns: &[Name], channel: &[u8], literal: bool) -> bool {
        patterns.iter().any(|pattern| {
            if literal { **pattern == *channel } else { store::glob::matches(pattern, channel) }
        })
    }

    /// Whether what one listens to may still be listened to.
    pub(crate) fn allows_channel(&self, channel: &[u8], literal: bool) -> bool {
        match &self.channels {
            Patterns::All => true,
            Patterns::Some(patterns) => self.allows_channel_in(patterns, channel, literal),
        }
    }

    // ---- telling

    pub(crate) fn commands_text(&self) -> String {
        self.rules.join(" ")
    }

    pub(crate) fn keys_text(&self) -> Vec<u8> {
        match &self.keys {
            Patterns::All => b"~*".to_vec(),
            Patterns::Some(patterns) => {
                let one = |(access, pattern): &(Access, Name)| {
                    let head: &[u8] = match (access.read, access.write) {
                        (true, true) => b"~",
                        (true, false) => b"%R~",
                        _ => b"%W~",
                    };
                    [head, pattern].concat()
                };
                patterns.iter().map(one).collect::<Vec<_>>().join(&b' ')
            }
        }
    }

    pub(crate) fn channels_text(&self) -> Vec<u8> {
        match &self.channels {
            Patterns::All => b"&*".to_vec(),
            Patterns::Some(patterns) => {
                patterns.iter().map(|p| [b"&", &**p].concat()).collect::<Vec<_>>().join(&b' ')
            }
        }
    }

    pub(crate) fn databases_text(&self) -> String {
        match &self.databases {
            Patterns::All => "alldbs".to_owned(),
            Patterns::Some(ids) if ids.is_empty() => String::new(),
            Patterns::Some(ids) => {
                format!("db={}", ids.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// All of it, as ACL LIST prints it.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let keys = self.keys_text();
        if !keys.is_empty() {
            parts.push(keys);
        }
        match &self.channels {
            Patterns::All => parts.push(b"&*".to_vec()),
            Patterns::Some(_) => {
                parts.push(b"resetchannels".to_vec());
                let channels = self.channels_text();
                if !channels.is_empty() {
                    parts.push(channels);
                }
            }
        }
        if self.databases != Patterns::All {
            let text = self.databases_text();
            parts.push(if text.is_empty() { b"resetdbs".to_vec() } else { text.into_bytes() });
        }
        parts.push(self.commands_text().into_bytes());
        parts.join(&b' ')
    }
}

impl Compiled {
    fn set(&mut self, name: &'static str, allowed: bool) {
        self.first_args.remove(name);
        if allowed {
            self.commands.insert(name);
        } else {
            self.commands.remove(name);
        }
    }
}

fn has_no_space(pattern: &[u8]) -> Result<(), RuleError> {
    if pattern.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        return Err(RuleError::Syntax);
    }
    Ok(())
}

fn has_databases(compat: Compat) -> bool {
    compat.differences().acl_databases
}

/// The name as the personality's own, if it has the command.
fn known(compat: Compat, name: &str) -> Option<&'static str> {
    description::names(compat).find(|known| *known == name)
}

fn is_container(compat: Compat, name: &str) -> bool {
    description::names(compat).any(|sub| sub.split_once('|').is_some_and(|(container, _)| container == name))
}

fn is_in(compat: Compat, name: &str, category: &str) -> bool {
    description::describe(compat, name).is_some_and(|d| d.words("acl").any(|word| word == category))
}

/// The categories that a server has, in its order.
pub(crate) fn categories(compat: Compat) -> Vec<&'static str> {
    const ORDER: [&str; 21] = [
        "keyspace",
        "read",
        "write",
        "set",
        "sortedset",
        "list",
        "hash",
        "string",
        "bitmap",
        "hyperloglog",
        "geo",
        "stream",
        "pubsub",
        "admin",
        "fast",
        "slow",
        "blocking",
        "dangerous",
        "connection",
        "transaction",
        "scripting",
    ];
    let mut all = ORDER.to_vec();
    // Those of modules stand behind.
    for name in description::names(compat) {
        for category in description::describe(compat, name).into_iter().flat_map(|d| d.words("acl")) {
            if !all.contains(&category) {
                all.push(category);
            }
        }
    }
    all
}

/// The databases that a command touches, with the argument that names each; 0: the selected one.
fn databases(compat: Compat, name: &str, args: Args<'_>, db: u32) -> Vec<(usize, u32)> {
    let named = |at: usize| args.int(at).ok().and_then(|n| u32::try_from(n).ok()).map(|db| (at, db));
    let selected = || std::iter::once((0, db));
    match name {
        "select" => named(1).into_iter().collect(),
        "swapdb" => named(1).into_iter().chain(named(2)).collect(),
        "move" => selected().chain(named(2)).collect(),
        "copy" => {
            let target = (3..args.len()).find(|at| args.is(*at, "db")).and_then(|at| named(at + 1));
            selected().chain(target).collect()
        }
        // Whoever may not touch every database may not touch them all.
        "flushall" => vec![(0, u32::MAX)],
        _ if is_about_data(compat, name) => vec![(0, db)],
        _ => Vec::new(),
    }
}

/// Whether a command reads or writes, or has keys.
fn is_about_data(compat: Compat, name: &str) -> bool {
    description::describe(compat, name).is_some_and(|d| {
        d.words("flags").any(|flag| matches!(flag, "readonly" | "write")) || d.key_specs().next().is_some()
    })
}

/// The arguments that are channels, and whether they are patterns, which must be allowed to the letter.
fn channels(name: &str, args: Args<'_>) -> (std::ops::Range<usize>, bool) {
    match name {
        "publish" | "spublish" => (1..2, false),
        "subscribe" | "ssubscribe" => (1..args.len(), false),
        "psubscribe" => (1..args.len(), true),
        _ => (0..0, false),
    }
}
