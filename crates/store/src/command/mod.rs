//! Every command, one row each: name, arity, flags, keys, handler. A group's file opens with its table;
//! lookup, arity errors, the lock set, the READONLY refusal and COMMAND all derive from the row.

use std::sync::LazyLock;

use hashbrown::HashMap;

use crate::args::Args;
use crate::compat::{Compat, Since};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Keyspace;
use crate::lock::ShardSet;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::view::View;

mod bitmap;
mod dump;
mod expire;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod keys;
mod list;
mod options;
mod set;
mod sort;
mod stream;
mod string;
mod zset;

pub use keys::Keys;

/// A row of the table.
#[derive(Debug)]
pub struct Command {
    /// Lower case; `container|sub` for a subcommand.
    pub name: &'static str,
    /// The family.
    pub group: Group,
    /// How many parts with the name: exactly, or at least `-arity` if negative.
    pub arity: i16,
    /// What else is known of it.
    pub flags: Flags,
    /// Where its keys stand.
    pub keys: Keys,
    /// The first versions that had it, and with them the personalities that have it.
    pub since: Since,
    /// Its complexity.
    pub cost: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What runs. Whether the command writes follows from it.
    pub handler: Handler,
}

/// A command's function; the kind decides which context it gets, so the flag cannot lie.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Reads only.
    Read(Reading),
    /// May write.
    Write(Writing),
    /// Reads, and where writing is possible keeps what it found out (PFCOUNT).
    Either(Reading, Writing),
}

/// A handler that reads.
pub type Reading = fn(&View<'_>, Args<'_>, &mut dyn Reply) -> CommandResult;
/// A handler that writes.
pub type Writing = fn(&mut Txn<'_>, Args<'_>, &mut dyn Reply) -> CommandResult;

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read(_) => "Read",
            Self::Write(_) => "Write",
            Self::Either(..) => "Either",
        })
    }
}

/// Families of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Group {
    Generic,
    String,
    Bitmap,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
    HyperLogLog,
    Geo,
}

/// Properties of a command, a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u32);

impl Flags {
    /// No property.
    pub const NONE: Self = Self(0);
    /// Constant or logarithmic time.
    pub const FAST: Self = Self(1);
    /// May make the data set grow.
    pub const DENYOOM: Self = Self(1 << 1);
    /// Not for scripts.
    pub const NOSCRIPT: Self = Self(1 << 2);
    /// Waits for other clients' writes.
    pub const BLOCKING: Self = Self(1 << 3);
    /// For administrators.
    pub const ADMIN: Self = Self(1 << 4);
    /// Runs while the data set loads.
    pub const LOADING: Self = Self(1 << 5);
    /// Runs on a replica that lost its primary.
    pub const STALE: Self = Self(1 << 6);
    /// May reach replicas though it does not write.
    pub const MAY_REPLICATE: Self = Self(1 << 7);
    /// Its keys cannot be told from the arguments alone: it locks everything.
    pub const LOCKS_ALL: Self = Self(1 << 8);
    /// Keys can stand elsewhere than the row says (SORT BY, GEORADIUS STORE).
    pub const MOVABLE_KEYS: Self = Self(1 << 9);
    /// Answers none of its subcommands itself.
    pub const CONTAINER: Self = Self(1 << 10);

