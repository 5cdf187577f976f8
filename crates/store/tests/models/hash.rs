//! Hashes whose fields may expire; the clock stands still, so that deadlines lie before it or behind it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use store::{Aggregate, Recorded};

use super::{Command, Limits, Model, NOW, bulk, bulk_or_null, check, command_of, int, text};

#[derive(Debug, Clone)]
enum Op {
    Set(u8, Vec<u8>),
    SetEx(u8, Vec<u8>, i64),
    SetKeeping(u8, Vec<u8>),
    Get(u8),
    Delete(u8),
    Expire(u8, i64),
    Persist(u8),
    Deadline(u8),
    GetDelete(u8),
    Length,
}

#[derive(Default)]
struct Fields(BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>);

fn name(field: u8) -> Vec<u8> {
    if field.is_multiple_of(7) { field.to_string().into_bytes() } else { format!("f{field}").into_bytes() }
}

fn one(answer: Recorded) -> Recorded {
    Recorded::Aggregate(Aggregate::Array, vec![answer])
}

impl Model for Fields {
    type Op = Op;
    const UNORDERED: Option<usize> = Some(2);

    fn step(&mut self, op: &Op) -> (Command, Recorded) {
        match op {
            Op::Set(field, value) => {
                let is_new = self.0.insert(name(*field), (value.clone(), None)).is_none();
                (command_of(&[b"HSET", b"k", &name(*field), value]), int(is_new.into()))
            }
            Op::SetEx(field, value, at) => {
                if *at > NOW {
                    self.0.insert(name(*field), (value.clone(), Some(*at)));
                } else {
                    self.0.remove(&name(*field));
                }
                let at = at.to_string();
                let parts: [&[u8]; 8] =
                    [b"HSETEX", b"k", b"PXAT", at.as_bytes(), b"FIELDS", b"1", &name(*field), value];
                (command_of(&parts), int(1))
            }
            Op::SetKeeping(field, value) => {
                self.0.entry(name(*field)).or_default().0.clone_from(value);
                let parts: [&[u8]; 7] = [b"HSETEX", b"k", b"KEEPTTL", b"FIELDS", b"1", &name(*field), value];
                (command_of(&parts), int(1))
            }
            Op::Get(field) => {
                let value = self.0.get(&name(*field)).map(|(value, _)| value);
                (command_of(&[b"HGET", b"k", &name(*field)]), bulk_or_null(value))
            }
            Op::Delete(field) => {
                let gone = self.0.remove(&name(*field)).is_some();
                (command_of(&[b"HDEL", b"k", &name(*field)]), int(gone.into()))
            }
            Op::Expire(field, at) => {
                let answer = match self.0.get_mut(&name(*field)) {
                    None => -2,
                    Some(_) if *at <= NOW => {
                        self.0.remove(&name(*field));
                        2
                    }
                    Some((_, deadline)) => {
                        *deadline = Some(*at);
                        1
                    }
                };
                let at = at.to_string();
                let parts: [&[u8]; 6] = [b"HPEXPIREAT", b"k", at.as_bytes(), b"FIELDS", b"1", &name(*field)];
                (command_of(&parts), one(Recorded::Integer(answer)))
            }
            Op::Persist(field) => {
                let answer = match self.0.get_mut(&name(*field)) {
                    None => -2,
                    Some((_, deadline)) => {
                        if deadline.take().is_some() {
                            1
                        } else {
                            -1
                        }
                    }
                };
                let parts: [&[u8]; 5] = [b"HPERSIST", b"k", b"FIELDS", b"1", &name(*field)];
                (command_of(&parts), one(Recorded::Integer(answer)))
            }
            Op::Deadline(field) => {
                let answer = self.0.get(&name(*field)).map_or(-2, |(_, at)| at.unwrap_or(-1));
                let parts: [&[u8]; 5] = [b"HPEXPIRETIME", b"k", b"FIELDS", b"1", &name(*field)];
                (command_of(&parts), one(Recorded::Integer(answer)))
            }
            Op::GetDelete(field) => {
                let value = self.0.remove(&name(*field)).map(|(value, _)| value);
                let parts: [&[u8]; 5] = [b"HGETDEL", b"k", b"FIELDS", b"1", &name(*field)];
                (command_of(&parts), one(bulk_or_null(value)))
            }
            Op::Length => (command_of(&[b"HLEN", b"k"]), int(self.0.len())),
        }
    }

    fn contents(&self) -> (Command, Recorded) {
        let items = self.0.iter().flat_map(|(name, (value, _))| [bulk(name), bulk(value)]);
        (command_of(&[b"HGETALL", b"k"]), Recorded::Aggregate(Aggregate::Array, items.collect()))
    }
}

fn op() -> impl Strategy<Value = Op> {
    let field = || 0..40_u8;
    let at = || prop_oneof![1 => 1..=NOW, 4 => NOW + 1..NOW + 50, 1 => Just((1_i64 << 46) - 1)];
    prop_oneof![
        10 => (field(), text()).prop_map(|(f, v)| Op::Set(f, v)),
        3 => (field(), text(), at()).prop_map(|(f, v, at)| Op::SetEx(f, v, at)),
        2 => (field(), text()).prop_map(|(f, v)| Op::SetKeeping(f, v)),
        2 => field().prop_map(Op::Get),
        4 => field().prop_map(Op::Delete),
        4 => (field(), at()).prop_map(|(f, at)| Op::Expire(f, at)),
        2 => field().prop_map(Op::Persist),
        3 => field().prop_map(Op::Deadline),
        1 => field().prop_map(Op::GetDelete),
        1 => Just(Op::Length),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let setting =
        |(fields, long)| vec![("hash-max-listpack-entries", fields), ("hash-max-listpack-value", long)];
    (0..50_i64, 0..60_i64).prop_map(setting)
}

pub(super) fn of_bytes(bytes: &[u8]) {
    super::of_bytes::<Fields>(&limits(), &op(), bytes);
}

proptest! {
    #![proptest_config(super::cases())]
    #[test]
    fn a_hash_has_fields_that_may_expire(ops in super::several(op()), limits in limits()) {
        check::<Fields>(&ops, &limits);
    }
}
