//! Where the wide form of hashes, sets and sorted sets ends: few elements, some of them long. Servers call it a table or
//! a skiplist; here it is a listpack, for walking so much costs less than a table's memory.

/// Fields or members.
pub(super) const ELEMENTS: usize = 32;
/// Bytes of the listpack.
pub(super) const BYTES: usize = 4096;

/// Whether so many elements of so many bytes may stand in one.
pub(super) fn is_wide(elements: usize, bytes: usize) -> bool {
    elements <= ELEMENTS && bytes <= BYTES
}
