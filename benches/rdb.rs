//! Whole dumps, beside the `rdb` crate (rdb-rs 0.4): a million mixed keys, read as data types and as JSON.
//!
//! Ids are `rdb/operation/case/who`. The rival copies every value, does not compare the checksum, and skips streams.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::fs::File;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rdb::encoding::{IntsetBuf, ListpackBuf, StreamNodeBuf};
use rdb::json::JsonLines;
use rdb::{
    Decoder, EncodeOptions, Encoder, EntryMeta, KeyMeta, ListNode, Options, Part, Progress, Reject, StreamId,
    StreamMeta, Transcoder, Version, Visitor, Want,
};

const KEYS: u64 = 1_000_000;

/// A small generator: the same dump at every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn word(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| b'a' + (self.next() >> 40) as u8 % 26).collect()
    }
}

fn listpack<'a>(elements: impl IntoIterator<Item = &'a [u8]>) -> ListpackBuf {
    let mut list = ListpackBuf::new();
    elements.into_iter().for_each(|element| list.push(element).unwrap());
    list
}

/// Half strings (a third of them numbers, a tenth compressible text), the rest small and a few large collections.
fn mixed() -> Vec<u8> {
    let mut random = Random(42);
    let mut dump = Encoder::new(Version::REDIS_12, EncodeOptions::default()).unwrap();
    dump.aux(b"redis-ver", b"8.2.3");
    dump.select_db(0);
    dump.resize_db(KEYS, KEYS / 10);
    for n in 0..KEYS {
        let key = format!("key:{n:012}");
        let meta = KeyMeta::expiring((n % 10 == 0).then_some(4_102_444_800_000 + n as i64));
        let to = dump.entry(key.as_bytes(), meta);
        let large = n % 5000 < 10;
        let words: Vec<_> = (0..if large { 600 } else { 8 }).map(|_| random.word(8)).collect();
        let slices = || words.iter().map(Vec::as_slice);
        match n % 20 {
            0..=2 => to.string(random.next().to_string().as_bytes()),
            3 => to.string(&b"some text that repeats itself, as text does; ".repeat(12)),
            4..=9 => to.string(&random.word(64)),
            10 | 11 if large => to.hash(300, slices().zip(slices().skip(300))),
            10..=12 => to.hash_listpack(listpack(slices()).as_listpack()),
            13 if large => to.set(600, slices()),
            13 => to.set_listpack(listpack(slices()).as_listpack()),
            14 => {
                let mut set = IntsetBuf::new();
                (0..16).for_each(|_| {
                    let _ = set.insert((random.next() >> 40) as i64);
                });
                to.set_intset(set.as_intset());
            }
            15 | 16 if large => to.zset(600, slices().zip((0..).map(|score| f64::from(score) / 7.0))),
            15 | 16 => {
                let scores: Vec<_> = (0..8).map(|n| n.to_string().into_bytes()).collect();
                let pairs = slices().zip(&scores).flat_map(|(member, score)| [member, score]);
                to.zset_listpack(listpack(pairs).as_listpack());
            }
            17 | 18 => to.list([ListNode::Packed(listpack(slices()).as_listpack())]),
            _ => {
                let id = StreamId { ms: n + 1, seq: 0 };
                let mut node =
                    StreamNodeBuf::new(id, [(&b"field"[..], slices().next().unwrap())].into_iter()).unwrap();
                for seq in 1..4 {
                    let fields = [(&b"field"[..], words[seq as usize].as_slice())];
                    node.append(StreamId { ms: n + 1, seq }, fields.into_iter()).unwrap();
                }
                let mut meta = StreamMeta::default();
                (meta.length, meta.first_id, meta.entries_added) = (4, id, 4);
                meta.last_id = StreamId { ms: n + 1, seq: 3 };
                to.stream_without_groups([(id, node.as_node().listpack())].into_iter(), &meta);
            }
        }
    }
    dump.finish()
}

/// A million short strings: what is left of the time is the parser's own.
fn small_strings() -> Vec<u8> {
    let mut random = Random(7);
    let mut dump = Encoder::new(Version::REDIS_12, EncodeOptions::default()).unwrap();
    dump.select_db(0);
    for n in 0..KEYS {
        dump.entry(format!("key:{n:012}").as_bytes(), KeyMeta::default()).string(&random.word(8));
    }
    dump.finish()
}

/// Looks at everything and keeps nothing.
struct Look(Want);

impl Visitor for Look {
    fn entry(&mut self, key: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
        black_box(key);
        Ok(self.0)
    }
    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        black_box(&part);
        Ok(())
    }
}

/// As from a socket: 64 KiB at a time.
fn feed<V: Visitor>(dump: &[u8], options: Options, mut visitor: V) -> V {
    let mut decoder = Decoder::new(options);
    for chunk in dump.chunks(1 << 16) {
        if let Progress::Done { .. } = decoder.feed(chunk, &mut visitor).unwrap() {
            return visitor;
        }
    }
    panic!("the dump is complete");
}

fn dev_null() -> File {
    File::options().write(true).open("/dev/null").unwrap()
}

fn reading(c: &mut Criterion) {
    for (case, dump) in [("mixed-1M", mixed()), ("small-strings-1M", small_strings())] {
        let mut group = c.benchmark_group(format!("rdb/decode/{case}"));
        group.sample_size(10).throughput(Throughput::Bytes(dump.len() as u64));
        let wants = [("elements", Want::Elements), ("packed", Want::Packed), ("skip", Want::Skip)];
        for (name, want) in wants {
            group.bench_function(BenchmarkId::new("ours", name), |b| {
                b.iter(|| feed(&dump, Options::default(), Look(want)));
            });
        }
        group.bench_function("ours/elements-without-checksum", |b| {
            b.iter(|| feed(&dump, Options::default().without_checksum(), Look(Want::Elements)));
        });
        group.bench_function("rdb-rs", |b| {
            b.iter(|| {
                let items = rdb_rs::RdbDecoder::new(&dump[..], rdb_rs::Simple::new()).unwrap();
                for item in items {
                    black_box(item.unwrap());
                }
            });
        });
        group.finish();

        let mut group = c.benchmark_group(format!("rdb/json/{case}"));
        group.sample_size(10).throughput(Throughput::Bytes(dump.len() as u64));
        group.bench_function("ours", |b| {
            b.iter(|| feed(&dump, Options::default(), JsonLines::new(dev_null())).finish().unwrap());
        });
        group.bench_function("rdb-rs", |b| {
            b.iter(|| {
                let json = rdb_rs::formatter::JSON::new(Some("/dev/null".into()));
                rdb_rs::parse(&dump[..], json, rdb_rs::Simple::new()).unwrap();
            });
        });
        group.finish();

        let mut group = c.benchmark_group(format!("rdb/transcode/{case}"));
        group.sample_size(10).throughput(Throughput::Bytes(dump.len() as u64));
        group.bench_function("ours", |b| {
            b.iter(|| {
                let to = Transcoder::new(Version::REDIS_12, EncodeOptions::default()).unwrap();
                feed(&dump, Options::default(), to).finish()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, reading);
criterion_main!(benches);
