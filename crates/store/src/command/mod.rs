//! Every command, one row each: name, arity, flags, keys, handler. A group's file opens with its table;
//! lookup, arity errors, the lock set, the READONLY refusal and COMMAND all derive from the row.

use std::sync::{LazyLock, OnceLock};

use crate::access;
use crate::args::{Args, is_word};
use crate::compat::{Compat, Since};
use crate::error::{CommandError, CommandResult, as_c_string};
use crate::event::Class;
use crate::keyspace::Keyspace;
use crate::lock::ShardSet;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::view::{View, Viewer};

mod bitmap;
pub mod description;
mod dump;
mod expire;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod keys;
mod list;
mod names;
mod options;
mod set;
mod sort;
mod stream;
mod string;
mod zset;

pub(crate) use generic::refcount;
pub use keys::Keys;
pub use names::Rows;

/// A row of the table.
#[derive(Debug, Clone)]
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
    /// Its subcommands are rows of their own.
    pub const CONTAINER: Self = Self(1 << 10);
    /// Is refused inside MULTI.
    pub const NO_MULTI: Self = Self(1 << 12);

    /// Takes as long as its arguments are many, though the servers do not call it fast.
    pub const BRIEF: Self = Self(1 << 13);

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

    /// These without the others.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Declares a group's table.
