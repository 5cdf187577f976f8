//! A user: passwords, and selectors of which one must allow a command.

use sha2::{Digest as _, Sha256};
use store::{Args, Compat, Sanitizing};
use subtle::ConstantTimeEq as _;

use super::rule::RuleError;
use super::selector::{Denied, Selector};

/// 64 lower-case hex digits of a password's SHA-256.
type Hash = [u8; 64];

/// A user with everything that was said of it.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: Box<[u8]>,
    pub(crate) enabled: bool,
    pub(crate) no_password: bool,
    /// Whether RESTORE checks payloads deeply for it, if anybody said so. (We always do.)
    sanitizes: Option<bool>,
    passwords: Vec<Hash>,
    pub(crate) root: Selector,
    pub(crate) selectors: Vec<Selector>,
}

pub(crate) fn hash(password: &[u8]) -> Hash {
    let mut hex = [0; 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha256::digest(password)) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    hex
}

impl User {
    /// One who may nothing.
    pub(crate) fn new(name: &[u8]) -> Self {
        Self {
            name: name.into(),
            enabled: false,
            no_password: false,
            sanitizes: None,
            passwords: Vec::new(),
            root: Selector::nothing(),
            selectors: Vec::new(),
        }
    }

    /// The one who everybody is at first.
    pub(crate) fn default(compat: Compat) -> Self {
        Self { enabled: true, no_password: true, root: Selector::everything(compat), ..Self::new(b"default") }
    }

    /// Whether nothing needs to be checked for it.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.root.is_everything()
    }

    /// Whether one becomes it without a password.
    pub(crate) fn is_open(&self) -> bool {
        self.enabled && self.no_password
    }

    /// Whether this is one of its passwords, in a time that does not depend on which or how nearly.
    pub(crate) fn has_password(&self, password: &[u8]) -> bool {
        let given = hash(password);
        self.no_password
            || self.passwords.iter().fold(false, |found, known| found | bool::from(known.ct_eq(&given)))
    }

    /// Applies a rule of ACL SETUSER; selectors come whole, in parentheses.
    pub(crate) fn apply(&mut self, rule: &[u8], compat: Compat) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"nopass" => (self.no_password, self.passwords) = (true, Vec::new()),
            b"resetpass" => (self.no_password, self.passwords) = (false, Vec::new()),
            b"sanitize-payload" => self.sanitizes = Some(true),
            b"skip-sanitize-payload" => self.sanitizes = Some(false),
            b"clearselectors" => self.selectors.clear(),
            b"reset" => *self = Self { sanitizes: Some(true), ..Self::new(&self.name) },
            [b'>', ..] => self.add_password(hash(&rule[1..])),
            [b'#', ..] => self.add_password(hash_of_hex(&rule[1..])?),
            [b'<', ..] => return self.remove_password(hash(&rule[1..])),
            [b'!', ..] => return self.remove_password(hash_of_hex(&rule[1..])?),
            [b'(', .., b')'] => {
                let mut selector = Selector::nothing();
                for part in
                    rule[1..rule.len() - 1].split(|byte| *byte == b' ').filter(|part| !part.is_empty())
                {
                    selector.apply(part, compat).unwrap_or(Err(RuleError::Syntax))?;
                }
                self.selectors.push(selector);
            }
            _ => return self.root.apply(rule, compat).unwrap_or(Err(RuleError::Syntax)),
        }
        Ok(())
    }

    fn add_password(&mut self, hash: Hash) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.no_password = false;
    }

    fn remove_password(&mut self, hash: Hash) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| *known == hash).ok_or(RuleError::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// Whether one of its selectors allows the command; else what came nearest to it.
    pub(crate) fn check(&self, compat: Compat, name: &str, args: Args<'_>, db: u32) -> Result<(), Denied> {
        if self.is_unlimited() || is_for_everybody(name) {
            return Ok(());
        }
        let mut nearest = Denied::Command;
        for selector in std::iter::once(&self.root).chain(&self.selectors) {
            match selector.check(compat, name, args, db) {
                Ok(()) => return Ok(()),
                Err(denied) => nearest = nearest.max(denied),
            }
        }
        Err(nearest)
    }

    /// Whether it may listen to a channel, or to exactly this pattern.
    pub(crate) fn allows_channel(&self, channel: &[u8], literal: bool) -> bool {
        std::iter::once(&self.root).chain(&self.selectors).any(|s| s.allows_channel(channel, literal))
    }

    /// Looks its rules up again among the commands of a personality.
    pub(crate) fn compile(&mut self, compat: Compat) {
        self.root.compile(compat);
        self.selectors.iter_mut().for_each(|selector| selector.compile(compat));
    }

    pub(crate) fn flags(&self, compat: Compat) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        if self.no_password {
            flags.push("nopass");
        }
        let sanitizes = match compat.differences().acl_sanitizing {
            Sanitizing::Told => Some(self.sanitizes.unwrap_or(true)),
            Sanitizing::ToldIfSet => self.sanitizes,
            Sanitizing::Gone => None,
        };
        flags.extend(sanitizes.map(|yes| if yes { "sanitize-payload" } else { "skip-sanitize-payload" }));
        flags
    }

    pub(crate) fn passwords(&self) -> &[Hash] {
        &self.passwords
    }

    /// Its line in ACL LIST and in an ACL file.
    pub(crate) fn line(&self, compat: Compat) -> Vec<u8> {
        let mut parts: Vec<Vec<u8>> = vec![b"user".to_vec(), self.name.to_vec()];
        parts.extend(self.flags(compat).into_iter().map(|flag| flag.as_bytes().to_vec()));
        parts.extend(self.passwords.iter().map(|hash| [&b"#"[..], hash].concat()));
        parts.push(self.root.text());
        parts.extend(self.selectors.iter().map(|s| [&b"("[..], &s.text(), b")"].concat()));
        parts.join(&b' ')
    }
}

/// Commands that nobody is denied: they lead to permissions, or out.
fn is_for_everybody(name: &str) -> bool {
    matches!(name, "auth" | "hello" | "quit" | "reset")
}

fn hash_of_hex(hex: &[u8]) -> Result<Hash, RuleError> {
    let hash: Hash = hex.try_into().map_err(|_| RuleError::BadHash)?;
    if !hash.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(RuleError::BadHash);
    }
    Ok(hash)
}
