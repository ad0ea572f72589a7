//! Servers that announce themselves and clients that find them, by hand and in a network in virtual time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod announcer;
mod hello;
mod network;
mod random;
mod seeker;
mod strangers;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use atonce::Instant;
use atonce::wire::autoconf::{Announcement, Datagram, InstanceId, Offer};

const START: Instant = Instant::from_millis(1_000);

fn after(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The server's own address, from which it announces itself.
const SERVER: &str = "192.168.1.2:5674";
const ENDPOINT: &str = "192.168.1.2:50053";
const STRANGER: &str = "192.168.1.66:5674";

fn offer(endpoints: &[&str]) -> Offer {
    let endpoints = endpoints.iter().map(|endpoint| address(endpoint));
    Offer::new("printing".parse().unwrap(), endpoints).unwrap()
}

fn announced(instance: u8, ttl: u32, offer: Offer) -> Vec<u8> {
    let announcement = Announcement {
        instance: InstanceId::from_bytes([instance; 16]),
        ttl: NonZeroU32::new(ttl).unwrap(),
        offer,
    };
    Datagram::Announcement(announcement).encode().to_vec()
}

fn goodbye(instance: u8) -> Vec<u8> {
    let instance = InstanceId::from_bytes([instance; 16]);
    Datagram::Goodbye(instance).encode().to_vec()
}

fn query(service: &str) -> Vec<u8> {
    let service = (!service.is_empty()).then(|| service.parse().unwrap());
    Datagram::Query(service).encode().to_vec()
}