///
/// `kind "name" arity [FLAGS] keys, since "x" => handler;` with a doc comment for who reads the code: what clients are
/// told is what the real servers tell, see [`description`].
///
/// `since` is the version of Redis. What came up to 7.2.4 Valkey has too; what came later it has if the row says
/// `since "7.4.0" valkey "9.0.0"`, and what it has alone is `valkey "9.0.0"` without `since`.
macro_rules! commands {
    ($group:ident; $($(#[doc = $_summary:literal])* $kind:ident $name:literal $arity:literal [$($flag:ident)*] $keys:expr,
        $(since $since:literal)? $(valkey $valkey:literal)? $(, cost $_cost:literal)? => $handler:expr;)*) => {
        pub(super) const TABLE: &[$crate::command::Command] = &[$($crate::command::Command {
            name: $name,
            group: $crate::command::Group::$group,
            arity: $arity,
            flags: $crate::command::Flags::NONE$(.with($crate::command::Flags::$flag))*,
            keys: $keys,
            since: $crate::command::commands!(@since $($since)? / $($valkey)?),
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

type Index = Rows<&'static Command>;

/// The rows that the stream finds: all.
static EVERYTHING: LazyLock<Index> = LazyLock::new(|| all().map(|row| (row.name, row)).collect());

/// The rows of a personality, as it has them.
fn index(compat: Compat) -> &'static Index {
    static INDEXES: [OnceLock<Index>; Compat::ALL.len()] = [const { OnceLock::new() }; Compat::ALL.len()];
    INDEXES[compat as usize].get_or_init(|| {
        all().filter(|row| row.since.includes(compat)).map(|row| (row.name, row.as_in(compat))).collect()
    })
}

/// The row that `args` names, its subcommand's if it has one, in whatever personality: for a primary's stream.
#[must_use]
pub fn find(args: Args<'_>) -> Option<&'static Command> {
    look_up(&EVERYTHING, args)
}

/// The same among the commands that this personality has, with the arity and the flags that they have there: for
/// clients and their scripts.
#[must_use]
pub fn find_for(compat: Compat, args: Args<'_>) -> Option<&'static Command> {
    look_up(index(compat), args)
}

#[inline]
fn look_up(index: &'static Index, args: Args<'_>) -> Option<&'static Command> {
    index.find(args, |row| row.flags.has(Flags::CONTAINER)).copied()
}

impl Command {
    /// The row as a personality has it.
    fn as_in(&'static self, compat: Compat) -> &'static Self {
        let (arity, flags) = compat.differences().row(self.name, self.arity, self.flags);
        if (arity, flags) == (self.arity, self.flags) {
            return self;
        }
        // A few rows of each personality, once: they stay as long as the table does.
        Box::leak(Box::new(Self { arity, flags, ..self.clone() }))
    }

    /// Whether it may write.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self.handler, Handler::Write(_))
    }

    /// Whether this call keeps nobody waiting: others like it may go with it into one transaction.
    #[must_use]
    pub fn is_brief(&self, args: Args<'_>) -> bool {
        args.len() <= 64 && (self.flags.has(Flags::FAST) || self.flags.has(Flags::BRIEF))
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

    /// The key whose value it reads, if that is all it looks at and can be a string, so that
    /// [a glance](View::glance) may be enough.
    #[must_use]
    pub fn glances_at<'a>(&self, args: Args<'a>) -> Option<&'a [u8]> {
        let of_strings = matches!(self.group, Group::String | Group::Bitmap | Group::Generic);
        if !of_strings || self.flags.has(Flags::LOCKS_ALL) || !matches!(self.handler, Handler::Read(_)) {
            return None;
        }
        self.keys.only(args)
    }

    /// Runs a reading command in a view that holds its shards. Arity has been checked.
    ///
    /// # Errors
    /// The command's own; nothing has been written to `out` then.
    pub fn read(&self, view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
        match self.handler {
            Handler::Read(handler) | Handler::Either(handler, _) => {
                looking(view, |view| handler(view, args, out))
            }
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
            Handler::Read(handler) => {
                self.keys.each(args, |key| txn.reap(key));
                let result = looking(txn, |view| handler(view, args, out));
                self.seek(txn, args, false);
                result
            }
            Handler::Write(handler) | Handler::Either(_, handler) => {
                txn.run(args.all(), |txn| {
                    // What has expired goes before the command, also among the keys that it only reads: replicas
                    // still see it, and would compute with it.
                    self.keys.each(args, |key| txn.reap(key));
                    self.seek(txn, args, txn.viewer() == Viewer::Client);
                    handler(txn, args, out)
                })
            }
        }
    }

    /// Looks for the keys that it reads, and tells of those that are not there, if somebody wants to know; `counts` if
    /// no handler counts these looks.
    fn seek(&self, txn: &mut Txn<'_>, args: Args<'_>, counts: bool) {
        if !counts && !txn.tells_misses() {
            return;
        }
        let mut missed = Vec::new();
        txn.take_lookups();
        self.misses(txn, args, |key| missed.push(key));
        let lookups = txn.take_lookups();
        if counts {
            access::count(lookups);
        }
        if txn.tells_misses() {
            missed.into_iter().for_each(|key| txn.notify(Class::Miss, "keymiss", key));
        }
    }

    /// Calls `f` with the keys that it looks for to read and does not find, as often as real servers do.
    pub fn misses<'a>(&self, view: &View<'_>, args: Args<'a>, mut f: impl FnMut(&'a [u8])) {
        self.each_sought(args, |key| {
            if view.peek(key).is_none() {
                f(key);
            }
        });
    }

    /// Calls `f` with the keys that it looks for to read, as often as real servers do. A command that writes does not
    /// look for what it changes.
    fn each_sought<'a>(&self, args: Args<'a>, mut f: impl FnMut(&'a [u8])) {
        let reads = match self.handler {
            // Those look at a key without asking for it.
            Handler::Read(_) if self.name.starts_with("object|") || self.name.starts_with("memory|") => {
                return;
            }
            Handler::Read(_) => 0..usize::MAX,
            Handler::Write(_) | Handler::Either(..) => match self.name {
                "getdel" | "getex" | "getset" | "pfcount" | "pfmerge" => 0..usize::MAX,
                "set" if args.from(3).iter().any(|word| is_word(word, "get")) => 0..1,
                "copy" | "sort" => 0..1,
                "bitop" | "sdiffstore" | "sinterstore" | "sunionstore" | "zdiffstore" | "zinterstore"
                | "zunionstore" | "zrangestore" | "geosearchstore" => 1..usize::MAX,
                _ => return,
            },
        };
        let times = if self.name == "xread" { 2 } else { 1 };
        for _ in 0..times {
            let mut at = 0;
            self.keys.each(args, |key| {
                if reads.contains(&at) {
                    f(key);
                }
                at += 1;
            });
        }
    }
}

/// Runs a reading handler, and counts the keys that it looks at.
fn looking(view: &View<'_>, run: impl FnOnce(&View<'_>) -> CommandResult) -> CommandResult {
    view.take_lookups();
    let result = run(view);
    access::count(view.take_lookups());
    result
}

/// The text for a command or a subcommand that does not exist, as the real server words it (at most 128 bytes of
/// arguments are repeated).
#[must_use]
pub fn unknown(args: Args<'_>) -> CommandError {
    if args.len() > 1
        && let Some(row) = EVERYTHING.command(args.at(0)).copied()
        && row.flags.has(Flags::CONTAINER)
    {
        return unknown_subcommand(row.name, args);
    }
    let mut quoted = Vec::new();
    for arg in args.from(1) {
        if quoted.len() >= 128 {
            break;
        }
        let room = 128 - quoted.len();
        quoted.extend_from_slice(&[b"'", as_c_string(arg, room), b"' "].concat());
    }
    let name = as_c_string(args.at(0), 128);
    let text = [b"ERR unknown command '", name, b"', with args beginning with: ", &quoted].concat();
    CommandError::Raw(text.into())
}

/// What a container says that does not have the subcommand.
#[must_use]
pub fn unknown_subcommand(container: &str, args: Args<'_>) -> CommandError {
    let (name, container) = (as_c_string(args.at(1), 128), container.to_ascii_uppercase());
    let text = [b"ERR unknown subcommand '", name, b"'. Try ", container.as_bytes(), b" HELP."].concat();
    CommandError::Raw(text.into())
}

/// The handler of a container: nobody comes here, for a subcommand has its row or is unknown.
fn container(_: &View<'_>, args: Args<'_>, _: &mut dyn Reply) -> CommandResult {
    Err(unknown(args))
}

/// The handler of `container|help`.
fn help(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let lines = description::help(view.keyspace().compat(), args.at(0));
    out.array(lines.len());
    lines.iter().for_each(|line| out.simple(line));
    Ok(())
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
        }
    }
}
