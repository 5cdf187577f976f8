//! The table against what the real servers say, and against itself: row by row.

use std::collections::BTreeSet;

use store::command::{self, Command, Flags, Handler, description};
use store::{Args, Compat};

/// Personalities whose real server was asked.
const ASKED: [Compat; 4] = [Compat::Redis70, Compat::Redis82, Compat::Valkey81, Compat::Valkey91];

/// Flags that the code acts on, as COMMAND names them; of what may replicate it says nothing.
const FLAGS: [(Flags, &str); 9] = [
    (Flags::FAST, "fast"),
    (Flags::DENYOOM, "denyoom"),
    (Flags::NOSCRIPT, "noscript"),
    (Flags::BLOCKING, "blocking"),
    (Flags::ADMIN, "admin"),
    (Flags::LOADING, "loading"),
    (Flags::STALE, "stale"),
    (Flags::MOVABLE_KEYS, "movablekeys"),
    (Flags::NO_MULTI, "no_multi"),
];

fn found(compat: Compat, row: &Command) -> Option<&'static Command> {
    let parts: Vec<&[u8]> = row.name.split('|').map(str::as_bytes).collect();
    command::find_for(compat, Args::new(&parts))
}

#[test]
fn every_row_is_what_the_real_servers_say_of_it() {
    let mut wrong = Vec::new();
    for row in command::all() {
        for compat in ASKED {
            let (here, there) = (found(compat, row), description::describe(compat, row.name));
            let (Some(here), Some(there)) = (here, there) else {
                if here.is_some() || there.is_some() {
                    let (ours, theirs) = (here.is_some(), there.is_some());
                    wrong.push(format!("{compat} {}: there for us {ours}, for them {theirs}", row.name));
                }
                continue;
            };
            let mut check = |what: &str, ours: String, theirs: String| {
                if ours != theirs {
                    wrong.push(format!("{compat} {}: {what} is {ours}, should be {theirs}", row.name));
                }
            };
            let there_is = |field| there.field(field).unwrap_or_default().to_owned();
            check("arity", here.arity.to_string(), there_is("arity"));
            check("since", here.since.of(compat.family()).unwrap_or_default().to_owned(), there_is("since"));
            for (flag, name) in FLAGS {
                // They treat it so (read-only scripts may not call it), but do not say so.
                if flag == Flags::MAY_REPLICATE && row.name == "pfcount" {
                    continue;
                }
                let theirs = there.words("flags").any(|word| word == name);
                check(name, here.flags.has(flag).to_string(), theirs.to_string());
            }
            let writes = there.words("flags").any(|word| word == "write");
            check("writing", matches!(here.handler, Handler::Write(_)).to_string(), writes.to_string());
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Arguments that could be keys, numbers and words in any place.
fn samples(row: &Command) -> Vec<Vec<String>> {
    let least = usize::from(row.arity.unsigned_abs());
    let mut samples = Vec::new();
    for extra in 0..=if row.arity < 0 { 5 } else { 0 } {
        for number in [None, Some("1"), Some("2"), Some("3")] {
            for word in [None, Some("STREAMS"), Some("STORE"), Some("GET"), Some("BY")] {
                let mut call: Vec<String> = row.name.split('|').map(str::to_owned).collect();
                for at in call.len()..(least + extra).max(call.len()) {
                    call.push(match (number, word) {
                        (Some(number), _) if at == 1 || at == 2 => number.to_owned(),
                        (_, Some(word)) if at + 3 == least + extra => word.to_owned(),
                        _ => format!("arg{at}"),
                    });
                }
                samples.push(call);
            }
        }
    }
    samples
}

#[test]
fn the_lock_set_holds_every_key_that_the_real_servers_find() {
    let mut checked = BTreeSet::new();
    for row in command::all() {
        for call in samples(row) {
            let args: Vec<&[u8]> = call.iter().map(|arg| arg.as_bytes()).collect();
            let args = Args::new(&args);
            let mut ours = BTreeSet::new();
            row.keys.each(args, |key| {
                ours.insert(String::from_utf8(key.to_vec()).unwrap());
            });
            for compat in ASKED {
                let Ok(keys) = description::keys(compat, row.name, args) else { continue };
                let theirs: BTreeSet<String> = keys.iter().map(|key| call[key.at].clone()).collect();
                if row.flags.has(Flags::LOCKS_ALL) {
                    continue;
                }
                assert!(theirs.is_subset(&ours), "{compat}: {call:?}: locks {ours:?}, needs {theirs:?}");
                checked.insert(row.name);
            }
        }
    }
    assert!(checked.len() > 150, "{}", checked.len());
}
