//! Which server we claim to be: every difference between the personalities, as data, in this one place.
//!
//! A handler never asks "which version am I"; it asks for the one property that it needs:
//! `view.differences().property`. A new difference is a new field of [`Differences`], with a value in each of the
//! rows below. What a primary's stream may contain does not depend on any of it.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use resp::Dialect;

use crate::command::Flags;
use crate::encoding::Embedded;
use crate::number::DoubleFormat;

/// A server, by family and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Compat {
    /// Redis 7.0.15.
    Redis70,
    /// Redis 7.2.
    Redis72,
    /// Redis 7.4.
    Redis74,
    /// Redis 8.2.3.
    #[default]
    Redis82,
    /// Valkey 8.1.8.
    Valkey81,
    /// Valkey 9.1.2.
    Valkey91,
}

/// The two families of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// Which texts SORT takes for numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortNumbers {
    /// Those of C's `strtod`: spaces before them pass, hexadecimal ones too, and nothing is 0.
    LikeC,
    /// Decimal ones.
    Decimal {
        /// Whether nothing is 0.
        empty: bool,
        /// Whether numbers beyond the range are infinite, or 0.
        beyond: bool,
    },
}

/// What one personality does that another does not.
#[derive(Debug)]
#[non_exhaustive]
pub struct Differences {
    /// The name that `--compat` takes.
    pub name: &'static str,
    /// BGSAVE knows CANCEL.
    pub bgsave_cancel: bool,
    /// `dbfilename` may not be empty.
    pub dumps_need_a_name: bool,
    /// A DEBUG RELOAD that fails says where to look.
    pub reload_tells_of_logs: bool,
    /// Whether MULTI says which command it does not queue.
    pub multi_names_what_it_refuses: bool,
    /// The family.
    pub family: Family,
    /// `redis_version` of INFO and `REDIS_VERSION` of scripts (a Valkey claims to be a Redis 7.2.4 there).
    pub redis_version: &'static str,
    /// The version of the server itself: what HELLO says, and dumps.
    pub version: &'static str,
    /// Rows of the command tables that are other here.
    pub rows: &'static [&'static [RowChange]],
    /// COMMAND tells of no subcommands by an empty set, where it tells of some by an array.
    pub no_subcommands_is_a_set: bool,
    /// COMMAND DOCS tells what a user sees for an argument.
    pub arguments_have_display_texts: bool,
    /// How doubles are printed, scores above all.
    pub doubles: DoubleFormat,
    /// Which strings are called `embstr`.
    pub embedded: Embedded,
    /// What replicas are told when a key goes because its time has come, or SPOP has emptied it: `DEL`, or `UNLINK`
    /// where such things are freed in the background by default.
    pub drops_by: &'static str,
    /// Whether SET with PXAT goes to replicas as it came, rather than without what matters no more.
    pub set_keeps_pxat: bool,
    /// Whether SET with a time that has passed removes the key at once.
    pub set_drops_past: bool,
    /// Whether SET knows IFEQ.
    pub set_if_equal: bool,
    /// Whether BITOP knows DIFF, DIFF1, ANDOR and ONE.
    pub bitop_differences: bool,
    /// Whether the cursors of SCAN and its like are numbers, and nothing that merely begins like one.
    pub strict_cursors: bool,
    /// Whether BITCOUNT and BITPOS look at their range before they look whether the key is there.
    pub bit_ranges_first: bool,
    /// Whether BITCOUNT takes a start without an end.
    pub bitcount_from: bool,
    /// Whether BITCOUNT looks at its unit before the end of its range.
    pub bitcount_unit_first: bool,
    /// The lowest RANK that LPOS takes, and the lowest count that LREM takes.
    pub least_place: i64,
    /// Whether LSET looks at the low 32 bits of its index only.
    pub lset_index_of_32_bits: bool,
    /// Whether SCAN refuses a TYPE that does not exist.
    pub scan_knows_types: bool,
    /// Whether GETEX looks at its time before it looks whether the key is there.
    pub getex_time_first: bool,
    /// Which texts SORT takes for numbers.
    pub sort_numbers: SortNumbers,
    /// Whether the ends of ranges of scores are decimals, rather than what C's `strtod` takes.
    pub decimal_ends: bool,
    /// Whether scores, weights, degrees and lengths are decimals: no hexadecimal ones.
    pub decimal_floats: bool,
    /// Whether a timeout that is too large is called that, and not negative.
    pub timeouts_checked: bool,
    /// Whether a small list is called `listpack`.
    pub small_lists: bool,
    /// Whether the integers from 0 to 9999 are shared, as OBJECT REFCOUNT tells.
    pub shares_integers: bool,
    /// What HELP says of itself.
    pub help: &'static str,
    /// Whether the range of a setting that counts something is told from its lower end alone.
    pub open_ranges: bool,
    /// The most that `maxmemory-samples` may be.
    pub most_samples: i64,
    /// Whether a small set of other than integers is called `listpack`.
    pub small_sets: bool,
    /// What a command makes others say to its own client comes before its reply, not behind it.
    pub pushes_first: bool,
    /// MODULE LIST and HELLO tell of Lua as of a module.
    pub scripts_are_a_module: bool,
    /// A script that may not write is told first that there is no room for what it writes.
    pub scripts_need_room_first: bool,
    /// TIME goes on while a script runs; keys do not expire meanwhile anywhere.
    pub scripts_see_time: bool,
    /// A script that calls a subcommand which does not exist is told its name.
    pub scripts_name_subcommands: bool,
    /// A command that waits for keys is served as if it came now, whichever of them has changed; older servers serve
    /// it from that key alone. An XREADGROUP whose stream goes away is told what it would be told if it came now.
    pub waits_run_again: bool,
    /// Whose commands on the fields of hashes: grammar, texts, what reaches replicas.
    pub fields: Fields,
    /// HSCAN knows NOVALUES.
    pub scan_novalues: bool,
    /// ZSCAN knows NOSCORES.
    pub scan_noscores: bool,
    /// ZRANK and ZREVRANK know WITHSCORE.
    pub rank_withscore: bool,
    /// XADD and XTRIM know KEEPREF, DELREF and ACKED.
    pub trim_references: bool,
    /// A consumer exists once it was named, also if it got nothing; and XINFO tells when it last got something.
    pub consumers_exist_when_named: bool,
    /// XSETID minds the highest id that was deleted.
    pub setid_minds_deleted: bool,
    /// ZADD and SADD make a large set of a small one if they bring too many for that, even if no member is new.
    pub guesses_by_number: bool,
    /// The same if a member is too long, even if it is not added.
    pub zadd_guesses_by_length: bool,
    /// A negative offset behind LIMIT counts from the other end of a range, in sorted sets that are no listpacks.
    pub offsets_from_end: bool,
    /// How XINFO tells the lag of a group.
    pub lag: Lag,
    /// What XREAD and XREADGROUP say where streams and ids are not as many.
    pub unbalanced_streams: [&'static str; 2],
    /// What `+` means to XREAD.
    pub read_plus: ReadPlus,
    /// Longitude and latitude are printed as doubles are, and not with 17 decimals.
    pub short_places: bool,
    /// GEOSEARCH knows BYPOLYGON.
    pub geo_polygons: bool,
    /// GEOSEARCH names the member that is not there.
    pub geo_names_member: bool,
    /// The name under which replicas get GEOADD.
    pub geoadd_as: &'static str,
    /// Users may be kept to some databases.
    pub acl_databases: bool,
    /// Whether users' flags tell who may RESTORE unchecked payloads.
    pub acl_sanitizing: Sanitizing,
    /// The texts of denials.
    pub acl_texts: AclTexts,
    /// How it reads what clients send.
    pub dialect: Dialect,
    /// Who has to give a password first is told so before it is told that there is no such command.
    pub password_first: bool,
    /// Who says HELLO too early is told where in it the protocol stands.
    pub hello_hints_at_protocol: bool,
    /// The fields of CLIENT LIST.
    pub client_fields: &'static str,
    /// Which filters CLIENT LIST and CLIENT KILL know.
    pub client_filters: ClientFilters,
    /// A Unix socket's address is printed with brackets and a second port.
    pub unix_in_brackets: bool,
    /// Protected mode lets in all that begin with 127, and not only 127.0.0.1.
    pub trusts_whole_loopback: bool,
    /// What protected mode tells those whom it turns away.
    pub protected_mode: &'static str,
    /// Keyspace events of the classes `o` (overwritten) and `c` (its type has changed).
    pub overwriting_events: bool,
    /// INFO lists the listeners.
    pub info_listeners: bool,
    /// READONLY and READWRITE are fine without a cluster.
    pub readonly_is_fine: bool,
    /// CLUSTER KEYSLOT answers without a cluster.
    pub keyslot_without_cluster: bool,
    /// What LATENCY DOCTOR says more where nothing is watched.
    pub latency_advice: &'static str,
    /// How it says that all is well: how that begins and ends.
    pub latency_fine: [&'static str; 2],
    /// Entries of ACL LOG have an id and times.
    pub acl_log_ids: bool,
}

/// Whether users' flags tell who may RESTORE unchecked payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sanitizing {
    /// Always.
    Told,
    /// Where somebody has said it.
    ToldIfSet,
    /// Never.
    Gone,
}

