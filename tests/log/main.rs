//! Nodes that log and collectors that hear it: octets, each machine by hand, and both in a network in virtual time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod collector;
mod logger;
#[path = "../socket/network.rs"]
mod network;
mod together;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atonce::log::HEADER;
use atonce::log::logger::{Action, CollectorId, Config, Logger, Met};
use atonce::wire::log::Record;
use atonce::{Event, ExitReason, Instant, Peer, PeerId};

const START: Instant = Instant::from_millis(1_000);
/// The time of the world then, in seconds.
const TIME: u64 = 1_352_700_000;

fn after(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A peer at 10.0.0.N, with the header if one is given.
fn peer(octet: u8, header: Option<&str>) -> Arc<Peer> {
    let headers = header.map(|value| (HEADER.try_into().unwrap(), value.try_into().unwrap()));
    Arc::new(Peer {
        id: PeerId::from_bytes([octet; 16]),
        name: format!("peer{octet}").try_into().unwrap(),
        endpoint: format!("tcp://10.0.0.{octet}:49152").try_into().unwrap(),
        headers: headers.into_iter().collect(),
    })
}

const OWN: &str = "tcp://10.0.0.1:49152";

fn met(remote: &str) -> Met {
    Met::at(address(remote), OWN.try_into().unwrap())
}

fn logger(config: Config) -> Logger {
    let mut logger = Logger::new(START, Duration::from_secs(TIME), config);
    let up = Event::InterfaceUp {
        interface: "eth0".into(),
        endpoint: OWN.try_into().unwrap(),
    };
    logger.handle_event(START, &up, None);
    logger
}

/// A peer enters, at its address.
fn enter(logger: &mut Logger, now: Instant, octet: u8, header: Option<&str>) {
    let met = met(&format!("10.0.0.{octet}:40000"));
    let peer = peer(octet, header);
    logger.handle_event(now, &Event::Enter { peer }, Some(&met));
}

fn exit(logger: &mut Logger, now: Instant, octet: u8) {
    let reason = ExitReason::Left;
    let peer = peer(octet, None);
    logger.handle_event(now, &Event::Exit { peer, reason }, None);
}

/// The collector that is to be connected next, and where.
fn connected(logger: &mut Logger) -> Option<(CollectorId, SocketAddr)> {
    match logger.poll_action()? {
        Action::Connect {
            collector, address, ..
        } => Some((collector, address)),
        other => panic!("{other:?}"),
    }
}

/// A collector that entered and listens.
fn listening(logger: &mut Logger, now: Instant, octet: u8) -> CollectorId {
    let header = format!("tcp://10.0.0.{octet}:9992");
    enter(logger, now, octet, Some(&header));
    let (collector, _) = connected(logger).unwrap();
    logger.handle_subscription(collector, b"\x01\xAA\xA2\x01");
    collector
}

/// All that there is to say to a collector.
fn told(logger: &mut Logger, collector: CollectorId) -> Vec<Record> {
    std::iter::from_fn(|| logger.poll_message(collector))
        .map(|message| Record::decode(&message).unwrap())
        .collect()
}

/// The same in words.
fn words(records: &[Record]) -> Vec<String> {
    let words = |record: &Record| format!("{} {}: {}", record.level, record.event, record.data);
    records.iter().map(words).collect()
}
