//! Streams with a group: entries by id, and what is pending.

use std::collections::BTreeMap;

use proptest::prelude::*;
use store::{Aggregate, Null, Recorded};

use super::{Command, Limits, Model, bulk, bulks, check, command_of, int, text};

#[derive(Debug, Clone)]
enum Op {
    Add(Vec<u8>, Option<u64>),
    Delete(u64),
    DeleteReferences(u64, u8),
    Trim(u64, u8),
    Read(u8, usize),
    Acknowledge(u64),
    Claim(u64, u8),
    Range(u64, u64),
    Pending,
}

/// Entries have ids `7-n`, each with a field `f`.
#[derive(Default)]
struct Entries {
    entries: BTreeMap<u64, Vec<u8>>,
    last: u64,
    /// The group's last id.
    delivered: u64,
    pending: BTreeMap<u64, u8>,
    is_there: bool,
}

const WAYS: [&str; 3] = ["KEEPREF", "DELREF", "ACKED"];

fn id(seq: u64) -> Vec<u8> {
    format!("7-{seq}").into_bytes()
}

fn consumer(n: u8) -> Vec<u8> {
    format!("c{n}").into_bytes()
}

fn entry((seq, value): (&u64, &Vec<u8>)) -> Recorded {
    Recorded::Aggregate(Aggregate::Array, vec![bulk(id(*seq)), bulks([&b"f"[..], value])])
}

fn array(items: impl IntoIterator<Item = Recorded>) -> Recorded {
    Recorded::Aggregate(Aggregate::Array, items.into_iter().collect())
}

impl Entries {
    fn is_referenced(&self, seq: u64) -> bool {
        self.is_there && (seq > self.delivered || self.pending.contains_key(&seq))
    }

    fn trim(&mut self, most: usize, way: u8) -> usize {
        let over = self.entries.len().saturating_sub(most);
        let going: Vec<u64> = self
            .entries
            .keys()
            .copied()
            .filter(|seq| way != 2 || !self.is_referenced(*seq))
            .take(over)
            .collect();
        for seq in &going {
            self.entries.remove(seq);
            if way == 1 {
                self.pending.remove(seq);
            }
        }
        going.len()
    }
}

impl Model for Entries {
    type Op = Op;

