//! From a long list that shows a difference to the shortest that still does.

use crate::Difference;

/// Makes `items` as few as `fails` allows: `fails` runs a list and answers the difference, if there is one.
///
/// Parts of the list are left out, first halves, then ever smaller ones, down to single items, as long as the
/// difference remains (delta debugging).
pub(crate) fn shrink<T: Clone>(
    mut items: Vec<T>,
    mut difference: Box<Difference>,
    fails: &mut dyn FnMut(&[T]) -> Option<Box<Difference>>,
) -> (Vec<T>, Box<Difference>) {
    let mut try_list = |items: &mut Vec<T>, difference: &mut Box<Difference>, shorter: Vec<T>| {
        // Another difference than the one that is being made short is another matter.
        let is_same = |found: &Difference| kind(&found.what) == kind(&difference.what);
        match fails(&shorter).filter(|found| is_same(found)) {
            Some(found) => {
                (*items, *difference) = (shorter, found);
                true
            }
            None => false,
        }
    };
    // Nothing after the one that showed it matters, if it shows without.
    let to_there = items.iter().take(difference.index + 1).cloned().collect();
    try_list(&mut items, &mut difference, to_there);
    let mut size = items.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < items.len() {
            let mut shorter = items.clone();
            shorter.drain(at..items.len().min(at + size));
            if !try_list(&mut items, &mut difference, shorter) {
                at += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    (items, difference)
}

/// The command that differs, without its arguments, or what of the data set.
fn kind(what: &str) -> String {
    what.split(' ').next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Command;
    use crate::command::words;

    #[test]
    fn only_what_matters_is_left() {
        let commands: Vec<Command> = (0..100).map(|n| words(&format!("C {n}"))).collect();
        let mut fails = |commands: &[Command]| {
            let has = |n: &str| commands.contains(&words(&format!("C {n}")));
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
        let first = fails(&commands).unwrap_or_else(|| panic!("it fails"));
        let (short, _) = shrink(commands, first, &mut fails);
        assert_eq!(short, [words("C 17"), words("C 60")]);
    }
}
