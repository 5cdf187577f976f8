//! What is noted of a key's use: see [`Policy`] for the meaning of the bits.
//!
//! Readers note it too, so it must not cost them a shared cache line each time: the bits are written only when they
//! change, which by the clock of LRU is once a second.

use std::cell::Cell;

use rdb::KeyMeta;

use crate::entry::EntryRef;
use crate::keyspace::Keyspace;
use crate::policy::Policy;

/// Bits of the clock of LRU.
const CLOCK: u32 = 0xFF_FFFF;
/// What the counter of a new key says.
const NEW: u32 = 5;

thread_local! {
    static LOOKUPS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    static UNTOUCHED: Cell<bool> = const { Cell::new(false) };
    static CHANCE: Cell<u64> = const { Cell::new(0x9E37_79B9_7F4A_7C15) };
}

/// Runs `f` without noting the use of keys: for clients that have said CLIENT NO-TOUCH.
pub fn without_touch<R>(f: impl FnOnce() -> R) -> R {
    let before = UNTOUCHED.replace(true);
    let result = f();
    UNTOUCHED.set(before);
    result
}

/// Keys that a command looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lookups {
    pub(crate) hits: u32,
    pub(crate) misses: u32,
}

/// Counts what a reading command of this thread looked for.
#[inline]
pub(crate) fn count(lookups: Lookups) {
    let (hits, misses) = LOOKUPS.get();
    LOOKUPS.set((hits + u64::from(lookups.hits), misses + u64::from(lookups.misses)));
}

/// How many keys the reading commands of this thread have found, and how many not, since it was last asked.
#[must_use]
pub fn take_counted() -> (u64, u64) {
    LOOKUPS.take()
}

/// Whether uses are to be noted.
#[inline]
pub(crate) fn touches() -> bool {
    !UNTOUCHED.get()
}

/// What is known of an entry's use; which of it means something depends on the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Seconds since the last one.
    pub idle_seconds: u32,
    /// The counter of LFU.
    pub frequency: u32,
}

/// The time and the settings by which uses are noted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock<'k> {
    keyspace: &'k Keyspace,
    now: i64,
}

impl<'k> Clock<'k> {
    #[inline]
    pub(crate) fn new(keyspace: &'k Keyspace, now: i64) -> Self {
        Self { keyspace, now }
    }

    fn seconds(self) -> u32 {
        (self.now / 1000) as u32 & CLOCK
    }

    fn minutes(self) -> u32 {
        (self.now / 60_000) as u32 & 0xFFFF
    }

    fn decay(self) -> u32 {
        u32::try_from(self.keyspace.limits().lfu_decay_time()).unwrap_or(0)
    }

    fn policy(self) -> Policy {
        self.keyspace.limits().policy()
    }

    /// What stands in a new entry.
    pub(crate) fn fresh(self) -> u32 {
        if self.policy().is_lfu() { self.minutes() << 8 | NEW } else { self.seconds() }
    }

    /// What stands in an entry of which a dump told.
    pub(crate) fn told(self, idle_seconds: Option<u64>, freq: Option<u8>) -> u32 {
        match (self.policy().is_lfu(), idle_seconds, freq) {
            (true, _, Some(freq)) => self.minutes() << 8 | u32::from(freq),
            (false, Some(idle), _) => {
                let idle = u32::try_from(idle).unwrap_or(CLOCK).min(CLOCK);
                self.seconds().wrapping_sub(idle) & CLOCK
            }
            _ => self.fresh(),
        }
    }

    /// Notes a use.
    #[inline]
    pub(crate) fn touch(self, entry: EntryRef<'_>) {
        let before = entry.access();
        let after = if self.policy().is_lfu() { self.counted(before) } else { self.seconds() };
        if before != after {
            entry.set_access(after);
        }
    }

    /// The counter as it stands now: it falls while nobody comes.
    pub(crate) fn frequency(self, entry: EntryRef<'_>) -> u32 {
        decayed(entry.access(), self.minutes(), self.decay())
    }

    /// Seconds since the last use.
    pub(crate) fn idle(self, entry: EntryRef<'_>) -> u32 {
        self.seconds().wrapping_sub(entry.access()) & CLOCK
    }

    /// The counter grows the more rarely the higher it is.
    fn counted(self, before: u32) -> u32 {
        let mut counter = decayed(before, self.minutes(), self.decay());
        if counter < 255 {
            let base = f64::from(counter.saturating_sub(NEW));
            let odds = 1.0 / (base * self.keyspace.limits().lfu_log_factor() as f64 + 1.0);
            counter += u32::from(chance() < odds);
        }
        self.minutes() << 8 | counter
    }
}

/// What dumps are told of the use of keys: as things stood when it was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    policy: Policy,
    seconds: u32,
    minutes: u32,
    decay: u32,
}

impl Told {
    pub(crate) fn of(keyspace: &Keyspace) -> Self {
        let clock = Clock::new(keyspace, keyspace.clock().now());
        let decay = u32::try_from(keyspace.limits().lfu_decay_time()).unwrap_or(0);
        Self { policy: clock.policy(), seconds: clock.seconds(), minutes: clock.minutes(), decay }
    }

    /// What a dump says of a key besides its value: its expiry, and what the policy knows of its use.
    pub(crate) fn meta(self, entry: EntryRef<'_>) -> KeyMeta {
        let mut meta = KeyMeta::expiring(entry.expire());
        match self.policy {
            Policy::AllKeysLru | Policy::VolatileLru => {
                meta.idle_seconds = Some((self.seconds.wrapping_sub(entry.access()) & CLOCK).into());
            }
            Policy::AllKeysLfu | Policy::VolatileLfu => {
                let counter = decayed(entry.access(), self.minutes, self.decay);
                meta.freq = Some(u8::try_from(counter).unwrap_or(u8::MAX));
            }
            _ => {}
        }
        meta
    }
}

/// The counter in these bits after it has fallen by one for each `decay` minutes; 0: it does not fall.
fn decayed(bits: u32, minutes: u32, decay: u32) -> u32 {
    let (since, counter) = (bits >> 8 & 0xFFFF, bits & 0xFF);
    let elapsed = minutes.wrapping_sub(since) & 0xFFFF;
    counter.saturating_sub(elapsed.checked_div(decay).unwrap_or(0))
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let next = CHANCE.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    CHANCE.set(next);
    (next >> 11) as f64 / (1_u64 << 53) as f64
}
