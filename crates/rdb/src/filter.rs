//! A visitor that passes on what is asked for and drops the rest before a value is built.

use std::fmt;

use crate::version::Version;
use crate::visitor::{EntryMeta, Kind, Part, Reject, Visitor, Want};

type KeyTest = Box<dyn FnMut(&[u8], &EntryMeta) -> bool + Send>;

/// Drops databases, kinds and keys; what is left goes to the visitor inside.
///
/// Dropped values are skipped by the decoder: neither decompressed nor checked. `resize_db` is not passed on where keys
/// may be dropped, since its counts would be wrong.
///
/// ```
/// use rdb::{Decoder, EntryMeta, Filter, Kind, Part, Reject, Visitor, Want};
///
/// struct Count(usize);
///
/// impl Visitor for Count {
///     fn entry(&mut self, _: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
///         self.0 += 1;
///         Ok(Want::Elements)
///     }
/// }
///
/// let mut filter = Filter::new(Count(0)).databases([0]).keys(|key, _| key.starts_with(b"user:"));
/// Decoder::default().feed(b"REDIS0003\xFE\0\0\x06user:1\x01a\0\x01x\x01b\xFE\x01\0\x06user:2\x01c\xFF", &mut filter)?;
/// assert_eq!(filter.into_inner().0, 1);
/// # Ok::<_, rdb::Error>(())
/// ```
pub struct Filter<V> {
    inner: V,
    databases: Option<Vec<u64>>,
    kinds: Option<Vec<Kind>>,
    tests: Vec<KeyTest>,
    functions: bool,
    wanted: bool,
}

impl<V: fmt::Debug> fmt::Debug for Filter<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("inner", &self.inner)
            .field("databases", &self.databases)
            .field("kinds", &self.kinds)
            .field("tests", &self.tests.len())
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}

impl<V> Filter<V> {
    /// A filter that drops nothing yet.
    pub fn new(inner: V) -> Self {
        Self { inner, databases: None, kinds: None, tests: Vec::new(), functions: true, wanted: true }
    }

    /// Keeps only keys of these databases.
    pub fn databases(mut self, databases: impl IntoIterator<Item = u64>) -> Self {
        self.databases = Some(databases.into_iter().collect());
        self.judge(0);
        self
    }

    /// Keeps only values of these kinds.
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Keeps only keys that pass the test. May be called many times: a key has to pass every test.
    pub fn keys(mut self, test: impl FnMut(&[u8], &EntryMeta) -> bool + Send + 'static) -> Self {
        self.tests.push(Box::new(test));
        self
    }

    /// Keeps only keys that begin so.
    pub fn prefix(self, prefix: impl Into<Vec<u8>>) -> Self {
        let prefix = prefix.into();
        self.keys(move |key, _| key.starts_with(&prefix))
    }

    /// Drops function libraries.
    pub fn without_functions(mut self) -> Self {
        self.functions = false;
        self
    }

    /// The visitor inside.
    pub fn inner(&self) -> &V {
        &self.inner
    }

    /// The visitor inside, to change.
    pub fn inner_mut(&mut self) -> &mut V {
        &mut self.inner
    }

    /// Gives the visitor inside back.
    pub fn into_inner(self) -> V {
        self.inner
    }

    fn judge(&mut self, db: u64) {
        self.wanted = self.databases.as_ref().is_none_or(|databases| databases.contains(&db));
    }
}

impl<V: Visitor> Visitor for Filter<V> {
    fn header(&mut self, version: Version) {
        self.inner.header(version);
    }

    fn record(&mut self, offset: u64) {
        self.inner.record(offset);
    }

    fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.inner.aux(name, value);
    }

    fn select_db(&mut self, db: u64) {
        self.judge(db);
        if self.wanted {
            self.inner.select_db(db);
        }
    }

    fn resize_db(&mut self, keys: u64, expires: u64) {
        if self.wanted && self.tests.is_empty() && self.kinds.is_none() {
            self.inner.resize_db(keys, expires);
        }
    }

    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        if self.functions { self.inner.function(code) } else { Ok(()) }
    }

    fn module_aux(&mut self, bytes: &[u8]) {
        self.inner.module_aux(bytes);
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        if !self.wanted
            || self.kinds.as_ref().is_some_and(|kinds| !kinds.contains(&meta.kind))
            || !self.tests.iter_mut().all(|test| test(key, meta))
        {
            return Ok(Want::Skip);
        }
        self.inner.entry(key, meta)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        self.inner.part(part)
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        self.inner.entry_end()
    }

    fn end(&mut self) -> Result<(), Reject> {
        self.inner.end()
    }
}