/// Which filters CLIENT LIST and CLIENT KILL know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientFilters {
    /// LIST by one, KILL by a few.
    Few,
    /// KILL by age too.
    Age,
    /// The same for both, and several ids.
    Both,
    /// By everything, and by what is not so.
    All,
}

/// How denials are worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclTexts {
    /// As in Redis 7.0.
    Old,
    /// With the user's name.
    Named,
}

/// Whose commands on the fields of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// Redis up to 7.4: replicas do not know HSETEX.
    Redis74,
    /// Redis 8.
    Redis8,
    /// Valkey 9.
    Valkey,
}

/// How the lag of a group is told where it cannot simply be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// By what the group has read, unless an entry that is left may have been deleted before.
    Redis70,
    /// Entries behind the group are counted where nothing is missing; no group has read more than was added.
    Redis8,
    /// By what the group has read, unless any entry behind it may have been deleted.
    Valkey,
}

/// What the id `+` means to XREAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadPlus {
    /// Nothing.
    Refused,
    /// The last entry that there is.
    LastEntry,
    /// The entry of the last id, if that is still there.
    LastId,
}

impl Differences {
    /// Arity and flags of a row here, given those of the table.
    pub fn row(&self, name: &str, arity: i16, flags: Flags) -> (i16, Flags) {
        let Some(change) = self.rows.iter().copied().flatten().find(|change| change.name == name) else {
            return (arity, flags);
        };
        (change.arity.unwrap_or(arity), flags.with(change.plus).without(change.minus))
    }
}

