//! Keyspace notifications: changes as messages on channels (`notify-keyspace-events`).

use std::sync::atomic::{AtomicU32, Ordering};

use store::{Asides, Change, Class, Differences};

use crate::pubsub::PubSub;

/// The letters, in the order in which CONFIG GET prints them; bit n is the n-th.
const LETTERS: &[u8] = b"g$lshzxetdnocKEm";
/// What `A` stands for.
const ALL: &[u8] = b"g$lshzxetd";
/// What is not printed beside an `A`, although it is not in it.
const SILENT: &[u8] = b"noc";

const fn bit(letter: u8) -> u32 {
    let mut i = 0;
    while i < LETTERS.len() {
        if LETTERS[i] == letter {
            return 1 << i;
        }
        i += 1;
    }
    0
}

fn bits(letters: &[u8]) -> u32 {
    letters.iter().fold(0, |bits, letter| bits | bit(*letter))
}

fn class_bit(class: Class) -> u32 {
    bit(class.letter())
}

/// Which events are told.
#[derive(Debug, Default)]
pub(crate) struct Notifications(AtomicU32);

impl Notifications {
    /// Sets the classes by their letters; false if one is unknown.
    pub(crate) fn set(&self, text: &[u8], like: &Differences) -> bool {
        let mut flags = 0;
        for letter in text {
            flags |= match letter {
                b'A' => bits(ALL),
                b'o' | b'c' if !like.overwriting_events => return false,
                letter if bit(*letter) != 0 => bit(*letter),
                _ => return false,
            };
        }
        self.0.store(flags, Ordering::Relaxed);
        true
    }

    /// The classes, as CONFIG GET prints them.
    pub(crate) fn text(&self) -> String {
        let flags = self.0.load(Ordering::Relaxed);
        let mut text = String::new();
        let all = bits(ALL);
        let short = flags & all == all;
        if short {
            text.push('A');
        }
        for letter in LETTERS {
            if flags & bit(*letter) != 0 && !(short && (ALL.contains(letter) || SILENT.contains(letter))) {
                text.push(char::from(*letter));
            }
        }
        text
    }

    /// Whether any event would be heard.
    pub(crate) fn wanted(&self, pubsub: &PubSub) -> bool {
        self.0.load(Ordering::Relaxed) & (bit(b'K') | bit(b'E')) != 0 && !pubsub.is_idle()
    }

    /// What is told beside changes.
    pub(crate) fn asides(&self, pubsub: &PubSub) -> Asides {
        let flags = self.0.load(Ordering::Relaxed);
        let told = if self.wanted(pubsub) { flags } else { 0 };
        Asides {
            new: told & bit(b'n') != 0,
            misses: told & bit(b'm') != 0,
            overwriting: told & bits(b"oc") != 0,
        }
    }

    /// Tells of one change.
    pub(crate) fn tell(&self, pubsub: &PubSub, change: &Change) {
        let flags = self.0.load(Ordering::Relaxed);
        if flags & class_bit(change.class) == 0 {
            return;
        }
        let channel = |kind: &str, name: &[u8]| {
            let mut channel = format!("__key{kind}@{}__:", change.db).into_bytes();
            channel.extend_from_slice(name);
            channel
        };
        if flags & bit(b'K') != 0 {
            pubsub.publish(&channel("space", &change.key), change.event.as_bytes());
        }
        if flags & bit(b'E') != 0 {
            pubsub.publish(&channel("event", change.event.as_bytes()), &change.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use store::Compat;

    use super::*;

    #[test]
    fn letters_are_kept_and_a_stands_for_the_classes() {
        let notifications = Notifications::default();
        let old = Compat::Redis70.differences();
        assert!(notifications.set(b"KEA", old) && notifications.text() == "AKE");
        assert!(notifications.set(b"xKn", old) && notifications.text() == "xnK");
        assert!(!notifications.set(b"K?", old) && notifications.text() == "xnK");
        assert!(!notifications.set(b"Ko", old));
        assert!(notifications.set(b"oKcx", Compat::Redis82.differences()) && notifications.text() == "xocK");
        assert!(notifications.set(b"", old) && notifications.text().is_empty());
    }
}
