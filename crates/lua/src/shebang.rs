//! The first line of a script: `#!lua flags=no-writes,allow-stale`.

use crate::error::Error;
use crate::flavour::Flavour;
use crate::words;

/// What a script says about itself in its first line.
///
/// A script without such a line has no flags and `declared` is false; Redis then treats it as it always did
/// (it may write, and may touch keys of several slots).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// There is a shebang line.
    pub declared: bool,
    /// The script promises not to write; the engine's caller refuses writes and may run it on a replica.
    pub no_writes: bool,
    /// May run when memory is over the limit.
    pub allow_oom: bool,
    /// May run when the data are stale.
    pub allow_stale: bool,
    /// Must not run in cluster mode.
    pub no_cluster: bool,
    /// May touch keys of several slots.
    pub allow_cross_slot_keys: bool,
}

impl Flags {
    /// Sets the flag of this name; false if there is none.
    pub(crate) fn set(&mut self, name: &[u8]) -> bool {
        match name {
            b"no-writes" => self.no_writes = true,
            b"allow-oom" => self.allow_oom = true,
            b"allow-stale" => self.allow_stale = true,
            b"no-cluster" => self.no_cluster = true,
            b"allow-cross-slot-keys" => self.allow_cross_slot_keys = true,
            _ => return false,
        }
        true
    }

    /// The names of the flags that are set.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.no_writes, "no-writes"),
            (self.allow_oom, "allow-oom"),
            (self.allow_stale, "allow-stale"),
            (self.no_cluster, "no-cluster"),
            (self.allow_cross_slot_keys, "allow-cross-slot-keys"),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
    }
}

/// Splits `source` into its flags and the part to compile. The line's end stays, so that lines count as written.
pub(crate) fn parse<'a>(source: &'a [u8], flavour: &Flavour) -> Result<(Flags, &'a [u8]), Error> {
    if !source.starts_with(b"#!") {
        return Ok((Flags::default(), source));
    }
    let shebang = |text: &str| Error::Shebang(text.to_owned());
    let end = source.iter().position(|byte| *byte == b'\n');
    let (line, body) = source.split_at(end.ok_or_else(|| shebang("Invalid script shebang"))?);
    let words = words::split(line, flavour.joins_quoted)
        .ok_or_else(|| shebang("Invalid engine in script shebang"))?;
    let engine = words.first().map(|word| String::from_utf8_lossy(word)).unwrap_or_default();
    if !flavour.many_engines && engine != "#!lua" {
        return Err(Error::Shebang(format!("Unexpected engine in script shebang: {engine}")));
    }
    let mut flags = Flags { declared: true, ..Flags::default() };
    for word in words.iter().skip(1) {
        let Some(list) = word.strip_prefix(b"flags=") else {
            let word = String::from_utf8_lossy(word);
            return Err(Error::Shebang(format!("Unknown lua shebang option: {word}")));
        };
        for flag in list.split(|byte| *byte == b',').filter(|_| !list.is_empty()) {
            if !flags.set(flag) {
                let flag = String::from_utf8_lossy(flag);
                return Err(Error::Shebang(format!("Unexpected flag in script shebang: {flag}")));
            }
        }
    }
    // Valkey looks engines up by name, in any case, when it has read the rest.
    let name = engine.strip_prefix("#!").unwrap_or_default();
    if !name.eq_ignore_ascii_case("lua") {
        return Err(Error::Shebang(format!("Could not find scripting engine '{name}'")));
    }
    Ok((flags, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_lines_keep_their_numbers() {
        let source = b"#!lua flags=no-writes,allow-stale\nreturn 1";
        let (flags, body) = parse(source, &Flavour::REDIS_7_0).expect("valid");
        assert!(flags.declared && flags.no_writes && flags.allow_stale && !flags.allow_oom);
        assert_eq!(body, b"\nreturn 1");
    }

    #[test]
    fn a_script_without_a_shebang_declares_nothing() {
        assert_eq!(parse(b"return 1", &Flavour::REDIS_7_0), Ok((Flags::default(), &b"return 1"[..])));
    }

    #[test]
    fn each_mistake_has_the_servers_text() {
        let text = |source: &[u8]| parse(source, &Flavour::REDIS_7_0).expect_err("invalid").to_string();
        assert_eq!(text(b"#!lua"), "ERR Invalid script shebang");
        assert_eq!(text(b"#!luax\n"), "ERR Unexpected engine in script shebang: #!luax");
        assert_eq!(text(b"#!lua flags=x\n"), "ERR Unexpected flag in script shebang: x");
        assert_eq!(text(b"#!lua name=x\n"), "ERR Unknown lua shebang option: name=x");
    }
}
