//! Inline commands: a line of words, for people with telnet.
//!
//! ```text
//! word      bytes up to a space, TAB, CR, LF (VT and FF separate only in front of a word)
//! "..."     \n \r \t \b \a \xHH, and \ before anything else is that byte
//! '...'     \' only
//! ```
//! A quote may open in the middle of a word; it must close in front of white space or at the end. What is otherwise in
//! Valkey, [`Dialect`] says. Checked against Redis 7.0.15, Valkey 8.1.8 and 9.1.2.

use super::dialect::Dialect;
use super::frame::Span;

/// Splits `line` into words. Their bytes, unescaped, go to `text`, their places in it to `spans`.
///
/// `None` if quotes are unbalanced.
pub(super) fn split(line: &[u8], dialect: Dialect, text: &mut Vec<u8>, spans: &mut Vec<Span>) -> Option<()> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_with(is_space);
        if rest.is_empty() {
            return Some(());
        }
        let start = text.len();
        rest = word(rest, dialect, text)?;
        // A line is far shorter than 4 GiB.
        spans.push(Span::new(u32::try_from(start).ok()?, u32::try_from(text.len()).ok()?));
    }
}

/// Whether `line` can be split without unescaping anything.
pub(super) fn is_plain(line: &[u8], dialect: Dialect) -> bool {
    memchr::memchr2(b'"', b'\'', line).is_none()
        && !(dialect.loses_ff() && memchr::memchr(0xff, line).is_some())
}

/// Splits a line without quotes into places in the line itself.
pub(super) fn split_plain(line: &[u8], spans: &mut Vec<Span>) -> Option<()> {
    let mut start = None;
    for (at, &byte) in line.iter().enumerate() {
        match start {
            None if !is_space(byte) => start = Some(at),
            Some(from) if ends_word(byte) => {
                spans.push(Span::new(u32::try_from(from).ok()?, u32::try_from(at).ok()?));
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        spans.push(Span::new(u32::try_from(from).ok()?, u32::try_from(line.len()).ok()?));
    }
    Some(())
}

/// Copies one word and returns what follows it.
fn word<'a>(mut rest: &'a [u8], dialect: Dialect, text: &mut Vec<u8>) -> Option<&'a [u8]> {
    while let [byte, after @ ..] = rest {
        rest = match byte {
            b'"' | b'\'' => {
                let behind = if *byte == b'"' {
                    double_quoted(after, dialect, text)?
                } else {
                    single_quoted(after, dialect, text)?
                };
                if !dialect.joins_quotes() {
                    return closed(behind);
                }
                behind
            }
            &byte if ends_word(byte) => break,
            &byte => {
                push(byte, dialect, text);
                after
            }
        };
    }
    Some(rest)
}

/// A byte that is no escape.
fn push(byte: u8, dialect: Dialect, text: &mut Vec<u8>) {
    if !(dialect.loses_ff() && byte == 0xff) {
        text.push(byte);
    }
}

/// Whether a backslash changes what the byte behind it means, given what is left behind that.
fn escapes(left: &[u8], dialect: Dialect) -> bool {
    !dialect.joins_quotes() || !left.is_empty()
}

/// A closing quote must not touch the next word.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(|&byte| is_space(byte)).then_some(rest)
}

fn double_quoted<'a>(mut rest: &'a [u8], dialect: Dialect, text: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                text.push(hex(*high) << 4 | hex(*low));
                rest = after;
                continue;
            }
            [b'\\', escaped, after @ ..] if escapes(after, dialect) => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        push(byte, dialect, text);
        rest = after;
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], dialect: Dialect, text: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match rest {
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'\'', after @ ..] if escapes(after, dialect) => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        push(byte, dialect, text);
        rest = after;
    }
}

const fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

const fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

trait TrimStart {
    fn trim_start_with(&self, skip: fn(u8) -> bool) -> &Self;
}

impl TrimStart for [u8] {
    fn trim_start_with(&self, skip: fn(u8) -> bool) -> &Self {
        let at = self.iter().position(|&byte| !skip(byte)).unwrap_or(self.len());
        self.get(at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8], dialect: Dialect) -> Option<Vec<Vec<u8>>> {
        let (mut text, mut spans) = (Vec::new(), Vec::new());
        split(line, dialect, &mut text, &mut spans)?;
        Some(spans.iter().map(|span| text[span.range()].to_vec()).collect())
    }

