//! LZF, CRC-64 and the packed encodings, beside the `lzf` crate and the nom grammars.
//!
//! Ids are `rdb/operation/case/who`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rdb::crc64::checksum;
use rdb::encoding::{Intset, IntsetBuf, Listpack, ListpackBuf, Ziplist, ZiplistBuf, grammar};
use rdb::lzf::{Compressor, LzfStream, compress, decompress_into};

/// Words of English drawn by a small generator: compresses to about half.
fn text(len: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "the ", "replica ", "keeps ", "whole ", "data ", "set ", "in ", "process ", "memory ", "equal ",
        "to ", "master ", "and ", "reads ", "cost ", "little ",
    ];
    let mut state = 1_u32;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(WORDS[(state >> 28) as usize].as_bytes());
    }
    out.truncate(len);
    out
}

fn lzf_cases() -> [(&'static str, Vec<u8>); 3] {
    let json = br#"{"id":48213,"name":"user","email":"user@example.org","tags":["a","b"],"active":true},"#;
    [("text", text(1 << 20)), ("json", json.repeat(12_000)), ("runs", vec![b'a'; 1 << 20])]
}

fn decompressing(c: &mut Criterion) {
    for (case, plain) in lzf_cases() {
        let packed = compress(&plain).unwrap();
        let mut out = vec![0; plain.len()];
        let mut group = c.benchmark_group(format!("rdb/lzf-decompress/{case}"));
        group.throughput(Throughput::Bytes(plain.len() as u64));
        group.bench_function("ours", |b| b.iter(|| decompress_into(black_box(&packed), &mut out).unwrap()));
        group.bench_function("ours-stream", |b| {
            b.iter(|| {
                let mut stream = LzfStream::new(packed.len() as u64, plain.len() as u64).unwrap();
                let mut input = black_box(&packed[..]);
                while !stream.decode(&mut input).unwrap().is_empty() {}
                stream.finish().unwrap();
            });
        });
        group.bench_function("lzf-crate", |b| {
            b.iter(|| black_box(lzf::decompress(black_box(&packed), plain.len()).unwrap()));
        });
        group.finish();
    }
}

fn compressing(c: &mut Criterion) {
    for (case, plain) in lzf_cases() {
        let mut group = c.benchmark_group(format!("rdb/lzf-compress/{case}"));
        group.throughput(Throughput::Bytes(plain.len() as u64));
        let (mut compressor, mut out) = (Compressor::new(), Vec::new());
        group.bench_function("ours", |b| {
            b.iter(|| {
                out.clear();
                compressor.compress(black_box(&plain), &mut out)
            });
        });
        group
            .bench_function("lzf-crate", |b| b.iter(|| black_box(lzf::compress(black_box(&plain)).unwrap())));
        group.finish();
    }
}

fn crc(c: &mut Criterion) {
    let bytes = text(1 << 20);
    let mut group = c.benchmark_group("rdb/crc64");
    for size in [8, 32, 64, 80, 96, 127, 128, 256, 4096, 1 << 20] {
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| checksum(black_box(&bytes[..size])));
        });
    }
    group.finish();
}

/// A hash of 128 fields: short names, values of which half are integers.
fn elements() -> Vec<Vec<u8>> {
    let pair = |i: usize| {
        let value = if i.is_multiple_of(2) { (i * 1237).to_string() } else { format!("value of field {i}") };
        [format!("field:{i}").into_bytes(), value.into_bytes()]
    };
    (0..128).flat_map(pair).collect()
}

fn listpacks(c: &mut Criterion) {
    let elements = elements();
    let mut list = ListpackBuf::new();
    let mut zip = ZiplistBuf::new();
    for element in &elements {
        list.push(element).unwrap();
        zip.push(element).unwrap();
    }
    let (blob, zip) = (list.as_bytes(), zip.as_bytes());
    let mut group = c.benchmark_group("rdb/listpack/256-elements");
    group.throughput(Throughput::Elements(elements.len() as u64));
    group.bench_function("check", |b| b.iter(|| Listpack::new(black_box(blob)).unwrap()));
    group.bench_function("iterate", |b| {
        b.iter(|| Listpack::trusted(black_box(blob)).iter().map(|item| black_box(item).len()).sum::<usize>());
    });
    group.bench_function("iterate-back", |b| {
        b.iter(|| {
            Listpack::trusted(black_box(blob)).iter().rev().map(|item| black_box(item).len()).sum::<usize>()
        });
    });
    group.bench_function("find-last", |b| {
        b.iter(|| Listpack::trusted(black_box(blob)).find(black_box(b"field:127"), 1).unwrap());
    });
    group.bench_function("check-nom", |b| b.iter(|| grammar::listpack(black_box(blob)).unwrap()));
    group.bench_function("push", |b| {
        b.iter(|| {
            let mut list = ListpackBuf::new();
            for element in &elements {
                list.push(black_box(element)).unwrap();
            }
            list
        });
    });
    group.finish();

    let mut group = c.benchmark_group("rdb/ziplist/256-elements");
    group.throughput(Throughput::Elements(elements.len() as u64));
    group.bench_function("check", |b| b.iter(|| Ziplist::new(black_box(zip)).unwrap()));
    group.bench_function("check-nom", |b| b.iter(|| grammar::ziplist(black_box(zip)).unwrap()));
    group.finish();
}

fn intsets(c: &mut Criterion) {
    let mut set = IntsetBuf::new();
    for value in 0..512 {
        set.insert(value * 3).unwrap();
    }
    let mut group = c.benchmark_group("rdb/intset/512");
    group.bench_function("check", |b| b.iter(|| Intset::new(black_box(set.as_bytes())).unwrap()));
    group.bench_function("contains", |b| b.iter(|| set.contains(black_box(777))));
    group.finish();
}

criterion_group!(benches, decompressing, compressing, crc, listpacks, intsets);
criterion_main!(benches);
