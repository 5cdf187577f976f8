//! A stream as a dump holds it.

use rdb::{StreamMeta, ValueEncoder};

use super::Stream;

impl Stream {
    /// Writes the stream as a dump holds it.
    pub fn save(&self, out: ValueEncoder<'_>) {
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
                for id in consumer.pending() {
                    out.owned(*id);
                }
            }
        }
    }
}
