//! Each encoding at its limits, by name.
//!
//! Limits are those of the servers' default settings: 128 entries or 64 bytes (listpack hash, set, zset; 512 entries
//! for hashes since Redis 7.0 are the same setting), 512 integers (intset), 8 KiB a quicklist node, 100 entries or
//! 4 KiB a stream node. One below, at, and one above each are written.

use super::FAR_FUTURE_MS;
use crate::batch::{Command, cmd};
use crate::known::Known;
use crate::random::Random;

const SIZES: [usize; 9] = [1, 2, 127, 128, 129, 511, 512, 513, 1500];
/// Integers at the edges of every packed width.
const EDGES: [i64; 26] = [
    0,
    1,
    -1,
    12,
    13,
    127,
    128,
    -128,
    -129,
    4095,
    4096,
    -4096,
    -4097,
    32767,
    32768,
    -32768,
    -32769,
    8_388_607,
    8_388_608,
    -8_388_609,
    i32::MAX as i64,
    i32::MAX as i64 + 1,
    i32::MIN as i64,
    i32::MIN as i64 - 1,
    i64::MAX,
    i64::MIN,
];
/// String lengths around embedding (44), packed lengths (63, 64), LZF (20) and length prefixes (16383, 16384).
const LENGTHS: [usize; 16] = [0, 1, 11, 12, 19, 20, 21, 44, 45, 63, 64, 65, 512, 16_383, 16_384, 1 << 20];

/// Writes the catalogue and returns the number of keys.
pub(super) fn write(push: &mut dyn FnMut(Command), known: &Known, random: &mut Random) -> usize {
    let mut writer = Writer { push, known, random, keys: 0 };
    writer.strings();
    writer.lists();
    writer.sets();
    writer.sorted_sets();
    writer.hashes();
    writer.streams();
    writer.special();
    writer.databases();
    writer.functions();
    writer.keys
}

struct Writer<'a> {
    push: &'a mut dyn FnMut(Command),
    known: &'a Known,
    random: &'a mut Random,
    keys: usize,
}

