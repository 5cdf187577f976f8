//! Users and what they may do: access control lists.
//!
//! ```text
//! Acl: name -> User { passwords, root selector, further selectors }     replaced whole by every change
//! Session: the user it is, looked up again when anything has changed
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use store::Compat;

mod log;
mod rule;
mod selector;
mod user;

pub(crate) use log::{Log, LogEntry};
pub(crate) use rule::RuleError;
pub(crate) use selector::{Denied, Selector, categories};
pub(crate) use user::User;

type Users = BTreeMap<Box<[u8]>, Arc<User>>;

/// All users, and what was denied them.
#[derive(Debug)]
pub(crate) struct Acl {
    users: RwLock<Users>,
    /// One who may everything, and is no user: the program around us.
    house: Arc<User>,
    /// Grows with every change.
    changes: AtomicU64,
    pub(crate) log: Mutex<Log>,
    /// Where users are kept (`aclfile`).
    file: Option<PathBuf>,
}

/// Why users cannot be taken from a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsersError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Its name.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Some of its lines are no users.
    #[error("{}WARNING: ACL errors detected, no change to the previously active ACL rules was performed", .0.concat())]
    Lines(Vec<String>),
}

impl Acl {
    /// The default user alone, who may everything; users of `file`, if one is given, must be loaded.
    pub(crate) fn new(compat: Compat, file: Option<PathBuf>) -> Self {
        let mut users = Users::new();
        let house = Arc::new(User::default(compat));
        users.insert(b"default"[..].into(), Arc::clone(&house));
        Self { users: RwLock::new(users), house, changes: AtomicU64::new(0), log: Mutex::default(), file }
    }

    /// Grows with every change.
    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<Arc<User>> {
        self.users.read().get(name).cloned()
    }

    /// One with every right.
    pub(crate) fn everything(&self) -> Arc<User> {
        Arc::clone(&self.house)
    }

    /// The user that everybody is at first; there is always one.
    pub(crate) fn default_user(&self) -> Arc<User> {
        self.get(b"default").unwrap_or_else(|| Arc::new(User::new(b"default")))
    }

    /// All, in order of their names.
    pub(crate) fn list(&self) -> Vec<Arc<User>> {
        self.users.read().values().cloned().collect()
    }

    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Changes a user, or makes it: all of the rules or none; on failure the rule at fault.
    pub(crate) fn set(
        &self,
        name: &[u8],
        rules: &[Vec<u8>],
        compat: Compat,
    ) -> Result<(), (Vec<u8>, RuleError)> {
        let mut users = self.users.write();
        let mut user = users.get(name).map_or_else(|| User::new(name), |user| User::clone(user));
        for rule in rules {
            user.apply(rule, compat).map_err(|why| (rule.clone(), why))?;
        }
        users.insert(name.into(), Arc::new(user));
        self.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Removes a user; false if there is none.
    pub(crate) fn remove(&self, name: &[u8]) -> bool {
        let gone = self.users.write().remove(name).is_some();
        self.changes.fetch_add(1, Ordering::Release);
        gone
    }

    /// Commands are another personality's from now on.
    pub(crate) fn compile(&self, compat: Compat) {
        for user in self.users.write().values_mut() {
            Arc::make_mut(user).compile(compat);
        }
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Replaces all users by those of the file: all or, if any line is wrong, none.
    ///
    /// # Errors
    /// The file, or all of its bad lines.
    pub(crate) fn load(&self, path: &Path, compat: Compat) -> Result<(), UsersError> {
        let shown = path.display().to_string();
        let text = std::fs::read(path).map_err(|source| UsersError::Io { path: shown.clone(), source })?;
        let (mut users, mut bad) = (Users::new(), Vec::new());
        for (i, line) in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate() {
            if line.is_empty() {
                continue;
            }
            match read_line(line, &users, compat) {
                Ok(user) => {
                    users.insert(user.name.clone(), Arc::new(user));
                }
                Err(BadLine::Twice(name)) => {
                    bad.push(format!("WARNING: Duplicate user '{name}' found on line {}. ", i + 1));
                }
                Err(BadLine::Other(why)) => bad.push(format!("{shown}:{}{why}", i + 1)),
            }
        }
        if !bad.is_empty() {
            return Err(UsersError::Lines(bad));
        }
        users.entry(b"default"[..].into()).or_insert_with(|| Arc::new(User::default(compat)));
        *self.users.write() = users;
        self.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Writes all users to the file, which is whole at any time.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn save(&self, path: &Path, compat: Compat) -> std::io::Result<()> {
        let mut text = Vec::new();
        for user in self.list() {
            text.extend(user.line(compat));
            text.push(b'\n');
        }
        let temporary = path.with_extension("tmp");
        std::fs::write(&temporary, text)?;
        std::fs::File::open(&temporary)?.sync_all()?;
        std::fs::rename(&temporary, path)
    }
}

/// What is wrong with a line of a file of users.
enum BadLine {
    Twice(String),
    Other(String),
}

fn read_line(line: &[u8], known: &Users, compat: Compat) -> Result<User, BadLine> {
    let other = |text: &str| BadLine::Other(text.to_owned());
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
    let [b"user", name, rules @ ..] = words.as_slice() else {
        return Err(other(" should start with user keyword followed by the username. "));
    };
    if known.contains_key(*name) {
        return Err(BadLine::Twice(String::from_utf8_lossy(name).into_owned()));
    }
    let rules = merged(rules).map_err(|_| other(": Unmatched parenthesis in selector definition."))?;
    let mut user = User::new(name);
    for rule in rules {
        user.apply(&rule, compat).map_err(|why| match why {
            RuleError::Unknown => {
                let rule = String::from_utf8_lossy(&rule);
                BadLine::Other(format!(": Error in applying operation '{rule}': {why}. "))
            }
            why => BadLine::Other(format!(": {why}. ")),
        })?;
    }
    Ok(user)
}

/// Rules with the parts of each selector in one; the rule at which a parenthesis has no partner.
pub(crate) fn merged(rules: &[&[u8]]) -> Result<Vec<Vec<u8>>, Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<(Vec<u8>, Vec<u8>)> = None;
    for rule in rules {
        match &mut open {
            None if rule.first() == Some(&b'(') && rule.last() != Some(&b')') => {
                open = Some((rule.to_vec(), rule.to_vec()));
            }
            None => all.push(rule.to_vec()),
            Some((_, text)) => {
                text.push(b' ');
                text.extend_from_slice(rule);
                if rule.last() == Some(&b')') {
                    all.extend(open.take().map(|(_, text)| text));
                }
            }
        }
    }
    match open {
        Some((first, _)) => Err(first),
        None => Ok(all),
    }
}
