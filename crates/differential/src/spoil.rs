//! Makes a good command bad, in the ways that clients do.

use testkit::Random;

use crate::Command;
use crate::atoms::NASTY;

/// Changes a command in one or two places: too few arguments, too many, other ones, in another order.
pub(crate) fn spoil(random: &mut Random, command: &mut Command) {
    for _ in 0..1 + random.below(2) {
        let len = command.len();
        // The name stays: another one would be another command.
        let place = 1 + random.below(len.saturating_sub(1));
        match random.below(8) {
            0 => command.push(b"extra".to_vec()),
            1 if len > 1 => drop(command.pop()),
            2 if len > 1 => drop(command.remove(place)),
            3 if len > 1 => {
                let again = command[place].clone();
                command.insert(place, again);
            }
            4 if len > 2 => {
                let other = 1 + random.below(len - 1);
                command.swap(place, other);
            }
            5 => command[0].make_ascii_lowercase(),
            _ if len > 1 => command[place] = random.pick(NASTY).into(),
            _ => {}
        }
    }
}
