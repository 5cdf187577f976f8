//! Lists, sets and sorted sets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use store::{Aggregate, Null, Recorded};

use super::{Command, Limits, Model, bulk, bulk_or_null, bulks, check, command_of, int, text};

#[derive(Debug, Clone)]
enum ListOp {
    Push(bool, Vec<Vec<u8>>),
    Pop(bool),
    Index(i64),
    Set(i64, Vec<u8>),
    Insert(bool, Vec<u8>, Vec<u8>),
    Remove(i64, Vec<u8>),
    Trim(i64, i64),
    Range(i64, i64),
}

#[derive(Default)]
struct List(VecDeque<Vec<u8>>);

impl List {
    fn at(&self, index: i64) -> Option<usize> {
        let len = i64::try_from(self.0.len()).unwrap();
        let at = if index < 0 { index + len } else { index };
        (0..len).contains(&at).then(|| usize::try_from(at).unwrap())
    }

    fn span(&self, from: i64, to: i64) -> std::ops::Range<usize> {
        let len = i64::try_from(self.0.len()).unwrap();
        let at = |n: i64| if n < 0 { (n + len).max(0) } else { n };
        let to = if to < 0 { to + len } else { to.min(len - 1) };
        let from = at(from);
        if from > to { 0..0 } else { usize::try_from(from).unwrap()..usize::try_from(to).unwrap() + 1 }
    }
}

impl Model for List {
    type Op = ListOp;

    fn step(&mut self, op: &ListOp) -> (Command, Recorded) {
        let n = |n: &i64| n.to_string().into_bytes();
        match op {
            ListOp::Push(left, elements) => {
                let mut command = command_of(&[if *left { b"LPUSH" } else { b"RPUSH" }, b"k"]);
                command.extend(elements.iter().cloned());
                for element in elements {
                    if *left { self.0.push_front(element.clone()) } else { self.0.push_back(element.clone()) }
                }
                (command, int(self.0.len()))
            }
            ListOp::Pop(left) => {
                let gone = if *left { self.0.pop_front() } else { self.0.pop_back() };
                (command_of(&[if *left { b"LPOP" } else { b"RPOP" }, b"k"]), bulk_or_null(gone))
            }
            ListOp::Index(index) => (
                command_of(&[b"LINDEX", b"k", &n(index)]),
                bulk_or_null(self.at(*index).map(|at| &self.0[at])),
            ),
            ListOp::Set(index, value) => {
                let command = command_of(&[b"LSET", b"k", &n(index), value]);
                let answer = match self.at(*index) {
                    None if self.0.is_empty() => Recorded::Error("ERR no such key".into()),
                    None => Recorded::Error("ERR index out of range".into()),
                    Some(at) => {
                        self.0[at].clone_from(value);
                        Recorded::Simple("OK".into())
                    }
                };
                (command, answer)
            }
            ListOp::Insert(before, pivot, value) => {
                let side: &[u8] = if *before { b"BEFORE" } else { b"AFTER" };
                let command = command_of(&[b"LINSERT", b"k", side, pivot, value]);
                if self.0.is_empty() {
                    return (command, int(0));
                }
                match self.0.iter().position(|element| element == pivot) {
                    None => (command, Recorded::Integer(-1)),
                    Some(at) => {
                        self.0.insert(at + usize::from(!before), value.clone());
                        (command, int(self.0.len()))
                    }
                }
            }
            ListOp::Remove(count, value) => {
                let most = if *count == 0 { usize::MAX } else { usize::try_from(count.abs()).unwrap() };
                let mut places: Vec<usize> = (0..self.0.len()).filter(|at| self.0[*at] == *value).collect();
                if *count < 0 {
                    places.reverse();
                }
                places.truncate(most);
                places.sort_unstable_by(|a, b| b.cmp(a));
                for at in &places {
                    self.0.remove(*at);
                }
                (command_of(&[b"LREM", b"k", &n(count), value]), int(places.len()))
            }
            ListOp::Trim(from, to) => {
                let span = self.span(*from, *to);
                self.0 = self.0.drain(span).collect();
                (command_of(&[b"LTRIM", b"k", &n(from), &n(to)]), Recorded::Simple("OK".into()))
            }
            ListOp::Range(from, to) => {
                let part = self.0.range(self.span(*from, *to));
                (command_of(&[b"LRANGE", b"k", &n(from), &n(to)]), bulks(part))
            }
        }
    }

    fn contents(&self) -> (Command, Recorded) {
        (command_of(&[b"LRANGE", b"k", b"0", b"-1"]), bulks(&self.0))
    }
}

