//! `StreamNodeBuf` and a vector of entries. Property tests and fuzzing share this.

use rdb::StreamId;
use rdb::encoding::{Listpack, StreamNode, StreamNodeBuf, grammar};

/// What to do, the step to the next id or the entry to delete, and fields with values.
pub(crate) type Op = (u8, u16, Vec<(Vec<u8>, Vec<u8>)>);

/// Applies each operation to both sides and compares all that can be seen.
pub(crate) fn run(base: StreamId, ops: &[Op]) {
    let mut id = base;
    let Some((_, _, first)) = ops.first() else { return };
    let mut node = StreamNodeBuf::new(id, pairs(first)).unwrap();
    let mut model = vec![entry(id, first)];
    for (kind, step, fields) in ops {
        match kind % 4 {
            0 | 1 => {
                id = StreamId {
                    ms: id.ms.wrapping_add(u64::from(step >> 8)),
                    seq: id.seq.wrapping_add(u64::from(step & 0xFF)),
                };
                // Every other entry has the master's fields.
                let fields = if kind & 4 == 0 {
                    let values =
                        fields.iter().map(|(_, value)| value.clone()).chain(std::iter::repeat(b"9".to_vec()));
                    first.iter().map(|(field, _)| field.clone()).zip(values).collect()
                } else {
                    fields.clone()
                };
                node.append(id, pairs(&fields)).unwrap();
                model.push(entry(id, &fields));
            }
            2 => {
                let at = usize::from(*step) % model.len();
                let wanted = model[at].id;
                let found = model.iter_mut().find(|entry| entry.id == wanted && !entry.deleted);
                assert_eq!(node.delete(wanted), found.is_some());
                if let Some(entry) = found {
                    entry.deleted = true;
                }
            }
            _ => {
                let n = u64::from(step % 3);
                let mut done = 0;
                for entry in model.iter_mut().filter(|entry| !entry.deleted).take(n as usize) {
                    entry.deleted = true;
                    done += 1;
                }
                assert_eq!(node.delete_oldest(n), done);
            }
        }
        let view = StreamNode::new(base, Listpack::new(node.as_bytes()).unwrap()).unwrap();
        assert_eq!(grammar::stream_node(base, node.as_bytes()).unwrap(), model);
        let live = model.iter().filter(|entry| !entry.deleted);
        assert!(view.iter().map(|entry| entry.id()).eq(live.clone().map(|entry| entry.id)));
        assert!(
            node.as_node().iter().rev().map(|entry| entry.id()).eq(live.clone().rev().map(|entry| entry.id))
        );
        assert_eq!((node.len(), node.is_empty()), (live.clone().count() as u64, live.count() == 0));
    }
}

fn pairs(fields: &[(Vec<u8>, Vec<u8>)]) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    fields.iter().map(|(field, value)| (&field[..], &value[..]))
}

fn entry(id: StreamId, fields: &[(Vec<u8>, Vec<u8>)]) -> grammar::NodeItem {
    grammar::NodeItem { id, deleted: false, fields: fields.to_vec() }
}
