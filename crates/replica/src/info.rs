//! INFO, for programs.

use std::fmt;
use std::sync::Arc;

use resp::Value;
use server::Engine;

use crate::error::Error;
use crate::handle::Replica;
use crate::store::Store;

/// What INFO says at one moment. Its `Display` is the text that clients get.
///
/// ```
/// # use replica::{Replica, Standalone};
/// # #[tokio::main]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = Standalone::start("127.0.0.1:0").await?;
/// # primary.command(&["SET", "k", "v"])?;
/// # let replica = Replica::connect(&primary.url()).await?;
/// let info = replica.info()?;
/// assert_eq!(info.get("role"), Some("slave"));
/// assert_eq!(info.number("connected_slaves"), Some(0.0));
/// assert_eq!(info.section("Keyspace").count(), 1);
/// println!("{info}");
/// # replica.shutdown().await
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    text: String,
}

impl Info {
    fn of(engine: &Arc<Engine>) -> Result<Self, Error> {
        let text = match engine.call(&[b"INFO", b"everything"]).map_err(Error::of_command)? {
            Value::Verbatim { text, .. } | Value::Bulk(text) => String::from_utf8_lossy(&text).into_owned(),
            _ => String::new(),
        };
        Ok(Self { text })
    }

    /// The value of a field, whichever section it is in.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields().find(|(_, name, _)| *name == field).map(|(_, _, value)| value)
    }

    /// The same as a number, if it is one.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<f64> {
        self.get(field)?.parse().ok()
    }

    /// The fields of a section with their values, in order; the section's name in any case.
    pub fn section<'i>(&'i self, name: &'i str) -> impl Iterator<Item = (&'i str, &'i str)> {
        let of_it = self.fields().filter(move |(section, ..)| section.eq_ignore_ascii_case(name));
        of_it.map(|(_, field, value)| (field, value))
    }

    /// Every field: its section, its name, its value.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let mut section = "";
        self.text.lines().filter_map(move |line| {
            if let Some(name) = line.strip_prefix("# ") {
                section = name;
                return None;
            }
            let (field, value) = line.split_once(':')?;
            Some((section, field, value))
        })
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Replica {
    /// INFO with all its sections.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command): what a client would get.
    pub fn info(&self) -> Result<Info, Error> {
        Info::of(self.engine())
    }
}

impl Store {
    /// INFO with all its sections.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command): what a client would get.
    pub fn info(&self) -> Result<Info, Error> {
        Info::of(self.engine())
    }
}
