//! Keys as such: deletion, expiry, names, databases; and scripts.

use super::{Pool, Writer};
use crate::batch::{Command, cmd};
use crate::fill::FAR_FUTURE_MS;

const SCRIPTS: [&str; 5] = [
    "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('INCRBY', KEYS[2], ARGV[2])",
    "for i = 1, tonumber(ARGV[2]) % 7 do redis.call('RPUSH', KEYS[3], ARGV[1] .. i) end return #KEYS",
    "local was = redis.call('GET', KEYS[1]) redis.call('HSET', KEYS[4], 'was', was or 'nothing') return was",
    "local r = redis.pcall('INCR', KEYS[4]) redis.call('SET', KEYS[1], type(r) == 'table' and 'refused' or 'done') \
     return 1",
    "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) else \
     redis.call('DEL', KEYS[3]) end return redis.status_reply('OK')",
];

impl Writer {
    pub(super) fn keyspace_write(&mut self) -> Command {
        let pool = self.random.pick(&Pool::ALL);
        let key = self.key(pool);
        match self.random.below(24) {
            0..4 => {
                let word = self.random.pick(&["DEL", "UNLINK"]);
                // Redis 6.0.9 dies of UNLINK on a stream that has lost its last group (lazyfree.c:62).
                let is_safe = !matches!(pool, Pool::Stream | Pool::Clocked) || self.known.has("GETDEL");
                cmd![if is_safe { word } else { "DEL" }, key, self.key(pool)]
            }
            4..12 => self.expiry(key),
            12..14 => cmd!["PERSIST", key],
            14..16 => cmd!["RENAME", key, self.key(pool)],
            16 => cmd!["RENAMENX", key, self.key(pool)],
            17..20 if self.known.is_6_2() => {
                let mut command = cmd!["COPY", key, self.key(pool)];
                if self.random.one_in(2) {
                    command.extend(cmd!["DB", self.random.below(4)]);
                }
                if self.random.one_in(2) {
                    command.extend(cmd!["REPLACE"]);
                }
                command
            }
            20 | 21 => cmd!["MOVE", key, self.random.below(4)],
            22 if self.random.one_in(20) => cmd!["SWAPDB", self.random.below(4), self.random.below(4)],
            _ => cmd!["TOUCH", key],
        }
    }

    fn expiry(&mut self, key: String) -> Command {
        let far = FAR_FUTURE_MS + self.index();
        let mut command = match self.random.below(8) {
            0 => cmd!["EXPIRE", key, self.random.within(1..=1000)],
            1 => cmd!["PEXPIRE", key, self.random.within(1..=50)],
            2 => cmd!["PEXPIRE", key, self.random.within(1000..=1_000_000)],
            3 => cmd!["EXPIREAT", key, far / 1000],
            4 => cmd!["PEXPIREAT", key, far],
            // In the past: the key goes at once.
            5 if self.random.one_in(3) => cmd!["EXPIREAT", key, 1],
            6 if self.random.one_in(3) => cmd!["EXPIRE", key, -1],
            _ => cmd!["PEXPIREAT", key, far + 1_000_000],
        };
        if self.known.is_7_0() && self.random.one_in(3) {
            command.extend(cmd![self.random.pick(&["NX", "XX", "GT", "LT"])]);
        }
        command
    }

    pub(super) fn script(&mut self) -> Command {
        let script = self.random.pick(&SCRIPTS);
        let keys = [Pool::Text, Pool::Counter, Pool::List, Pool::Hash].map(|pool| self.key(pool));
        let mut command = cmd!["EVAL", script, keys.len()];
        command.extend(keys.map(String::into_bytes));
        command.extend(cmd![self.random.value(), self.random.within(1..=1000)]);
        command
    }
}
