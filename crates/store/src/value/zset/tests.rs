//! The sorted set against the obvious version.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A sorted vector and a map.
#[derive(Default)]
struct Model(BTreeMap<Vec<u8>, f64>);

impl Model {
    fn ordered(&self) -> Vec<(Vec<u8>, f64)> {
        let mut all: Vec<_> = self.0.iter().map(|(m, s)| (m.clone(), *s)).collect();
        all.sort_by(|a, b| a.1.partial_cmp(&b.1).expect("no NaN").then_with(|| a.0.cmp(&b.0)));
        all
    }
}

fn owned(elements: Elements<'_>) -> Vec<(Vec<u8>, f64)> {
    elements.map(|(m, s)| (m.to_vec(), s)).collect()
}

fn small_only() -> Limits {
    let limits = Limits::default();
    limits.set("zset-max-listpack-entries", i64::MAX);
    limits
}

fn large_only() -> Limits {
    let limits = Limits::default();
    limits.set("zset-max-listpack-entries", 0);
    limits
}

fn same(set: &Zset, model: &Model) -> Result<(), TestCaseError> {
    let ordered = model.ordered();
    prop_assert_eq!(set.len(), ordered.len());
    prop_assert_eq!(&owned(set.iter()), &ordered);
    let mut down = owned(set.range_down(0..set.len()));
    down.reverse();
    prop_assert_eq!(&down, &ordered);
    for (rank, (member, score)) in ordered.iter().enumerate().step_by(7) {
        prop_assert_eq!(set.rank(member), Some((rank, *score)));
        prop_assert_eq!(set.score(member), Some(*score));
        prop_assert_eq!(set.get(rank).map(|(m, s)| (m.to_vec(), s)), Some((member.clone(), *score)));
        prop_assert_eq!(set.below(|s, _| s < *score), ordered.iter().filter(|e| e.1 < *score).count());
    }
    if let Form::Large(large) = &set.0 {
        large.check();
    }
    let mut seen = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = set.scan(cursor, 10, |m, s| seen.push((m.to_vec(), s)));
        if cursor == 0 {
            break;
        }
    }
    seen.sort_by(|a, b| a.1.partial_cmp(&b.1).expect("no NaN").then_with(|| a.0.cmp(&b.0)));
    prop_assert_eq!(&seen, &ordered);
    Ok(())
}

#[derive(Debug, Clone)]
enum Op {
    Insert(u16, i8),
    Remove(u16),
    RemoveRange(u16, u8),
    Ascend(u16),
    Descend(u16),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..3000_u16, any::<i8>()).prop_map(|(m, s)| Op::Insert(m, s)),
        8 => (0..3000_u16).prop_map(Op::Remove),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(r, n)| Op::RemoveRange(r, n)),
        1 => (0..600_u16).prop_map(Op::Ascend),
        1 => (0..600_u16).prop_map(Op::Descend),
    ]
}

fn member(n: u16) -> Vec<u8> {
    let mut text = n.to_string().into_bytes();
    if n.is_multiple_of(5) {
        text.resize(usize::from(n % 200) + 5, b'x');
    }
    text
}

fn run(ops: &[Op], limits: &Limits) -> Result<(), TestCaseError> {
    let (mut set, mut model) = (Zset::default(), Model::default());
    for op in ops {
        match *op {
            Op::Insert(m, s) => {
                let new = model.0.insert(member(m), f64::from(s) / 8.0).is_none();
                prop_assert_eq!(set.insert(&member(m), f64::from(s) / 8.0, limits), new);
            }
            Op::Remove(m) => prop_assert_eq!(set.remove(&member(m)), model.0.remove(&member(m))),
            Op::RemoveRange(start, n) => {
                let start = usize::from(start) % (set.len() + 1);
                let gone: Vec<_> = model.ordered().into_iter().skip(start).take(n.into()).collect();
                prop_assert_eq!(set.remove_range(start..start + usize::from(n)), gone.len());
                gone.iter().for_each(|(m, _)| assert!(model.0.remove(m).is_some()));
            }
            Op::Ascend(n) | Op::Descend(n) => {
                for i in 0..n {
                    let score = if matches!(op, Op::Ascend(_)) { f64::from(i) } else { 0.0 - f64::from(i) };
                    set.insert(&member(5000 + i), score, limits);
                    model.0.insert(member(5000 + i), score);
                }
            }
        }
    }
    same(&set, &model)?;
    same(&set.clone(), &model)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_large_set_equals_the_model(ops in prop::collection::vec(op(), 0..800)) {
        run(&ops, &large_only())?;
    }

    #[test]
    fn a_set_that_changes_its_form_equals_the_model(ops in prop::collection::vec(op(), 0..300)) {
        run(&ops, &Limits::default())?;
    }

    #[test]
    fn a_small_set_equals_the_model(ops in prop::collection::vec(op(), 0..60)) {
        run(&ops, &small_only())?;
    }
}

