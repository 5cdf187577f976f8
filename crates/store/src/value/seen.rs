//! Which names came before, to a good approximation: so that a collection of some dozen elements is built without a
//! look at all of them for each.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// A bit for each of 512 hashes.
#[derive(Debug, Default)]
pub(crate) struct Seen([u64; 8]);

impl Seen {
    /// Notes a name; whether it certainly comes for the first time. Of a hundred names, some ten are doubted that do.
    pub(crate) fn is_first(&mut self, name: &[u8]) -> bool {
        let hash = FixedState::default().hash_one(name);
        let word = &mut self.0[(hash >> 6) as usize % 8];
        let bit = 1 << (hash % 64);
        let is_first = *word & bit == 0;
        *word |= bit;
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_known_and_little_else() {
        let mut seen = Seen::default();
        let names: Vec<String> = (0..100).map(|n| format!("name {n}")).collect();
        let first = names.iter().filter(|name| seen.is_first(name.as_bytes())).count();
        assert!(first > 75, "{first}");
        assert!(names.iter().all(|name| !seen.is_first(name.as_bytes())));
    }
}
