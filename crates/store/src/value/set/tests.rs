use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn limits(ints: i64, entries: i64, value: i64) -> Limits {
    let limits = Limits::default();
    limits.set("set-max-intset-entries", ints);
    limits.set("set-max-listpack-entries", entries);
    limits.set("set-max-listpack-value", value);
    limits
}

fn of(members: &[&str], limits: &Limits) -> Set {
    let mut set = Set::default();
    for member in members {
        set.insert(member.as_bytes(), limits);
    }
    set
}

#[test]
fn a_set_takes_32_bytes_beside_its_contents() {
    assert!(size_of::<Set>() <= 32);
    assert_eq!(Set::default().allocated(), 0);
}

#[test]
fn the_encoding_follows_number_and_kind_of_the_members() {
    let new = limits(3, 4, 5);
    assert_eq!(of(&["1", "-2", "3"], &new).encoding(), "intset");
    assert_eq!(of(&["1", "2", "3", "4"], &new).encoding(), "hashtable");
    assert_eq!(of(&["1", "2", "a"], &new).encoding(), "listpack");
    assert_eq!(of(&["1", "2", "007"], &new).encoding(), "listpack");
    assert_eq!(of(&["1", "2", "a", "b", "c"], &new).encoding(), "hashtable");
    assert_eq!(of(&["1", "abcdef"], &new).encoding(), "hashtable");
    assert_eq!(of(&["123456", "a"], &new).encoding(), "hashtable");
    let old = limits(3, 0, 5);
    assert_eq!(of(&["1", "a"], &old).encoding(), "hashtable");
}

proptest! {
    #[test]
    fn every_encoding_agrees_with_a_plain_set(
        ops in proptest::collection::vec((any::<bool>(), 0..40_i64), 0..120),
        words in any::<bool>(),
        ints in 0..20_i64,
        entries in 0..20_i64,
    ) {
        let limits = limits(ints, entries, 6);
        let mut set = Set::default();
        let mut model = BTreeSet::new();
        for (add, n) in ops {
            let member = if words && n % 5 == 0 { format!("word-{n}") } else { (n * n * n * n - 99).to_string() };
            let member = member.into_bytes();
            if add {
                prop_assert_eq!(set.insert(&member, &limits), model.insert(member.clone()));
            } else {
                prop_assert_eq!(set.remove(&member), model.remove(&member));
            }
            prop_assert_eq!(set.contains(&member), model.contains(&member));
            prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
            let found: BTreeSet<_> = set.iter().map(|m| m.to_vec()).collect();
            prop_assert_eq!(&found, &model);
            let mut scanned = BTreeSet::new();
            prop_assert_eq!(set.scan(0, 1000, |m| assert!(scanned.insert(m.to_vec()))), 0);
            prop_assert_eq!(&scanned, &model);
            if let Some(member) = set.random(&mut |n| n / 2) {
                prop_assert!(model.contains(&member.to_vec()));
            }
        }
    }
}
