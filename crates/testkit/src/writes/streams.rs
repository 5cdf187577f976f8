//! Streams with groups.
//!
//! Ids of the pool `stream` are given by us and only grow, so that claims and acknowledgements often meet an entry;
//! those of the pool `clocked` are the server's.

use super::{Pool, Writer};
use crate::Client;
use crate::batch::{Command, cmd};

/// Size of the pool.
pub(super) const STREAMS: usize = 10;
/// Ids remembered for claims.
const REMEMBERED: usize = 300;
const GROUPS: [&str; 3] = ["alpha", "beta", "gamma"];
const CONSUMERS: [&str; 4] = ["anna", "bert", "carl", "dora"];

/// The milliseconds of an id that is beyond every stream of the pool in every database.
pub(super) fn first_free_id(client: &mut Client) -> u64 {
    let mut free = 1;
    for db in 0..4 {
        client.call(&["SELECT", &db.to_string()]).ok();
        let ask = |n: usize| vec!["XINFO".to_owned(), "STREAM".to_owned(), format!("w:stream:{n}")];
        for reply in client.pipeline(&(0..STREAMS).map(ask).collect::<Vec<_>>()) {
            let last = reply.field("last-generated-id").map(|id| id.text()).unwrap_or_default();
            let ms: u64 = last.split('-').next().and_then(|ms| ms.parse().ok()).unwrap_or(0);
            free = free.max(ms.saturating_add(1));
        }
    }
    free
}

impl Writer {
    pub(super) fn stream_write(&mut self) -> Command {
        let (group, consumer) = (self.random.pick(&GROUPS), self.random.pick(&CONSUMERS));
        let pool = if self.random.one_in(4) { Pool::Clocked } else { Pool::Stream };
        let key = self.key(pool);
        match self.random.below(24) {
            0..9 => self.entry(pool, key),
            9 => match self.remembered() {
                (key, ids) if self.random.one_in(2) => [cmd!["XDEL", key], ids].concat(),
                _ => self.trim(key),
            },
            10 | 11 => {
                let from = self.random.pick(&["0", "$"]);
                cmd!["XGROUP", "CREATE", key, group, from, "MKSTREAM"]
            }
            12..16 => {
                let mut command =
                    cmd!["XREADGROUP", "GROUP", group, consumer, "COUNT", self.random.below(5) + 1];
                if self.random.one_in(8) {
                    command.extend(cmd!["NOACK"]);
                }
                [command, cmd!["STREAMS", key, ">"]].concat()
            }
            16..19 => {
                let (key, ids) = self.remembered();
                [cmd!["XACK", key, group], ids].concat()
            }
            19 => {
                let (key, ids) = self.remembered();
                let command = [cmd!["XCLAIM", key, group, consumer, 0], ids].concat();
                let options: &[&str] = match self.random.below(5) {
                    0 => &["IDLE", "5000"],
                    1 => &["TIME", "1700000000000", "RETRYCOUNT", "3"],
                    2 => &["FORCE", "JUSTID"],
                    3 => &["JUSTID"],
                    _ => &[],
                };
                [command, options.iter().map(|word| Vec::from(*word)).collect()].concat()
            }
            20 if self.known.is_6_2() => cmd!["XAUTOCLAIM", key, group, consumer, 0, "0", "COUNT", 3],
            21 => self.group_command(key, group, consumer),
            22 if self.random.one_in(4) => {
                self.next_id += 1;
                cmd!["XSETID", self.key(Pool::Stream), format!("{}-5", self.next_id)]
            }
            _ => self.entry(pool, key),
        }
    }

    fn entry(&mut self, pool: Pool, key: String) -> Command {
        let mut command = cmd!["XADD", &key];
        if self.known.is_6_2() && self.random.one_in(10) {
            command.extend(cmd!["NOMKSTREAM"]);
        }
        match self.random.below(12) {
            0 => command.extend(cmd!["MAXLEN", self.random.below(200)]),
            1 => command.extend(cmd!["MAXLEN", "~", self.random.below(200)]),
            2 if self.known.is_6_2() => {
                command.extend(cmd!["MINID", "~", self.next_id.saturating_sub(500)]);
            }
            _ => {}
        }
        if matches!(pool, Pool::Clocked) {
            command.extend(cmd!["*"]);
        } else {
            self.next_id += u64::from(self.random.one_in(3));
            // Full ids most of the time; the sequence is left to the server where it can be.
            if self.known.is_7_0() && self.random.one_in(6) {
                command.extend(cmd![format!("{}-*", self.next_id)]);
            } else {
                self.next_id += 1;
                let id = format!("{}-{}", self.next_id, self.random.below(3));
                if self.ids.len() >= REMEMBERED {
                    self.ids.remove(0);
                }
                self.ids.push((key, id.clone()));
                command.extend(cmd![id]);
            }
        }
        for _ in 0..=self.random.below(3) {
            command.extend(cmd![self.random.pick(&["job", "state", "temperature"]), self.random.value()]);
        }
        command
    }

    fn trim(&mut self, key: String) -> Command {
        match self.random.below(4) {
            0 => cmd!["XTRIM", key, "MAXLEN", self.random.below(100)],
            1 => cmd!["XTRIM", key, "MAXLEN", "~", self.random.below(100)],
            2 if self.known.is_6_2() => {
                cmd!["XTRIM", key, "MINID", self.next_id.saturating_sub(self.random.next() % 500)]
            }
            _ => cmd!["XTRIM", key, "MAXLEN", "=", 150],
        }
    }

    fn group_command(&mut self, key: String, group: &str, consumer: &str) -> Command {
        match self.random.below(5) {
            0 => cmd!["XGROUP", "DELCONSUMER", key, group, consumer],
            1 if self.random.one_in(3) => cmd!["XGROUP", "DESTROY", key, group],
            2 => cmd!["XGROUP", "SETID", key, group, self.random.pick(&["0", "$"])],
            3 if self.known.is_6_2() => cmd!["XGROUP", "CREATECONSUMER", key, group, consumer],
            _ => cmd!["XGROUP", "CREATE", key, group, "0", "MKSTREAM"],
        }
    }

    /// A stream and one to three ids that were added to streams lately.
    fn remembered(&mut self) -> (String, Vec<Vec<u8>>) {
        if self.ids.is_empty() {
            return (self.key(Pool::Stream), cmd!["1-1"]);
        }
        let at = self.random.below(self.ids.len());
        let key = self.ids[at].0.clone();
        let near = self.ids.iter().skip(at).filter(|(stream, _)| *stream == key);
        let ids: Vec<Vec<u8>> = near.take(3).map(|(_, id)| id.clone().into_bytes()).collect();
        (key, ids)
    }
}