/// How a row of the command tables is different.
#[derive(Debug)]
pub struct RowChange {
    name: &'static str,
    arity: Option<i16>,
    plus: Flags,
    minus: Flags,
}

impl RowChange {
    const fn arity(name: &'static str, arity: i16) -> Self {
        Self { name, arity: Some(arity), plus: Flags::NONE, minus: Flags::NONE }
    }

    const fn plus(name: &'static str, plus: Flags) -> Self {
        Self { name, arity: None, plus, minus: Flags::NONE }
    }
}

// Each personality says what it does differently from the one that it came from.

const REDIS_70: Differences = Differences {
    name: "redis-7.0",
    bgsave_cancel: false,
    dumps_need_a_name: false,
    reload_tells_of_logs: false,
    multi_names_what_it_refuses: false,
    family: Family::Redis,
    redis_version: "7.0.15",
    version: "7.0.15",
    rows: &[&REDIS_70_ROWS],
    no_subcommands_is_a_set: true,
    arguments_have_display_texts: false,
    doubles: DoubleFormat::Digits17,
    embedded: Embedded::Short(44),
    drops_by: "DEL",
    set_if_equal: false,
    bitop_differences: false,
    strict_cursors: false,
    bit_ranges_first: false,
    bitcount_from: false,
    bitcount_unit_first: false,
    least_place: i64::MIN,
    getex_time_first: false,
    scan_knows_types: false,
    lset_index_of_32_bits: false,
    timeouts_checked: false,
    decimal_ends: false,
    decimal_floats: false,
    sort_numbers: SortNumbers::LikeC,
    set_keeps_pxat: false,
    set_drops_past: false,
    small_lists: false,
    shares_integers: true,
    help: "    Prints this help.",
    open_ranges: false,
    most_samples: i32::MAX as i64,
    small_sets: false,
    pushes_first: true,
    scripts_need_room_first: false,
    scripts_see_time: true,
    scripts_are_a_module: false,
    scripts_name_subcommands: false,
    waits_run_again: false,
    fields: Fields::Redis74,
    scan_novalues: false,
    scan_noscores: false,
    rank_withscore: false,
    trim_references: false,
    consumers_exist_when_named: false,
    setid_minds_deleted: false,
    guesses_by_number: false,
    zadd_guesses_by_length: false,
    offsets_from_end: false,
    lag: Lag::Redis70,
    read_plus: ReadPlus::Refused,
    unbalanced_streams: [
        "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
        "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
    ],
    short_places: false,
    geo_polygons: false,
    geo_names_member: false,
    geoadd_as: "zadd",
    acl_databases: false,
    acl_sanitizing: Sanitizing::ToldIfSet,
    acl_texts: AclTexts::Old,
    dialect: Dialect::Redis,
    password_first: false,
    hello_hints_at_protocol: false,
    client_fields: "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp",
    client_filters: ClientFilters::Few,
    unix_in_brackets: false,
    trusts_whole_loopback: false,
    protected_mode: "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.",
    overwriting_events: false,
    info_listeners: false,
    readonly_is_fine: false,
    keyslot_without_cluster: false,
    latency_advice: " If we weren't in a deep space mission I'd suggest to take a look at https://redis.io/topics/latency-monitor.",
    latency_fine: [
        "Dave, no",
        " I honestly think you ought to sit down calmly, take a stress pill, and think things over.",
    ],
    acl_log_ids: false,
};

