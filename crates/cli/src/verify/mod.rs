//! `replica verify`: two servers compared key by key, by what clients would read.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::Failure;

mod read;
mod source;

use source::Source;

/// Arguments of `replica verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The primary: redis://user:password@host:port, or host:port; or redis-cluster://user:password@host:port,host:port
    /// for all primaries of a cluster together.
    #[arg(long, value_name = "URL")]
    master: String,
    /// The copy: the same forms.
    #[arg(long, value_name = "URL")]
    replica: String,
    /// How many differences to name.
    #[arg(long, default_value_t = 20)]
    show: usize,
    /// How often a difference is looked at again before it counts: writes may be on their way.
    #[arg(long, default_value_t = 3)]
    retries: u32,
    #[command(flatten)]
    tls: crate::tls::Args,
    /// What of the primary the copy keeps. Without one, what the copy says in its INFO.
    #[command(flatten)]
    filter: crate::filter::Args,
}

impl Args {
    /// Two servers on this machine.
    pub fn between(master: String, replica: String) -> Self {
        Self {
            master,
            replica,
            show: 10,
            retries: 3,
            tls: crate::tls::Args::default(),
            filter: crate::filter::Args::default(),
        }
    }
}

/// Keys compared in one round trip.
const BATCH: usize = 512;

/// What was found.
#[derive(Debug, Default)]
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
    pub filter: replica::Filter,
}

impl Report {
    /// All differences.
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

/// Compares, prints, and answers whether the two are equal.
pub fn run(args: &Args) -> Result<bool, Failure> {
    let report = compare(args)?;
    for example in &report.examples {
        println!("{example}");
    }
    for (what, count) in &report.differences {
        println!("{count} x {what}");
    }
    if !report.filter.is_empty() {
        println!("of what this filter keeps: {}", report.filter);
    }
    println!(
        "{} keys in {} databases compared: {} differences",
        report.keys,
        report.databases,
        report.total()
    );
    Ok(report.total() == 0)
}

/// Compares every key of every database.
pub fn compare(args: &Args) -> Result<Report, Failure> {
    let &Args { ref master, ref replica, show, retries, ref tls, .. } = args;
    let (mut a, mut b) = (Source::open(master, tls)?, Source::open(replica, tls)?);
    let mut filter = args.filter.build()?;
    if filter.is_empty() {
        filter = b.filter()?;
    }
    let (sizes_a, sizes_b) = (a.databases()?, b.databases()?);
    let total = sizes_a.values().sum::<u64>();
    let bar = if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} keys {rate} {eta}")?
            .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // Nobody is there to be told that a line could not be written.
                let _ = write!(out, "{:.0}/s", state.per_sec());
            });
        ProgressBar::new(total).with_style(style)
    } else {
        ProgressBar::hidden()
    };
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
        let extra: Vec<Vec<u8>> = keys_b.into_iter().filter(|key| !seen.contains(key.as_slice())).collect();
        for batch in keys_a.chunks(BATCH).chain(extra.chunks(BATCH)) {
            let mut suspects = differing(&mut a, &mut b, batch, &filter)?;
            for _ in 0..retries {
                if suspects.is_empty() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(200));
                // Slots may have moved.
                a.learn()?;
                b.learn()?;
                let again: Vec<Vec<u8>> = suspects.iter().map(|(key, _)| key.clone()).collect();
                suspects = differing(&mut a, &mut b, &again, &filter)?;
            }
            for (key, what) in suspects {
                report.add(what, db, &key, show);
            }
            report.keys += batch.len() as u64;
            bar.inc(batch.len() as u64);
        }
    }
    bar.finish_and_clear();
    Ok(report)
}

/// The keys of a batch that differ now, with what differs.
fn differing(
    a: &mut Source<'_>,
    b: &mut Source<'_>,
    keys: &[Vec<u8>],
    filter: &replica::Filter,
) -> Result<Vec<(Vec<u8>, &'static str)>, Failure> {
    let (first, second) = (a.values(keys)?, b.values(keys)?);
    let pairs = keys.iter().zip(first.into_iter().zip(second));
    let expected = |x: &read::Key, y: &read::Key| !filter.keeps_type(x.kind()) && y.kind() == "none";
    let differing = pairs.filter(|(_, (x, y))| !expected(x, y));
    Ok(differing.filter_map(|(key, (x, y))| Some((key.clone(), x.difference(&y)?))).collect())
}
