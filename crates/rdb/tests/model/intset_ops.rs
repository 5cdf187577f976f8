//! `IntsetBuf` and a `BTreeSet`. Property tests and fuzzing share this.

use std::collections::BTreeSet;

use rdb::encoding::{Intset, IntsetBuf, grammar};

/// Whether to insert, and a number with how many bits to drop from it.
pub(crate) type Op = (bool, i64, u8);

/// Applies each operation to both sides and compares all that can be seen.
pub(crate) fn run(ops: &[Op]) {
    let mut set = IntsetBuf::new();
    let mut model = BTreeSet::new();
    let mut width = 2;
    for (insert, number, shift) in ops {
        let value = number >> (shift % 64);
        if *insert {
            assert_eq!(set.insert(value).unwrap(), model.insert(value));
            width = width.max(match value {
                -0x8000..=0x7FFF => 2,
                -0x8000_0000..=0x7FFF_FFFF => 4,
                _ => 8,
            });
        } else {
            assert_eq!(set.remove(value), model.remove(&value));
        }
        let bytes = set.as_bytes();
        let view = Intset::new(bytes).unwrap();
        assert_eq!((view.width(), view.len()), (width, model.len()));
        assert_eq!(bytes.len(), 8 + width * model.len());
        assert!(view.iter().eq(model.iter().copied()));
        assert!(view.iter().rev().eq(model.iter().rev().copied()));
        assert_eq!(grammar::intset(bytes).unwrap(), view.iter().collect::<Vec<_>>());
        for probe in [value, value.wrapping_add(1), value.wrapping_sub(1), i64::MIN, i64::MAX, 0] {
            assert_eq!(view.contains(probe), model.contains(&probe));
            let below = model.range(..probe).count();
            assert_eq!(view.position(probe).unwrap_or_else(|index| index), below);
        }
        assert_eq!(view.get(model.len()), None);
        assert_eq!(view.get(0), model.first().copied());
    }
}