// Keys in scripts that wait, and ZRANK's WITHSCORE, came later.
const REDIS_70_ROWS: [RowChange; 11] = [
    RowChange::plus("blmove", Flags::NOSCRIPT),
    RowChange::plus("blpop", Flags::NOSCRIPT),
    RowChange::plus("brpop", Flags::NOSCRIPT),
    RowChange::plus("brpoplpush", Flags::NOSCRIPT),
    RowChange::plus("bzpopmax", Flags::NOSCRIPT),
    RowChange::plus("bzpopmin", Flags::NOSCRIPT),
    RowChange { name: "wait", arity: None, plus: Flags::NOSCRIPT, minus: Flags::BLOCKING },
    RowChange::arity("command|getkeys", -4),
    RowChange::arity("command|getkeysandflags", -4),
    RowChange::arity("zrank", 3),
    RowChange::arity("zrevrank", 3),
];

const REDIS_72: Differences = Differences {
    name: "redis-7.2",
    scripts_see_time: false,
    reload_tells_of_logs: true,
    redis_version: "7.2.5",
    version: "7.2.5",
    rows: &[],
    arguments_have_display_texts: true,
    doubles: DoubleFormat::Shortest,
    strict_cursors: true,
    set_keeps_pxat: true,
    least_place: -i64::MAX,
    lset_index_of_32_bits: true,
    timeouts_checked: true,
    bit_ranges_first: true,
    small_lists: true,
    most_samples: 64,
    small_sets: true,
    pushes_first: false,
    waits_run_again: true,
    unbalanced_streams: [
        "Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
        "Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.",
    ],
    rank_withscore: true,
    guesses_by_number: true,
    consumers_exist_when_named: true,
    setid_minds_deleted: true,
    acl_sanitizing: Sanitizing::Told,
    acl_texts: AclTexts::Named,
    acl_log_ids: true,
    client_fields: "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver",
    hello_hints_at_protocol: true,
    trusts_whole_loopback: true,
    protected_mode: "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.",
    info_listeners: true,
    ..REDIS_70
};

