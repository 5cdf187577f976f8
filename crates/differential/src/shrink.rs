//! From a long list of commands that shows a difference to the shortest that still does.

use crate::{Command, Difference, Round};

/// Makes `round` as short as `fails` allows: `fails` runs a round and answers the difference, if there is one.
///
/// Parts of the list are left out, first halves, then ever smaller ones, down to single commands, as long as any
/// difference remains (delta debugging).
pub(crate) fn shrink(
    mut round: Round,
    mut difference: Box<Difference>,
    fails: &mut dyn FnMut(&Round) -> Option<Box<Difference>>,
) -> (Round, Box<Difference>) {
    let mut try_list = |round: &mut Round, difference: &mut Box<Difference>, commands: Vec<Command>| {
        let shorter = Round { commands, ..round.clone() };
        // Another difference than the one that is being made short is another matter.
        let is_same = |found: &Difference| kind(&found.what) == kind(&difference.what);
        match fails(&shorter).filter(|found| is_same(found)) {
            Some(found) => {
                (*round, *difference) = (shorter, found);
                true
            }
            None => false,
        }
    };
    // Nothing after the command that showed it matters, if it shows without.
    let to_there = round.commands.iter().take(difference.index + 1).cloned().collect();
    try_list(&mut round, &mut difference, to_there);
    let mut size = round.commands.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < round.commands.len() {
            let mut commands = round.commands.clone();
            commands.drain(at..commands.len().min(at + size));
            if !try_list(&mut round, &mut difference, commands) {
                at += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    (round, difference)
}

/// The command that differs, without its arguments, or what of the data set.
fn kind(what: &str) -> String {
    what.split(' ').next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::words;

    #[test]
    fn only_what_matters_is_left() {
        let commands = (0..100).map(|n| words(&format!("C {n}"))).collect();
        let round = Round {
            settings: Vec::new(),
            resp3: false,
            compare_streams: false,
            compare_encodings: false,
            commands,
        };
        let mut fails = |round: &Round| {
            let has = |n: &str| round.commands.contains(&words(&format!("C {n}")));
            let found = has("17") && has("60");
            found.then(|| {
                Box::new(Difference {
                    index: 99,
                    what: String::new(),
                    ours: String::new(),
                    theirs: String::new(),
                })
            })
        };
        let first = fails(&round).unwrap_or_else(|| panic!("it fails"));
        let (short, _) = shrink(round, first, &mut fails);
        assert_eq!(short.commands, [words("C 17"), words("C 60")]);
    }
}
