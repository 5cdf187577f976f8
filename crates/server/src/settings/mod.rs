//! The settings, each once: name, what values it takes, how to read and how to change it.
//!
//! Those of the keyspace are the store's ([`store::Limits`]); the others are rows, in groups beside what they are
//! about. CONFIG GET and SET, CONFIG REWRITE and the configuration file all go by this one table. What a real server
//! can do and this one cannot is told as it is (`appendonly` is `no`): setting such a name to what it is already is
//! fine, anything else is refused.

mod file;
mod renames;
mod rewrite;
mod table;
mod value;

use store::{Compat, Differences, Family, Limits, Setting, SettingKind};

pub(crate) use file::Configured;
pub use file::{Configuration, ConfigurationError, Directive, EndpointsError, Startup};
pub(crate) use renames::Meaning;
pub(crate) use table::INT;
pub use value::memory_value;

use crate::engine::Engine;

/// A setting that is not the keyspace's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    old_name: Option<&'static str>,
    /// The only family that has it, if one has not.
    only: Option<Family>,
    /// Only those may change it who may change protected settings.
    is_protected: bool,
    /// In a file its words may stand side by side, without quotes around them all.
    has_words: bool,
    slot: Slot,
}

/// Where the value is.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Number(SettingKind, fn(&Engine) -> i64, fn(&Engine, i64)),
    Text {
        get: fn(&Engine) -> String,
        check: Check,
        set: fn(&Engine, &str),
    },
    /// Nobody changes it while the server runs, here or anywhere.
    Immutable(fn(&Engine) -> String),
    /// There is nothing to change here.
    AsItIs(&'static str),
}

/// Whether a text may be the value, or why not.
pub(crate) type Check = fn(&str, &Differences) -> Result<(), String>;

impl Row {
    const fn new(name: &'static str, slot: Slot) -> Self {
        Self { name, old_name: None, only: None, is_protected: false, has_words: false, slot }
    }

    pub(crate) const fn number(
        name: &'static str,
        kind: SettingKind,
        get: fn(&Engine) -> i64,
        set: fn(&Engine, i64),
    ) -> Self {
        Self::new(name, Slot::Number(kind, get, set))
    }

    pub(crate) const fn switch(name: &'static str, get: fn(&Engine) -> i64, set: fn(&Engine, i64)) -> Self {
        Self::number(name, SettingKind::Switch, get, set)
    }

    pub(crate) const fn text(
        name: &'static str,
        get: fn(&Engine) -> String,
        check: Check,
        set: fn(&Engine, &str),
    ) -> Self {
        Self::new(name, Slot::Text { get, check, set })
    }

    pub(crate) const fn immutable(name: &'static str, get: fn(&Engine) -> String) -> Self {
        Self::new(name, Slot::Immutable(get))
    }

    pub(crate) const fn as_it_is(name: &'static str, value: &'static str) -> Self {
        Self::new(name, Slot::AsItIs(value))
    }

    /// The name that it used to have.
    pub(crate) const fn once(self, old_name: &'static str) -> Self {
        Self { old_name: Some(old_name), ..self }
    }

    pub(crate) const fn only(self, family: Family) -> Self {
        Self { only: Some(family), ..self }
    }

    pub(crate) const fn protected(self) -> Self {
        Self { is_protected: true, ..self }
    }

    pub(crate) const fn of_words(self) -> Self {
        Self { has_words: true, ..self }
    }
}

/// A text that any setting of text may be.
#[expect(clippy::unnecessary_wraps, reason = "the signature of checks")]
pub(crate) fn any_text(_: &str, _: &Differences) -> Result<(), String> {
    Ok(())
}

/// A setting of either kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    Keyspace(&'static Setting),
    Row(&'static Row),
}

/// A value that was looked at, and may be set.
#[derive(Debug, Clone)]
pub(crate) enum Checked {
    Number(i64),
    Text(String),
    /// It is so already.
    Same,
}

