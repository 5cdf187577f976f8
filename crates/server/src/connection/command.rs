//! COMMAND: what the tables say.

use store::command::{self as data, Flags, Group, Keys};
use store::{Args, CommandError, CommandResult, Compat, Family, Null, Reply};

use super::{Row, rows, unknown_subcommand};
use crate::reply::RespReply;
use crate::session::{Ground, Session};

rows! { "server";
    /// Returns detailed information about all commands.
    "command" -1 [Flags::CONTAINER, Flags::LOADING, Flags::STALE], since "2.8.13", cost "O(N) where N is the total number of Redis commands" => everything;
    /// Returns a count of commands.
    "command|count" 2 [Flags::LOADING, Flags::STALE], since "2.8.13", cost "O(1)" => count;
    /// Returns documentary information about one, multiple or all commands.
    "command|docs" -2 [Flags::LOADING, Flags::STALE], since "7.0.0", cost "O(N) where N is the number of commands to look up" => docs;
    /// Extracts the key names from an arbitrary command.
    "command|getkeys" -4 [Flags::LOADING, Flags::STALE], since "2.8.13", cost "O(N) where N is the number of arguments to the command" => getkeys;
    /// Returns information about one, multiple or all commands.
    "command|info" -2 [Flags::LOADING, Flags::STALE], since "2.8.13", cost "O(N) where N is the number of commands to look up" => info;
    /// Returns a list of command names.
    "command|list" -2 [Flags::LOADING, Flags::STALE], since "7.0.0", cost "O(N) where N is the total number of Redis commands" => list;
}

/// A row of either table, as COMMAND tells it.
struct Told {
    name: &'static str,
    group: &'static str,
    arity: i16,
    flags: Flags,
    is_write: Option<bool>,
    keys: Keys,
    since: &'static str,
    cost: &'static str,
    summary: &'static str,
}

impl From<&'static data::Command> for Told {
    fn from(row: &'static data::Command) -> Self {
        let group = match row.group {
            Group::Generic => "generic",
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Stream => "stream",
            Group::HyperLogLog => "hyperloglog",
            Group::Geo => "geo",
        };
        let is_write = (!row.flags.has(Flags::CONTAINER)).then(|| row.is_write());
        Self {
            name: row.name,
            group,
            arity: row.arity,
            flags: row.flags,
            is_write,
            keys: row.keys,
            since: row.since.of(Family::Redis).or_else(|| row.since.of(Family::Valkey)).unwrap_or_default(),
            cost: row.cost,
            summary: row.summary,
        }
    }
}

impl From<&'static Row> for Told {
    fn from(row: &'static Row) -> Self {
        Self {
            name: row.name,
            group: row.group,
            arity: row.arity,
            flags: row.flags,
            is_write: None,
            keys: Keys::None,
            since: row.since.of(Family::Redis).or_else(|| row.since.of(Family::Valkey)).unwrap_or_default(),
            cost: row.cost,
            summary: row.summary,
        }
    }
}

fn all() -> Vec<Told> {
    data::all().map(Told::from).chain(super::all().map(Told::from)).collect()
}

/// Commands that are no subcommands.
fn top() -> Vec<Told> {
    all().into_iter().filter(|told| !told.name.contains('|')).collect()
}

fn named(compat: Compat, name: &[u8]) -> Option<Told> {
    let parts: Vec<&[u8]> = name.splitn(2, |b| *b == b'|').collect();
    let args = Args::new(&parts);
    let whole = |told: &Told| told.name.eq_ignore_ascii_case(&String::from_utf8_lossy(name));
    let connection = || super::find_for(compat, args).map(Told::from);
    data::find_for(compat, args).map(Told::from).or_else(connection).filter(whole)
}