    /// A property that only the layer above knows; `n` is below 16.
    #[must_use]
    pub const fn server(n: u32) -> Self {
        Self(1 << (16 + n))
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Declares a group's table.
///
/// `kind "name" arity [FLAGS] keys, since "x", cost "y" => handler;` with the summary as doc comment.
///
/// `since` is the version of Redis. What came up to 7.2.4 Valkey has too; what came later it has if the row says
/// `since "7.4.0" valkey "9.0.0"`, and what it has alone is `valkey "9.0.0"` without `since`.
macro_rules! commands {
    ($group:ident; $($(#[doc = $summary:literal])+ $kind:ident $name:literal $arity:literal [$($flag:ident)*] $keys:expr,
        $(since $since:literal)? $(valkey $valkey:literal)?, cost $cost:literal => $handler:expr;)*) => {
        pub(super) const TABLE: &[$crate::command::Command] = &[$($crate::command::Command {
            name: $name,
            group: $crate::command::Group::$group,
            arity: $arity,
            flags: $crate::command::Flags::NONE$(.with($crate::command::Flags::$flag))*,
            keys: $keys,
            since: $crate::command::commands!(@since $($since)? / $($valkey)?),
            cost: $cost,
            summary: concat!($($summary),+),
            handler: $crate::command::commands!(@$kind $handler),
        }),*];
    };
    (@read $handler:expr) => { $crate::command::Handler::Read($handler) };
    (@write $handler:expr) => { $crate::command::Handler::Write($handler) };
    (@since $redis:literal /) => { $crate::Since::new(Some($redis), None) };
    (@since / $valkey:literal) => { $crate::Since::new(None, Some($valkey)) };
    (@since $redis:literal / $valkey:literal) => { $crate::Since::new(Some($redis), Some($valkey)) };
    (@either $handlers:expr) => { $crate::command::Handler::Either($handlers.0, $handlers.1) };
}
use commands;

static GROUPS: [&[Command]; 13] = [
    bitmap::TABLE,
    dump::TABLE,
    expire::TABLE,
    generic::TABLE,
    geo::TABLE,
    hash::TABLE,
    hyperloglog::TABLE,
    list::TABLE,
    set::TABLE,
    sort::TABLE,
    stream::TABLE,
    string::TABLE,
    zset::TABLE,
];

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Command> {
    GROUPS.iter().copied().flatten()
}

static INDEX: LazyLock<HashMap<&'static [u8], &'static Command, foldhash::fast::FixedState>> =
    LazyLock::new(|| all().map(|c| (c.name.as_bytes(), c)).collect());

/// The longest name, `container|sub` included.
const LONGEST: usize = 40;

/// The row that `args` names, its subcommand's if it has one, in whatever personality: for a primary's stream.
#[must_use]
pub fn find(args: Args<'_>) -> Option<&'static Command> {
    look_up(args, |_| true)
}

/// The same among the commands that this personality has: for clients and their scripts.
#[must_use]
pub fn find_for(compat: Compat, args: Args<'_>) -> Option<&'static Command> {
    look_up(args, |row| row.since.includes(compat))
}

#[inline]
fn look_up(args: Args<'_>, has: impl Fn(&Command) -> bool) -> Option<&'static Command> {
    let row = by_name(&[args.at(0)]).filter(|row| has(row))?;
    if row.flags.has(Flags::CONTAINER) && args.len() > 1 {
        return by_name(&[args.at(0), args.at(1)]).filter(|row| has(row)).or(Some(row));
    }
    Some(row)
}

/// The row of a name in any case (or of a container and its subcommand).
fn by_name(parts: &[&[u8]]) -> Option<&'static Command> {
    let mut name = [0; LONGEST];
    let mut length = 0;
    for (i, part) in parts.iter().enumerate() {
        let start = length + usize::from(i > 0);
        let end = start + part.len();
        let place = name.get_mut(length..end)?;
        if i > 0 {
            place[0] = b'|';
        }
        place[start - length..].copy_from_slice(part);
        length = end;
    }
    name[..length].make_ascii_lowercase();
    INDEX.get(&name[..length]).copied()
}

impl Command {
    /// Whether it may write.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self.handler, Handler::Write(_))
    }

    /// Checks the number of arguments.
    ///
    /// # Errors
    /// [`CommandError::Arity`]
    pub fn check_arity(&self, args: Args<'_>) -> Result<(), CommandError> {
        let wanted = usize::from(self.arity.unsigned_abs());
        let good = if self.arity < 0 { args.len() >= wanted } else { args.len() == wanted };
        if good { Ok(()) } else { Err(CommandError::Arity(self.name.into())) }
    }

    /// Adds the shards that this call touches.
    pub fn add_shards(&self, keyspace: &Keyspace, db: u32, args: Args<'_>, set: &mut ShardSet) {
        if self.flags.has(Flags::LOCKS_ALL) {
            set.add_everything();
            return;
        }
        self.keys.each(args, |key| set.add(keyspace, db, key));
    }

    /// Runs a reading command in a view that holds its shards. Arity has been checked.
    ///
    /// # Errors
    /// The command's own; nothing has been written to `out` then.
    pub fn read(&self, view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
        match self.handler {
            Handler::Read(handler) | Handler::Either(handler, _) => handler(view, args, out),
            Handler::Write(_) => {
                Err(CommandError::coded("READONLY You can't write against a read only replica."))
            }
        }
    }

    /// Runs any command in a transaction that holds its shards. Arity has been checked.
    ///
    /// # Errors
    /// The command's own; nothing has been written to `out` then.
    pub fn write(&self, txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
        match self.handler {
            Handler::Read(handler) => handler(txn, args, out),
            Handler::Write(handler) | Handler::Either(_, handler) => {
                txn.run(args.all(), |txn| {
                    // What has expired goes before the command, also among the keys that it only reads: replicas
                    // still see it, and would compute with it.
                    self.keys.each(args, |key| txn.reap(key));
                    handler(txn, args, out)
                })
            }
        }
    }
}

/// The text for a command that does not exist, as the real server words it (at most 128 bytes of
/// arguments are repeated).
#[must_use]
pub fn unknown(args: Args<'_>) -> CommandError {
    let mut text = String::from("unknown command '");
    text.push_str(&String::from_utf8_lossy(&args.at(0)[..args.at(0).len().min(128)]));
    text.push_str("', with args beginning with: ");
    let mut quoted = String::new();
    for arg in args.from(1) {
        if quoted.len() >= 128 {
            break;
        }
        let room = 128 - quoted.len();
        quoted.push('\'');
        // The real server prints C strings.
        let shown = arg.split(|byte| *byte == 0).next().unwrap_or_default();
        quoted.push_str(&String::from_utf8_lossy(&shown[..shown.len().min(room)]));
        quoted.push_str("' ");
    }
    text.push_str(&quoted);
    CommandError::Err(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_found_by_its_name_and_stands_once() {
        let mut names: Vec<_> = all().map(|c| c.name).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        for row in all() {
            let upper = row.name.to_ascii_uppercase();
            let parts: Vec<&[u8]> = upper.split('|').map(str::as_bytes).collect();
            assert_eq!(find(Args::new(&parts)).map(|c| c.name), Some(row.name));
            assert!(row.name.len() < LONGEST);
            assert!(!row.summary.is_empty() && !row.cost.is_empty(), "{}", row.name);
        }
    }
}
