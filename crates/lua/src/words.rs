//! A line split into words as a shell would, for the first line of scripts and libraries.

/// The words of `line`, or nothing where a quote is not closed or, unless `joins`, text follows one at once.
pub(crate) fn split(line: &[u8], joins: bool) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        while let Some((byte, after)) = rest.split_first()
            && is_blank(*byte)
        {
            rest = after;
        }
        if rest.is_empty() {
            return Some(words);
        }
        let (word, after) = word(rest, joins)?;
        words.push(word);
        rest = after;
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

/// The word at the start, and what follows.
fn word(mut rest: &[u8], joins: bool) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => rest = double_quoted(rest, &mut word)?,
            b'\'' => rest = single_quoted(rest, &mut word)?,
            _ if is_blank(byte) || byte == 0 => break,
            _ => {
                word.push(byte);
                continue;
            }
        }
        if joins {
            continue;
        }
        // A quote ends its word.
        return match rest.first() {
            Some(next) if !is_blank(*next) => None,
            _ => Some((word, rest)),
        };
    }
    Some((word, rest))
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |c: u8| char::from(c).to_digit(16).unwrap_or(0) as u8;
                word.push(digit(*high) << 4 | digit(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                after
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_split_as_a_shell_would() {
        let words = |line: &[u8]| split(line, false).map(|all| all.join(&b'|'));
        assert_eq!(words(b"  a  'b c' \"d\\n\\x41\" e"), Some(b"a|b c|d\nA|e".to_vec()));
        assert_eq!(words(b"name=\"q\""), Some(b"name=q".to_vec()));
        assert_eq!(words(b"\"open"), None);
        assert_eq!(words(b"'a'b"), None);
        assert_eq!(split(b"x'a'b \"c\"", true), Some(vec![b"xab".to_vec(), b"c".to_vec()]));
    }
}
