//! Libraries of functions: what is loaded, shared by the engines of a pool.

mod metadata;
#[cfg(feature = "vm")]
mod register;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use metadata::parse;
#[cfg(feature = "vm")]
pub(crate) use register::{Registered, push_load_api};

use crate::error::Error;
use crate::shebang::Flags;

/// One function of a [`Library`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it says about itself.
    pub description: Option<Vec<u8>>,
    /// What it promises.
    pub flags: Flags,
}

/// A library: its source and the functions that it registered.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Library {
    /// Its name.
    pub name: String,
    /// The whole source, with its first line.
    pub code: Box<[u8]>,
    /// In the order in which they were registered.
    pub functions: Vec<Function>,
    /// Tells one load from another.
    pub(crate) id: u64,
}

/// What to do about libraries that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// A library of the same name is an error.
    Append,
    /// The new one takes its place.
    Replace,
    /// All go first.
    Flush,
}

/// The libraries of a data set. Cheap to share.
#[derive(Debug, Default)]
pub struct Functions {
    ids: AtomicU64,
    /// Grows whenever a library went away.
    generation: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug, Default, Clone)]
struct Table {
    libraries: BTreeMap<String, Arc<Library>>,
    /// By name in lower case: which library, and its which function.
    functions: HashMap<String, (Arc<Library>, usize)>,
}

impl Functions {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The function with this name in any case, and its library.
    pub fn find(&self, name: &[u8]) -> Option<(Arc<Library>, Function)> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        let table = self.table();
        let (library, index) = table.functions.get(&name)?;
        Some((Arc::clone(library), library.functions.get(*index)?.clone()))
    }

    /// All libraries, by name.
    pub fn libraries(&self) -> Vec<Arc<Library>> {
        self.table().libraries.values().cloned().collect()
    }

    /// How many libraries, and how many functions they have.
    pub fn count(&self) -> (usize, usize) {
        let table = self.table();
        (table.libraries.len(), table.libraries.values().map(|library| library.functions.len()).sum())
    }

    /// Bytes of their sources.
    pub fn source_bytes(&self) -> usize {
        self.table().libraries.values().map(|library| library.code.len()).sum()
    }

    /// Whether there is no library.
    pub fn is_empty(&self) -> bool {
        self.table().libraries.is_empty()
    }

    /// FUNCTION DELETE.
    ///
    /// # Errors
    /// There is no library of this name.
    pub fn delete(&self, name: &[u8]) -> Result<(), Error> {
        let mut table = self.table();
        let name = std::str::from_utf8(name).unwrap_or_default();
        if table.libraries.remove(name).is_none() {
            return Err(Error::Function("Library not found".to_owned()));
        }
        table.index();
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// FUNCTION FLUSH.
    pub fn flush(&self) {
        *self.table() = Table::default();
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn has_library(&self, name: &str) -> bool {
        self.table().libraries.contains_key(name)
    }

    pub(crate) fn is_loaded(&self, library: u64) -> bool {
        self.table().libraries.values().any(|known| known.id == library)
    }

    /// Adds all of `libraries`, or none.
    pub(crate) fn add(&self, libraries: Vec<Arc<Library>>, policy: Policy) -> Result<(), Error> {
        let mut table = self.table();
        let mut next = if policy == Policy::Flush { Table::default() } else { table.clone() };
        for library in libraries {
            if policy == Policy::Replace {
                next.libraries.remove(&library.name);
                next.index();
            }
            if next.libraries.contains_key(&library.name) {
                return Err(Error::Function(format!("Library {} already exists", library.name)));
            }
            for function in &library.functions {
                if next.functions.contains_key(&function.name.to_ascii_lowercase()) {
                    return Err(Error::Function(format!("Function {} already exists", function.name)));
                }
            }
            next.libraries.insert(library.name.clone(), library);
            next.index();
        }
        *table = next;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A table is replaced as a whole, so a poisoned one is still good.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn index(&mut self) {
        self.functions.clear();
        for library in self.libraries.values() {
            for (index, function) in library.functions.iter().enumerate() {
                let name = function.name.to_ascii_lowercase();
                self.functions.entry(name).or_insert_with(|| (Arc::clone(library), index));
            }
        }
    }
}

/// Names consist of letters, digits and underscores.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}