impl Found {
    /// The setting of this name, old or new, in lower case.
    pub(crate) fn named(name: &str, compat: Compat) -> Option<Self> {
        all(compat).find(|found| found.name() == name || found.old_name() == Some(name))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Keyspace(setting) => setting.name,
            Self::Row(row) => row.name,
        }
    }

    pub(crate) fn old_name(&self) -> Option<&'static str> {
        match self {
            Self::Keyspace(setting) => setting.old_name,
            Self::Row(row) => row.old_name,
        }
    }

    pub(crate) fn is_protected(&self) -> bool {
        matches!(self, Self::Row(row) if row.is_protected)
    }

    fn has_words(&self) -> bool {
        matches!(self, Self::Row(row) if row.has_words)
    }

    pub(crate) fn is_immutable(&self) -> bool {
        matches!(self, Self::Row(Row { slot: Slot::Immutable(_), .. }))
    }

    /// The value, as CONFIG GET spells it.
    pub(crate) fn get(&self, engine: &Engine) -> String {
        match self {
            Self::Keyspace(setting) => setting.spell(engine.keyspace.limits().get(setting)),
            Self::Row(row) => match row.slot {
                Slot::Number(kind, get, _) => kind.spell(get(engine)),
                Slot::Text { get, .. } | Slot::Immutable(get) => get(engine),
                Slot::AsItIs(value) => value.to_owned(),
            },
        }
    }

    /// Looks at a new value.
    pub(crate) fn check(&self, value: &[u8], engine: &Engine) -> Result<Checked, String> {
        let like = engine.compat().differences();
        match self {
            Self::Keyspace(setting) => value::read(setting.kind, value, like).map(Checked::Number),
            Self::Row(row) => match row.slot {
                Slot::Number(kind, ..) => value::read(kind, value, like).map(Checked::Number),
                Slot::Text { check, .. } => {
                    let text = String::from_utf8_lossy(value).into_owned();
                    check(&text, like).map(|()| Checked::Text(text))
                }
                Slot::AsItIs(now) if value.eq_ignore_ascii_case(now.as_bytes()) => Ok(Checked::Same),
                Slot::Immutable(_) | Slot::AsItIs(_) => Err("can't set immutable config".to_owned()),
            },
        }
    }

    fn set(&self, engine: &Engine, value: &Checked) {
        match (self, value) {
            (Self::Keyspace(setting), Checked::Number(n)) => {
                engine.keyspace.limits().set(setting.name, *n);
            }
            (Self::Row(Row { slot: Slot::Number(_, _, set), .. }), Checked::Number(n)) => set(engine, *n),
            (Self::Row(Row { slot: Slot::Text { set, .. }, .. }), Checked::Text(text)) => set(engine, text),
            _ => {}
        }
    }
}

/// Every setting that this personality has.
pub(crate) fn all(compat: Compat) -> impl Iterator<Item = Found> {
    let of_keyspace = Limits::settings().iter().filter(move |setting| setting.is_known_to(compat));
    let rows = table::GROUPS.iter().copied().flatten();
    let rows = rows.filter(move |row| row.only.is_none_or(|family| family == compat.family()));
    of_keyspace.map(Found::Keyspace).chain(rows.map(Found::Row))
}

/// Changes several settings: what was checked is set, all of it or, if it does not do together, nothing.
///
/// # Errors
/// The name of the setting that cannot be had, and why.
pub(crate) fn apply(engine: &Engine, changes: &[(Found, Checked)]) -> Result<(), (&'static str, String)> {
    let before: Vec<(Found, String)> = changes.iter().map(|(found, _)| (*found, found.get(engine))).collect();
    for (found, value) in changes {
        found.set(engine, value);
    }
    #[cfg(feature = "tls")]
    if let Some((found, _)) = changes.iter().find(|(found, _)| found.name().starts_with("tls-"))
        && let Err(error) = engine.reload_tls()
    {
        tracing::warn!(%error, "the new settings of TLS are not taken");
        for (found, old) in before {
            if let Ok(old) = found.check(old.as_bytes(), engine) {
                found.set(engine, &old);
            }
        }
        return Err((found.name(), "Unable to update TLS configuration. Check server logs.".to_owned()));
    }
    #[cfg(not(feature = "tls"))]
    drop(before);
    Ok(())
}
