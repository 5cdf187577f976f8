//! Sources by SHA1, shared by all engines of a pool.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha1::{Digest as _, Sha1};

#[cfg(feature = "vm")]
use crate::cjson;
use crate::error::Error;
use crate::flavour::Flavour;
use crate::shebang::{self, Flags};

/// The SHA1 of a script's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 20]);

/// A digest is its own hash.
impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Takes the one number that a [`Digest`] writes. Whoever can make SHA1 collide on 64 bits of it only slows down
/// his own scripts.
#[derive(Debug, Default)]
pub(crate) struct FirstWord(u64);

impl Hasher for FirstWord {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

/// For maps by digest.
pub(crate) type DigestHasher = BuildHasherDefault<FirstWord>;

impl Digest {
    /// The digest of `source`.
    pub fn of(source: &[u8]) -> Self {
        Self(Sha1::digest(source).into())
    }

    /// Reads 40 hexadecimal digits of either case; anything else is no digest.
    pub fn from_hex(hex: &[u8]) -> Option<Self> {
        let mut bytes = [0; 20];
        let (words, rest) = hex.as_chunks::<8>();
        if words.len() != 5 || !rest.is_empty() {
            return None;
        }
        for (four, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *four = four_bytes(u64::from_be_bytes(*word))?.to_be_bytes();
        }
        Some(Self(bytes))
    }

    /// 40 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(40);
        for byte in self.0 {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        text
    }
}

/// What eight hexadecimal digits of either case spell, all at once.
fn four_bytes(digits: u64) -> Option<u32> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let letters = (digits >> 6) & EACH;
    let values = (digits & (EACH * 0x0f)) + letters * 9;
    // They are digits if spelling their values gives them again, letters in lower case.
    let spelled = values + EACH * 0x30 + (((values + EACH * 6) >> 4) & EACH) * 0x27;
    if values & (EACH * 0xf0) != 0 || spelled != digits | (letters << 5) {
        return None;
    }
    let pairs = (values | (values >> 4)) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | (pairs >> 8)) & 0x0000_ffff_0000_ffff;
    Some((quads | (quads >> 16)) as u32)
}

/// A script's source and what its first line declares.
#[derive(Debug)]
pub struct Script {
    digest: Digest,
    source: Box<[u8]>,
    body: usize,
    flags: Flags,
    pub(crate) alive: AtomicBool,
    /// It came by SCRIPT LOAD, and is not evicted to keep few that came by EVAL.
    held: AtomicBool,
    used: AtomicU64,
    habit: AtomicU8,
}

/// What a script has done so far, as its host has told by [`Engine::note`](crate::Engine::note). A host may run one that
/// only reads beside others, and begin again ([`ReplyBuilder::give_up`](crate::ReplyBuilder::give_up)) where it does more
/// for once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Habit {
    /// It has not run to its end yet.
    #[default]
    Unknown,
    /// In no run has it done anything but read.
    Reads,
    /// It has done more.
    Acts,
}

/// Not used yet.
const NEVER: u64 = u64::MAX;

/// How a script came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Eval,
    Load,
}

impl Script {
    fn new(digest: Digest, source: &[u8], flavour: &Flavour) -> Result<Self, Error> {
        let (flags, body) = shebang::parse(source, flavour)?;
        let body = source.len() - body.len();
        let source = source.into();
        let (alive, held) = (AtomicBool::new(true), AtomicBool::new(false));
        Ok(Self {
            digest,
            source,
            body,
            flags,
            alive,
            held,
            used: AtomicU64::new(NEVER),
            habit: AtomicU8::new(0),
        })
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// As it was given.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// What the first line declares; the caller refuses what they rule out before running.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// What it has done so far.
    pub fn habit(&self) -> Habit {
        match self.habit.load(Ordering::Relaxed) {
            0 => Habit::Unknown,
            1 => Habit::Reads,
            _ => Habit::Acts,
        }
    }

    /// Notes what a run did: once it has done more than read, that stays.
    #[cfg_attr(not(feature = "vm"), expect(dead_code, reason = "nothing runs"))]
    pub(crate) fn note(&self, only_read: bool) {
        match (self.habit(), only_read) {
            (Habit::Acts, _) | (Habit::Reads, true) => {}
            (Habit::Unknown, true) => {
                // Whoever has seen more meanwhile is right.
                let _ = self.habit.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
            }
            (_, false) => self.habit.store(2, Ordering::Relaxed),
        }
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.source.get(self.body..).unwrap_or_default()
    }
}

/// Counters of a [`Scripts`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Scripts held.
    pub scripts: usize,
    /// Bytes of their sources.
    pub source_bytes: usize,
    /// Scripts dropped to stay within the bound.
    pub evicted: u64,
}

