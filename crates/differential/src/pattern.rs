//! The little language in which families write their commands down.
//!
//! ```text
//! SET $string $value (NX|XX|GET|KEEPTTL|PXAT $atms)*
//!     '--.--'        '--------------.-------------'
//!      atom: made anew each time    |
//!                                   one of these, none to three times, in any order
//! ```
//!
//! | written | means |
//! | --- | --- |
//! | `word` | itself |
//! | `$name` | what the atom of that name makes |
//! | `(a b\|c)` | one of the alternatives; an empty one is allowed |
//! | `x?` `x*` `x+` | none or one; none to three; one to four |
//! | `#x` | how many arguments `x` makes, and then these |
//! | `;` | ends a command: the pattern makes several, one right after the other |

use testkit::Random;

use crate::Command;

/// Makes one argument.
pub type Atom = fn(&mut Random) -> Vec<u8>;

/// Atoms by their names.
pub type Atoms = &'static [(&'static str, Atom)];

/// A pattern that has been read.
#[derive(Debug, Clone)]
pub struct Pattern {
    weight: u32,
    root: Node,
    names: Vec<String>,
}

#[derive(Debug, Clone)]
enum Node {
    Word(Vec<u8>),
    Atom(Atom),
    Sequence(Vec<Self>),
    OneOf(Vec<Self>),
    Repeat { least: usize, most: usize, node: Box<Self> },
    Counted(Box<Self>),
    End,
}

impl Pattern {
    /// Reads a pattern; atoms are looked for in the lists in turn.
    ///
    /// # Panics
    /// When it is written wrongly or an atom does not exist: patterns are part of the program.
    #[must_use]
    pub fn new(weight: u32, text: &'static str, atoms: &[Atoms]) -> Self {
        let mut reader = Reader { text, rest: text, atoms };
        let root = reader.alternatives();
        assert!(reader.rest.trim().is_empty(), "{text}: what is this: {}", reader.rest);
        let name = |part: &str| part.split_ascii_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let names = text.split(';').map(name).filter(|n| !n.starts_with(['@', '('])).collect();
        Self { weight, root, names }
    }

    /// How often it is chosen, compared with the others.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// The names of its commands, as far as they are plain words.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Makes its commands.
    #[must_use]
    pub fn make(&self, random: &mut Random) -> Vec<Command> {
        let mut commands = vec![Vec::new()];
        self.root.make(random, &mut commands);
        commands.retain(|command| !command.is_empty());
        commands
    }
}

impl Node {
    fn make(&self, random: &mut Random, out: &mut Vec<Command>) {
        let mut push = |arg| {
            if let Some(command) = out.last_mut() {
                command.push(arg);
            }
        };
        match self {
            Self::Word(word) => push(word.clone()),
            Self::Atom(atom) => push(atom(random)),
            Self::End => out.push(Vec::new()),
            Self::Sequence(nodes) => nodes.iter().for_each(|node| node.make(random, out)),
            Self::OneOf(nodes) => nodes[random.below(nodes.len())].make(random, out),
            Self::Repeat { least, most, node } => {
                for _ in 0..least + random.below(most - least + 1) {
                    node.make(random, out);
                }
            }
            Self::Counted(node) => {
                let mut counted = vec![Vec::new()];
                node.make(random, &mut counted);
                let args = counted.concat();
                push(args.len().to_string().into_bytes());
                args.into_iter().for_each(push);
            }
        }
    }
}

struct Reader<'a> {
    text: &'static str,
    rest: &'static str,
    atoms: &'a [Atoms],
}

impl Reader<'_> {
    fn alternatives(&mut self) -> Node {
        let mut all = vec![self.sequence()];
        while let Some(rest) = self.rest.strip_prefix('|') {
            self.rest = rest;
            all.push(self.sequence());
        }
        if all.len() == 1 { all.swap_remove(0) } else { Node::OneOf(all) }
    }

    fn sequence(&mut self) -> Node {
        let mut nodes = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with(['|', ')']) {
                return Node::Sequence(nodes);
            }
            nodes.push(self.item());
        }
    }

    fn item(&mut self) -> Node {
        if let Some(rest) = self.rest.strip_prefix('#') {
            self.rest = rest;
            return Node::Counted(Box::new(self.item()));
        }
        if let Some(rest) = self.rest.strip_prefix(';') {
            self.rest = rest;
            return Node::End;
        }
        let node = if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest;
            let inner = self.alternatives();
            let closed = self.rest.strip_prefix(')');
            self.rest = closed.unwrap_or_else(|| panic!("{}: a bracket is open", self.text));
            inner
        } else if let Some(rest) = self.rest.strip_prefix('$') {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let name = &rest[..end];
            self.rest = &rest[end..];
            let mut found =
                self.atoms.iter().flat_map(|list| list.iter()).filter(|(known, _)| *known == name);
            Node::Atom(found.next().unwrap_or_else(|| panic!("{}: no atom ${name}", self.text)).1)
        } else {
            let end = self.rest.find([' ', '|', ')', ';']).unwrap_or(self.rest.len());
            let word = &self.rest[..end];
            self.rest = &self.rest[end..];
            return Node::Word(word.as_bytes().to_vec());
        };
        let (least, most) = match self.rest.as_bytes().first() {
            Some(b'?') => (0, 1),
            Some(b'*') => (0, 3),
            Some(b'+') => (1, 4),
            _ => return node,
        };
        self.rest = &self.rest[1..];
        Node::Repeat { least, most, node: Box::new(node) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{shown, words};

    const ATOMS: Atoms = &[("k", |_| b"key".to_vec())];

    #[test]
    fn patterns_make_what_they_say() {
        let mut random = Random::new(1);
        let make = |text, random: &mut Random| Pattern::new(1, text, &[ATOMS]).make(random);
        assert_eq!(make("GET $k", &mut random), [words("GET key")]);
        assert_eq!(make("SINTERCARD #($k $k) LIMIT 0", &mut random), [words("SINTERCARD 2 key key LIMIT 0")]);
        assert_eq!(make("SET $k v; @gone", &mut random), [words("SET key v"), words("@gone")]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..500 {
            seen.extend(make("A (b c|)? $k*", &mut random).iter().map(|c| shown(c)));
        }
        assert_eq!(seen.len(), 8, "{seen:?}");
    }
}
