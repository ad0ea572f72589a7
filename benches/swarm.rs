//! What a node with many peers pays for a beacon, a whisper, a shout and the passing of time; and a mesh in virtual time.
#![allow(missing_docs)] // what criterion makes

use std::time::Duration;

use atonce_benches::{Swarm, content, mesh};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const PEERS: [usize; 3] = [10, 100, 1_000];

fn beacons(c: &mut Criterion) {
    let mut group = c.benchmark_group("node/beacons");
    for peers in PEERS {
        let mut swarm = Swarm::new(peers);
        group.throughput(Throughput::Elements(peers as u64));
        group.bench_function(BenchmarkId::from_parameter(peers), |b| {
            b.iter(|| swarm.hear_beacons());
        });
    }
    group.finish();
}

fn whispers(c: &mut Criterion) {
    let mut group = c.benchmark_group("node/whisper to each");
    for peers in PEERS {
        let mut swarm = Swarm::new(peers);
        let (ids, content) = (swarm.ids(), content(64));
        group.throughput(Throughput::Elements(peers as u64));
        group.bench_function(BenchmarkId::from_parameter(peers), |b| {
            b.iter(|| swarm.whisper(&ids, &content));
        });
    }
    group.finish();
}

fn shouts(c: &mut Criterion) {
    let mut group = c.benchmark_group("node/shout");
    for peers in PEERS {
        for size in [64, 64 << 10] {
            let mut swarm = Swarm::new(peers);
            let content = content(size);
            group.throughput(Throughput::Elements(peers as u64));
            group.bench_function(BenchmarkId::new(format!("{size} octets"), peers), |b| {
                b.iter(|| swarm.shout(&content));
            });
        }
    }
    group.finish();
}

/// A whisper of each peer, from its octets to the application.
fn hearing(c: &mut Criterion) {
    let mut group = c.benchmark_group("node/whisper from each");
    group.sample_size(20);
    for peers in PEERS {
        // Numbers go on and cannot be heard twice: each sample takes the next ones.
        let swarm = std::cell::RefCell::new(Swarm::new(peers));
        let content = content(64);
        group.throughput(Throughput::Elements(peers as u64));
        group.bench_function(BenchmarkId::from_parameter(peers), |b| {
            b.iter_batched(
                || swarm.borrow_mut().whispers(1, &content),
                |said| {
                    let events = swarm.borrow_mut().hear(&said);
                    assert_eq!(events, peers);
                    said
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// A second in which every peer is heard of by its beacon, and what is due in it.
fn seconds(c: &mut Criterion) {
    let mut group = c.benchmark_group("node/a second of beacons");
    for peers in PEERS {
        let mut swarm = Swarm::new(peers);
        group.throughput(Throughput::Elements(peers as u64));
        group.bench_function(BenchmarkId::from_parameter(peers), |b| {
            b.iter(|| {
                swarm.pass(Duration::from_secs(1));
                swarm.hear_beacons();
                swarm.tick();
            });
        });
    }
    group.finish();
}

fn virtual_mesh(c: &mut Criterion) {
    let mut group = c.benchmark_group("sim/mesh for 10 s");
    group.sample_size(10);
    for nodes in [10, 50] {
        let inputs = mesh(nodes, Duration::from_secs(10));
        group.throughput(Throughput::Elements(inputs));
        group.bench_function(BenchmarkId::from_parameter(nodes), |b| {
            b.iter(|| mesh(nodes, Duration::from_secs(10)));
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    beacons,
    whispers,
    shouts,
    hearing,
    seconds,
    virtual_mesh
);
criterion_main!(benches);
