//! The first line of a script: `#!lua flags=no-writes,allow-stale`.

use crate::error::Error;
use crate::flavour::Flavour;

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

/// Splits `source` into its flags and the part to compile. The line's end stays, so that lines count as written.
pub(crate) fn parse<'a>(source: &'a [u8], flavour: &Flavour) -> Result<(Flags, &'a [u8]), Error> {
    if !source.starts_with(b"#!") {
        return Ok((Flags::default(), source));
    }
    let shebang = |text: &str| Error::Shebang(text.to_owned());
    let Some(end) = source.iter().position(|byte| *byte == b'\n') else {
        return Err(shebang("Invalid script shebang"));
    };
    let (line, body) = source.split_at(end);
    let line = String::from_utf8_lossy(line);
    if line.matches('"').count() % 2 == 1 || line.matches('\'').count() % 2 == 1 {
        return Err(shebang("Invalid engine in script shebang"));
    }
    let mut words = line.split_ascii_whitespace();
    let engine = words.next().unwrap_or_default();
    if flavour.many_engines {
        // Valkey looks engines up by name, in any case.
        let name = engine.strip_prefix("#!").unwrap_or_default();
        if !name.eq_ignore_ascii_case("lua") {
            return Err(Error::Shebang(format!("Could not find scripting engine '{name}'")));
        }
    } else if engine != "#!lua" {
        return Err(Error::Shebang(format!("Unexpected engine in script shebang: {engine}")));
    }
    let mut flags = Flags { declared: true, ..Flags::default() };
    for word in words {
        let Some(list) = word.strip_prefix("flags=") else {
            return Err(Error::Shebang(format!("Unknown lua shebang option: {word}")));
        };
        if list.is_empty() {
            continue;
        }
        for flag in list.split(',') {
            match flag {
                "no-writes" => flags.no_writes = true,
                "allow-oom" => flags.allow_oom = true,
                "allow-stale" => flags.allow_stale = true,
                "no-cluster" => flags.no_cluster = true,
                "allow-cross-slot-keys" => flags.allow_cross_slot_keys = true,
                other => {
                    return Err(Error::Shebang(format!("Unexpected flag in script shebang: {other}")));
                }
            }
        }
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