fn list_op() -> impl Strategy<Value = ListOp> {
    let index = || -12..12_i64;
    prop_oneof![
        8 => (any::<bool>(), proptest::collection::vec(text(), 1..8)).prop_map(|(l, e)| ListOp::Push(l, e)),
        3 => any::<bool>().prop_map(ListOp::Pop),
        2 => index().prop_map(ListOp::Index),
        3 => (index(), text()).prop_map(|(at, e)| ListOp::Set(at, e)),
        3 => (any::<bool>(), text(), text()).prop_map(|(b, p, e)| ListOp::Insert(b, p, e)),
        2 => (-2..3_i64, text()).prop_map(|(n, e)| ListOp::Remove(n, e)),
        1 => (-30..12_i64, -12..30_i64).prop_map(|(a, b)| ListOp::Trim(a, b)),
        2 => (index(), index()).prop_map(|(a, b)| ListOp::Range(a, b)),
    ]
}

#[derive(Debug, Clone)]
enum SetOp {
    Add(Vec<Vec<u8>>),
    Remove(Vec<u8>),
    Contains(Vec<u8>),
    Card,
}

#[derive(Default)]
struct Members(BTreeSet<Vec<u8>>);

impl Model for Members {
    type Op = SetOp;
    const UNORDERED: Option<usize> = Some(1);

    fn step(&mut self, op: &SetOp) -> (Command, Recorded) {
        match op {
            SetOp::Add(members) => {
                let mut command = command_of(&[b"SADD", b"k"]);
                command.extend(members.iter().cloned());
                (command, int(members.iter().filter(|member| self.0.insert((*member).clone())).count()))
            }
            SetOp::Remove(member) => {
                (command_of(&[b"SREM", b"k", member]), int(self.0.remove(member).into()))
            }
            SetOp::Contains(member) => {
                (command_of(&[b"SISMEMBER", b"k", member]), int(self.0.contains(member).into()))
            }
            SetOp::Card => (command_of(&[b"SCARD", b"k"]), int(self.0.len())),
        }
    }

    fn contents(&self) -> (Command, Recorded) {
        (command_of(&[b"SMEMBERS", b"k"]), bulks(&self.0))
    }
}

fn set_op() -> impl Strategy<Value = SetOp> {
    let number = (0..300_i64).prop_map(|n| n.to_string().into_bytes());
    let member = prop_oneof![3 => number, 1 => text()].boxed();
    prop_oneof![
        6 => proptest::collection::vec(member.clone(), 1..6).prop_map(SetOp::Add),
        4 => member.clone().prop_map(SetOp::Remove),
        2 => member.prop_map(SetOp::Contains),
        1 => Just(SetOp::Card),
    ]
}

#[derive(Debug, Clone)]
enum ZsetOp {
    Add(Vec<u8>, i32),
    Increase(Vec<u8>, i32),
    Remove(Vec<u8>),
    Score(Vec<u8>),
    Rank(Vec<u8>, bool),
    Count(i32, i32),
    Range(i64, i64),
    RemoveByRank(i64, i64),
    PopMin,
}

/// Members with quarters as scores.
#[derive(Default)]
struct Scores(BTreeMap<Vec<u8>, i32>);

impl Scores {
    fn sorted(&self) -> Vec<(i32, Vec<u8>)> {
        let mut all: Vec<(i32, Vec<u8>)> = self.0.iter().map(|(m, s)| (*s, m.clone())).collect();
        all.sort();
        all
    }

    fn span(&self, from: i64, to: i64) -> std::ops::Range<usize> {
        List(self.0.keys().cloned().collect()).span(from, to)
    }
}

fn quarters(n: i32) -> f64 {
    f64::from(n) / 4.0
}

impl Model for Scores {
    type Op = ZsetOp;

