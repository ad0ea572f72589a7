//! What CURVE costs: a message on its way out and on its way in, and the handshake before it.
#![allow(missing_docs)] // what criterion makes

use std::hint::black_box;

use atonce::Instant;
use atonce_benches::{content, keys, sealed_pair, send, transmit};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIZES: [usize; 6] = [0, 64, 1 << 10, 4 << 10, 64 << 10, 1 << 20];

fn out(c: &mut Criterion) {
    let mut group = c.benchmark_group("sealed/send");
    let keys = keys();
    for size in SIZES {
        let message = content(size);
        let (mut dealer, _) = sealed_pair(&keys);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| send(&mut dealer, &message, 1));
        });
    }
    group.finish();
}

fn input(c: &mut Criterion) {
    let mut group = c.benchmark_group("sealed/receive");
    let keys = keys();
    for size in SIZES {
        let message = content(size);
        let (mut dealer, mut router) = sealed_pair(&keys);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter_batched(
                || {
                    dealer.send(message.clone()).expect("it is ready");
                    transmit(&mut dealer)
                },
                |octets| {
                    for chunk in octets.chunks(64 << 10) {
                        router.handle_input(Instant::ZERO, chunk);
                    }
                    let message = router.poll_event();
                    assert!(message.is_some());
                    black_box(message)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn handshake(c: &mut Criterion) {
    let keys = keys();
    c.bench_function("sealed/handshake", |b| {
        b.iter(|| sealed_pair(black_box(&keys)));
    });
}

criterion_group!(benches, out, input, handshake);
criterion_main!(benches);
