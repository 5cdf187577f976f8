//! Options for a part of a dump.

use ::rdb::{Filter, Kind};

/// What to look at. Each option may be given several times; of several prefixes and patterns one is enough.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Filters")]
pub struct Args {
    /// Only keys of this database.
    #[arg(long, value_name = "N")]
    db: Vec<u64>,
    /// Only keys that begin so.
    #[arg(long, value_name = "TEXT")]
    prefix: Vec<String>,
    /// Only keys that match this pattern, as of KEYS.
    #[arg(long, value_name = "PATTERN")]
    pattern: Vec<String>,
    /// Only values of this type.
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Vec<KindName>,
    /// Only keys whose expiry is such: none at all, any, in the past, in the future.
    #[arg(long, value_enum, value_name = "WHICH")]
    expiry: Option<Expiry>,
    /// Only keys that expire before so many seconds have passed (those that have expired among them).
    #[arg(long, value_name = "SECONDS")]
    expires_within: Option<u64>,
    /// Leave function libraries out.
    #[arg(long)]
    no_functions: bool,
}

/// Types as TYPE names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum KindName {
    String,
    List,
    Set,
    Zset,
    Hash,
    Stream,
    Module,
}

/// Conditions on the expiry of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Expiry {
    /// Keys that stay.
    None,
    /// Keys that expire, whenever.
    Any,
    /// Keys that have expired.
    Past,
    /// Keys that have not expired yet.
    Future,
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::String => Self::String,
            KindName::List => Self::List,
            KindName::Set => Self::Set,
            KindName::Zset => Self::Zset,
            KindName::Hash => Self::Hash,
            KindName::Stream => Self::Stream,
            KindName::Module => Self::Module,
        }
    }
}

impl Args {
    /// A visitor that passes on what is asked for.
    pub fn around<V>(&self, visitor: V) -> Filter<V> {
        let mut filter = Filter::new(visitor);
        if !self.db.is_empty() {
            filter = filter.databases(self.db.iter().copied());
        }
        if !self.kind.is_empty() {
            filter = filter.kinds(self.kind.iter().map(|kind| Kind::from(*kind)));
        }
        if self.no_functions {
            filter = filter.without_functions();
        }
        if !self.prefix.is_empty() || !self.pattern.is_empty() {
            let (prefixes, patterns) = (self.prefix.clone(), self.pattern.clone());
            filter = filter.keys(move |key, _| {
                prefixes.iter().any(|prefix| key.starts_with(prefix.as_bytes()))
                    || patterns.iter().any(|pattern| store::glob::matches(pattern.as_bytes(), key))
            });
        }
        let now = server::unix_ms();
        if let Some(which) = self.expiry {
            filter = filter.keys(move |_, meta| match (which, meta.expire_ms) {
                (Expiry::None, expiry) => expiry.is_none(),
                (Expiry::Any, expiry) => expiry.is_some(),
                (Expiry::Past, expiry) => expiry.is_some_and(|ms| ms <= now),
                (Expiry::Future, expiry) => expiry.is_some_and(|ms| ms > now),
            });
        }
        if let Some(seconds) = self.expires_within {
            let until = now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000));
            filter = filter.keys(move |_, meta| meta.expire_ms.is_some_and(|ms| ms <= until));
        }
        filter
    }
}
