//! A node of a stream: a listpack of entries that share field names (format section 11.2).
//!
//! ```text
//! master: | live | deleted | n | field 1 | ... | field n | 0 |
//! item:   | flags | ms - base.ms | seq - base.seq | value 1 ... value n                  | n + 3  |   flag 2
//!         | flags | ms - base.ms | seq - base.seq | m | field 1 | value 1 ... value m     | 2m + 4 |
//! ```
//!
//! The base id is the node's key in the stream. The number that closes an item is how many elements to walk back to
//! its flags; it is what makes reverse ranges possible.

use super::error::EncodingError;
use super::item::Item;
use super::listpack::{Listpack, ListpackIter, Pos, back_length_width, decode, skip};
use crate::visitor::StreamId;

/// A stream node whose every item was checked, or is [trusted](StreamNode::trusted).
///
/// ```
/// use rdb::{StreamId, encoding::{Item, Listpack, StreamNode}};
/// let blob = b"\x1C\0\0\0\x0A\0\x01\x01\0\x01\x01\x01\x81a\x02\0\x01\x02\x01\0\x01\0\x01\x01\x01\x04\x01\xFF";
/// let node = StreamNode::new(StreamId { ms: 5, seq: 1 }, Listpack::new(blob)?)?;
/// let entry = node.iter().next().unwrap();
/// assert_eq!(entry.id(), StreamId { ms: 5, seq: 1 });
/// assert!(entry.fields().eq([(Item::Str(b"a"), Item::Int(1))]));
/// # Ok::<_, rdb::encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct StreamNode<'a> {
    list: Listpack<'a>,
    base: StreamId,
    live: u64,
    deleted: u64,
    /// How many fields the master entry names, and where the first is.
    fields: usize,
    first_field: usize,
    first_item: usize,
}

pub(super) const FLAG_DELETED: i64 = 1;
pub(super) const FLAG_SAME_FIELDS: i64 = 2;

impl<'a> StreamNode<'a> {
    /// Checks the structure: master entry, every item's counts, live and deleted totals. O(elements). The order of the
    /// ids is not checked; servers do not either.
    ///
    /// # Errors
    /// The first rule that the elements break, and where.
    pub fn new(base: StreamId, list: Listpack<'a>) -> Result<Self, EncodingError> {
        let wrong = |offset: usize| move |rule| EncodingError::StreamItem { offset, rule };
        let node = Self::master(base, list).map_err(wrong(list.first().map_or(0, Pos::offset)))?;
        let (mut at, end) = (node.first_item, list.end().offset());
        let (mut live, mut deleted) = (0_u64, 0_u64);
        while at < end {
            let (entry, next) = node.item(at).map_err(wrong(at))?;
            *(if entry.deleted { &mut deleted } else { &mut live }) += 1;
            at = next;
        }
        if node.live != live {
            return Err(EncodingError::Count { claimed: node.live, actual: live });
        }
        if node.deleted != deleted {
            return Err(EncodingError::Count { claimed: node.deleted, actual: deleted });
        }
        Ok(node)
    }

    /// Takes a list that was checked before, reading only its master entry: O(fields). If it was not, iteration stops
    /// early.
    pub fn trusted(base: StreamId, list: Listpack<'a>) -> Self {
        let end = list.end().offset();
        Self::master(base, list).unwrap_or(Self {
            list,
            base,
            live: 0,
            deleted: 0,
            fields: 0,
            first_field: end,
            first_item: end,
        })
    }

    /// The listpack.
    #[inline]
    pub fn listpack(&self) -> Listpack<'a> {
        self.list
    }

    /// The id that the entries' ids are relative to: the node's key in the stream.
    #[inline]
    pub fn base(&self) -> StreamId {
        self.base
    }

    /// How many live entries there are. O(1).
    #[inline]
    pub fn len(&self) -> u64 {
        self.live
    }

    /// Whether no live entry is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// How many entries are marked as deleted. O(1).
    #[inline]
    pub fn deleted(&self) -> u64 {
        self.deleted
    }

    /// The live entries, from either end.
    #[inline]
    pub fn iter(&self) -> NodeIter<'a> {
        NodeIter { node: *self, front: self.first_item, back: self.list.end().offset(), with_deleted: false }
    }

    /// All entries, deleted ones included, from either end.
    #[inline]
    pub fn iter_with_deleted(&self) -> NodeIter<'a> {
        NodeIter { with_deleted: true, ..self.iter() }
    }

    /// The live entry `id`. O(entries).
    pub fn find(&self, id: StreamId) -> Option<NodeEntry<'a>> {
        self.iter().find(|entry| entry.id == id)
    }

    /// How many fields the master entry names.
    #[inline]
    pub(super) fn master_fields(&self) -> (usize, ListpackIter<'a>) {
        (self.fields, self.list.iter_at(Pos::at(self.first_field)))
    }

    fn master(base: StreamId, list: Listpack<'a>) -> Result<Self, &'static str> {
        let bytes = list.as_bytes();
        let start = list.first().ok_or("there is no master entry")?.offset();
        let (live, at) = unsigned(bytes, start).ok_or("the live count is no count")?;
        let (deleted, at) = unsigned(bytes, at).ok_or("the deleted count is no count")?;
        let (fields, first_field) = unsigned(bytes, at).ok_or("the master's field count is no count")?;
        let end = list.end().offset();
        let at = skip_items(bytes, first_field, fields, end).ok_or("the master's fields are missing")?;
        let (zero, first_item) = integer(bytes, at).ok_or("the master entry does not end")?;
        if zero != 0 {
            return Err("the master entry does not end with 0");
        }
        // There are as many elements in the list, so the count fits.
        let fields = fields as usize;
        Ok(Self { list, base, live, deleted, fields, first_field, first_item })
    }

    /// The item at `at`, and where the next one begins.
    fn item(&self, at: usize) -> Result<(NodeEntry<'a>, usize), &'static str> {
        let (bytes, end) = (self.list.as_bytes(), self.list.end().offset());
        let (flags, next) = integer(bytes, at).ok_or("flags are no integer")?;
        let (ms, next) = integer(bytes, next).ok_or("the milliseconds are no integer")?;
        let (seq, next) = integer(bytes, next).ok_or("the sequence number is no integer")?;
        let same = flags & FLAG_SAME_FIELDS != 0;
        let (fields, values, elements, expected) = if same {
            let fields = self.fields as u64;
            (fields, next, fields, fields.checked_add(3))
        } else {
            let (fields, next) = unsigned(bytes, next).ok_or("the field count is no count")?;
            let elements = fields.checked_mul(2).ok_or("the field count is absurd")?;
            (fields, next, elements, elements.checked_add(4))
        };
        let next = skip_items(bytes, values, elements, end).ok_or("fields or values are missing")?;
        let (count, next) = unsigned(bytes, next).ok_or("the closing count is no count")?;
        if Some(count) != expected {
            return Err("the closing count is wrong");
        }
        let entry = NodeEntry {
            id: StreamId {
                ms: self.base.ms.wrapping_add_signed(ms),
                seq: self.base.seq.wrapping_add_signed(seq),
            },
            deleted: flags & FLAG_DELETED != 0,
            at: Pos::at(at),
            fields: NodeEntryFields {
                names: same.then(|| self.list.iter_at(Pos::at(self.first_field))),
                values: self.list.iter_at(Pos::at(values)),
                left: fields as usize,
            },
        };
        Ok((entry, next))
    }
}

impl<'a> IntoIterator for StreamNode<'a> {
    type Item = NodeEntry<'a>;
    type IntoIter = NodeIter<'a>;

    fn into_iter(self) -> NodeIter<'a> {
        self.iter()
    }
}

