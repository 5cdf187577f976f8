//! A listpack that is built and changed in place, to the byte as servers do.
//!
//! One allocation that holds exactly the blob, so that a stored value can be written to a dump as it is. Room is
//! added in steps of an eighth: small collections are many, and spare capacity is what they would be made of.
//! Checked against DUMP of Redis 7.0.15 by `tests/server_bytes.rs`.

use super::error::Full;
use super::item::{Item, parse_canonical_i64};
use super::listpack::{
    COUNT_UNKNOWN, END, HEADER, Listpack, ListpackIter, Pos, back_length, back_length_width, skip,
};

/// An owned listpack. 24 bytes beside the blob; an empty one allocates nothing.
///
/// ```
/// use rdb::encoding::ListpackBuf;
/// let mut hash = ListpackBuf::new();
/// hash.push(b"field")?;
/// hash.push(b"300")?;
/// let field = hash.as_listpack().find(b"field", 1).unwrap();
/// let value = hash.as_listpack().next(field).unwrap();
/// hash.replace(value, b"-1")?;
/// assert_eq!(hash.as_bytes(), b"\x11\0\0\0\x02\0\x85field\x06\xDF\xFF\x02\xFF");
/// # Ok::<_, rdb::encoding::Full>(())
/// ```
#[derive(Clone, Default)]
pub struct ListpackBuf {
    /// The blob; empty stands for [`EMPTY`].
    bytes: Vec<u8>,
}

const EMPTY: [u8; HEADER + 1] = [7, 0, 0, 0, 0, 0, END];
/// Writers stop here, and so do we: offsets then fit a `u32` with room to spare.
const MAX_BYTES: usize = 1 << 30;

impl ListpackBuf {
    /// The largest blob that is built, in bytes.
    pub const MAX_BYTES: usize = MAX_BYTES;

