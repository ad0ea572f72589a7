//! What a message costs a ZMTP connection, on its way out and on its way in.
#![allow(missing_docs)] // what criterion makes

use std::hint::black_box;

use atonce::Instant;
use atonce_benches::{content, pair, send, stream};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIZES: [usize; 6] = [16, 64, 256, 4 << 10, 64 << 10, 1 << 20];

/// Messages of each size: one alone, and a hundred that are queued together; lent to the network, taken by it.
fn out(c: &mut Criterion) {
    let mut group = c.benchmark_group("connection/send");
    for size in SIZES {
        for at_once in [1, 100] {
            let message = content(size);
            let (mut dealer, _) = pair();
            // Large ones are shared and not copied: in octets it would say nothing.
            group.throughput(Throughput::Elements(at_once as u64));
            group.bench_function(BenchmarkId::new(format!("{size} octets"), at_once), |b| {
                b.iter(|| send(&mut dealer, &message, at_once));
            });
        }
    }
    group.finish();
}

/// A stream of messages that comes in pieces, however they were cut.
fn input(c: &mut Criterion) {
    let mut group = c.benchmark_group("connection/receive");
    for size in SIZES {
        let messages = ((1 << 20) / size).clamp(1, 1_000);
        let stream = stream(messages, size);
        for chunk in [1, 64, 1 << 10, 64 << 10, 1 << 20] {
            // Octet by octet says the same for all sizes.
            if chunk == 1 && size != 64 {
                continue;
            }
            let (_, mut router) = pair();
            group.throughput(Throughput::Bytes(stream.len() as u64));
            group.bench_function(BenchmarkId::new(format!("{size} octets"), chunk), |b| {
                b.iter_batched(
                    || (),
                    |()| {
                        for chunk in black_box(&stream).chunks(chunk) {
                            router.handle_input(Instant::ZERO, chunk);
                            while let Some(event) = router.poll_event() {
                                black_box(event);
                            }
                        }
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, out, input);
criterion_main!(benches);
