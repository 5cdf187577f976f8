//! The codec beside `redis-protocol`, `redis` and the nom oracle.
//!
//! Ids are `resp/operation/case/who`. The ranges of `redis-protocol` are its cheapest form, so they stand beside ours; its
//! and our `Bytes` forms are compared with each other, and `redis` has owned values alone.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../crates/resp/tests/oracle/mod.rs"]
mod oracle;

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use resp::{
    DoubleFormat, Encoder, Limits, Mode, Protocol, RequestDecoder, RequestParser, ValueDecoder, ValueParser,
};

fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    resp::encode_command(&mut out, args);
    out
}

/// One `SET` of a 13-byte key and a 64-byte value.
fn set(c: &mut Criterion) {
    let wire = command(&[b"SET", b"key:000000001", &[b'v'; 64]]);
    let mut group = c.benchmark_group("resp/decode/set");
    group.throughput(Throughput::Bytes(wire.len() as u64));

    let mut parser = RequestParser::new(Limits::requests(), Mode::Client);
    group.bench_function("ours-ranges", |b| {
        b.iter(|| {
            let len = parser.parse(black_box(&wire)).unwrap();
            black_box((len, parser.spans().len()))
        });
    });
    group.bench_function("redis-protocol-ranges", |b| {
        b.iter(|| black_box(redis_protocol::resp2::decode::decode_range(black_box(&wire)).unwrap()));
    });
    let mut decoder = RequestDecoder::new(Limits::requests());
    group.bench_function("ours-buffered", |b| {
        b.iter(|| {
            decoder.feed(black_box(&wire));
            black_box(decoder.next_ref().unwrap().map(|request| request.len()))
        });
    });
    let mut decoder = RequestDecoder::new(Limits::requests());
    group.bench_function("ours-shared", |b| {
        b.iter(|| {
            decoder.feed(black_box(&wire));
            black_box(decoder.next().unwrap())
        });
    });
    let shared = Bytes::from(wire.clone());
    group.bench_function("redis-protocol-shared", |b| {
        b.iter(|| black_box(redis_protocol::resp2::decode::decode_bytes(black_box(&shared)).unwrap()));
    });
    group.bench_function("redis", |b| {
        b.iter(|| black_box(redis::parse_redis_value(black_box(&wire)).unwrap()))
    });
    group.bench_function("oracle", |b| {
        b.iter(|| {
            black_box(oracle::request::requests(black_box(&wire), Limits::requests(), Mode::Client, true))
        });
    });
    group.finish();
}

/// A hundred `GET`s as they come out of one read.
fn pipeline(c: &mut Criterion) {
    let wire = command(&[b"GET", b"key:000000001"]).repeat(100);
    let mut group = c.benchmark_group("resp/decode/get100");
    group.throughput(Throughput::Bytes(wire.len() as u64));

    let mut parser = RequestParser::new(Limits::requests(), Mode::Client);
    group.bench_function("ours-ranges", |b| {
        b.iter(|| {
            let mut rest = black_box(&wire[..]);
            let mut key_bytes = 0;
            while let Some(len) = parser.parse(rest).unwrap() {
                key_bytes += parser.request(&rest[..len]).arg(1).map_or(0, <[u8]>::len);
                rest = &rest[len..];
            }
            key_bytes
        });
    });
    let mut decoder = RequestDecoder::new(Limits::requests());
    group.bench_function("ours-buffered", |b| {
        b.iter(|| {
            decoder.feed(black_box(&wire));
            let mut key_bytes = 0;
            while let Some(request) = decoder.next_ref().unwrap() {
                key_bytes += request.arg(1).map_or(0, <[u8]>::len);
            }
            key_bytes
        });
    });
    group.bench_function("ours-shared", |b| {
        b.iter(|| {
            decoder.feed(black_box(&wire));
            let mut key_bytes = 0;
            while let Some(request) = decoder.next().unwrap() {
                key_bytes += request.arg(1).map_or(0, <[u8]>::len);
            }
            key_bytes
        });
    });
    group.bench_function("redis-protocol-ranges", |b| {
        b.iter(|| {
            let mut rest = black_box(&wire[..]);
            while let Some((frame, len)) = redis_protocol::resp2::decode::decode_range(rest).unwrap() {
                black_box(frame);
                rest = &rest[len..];
            }
        });
    });
    group.bench_function("redis-protocol-shared", |b| {
        b.iter(|| {
            let mut buffer = BytesMut::from(black_box(&wire[..]));
            while let Some((frame, _, _)) =
                redis_protocol::resp2::decode::decode_bytes_mut(&mut buffer).unwrap()
            {
                black_box(frame);
            }
        });
    });
    group.finish();
}

/// A reply of a hundred short strings.
fn reply(c: &mut Criterion) {
    let mut wire = Vec::new();
    let mut encoder = Encoder::new(&mut wire, Protocol::Resp2);
    encoder.array(100);
    (0..100).for_each(|_| encoder.bulk(b"member:0001"));
    let mut group = c.benchmark_group("resp/decode/array100");
    group.throughput(Throughput::Bytes(wire.len() as u64));

    let mut parser = ValueParser::new(Limits::replies());
    group.bench_function("ours-ranges", |b| {
        b.iter(|| {
            let len = parser.parse(black_box(&wire)).unwrap();
            black_box((len, parser.tokens().len()))
        });
    });
    group.bench_function("redis-protocol-ranges", |b| {
        b.iter(|| black_box(redis_protocol::resp2::decode::decode_range(black_box(&wire)).unwrap()));
    });
    let mut decoder = ValueDecoder::new(Limits::replies());
    group.bench_function("ours-tree", |b| {
        b.iter(|| {
            decoder.feed(black_box(&wire));
            black_box(decoder.next().unwrap())
        });
    });
    let shared = Bytes::from(wire.clone());
    group.bench_function("redis-protocol-tree", |b| {
        b.iter(|| black_box(redis_protocol::resp2::decode::decode_bytes(black_box(&shared)).unwrap()));
    });
    group.bench_function("redis", |b| {
        b.iter(|| black_box(redis::parse_redis_value(black_box(&wire)).unwrap()))
    });
    group.finish();
}

/// What a server writes.
fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("resp/encode");
    let mut out = Vec::with_capacity(4096);
    group.bench_function("bulk64", |b| {
        b.iter(|| {
            out.clear();
            Encoder::new(&mut out, Protocol::Resp2).bulk(black_box(&[b'v'; 64]));
        });
    });
    group.bench_function("integer", |b| {
        b.iter(|| {
            out.clear();
            Encoder::new(&mut out, Protocol::Resp2).integer(black_box(123_456_789));
        });
    });
    for (name, format) in [("digits17", DoubleFormat::Digits17), ("shortest", DoubleFormat::Shortest)] {
        for value in [3.0, 1234.5678] {
            group.bench_with_input(BenchmarkId::new(name, value), &value, |b, &value| {
                b.iter(|| {
                    out.clear();
                    resp::format_f64(&mut out, black_box(value), format);
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, set, pipeline, reply, encode);
criterion_main!(benches);
