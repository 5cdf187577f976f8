//! The settings of the keyspace under their configuration names, changeable while running.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

use crate::compat::{Compat, Family};
use crate::policy::Policy;

/// What values a setting takes. All are kept as integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// An integer between two, both included.
    Integer(i64, i64),
    /// An integer that is not negative, for that it counts something.
    Count,
    /// How many keys are drawn for an eviction: the most depends on the server.
    Samples,
    /// A number of bytes, at least so many, with or without a unit.
    Bytes(i64),
    /// `yes` or `no`: 1 or 0.
    Switch,
    /// One of these words: its place.
    Choice(&'static [&'static str]),
}

impl SettingKind {
    /// A value as CONFIG GET spells it.
    #[must_use]
    pub fn spell(self, value: i64) -> String {
        match self {
            Self::Switch => if value == 0 { "no" } else { "yes" }.to_owned(),
            Self::Choice(words) => {
                let word = usize::try_from(value).ok().and_then(|at| words.get(at));
                (*word.unwrap_or(&"")).to_owned()
            }
            _ => value.to_string(),
        }
    }
}

/// A setting, apart from its value.
#[derive(Debug)]
pub struct Setting {
    /// The name.
    pub name: &'static str,
    /// The name that it used to have.
    pub old_name: Option<&'static str>,
    /// What values it takes.
    pub kind: SettingKind,
    /// What it is if nobody says otherwise: in Redis, in Valkey.
    defaults: (i64, i64),
    index: usize,
}

impl Setting {
    /// What it is if nobody says otherwise.
    #[must_use]
    pub fn default_in(&self, compat: Compat) -> i64 {
        match compat.family() {
            Family::Redis => self.defaults.0,
            Family::Valkey => self.defaults.1,
        }
    }

    /// Whether a server of this kind has it.
    #[must_use]
    pub fn is_known_to(&self, compat: Compat) -> bool {
        compat.differences().small_sets || !self.name.starts_with("set-max-listpack")
    }

    /// A value as CONFIG GET spells it.
    #[must_use]
    pub fn spell(&self, value: i64) -> String {
        self.kind.spell(value)
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident $name:literal $(or $old:literal)? : $kind:expr, $redis:literal $(/ $valkey:literal)?;)*) => {
        #[allow(non_camel_case_types, reason = "the fields' names")]
        enum Index { $($field),* }

        /// How many settings there are.
        const COUNT: usize = [$(Index::$field as usize),*].len();

        static SETTINGS: [Setting; COUNT] = [$(Setting {
            name: $name,
            old_name: limits!(@first $($old)?),
            kind: $kind,
            defaults: ($redis, limits!(@last $redis $($valkey)?)),
            index: Index::$field as usize,
        }),*];

        impl Limits {
            $($(#[$doc])* #[inline] #[must_use] pub fn $field(&self) -> i64 {
                self.values[Index::$field as usize].load(Relaxed)
            })*
        }
    };
    (@first) => { None };
    (@first $old:literal) => { Some($old) };
    (@last $only:literal) => { $only };
    (@last $other:literal $last:literal) => { $last };
}

const INT: i64 = i32::MAX as i64;