const REDIS_74: Differences = Differences {
    name: "redis-7.4",
    redis_version: "7.4.2",
    version: "7.4.2",
    scan_novalues: true,
    lag: Lag::Redis8,
    read_plus: ReadPlus::LastEntry,
    unbalanced_streams: [
        "Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.",
        "Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.",
    ],
    client_fields: "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver",
    client_filters: ClientFilters::Age,
    ..REDIS_72
};

const REDIS_82: Differences = Differences {
    name: "redis-8.2",
    redis_version: "8.2.3",
    version: "8.2.3",
    embedded: Embedded::WithKey { header: 16, expiry: 8, room: 64 },
    shares_integers: false,
    open_ranges: true,
    overwriting_events: true,
    client_fields: "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver io-thread tot-net-in tot-net-out tot-cmds",
    latency_advice: " If we weren't in a deep space mission I'd suggest to take a look at https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency-monitor.",
    fields: Fields::Redis8,
    trim_references: true,
    short_places: true,
    bitop_differences: true,
    sort_numbers: SortNumbers::Decimal { empty: true, beyond: true },
    decimal_ends: true,
    ..REDIS_74
};

// Valkey left at Redis 7.2.4.
const VALKEY_81: Differences = Differences {
    name: "valkey-8.1",
    dialect: Dialect::Valkey8,
    bgsave_cancel: true,
    dumps_need_a_name: true,
    protected_mode: "-DENIED Running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers, you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting from the same host the server is running, however MAKE SURE it's not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.",
    family: Family::Valkey,
    redis_version: "7.2.4",
    version: "8.1.8",
    embedded: Embedded::WithKey { header: 16, expiry: 0, room: 64 },
    scan_novalues: true,
    scan_noscores: true,
    zadd_guesses_by_length: true,
    offsets_from_end: true,
    lag: Lag::Valkey,
    read_plus: ReadPlus::LastId,
    drops_by: "UNLINK",
    set_if_equal: true,
    bitcount_from: true,
    set_drops_past: true,
    client_fields: "id addr laddr fd name age idle flags capa db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver tot-net-in tot-net-out tot-cmds",
    client_filters: ClientFilters::Both,
    readonly_is_fine: true,
    latency_advice: "",
    latency_fine: ["No", ""],
    rows: &[&VALKEY_ROWS],
    shares_integers: false,
    ..REDIS_72
};

const VALKEY_91: Differences = Differences {
    name: "valkey-9.1",
    dialect: Dialect::Valkey9,
    password_first: true,
    scripts_need_room_first: true,
    scripts_are_a_module: true,
    multi_names_what_it_refuses: true,
    version: "9.1.2",
    embedded: Embedded::WithKey { header: 8, expiry: 0, room: 128 },
    fields: Fields::Valkey,
    geo_polygons: true,
    geo_names_member: true,
    geoadd_as: "ZADD",
    acl_databases: true,
    unix_in_brackets: true,
    client_filters: ClientFilters::All,
    keyslot_without_cluster: true,
    acl_sanitizing: Sanitizing::Gone,
    bitcount_from: true,
    scripts_name_subcommands: true,
    getex_time_first: true,
    scan_knows_types: true,
    bitcount_unit_first: true,
    sort_numbers: SortNumbers::Decimal { empty: false, beyond: false },
    decimal_ends: true,
    decimal_floats: true,
    rows: &[&VALKEY_ROWS, &VALKEY_91_ROWS],
    no_subcommands_is_a_set: false,
    ..VALKEY_81
};

const VALKEY_ROWS: [RowChange; 8] = [
    RowChange::plus("cluster|info", Flags::LOADING),
    RowChange::plus("cluster|myid", Flags::LOADING),
    RowChange::plus("cluster|myshardid", Flags::LOADING),
    RowChange::plus("cluster|nodes", Flags::LOADING),
    RowChange::plus("memory|malloc-stats", Flags::LOADING),
    RowChange::plus("memory|purge", Flags::LOADING),
    RowChange::plus("multi", Flags::NO_MULTI),
    RowChange::plus("watch", Flags::NO_MULTI),
];