#[test]
fn thresholds_are_those_of_the_real_server() {
    let limits = Limits::default();
    let mut set = Zset::default();
    for n in 0..128 {
        set.insert(format!("m{n}").as_bytes(), 1.5, &limits);
    }
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"m0", 2.0, &limits);
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"m128", 2.0, &limits);
    assert_eq!((set.encoding(), set.len()), ("skiplist", 129));
    let mut set = Zset::default();
    set.insert(&[b'a'; 64], 0.0, &limits);
    assert_eq!(set.encoding(), "listpack");
    set.insert(&[b'a'; 65], 0.0, &limits);
    assert_eq!((set.encoding(), set.len()), ("skiplist", 2));
    set.remove(&[b'a'; 65]);
    set.pack(&limits);
    assert_eq!((set.encoding(), owned(set.iter())), ("listpack", vec![(vec![b'a'; 64], 0.0)]));
}

#[test]
fn a_claim_of_members_reserves_little() {
    let mut set = Zset::default();
    set.expect(u64::MAX, &Limits::default());
    assert!(set.allocated() < 1 << 20);
    assert!(set.is_empty());
}

#[test]
fn memory_returns_when_members_go() {
    let limits = Limits::default();
    let mut set = Zset::default();
    for n in 0..20_000_u32 {
        set.insert(format!("member:{n}").as_bytes(), f64::from(n), &limits);
    }
    let full = set.allocated();
    set.remove_range(100..19_900);
    assert_eq!(set.len(), 200);
    assert!(set.allocated() < full / 10, "{} of {full}", set.allocated());
}

#[test]
fn a_dump_in_descending_order_makes_full_leaves() {
    let limits = Limits::default();
    let bytes_a_member = |members: u32| {
        let mut set = Zset::default();
        for n in (0..members).rev() {
            set.insert(format!("member:{n:09}").as_bytes(), f64::from(n), &limits);
        }
        set.allocated() / set.len()
    };
    // 28 bytes of record, 12 of leaf (24 were they half full), 9.4 of index, a little above them; up to 18 of index
    // where it has just grown, which is at other sizes with each seed.
    let least = (8..13).map(|n| bytes_a_member(n * 10_000)).min();
    assert!(least.is_some_and(|bytes| bytes < 54), "{least:?}");
}

#[test]
fn a_negative_zero_is_kept_where_a_real_server_keeps_it() {
    let limits = Limits::default();
    let negative = |set: &Zset| set.score(b"m").is_some_and(|s| s == 0.0 && s.is_sign_negative());
    let mut small = Zset::default();
    small.insert(b"m", -0.0, &limits);
    assert!(!negative(&small), "a listpack holds integers");
    let mut large = Zset::default();
    large.insert(&[b'a'; 65], 1.0, &limits);
    large.insert(b"m", -0.0, &limits);
    assert!(negative(&large));
    let mut loaded = Zset::default();
    loaded.load_member(b"m", -0.0, &limits);
    loaded.load_member(&[b'a'; 65], 1.0, &limits);
    loaded.pack(&limits);
    assert!(negative(&loaded) && loaded.encoding() == "skiplist");
    loaded.remove(&[b'a'; 65]);
    loaded.pack(&limits);
    assert!(!negative(&loaded) && loaded.encoding() == "listpack");
}