    fn step(&mut self, op: &Op) -> (Command, Recorded) {
        if !self.is_there {
            // The first step makes the stream and its group.
            self.is_there = true;
            let command = command_of(&[b"XGROUP", b"CREATE", b"k", b"g", b"0", b"MKSTREAM"]);
            return (command, Recorded::Simple("OK".into()));
        }
        match op {
            Op::Add(value, most) => {
                self.last += 1;
                self.entries.insert(self.last, value.clone());
                let mut command = command_of(&[b"XADD", b"k"]);
                if let Some(most) = most {
                    command.extend(command_of(&[b"MAXLEN", most.to_string().as_bytes()]));
                    self.trim(usize::try_from(*most).unwrap(), 0);
                }
                command.extend(command_of(&[&id(self.last), b"f", value]));
                (command, bulk(id(self.last)))
            }
            Op::Delete(seq) => {
                (command_of(&[b"XDEL", b"k", &id(*seq)]), int(self.entries.remove(seq).is_some().into()))
            }
            Op::DeleteReferences(seq, way) => {
                let answer = if *way == 2 && self.is_referenced(*seq) {
                    2
                } else {
                    if *way == 1 {
                        self.pending.remove(seq);
                    }
                    if self.entries.remove(seq).is_some() { 1 } else { -1 }
                };
                let way = WAYS[usize::from(*way)].as_bytes();
                (
                    command_of(&[b"XDELEX", b"k", way, b"IDS", b"1", &id(*seq)]),
                    array([Recorded::Integer(answer)]),
                )
            }
            Op::Trim(most, way) => {
                let gone = self.trim(usize::try_from(*most).unwrap(), *way);
                let way = WAYS[usize::from(*way)].as_bytes();
                (command_of(&[b"XTRIM", b"k", b"MAXLEN", most.to_string().as_bytes(), way]), int(gone))
            }
            Op::Read(who, most) => {
                let found: Vec<(u64, Vec<u8>)> = self
                    .entries
                    .range(self.delivered + 1..)
                    .take(*most)
                    .map(|(s, v)| (*s, v.clone()))
                    .collect();
                for (seq, _) in &found {
                    self.pending.insert(*seq, *who);
                    self.delivered = *seq;
                }
                let most = most.to_string();
                let parts: [&[u8]; 9] = [
                    b"XREADGROUP",
                    b"GROUP",
                    b"g",
                    &consumer(*who),
                    b"COUNT",
                    most.as_bytes(),
                    b"STREAMS",
                    b"k",
                    b">",
                ];
                let answer = if found.is_empty() {
                    Recorded::Null(Null::Array)
                } else {
                    let entries = array(found.iter().map(|(seq, value)| entry((seq, value))));
                    array([array([bulk(b"k"), entries])])
                };
                (command_of(&parts), answer)
            }
            Op::Acknowledge(seq) => {
                let done = self.pending.remove(seq).is_some();
                (command_of(&[b"XACK", b"k", b"g", &id(*seq)]), int(done.into()))
            }
            Op::Claim(seq, who) => {
                let claims = self.pending.contains_key(seq) && self.entries.contains_key(seq);
                if claims {
                    self.pending.insert(*seq, *who);
                } else if !self.entries.contains_key(seq) {
                    self.pending.remove(seq);
                }
                let parts: [&[u8]; 7] = [b"XCLAIM", b"k", b"g", &consumer(*who), b"0", &id(*seq), b"JUSTID"];
                (command_of(&parts), bulks(claims.then(|| id(*seq))))
            }
            Op::Range(from, to) => {
                let command = command_of(&[b"XRANGE", b"k", &id(*from), &id(*to)]);
                if from > to {
                    return (command, array([]));
                }
                (command, array(self.entries.range(from..=to).map(entry)))
            }
            Op::Pending => {
                let mut owners: BTreeMap<u8, usize> = BTreeMap::new();
                self.pending.values().for_each(|who| *owners.entry(*who).or_default() += 1);
                let answer = match (self.pending.first_key_value(), self.pending.last_key_value()) {
                    (Some((first, _)), Some((last, _))) => array([
                        int(self.pending.len()),
                        bulk(id(*first)),
                        bulk(id(*last)),
                        array(
                            owners.iter().map(|(who, n)| bulks([consumer(*who), n.to_string().into_bytes()])),
                        ),
                    ]),
                    _ => array([
                        int(0),
                        Recorded::Null(Null::Bulk),
                        Recorded::Null(Null::Bulk),
                        Recorded::Null(Null::Array),
                    ]),
                };
                (command_of(&[b"XPENDING", b"k", b"g"]), answer)
            }
        }
    }

    fn contents(&self) -> (Command, Recorded) {
        (command_of(&[b"XRANGE", b"k", b"-", b"+"]), array(self.entries.iter().map(entry)))
    }
}

fn op() -> impl Strategy<Value = Op> {
    let seq = || 0..60_u64;
    let most = prop_oneof![6 => Just(None), 1 => (0..20_u64).prop_map(Some)];
    prop_oneof![
        20 => (text(), most).prop_map(|(value, most)| Op::Add(value, most)),
        4 => seq().prop_map(Op::Delete),
        4 => (seq(), 0..3_u8).prop_map(|(seq, way)| Op::DeleteReferences(seq, way)),
        2 => (0..40_u64, 0..3_u8).prop_map(|(most, way)| Op::Trim(most, way)),
        6 => (0..3_u8, 1..6_usize).prop_map(|(who, most)| Op::Read(who, most)),
        5 => seq().prop_map(Op::Acknowledge),
        3 => (seq(), 0..3_u8).prop_map(|(seq, who)| Op::Claim(seq, who)),
        2 => (seq(), seq()).prop_map(|(from, to)| Op::Range(from, to)),
        2 => Just(Op::Pending),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let bytes = prop_oneof![Just(0_i64), Just(4096), 50..400_i64];
    let setting =
        |(entries, bytes)| vec![("stream-node-max-entries", entries), ("stream-node-max-bytes", bytes)];
    (0..20_i64, bytes).prop_map(setting)
}

pub(super) fn of_bytes(bytes: &[u8]) {
    super::of_bytes::<Entries>(&limits(), &op(), bytes);
}

proptest! {
    #![proptest_config(super::cases())]
    #[test]
    fn a_stream_has_entries_and_what_is_pending(ops in super::several(op()), limits in limits()) {
        check::<Entries>(&ops, &limits);
    }
}
