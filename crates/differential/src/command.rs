//! One command, and how it is written down.

use std::fmt::Write as _;

/// A command: its name and its arguments.
pub type Command = Vec<Vec<u8>>;

/// A command from words that contain no space.
#[must_use]
pub fn words(line: &str) -> Command {
    line.split_ascii_whitespace().map(|word| word.as_bytes().to_vec()).collect()
}

/// Arguments that are longer, and one byte throughout, are written as `*LENGTH"BYTE"`.
const LONG: usize = 40;

/// A command on one line, each argument quoted, so that [`read`] gives it back.
#[must_use]
pub fn shown(command: &[Vec<u8>]) -> String {
    let mut line = String::new();
    for arg in command {
        let space = if line.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = match arg[..] {
            // One byte, many times.
            [first, ..] if arg.len() > LONG && arg.iter().all(|b| *b == first) => {
                write!(line, "{space}*{}\"{}\"", arg.len(), [first].escape_ascii())
            }
            _ => write!(line, "{space}\"{}\"", arg.escape_ascii()),
        };
    }
    line
}

/// The command on a line of [`shown`]; words without quotes may stand for themselves.
#[must_use]
pub fn read(line: &str) -> Command {
    let mut command = Vec::new();
    let mut rest = line.trim().as_bytes();
    while let Some(&first) = rest.first() {
        if first.is_ascii_whitespace() {
            rest = &rest[1..];
        } else if first == b'"' {
            let (arg, after) = quoted(&rest[1..]);
            command.push(arg);
            rest = after;
        } else if let Some((times, after)) = repeated(rest) {
            let (arg, after) = quoted(after);
            command.push(arg.repeat(times));
            rest = after;
        } else {
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            command.push(rest[..end].to_vec());
            rest = &rest[end..];
        }
    }
    command
}

/// `*LENGTH"`
fn repeated(rest: &[u8]) -> Option<(usize, &[u8])> {
    let rest = rest.strip_prefix(b"*")?;
    let end = rest.iter().position(|b| *b == b'"')?;
    let times = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some((times, &rest[end + 1..]))
}

fn quoted(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut arg = Vec::new();
    loop {
        match rest {
            [] => return (arg, rest),
            [b'"', after @ ..] => return (arg, after),
            [b'\\', b'x', a, b, after @ ..] => {
                let digit = |c: u8| char::from(c).to_digit(16).unwrap_or(0) as u8;
                arg.push(digit(*a) * 16 + digit(*b));
                rest = after;
            }
            [b'\\', c, after @ ..] => {
                arg.push(match c {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                rest = after;
            }
            [c, after @ ..] => {
                arg.push(*c);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_again() {
        let all: Vec<u8> = (0..=255).collect();
        let command = vec![b"SET".to_vec(), Vec::new(), b"a \"b\" \\ 'c'".to_vec(), all, vec![7; 5000]];
        assert_eq!(read(&shown(&command)), command);
        assert_eq!(read(" GET  key "), words("GET key"));
    }
}
