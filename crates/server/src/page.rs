//! The page of commands in `docs/`: the tables, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use store::command::description::{self, Description};
use store::command::{self, Flags, Handler};
use store::{Compat, Family, Since};

use crate::connection;

/// A row of either table.
struct Line {
    name: &'static str,
    since: Since,
    kind: &'static str,
    flags: Flags,
}

/// Every command by its group, as Markdown. `replica commands` prints it.
#[must_use]
pub fn commands_page() -> String {
    let data = command::all().map(|row| Line {
        name: row.name,
        since: row.since,
        kind: match row.handler {
            _ if row.flags.has(Flags::CONTAINER) => "",
            Handler::Write(_) => "write",
            Handler::Read(_) | Handler::Either(..) => "read",
        },
        flags: row.flags,
    });
    let connection =
        connection::all().map(|row| Line { name: row.name, since: row.since, kind: "", flags: row.flags });
    let mut groups: BTreeMap<&'static str, Vec<Line>> = BTreeMap::new();
    for line in data.chain(connection) {
        // What COMMAND does not list on its own is described under its container.
        let group = described(line.name).and_then(|description| description.field("group"));
        groups.entry(group.unwrap_or("ours, or inside another command")).or_default().push(line);
    }
    let mut page = String::from(HEAD);
    for (group, mut lines) in groups {
        lines.sort_by_key(|line| line.name);
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {group}\n\n{COLUMNS}");
        lines.iter().for_each(|line| line.write(&mut page));
    }
    page
}

/// What the newest server that has a command says of it.
fn described(name: &str) -> Option<&'static Description> {
    [Compat::Redis82, Compat::Valkey91, Compat::Valkey81]
        .into_iter()
        .find_map(|compat| description::describe(compat, name))
}

const HEAD: &str = "\
# Commands

What clients can call, from the tables of the code: `replica commands` writes this page, a test compares it with them.
A personality (`--compat`) has a command if its version is not older than the one given for its family. The stream of a
primary may hold any of them, whatever the personality. Complexity and summary are the real servers' words.
";

const COLUMNS: &str = "\
| command | Redis | Valkey | flags | complexity | summary |
|---|---|---|---|---|---|
";

impl Line {
    fn write(&self, page: &mut String) {
        let names = [
            (Flags::FAST, "fast"),
            (Flags::DENYOOM, "denyoom"),
            (Flags::NOSCRIPT, "noscript"),
            (Flags::BLOCKING, "blocking"),
            (Flags::ADMIN, "admin"),
            (Flags::LOADING, "loading"),
            (Flags::STALE, "stale"),
        ];
        let flags = names.iter().filter(|(flag, _)| self.flags.has(*flag)).map(|(_, name)| *name);
        let kind = Some(self.kind).filter(|kind| !kind.is_empty());
        let flags: Vec<&str> = kind.into_iter().chain(flags).collect();
        let told = |field: &str| {
            described(self.name).and_then(|told| told.field(field)).unwrap_or_default().replace('|', "\\|")
        };
        let since = |family| self.since.of(family).unwrap_or("-");
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} |",
            self.name.to_ascii_uppercase().replace('|', " "),
            since(Family::Redis),
            since(Family::Valkey),
            flags.join(" "),
            told("complexity"),
            told("summary"),
        );
    }
}
