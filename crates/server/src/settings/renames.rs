//! `rename-command`: commands under other names, or under none. (What is meant today is ACL; this is for
//! configurations that have it.)

use std::collections::HashMap;

use store::{Args, Compat};

use crate::session::Found;

/// Names that are others than those of the tables.
#[derive(Debug, Default, Clone)]
pub(crate) struct Renames {
    /// What a name means, in lower case; nothing where a command went away.
    meanings: HashMap<Vec<u8>, Option<&'static str>>,
}

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// What it says.
    Itself,
    Another(&'static str),
    Nothing,
}

impl Renames {
    /// Calls a command by another name from now on, or by none.
    pub(super) fn add(&mut self, compat: Compat, from: &[u8], to: &[u8]) -> Result<(), &'static str> {
        let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
        let command = match self.meaning(&from) {
            Meaning::Itself => Found::named(compat, Args::new(&[&from])).map(|found| found.name()),
            Meaning::Another(name) => Some(name),
            Meaning::Nothing => None,
        };
        let command = command.ok_or("No such command in rename-command")?;
        if !to.is_empty() {
            let taken = match self.meaning(&to) {
                Meaning::Itself => Found::named(compat, Args::new(&[&to])).is_some(),
                Meaning::Another(_) => true,
                Meaning::Nothing => false,
            };
            if taken && to != from {
                return Err("Target command name already exists");
            }
        }
        self.meanings.insert(from, None);
        if !to.is_empty() {
            self.meanings.insert(to, Some(command));
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.meanings.is_empty()
    }

    pub(crate) fn meaning(&self, name: &[u8]) -> Meaning {
        if self.meanings.is_empty() {
            return Meaning::Itself;
        }
        match self.meanings.get(name.to_ascii_lowercase().as_slice()) {
            None => Meaning::Itself,
            Some(None) => Meaning::Nothing,
            Some(Some(command)) => Meaning::Another(command),
        }
    }

    /// Whether a command, by its name in the tables, has no name at all any more.
    pub(crate) fn is_gone(&self, command: &str) -> bool {
        let container = command.split('|').next().unwrap_or(command);
        self.meaning(container.as_bytes()) != Meaning::Itself
            && !self.meanings.values().any(|meaning| *meaning == Some(container))
    }
}