/// The sources, by digest. Cheap to share: engines look here only for what they have not compiled yet.
#[derive(Debug, Default)]
pub struct Scripts {
    bound: Option<usize>,
    clock: AtomicU64,
    generation: AtomicU64,
    table: Mutex<Table>,
    /// The settings of `cjson` outlive scripts and are the same in all engines.
    #[cfg(feature = "vm")]
    pub(crate) cjson: Arc<cjson::Shared>,
}

#[derive(Debug, Default)]
struct Table {
    by_digest: HashMap<Digest, Arc<Script>, DigestHasher>,
    bytes: usize,
    evicted: u64,
    /// How many came by EVAL.
    evals: usize,
}

impl Scripts {
    /// No bound: like Redis 7.0, scripts stay until flushed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps at most `bound` scripts (at least one); the least recently used goes first.
    pub fn bounded(bound: usize) -> Self {
        Self { bound: Some(bound.max(1)), ..Self::default() }
    }

    /// Adds a source whose syntax was checked; the same source twice is the same script.
    pub(crate) fn insert(
        &self,
        digest: Digest,
        source: &[u8],
        origin: Origin,
        flavour: &Flavour,
    ) -> Result<Arc<Script>, Error> {
        let mut table = self.table();
        if let Some(script) = table.by_digest.get(&digest).cloned() {
            if origin == Origin::Load {
                hold(&mut table, &script);
            }
            return Ok(script);
        }
        let script = Arc::new(Script::new(digest, source, flavour)?);
        self.touch(&script);
        while self.bound.is_some_and(|bound| table.by_digest.len() >= bound) && self.evict(&mut table, false)
        {
        }
        match origin {
            Origin::Load => script.held.store(true, Ordering::Relaxed),
            Origin::Eval => {
                while flavour.kept_evals.is_some_and(|most| table.evals >= most)
                    && self.evict(&mut table, true)
                {}
                table.evals += 1;
            }
        }
        table.bytes += source.len();
        table.by_digest.insert(digest, Arc::clone(&script));
        Ok(script)
    }

    /// SCRIPT LOAD of one that is here already.
    pub(crate) fn hold(&self, script: &Arc<Script>) {
        hold(&mut self.table(), script);
    }

    /// The least recently used goes; with `evals`, of those that came by EVAL. False if there is none.
    fn evict(&self, table: &mut Table, evals: bool) -> bool {
        let may_go = |script: &&Arc<Script>| !(evals && script.held.load(Ordering::Relaxed));
        let used = |script: &&Arc<Script>| script.used.load(Ordering::Relaxed);
        let Some(oldest) = table.by_digest.values().filter(may_go).min_by_key(used).cloned() else {
            return false;
        };
        self.remove(table, &oldest);
        table.evicted += 1;
        true
    }

    /// Takes a script out that turned out not to compile.
    pub(crate) fn forget(&self, script: &Arc<Script>) {
        let mut table = self.table();
        self.remove(&mut table, script);
    }

    /// The script with this digest.
    pub fn find(&self, digest: Digest) -> Option<Arc<Script>> {
        self.table().by_digest.get(&digest).cloned()
    }

    /// Whether it is here (SCRIPT EXISTS).
    pub fn exists(&self, hex: &[u8]) -> bool {
        Digest::from_hex(hex).is_some_and(|digest| self.table().by_digest.contains_key(&digest))
    }

