//! Two data sets compared key by key, by what clients would read.
//!
//! ```text
//!   primary, or all primaries of a cluster --- source.rs --.
//!                                                          +--> key by key --> Report
//!   copy: a server, or the replica in this process --------'
//! ```

mod read;
mod source;
mod wire;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use server::Engine;
use source::Source;
pub(crate) use wire::How;
pub use wire::Wire;

use crate::address::Address;
use crate::error::Error;
use crate::{Filter, handle::Replica};

/// Keys compared in one round trip.
const BATCH: usize = 512;
/// Before a difference is looked at again.
const PAUSE: Duration = Duration::from_millis(200);

/// What a comparison has found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// Keys compared.
    pub keys: u64,
    /// Databases with keys.
    pub databases: u64,
    /// Differences by what differs.
    pub differences: BTreeMap<&'static str, u64>,
    /// Some of them, in words.
    pub examples: Vec<String>,
    /// What was compared, if not everything.
    pub filter: Filter,
}

impl Report {
    /// All differences: 0, or the two are not equal.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.differences.values().sum()
    }

    fn add(&mut self, what: &'static str, db: u32, key: &[u8], show: usize) {
        *self.differences.entry(what).or_default() += 1;
        if self.examples.len() < show {
            self.examples.push(format!("db {db}, key {}: {what}", key.escape_ascii()));
        }
    }
}

/// Told of each step: keys compared so far, and about how many there are.
type Progress = Box<dyn FnMut(u64, u64) + Send>;

/// How to compare.
///
/// ```no_run
/// # fn run() -> Result<(), replica::Error> {
/// let report = replica::Verify::new().between("redis-cluster://10.0.0.1:7000", "redis://10.0.0.5:6380")?;
/// assert_eq!(report.total(), 0, "{:?}", report.examples);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Verify {
    retries: Option<u32>,
    examples: Option<usize>,
    filter: Filter,
    how: How,
    progress: Option<Progress>,
}

impl std::fmt::Debug for Verify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verify").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Verify {
    /// Everything is compared; a difference is looked at three times more, 20 are named.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often a difference is looked at again before it counts: writes may be on their way.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// How many differences to name.
    #[must_use]
    pub fn examples(mut self, examples: usize) -> Self {
        self.examples = Some(examples);
        self
    }

    /// Which keys of the primary the copy keeps. Without one, what the copy says in its INFO. Commands that a copy leaves
    /// out ([`Filter::commands`]) are no matter of keys: what they did at the primary is a difference.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// How to speak TLS where an address says `rediss://`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::Tls) -> Self {
        self.how.tls = Some(tls);
        self
    }

    /// Calls `f` now and then with the keys compared so far, and about how many there are.
    #[must_use]
    pub fn on_progress(mut self, f: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.progress = Some(Box::new(f));
        self
    }

    /// Compares a primary with a copy, each a server (`redis://`) or all primaries of a cluster (`redis-cluster://`).
    /// It blocks.
    ///
    /// # Errors
    /// [`Error::Config`] for an address without sense, [`Error::NotCompared`] where one of them cannot be read.
    pub fn between(self, primary: &str, copy: &str) -> Result<Report, Error> {
        let (primary, copy) = (Address::parse(primary)?, Address::parse(copy)?);
        let copy = Source::open(copy, self.how.clone(), Filter::default());
        self.with(primary, copy.map_err(Error::NotCompared)?).map_err(Error::NotCompared)
    }

    /// Compares every key of every database.
    fn with(mut self, primary: Address, mut b: Source) -> io::Result<Report> {
        if self.filter.is_empty() {
            self.filter = b.filter()?;
        }
        let Self { retries, examples, filter, how, mut progress } = self;
        let filter = &filter;
        let mut a = Source::open(primary, how, filter.clone())?;
        let (retries, show) = (retries.unwrap_or(3), examples.unwrap_or(20));
        let (sizes_a, sizes_b) = (a.databases()?, b.databases()?);
        let all = sizes_a.values().sum::<u64>();
        let mut report = Report { filter: filter.clone(), ..Report::default() };
        let mut databases: Vec<u32> = sizes_a.keys().chain(sizes_b.keys()).copied().collect();
        databases.sort_unstable();
        databases.dedup();
        databases.retain(|db| filter.keeps_database(*db));
        for db in databases {
            report.databases += 1;
            a.select(db)?;
            b.select(db)?;
            let mut keys_a = a.keys()?;
            keys_a.retain(|key| filter.keeps_key(db, key));
            let seen: HashSet<&[u8]> = keys_a.iter().map(Vec::as_slice).collect();
            let keys_b = b.keys()?;
            let extra: Vec<Vec<u8>> =
                keys_b.into_iter().filter(|key| !seen.contains(key.as_slice())).collect();
            for batch in keys_a.chunks(BATCH).chain(extra.chunks(BATCH)) {
                let mut suspects = differing(&mut a, &mut b, batch, filter)?;
                for _ in 0..retries {
                    if suspects.is_empty() {
                        break;
                    }
                    std::thread::sleep(PAUSE);
                    // Slots may have moved.
                    a.learn()?;
                    b.learn()?;
                    let again: Vec<Vec<u8>> = suspects.iter().map(|(key, _)| key.clone()).collect();
                    suspects = differing(&mut a, &mut b, &again, filter)?;
                }
                for (key, what) in suspects {
                    report.add(what, db, &key, show);
                }
                report.keys += batch.len() as u64;
                if let Some(progress) = &mut progress {
                    progress(report.keys, all);
                }
            }
        }
        Ok(report)
    }
}

/// The keys of a batch that differ now, with what differs.
fn differing(
    a: &mut Source,
    b: &mut Source,
    keys: &[Vec<u8>],
    filter: &Filter,
) -> io::Result<Vec<(Vec<u8>, &'static str)>> {
    let (first, second) = (a.values(keys)?, b.values(keys)?);
    let pairs = keys.iter().zip(first.into_iter().zip(second));
    let expected = |x: &read::Key, y: &read::Key| !filter.keeps_type(x.kind()) && y.kind() == "none";
    let differing = pairs.filter(|(_, (x, y))| !expected(x, y));
    Ok(differing.filter_map(|(key, (x, y))| Some((key.clone(), x.difference(&y)?))).collect())
}

impl Replica {
    /// Compares the data with those of the primary, or of all primaries of the cluster, key by key as clients read
    /// them. Of a filtered copy, what it keeps. Writes that are on their way are waited for a little.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # primary.command(&["SET", "k", "1"])?;
    /// let replica = Replica::connect(&primary.url()).await?;
    /// let report = replica.verify().await?;
    /// assert_eq!((report.keys, report.total()), (1, 0), "{:?}", report.examples);
    /// # replica.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotSynced`], [`Error::NotCompared`]: a primary cannot be read. One that is reached by
    /// [`Builder::connector`](crate::Builder::connector) is not found.
    pub async fn verify(&self) -> Result<Report, Error> {
        let engine: Arc<Engine> = Arc::clone(self.engine());
        if !engine.is_loaded() {
            return Err(Error::NotSynced);
        }
        let primary = self.whom();
        let (verify, filter) = (Verify { how: self.how(), ..Verify::new() }, engine.filter_status());
        let verify = verify.filter(filter.map(|status| status.filter).unwrap_or_default());
        let compared = tokio::task::spawn_blocking(move || {
            let copy = Source::within(&engine)?;
            verify.with(primary, copy)
        });
        compared.await.map_err(|_| Error::Closed)?.map_err(Error::NotCompared)
    }
}
