//! What a value costs to write and to read.
#![allow(missing_docs)] // what criterion makes

use std::hint::black_box;

use atonce::Frames;
use atonce::wire::Beacon;
use atonce::wire::zre::{Limits, Message};
use atonce_benches::{beacon, messages};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn zre(c: &mut Criterion) {
    let mut group = c.benchmark_group("zre");
    for (name, message) in messages() {
        let frames = message.encode();
        group.throughput(Throughput::Bytes(frames.octets() as u64));
        let mut head = Vec::new();
        group.bench_function(BenchmarkId::new("encode", name), |b| {
            b.iter(|| {
                head.clear();
                black_box(&message).encode_head(&mut head);
                black_box(head.len())
            });
        });
        group.bench_function(BenchmarkId::new("decode", name), |b| {
            let frames = || Frames::clone(black_box(&frames));
            b.iter(|| Message::decode(frames(), &Limits::default()));
        });
    }
    group.finish();
}

fn beacons(c: &mut Criterion) {
    let mut group = c.benchmark_group("beacon");
    let beacon = beacon();
    let octets = beacon.encode();
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode", |b| b.iter(|| black_box(&beacon).encode()));
    group.bench_function("decode", |b| b.iter(|| Beacon::decode(black_box(&octets))));
    group.finish();
}

criterion_group!(benches, zre, beacons);
criterion_main!(benches);
