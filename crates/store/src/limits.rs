//! Thresholds between encodings, changeable while running.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident $name:literal $(or $alias:literal)? = $default:literal;)*) => {
        /// The settings of the keyspace, under their configuration names.
        #[derive(Debug)]
        pub struct Limits {
            $($field: AtomicI64,)*
            packed_threshold: AtomicI64,
            skip_checksum: AtomicBool,
        }

        impl Default for Limits {
            fn default() -> Self {
                Self {
                    $($field: AtomicI64::new($default),)*
                    packed_threshold: AtomicI64::new(1 << 30),
                    skip_checksum: AtomicBool::new(false),
                }
            }
        }

        impl Limits {
            $($(#[$doc])* #[inline] #[must_use] pub fn $field(&self) -> i64 { self.$field.load(Relaxed) })*

            /// Every setting: its configuration name, its old name if it has one, its value.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, Option<&'static str>, i64)> {
                [$(($name, [$($alias)?].first().copied(), self.$field())),*].into_iter()
            }

            /// Changes a setting by either name; false if there is none.
            pub fn set(&self, name: &str, value: i64) -> bool {
                match name { $($name $(| $alias)? => self.$field.store(value, Relaxed),)* _ => return false }
                true
            }
        }
    };
}

limits! {
    /// Most fields of a hash kept as a listpack.
    hash_entries "hash-max-listpack-entries" or "hash-max-ziplist-entries" = 512;
    /// Longest field or value of a hash kept as a listpack, in bytes.
    hash_value "hash-max-listpack-value" or "hash-max-ziplist-value" = 64;
    /// Size of a list node: bytes if -1 to -5 (4, 8, 16, 32, 64 KiB), else elements.
    list_size "list-max-listpack-size" or "list-max-ziplist-size" = -2;
    /// Most members of a set kept as an intset.
    set_intset_entries "set-max-intset-entries" = 512;
    /// Most members of a set kept as a listpack.
    set_entries "set-max-listpack-entries" = 128;
    /// Longest member of a set kept as a listpack, in bytes.
    set_value "set-max-listpack-value" = 64;
    /// Most members of a sorted set kept as a listpack.
    zset_entries "zset-max-listpack-entries" or "zset-max-ziplist-entries" = 128;
    /// Longest member of a sorted set kept as a listpack, in bytes.
    zset_value "zset-max-listpack-value" or "zset-max-ziplist-value" = 64;
    /// Largest stream node, in bytes; 0: no limit.
    stream_bytes "stream-node-max-bytes" = 4096;
    /// Most entries of a stream node; 0: no limit.
    stream_entries "stream-node-max-entries" = 100;
    /// Largest HyperLogLog kept in the sparse form, in bytes.
    hll_sparse_bytes "hll-sparse-max-bytes" = 3000;
    /// Longest string that a client or the stream may make, in bytes.
    max_bulk "proto-max-bulk-len" = 536_870_912;
}

/// What DEBUG changes, and no configuration.
impl Limits {
    /// Elements of lists from this size on have a node of their own.
    #[inline]
    #[must_use]
    pub fn packed_threshold(&self) -> i64 {
        self.packed_threshold.load(Relaxed)
    }

    /// Changes [`packed_threshold`](Self::packed_threshold).
    pub fn set_packed_threshold(&self, bytes: i64) {
        self.packed_threshold.store(bytes, Relaxed);
    }

    /// Whether RESTORE takes a payload with any checksum.
    #[must_use]
    pub fn skip_checksum(&self) -> bool {
        self.skip_checksum.load(Relaxed)
    }

    /// Changes [`skip_checksum`](Self::skip_checksum).
    pub fn set_skip_checksum(&self, skip: bool) {
        self.skip_checksum.store(skip, Relaxed);
    }
}
