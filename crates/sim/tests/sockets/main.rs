//! ZMTP sockets as programs: pipelines, queues, publishers, and everything that goes wrong around them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test that is wrong may stop

mod faults;
mod patterns;
mod programs;
mod simulator;

use std::time::Duration;

use atonce::socket::{Config, Endpoint};
use atonce_sim::Sim;

type Net = Sim<()>;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn at(endpoint: &str) -> Endpoint {
    endpoint.parse().unwrap()
}

/// As usual, and whoever is gone without a word is found out within some seconds.
fn config() -> Config {
    Config {
        heartbeat: Some(atonce::zmtp::Heartbeat::every(s(2))),
        ..Config::default()
    }
}
