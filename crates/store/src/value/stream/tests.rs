use super::*;
use crate::limits::Limits;

fn id(ms: u64) -> StreamId {
    StreamId { ms, seq: 0 }
}

fn filled(n: u64, a_node: i64) -> (Stream, Limits) {
    let limits = Limits::default();
    assert!(limits.set("stream-node-max-entries", a_node));
    let mut stream = Stream::default();
    for ms in 1..=n {
        stream.log.append(id(ms), [(&b"f"[..], &b"v"[..])].into_iter(), &limits).unwrap();
    }
    (stream, limits)
}

fn ids<'a>(entries: impl Iterator<Item = rdb::encoding::NodeEntry<'a>>) -> Vec<u64> {
    entries.map(|entry| entry.id().ms).collect()
}

#[test]
fn ranges_in_both_directions_cross_nodes_and_skip_the_deleted() {
    let (mut stream, _) = filled(10, 3);
    assert!(stream.log.delete(id(5)) && !stream.log.delete(id(5)));
    assert_eq!(ids(stream.log.range(id(3), id(8))), [3, 4, 6, 7, 8]);
    assert_eq!(ids(stream.log.range_reversed(id(3), id(8))), [8, 7, 6, 4, 3]);
    assert_eq!(ids(stream.log.range(id(8), id(3))), []);
    assert_eq!(ids(stream.log.range_reversed(id(8), id(3))), []);
    assert_eq!(stream.log.max_deleted_id, id(5));
}

#[test]
fn approximate_trimming_drops_whole_nodes_only() {
    let (mut stream, _) = filled(10, 3);
    assert_eq!(stream.log.trim(Trim::MaxLen(5), false, 0), 3);
    assert_eq!(stream.log.trim(Trim::MaxLen(5), true, 0), 2);
    assert_eq!(ids(stream.log.iter()), [6, 7, 8, 9, 10]);
    assert_eq!(stream.log.trim(Trim::MinId(id(10)), false, 2), 1);
    assert_eq!(stream.log.first_id(), id(7));
    assert_eq!(stream.log.trim(Trim::MaxLen(0), true, 0), 4);
    assert_eq!((stream.log.len(), stream.log.allocated(), stream.log.last_id), (0, 0, id(10)));
}

#[test]
fn a_pending_entry_has_one_consumer_and_the_accounts_return_to_zero() {
    let (mut stream, _) = filled(3, 10);
    assert!(stream.groups.create(b"g", Group::new(MIN_ID, None)));
    stream.groups.edit(b"g", |group| {
        assert!(group.create_consumer(b"a", 1) && group.create_consumer(b"b", 1));
        group.assign(id(1), b"a", 1, 1);
        group.assign(id(1), b"b", 2, 2);
        group.assign(id(2), b"a", 2, 1);
        assert_eq!(group.consumer(b"a").unwrap().pending().len(), 1);
        assert!(group.acknowledge(id(1)) && !group.acknowledge(id(1)));
        assert_eq!(group.delete_consumer(b"a"), Some(1));
        assert!(group.pending().is_empty());
    });
    assert!(stream.groups.destroy(b"g"));
    assert_eq!(stream.groups.allocated(), 0);
}

#[test]
fn what_is_saved_loads_as_it_was() {
    struct Into(StreamLoader);
    impl rdb::Visitor for Into {
        fn entry(&mut self, _: &[u8], _: &rdb::EntryMeta) -> Result<rdb::Want, rdb::Reject> {
            Ok(rdb::Want::Packed)
        }
        fn part(&mut self, part: rdb::Part<'_>) -> Result<(), rdb::Reject> {
            self.0.part(part)
        }
    }
    let (mut stream, _) = filled(10, 3);
    stream.log.delete(id(4));
    stream.groups.create(b"g", Group::new(id(7), Some(7)));
    stream.groups.edit(b"g", |group| {
        group.create_consumer(b"a", 1);
        group.create_consumer(b"idle", 5);
        group.assign(id(1), b"a", 9, 3);
    });
    stream.producers.get_or_insert_default().record(b"p", b"first", id(5));
    stream.producers.get_or_insert_default().record(b"p", b"second", id(6));
    stream.producers.get_or_insert_default().record(b"q", b"first", id(7));
    let save_as = |stream: &Stream, version| rdb::payload::encode(version, |out| stream.save(out));
    let save = |stream: &Stream| save_as(stream, rdb::Version::REDIS_13).unwrap();
    assert_eq!(save_as(&stream, rdb::Version::REDIS_12), Err(rdb::EncodeError::Producers));
    let payload = save(&stream);
    let mut visitor = Into(StreamLoader::default());
    rdb::payload::decode(&payload, rdb::payload::Policy::default(), &mut visitor).unwrap();
    let loaded = visitor.0.finish();
    assert_eq!(save(&loaded), payload);
    assert_eq!(loaded.groups.allocated(), stream.groups.allocated());
    assert_eq!(loaded.producers.unwrap().find(b"q", b"first"), Some(id(7)));
    assert_eq!(ids(loaded.log.iter()), ids(stream.log.iter()));
}