/// An entry of a [`StreamNode`].
#[derive(Debug, Clone)]
pub struct NodeEntry<'a> {
    id: StreamId,
    deleted: bool,
    at: Pos,
    fields: NodeEntryFields<'a>,
}

impl<'a> NodeEntry<'a> {
    /// The entry's id.
    #[inline]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Whether it is marked as deleted.
    #[inline]
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Where its item begins in the listpack.
    #[inline]
    pub fn pos(&self) -> Pos {
        self.at
    }

    /// Fields with their values.
    #[inline]
    pub fn fields(&self) -> NodeEntryFields<'a> {
        self.fields.clone()
    }
}

/// Iterator over the fields and values of a [`NodeEntry`].
#[derive(Debug, Clone)]
pub struct NodeEntryFields<'a> {
    /// The master's fields, if the item names none of its own.
    names: Option<ListpackIter<'a>>,
    values: ListpackIter<'a>,
    left: usize,
}

impl<'a> Iterator for NodeEntryFields<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = self.names.as_mut().unwrap_or(&mut self.values).next()?;
        Some((name, self.values.next()?))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for NodeEntryFields<'_> {}
impl std::iter::FusedIterator for NodeEntryFields<'_> {}

/// Iterator over the entries of a [`StreamNode`].
#[derive(Debug, Clone)]
pub struct NodeIter<'a> {
    node: StreamNode<'a>,
    front: usize,
    /// Just behind the last item not yet seen.
    back: usize,
    with_deleted: bool,
}

impl<'a> Iterator for NodeIter<'a> {
    type Item = NodeEntry<'a>;

    #[inline]
    fn next(&mut self) -> Option<NodeEntry<'a>> {
        while self.front < self.back {
            let Ok((entry, next)) = self.node.item(self.front) else {
                self.front = self.back;
                break;
            };
            self.front = next;
            if self.with_deleted || !entry.deleted {
                return Some(entry);
            }
        }
        None
    }
}

impl DoubleEndedIterator for NodeIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        while self.front < self.back {
            let found = self.item_before(self.back);
            self.back = found.as_ref().map_or(self.front, |entry| entry.at.offset());
            let entry = found?;
            if self.with_deleted || !entry.deleted {
                return Some(entry);
            }
        }
        None
    }
}

impl std::iter::FusedIterator for NodeIter<'_> {}

impl<'a> NodeIter<'a> {
    fn item_before(&self, end: usize) -> Option<NodeEntry<'a>> {
        let list = self.node.list;
        let closing = list.prev(Pos::at(end))?;
        let (count, _) = unsigned(list.as_bytes(), closing.offset())?;
        let mut at = closing;
        for _ in 0..count {
            at = list.prev(at)?;
        }
        if at.offset() < self.front {
            return None;
        }
        self.node.item(at.offset()).ok().map(|(entry, _)| entry)
    }
}

/// The integer at `at`, and where the next element begins.
#[inline]
fn integer(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let (item, size) = decode(bytes, at)?;
    Some((item.as_int()?, at.checked_add(size)?.checked_add(back_length_width(size))?))
}

#[inline]
fn unsigned(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let (value, next) = integer(bytes, at)?;
    Some((u64::try_from(value).ok()?, next))
}

/// Skips `count` elements, none of which may begin at or behind `end`. Walks no further than the list.
#[inline]
fn skip_items(bytes: &[u8], mut at: usize, count: u64, end: usize) -> Option<usize> {
    for _ in 0..count {
        at = skip(bytes, at)?;
        if at > end {
            return None;
        }
    }
    Some(at)
}