    /// An empty list.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// An empty list with room for a blob of `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buf = Vec::with_capacity(bytes.max(EMPTY.len()));
        buf.extend_from_slice(&EMPTY);
        Self { bytes: buf }
    }

    /// A copy of a checked list, without spare room.
    pub fn from_listpack(list: Listpack<'_>) -> Self {
        Self { bytes: list.as_bytes().to_vec() }
    }

    /// The list, for reading. O(1).
    #[inline]
    pub fn as_listpack(&self) -> Listpack<'_> {
        Listpack::trusted(self.as_bytes())
    }

    /// The blob.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        if self.bytes.is_empty() { &EMPTY } else { &self.bytes }
    }

    /// The blob, in a vector of its own.
    pub fn into_bytes(self) -> Vec<u8> {
        if self.bytes.is_empty() { EMPTY.to_vec() } else { self.bytes }
    }

    /// Size of the blob in bytes.
    #[inline]
    pub fn bytes_len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Bytes on the heap, spare room included.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// How many entries there are. See [`Listpack::len`].
    #[inline]
    pub fn len(&self) -> usize {
        self.as_listpack().len()
    }

    /// Whether there is no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_listpack().is_empty()
    }

    /// The entries, from either end.
    #[inline]
    pub fn iter(&self) -> ListpackIter<'_> {
        self.as_listpack().iter()
    }

    /// Whether `more` bytes of entries (see [`encoded_size`]) may still be added.
    #[inline]
    pub fn fits(&self, more: usize) -> bool {
        more <= MAX_BYTES.saturating_sub(self.bytes_len())
    }

    /// Appends an entry: as an integer if `element` is a canonical 64-bit decimal. O(1) amortised.
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    #[inline]
    pub fn push(&mut self, element: &[u8]) -> Result<(), Full> {
        self.splice_end(&Encoded::new(element))
    }

    /// Appends an integer. O(1) amortised.
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    #[inline]
    pub fn push_int(&mut self, value: i64) -> Result<(), Full> {
        self.splice_end(&Encoded::int(value))
    }

    /// Appends a copy of another list's entry.
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    pub fn push_item(&mut self, item: Item<'_>) -> Result<(), Full> {
        match item {
            Item::Str(s) => self.push(s),
            Item::Int(v) => self.push_int(v),
        }
    }

    /// Inserts an entry before the one at `pos` (or at the [end](Listpack::end)). The new entry is then at `pos`.
    /// O(bytes behind `pos`).
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    pub fn insert(&mut self, pos: Pos, element: &[u8]) -> Result<(), Full> {
        self.splice(pos.offset(), 0, &Encoded::new(element))?;
        self.add_to_count(1);
        Ok(())
    }

    /// Inserts an integer before the entry at `pos`.
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    pub fn insert_int(&mut self, pos: Pos, value: i64) -> Result<(), Full> {
        self.splice(pos.offset(), 0, &Encoded::int(value))?;
        self.add_to_count(1);
        Ok(())
    }

    /// Replaces the entry at `pos`; the new one is then at `pos`. O(1) if the size stays, else O(bytes behind).
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    pub fn replace(&mut self, pos: Pos, element: &[u8]) -> Result<(), Full> {
        self.replace_encoded(pos, &Encoded::new(element))
    }

    /// Replaces the entry at `pos` with an integer.
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    pub fn replace_int(&mut self, pos: Pos, value: i64) -> Result<(), Full> {
        self.replace_encoded(pos, &Encoded::int(value))
    }

    /// Removes the entry at `pos`; `pos` is then where the next one begins, or the end. O(bytes behind `pos`).
    #[inline]
    pub fn remove(&mut self, pos: Pos) {
        self.remove_range(pos, 1);
    }

    /// Removes up to `n` entries from the one at `pos` on, and answers how many. `pos` is then where the next one
    /// begins, or the end.
    pub fn remove_range(&mut self, pos: Pos, n: usize) -> usize {
        let (from, end) = (pos.offset(), self.as_listpack().end().offset());
        let (mut to, mut removed) = (from, 0);
        while removed < n && to < end {
            match skip(&self.bytes, to) {
                Some(next) if next <= end => to = next,
                _ => break,
            }
            removed += 1;
        }
        if removed > 0 && from >= HEADER {
            self.bytes.drain(from..to);
            self.write_size();
            self.add_to_count(-(removed as i64));
        }
        removed
    }

    /// Removes all entries; keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Gives spare room back.
    pub fn shrink(&mut self) {
        if self.bytes.capacity() > self.bytes.len() {
            // Allocators that keep sizes apart leave a block where it is unless much of it goes: a copy fits.
            self.bytes = self.bytes.as_slice().to_vec();
        }
    }

    /// Appends several entries, for which there is to be room for about `room` bytes: size and count are written
    /// once.
    ///
    /// # Errors
    /// [`Full`] if `room` does not fit into 1 GiB.
    #[inline]
    pub(super) fn append(&mut self, room: usize) -> Result<Appending<'_>, Full> {
        self.make_room(room)?;
        self.bytes.pop();
        Ok(Appending { list: self, count: 0 })
    }

    #[inline]
    fn splice_end(&mut self, entry: &Encoded<'_>) -> Result<(), Full> {
        self.make_room(entry.len())?;
        // The end mark is overwritten and set again.
        self.bytes.pop();
        self.bytes.extend_from_slice(entry.head());
        self.bytes.extend_from_slice(entry.data);
        self.bytes.extend_from_slice(entry.tail());
        self.bytes.push(END);
        self.write_size();
        self.add_to_count(1);
        Ok(())
    }

    fn replace_encoded(&mut self, pos: Pos, entry: &Encoded<'_>) -> Result<(), Full> {
        let at = pos.offset();
        let end = self.as_listpack().end().offset();
        match skip(&self.bytes, at) {
            Some(next) if next <= end => self.splice(at, next - at, entry),
            _ => Ok(()),
        }
    }

    /// Puts an entry in the place of the `old` bytes at `at`; the count is left to the caller.
    fn splice(&mut self, at: usize, old: usize, entry: &Encoded<'_>) -> Result<(), Full> {
        let new = entry.len();
        self.make_room(new.saturating_sub(old))?;
        let end = self.bytes.len() - 1;
        if new == old && at >= HEADER && at + new <= end {
            self.put(at, entry);
            return Ok(());
        }
        // A stale position is kept between header and end mark, whatever it then means.
        let at = at.clamp(HEADER, end);
        let old_end = (at + old).min(end);
        let len = self.bytes.len();
        if at + new > old_end {
            self.bytes.resize(len + (at + new - old_end), 0);
            self.bytes.copy_within(old_end..len, at + new);
        } else {
            self.bytes.copy_within(old_end.., at + new);
            self.bytes.truncate(len - (old_end - (at + new)));
        }
        self.put(at, entry);
        self.write_size();
        Ok(())
    }

    /// Writes an entry over what stands at `at`.
    #[inline]
    fn put(&mut self, mut at: usize, entry: &Encoded<'_>) {
        for part in [entry.head(), entry.data, entry.tail()] {
            if let Some(place) = self.bytes.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
            at += part.len();
        }
    }

    /// Makes room for `more` bytes without doubling: by an eighth at least.
    #[inline]
    fn make_room(&mut self, more: usize) -> Result<(), Full> {
        if !self.fits(more) {
            return Err(Full);
        }
        if self.bytes.capacity() - self.bytes.len() < more || self.bytes.is_empty() {
            self.grow(more);
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(EMPTY.len() + more);
            self.bytes.extend_from_slice(&EMPTY);
        } else {
            self.bytes.reserve_exact(more.max(self.bytes.len() / 8));
        }
    }

    #[inline]
    fn write_size(&mut self) {
        // At most MAX_BYTES, or the size of a listpack that came as such.
        let size = self.bytes.len() as u32;
        if let Some(field) = self.bytes.first_chunk_mut::<4>() {
            *field = size.to_le_bytes();
        }
    }

    /// Counts up to 65534; 65535 means "unknown" and stays, as in servers (they repair it when they next walk).
    #[inline]
    fn add_to_count(&mut self, more: i64) {
        if let Some([_, _, _, _, c0, c1]) = self.bytes.first_chunk_mut::<HEADER>() {
            let count = u16::from_le_bytes([*c0, *c1]);
            if count != COUNT_UNKNOWN {
                let count = u16::try_from(i64::from(count) + more).unwrap_or(COUNT_UNKNOWN);
                [*c0, *c1] = count.to_le_bytes();
            }
        }
    }
}

