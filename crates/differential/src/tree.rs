//! A reply as a tree, for the few that cannot be compared by their bytes.

use std::fmt;

/// One reply, or a part of one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tree {
    /// The byte that begins it.
    pub(crate) kind: u8,
    /// The text of a line or of a string.
    pub(crate) text: Vec<u8>,
    /// The elements of an aggregate; of a map, names and values in turn.
    pub(crate) items: Vec<Self>,
}

impl Tree {
    /// The reply that these bytes are. What they lack is empty.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        Self::next(&mut rest)
    }

    fn next(rest: &mut &[u8]) -> Self {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        *rest = after.get(2..).unwrap_or_default();
        let (kind, text) = line.split_first().map_or((b'?', &b""[..]), |(kind, text)| (*kind, text));
        let mut tree = Self { kind, text: text.to_vec(), items: Vec::new() };
        let number = tree.integer().and_then(|n| usize::try_from(n).ok());
        match (kind, number) {
            (b'$' | b'=' | b'!', Some(len)) => {
                let (text, after) = rest.split_at(len.min(rest.len()));
                *rest = after.get(2..).unwrap_or_default();
                tree.text = text.to_vec();
            }
            // What is not there.
            (b'$' | b'*', None) => tree.kind = b'_',
            (b'*' | b'~' | b'>', Some(n)) => tree.items = (0..n).map(|_| Self::next(rest)).collect(),
            (b'%', Some(n)) => tree.items = (0..n * 2).map(|_| Self::next(rest)).collect(),
            _ => {}
        }
        tree
    }

    /// The number that it says.
    pub(crate) fn integer(&self) -> Option<i64> {
        std::str::from_utf8(&self.text).ok()?.parse().ok()
    }

    /// An error.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self.kind, b'-' | b'!')
    }

    /// Blanks what streams tell of moments: when a consumer was seen, when an entry was delivered, and how long ago.
    pub(crate) fn forget_moments(&mut self) {
        let kinds: Vec<u8> = self.items.iter().map(|item| item.kind).collect();
        match &kinds[..] {
            b"$$::" => self.items[2].text.clear(),
            b"$::" => self.items[1].text.clear(),
            _ => {}
        }
        const NAMES: [&[u8]; 4] = [b"idle", b"inactive", b"seen-time", b"active-time"];
        for at in 1..self.items.len() {
            let [name, value] = &mut self.items[at - 1..=at] else { continue };
            // -1 says never.
            if NAMES.contains(&&name.text[..]) && value.integer().is_some_and(|n| n >= 0) {
                value.text.clear();
            }
        }
        self.items.iter_mut().for_each(Self::forget_moments);
    }

    /// Makes large integers multiples of `step`.
    pub(crate) fn round(&mut self, step: i64) {
        if let Some(n) = self.integer().filter(|n| self.kind == b':' && *n >= step) {
            self.text = (n / step * step).to_string().into_bytes();
        }
        self.items.iter_mut().for_each(|item| item.round(step));
    }

    /// Blanks what a replica need not know of a stream's groups: consumers that got nothing, how far an old primary
    /// has come, and how often an entry was given again to who had it.
    pub(crate) fn forget_untold(&mut self) {
        const NAMES: [&[u8]; 3] = [b"consumers", b"entries-read", b"lag"];
        let kinds: Vec<u8> = self.items.iter().map(|item| item.kind).collect();
        if let (b"$$::" | b"$::", Some(count)) = (&kinds[..], self.items.last_mut()) {
            count.text.clear();
        }
        for at in 1..self.items.len() {
            let [name, value] = &mut self.items[at - 1..=at] else { continue };
            if NAMES.contains(&&name.text[..]) {
                *value = Self { kind: b'_', text: Vec::new(), items: Vec::new() };
            }
        }
        self.items.iter_mut().for_each(Self::forget_untold);
    }

    /// Makes -0 a 0.
    pub(crate) fn forget_negative_zeros(&mut self) {
        if self.text == b"-0" {
            self.text.remove(0);
        }
        self.items.iter_mut().for_each(Self::forget_negative_zeros);
    }

    /// Its elements in groups of so many, sorted.
    pub(crate) fn sort(&mut self, group: usize) {
        let mut groups: Vec<Vec<Self>> = self.items.chunks(group.max(1)).map(<[Self]>::to_vec).collect();
        groups.sort();
        self.items = groups.concat();
    }

    /// The texts of its strings, however deep.
    pub(crate) fn strings(&self) -> Vec<Vec<u8>> {
        match self.kind {
            b'$' | b'=' => vec![self.text.clone()],
            _ => self.items.iter().flat_map(Self::strings).collect(),
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            b'$' => write!(f, "\"{}\"", self.text.escape_ascii()),
            b'*' | b'~' | b'>' | b'%' => {
                write!(f, "{}", char::from(self.kind))?;
                f.debug_list().entries(&self.items).finish()
            }
            kind => write!(f, "{}{}", char::from(kind), self.text.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_become_trees() {
        let tree = Tree::parse(b"*3\r\n$1\r\nb\r\n%1\r\n+k\r\n:-3\r\n$-1\r\n");
        assert_eq!(format!("{tree:?}"), "*[\"b\", %[+k, :-3], _-1]");
        let mut tree = Tree::parse(b"~4\r\n+b\r\n:1\r\n+a\r\n:2\r\n");
        tree.sort(2);
        assert_eq!(format!("{tree:?}"), "~[+a, :2, +b, :1]");
    }
}
