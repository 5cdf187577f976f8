//! Who decides what is written, in a form that every command can afford to ask.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

/// Who decides what is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// This engine does: clients may write.
    Primary,
    /// The primary at this address does: clients may read.
    Replica {
        /// Its host, as configured.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// The role of an engine. It changes rarely, and each command asks more than once whether it may write: that takes no
/// lock.
#[derive(Debug)]
pub(crate) struct Roles {
    role: RwLock<Role>,
    is_primary: AtomicBool,
}

impl Roles {
    pub(crate) fn new(role: Role) -> Self {
        let is_primary = AtomicBool::new(role == Role::Primary);
        Self { role: RwLock::new(role), is_primary }
    }

    pub(crate) fn get(&self) -> Role {
        self.role.read().clone()
    }

    #[inline]
    pub(crate) fn is_primary(&self) -> bool {
        self.is_primary.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self, role: Role) {
        let mut held = self.role.write();
        self.is_primary.store(role == Role::Primary, Ordering::Release);
        *held = role;
    }
}
