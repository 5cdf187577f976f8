//! Which server scripts believe to run on: every difference as data, in this one place.

/// What one server shows to scripts that another does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flavour {
    /// `redis.REDIS_VERSION`
    pub redis_version: [u8; 3],
    /// `server.VALKEY_VERSION`, with the API under the name `server`; only Valkey has it.
    pub valkey_version: Option<[u8; 3]>,
    /// `os.clock` is there.
    pub os: bool,
    /// Numbers go to commands in the fewest digits that lead back, else with seventeen.
    pub shortest_numbers: bool,
    /// A runtime error names the script's digest (Valkey 9 leaves its place empty).
    pub named_errors: bool,
    /// How many scripts that came by EVAL are kept; the least recently used goes first. Those of SCRIPT LOAD stay.
    pub kept_evals: Option<usize>,
    /// In a shebang line, text may follow a quote at once.
    pub(crate) joins_quoted: bool,
    /// A big number ends at its first NUL, as errors and statuses do everywhere.
    pub(crate) cuts_big_numbers: bool,
    /// The engine of a shebang line is looked up among several.
    pub(crate) many_engines: bool,
    /// What messages call the API.
    pub(crate) api: &'static str,
    /// A name for the API as a whole, where arguments are missing.
    pub(crate) this_call: &'static str,
    /// What the arguments of commands are called.
    pub(crate) arguments: &'static str,
    /// No such command.
    pub(crate) unknown_command: &'static str,
    /// The count of arguments does not fit the command.
    pub(crate) wrong_arity: &'static str,
    /// The command is flagged `noscript`.
    pub(crate) not_allowed: &'static str,
    /// What `redis.log` says about its level.
    pub(crate) bad_level: &'static str,
    /// How many arguments `redis.set_repl` says it wants.
    pub(crate) set_repl_wants: &'static str,
    /// What a script and a function that were killed say.
    pub(crate) killed: [&'static str; 2],
    /// What EVALSHA says to a digest that it does not know.
    pub no_script: &'static str,
    /// `cmsgpack._COPYRIGHT`
    pub(crate) copyright: &'static str,
}

/// Why a command is not run for a script; each flavour has its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such command.
    UnknownCommand,
    /// The count of arguments does not fit the command.
    WrongArity,
    /// The command is flagged `noscript`.
    NotAllowed,
    /// A write in a script with the flag `no-writes`, or under EVAL_RO.
    ReadOnlyScript,
}

impl Flavour {
    /// The error line for a command that is not run.
    pub fn refusal(&self, why: Refusal) -> &'static str {
        match why {
            Refusal::UnknownCommand => self.unknown_command,
            Refusal::WrongArity => self.wrong_arity,
            Refusal::NotAllowed => self.not_allowed,
            Refusal::ReadOnlyScript => "ERR Write commands are not allowed from read-only scripts.",
        }
    }
}

const SALVATORE: &str = "Copyright (C) 2012, Salvatore Sanfilippo";

impl Flavour {
    /// Redis 7.0.15.
    pub const REDIS_7_0: Self = Self {
        redis_version: [7, 0, 15],
        valkey_version: None,
        os: false,
        shortest_numbers: false,
        named_errors: true,
        kept_evals: None,
        joins_quoted: false,
        cuts_big_numbers: false,
        many_engines: false,
        api: "redis",
        this_call: "this redis lib call",
        arguments: "Lua redis lib command arguments",
        unknown_command: "ERR Unknown Redis command called from script",
        wrong_arity: "ERR Wrong number of args calling Redis command from script",
        not_allowed: "ERR This Redis command is not allowed from script",
        bad_level: "ERR Invalid debug level.",
        set_repl_wants: "two arguments",
        killed: ["Script killed by user with SCRIPT KILL..."; 2],
        no_script: "NOSCRIPT No matching script. Please use EVAL.",
        copyright: SALVATORE,
    };

    /// Redis 7.2.
    pub const REDIS_7_2: Self = Self {
        redis_version: [7, 2, 5],
        shortest_numbers: true,
        bad_level: "ERR Invalid log level.",
        set_repl_wants: "one argument",
        ..Self::REDIS_7_0
    };

    /// Redis 7.4.
    pub const REDIS_7_4: Self =
        Self { redis_version: [7, 4, 2], os: true, kept_evals: Some(500), ..Self::REDIS_7_2 };

    /// Redis 8.2.3.
    pub const REDIS_8_2: Self = Self { redis_version: [8, 2, 3], ..Self::REDIS_7_4 };

    /// Valkey 8.1.8.
    pub const VALKEY_8_1: Self = Self {
        redis_version: [7, 2, 4],
        valkey_version: Some([8, 1, 8]),
        many_engines: true,
        api: "server",
        this_call: "this call",
        arguments: "Command arguments",
        unknown_command: "ERR Unknown command called from script",
        wrong_arity: "ERR Wrong number of args calling command from script",
        killed: ["Script killed by user with SCRIPT KILL.", "Script killed by user with FUNCTION KILL."],
        no_script: "NOSCRIPT No matching script.",
        copyright: "Copyright (C) 2012, Redis Ltd.",
        ..Self::REDIS_7_4
    };

    /// Valkey 9.1.2.
    pub const VALKEY_9_1: Self = Self {
        valkey_version: Some([9, 1, 2]),
        named_errors: false,
        joins_quoted: true,
        cuts_big_numbers: true,
        not_allowed: "ERR This Valkey command is not allowed from script",
        ..Self::VALKEY_8_1
    };
}

impl Default for Flavour {
    fn default() -> Self {
        Self::REDIS_7_0
    }
}