limits! {
    /// Most fields of a hash kept as a listpack.
    hash_entries "hash-max-listpack-entries" or "hash-max-ziplist-entries": SettingKind::Count, 512;
    /// Longest field or value of a hash kept as a listpack, in bytes.
    hash_value "hash-max-listpack-value" or "hash-max-ziplist-value": SettingKind::Bytes(0), 64;
    /// Size of a list node: bytes if -1 to -5 (4, 8, 16, 32, 64 KiB), else elements.
    list_size "list-max-listpack-size" or "list-max-ziplist-size": SettingKind::Integer(-INT - 1, INT), -2;
    /// Most members of a set kept as an intset.
    set_intset_entries "set-max-intset-entries": SettingKind::Count, 512;
    /// Most members of a set kept as a listpack.
    set_entries "set-max-listpack-entries": SettingKind::Count, 128;
    /// Longest member of a set kept as a listpack, in bytes.
    set_value "set-max-listpack-value": SettingKind::Count, 64;
    /// Most members of a sorted set kept as a listpack.
    zset_entries "zset-max-listpack-entries" or "zset-max-ziplist-entries": SettingKind::Count, 128;
    /// Longest member of a sorted set kept as a listpack, in bytes.
    zset_value "zset-max-listpack-value" or "zset-max-ziplist-value": SettingKind::Bytes(0), 64;
    /// Largest stream node, in bytes; 0: no limit.
    stream_bytes "stream-node-max-bytes": SettingKind::Bytes(0), 4096;
    /// Most entries of a stream node; 0: no limit.
    stream_entries "stream-node-max-entries": SettingKind::Integer(0, i64::MAX), 100;
    /// Largest HyperLogLog kept in the sparse form, in bytes.
    hll_sparse_bytes "hll-sparse-max-bytes": SettingKind::Bytes(0), 3000;
    /// Longest string that a client or the stream may make, in bytes.
    max_bulk "proto-max-bulk-len": SettingKind::Bytes(1 << 20), 536_870_912;

    /// Bytes that the data set may take; 0: no limit.
    max_memory "maxmemory": SettingKind::Bytes(0), 0;
    /// Which keys go first when there is no room, as a place in [`Policy::NAMES`]; see [`Limits::policy`].
    policy_place "maxmemory-policy": SettingKind::Choice(&Policy::NAMES), 7;
    /// Keys drawn for each that is evicted.
    samples "maxmemory-samples": SettingKind::Samples, 5;
    /// How long a write may wait for evictions: 0 hardly, 10 as a rule, 100 until there is room.
    tenacity "maxmemory-eviction-tenacity": SettingKind::Integer(0, 100), 10;
    /// How slowly the counter of accesses grows.
    lfu_log_factor "lfu-log-factor": SettingKind::Integer(0, INT), 10;
    /// Minutes after which the counter of accesses falls by one; 0: never.
    lfu_decay_time "lfu-decay-time": SettingKind::Integer(0, INT), 1;
    /// Whether a replica leaves the limit of memory to its primary.
    ignore_memory_as_replica "replica-ignore-maxmemory" or "slave-ignore-maxmemory": SettingKind::Switch, 1;
    /// How eagerly expired keys are looked for, 1 to 10.
    expire_effort "active-expire-effort": SettingKind::Integer(1, 10), 1;
    /// How often a second housekeeping is done.
    hz "hz": SettingKind::Integer(0, INT), 10;
    /// Whether what is evicted leaves as by UNLINK. (Large values are always freed elsewhere here.)
    lazy_eviction "lazyfree-lazy-eviction": SettingKind::Switch, 0 / 1;
    /// The same for what expires.
    lazy_expire "lazyfree-lazy-expire": SettingKind::Switch, 0 / 1;
    /// The same for what a command replaces.
    lazy_server_del "lazyfree-lazy-server-del": SettingKind::Switch, 0 / 1;
    /// The same for DEL.
    lazy_user_del "lazyfree-lazy-user-del": SettingKind::Switch, 0 / 1;
    /// The same for FLUSHALL and FLUSHDB.
    lazy_user_flush "lazyfree-lazy-user-flush": SettingKind::Switch, 0 / 1;
    /// The same for the old data after a full sync.
    lazy_sync_flush "replica-lazy-flush" or "slave-lazy-flush": SettingKind::Switch, 0 / 1;
}

/// The values of all settings.
#[derive(Debug)]
pub struct Limits {
    values: [AtomicI64; COUNT],
    packed_threshold: AtomicI64,
    skip_checksum: AtomicBool,
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(Compat::default())
    }
}

impl Limits {
    /// What a server of this kind has if nobody says otherwise.
    #[must_use]
    pub fn of(compat: Compat) -> Self {
        Self {
            values: std::array::from_fn(|at| AtomicI64::new(SETTINGS[at].default_in(compat))),
            packed_threshold: AtomicI64::new(1 << 30),
            skip_checksum: AtomicBool::new(false),
        }
    }

    /// Every setting.
    #[must_use]
    pub fn settings() -> &'static [Setting] {
        &SETTINGS
    }

    /// The value of a setting.
    #[must_use]
    pub fn get(&self, setting: &Setting) -> i64 {
        self.values[setting.index].load(Relaxed)
    }

    /// The setting of this name, old or new.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.name == name || setting.old_name == Some(name))
    }

    /// Changes a setting by either name; false if there is none.
    pub fn set(&self, name: &str, value: i64) -> bool {
        let Some(setting) = Self::find(name) else { return false };
        // More than 500 times a second is what no server does.
        let value = if setting.name == "hz" { value.clamp(1, 500) } else { value };
        self.values[setting.index].store(value, Relaxed);
        true
    }

    /// Which keys go first when there is no room.
    #[inline]
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy::at(self.policy_place())
    }

    /// Takes over the defaults of another server, where nobody has said otherwise.
    pub(crate) fn adopt(&self, from: Compat, to: Compat) {
        for setting in &SETTINGS {
            let value = &self.values[setting.index];
            if value.load(Relaxed) == setting.default_in(from) {
                value.store(setting.default_in(to), Relaxed);
            }
        }
    }
}

/// What DEBUG changes, and no configuration.
impl Limits {
    /// Elements of lists from this size on have a node of their own.
    #[inline]
    #[must_use]
    pub fn packed_threshold(&self) -> i64 {
        self.packed_threshold.load(Relaxed)
    }

    /// Changes [`packed_threshold`](Self::packed_threshold).
    pub fn set_packed_threshold(&self, bytes: i64) {
        self.packed_threshold.store(bytes, Relaxed);
    }

    /// Whether RESTORE takes a payload with any checksum.
    #[must_use]
    pub fn skip_checksum(&self) -> bool {
        self.skip_checksum.load(Relaxed)
    }

    /// Changes [`skip_checksum`](Self::skip_checksum).
    pub fn set_skip_checksum(&self, skip: bool) {
        self.skip_checksum.store(skip, Relaxed);
    }
}
