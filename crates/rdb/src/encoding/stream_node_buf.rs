//! A stream node that is built and changed in place, to the byte as servers do.

use super::error::Full;
use super::listpack::Pos;
use super::listpack_buf::ListpackBuf;
use super::stream_node::{FLAG_DELETED, FLAG_SAME_FIELDS, StreamNode};
use crate::visitor::StreamId;

/// An owned stream node: base id and listpack.
///
/// ```
/// use rdb::{StreamId, encoding::StreamNodeBuf};
/// let id = |seq| StreamId { ms: 5, seq };
/// let mut node = StreamNodeBuf::new(id(1), [(&b"a"[..], &b"1"[..])].into_iter())?;
/// node.append(id(2), [(&b"a"[..], &b"2"[..])].into_iter())?;
/// assert!(node.delete(id(1)));
/// assert_eq!(node.as_node().iter().map(|entry| entry.id()).collect::<Vec<_>>(), [id(2)]);
/// # Ok::<_, rdb::encoding::Full>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamNodeBuf {
    base: StreamId,
    list: ListpackBuf,
}

/// More than the integers of a master entry or an item can take.
const INTEGERS_MAX: usize = 5 * 11;
/// More than an element takes beside its bytes.
const AROUND_ELEMENT: usize = 5 + 5;

impl StreamNodeBuf {
    /// A node with its first entry, whose id becomes the base and whose fields the master's.
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    pub fn new<'f, F>(id: StreamId, fields: F) -> Result<Self, Full>
    where
        F: Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    {
        let mut list = ListpackBuf::new();
        list.push_int(0)?;
        list.push_int(0)?;
        list.push_int(fields.clone().count() as i64)?;
        for (field, _) in fields.clone() {
            list.push(field)?;
        }
        list.push_int(0)?;
        let mut node = Self { base: id, list };
        node.append(id, fields)?;
        Ok(node)
    }

    /// A copy of a checked node.
    pub fn from_node(node: StreamNode<'_>) -> Self {
        Self { base: node.base(), list: ListpackBuf::from_listpack(node.listpack()) }
    }

    /// The node, for reading. O(fields of the master entry).
    #[inline]
    pub fn as_node(&self) -> StreamNode<'_> {
        StreamNode::trusted(self.base, self.list.as_listpack())
    }

    /// The id that the entries' ids are relative to: the node's key in the stream.
    #[inline]
    pub fn base(&self) -> StreamId {
        self.base
    }

    /// The listpack's blob.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.list.as_bytes()
    }

    /// Size of the listpack's blob in bytes.
    #[inline]
    pub fn bytes_len(&self) -> usize {
        self.list.bytes_len()
    }

    /// Bytes on the heap, spare room included.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.list.heap_bytes()
    }

    /// How many live entries there are.
    #[inline]
    pub fn len(&self) -> u64 {
        self.as_node().len()
    }

    /// Whether no live entry is left; servers then drop the node.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_node().is_empty()
    }

    /// Whether a server would put an entry whose fields and values have `payload_bytes` in all into this node rather
    /// than begin a new one, given `stream-node-max-bytes` and `stream-node-max-entries` (0: no limit). Deleted
    /// entries count.
    pub fn takes(&self, payload_bytes: usize, max_bytes: usize, max_entries: u64) -> bool {
        let max_bytes = if max_bytes == 0 { ListpackBuf::MAX_BYTES } else { max_bytes };
        self.bytes_len().saturating_add(payload_bytes) < max_bytes
            && (max_entries == 0 || self.entries() < max_entries)
    }

    /// Entries, deleted ones included.
    fn entries(&self) -> u64 {
        let list = self.list.as_listpack();
        list.iter()
            .take(2)
            .filter_map(|count| u64::try_from(count.as_int()?).ok())
            .fold(0, u64::saturating_add)
    }

    /// Appends an entry; `id` is to be above all others (unchecked). Field names are left out if they are the
    /// master's.
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB; the node is then as before.
    pub fn append<'f, F>(&mut self, id: StreamId, fields: F) -> Result<(), Full>
    where
        F: Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    {
        let node = self.as_node();
        let live = node.len();
        let (master, mut names) = node.master_fields();
        let (mut count, mut room) = (0_usize, INTEGERS_MAX);
        let mut same = true;
        for (field, value) in fields.clone() {
            count += 1;
            same = same && count <= master && names.next().is_some_and(|name| name.eq_bytes(field));
            for element in [field, value] {
                room = room.saturating_add(element.len()).saturating_add(AROUND_ELEMENT);
            }
        }
        let same = same && count == master;
        let mut item = self.list.append(room)?;
        item.push_int(if same { FLAG_SAME_FIELDS } else { 0 });
        item.push_int(id.ms.wrapping_sub(self.base.ms).cast_signed());
        item.push_int(id.seq.wrapping_sub(self.base.seq).cast_signed());
        if !same {
            item.push_int(count as i64);
        }
        for (field, value) in fields {
            if !same {
                item.push(field);
            }
            item.push(value);
        }
        item.push_int(if same { count + 3 } else { 2 * count + 4 } as i64);
        drop(item);
        self.write_counts(live.saturating_add(1), None);
        Ok(())
    }

    /// Marks the live entry `id` as deleted; false if there is none. O(entries).
    pub fn delete(&mut self, id: StreamId) -> bool {
        match self.as_node().find(id).map(|entry| entry.pos()) {
            Some(at) => {
                self.delete_at(at);
                true
            }
            None => false,
        }
    }

    /// Marks up to `n` live entries as deleted, oldest first, and answers how many: what an exact XTRIM does to the
    /// node that it may not drop whole.
    pub fn delete_oldest(&mut self, n: u64) -> u64 {
        let mut done = 0;
        while done < n {
            let Some(at) = self.as_node().iter().next().map(|entry| entry.pos()) else { break };
            self.delete_at(at);
            done += 1;
        }
        done
    }

    /// Gives spare room back.
    pub fn shrink(&mut self) {
        self.list.shrink();
    }

    fn delete_at(&mut self, at: Pos) {
        let node = self.as_node();
        let (live, deleted) = (node.len(), node.deleted());
        let flags = node.listpack().at(at).and_then(|item| item.as_int()).unwrap_or_default();
        // Flags and counts are single integers: they grow by a byte at most.
        if self.list.replace_int(at, flags | FLAG_DELETED).is_ok() {
            self.write_counts(live.saturating_sub(1), Some(deleted.saturating_add(1)));
        }
    }

    fn write_counts(&mut self, live: u64, deleted: Option<u64>) {
        let Some(at) = self.list.as_listpack().first() else { return };
        // Entries take bytes, so counts are far below i64::MAX, and room was left for them to widen.
        let _ = self.list.replace_int(at, live.cast_signed());
        if let (Some(deleted), Some(at)) = (deleted, self.list.as_listpack().next(at)) {
            let _ = self.list.replace_int(at, deleted.cast_signed());
        }
    }
}