    fn step(&mut self, op: &ZsetOp) -> (Command, Recorded) {
        let text = |n: &i32| quarters(*n).to_string().into_bytes();
        match op {
            ZsetOp::Add(member, score) => {
                let is_new = self.0.insert(member.clone(), *score).is_none();
                (command_of(&[b"ZADD", b"k", &text(score), member]), int(is_new.into()))
            }
            ZsetOp::Increase(member, by) => {
                let score = self.0.entry(member.clone()).or_default();
                *score += by;
                (command_of(&[b"ZINCRBY", b"k", &text(by), member]), Recorded::Double(quarters(*score)))
            }
            ZsetOp::Remove(member) => {
                (command_of(&[b"ZREM", b"k", member]), int(self.0.remove(member).is_some().into()))
            }
            ZsetOp::Score(member) => {
                let score = self.0.get(member).map(|score| Recorded::Double(quarters(*score)));
                (command_of(&[b"ZSCORE", b"k", member]), score.unwrap_or(Recorded::Null(Null::Bulk)))
            }
            ZsetOp::Rank(member, reversed) => {
                let mut sorted = self.sorted();
                if *reversed {
                    sorted.reverse();
                }
                let rank = sorted.iter().position(|(_, m)| m == member);
                let name: &[u8] = if *reversed { b"ZREVRANK" } else { b"ZRANK" };
                (command_of(&[name, b"k", member]), rank.map_or(Recorded::Null(Null::Bulk), int))
            }
            ZsetOp::Count(low, high) => {
                let n = self.0.values().filter(|score| (low..=high).contains(score)).count();
                (command_of(&[b"ZCOUNT", b"k", &text(low), &text(high)]), int(n))
            }
            ZsetOp::Range(from, to) => {
                let part = &self.sorted()[self.span(*from, *to)];
                let (from, to) = (from.to_string(), to.to_string());
                let command = command_of(&[b"ZRANGE", b"k", from.as_bytes(), to.as_bytes()]);
                (command, bulks(part.iter().map(|(_, member)| member)))
            }
            ZsetOp::RemoveByRank(from, to) => {
                let part = self.sorted()[self.span(*from, *to)].to_vec();
                part.iter().for_each(|(_, member)| {
                    self.0.remove(member);
                });
                let (from, to) = (from.to_string(), to.to_string());
                (command_of(&[b"ZREMRANGEBYRANK", b"k", from.as_bytes(), to.as_bytes()]), int(part.len()))
            }
            ZsetOp::PopMin => {
                let first = self.sorted().first().cloned();
                let items = first.map_or_else(Vec::new, |(score, member)| {
                    self.0.remove(&member);
                    vec![bulk(member), Recorded::Double(quarters(score))]
                });
                (command_of(&[b"ZPOPMIN", b"k"]), Recorded::Aggregate(Aggregate::Array, items))
            }
        }
    }

    fn contents(&self) -> (Command, Recorded) {
        let items = self
            .sorted()
            .into_iter()
            .flat_map(|(score, member)| [bulk(member), Recorded::Double(quarters(score))]);
        let command = command_of(&[b"ZRANGE", b"k", b"0", b"-1", b"WITHSCORES"]);
        (command, Recorded::Aggregate(Aggregate::Array, items.collect()))
    }
}

fn zset_op() -> impl Strategy<Value = ZsetOp> {
    let score = || -12..12_i32;
    prop_oneof![
        10 => (text(), score()).prop_map(|(m, s)| ZsetOp::Add(m, s)),
        4 => (text(), score()).prop_map(|(m, s)| ZsetOp::Increase(m, s)),
        4 => text().prop_map(ZsetOp::Remove),
        1 => text().prop_map(ZsetOp::Score),
        3 => (text(), any::<bool>()).prop_map(|(m, r)| ZsetOp::Rank(m, r)),
        2 => (score(), score()).prop_map(|(a, b)| ZsetOp::Count(a, b)),
        2 => (-12..12_i64, -12..12_i64).prop_map(|(a, b)| ZsetOp::Range(a, b)),
        1 => (-4..30_i64, -4..30_i64).prop_map(|(a, b)| ZsetOp::RemoveByRank(a, b)),
        1 => Just(ZsetOp::PopMin),
    ]
}

fn list_limits() -> impl Strategy<Value = Limits> {
    let size = prop_oneof![Just(-2_i64), Just(1), Just(4), Just(128), Just(0)];
    size.prop_map(|size| vec![("list-max-listpack-size", size)])
}

fn set_limits() -> impl Strategy<Value = Limits> {
    (0..60_i64, 0..60_i64, 0..40_i64).prop_map(|(ints, members, long)| {
        vec![
            ("set-max-intset-entries", ints),
            ("set-max-listpack-entries", members),
            ("set-max-listpack-value", long),
        ]
    })
}

fn zset_limits() -> impl Strategy<Value = Limits> {
    let setting =
        |(members, long)| vec![("zset-max-listpack-entries", members), ("zset-max-listpack-value", long)];
    (0..60_i64, 0..40_i64).prop_map(setting)
}

pub(super) fn list_of_bytes(bytes: &[u8]) {
    super::of_bytes::<List>(&list_limits(), &list_op(), bytes);
}

pub(super) fn set_of_bytes(bytes: &[u8]) {
    super::of_bytes::<Members>(&set_limits(), &set_op(), bytes);
}

pub(super) fn zset_of_bytes(bytes: &[u8]) {
    super::of_bytes::<Scores>(&zset_limits(), &zset_op(), bytes);
}

proptest! {
    #![proptest_config(super::cases())]

    #[test]
    fn a_list_is_a_row_of_texts(ops in super::several(list_op()), limits in list_limits()) {
        check::<List>(&ops, &limits);
    }

    #[test]
    fn a_set_is_a_set(ops in super::several(set_op()), limits in set_limits()) {
        check::<Members>(&ops, &limits);
    }

    #[test]
    fn a_sorted_set_is_sorted(ops in super::several(zset_op()), limits in zset_limits()) {
        check::<Scores>(&ops, &limits);
    }
}
