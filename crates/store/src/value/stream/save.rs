//! A stream as a dump holds it.

use rdb::{EncodeError, StreamIdmp, StreamMeta, ValueEncoder};

use super::Stream;

impl Stream {
    /// Writes the stream as a dump holds it.
    ///
    /// # Errors
    /// It has producers, and the version cannot say so.
    pub fn save(&self, out: ValueEncoder<'_>) -> Result<(), EncodeError> {
        let mut out = out.stream(self.log.nodes().len());
        for node in self.log.nodes() {
            out.node(node.base(), node.as_node().listpack());
        }
        let mut meta = StreamMeta::default();
        meta.length = self.log.len();
        meta.last_id = self.log.last_id;
        meta.first_id = self.log.first_id();
        meta.max_deleted_id = self.log.max_deleted_id;
        meta.entries_added = self.log.entries_added;
        out.figures(&meta, self.groups.len());
        for (name, group) in self.groups.iter() {
            out.group(name, group.last_id, group.entries_read, group.pending().len());
            for (id, pending) in group.pending() {
                out.pending(*id, pending.delivery_ms, pending.count);
            }
            out.consumers(group.consumer_count());
            for (name, consumer) in group.consumers() {
                out.consumer(name, consumer.seen_ms, consumer.active_ms, consumer.pending().len());
                for id in consumer.pending().keys() {
                    out.owned(*id);
                }
            }
        }
        let Some(producers) = &self.producers else {
            out.producers(&StreamIdmp::of_none(), 0)?;
            out.counters(&StreamIdmp::of_none());
            return Ok(());
        };
        let mut figures = StreamIdmp::default();
        figures.duration_seconds = producers.duration_seconds;
        figures.max_entries = producers.max_entries;
        figures.iids_added = producers.added;
        figures.duplicates = producers.duplicates;
        out.producers(&figures, producers.len())?;
        for (producer, names) in producers.iter() {
            out.producer(producer, names.len());
            for (name, id) in names {
                out.iid(name, id);
            }
        }
        out.counters(&figures);
        Ok(())
    }
}
