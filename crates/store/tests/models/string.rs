//! Strings: bytes.

use proptest::prelude::*;

use super::{Command, Limits, Model, bulk, bulk_or_null, check, command_of, int, text};
use store::Recorded;

#[derive(Debug, Clone)]
enum Op {
    Set(Vec<u8>),
    Append(Vec<u8>),
    SetRange(usize, Vec<u8>),
    GetRange(i64, i64),
    SetBit(usize, bool),
    BitCount,
    Length,
    Delete,
}

#[derive(Default)]
struct Bytes(Option<Vec<u8>>);

impl Bytes {
    fn grown(&mut self, len: usize) -> &mut Vec<u8> {
        let bytes = self.0.get_or_insert_default();
        if bytes.len() < len {
            bytes.resize(len, 0);
        }
        bytes
    }
}

impl Model for Bytes {
    type Op = Op;

    fn step(&mut self, op: &Op) -> (Command, Recorded) {
        match op {
            Op::Set(value) => {
                self.0 = Some(value.clone());
                (command_of(&[b"SET", b"k", value]), Recorded::Simple("OK".into()))
            }
            Op::Append(more) => {
                let bytes = self.0.get_or_insert_default();
                bytes.extend(more);
                (command_of(&[b"APPEND", b"k", more]), int(bytes.len()))
            }
            Op::SetRange(at, value) => {
                if !value.is_empty() {
                    self.grown(at + value.len())[*at..at + value.len()].copy_from_slice(value);
                }
                let len = self.0.as_ref().map_or(0, Vec::len);
                (command_of(&[b"SETRANGE", b"k", at.to_string().as_bytes(), value]), int(len))
            }
            Op::GetRange(from, to) => {
                let bytes = self.0.clone().unwrap_or_default();
                let len = i64::try_from(bytes.len()).unwrap();
                let at = |n: i64| if n < 0 { (n + len).max(0) } else { n };
                let (first, last) = (at(*from), at(*to).min(len - 1));
                // Redis looks at the ends as they were given first.
                let empty = (*from < 0 && *to < 0 && from > to) || first > last || len == 0;
                let part: Vec<u8> = if empty {
                    Vec::new()
                } else {
                    bytes[usize::try_from(first).unwrap()..=usize::try_from(last).unwrap()].to_vec()
                };
                let ends = [from.to_string(), to.to_string()];
                (command_of(&[b"GETRANGE", b"k", ends[0].as_bytes(), ends[1].as_bytes()]), bulk(part))
            }
            Op::SetBit(at, on) => {
                let byte = &mut self.grown(at / 8 + 1)[at / 8];
                let mask = 0x80 >> (at % 8);
                let old = *byte & mask != 0;
                *byte = if *on { *byte | mask } else { *byte & !mask };
                let on = if *on { b"1" } else { b"0" };
                (command_of(&[b"SETBIT", b"k", at.to_string().as_bytes(), on]), int(old.into()))
            }
            Op::BitCount => {
                let ones: u32 = self.0.iter().flatten().map(|byte| byte.count_ones()).sum();
                (command_of(&[b"BITCOUNT", b"k"]), int(ones as usize))
            }
            Op::Length => (command_of(&[b"STRLEN", b"k"]), int(self.0.as_ref().map_or(0, Vec::len))),
            Op::Delete => (command_of(&[b"DEL", b"k"]), int(self.0.take().is_some().into())),
        }
    }

    fn contents(&self) -> (Command, Recorded) {
        (command_of(&[b"GET", b"k"]), bulk_or_null(self.0.as_ref()))
    }
}

fn op() -> impl Strategy<Value = Op> {
    let offset = || prop_oneof![0..50_usize, 0..5000_usize];
    prop_oneof![
        3 => text().prop_map(Op::Set),
        4 => text().prop_map(Op::Append),
        3 => (offset(), text()).prop_map(|(at, value)| Op::SetRange(at, value)),
        3 => (-60..60_i64, -60..60_i64).prop_map(|(from, to)| Op::GetRange(from, to)),
        2 => (0..2000_usize, any::<bool>()).prop_map(|(at, on)| Op::SetBit(at, on)),
        1 => Just(Op::BitCount),
        1 => Just(Op::Length),
        1 => Just(Op::Delete),
    ]
}

pub(super) fn of_bytes(bytes: &[u8]) {
    super::of_bytes::<Bytes>(&Just(Limits::new()), &op(), bytes);
}

proptest! {
    #![proptest_config(super::cases())]
    #[test]
    fn a_string_is_bytes(ops in super::several(op())) {
        check::<Bytes>(&ops, &[]);
    }
}