impl Writer<'_> {
    fn push(&mut self, command: Command) {
        (self.push)(command);
    }

    fn name(&mut self, name: &str) -> String {
        self.keys += 1;
        format!("spec:{name}")
    }

    fn strings(&mut self) {
        for edge in EDGES {
            let key = self.name(&format!("string:int:{edge}"));
            self.push(cmd!["SET", key, edge]);
        }
        for len in LENGTHS {
            let key = self.name(&format!("string:text:{len}"));
            let value = self.random.text(len);
            self.push(cmd!["SET", key, value]);
            let key = self.name(&format!("string:lzf:{len}"));
            self.push(cmd!["SET", key, vec![b'a'; len]]);
        }
        for (name, value) in [
            ("big", &b"9223372036854775808"[..]),
            ("padded", b"007"),
            ("plus", b"+1"),
            ("space", b" 1"),
            ("float", b"3.14159"),
            ("binary", b"\x00\xff\r\n$5\r\n"),
        ] {
            let key = self.name(&format!("string:{name}"));
            self.push(cmd!["SET", key, value]);
        }
        let key = self.name("string:appended");
        self.push(cmd!["APPEND", &key, "12"]);
        self.push(cmd!["APPEND", &key, "34"]);
        let key = self.name("string:expires");
        self.push(cmd!["SET", &key, "v"]);
        self.push(cmd!["PEXPIREAT", &key, FAR_FUTURE_MS]);
        // An empty key is a key.
        self.keys += 1;
        self.push(cmd!["SET", "", "empty key"]);
    }

    fn lists(&mut self) {
        for size in SIZES {
            let key = self.name(&format!("list:{size}"));
            let mut command = cmd!["RPUSH", key];
            command.extend((0..size).map(|_| self.random.value()));
            self.push(command);
        }
        let key = self.name("list:integers");
        let mut command = cmd!["RPUSH", key];
        command.extend(EDGES.map(|edge| edge.to_string().into_bytes()));
        self.push(command);
        for len in LENGTHS {
            let key = self.name(&format!("list:one:{len}"));
            let value = self.random.text(len);
            self.push(cmd!["RPUSH", key, value, "after", ""]);
        }
        let key = self.name("list:compressible");
        let mut command = cmd!["RPUSH", key];
        command.extend((0..400).map(|_| vec![b'z'; 100]));
        self.push(command);
    }

    fn sets(&mut self) {
        for (width, base) in [("16", 0_i64), ("32", 1 << 20), ("64", 1 << 40)] {
            for size in SIZES {
                let key = self.name(&format!("set:int{width}:{size}"));
                let mut command = cmd!["SADD", &key];
                command.extend((0_i64..).take(size).map(|n| (base + n).to_string().into_bytes()));
                self.push(command);
            }
        }
        let key = self.name("set:edges");
        let mut command = cmd!["SADD", key];
        command.extend(EDGES.map(|edge| edge.to_string().into_bytes()));
        self.push(command);
        for size in SIZES {
            let key = self.name(&format!("set:text:{size}"));
            let mut command = cmd!["SADD", key];
            command.extend((0..size).map(|n| format!("member {n}").into_bytes()));
            self.push(command);
        }
        for len in [63, 64, 65, 20_000] {
            let key = self.name(&format!("set:wide:{len}"));
            let member = self.random.text(len);
            self.push(cmd!["SADD", key, member, "", "7"]);
        }
    }

    fn sorted_sets(&mut self) {
        for size in SIZES {
            let key = self.name(&format!("zset:{size}"));
            let mut command = cmd!["ZADD", key];
            for n in 0..size {
                command.extend(cmd![self.random.score(), format!("member {n}")]);
            }
            self.push(command);
        }
        let key = self.name("zset:scores");
        let mut command = cmd!["ZADD", key];
        for score in
            ["inf", "-inf", "0", "-0", "5e-324", "1.7976931348623157e308", "0.1", "3", "-3.5", "1e17"]
        {
            command.extend(cmd![score, format!("scored {score}")]);
        }
        self.push(command);
        let key = self.name("zset:same_score");
        let mut command = cmd!["ZADD", key];
        for member in ["b", "a", "", "aa", "B", "\u{7f}", "10", "9"] {
            command.extend(cmd!["1", member]);
        }
        self.push(command);
        for len in [63, 64, 65, 20_000] {
            let key = self.name(&format!("zset:wide:{len}"));
            let member = self.random.text(len);
            self.push(cmd!["ZADD", key, "1.5", member, "2", "7"]);
        }
    }

    fn hashes(&mut self) {
        for size in SIZES {
            let key = self.name(&format!("hash:{size}"));
            let mut command = cmd!["HSET", key];
            for n in 0..size {
                let len = self.random.below(60);
                command.extend(cmd![format!("field {n}"), self.random.text(len)]);
            }
            self.push(command);
        }
        let key = self.name("hash:integers");
        let mut command = cmd!["HSET", key];
        for edge in EDGES {
            command.extend(cmd![edge, edge.wrapping_neg()]);
        }
        self.push(command);
        for len in [0, 63, 64, 65, 20_000] {
            let key = self.name(&format!("hash:wide:{len}"));
            let value = self.random.text(len);
            self.push(cmd!["HSET", key, "f", value, "", "empty field"]);
        }
        if !self.known.has("HPEXPIREAT") {
            return;
        }
        // Both encodings, with no, one, some and all fields that expire.
        for (size, expiring) in [(1, 1), (3, 1), (3, 3), (100, 50), (600, 1), (600, 600)] {
            let key = self.name(&format!("hash:expiring:{size}:{expiring}"));
            let mut command = cmd!["HSET", &key];
            for n in 0..size {
                command.extend(cmd![format!("field {n}"), n * n]);
            }
            self.push(command);
            for n in 0..expiring {
                let at = FAR_FUTURE_MS + i64::from(n % 7);
                self.push(cmd!["HPEXPIREAT", &key, at, "FIELDS", 1, format!("field {n}")]);
            }
        }
    }

    fn streams(&mut self) {
        for size in [1, 2, 99, 100, 101, 350] {
            let key = self.name(&format!("stream:{size}"));
            for n in 0..size {
                // Runs of equal field names, then others: entries with and without the node's own fields.
                let field = if n % 10 < 7 { "same" } else { "other" };
                let value = self.random.value();
                self.push(cmd!["XADD", &key, format!("{}-{n}", 1000 + n / 3), field, value]);
            }
        }
        let key = self.name("stream:emptied");
        self.push(cmd!["XADD", &key, "5-1", "f", "v"]);
        self.push(cmd!["XDEL", &key, "5-1"]);
        let key = self.name("stream:no_entries_but_a_group");
        self.push(cmd!["XGROUP", "CREATE", &key, "g", "$", "MKSTREAM"]);
        let key = self.name("stream:trimmed");
        for n in 0..250 {
            self.push(cmd!["XADD", &key, format!("{n}-1"), "n", n, "many", "fields", "in", "one"]);
        }
        self.push(cmd!["XTRIM", &key, "MAXLEN", 120]);
        let key = self.name("stream:largest_ids");
        self.push(cmd!["XADD", &key, format!("{}-{}", u64::MAX - 1, u64::MAX), "f", ""]);
        self.push(cmd!["XADD", &key, format!("{}-0", u64::MAX), "", "v"]);
        self.groups();
    }

    fn groups(&mut self) {
        let key = self.name("stream:groups");
        for n in 1..=60 {
            self.push(cmd!["XADD", &key, format!("{n}-{n}"), "job", n]);
        }
        for (group, from) in [("all", "0"), ("half", "30-30"), ("none", "$"), ("idle", "0"), ("", "0")] {
            self.push(cmd!["XGROUP", "CREATE", &key, group, from]);
        }
        for (group, consumer, count) in [("all", "anna", 20), ("all", "bert", 15), ("half", "anna", 10)] {
            self.push(cmd!["XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", &key, ">"]);
        }
        self.push(cmd!["XACK", &key, "all", "1-1", "2-2", "25-25"]);
        // Handed over with a delivery time and count of our choice; made pending without having been read; and
        // pending though deleted.
        let claim = ["TIME", "1700000000123", "RETRYCOUNT", "7", "FORCE", "JUSTID"];
        for (group, consumer, id) in
            [("all", "carl", "3-3"), ("half", "carl", "50-50"), ("", "dora", "60-60")]
        {
            let mut command = cmd!["XCLAIM", &key, group, consumer, 0, id];
            command.extend(claim.map(|word| word.as_bytes().to_vec()));
            self.push(command);
        }
        self.push(cmd!["XDEL", &key, "4-4", "22-22", "59-59"]);
        if self.known.is_6_2() {
            self.push(cmd!["XGROUP", "CREATECONSUMER", &key, "idle", "never reads"]);
        }
    }

    fn special(&mut self) {
        for size in [1_usize, 100, 20_000] {
            let key = self.name(&format!("hll:{size}"));
            for chunk in 0..size.div_ceil(1000) {
                let mut command = cmd!["PFADD", &key];
                command
                    .extend((chunk * 1000..size.min((chunk + 1) * 1000)).map(|n| n.to_string().into_bytes()));
                self.push(command);
            }
        }
        let key = self.name("geo");
        self.push(cmd![
            "GEOADD",
            key,
            "13.361389",
            "38.115556",
            "Palermo",
            "15.087269",
            "37.502669",
            "Catania"
        ]);
        for bit in [0, 7, 8, 4095, 8_000_000] {
            let key = self.name(&format!("bitmap:{bit}"));
            self.push(cmd!["SETBIT", key, bit, 1]);
        }
        let key = self.name("bitfield");
        self.push(cmd!["BITFIELD", key, "SET", "u8", "#3", 200, "INCRBY", "i16", 5, -3]);
        for (name, make) in [
            ("list", cmd!["RPUSH", "spec:expires:list", "a"]),
            ("set", cmd!["SADD", "spec:expires:set", "a"]),
            ("zset", cmd!["ZADD", "spec:expires:zset", 1, "a"]),
            ("hash", cmd!["HSET", "spec:expires:hash", "a", "b"]),
            ("stream", cmd!["XADD", "spec:expires:stream", "1-1", "a", "b"]),
        ] {
            let key = self.name(&format!("expires:{name}"));
            self.push(make);
            self.push(cmd!["PEXPIREAT", key, FAR_FUTURE_MS + 1]);
        }
    }

    fn databases(&mut self) {
        for db in [1, 7, 15] {
            self.push(cmd!["SELECT", db]);
            let key = self.name("string");
            self.push(cmd!["SET", key, format!("in database {db}")]);
            let key = self.name("list");
            self.push(cmd!["RPUSH", key, "in", "database", db]);
            let key = self.name("expires");
            self.push(cmd!["SET", &key, db]);
            self.push(cmd!["PEXPIREAT", &key, FAR_FUTURE_MS + db]);
        }
        self.push(cmd!["SELECT", 0]);
    }

    fn functions(&mut self) {
        if !self.known.has("FUNCTION") {
            return;
        }
        for library in ["first", "second"] {
            let code = format!(
                "#!lua name={library}\nredis.register_function('{library}_get', function(keys, args)\n  return \
                 redis.call('GET', keys[1])\nend)\n"
            );
            self.push(cmd!["FUNCTION", "LOAD", "REPLACE", code]);
        }
    }
}
