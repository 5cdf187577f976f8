//! Lists, sets, hashes, sorted sets and places.

use super::{Pool, Writer};
use crate::batch::{Command, cmd};
use crate::fill::FAR_FUTURE_MS;

impl Writer {
    pub(super) fn list_write(&mut self) -> Command {
        let key = self.key(Pool::List);
        let end = self.random.pick(&["LEFT", "RIGHT"]);
        match self.random.below(18) {
            0..3 => self.with_members("RPUSH", Pool::List),
            3..6 => self.with_members("LPUSH", Pool::List),
            6 => {
                let name = self.random.pick(&["RPUSHX", "LPUSHX"]);
                self.with_members(name, Pool::List)
            }
            7 => cmd!["LPOP", key],
            8 => cmd!["RPOP", key],
            9 => cmd!["LSET", key, self.index(), self.member()],
            10 => {
                let side = self.random.pick(&["BEFORE", "AFTER"]);
                cmd!["LINSERT", key, side, self.member(), self.member()]
            }
            11 => cmd!["LREM", key, self.random.within(-2..=2), self.member()],
            12 => cmd!["LTRIM", key, self.random.within(0..=5), self.random.within(-5..=60)],
            13 => cmd!["RPOPLPUSH", key, self.key(Pool::List)],
            14 if self.known.is_6_2() => {
                cmd!["LMOVE", key, self.key(Pool::List), end, self.random.pick(&["LEFT", "RIGHT"])]
            }
            15 if self.known.is_6_2() => cmd!["LPOP", key, self.random.below(5)],
            16 if self.known.is_7_0() => cmd!["LMPOP", 2, key, self.key(Pool::List), end, "COUNT", 3],
            // Blocks for ten milliseconds at most, when all are empty.
            _ => match self.random.below(6) {
                0 => cmd!["BLPOP", key, self.key(Pool::List), "0.01"],
                1 if self.known.is_6_2() => cmd!["BLMOVE", key, self.key(Pool::List), end, "LEFT", "0.01"],
                2 => cmd!["BRPOPLPUSH", key, self.key(Pool::List), "0.01"],
                _ => cmd!["RPUSH", key, self.member()],
            },
        }
    }

    pub(super) fn set_write(&mut self) -> Command {
        let key = self.key(Pool::Set);
        match self.random.below(12) {
            0..4 => self.with_members("SADD", Pool::Set),
            4 => {
                // Integers alone, so that some sets stay packed integers.
                let key = format!("{key}:int");
                cmd!["SADD", key, self.index(), self.random.integer(), self.random.below(70_000)]
            }
            5 | 6 => self.with_members("SREM", Pool::Set),
            7 => cmd!["SPOP", key],
            8 => cmd!["SPOP", key, self.random.below(4)],
            9 => cmd!["SMOVE", key, self.key(Pool::Set), self.member()],
            10 => {
                let name = self.random.pick(&["SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE"]);
                cmd![name, key, self.key(Pool::Set), self.key(Pool::Set)]
            }
            _ => match self.random.below(4) {
                0 => cmd!["SORT", self.key(Pool::List), "ALPHA", "STORE", self.key(Pool::List)],
                _ => cmd!["SADD", key, self.member()],
            },
        }
    }

    pub(super) fn hash_write(&mut self) -> Command {
        let key = self.key(Pool::Hash);
        let field = format!("field {}", self.random.below(40));
        match self.random.below(16) {
            0..5 => {
                let mut command = cmd![self.random.pick(&["HSET", "HMSET"]), key];
                for _ in 0..=self.random.below(6) {
                    command.extend(cmd![format!("field {}", self.random.below(150)), self.random.value()]);
                }
                command
            }
            5 => cmd!["HSETNX", key, field, self.random.value()],
            6..8 => cmd!["HDEL", key, field, format!("field {}", self.random.below(150))],
            8..10 => cmd!["HINCRBY", key, format!("count {}", self.random.below(5)), self.index()],
            10 => {
                cmd![
                    "HINCRBYFLOAT",
                    key,
                    format!("float {}", self.random.below(5)),
                    format!("{}.25", self.index())
                ]
            }
            11..15 if self.known.has("HPEXPIRE") => self.field_expiry(key, &field),
            _ => cmd!["HSET", key, field, self.random.below(1000)],
        }
    }

