//! A data set of every type and encoding, the same from the same seed.
//!
//! First the catalogue: each encoding at its limits, a few keys of each, functions, keys in several databases. Then a
//! crowd of everyday keys up to the wanted number.

mod catalogue;

use crate::batch::{Batch, Command, cmd, shown};
use crate::known::Known;
use crate::random::Random;
use crate::{Client, Reply};

/// 2100-01-01. Expiry times are absolute and far, so that the data set is the same whenever it is made.
pub(crate) const FAR_FUTURE_MS: i64 = 4_102_444_800_000;
/// Keys of the crowd go to one database for so many in a row.
const RUN: usize = 500;

/// Fills a server with `count` keys of every type and encoding it knows, and returns how many there are then.
///
/// The catalogue of encodings (some 150 keys) is always written whole, so a smaller `count` gives more than asked.
/// Equal seeds and counts give equal data sets on servers of one version, but for the times at which consumers of
/// streams were last seen. A million keys take half a minute. The connection is left in database 0.
///
/// # Panics
/// When the server refuses a command or the connection fails.
#[track_caller]
pub fn fill_every_type(client: &mut Client, seed: u64, count: usize) -> usize {
    let known = Known::of(client);
    let mut random = Random::new(seed);
    client.call(&["SELECT", "0"]).ok();
    let mut batch = Batch::new(client, |command: &Command, reply: &Reply| {
        assert!(!reply.is_error(), "fill: {} gave {reply:?}", shown(command));
    });
    let mut written = catalogue::write(&mut |command| batch.push(command), &known, &mut random);
    let mut crowd = Crowd { random, known };
    let mut index = 0;
    while written < count {
        if index % RUN == 0 {
            // Every tenth run goes to another database than 0.
            let run = index / RUN;
            let db = if run % 10 == 9 { 1 + (run / 10) % 15 } else { 0 };
            batch.push(cmd!["SELECT", db]);
        }
        crowd.key(index, &mut |command| batch.push(command));
        index += 1;
        written += 1;
    }
    batch.push(cmd!["SELECT", 0]);
    batch.flush();
    written
}

/// The everyday keys.
struct Crowd {
    random: Random,
    known: Known,
}

impl Crowd {
    fn key(&mut self, index: usize, push: &mut dyn FnMut(Command)) {
        let key = self.name(index);
        match self.random.below(100) {
            0..52 => push(cmd!["SET", &key, self.random.value()]),
            52..66 => self.hash(&key, push),
            66..75 => {
                let end = self.random.pick(&["RPUSH", "LPUSH"]);
                let mut command = cmd![end, &key];
                command.extend((0..self.size()).map(|_| self.random.value()));
                push(command);
            }
            75..84 => {
                let mut command = cmd!["SADD", &key];
                let numbers = self.random.one_in(2);
                for _ in 0..self.size() {
                    command.push(if numbers {
                        self.random.integer().to_string().into_bytes()
                    } else {
                        self.random.value()
                    });
                }
                push(command);
            }
            84..93 => {
                let mut command = cmd!["ZADD", &key];
                for _ in 0..self.size() {
                    command.extend(cmd![self.random.score(), self.random.value()]);
                }
                push(command);
            }
            93..96 => self.stream(&key, push),
            96 => {
                for _ in 0..3 {
                    push(cmd!["SETBIT", &key, self.random.below(4000), 1]);
                }
            }
            97 => {
                let mut command = cmd!["PFADD", &key];
                command.extend((0..self.size()).map(|_| self.random.value()));
                push(command);
            }
            98 => {
                let mut command = cmd!["GEOADD", &key];
                for place in 0..self.size() {
                    let longitude = format!("{}.5", self.random.within(-179..=178));
                    let latitude = format!("{}.25", self.random.within(-84..=83));
                    command.extend(cmd![longitude, latitude, format!("place {place}")]);
                }
                push(command);
            }
            _ => push(cmd!["SETRANGE", &key, self.random.below(100), self.random.text(20)]),
        }
        if self.random.one_in(5) {
            push(cmd!["PEXPIREAT", &key, FAR_FUTURE_MS + self.random.within(0..=1_000_000_000)]);
        }
    }

    /// Distinct for distinct indices: the index stands in it, once, in decimal.
    fn name(&mut self, index: usize) -> Vec<u8> {
        match self.random.below(8) {
            0 => cmd![index].concat(),
            1 => [b"bin:\x00\r\n\xff:".as_slice(), index.to_string().as_bytes()].concat(),
            2 => {
                let len = self.random.below(120);
                [b"long:".as_slice(), &self.random.text(len), b":", index.to_string().as_bytes()].concat()
            }
            3 => format!("{{tag{}}}:{index}", index % 97).into_bytes(),
            _ => format!("user:{index}:profile").into_bytes(),
        }
    }

    /// Mostly small; one in 400 is beyond every packed encoding.
    fn size(&mut self) -> usize {
        if self.random.one_in(400) { 513 + self.random.below(200) } else { 1 + self.random.below(12) }
    }

    fn hash(&mut self, key: &[u8], push: &mut dyn FnMut(Command)) {
        let size = self.size();
        let mut command = cmd!["HSET", key];
        for field in 0..size {
            command.extend(cmd![format!("field{field}"), self.random.value()]);
        }
        push(command);
        if self.known.has("HPEXPIREAT") && self.random.one_in(4) {
            let at = FAR_FUTURE_MS + self.random.within(0..=1_000_000);
            let field = format!("field{}", self.random.below(size));
            push(cmd!["HPEXPIREAT", key, at, "FIELDS", 1, field]);
        }
    }

    fn stream(&mut self, key: &[u8], push: &mut dyn FnMut(Command)) {
        let size = self.size();
        let mut ms = 1_700_000_000_000 + self.random.within(0..=1_000_000);
        let mut ids = Vec::new();
        for seq in 0..size {
            ms += self.random.within(0..=3);
            ids.push(format!("{ms}-{seq}"));
            push(cmd!["XADD", key, &ids[seq], "temperature", self.random.value(), "unit", "K"]);
        }
        if self.random.one_in(3) {
            push(cmd!["XDEL", key, &ids[self.random.below(size)]]);
        }
        if self.random.one_in(2) {
            push(cmd!["XGROUP", "CREATE", key, "workers", "0"]);
            let count = 1 + self.random.below(size);
            push(cmd!["XREADGROUP", "GROUP", "workers", "anna", "COUNT", count, "STREAMS", key, ">"]);
            push(cmd!["XACK", key, "workers", &ids[0]]);
        }
    }
}
