//! HyperLogLogs: the registers of the sparse and of the dense form are the same, and so are the bytes once dense.

use proptest::prelude::*;
use store::Recorded;

use super::{Db, command_of, int};

proptest! {
    #![proptest_config(super::cases())]
    #[test]
    fn the_sparse_form_counts_as_the_dense_one(
        elements in proptest::collection::vec(0..5000_u32, 1..400),
        sparse in prop_oneof![Just(3000_i64), Just(100), Just(0)],
    ) {
        let (mut ours, mut dense) = (Db::new(&[("hll-sparse-max-bytes", sparse)]), Db::new(&[("hll-sparse-max-bytes", 0)]));
        for piece in elements.chunks(16) {
            let mut command = command_of(&[b"PFADD", b"k"]);
            command.extend(piece.iter().map(|n| n.to_string().into_bytes()));
            prop_assert_eq!(ours.run(&command), dense.run(&command));
            let count = command_of(&[b"PFCOUNT", b"k"]);
            prop_assert_eq!(ours.run(&count), dense.run(&count));
            ours.recount();
        }
        let distinct: std::collections::BTreeSet<_> = elements.iter().collect();
        let Recorded::Integer(counted) = ours.run(&command_of(&[b"PFCOUNT", b"k"])) else { panic!("a count") };
        let off = usize::try_from(counted).unwrap().abs_diff(distinct.len());
        prop_assert!(off * 20 <= distinct.len() + 20, "{counted} for {}", distinct.len());
        // Merging with a dense one gives a dense one: the same bytes whichever form came first.
        dense.run(&command_of(&[b"PFADD", b"other", b"x"]));
        let mut merged = Db::new(&[("hll-sparse-max-bytes", 0)]);
        for (db, key) in [(&mut ours, &b"from-sparse"[..]), (&mut dense, b"from-dense")] {
            let Recorded::Bulk(bytes) = db.run(&command_of(&[b"GET", b"k"])) else { panic!("bytes") };
            merged.run(&command_of(&[b"SET", key, &bytes]));
        }
        merged.run(&command_of(&[b"PFMERGE", b"a", b"from-sparse"]));
        merged.run(&command_of(&[b"PFMERGE", b"b", b"from-dense"]));
        prop_assert_eq!(merged.run(&command_of(&[b"GET", b"a"])), merged.run(&command_of(&[b"GET", b"b"])));
        let mut loaded = ours.reloaded(&[]);
        prop_assert_eq!(loaded.run(&command_of(&[b"PFCOUNT", b"k"])), int(usize::try_from(counted).unwrap()));
    }
}
