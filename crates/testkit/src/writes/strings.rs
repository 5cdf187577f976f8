//! Strings, counters, bits and HyperLogLogs.

use super::{Pool, Writer};
use crate::batch::{Command, cmd};
use crate::fill::FAR_FUTURE_MS;

impl Writer {
    pub(super) fn string_write(&mut self) -> Command {
        let key = self.key(Pool::Text);
        let value = self.random.value();
        match self.random.below(20) {
            0..8 => self.set(key, value),
            8 => cmd!["SETEX", key, self.random.within(1..=1000), value],
            9 => cmd!["PSETEX", key, self.random.within(1..=1000), value],
            10 => cmd!["SETNX", key, value],
            11 => cmd!["GETSET", key, value],
            12 | 13 => cmd!["APPEND", key, value],
            14 => cmd!["SETRANGE", key, self.random.below(300), value],
            15 => cmd!["MSET", key, value, self.key(Pool::Text), self.random.value()],
            16 => cmd!["MSETNX", key, value, self.key(Pool::Text), self.random.value()],
            17 if self.known.is_6_2() => cmd!["GETDEL", key],
            18 if self.known.is_6_2() => match self.random.below(4) {
                0 => cmd!["GETEX", key, "PERSIST"],
                1 => cmd!["GETEX", key, "PX", self.random.within(1..=1000)],
                2 => cmd!["GETEX", key, "EXAT", FAR_FUTURE_MS / 1000],
                _ => cmd!["GETEX", key],
            },
            _ => cmd!["SET", key, value],
        }
    }

    /// `SET` with each of its options.
    fn set(&mut self, key: String, value: Vec<u8>) -> Command {
        let mut command = cmd!["SET", key, value];
        let condition = match self.random.below(6) {
            0 => Some("NX"),
            1 => Some("XX"),
            _ => None,
        };
        command.extend(condition.map(Vec::from));
        // NX and GET go together since 7.0, GET alone since 6.2.
        let may_get = if condition == Some("NX") { self.known.is_7_0() } else { self.known.is_6_2() };
        if may_get && self.random.one_in(5) {
            command.extend(cmd!["GET"]);
        }
        match self.random.below(10) {
            0 => command.extend(cmd!["EX", self.random.within(1..=1000)]),
            1 => command.extend(cmd!["PX", self.random.within(1..=50)]),
            2 => command.extend(cmd!["KEEPTTL"]),
            3 if self.known.is_6_2() => command.extend(cmd!["EXAT", FAR_FUTURE_MS / 1000 + self.index()]),
            4 if self.known.is_6_2() => command.extend(cmd!["PXAT", FAR_FUTURE_MS + self.index()]),
            _ => {}
        }
        command
    }

    pub(super) fn counter_write(&mut self) -> Command {
        let key = self.key(Pool::Counter);
        match self.random.below(8) {
            0 | 1 => cmd!["INCR", key],
            2 => cmd!["DECR", key],
            3 => cmd!["INCRBY", key, self.random.integer() / 16],
            4 => cmd!["DECRBY", key, self.random.integer() / 16],
            5 => cmd!["INCRBYFLOAT", key, format!("{}.{}", self.index(), self.random.below(1000))],
            6 => cmd!["SET", key, self.random.within(-1000..=1000)],
            _ => cmd!["SET", key, self.index(), "PX", self.random.within(1..=100)],
        }
    }

    pub(super) fn bit_write(&mut self) -> Command {
        let key = self.key(Pool::Bits);
        match self.random.below(6) {
            0..3 => cmd!["SETBIT", key, self.random.below(3000), self.random.below(2)],
            3 => {
                let how = self.random.pick(&["AND", "OR", "XOR", "NOT"]);
                let mut command = cmd!["BITOP", how, key, self.key(Pool::Bits)];
                if how != "NOT" {
                    command.extend(cmd![self.key(Pool::Bits)]);
                }
                command
            }
            _ => {
                let overflow = self.random.pick(&["WRAP", "SAT", "FAIL"]);
                let width = self.random.pick(&["u8", "i5", "u16", "i64", "u63"]);
                let at = format!("#{}", self.random.below(20));
                let command = cmd!["BITFIELD", key, "SET", width, &at, self.random.below(32)];
                [command, cmd!["OVERFLOW", overflow, "INCRBY", width, &at, self.index()]].concat()
            }
        }
    }

    pub(super) fn log_write(&mut self) -> Command {
        match self.random.below(4) {
            0 => cmd!["PFMERGE", self.key(Pool::Log), self.key(Pool::Log), self.key(Pool::Log)],
            _ => self.with_members("PFADD", Pool::Log),
        }
    }
}
