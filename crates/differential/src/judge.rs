//! How the two replies to a command are compared. By their bytes, unless its row here says otherwise.

use crate::tree::Tree;

/// How a command is run and its replies are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// The same bytes.
    Exact,
    /// The same elements in any order, in groups of so many.
    Unordered(usize),
    /// The same kind, and as many elements: it chooses by chance.
    Shape,
    /// The same form of the value and the same version of the format: elements of tables have no order.
    Payload,
    /// Integers that lie no further apart than this: it depends on the moment.
    Near(i64),
    /// The same but for moments and how long ago they were, in the replies about streams.
    Moments,
    /// An array of such integers.
    EachNear(i64),
    /// A whole walk by cursor must find the same on both sides.
    Walk,
    /// What ours takes by chance is removed on the other side too.
    Pop,
    /// It could wait: it runs in a transaction, where it does not.
    Blocking,
    /// The same, but for a number that INCRBYFLOAT wrote: it looks like an integer, and is kept as a text there.
    Encoding,
    /// Runs on both sides, and nobody compares.
    Free,
}

const ROWS: &[(&str, Judge)] = &[
    ("blmove", Judge::Blocking),
    ("blmpop", Judge::Blocking),
    ("blpop", Judge::Blocking),
    ("brpop", Judge::Blocking),
    ("brpoplpush", Judge::Blocking),
    ("bzmpop", Judge::Blocking),
    ("bzpopmax", Judge::Blocking),
    ("bzpopmin", Judge::Blocking),
    ("config", Judge::Free),
    ("debug", Judge::Free),
    ("dump", Judge::Payload),
    ("expiretime", Judge::Near(2)),
    ("function", Judge::Unordered(1)),
    ("hexpiretime", Judge::EachNear(2)),
    ("hgetall", Judge::Unordered(2)),
    ("hkeys", Judge::Unordered(1)),
    ("hpexpiretime", Judge::EachNear(2000)),
    ("hpttl", Judge::EachNear(2000)),
    ("hrandfield", Judge::Shape),
    ("hscan", Judge::Walk),
    ("httl", Judge::EachNear(2)),
    ("hvals", Judge::Unordered(1)),
    ("keys", Judge::Unordered(1)),
    ("object", Judge::Encoding),
    ("pexpiretime", Judge::Near(2000)),
    ("pttl", Judge::Near(2000)),
    ("randomkey", Judge::Shape),
    ("scan", Judge::Walk),
    ("sdiff", Judge::Unordered(1)),
    ("sinter", Judge::Unordered(1)),
    ("smembers", Judge::Unordered(1)),
    ("spop", Judge::Pop),
    ("srandmember", Judge::Shape),
    ("sscan", Judge::Walk),
    ("sunion", Judge::Unordered(1)),
    ("ttl", Judge::Near(2)),
    ("xinfo", Judge::Moments),
    ("xpending", Judge::Moments),
    ("xread", Judge::Blocking),
    ("xreadgroup", Judge::Blocking),
    ("zrandmember", Judge::Shape),
    ("zscan", Judge::Walk),
];

/// The type and the version of a payload.
fn form_of(payload: &[u8]) -> Option<(u8, &[u8])> {
    Some((*payload.first()?, payload.get(payload.len().checked_sub(10)?..payload.len() - 8)?))
}

impl Judge {
    /// The row of a command.
    pub(crate) fn of(command: &[Vec<u8>]) -> Self {
        let name = command.first().map(|name| String::from_utf8_lossy(name).to_ascii_lowercase());
        let name = name.unwrap_or_default();
        if let Some(judge) = of_polygon(&name, command) {
            return judge;
        }
        let found = ROWS.binary_search_by(|(known, _)| (*known).cmp(name.as_str()));
        found.map_or(Self::Exact, |at| ROWS[at].1)
    }

    /// Whether the replies count as the same.
    pub(crate) fn agree(self, ours: &[u8], theirs: &[u8]) -> bool {
        if ours == theirs || self == Self::Free {
            return true;
        }
        let (mut a, mut b) = (Tree::parse(ours), Tree::parse(theirs));
        // What is not UTF-8 in an argument is shown so in our texts.
        if a.is_error() && b.is_error() && a.text == String::from_utf8_lossy(&b.text).as_bytes() {
            return true;
        }
        match self {
            Self::Encoding => a.text == b"int" && b.text == b"embstr",
            Self::Unordered(group) => {
                a.sort(group);
                b.sort(group);
                a == b
            }
            Self::Payload if a.is_error() || b.is_error() || a.kind != b.kind => false,
            Self::Payload => form_of(&a.text) == form_of(&b.text),
            Self::Shape if a.is_error() || b.is_error() => false,
            Self::Shape => {
                let pairs = |tree: &Tree| tree.items.iter().all(|item| item.items.len() == 2);
                a.kind == b.kind && a.items.len() == b.items.len() && pairs(&a) == pairs(&b)
            }
            // What a negative one says (no key, no expiry) is exact.
            Self::Near(most) => near(&a, &b, most),
            Self::EachNear(most) => {
                a.kind == b.kind
                    && a.items.len() == b.items.len()
                    && a.items.iter().zip(&b.items).all(|(x, y)| x == y || near(x, y, most))
                    && !a.items.is_empty()
            }
            Self::Moments => {
                a.forget_moments();
                b.forget_moments();
                a == b
            }
            _ => false,
        }
    }
}

/// What lies inside a polygon is found cell by cell, in an order that is the real server's own matter.
fn of_polygon(name: &str, command: &[Vec<u8>]) -> Option<Judge> {
    let has = |word: &[u8]| command.iter().any(|arg| arg.eq_ignore_ascii_case(word));
    match name {
        "geosearch" if has(b"BYPOLYGON") && has(b"ANY") => Some(Judge::Shape),
        "geosearch" if has(b"BYPOLYGON") && !has(b"ASC") && !has(b"DESC") => Some(Judge::Unordered(1)),
        _ => None,
    }
}

fn near(a: &Tree, b: &Tree, most: i64) -> bool {
    match (a.integer(), b.integer()) {
        (Some(x), Some(y)) => a.kind == b.kind && x >= 0 && y >= 0 && x.abs_diff(y) <= most.unsigned_abs(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::words;

    #[test]
    fn rows_are_sorted_and_found() {
        assert!(ROWS.is_sorted_by_key(|(name, _)| *name));
        for (name, judge) in ROWS {
            assert_eq!(Judge::of(&words(&name.to_uppercase())), *judge);
        }
        assert_eq!(Judge::of(&words("get x")), Judge::Exact);
    }

    #[test]
    fn order_and_moment_are_forgiven_where_they_must_be() {
        let set = |text: &str| text.replace(' ', "\r\n").into_bytes();
        let (ab, ba) = (set("*2 +a +b "), set("*2 +b +a "));
        assert!(!Judge::Exact.agree(&ab, &ba));
        assert!(Judge::Unordered(1).agree(&ab, &ba));
        assert!(Judge::Shape.agree(&ab, &ba));
        assert!(Judge::Near(2).agree(b":100\r\n", b":98\r\n"));
        assert!(!Judge::Near(2).agree(b":1\r\n", b":-1\r\n"));
        assert!(!Judge::Shape.agree(b"$1\r\na\r\n", b"$-1\r\n"));
    }
}