    /// Redis from 7.4 and Valkey from 9.0 agree on these.
    fn field_expiry(&mut self, key: String, field: &str) -> Command {
        let far = FAR_FUTURE_MS + self.index();
        let mut command = match self.random.below(8) {
            0 => cmd!["HPEXPIREAT", key, far],
            1 => cmd!["HEXPIREAT", key, far / 1000],
            2 => cmd!["HPEXPIRE", key, self.random.within(1..=50)],
            3 => cmd!["HEXPIRE", key, self.random.within(1..=1000)],
            4 => cmd!["HPERSIST", key],
            5 if self.known.has("HGETEX") => cmd!["HGETEX", key, "PXAT", far],
            6 if self.known.has("HSETEX") => {
                let mut command = cmd!["HSETEX", key];
                match self.random.below(4) {
                    0 => command.extend(cmd!["KEEPTTL"]),
                    1 => command.extend(cmd!["PX", self.random.within(1..=100)]),
                    2 => command.extend(cmd!["FXX", "PXAT", far]),
                    _ => {}
                }
                command.extend(cmd!["FIELDS", 1, field, self.random.value()]);
                return command;
            }
            7 if self.known.has("HGETDEL") => cmd!["HGETDEL", key],
            _ => cmd!["HPEXPIREAT", key, far, self.random.pick(&["NX", "XX", "GT", "LT"])],
        };
        command.extend(cmd!["FIELDS", 1, field]);
        command
    }

    pub(super) fn sorted_write(&mut self) -> Command {
        let key = self.key(Pool::Sorted);
        let (low, high) = (self.random.within(-500..=0), self.random.within(-500..=500));
        match self.random.below(18) {
            0..5 => self.sorted_add(key),
            5..7 => cmd!["ZINCRBY", key, self.index(), self.member()],
            7..9 => self.with_members("ZREM", Pool::Sorted),
            9 => cmd!["ZPOPMIN", key],
            10 => cmd!["ZPOPMAX", key, self.random.below(4)],
            11 => cmd!["ZREMRANGEBYSCORE", key, low, format!("({high}")],
            12 => cmd!["ZREMRANGEBYRANK", key, self.random.within(0..=20), self.random.within(-20..=5)],
            13 => self.lexical_write(),
            14 => {
                let name = self.random.pick(&["ZUNIONSTORE", "ZINTERSTORE"]);
                let mut command = cmd![name, key, 2, self.key(Pool::Sorted), self.key(Pool::Sorted)];
                if self.random.one_in(2) {
                    command.extend(cmd![
                        "WEIGHTS",
                        2,
                        "0.5",
                        "AGGREGATE",
                        self.random.pick(&["SUM", "MIN", "MAX"])
                    ]);
                }
                command
            }
            15 if self.known.is_6_2() => match self.random.below(2) {
                0 => cmd!["ZDIFFSTORE", key, 2, self.key(Pool::Sorted), self.key(Pool::Sorted)],
                _ => cmd!["ZRANGESTORE", key, self.key(Pool::Sorted), low, high, "BYSCORE", "LIMIT", 0, 20],
            },
            16 if self.known.is_7_0() => cmd!["ZMPOP", 2, key, self.key(Pool::Sorted), "MIN", "COUNT", 2],
            _ => match self.random.below(4) {
                0 => cmd!["BZPOPMIN", key, self.key(Pool::Sorted), "0.01"],
                _ => cmd!["ZADD", key, self.random.score(), self.member()],
            },
        }
    }

    /// Ranges by name are only defined where all scores are equal: elsewhere the answer depends on the random levels
    /// of a skip list, and a real replica differs from its primary. So these keys are kept apart from all others.
    fn lexical_write(&mut self) -> Command {
        let key = format!("w:lexical:{}", self.random.below(5));
        if self.random.one_in(3) {
            return cmd!["ZREMRANGEBYLEX", key, "[member 10", "(member 12"];
        }
        let mut command = cmd!["ZADD", key];
        for _ in 0..10 {
            command.extend(cmd![0, self.member()]);
        }
        command
    }

    fn sorted_add(&mut self, key: String) -> Command {
        let mut command = cmd!["ZADD", key];
        let options: &[&str] = match self.random.below(8) {
            0 => &["NX"],
            1 => &["XX"],
            2 => &["CH"],
            3 => &["XX", "CH"],
            4 if self.known.is_6_2() => &["GT"],
            5 if self.known.is_6_2() => &["LT", "CH"],
            6 => return [command, cmd!["INCR", self.random.score(), self.member()]].concat(),
            _ => &[],
        };
        command.extend(options.iter().map(|option| Vec::from(*option)));
        for _ in 0..=self.random.below(5) {
            command.extend(cmd![self.random.score(), self.member()]);
        }
        command
    }

    pub(super) fn geo_write(&mut self) -> Command {
        let key = self.key(Pool::Geo);
        let longitude = format!("{}.5", self.random.within(-179..=178));
        let latitude = format!("{}.25", self.random.within(-84..=83));
        match self.random.below(4) {
            0 => {
                let target = self.key(Pool::Geo);
                cmd!["GEORADIUS", key, longitude, latitude, 3000, "km", "STORE", target]
            }
            1 if self.known.is_6_2() => {
                let from =
                    cmd!["GEOSEARCHSTORE", key, self.key(Pool::Geo), "FROMLONLAT", longitude, latitude];
                [from, cmd!["BYRADIUS", 5000, "km", "ASC", "COUNT", 10]].concat()
            }
            _ => cmd!["GEOADD", key, longitude, latitude, self.member()],
        }
    }
}