    type Case = (&'static [u8], Option<&'static [&'static [u8]]>);

    fn check(cases: &[Case], dialect: Dialect) {
        for (line, expected) in cases {
            let expected = expected.map(|words| words.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
            assert_eq!(words(line, dialect), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn quotes_follow_redis_7_0_15() {
        let cases: &[Case] = &[
            (b"PING foo\"bar\"", Some(&[b"PING", b"foobar"])),
            (b"PING \"\\x41\\n\\r\\t\\b\\a\\q\\x4\"", Some(&[b"PING", b"A\n\r\t\x08\x07qx4"])),
            (b"PING 'a\\'b\\n'", Some(&[b"PING", b"a'b\\n"])),
            (b"PING \"\"", Some(&[b"PING", b""])),
            (b"  PING\t a ", Some(&[b"PING", b"a"])),
            (b"PING a\x0bb", Some(&[b"PING", b"a\x0bb"])),
            (b"\x0bPING a", Some(&[b"PING", b"a"])),
            (b"PING a\rb", Some(&[b"PING", b"a", b"b"])),
            (b"PING \"a\rb\"", Some(&[b"PING", b"a\rb"])),
            (b"PING \"a\"\x0b", Some(&[b"PING", b"a"])),
            (b"ECHO ab'c'", Some(&[b"ECHO", b"abc"])),
            (b"PING \"\\x4g\"", Some(&[b"PING", b"x4g"])),
            (b"", Some(&[])),
            (b"PING \"a", None),
            (b"PING 'a", None),
            (b"PING \"a\"b", None),
            (b"PING \"a\\\"", None),
            (b"ECHO 'a''b'", None),
        ];
        check(cases, Dialect::Redis);
    }

    #[test]
    fn the_byte_ff_is_lost_as_in_valkey_8_1_8() {
        let cases: &[Case] = &[
            (b"a \xff b", Some(&[b"a", b"", b"b"])),
            (b"a\xffb \"c\xffd\" 'e\xfff'", Some(&[b"ab", b"cd", b"ef"])),
            (b"\"a\\xffb\"", Some(&[b"a\xffb"])),
            (b"\"\\\xff\"", Some(&[b""])),
            (b"'\\\xff'", Some(&[b"\\"])),
            (b"PING \"a\"b", None),
        ];
        check(cases, Dialect::Valkey8);
    }

    #[test]
    fn quotes_follow_valkey_9_1_2() {
        let cases: &[Case] = &[
            (b"\"a\"\"b\"c'd'", Some(&[b"abcd"])),
            (b"\"\"\\a", Some(&[b"\\a"])),
            (b"\"\\\"", Some(&[b"\\"])),
            (b"\"\\\"\"", Some(&[b"\""])),
            (b"\"\\\"\\\"", Some(&[b"\"\\"])),
            (b"\"\\\" \"", Some(&[b"\" "])),
            (b"'\\''", Some(&[b"'"])),
            (b"'\\'", Some(&[b"\\"])),
            (b"'\\'\\'", Some(&[b"'\\"])),
            (b"\"\\x41\\q\" \"a\\n\"", Some(&[b"Aq", b"a\n"])),
            (b"\"\\\" a", None),
            (b"\"a\\\"b", None),
            (b"\"\\\\\"a\"", None),
        ];
        check(cases, Dialect::Valkey9);
    }

    #[test]
    fn the_copy_free_path_splits_the_same() {
        for line in [&b"a"[..], b" a  b\x0b\x0c c\r", b"\x0b\x0ca\rb\x0bc", b"   ", b"", b"\t\ta\tb"] {
            assert!(is_plain(line, Dialect::Redis));
            let mut spans = Vec::new();
            split_plain(line, &mut spans).unwrap();
            let plain: Vec<_> = spans.iter().map(|span| line[span.range()].to_vec()).collect();
            assert_eq!(Some(plain), words(line, Dialect::Redis));
        }
    }
}
