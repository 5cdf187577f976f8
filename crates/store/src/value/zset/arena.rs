//! Where the members of a large sorted set live, each once, with its score: tree and table refer to a record by a
//! 32-bit id.
//!
//! ```text
//! record: | score, 8 bytes LE | length, base 128 | member | padding to 4 |
//! id:     | chunk, 18 bits | offset in the chunk / 4, 14 bits |
//! ```
//!
//! A box a member would cost 16 bytes of pointer and about 12 of allocator overhead more than this does. Records of
//! one size that were freed form a list (the next id in their first bytes) and are used again; what fits no list
//! stays dead until the owner [rebuilds](super::large::Large::rebuild) the set, which it does once more bytes are
//! dead than alive.

/// Ends a list of free records; never the id of a record, since none fits behind a chunk's last unit.
const NONE: u32 = u32::MAX;
const UNIT: usize = 4;
const OFFSET_BITS: u32 = 14;
const CHUNK: usize = UNIT << OFFSET_BITS;
const MAX_CHUNKS: usize = 1 << (32 - OFFSET_BITS);
const FIRST_CHUNK: usize = 1024;
/// Longer records get a chunk of their own, which is freed with them.
const ALONE: usize = CHUNK / 4;
/// Records of up to so many units have a list each.
const LISTS: usize = 40;

/// Scores and members by id.
#[derive(Debug)]
pub(super) struct Arena {
    chunks: Vec<Vec<u8>>,
    /// The chunk that is being filled.
    current: usize,
    /// Heads of the lists of free records, by size in units.
    free: [u32; LISTS],
    /// Places of chunks that held one long record.
    vacant: Vec<u32>,
    live: usize,
    dead: usize,
    capacity: usize,
}

impl Arena {
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            current: 0,
            free: [NONE; LISTS],
            vacant: Vec::new(),
            live: 0,
            dead: 0,
            capacity: 0,
        }
    }

    /// Heap bytes, O(1).
    pub(super) fn allocated(&self) -> usize {
        self.capacity + self.chunks.capacity() * size_of::<Vec<u8>>() + self.vacant.capacity() * UNIT
    }

    /// Whether more bytes are dead than alive, and enough to care.
    pub(super) fn is_wasteful(&self) -> bool {
        self.dead > self.live + 4 * FIRST_CHUNK
    }

    /// Stores a record; `None` when 16 GiB are full.
    pub(super) fn add(&mut self, score: f64, member: &[u8]) -> Option<u32> {
        let mut length = [0; 5];
        let length = write_length(u32::try_from(member.len()).ok()?, &mut length);
        let size = (8 + length.len() + member.len()).next_multiple_of(UNIT);
        let units = size / UNIT;
        if let Some(id) = self.free.get(units).copied().filter(|id| *id != NONE) {
            let at = offset(id);
            let record = &mut self.chunks[chunk(id)][at..at + size];
            let (link, _) = record.split_first_chunk::<4>().unwrap_or((&[0xFF; 4], &[]));
            self.free[units] = u32::from_le_bytes(*link);
            record[..8].copy_from_slice(&score.to_le_bytes());
            record[8..8 + length.len()].copy_from_slice(length);
            record[8 + length.len()..][..member.len()].copy_from_slice(member);
            self.dead -= size;
            self.live += size;
            return Some(id);
        }
        let index = self.room(size)?;
        let bytes = &mut self.chunks[index];
        let at = bytes.len();
        bytes.extend_from_slice(&score.to_le_bytes());
        bytes.extend_from_slice(length);
        bytes.extend_from_slice(member);
        bytes.resize(at + size, 0);
        self.live += size;
        Some((index as u32) << OFFSET_BITS | (at / UNIT) as u32)
    }

    /// The index of a chunk with room for `size` bytes at its end.
    fn room(&mut self, size: usize) -> Option<usize> {
        if size <= ALONE
            && let Some(chunk) = self.chunks.get(self.current)
            && chunk.capacity() - chunk.len() >= size
            && chunk.capacity() <= CHUNK
        {
            return Some(self.current);
        }
        let capacity =
            if size > ALONE { size } else { (self.capacity / 4).clamp(FIRST_CHUNK, CHUNK).max(size) };
        let capacity = capacity.next_multiple_of(UNIT);
        let fresh = Vec::with_capacity(capacity);
        let index = match self.vacant.pop() {
            Some(index) => index as usize,
            None if self.chunks.len() < MAX_CHUNKS => {
                self.chunks.push(Vec::new());
                self.chunks.len() - 1
            }
            None => return None,
        };
        self.chunks[index] = fresh;
        self.capacity += capacity;
        if size <= ALONE {
            self.current = index;
        }
        Some(index)
    }

    /// Frees a record.
    pub(super) fn remove(&mut self, id: u32) {
        let (head, member) = self.record(id);
        let size = (head + member).next_multiple_of(UNIT);
        self.live -= size;
        if size > ALONE {
            let alone = std::mem::take(&mut self.chunks[chunk(id)]);
            self.capacity -= alone.capacity();
            self.vacant.push(chunk(id) as u32);
            return;
        }
        self.dead += size;
        if let Some(list) = self.free.get_mut(size / UNIT) {
            let at = offset(id);
            self.chunks[chunk(id)][at..at + 4].copy_from_slice(&list.to_le_bytes());
            *list = id;
        }
    }

    #[inline]
    pub(super) fn score(&self, id: u32) -> f64 {
        let record = &self.chunks[chunk(id)][offset(id)..];
        record.first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes))
    }

    pub(super) fn set_score(&mut self, id: u32, score: f64) {
        let at = offset(id);
        self.chunks[chunk(id)][at..at + 8].copy_from_slice(&score.to_le_bytes());
    }

    #[inline]
    pub(super) fn member(&self, id: u32) -> &[u8] {
        let record = &self.chunks[chunk(id)][offset(id)..];
        let first = record[8];
        if first < 0x80 {
            return &record[9..9 + usize::from(first)];
        }
        let (head, member) = self.record(id);
        &record[head..head + member]
    }

    /// Where the member begins in its record, and its length.
    fn record(&self, id: u32) -> (usize, usize) {
        let record = &self.chunks[chunk(id)][offset(id)..];
        let mut length = 0_usize;
        for (i, byte) in record[8..].iter().take(5).enumerate() {
            length |= usize::from(byte & 0x7F) << (7 * i);
            if byte & 0x80 == 0 {
                return (9 + i, length);
            }
        }
        (8, 0)
    }
}