/// A listpack to which entries are being appended: it is one again when this is dropped.
pub(super) struct Appending<'l> {
    list: &'l mut ListpackBuf,
    count: i64,
}

impl Appending<'_> {
    /// As [`ListpackBuf::push`].
    #[inline]
    pub(super) fn push(&mut self, element: &[u8]) {
        let bytes = &mut self.list.bytes;
        if element.len() < 64 && !matches!(element.first(), Some(b'0'..=b'9' | b'-')) {
            bytes.push(0x80 | element.len() as u8);
            bytes.extend_from_slice(element);
            bytes.push(element.len() as u8 + 1);
            self.count += 1;
        } else {
            self.push_encoded(&Encoded::new(element));
        }
    }

    /// As [`ListpackBuf::push_int`].
    #[inline]
    pub(super) fn push_int(&mut self, value: i64) {
        match u8::try_from(value) {
            Ok(small @ 0..=127) => {
                self.list.bytes.extend_from_slice(&[small, 1]);
                self.count += 1;
            }
            _ => self.push_encoded(&Encoded::int(value)),
        }
    }

    fn push_encoded(&mut self, entry: &Encoded<'_>) {
        let bytes = &mut self.list.bytes;
        bytes.extend_from_slice(entry.head());
        bytes.extend_from_slice(entry.data);
        bytes.extend_from_slice(entry.tail());
        self.count += 1;
    }
}

