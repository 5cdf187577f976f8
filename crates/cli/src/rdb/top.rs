//! `replica rdb top`: the biggest keys and prefixes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt::Write as _;

use ::rdb::{EntryMeta, Kind, Part, Reject, Visitor, Want};
use store::Weigher;

use crate::Failure;

/// Arguments of `replica rdb top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: super::Common,
    /// How many keys and prefixes to show.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    count: usize,
    /// What makes a key big: bytes of memory (as MEMORY USAGE of `replica serve` tells), bytes in the dump, or
    /// elements.
    #[arg(long, value_enum, default_value_t = By::Memory)]
    by: By,
    /// What ends a part of a key's name.
    #[arg(long, value_name = "TEXT", default_value = ":")]
    separator: String,
    /// How many parts make a prefix.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    depth: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Memory,
    Serialized,
    Elements,
}

/// More prefixes than this are not kept apart: the lighter half of them becomes one.
const MOST_PREFIXES: usize = 1 << 20;

/// Prints the tables.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut top = args.common.select.around(Top::new(args));
    args.common.file.read(&mut top, true)?;
    super::print(&top.into_inner().table())
}

/// What a key or a group of keys comes to.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    keys: u64,
    memory: u64,
    serialized: u64,
    elements: u64,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.keys += other.keys;
        self.memory += other.memory;
        self.serialized += other.serialized;
        self.elements += other.elements;
    }

    fn by(&self, by: By) -> u64 {
        match by {
            By::Memory => self.memory,
            By::Serialized => self.serialized,
            By::Elements => self.elements,
        }
    }
}

/// A key among the biggest. Ordered by its size first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    size: u64,
    key: Vec<u8>,
    db: u64,
    memory: u64,
    serialized: u64,
    elements: u64,
    kind: &'static str,
}

struct Top<'a> {
    args: &'a Args,
    weigher: Weigher,
    key: Vec<u8>,
    /// The database of the entry at hand, where it began, and what it is.
    entry: (u64, u64, Kind),
    /// What the last entry comes to, until it is known where it ended.
    ended: Option<Size>,
    /// The smallest on top.
    biggest: BinaryHeap<Reverse<Ranked>>,
    prefixes: HashMap<Vec<u8>, Size>,
    /// Of prefixes that are not kept apart.
    others: Size,
    total: Size,
}

impl<'a> Top<'a> {
    fn new(args: &'a Args) -> Self {
        Self {
            args,
            weigher: Weigher::default(),
            key: Vec::new(),
            entry: (0, 0, Kind::String),
            ended: None,
            biggest: BinaryHeap::new(),
            prefixes: HashMap::new(),
            others: Size::default(),
            total: Size::default(),
        }
    }

    fn count(&mut self, size: Size) {
        self.total.add(size);
        let end = self.prefix();
        let prefix = &self.key[..end];
        if let Some(sum) = self.prefixes.get_mut(prefix) {
            sum.add(size);
        } else {
            self.prefixes.insert(prefix.to_vec(), size);
            if self.prefixes.len() > MOST_PREFIXES {
                self.prune();
            }
        }
        let by = size.by(self.args.by);
        let full = self.biggest.len() >= self.args.count;
        if self.args.count == 0 || full && self.biggest.peek().is_some_and(|Reverse(least)| by <= least.size)
        {
            return;
        }
        if full {
            self.biggest.pop();
        }
        let (db, _, kind) = self.entry;
        self.biggest.push(Reverse(Ranked {
            size: by,
            key: self.key.clone(),
            db,
            memory: size.memory,
            serialized: size.serialized,
            elements: size.elements,
            kind: kind.name(),
        }));
    }

    /// Where the first parts of the key end, their separators included; 0 if it has none.
    fn prefix(&self) -> usize {
        let separator = self.args.separator.as_bytes();
        if separator.is_empty() {
            return 0;
        }
        let mut end = 0;
        for _ in 0..self.args.depth {
            let rest = &self.key[end..];
            match rest.windows(separator.len()).position(|window| window == separator) {
                Some(at) => end += at + separator.len(),
                None => break,
            }
        }
        end
    }

    fn prune(&mut self) {
        let mut sizes: Vec<u64> = self.prefixes.values().map(|size| size.by(self.args.by)).collect();
        let middle = sizes.len() / 2;
        let (_, median, _) = sizes.select_nth_unstable(middle);
        let median = *median;
        let mut left = MOST_PREFIXES / 2;
        self.prefixes.retain(|_, size| {
            let keep = left > 0 && size.by(self.args.by) >= median;
            left -= usize::from(keep);
            if !keep {
                self.others.add(*size);
            }
            keep
        });
    }

    fn table(self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(self, out: &mut String) -> std::fmt::Result {
        let (by, total) = (self.args.by, self.total);
        let title = match by {
            By::Memory => "memory",
            By::Serialized => "serialized",
            By::Elements => "elements",
        };
        writeln!(
            out,
            "{} keys, {} bytes in the dump, {} bytes of memory",
            total.keys, total.serialized, total.memory
        )?;
        writeln!(out, "\nbiggest keys by {title}")?;
        writeln!(
            out,
            "{:>14}{:>14}{:>12}  {:<8}{:>4}  key",
            "memory", "serialized", "elements", "type", "db"
        )?;
        let mut biggest: Vec<Ranked> = self.biggest.into_iter().map(|Reverse(ranked)| ranked).collect();
        biggest.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.key.cmp(&b.key)));
        for Ranked { key, db, memory, serialized, elements, kind, .. } in &biggest {
            writeln!(
                out,
                "{memory:>14}{serialized:>14}{elements:>12}  {kind:<8}{db:>4}  {}",
                key.escape_ascii()
            )?;
        }
        let mut prefixes: Vec<(Vec<u8>, Size)> = self.prefixes.into_iter().collect();
        prefixes.sort_by(|(a, x), (b, y)| y.by(by).cmp(&x.by(by)).then_with(|| a.cmp(b)));
        writeln!(out, "\nbiggest prefixes by {title}")?;
        writeln!(out, "{:>14}{:>14}{:>12}{:>14}  prefix", "memory", "serialized", "elements", "keys")?;
        let mut row = |size: &Size, name: &str| {
            let Size { keys, memory, serialized, elements } = size;
            writeln!(out, "{memory:>14}{serialized:>14}{elements:>12}{keys:>14}  {name}")
        };
        for (prefix, size) in prefixes.iter().take(self.args.count) {
            let name =
                if prefix.is_empty() { "(none)".to_owned() } else { prefix.escape_ascii().to_string() };
            row(size, &name)?;
        }
        if self.others.keys > 0 {
            row(&self.others, "(of more prefixes than are kept apart; the figures above may be too small)")?;
        }
        Ok(())
    }
}

impl Visitor for Top<'_> {
    fn record(&mut self, offset: u64) {
        if let Some(mut size) = self.ended.take() {
            size.serialized = offset.saturating_sub(self.entry.1);
            self.count(size);
        }
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.entry = (meta.db, meta.offset, meta.kind);
        self.weigher.entry(key, meta)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        self.weigher.part(part)
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        let weight = self.weigher.weigh();
        let (memory, elements) = weight.map_or((0, 0), |weight| (weight.bytes as u64, weight.len as u64));
        self.ended = Some(Size { keys: 1, memory, serialized: 0, elements });
        Ok(())
    }
}