const VALKEY_91_ROWS: [RowChange; 6] = [
    RowChange::arity("cluster|replicate", -3),
    RowChange::arity("script|debug", -3),
    RowChange::plus("script|exists", Flags::STALE),
    RowChange::plus("script|flush", Flags::STALE),
    RowChange::plus("script|show", Flags::STALE),
    RowChange::plus("client|reply", Flags::NO_MULTI),
];

static ROWS: [Differences; 6] = [REDIS_70, REDIS_72, REDIS_74, REDIS_82, VALKEY_81, VALKEY_91];

impl Compat {
    /// In which version of the format servers of this personality write dumps, and payloads of DUMP.
    #[must_use]
    pub fn dump_version(self) -> rdb::Version {
        match self {
            Self::Redis70 => rdb::Version::REDIS_10,
            Self::Redis72 | Self::Valkey81 => rdb::Version::REDIS_11,
            Self::Redis74 | Self::Redis82 => rdb::Version::REDIS_12,
            Self::Valkey91 => rdb::Version::VALKEY_80,
        }
    }

    /// Every personality, oldest first within its family.
    pub const ALL: [Self; 6] =
        [Self::Redis70, Self::Redis72, Self::Redis74, Self::Redis82, Self::Valkey81, Self::Valkey91];

    /// Its properties.
    #[inline]
    #[must_use]
    pub fn differences(self) -> &'static Differences {
        &ROWS[self as usize]
    }

    /// The name that `--compat` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.differences().name
    }

    /// The family.
    #[must_use]
    pub fn family(self) -> Family {
        self.differences().family
    }

    /// The personality nearest to a server: the newest of its family that is no newer, else the oldest.
    #[must_use]
    pub fn nearest(family: Family, version: &str) -> Self {
        let wanted = Release::parse(version);
        let mut relatives = Self::ALL.into_iter().filter(|compat| compat.family() == family);
        let oldest = relatives.next().unwrap_or_default();
        // Within a personality's minor version every patch level is its own.
        let begins = |compat: &Self| Release::parse(compat.differences().version).minor();
        relatives.take_while(|compat| begins(compat) <= wanted).last().unwrap_or(oldest)
    }
}

/// A version as a number that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(u32);

impl Release {
    /// Reads `major.minor.patch`; what is missing is 0, and what is no digit ends it.
    #[must_use]
    pub const fn parse(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut parts, mut part, mut i) = ([0_u8; 3], 0, 0);
        while i < bytes.len() && part < 3 {
            match bytes[i] {
                digit @ b'0'..=b'9' => {
                    parts[part] = parts[part].saturating_mul(10).saturating_add(digit - b'0');
                }
                b'.' => part += 1,
                _ => break,
            }
            i += 1;
        }
        let [major, minor, patch] = parts;
        Self(u32::from_be_bytes([0, major, minor, patch]))
    }

    const fn minor(self) -> Self {
        Self(self.0 & !0xFF)
    }

    /// Major, minor and patch.
    #[must_use]
    pub const fn parts(self) -> [u8; 3] {
        let [_, major, minor, patch] = self.0.to_be_bytes();
        [major, minor, patch]
    }

    /// One number, as `REDIS_VERSION_NUM` has it.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Since when the two families have something. A Valkey has what Redis had when it left: what came up to 7.2.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    redis: Option<&'static str>,
    valkey: Option<&'static str>,
    personalities: u8,
}

impl Since {
    const FORK: Release = Release::parse("7.2.4");

    /// The version of either family that had it first, as far as there is one.
    #[must_use]
    pub const fn new(redis: Option<&'static str>, valkey: Option<&'static str>) -> Self {
        let valkey = match (redis, valkey) {
            (Some(redis), None) if Release::parse(redis).0 <= Self::FORK.0 => Some(redis),
            (_, valkey) => valkey,
        };
        let (mut personalities, mut i) = (0, 0);
        while i < ROWS.len() {
            let since = match ROWS[i].family {
                Family::Redis => redis,
                Family::Valkey => valkey,
            };
            if let Some(since) = since
                && Release::parse(since).0 <= Release::parse(ROWS[i].version).0
            {
                personalities |= 1 << i;
            }
            i += 1;
        }
        Self { redis, valkey, personalities }
    }