impl Drop for Appending<'_> {
    fn drop(&mut self) {
        self.list.bytes.push(END);
        self.list.write_size();
        self.list.add_to_count(self.count);
    }
}

impl std::fmt::Debug for ListpackBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for ListpackBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ListpackBuf {}

impl<'a> IntoIterator for &'a ListpackBuf {
    type Item = Item<'a>;
    type IntoIter = ListpackIter<'a>;

    fn into_iter(self) -> ListpackIter<'a> {
        self.iter()
    }
}

/// How many bytes `element` takes as an entry, its back-length included.
///
/// ```
/// use rdb::encoding::encoded_size;
/// assert_eq!(encoded_size(b"127"), 2);
/// assert_eq!(encoded_size(b"abc"), 5);
/// ```
pub fn encoded_size(element: &[u8]) -> usize {
    Encoded::new(element).len()
}

/// How many bytes an integer takes as an entry, its back-length included.
pub fn encoded_int_size(value: i64) -> usize {
    Encoded::int(value).len()
}

/// An entry ready to be copied into place: encoding (and an integer's value), data, back-length.
struct Encoded<'a> {
    head: [u8; 9],
    head_len: usize,
    data: &'a [u8],
    tail: [u8; 5],
    tail_len: usize,
}

impl<'a> Encoded<'a> {
    #[inline]
    fn new(element: &'a [u8]) -> Self {
        if let Some(value) = parse_canonical_i64(element) {
            return Self::int(value);
        }
        let len = element.len();
        let (head, head_len) = match len {
            0..=63 => ([0x80 | len as u8, 0, 0, 0, 0, 0, 0, 0, 0], 1),
            64..=4095 => {
                let [high, low] = (0xE000 | len as u16).to_be_bytes();
                ([high, low, 0, 0, 0, 0, 0, 0, 0], 2)
            }
            _ => {
                // A longer one is refused as too large before it is written.
                let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
                ([0xF0, a, b, c, d, 0, 0, 0, 0], 5)
            }
        };
        Self::with_tail(head, head_len, element)
    }

    #[inline]
    fn int(value: i64) -> Self {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        let (head, head_len) = match value {
            0..=127 => ([a, 0, 0, 0, 0, 0, 0, 0, 0], 1),
            -4096..=4095 => {
                let [high, low] = (0xC000 | value as u16 & 0x1FFF).to_be_bytes();
                ([high, low, 0, 0, 0, 0, 0, 0, 0], 2)
            }
            -0x8000..=0x7FFF => ([0xF1, a, b, 0, 0, 0, 0, 0, 0], 3),
            -0x80_0000..=0x7F_FFFF => ([0xF2, a, b, c, 0, 0, 0, 0, 0], 4),
            -0x8000_0000..=0x7FFF_FFFF => ([0xF3, a, b, c, d, 0, 0, 0, 0], 5),
            _ => ([0xF4, a, b, c, d, e, f, g, h], 9),
        };
        Self::with_tail(head, head_len, &[])
    }

    #[inline]
    fn with_tail(head: [u8; 9], head_len: usize, data: &'a [u8]) -> Self {
        let size = data.len() + head_len;
        let (tail, tail_len) = if size < 128 { ([0, 0, 0, 0, size as u8], 1) } else { back_length(size) };
        debug_assert_eq!(tail_len, back_length_width(size));
        Self { head, head_len, data, tail, tail_len }
    }

    #[inline]
    fn head(&self) -> &[u8] {
        self.head.get(..self.head_len).unwrap_or_default()
    }

    #[inline]
    fn tail(&self) -> &[u8] {
        self.tail.get(5 - self.tail_len..).unwrap_or_default()
    }

    #[inline]
    fn len(&self) -> usize {
        self.head_len + self.data.len() + self.tail_len
    }
}