impl Told {
    fn flag_names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        match self.is_write {
            Some(true) => names.push("write"),
            Some(false) => names.push("readonly"),
            None => {}
        }
        let table = [
            (Flags::DENYOOM, "denyoom"),
            (Flags::ADMIN, "admin"),
            (Flags::NOSCRIPT, "noscript"),
            (Flags::BLOCKING, "blocking"),
            (Flags::LOADING, "loading"),
            (Flags::STALE, "stale"),
            (Flags::FAST, "fast"),
            (super::NO_AUTH, "no_auth"),
            (Flags::MAY_REPLICATE, "may_replicate"),
            (Flags::MOVABLE_KEYS, "movablekeys"),
        ];
        names.extend(table.iter().filter(|(flag, _)| self.flags.has(*flag)).map(|(_, name)| *name));
        names
    }

    /// First, last and step of the keys, as far as these three can say.
    fn key_range(&self) -> (i64, i64, i64) {
        match self.keys {
            Keys::Range { first, last, step } => (first.into(), last.into(), step.into()),
            Keys::Counted { also, .. } if also != 0 => (also.into(), also.into(), 1),
            Keys::None | Keys::Counted { .. } | Keys::Streams | Keys::By(_) => (0, 0, 0),
        }
    }

    fn subcommands(&self) -> Vec<Self> {
        let prefix = format!("{}|", self.name);
        if !self.flags.has(Flags::CONTAINER) {
            return Vec::new();
        }
        all().into_iter().filter(|told| told.name.starts_with(&prefix)).collect()
    }

    fn write_info(&self, out: &mut RespReply<'_>) {
        out.encoder().array(10);
        out.bulk(self.name.as_bytes());
        out.integer(self.arity.into());
        let names = self.flag_names();
        out.encoder().set(names.len());
        names.iter().for_each(|name| out.simple(name));
        let (first, last, step) = self.key_range();
        [first, last, step].into_iter().for_each(|n| out.integer(n));
        let mut categories: Vec<String> = vec![format!("@{}", self.group.replace('-', ""))];
        categories.push(if self.flags.has(Flags::FAST) { "@fast".into() } else { "@slow".into() });
        match self.is_write {
            Some(true) => categories.push("@write".into()),
            Some(false) => categories.push("@read".into()),
            None => {}
        }
        out.encoder().set(categories.len());
        categories.iter().for_each(|category| out.simple(category));
        out.encoder().array(0);
        out.encoder().array(0);
        let subcommands = self.subcommands();
        out.encoder().array(subcommands.len());
        subcommands.iter().for_each(|told| told.write_info(out));
    }

    fn write_docs(&self, out: &mut RespReply<'_>) {
        let subcommands = self.subcommands();
        out.bulk(self.name.as_bytes());
        out.encoder().map(4 + usize::from(!subcommands.is_empty()));
        for (field, value) in [
            ("summary", self.summary.trim()),
            ("since", self.since),
            ("group", self.group),
            ("complexity", self.cost),
        ] {
            out.bulk(field.as_bytes());
            out.bulk(value.as_bytes());
        }
        if !subcommands.is_empty() {
            out.bulk(b"subcommands");
            out.encoder().map(subcommands.len());
            subcommands.iter().for_each(|told| told.write_docs(out));
        }
    }
}

fn everything(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    if args.len() > 1 {
        return unknown_subcommand(session, args, out, ground);
    }
    let all = top();
    out.encoder().array(all.len());
    all.iter().for_each(|told| told.write_info(out));
    Ok(())
}

fn count(_: &mut Session, _: Args<'_>, out: &mut RespReply<'_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.integer(i64::try_from(top().len()).unwrap_or(i64::MAX));
    Ok(())
}

fn info(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    if args.len() == 2 {
        let all = top();
        out.encoder().array(all.len());
        all.iter().for_each(|told| told.write_info(out));
        return Ok(());
    }
    out.encoder().array(args.len() - 2);
    for name in args.from(2) {
        match named(session.engine.compat(), name) {
            Some(told) => told.write_info(out),
            None => out.null(Null::Array),
        }
    }
    Ok(())
}

fn docs(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let found: Vec<Told> = if args.len() == 2 {
        top()
    } else {
        args.from(2).iter().filter_map(|name| named(session.engine.compat(), name)).collect()
    };
    out.encoder().map(found.len());
    found.iter().for_each(|told| told.write_docs(out));
    Ok(())
}

fn list(_: &mut Session, args: Args<'_>, out: &mut RespReply<'_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let mut names: Vec<&str> = top().iter().map(|told| told.name).collect();
    if args.len() == 5 && args.is(2, "filterby") && args.is(3, "pattern") {
        names.retain(|name| store::glob::matches(args.at(4), name.as_bytes()));
    } else if args.len() != 2 {
        return Err(CommandError::Syntax);
    }
    out.encoder().array(names.len());
    names.iter().for_each(|name| out.bulk(name.as_bytes()));
    Ok(())
}

fn getkeys(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let parts = args.from(2);
    let asked = Args::new(parts);
    let compat = session.engine.compat();
    let Some(row) = data::find_for(compat, asked) else {
        return Err(match super::find_for(compat, asked) {
            Some(_) => CommandError::err("The command has no key arguments"),
            None => CommandError::err("Invalid command specified"),
        });
    };
    row.check_arity(asked)
        .map_err(|_| CommandError::err("Invalid number of arguments specified for command"))?;
    let mut keys = Vec::new();
    row.keys.each(asked, |key| keys.push(key));
    if keys.is_empty() {
        return Err(CommandError::err("The command has no key arguments"));
    }
    out.encoder().array(keys.len());
    keys.iter().for_each(|key| out.bulk(key));
    Ok(())
}