    /// Forgets all (SCRIPT FLUSH); engines drop their compiled copies when they next run.
    pub fn flush(&self) {
        let mut table = self.table();
        for script in table.by_digest.values() {
            script.alive.store(false, Ordering::Relaxed);
        }
        table.by_digest = HashMap::default();
        (table.bytes, table.evals) = (0, 0);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let table = self.table();
        Stats { scripts: table.by_digest.len(), source_bytes: table.bytes, evicted: table.evicted }
    }

    /// Changes whenever a script went away.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn touch(&self, script: &Script) {
        // One that all cores use writes nothing that they share.
        if script.used.load(Ordering::Relaxed) != self.clock.load(Ordering::Relaxed) {
            script.used.store(self.clock.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    fn remove(&self, table: &mut Table, script: &Arc<Script>) {
        script.alive.store(false, Ordering::Relaxed);
        if table.by_digest.remove(&script.digest).is_some() {
            table.bytes -= script.source.len();
            table.evals -= usize::from(!script.held.load(Ordering::Relaxed));
        }
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing below panics halfway through a change, so a poisoned table is still whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hold(table: &mut Table, script: &Script) {
    if table.by_digest.contains_key(&script.digest) && !script.held.swap(true, Ordering::Relaxed) {
        table.evals -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_cache_drops_the_least_recently_used() {
        let scripts = Scripts::bounded(2);
        let add =
            |s: &[u8]| scripts.insert(Digest::of(s), s, Origin::Load, &Flavour::REDIS_7_0).expect("valid");
        let (a, _b) = (add(b"return 1"), add(b"return 2"));
        scripts.touch(&a);
        add(b"return 3");
        assert!(scripts.find(Digest::of(b"return 1")).is_some());
        assert!(scripts.find(Digest::of(b"return 2")).is_none());
        assert_eq!(scripts.stats(), Stats { scripts: 2, source_bytes: 16, evicted: 1 });
    }

    #[test]
    fn few_that_came_by_eval_are_kept_and_those_that_were_loaded_stay() {
        let flavour = Flavour { kept_evals: Some(2), ..Flavour::REDIS_8_2 };
        let scripts = Scripts::new();
        let add = |s: &[u8], origin| scripts.insert(Digest::of(s), s, origin, &flavour).expect("valid");
        let is_here = |s: &[u8]| scripts.find(Digest::of(s)).is_some();
        add(b"return 0", Origin::Load);
        let one = add(b"return 1", Origin::Eval);
        add(b"return 2", Origin::Eval);
        scripts.touch(&one);
        add(b"return 3", Origin::Eval);
        assert!(
            is_here(b"return 0") && is_here(b"return 1") && !is_here(b"return 2") && is_here(b"return 3")
        );
        // What is loaded now counts no more.
        add(b"return 1", Origin::Load);
        add(b"return 4", Origin::Eval);
        add(b"return 5", Origin::Eval);
        assert!(is_here(b"return 0") && is_here(b"return 1") && !is_here(b"return 3"));
        assert_eq!((scripts.stats().scripts, scripts.stats().evicted), (4, 2));
        scripts.flush();
        assert_eq!(scripts.stats(), Stats { scripts: 0, source_bytes: 0, evicted: 2 });
    }

    #[test]
    fn digests_are_read_in_either_case() {
        let digest = Digest::of(b"return 1");
        assert_eq!(digest.to_hex(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(Digest::from_hex(digest.to_hex().to_uppercase().as_bytes()), Some(digest));
        assert_eq!(Digest::from_hex(b"e0e1"), None);
        assert_eq!(Digest::from_hex(&[b'g'; 40]), None);
        for byte in 0..=u8::MAX {
            for at in [0, 7, 39] {
                let mut hex = [b'1'; 40];
                hex[at] = byte;
                assert_eq!(Digest::from_hex(&hex).is_some(), byte.is_ascii_hexdigit(), "{byte:#x} at {at}");
            }
        }
    }
}