    /// Whether a personality has it.
    #[inline]
    #[must_use]
    pub const fn includes(self, compat: Compat) -> bool {
        self.personalities & 1 << compat as u8 != 0
    }

    /// The version of this family that had it first.
    #[must_use]
    pub const fn of(self, family: Family) -> Option<&'static str> {
        match family {
            Family::Redis => self.redis,
            Family::Valkey => self.valkey,
        }
    }
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compat {
    type Err = UnknownCompat;

    fn from_str(name: &str) -> Result<Self, UnknownCompat> {
        Self::ALL.into_iter().find(|c| c.name() == name).ok_or_else(|| UnknownCompat(name.to_owned()))
    }
}

/// No personality has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCompat(String);

impl fmt::Display for UnknownCompat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown personality '{}': one of {}", self.0, Compat::ALL.map(Compat::name).join(", "))
    }
}

impl std::error::Error for UnknownCompat {}

/// A personality that can change while threads read it.
#[derive(Debug, Default)]
pub(crate) struct CompatCell(AtomicU8);

impl CompatCell {
    pub(crate) fn new(compat: Compat) -> Self {
        Self(AtomicU8::new(compat as u8))
    }

    #[inline]
    pub(crate) fn get(&self) -> Compat {
        Compat::ALL[usize::from(self.0.load(Relaxed)) % Compat::ALL.len()]
    }

    pub(crate) fn set(&self, compat: Compat) {
        self.0.store(compat as u8, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_taken_for_the_newest_personality_that_it_contains() {
        for compat in Compat::ALL {
            assert_eq!(Compat::nearest(compat.family(), compat.differences().version), compat);
        }
        let redis = |version| Compat::nearest(Family::Redis, version);
        assert_eq!(redis("6.2.14"), Compat::Redis70);
        assert_eq!(redis("7.0.0"), Compat::Redis70);
        assert_eq!(redis("7.2.0"), Compat::Redis72);
        assert_eq!(redis("7.2.13"), Compat::Redis72);
        assert_eq!(redis("7.4.0-rc1"), Compat::Redis74);
        assert_eq!(redis("8.0.3"), Compat::Redis74);
        assert_eq!(redis("8.2.0"), Compat::Redis82);
        assert_eq!(redis("8.4.0"), Compat::Redis82);
        assert_eq!(redis("255.255.255"), Compat::Redis82);
        let valkey = |version| Compat::nearest(Family::Valkey, version);
        assert_eq!(valkey("8.0.1"), Compat::Valkey81);
        assert_eq!(valkey("9.0.0"), Compat::Valkey81);
        assert_eq!(valkey("9.1.0"), Compat::Valkey91);
        assert_eq!(Release::parse("7.2.4").parts(), [7, 2, 4]);
        assert_eq!(Release::parse("7.0.15").number(), 458_767);
    }

    #[test]
    fn a_family_has_what_came_before_it_parted_and_what_it_added() {
        let had = |since: Since| {
            Compat::ALL
                .into_iter()
                .filter(|c| since.includes(*c))
                .map(Compat::name)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(had(Since::new(Some("1.0.0"), None)).split(' ').count(), Compat::ALL.len());
        assert_eq!(
            had(Since::new(Some("7.2.0"), None)),
            "redis-7.2 redis-7.4 redis-8.2 valkey-8.1 valkey-9.1"
        );
        assert_eq!(had(Since::new(Some("7.4.0"), Some("9.0.0"))), "redis-7.4 redis-8.2 valkey-9.1");
        assert_eq!(had(Since::new(Some("8.2.0"), None)), "redis-8.2");
        assert_eq!(had(Since::new(None, Some("8.0.0"))), "valkey-8.1 valkey-9.1");
    }

    #[test]
    fn names_lead_back_to_their_personality() {
        for compat in Compat::ALL {
            assert_eq!(compat.name().parse(), Ok(compat));
            let cell = CompatCell::new(compat);
            assert_eq!(cell.get(), compat);
        }
        assert!("redis-3".parse::<Compat>().is_err());
    }
}
