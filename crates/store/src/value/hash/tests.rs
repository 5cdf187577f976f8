use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn limits(entries: i64, value: i64) -> Limits {
    let limits = Limits::default();
    limits.set("hash-max-listpack-entries", entries);
    limits.set("hash-max-listpack-value", value);
    limits
}

#[test]
fn a_hash_takes_32_bytes_beside_its_contents() {
    assert_eq!(size_of::<Hash>(), 32);
    assert_eq!(Hash::default().allocated(), 0);
}

#[test]
fn a_long_value_or_one_field_too_many_makes_a_table() {
    let limits = limits(2, 4);
    let mut hash = Hash::default();
    hash.insert(b"a", b"1234", None, &limits);
    hash.insert(b"b", b"", None, &limits);
    assert_eq!(hash.encoding(), "listpack");
    let mut other = hash.clone();
    other.insert(b"c", b"", None, &limits);
    assert_eq!(other.encoding(), "hashtable");
    hash.insert(b"a", b"12345", None, &limits);
    assert_eq!(hash.encoding(), "hashtable");
    assert_eq!((hash.len(), other.len()), (2, 3));
}

#[test]
fn a_hidden_field_is_absent_for_clients_and_present_for_the_stream() {
    for entries in [0, 100] {
        let limits = limits(entries, 64);
        let mut hash = Hash::default();
        hash.insert(b"lasting", b"1", None, &limits);
        hash.insert(b"dying", b"2", Some(100), &limits);
        assert!(hash.get(b"dying", 99).is_some() && hash.get(b"dying", 100).is_none());
        assert!(hash.get(b"dying", i64::MIN).is_some());
        assert_eq!((hash.len(), hash.visible(100), hash.visible(99)), (2, 1, 2));
        assert_eq!(hash.next_expiry(), Some(100));
        // A new value in its place counts as new and lives on.
        let mut revived = hash.clone();
        assert!(revived.set(b"dying", b"3", FieldExpiry::Keep, 100, &limits));
        assert_eq!(revived.get(b"dying", 100).unwrap().expire_ms, None);
        let mut gone = Vec::new();
        assert_eq!(hash.expire_until(100, 9, |field| gone.push(field.to_vec())), 1);
        assert_eq!((gone, hash.len()), (vec![b"dying".to_vec()], 1));
    }
}

#[derive(Debug, Clone)]
enum Op {
    Set(u8, u8, Option<i64>, bool),
    Remove(u8),
    Expire(u8, Option<i64>),
    Until(i64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let time = || proptest::option::of(1..20_i64);
    let op = prop_oneof![
        4 => (0..30_u8, any::<u8>(), time(), any::<bool>()).prop_map(|(f, v, t, keep)| Op::Set(f, v, t, keep)),
        2 => (0..30_u8).prop_map(Op::Remove),
        2 => (0..30_u8, time()).prop_map(|(f, t)| Op::Expire(f, t)),
        1 => (1..20_i64).prop_map(Op::Until),
    ];
    proptest::collection::vec(op, 0..80)
}

fn text(n: u8) -> Vec<u8> {
    if n.is_multiple_of(3) { n.to_string().into_bytes() } else { vec![b'a' + n % 26; usize::from(n) % 90] }
}

proptest! {
    #[test]
    fn every_encoding_agrees_with_a_plain_map(ops in ops(), entries in 0..30_i64, value in 0..90_i64) {
        let limits = limits(entries, value);
        let mut hash = Hash::default();
        let mut model: BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)> = BTreeMap::new();
        for op in ops {
            match op {
                Op::Set(f, v, t, keep) => {
                    let field = format!("field-{f}").into_bytes();
                    let old = model.get(&field).cloned();
                    let (expiry, time) = if keep {
                        (FieldExpiry::Keep, old.as_ref().and_then(|o| o.1))
                    } else {
                        (FieldExpiry::Set(t), t)
                    };
                    let new = hash.set(&field, &text(v), expiry, i64::MIN, &limits);
                    prop_assert_eq!(new, old.is_none());
                    model.insert(field, (text(v), time));
                }
                Op::Remove(f) => {
                    let field = format!("field-{f}").into_bytes();
                    prop_assert_eq!(hash.remove(&field), model.remove(&field).map(|(_, t)| t));
                }
                Op::Expire(f, t) => {
                    let field = format!("field-{f}").into_bytes();
                    let there = model.get_mut(&field).map(|place| place.1 = t).is_some();
                    prop_assert_eq!(hash.set_expire(&field, t), there);
                }
                Op::Until(time) => {
                    hash.expire_until(time, usize::MAX, |_| ());
                    model.retain(|_, (_, t)| t.is_none_or(|t| t > time));
                }
            }
            prop_assert_eq!((hash.len(), hash.is_empty()), (model.len(), model.is_empty()));
            let found: BTreeMap<_, _> = hash
                .iter(i64::MIN)
                .map(|(name, field)| (name.to_vec(), (field.value.to_vec(), field.expire_ms)))
                .collect();
            prop_assert_eq!(&found, &model);
            for time in [5, 10] {
                let shown = model.values().filter(|(_, t)| t.is_none_or(|t| t > time)).count();
                prop_assert_eq!(hash.visible(time), shown);
            }
        }
    }

    #[test]
    fn a_loaded_listpack_equals_its_pairs(fields in proptest::collection::vec((0..40_u8, any::<u8>()), 0..40), entries in 0..40_i64) {
        let limits = limits(entries, 64);
        let mut list = ListpackBuf::new();
        let mut model = BTreeMap::new();
        for (field, value) in &fields {
            list.push(&text(*field)).unwrap();
            list.push(&text(*value)).unwrap();
            model.insert(text(*field), text(*value));
        }
        let mut hash = Hash::default();
        hash.load_listpack(list.as_listpack(), &limits);
        // A field that stands twice keeps one place, its last value.
        let found: BTreeMap<_, _> = hash.iter(0).map(|(n, f)| (n.to_vec(), f.value.to_vec())).collect();
        prop_assert_eq!(hash.len(), model.len());
        prop_assert_eq!(found, model);
    }
}