#[inline]
fn chunk(id: u32) -> usize {
    (id >> OFFSET_BITS) as usize
}

#[inline]
fn offset(id: u32) -> usize {
    (id & ((1 << OFFSET_BITS) - 1)) as usize * UNIT
}

/// Base 128, least significant group first.
fn write_length(mut n: u32, out: &mut [u8; 5]) -> &[u8] {
    let mut used = 0;
    loop {
        out[used] = (n & 0x7F) as u8;
        n >>= 7;
        used += 1;
        if n == 0 {
            return &out[..used];
        }
        out[used - 1] |= 0x80;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_every_length_come_back_and_their_places_are_used_again() {
        let mut arena = Arena::new();
        let lengths = [0, 1, 2, 3, 4, 7, 127, 128, 129, 16_000, 16_383, 16_384, 70_000, 300_000];
        let members: Vec<Vec<u8>> = lengths.iter().map(|n| vec![*n as u8; *n]).collect();
        let ids: Vec<u32> =
            members.iter().enumerate().map(|(i, m)| arena.add(i as f64, m).expect("room")).collect();
        for (i, id) in ids.iter().enumerate() {
            assert_eq!((arena.score(*id), arena.member(*id)), (i as f64, &members[i][..]));
        }
        let full = arena.allocated();
        for id in ids.iter().rev() {
            arena.remove(*id);
        }
        assert!(arena.live == 0 && arena.allocated() < full - 370_000);
        let again: Vec<u32> = members[..6].iter().map(|m| arena.add(7.0, m).expect("room")).collect();
        for (id, member) in again.iter().zip(&members) {
            assert!(ids.contains(id), "a freed place is used");
            assert_eq!((arena.score(*id), arena.member(*id)), (7.0, &member[..]));
        }
        arena.set_score(again[0], -1.5);
        assert_eq!(arena.score(again[0]), -1.5);
    }
}
