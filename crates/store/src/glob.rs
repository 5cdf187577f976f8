//! Patterns as KEYS, SCAN and PSUBSCRIBE know them: `*`, `?`, `[a-c]`, `[^x]`, `\` for the next byte.
//! `*` crosses everything; a class that is not closed ends with the pattern.

/// Whether a listing with this pattern shows `text`: a lone `*` shows everything, the empty text too.
#[must_use]
pub fn selects(pattern: &[u8], text: &[u8]) -> bool {
    pattern == b"*" || matches(pattern, text)
}

/// Whether `text` matches `pattern`; the empty text matches no pattern but the empty one. Takes at most pattern times text steps: a mismatch goes back to the
/// last `*` only, since what an earlier one could swallow the last one can too.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if p == pattern.len() && t == text.len() {
            return true;
        }
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            if p == pattern.len() {
                return true;
            }
            star = Some((p, t));
            continue;
        }
        if let Some(&byte) = text.get(t)
            && p < pattern.len()
        {
            let (hit, next) = one(pattern, p, byte);
            if hit {
                (p, t) = (next, t + 1);
                continue;
            }
        }
        match star {
            Some((after, from)) if from < text.len() => {
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Whether `byte` matches the item at `p`, and where the next item begins.
pub(crate) fn one(pattern: &[u8], p: usize, byte: u8) -> (bool, usize) {
    match pattern[p] {
        b'?' => (true, p + 1),
        b'[' => class(pattern, p + 1, byte),
        b'\\' if p + 1 < pattern.len() => (pattern[p + 1] == byte, p + 2),
        literal => (literal == byte, p + 1),
    }
}

fn class(pattern: &[u8], mut p: usize, byte: u8) -> (bool, usize) {
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut hit = false;
    loop {
        match pattern.get(p) {
            None => return (hit != negated, p),
            Some(b']') => return (hit != negated, p + 1),
            Some(b'\\') if p + 1 < pattern.len() => {
                hit |= pattern[p + 1] == byte;
                p += 2;
            }
            Some(&low) if p + 2 < pattern.len() && pattern[p + 1] == b'-' => {
                let high = pattern[p + 2];
                hit |= (low.min(high)..=low.max(high)).contains(&byte);
                p += 3;
            }
            Some(&literal) => {
                hit |= literal == byte;
                p += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_real_server_says() {
        for (pattern, text, expected) in [
            ("*", "", false),
            ("**", "", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("h\\?llo", "h?llo", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[abc", "c", true),
            ("[^", "c", true),
            ("a\\", "a\\", true),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
            ("[a-", "a", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_lone_star_lists_the_empty_name_too() {
        assert!(selects(b"*", b""));
        assert!(!selects(b"**", b""));
        assert!(selects(b"a*", b"ab"));
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(20_000).as_bytes()));
    }
}
