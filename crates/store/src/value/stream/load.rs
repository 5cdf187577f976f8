//! A stream from the parts of a dump.

use std::collections::BTreeMap;

use rdb::encoding::{StreamNode, StreamNodeBuf};
use rdb::{Part, Reject, StreamId, StreamIdmp};

use super::{Group, Stream};

/// Builds a stream from the parts of a dump.
#[derive(Debug, Default, Clone)]
pub struct StreamLoader {
    stream: Stream,
    /// The group being built.
    group: Option<(Box<[u8]>, Group)>,
    /// Deliveries of that group whose consumer is not yet known.
    unowned: BTreeMap<StreamId, (i64, u64)>,
    consumer: Box<[u8]>,
}

impl StreamLoader {
    /// The next part.
    ///
    /// # Errors
    /// A part that contradicts what came before.
    pub fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        match part {
            Part::StreamNode { id, listpack } => {
                // The decoder has checked it.
                self.stream.log.push_node(StreamNodeBuf::from_node(StreamNode::trusted(id, listpack)));
            }
            Part::StreamMeta(meta) => {
                let log = &mut self.stream.log;
                if meta.length != log.len() {
                    return Err(Reject("a stream's length is not that of its nodes"));
                }
                log.last_id = meta.last_id;
                log.max_deleted_id = meta.max_deleted_id;
                log.entries_added = meta.entries_added;
            }
            Part::Group { name, last_id, entries_read } => {
                self.settle()?;
                self.group = Some((name.into(), Group::new(last_id, entries_read)));
            }
            Part::Pending { id, delivery_ms, count } => {
                self.unowned.insert(id, (delivery_ms, count));
            }
            Part::Consumer { name, seen_ms, active_ms } => {
                let Some((_, group)) = &mut self.group else {
                    return Err(Reject("a consumer without a group"));
                };
                if !group.create_consumer(name, seen_ms) {
                    return Err(Reject("a consumer stands twice in its group"));
                }
                group.set_active(name, active_ms);
                self.consumer = name.into();
            }
            Part::ConsumerPending(id) => {
                let Some((_, group)) = &mut self.group else {
                    return Err(Reject("a delivery without a group"));
                };
                let Some((delivery_ms, count)) = self.unowned.remove(&id) else {
                    return Err(Reject("a consumer's entry is not pending in its group"));
                };
                group.assign(id, &self.consumer, delivery_ms, count);
            }
            Part::StreamIid { producer, iid, id } => {
                self.stream.producers.get_or_insert_default().load(producer, iid, id);
            }
            Part::StreamIdmp(figures)
                if figures != StreamIdmp::of_none() || self.stream.producers.is_some() =>
            {
                let producers = self.stream.producers.get_or_insert_default();
                producers.duration_seconds = figures.duration_seconds;
                producers.max_entries = figures.max_entries;
                producers.added = figures.iids_added;
                producers.duplicates = figures.duplicates;
            }
            _ => {}
        }
        Ok(())
    }

    /// Completes the group being built. Deliveries that no consumer owns are dropped: nobody could claim them.
    fn settle(&mut self) -> Result<(), Reject> {
        self.unowned.clear();
        if let Some((name, group)) = self.group.take()
            && !self.stream.groups.create(&name, group)
        {
            return Err(Reject("a group stands twice in its stream"));
        }
        Ok(())
    }

    /// The stream. A group that stood twice was refused before, or is dropped here if it came last.
    #[must_use]
    pub fn finish(mut self) -> Stream {
        let _ = self.settle();
        self.stream
    }
}
