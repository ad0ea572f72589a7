//! Who has to be heard until when.

use alloc::boxed::Box;
use core::time::Duration;

use super::{Heartbeat, Timer};
use crate::Instant;
use crate::wire::zmtp::{Ping, PingContext, Version};

/// The most tenths of a second that are told as time to live: C peers compute with it in a way that overflows beyond.
// ZMTP-55
const TTL_LIMIT: u16 = 655;

/// The heartbeats of a connection whose handshake is over.
#[derive(Debug)]
pub(super) struct Heartbeats {
    /// `None` also when the peer does not have heartbeats.
    ours: Option<Box<Ours>>,
    /// Until when anything has to come after the peer's PING.
    ttl: Option<Instant>,
    /// Whether nobody reads the connection, so that silence means nothing.
    paused: bool,
}

/// The heartbeats that this side asks for.
#[derive(Debug)]
struct Ours {
    config: Heartbeat,
    /// When anything came last, or reading began anew.
    heard: Instant,
    /// When the last PING was queued, or the handshake was over.
    pinged: Instant,
    /// Until when anything has to come after our PING.
    pong: Option<Instant>,
}

impl Heartbeats {
    /// The peer speaks `version`, and its handshake was over at `now`.
    pub(super) fn new(
        now: Instant,
        version: Version,
        config: Option<Heartbeat>,
        paused: bool,
    ) -> Self {
        // ZMTP-53
        let config = config.filter(|_| version >= Version::V3_1);
        let ours = |config| Ours {
            config,
            heard: now,
            pinged: now,
            pong: None,
        };
        Self {
            ours: config.map(ours).map(Box::new),
            ttl: None,
            paused,
        }
    }

    /// Something came.
    #[inline]
    pub(super) fn handle_heard(&mut self, now: Instant) {
        self.ttl = None;
        if let Some(ours) = &mut self.ours {
            ours.heard = now;
            ours.pong = None;
        }
    }

    /// The peer said that it is dead when nothing more comes for `tenths` tenths of a second.
    pub(super) fn handle_ttl(&mut self, now: Instant, tenths: u16) {
        if tenths > 0 {
            self.ttl = Some(now + Duration::from_millis(u64::from(tenths) * 100));
        }
    }

    /// Nobody reads the connection from now on, or somebody does again.
    pub(super) fn set_paused(&mut self, now: Instant, paused: bool) {
        // ZMTP-56
        if self.paused && !paused {
            self.handle_heard(now);
        }
        self.paused = paused;
    }

    /// What is to be done at `now`. A PING that is due has to be queued, unless the last one is still in the queue.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Due {
        match self.poll_timeout() {
            Some((deadline, _)) if deadline > now => Due::Nothing,
            Some((_, Timer::Ping)) => {
                let Some(ours) = &mut self.ours else {
                    return Due::Nothing;
                };
                ours.pinged = now;
                // ZMTP-52
                if ours.pong.is_none() {
                    ours.pong = Some(now + ours.config.timeout);
                }
                Due::Ping(Ping {
                    ttl: ours.config.ttl.map_or(0, tenths),
                    context: PingContext::default(),
                })
            }
            Some((_, timer)) => Due::Dead(timer),
            None => Due::Nothing,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let ours = self.ours.as_ref();
        let ping = ours.and_then(|ours| {
            let interval = ours.config.interval;
            if ours.config.ttl.is_some() {
                // ZMTP-55
                // Whoever tells a time to live has to be heard within it, whatever it hears itself.
                Some((ours.pinged + interval, Timer::Ping))
            } else if ours.pong.is_none() && !self.paused {
                Some((ours.heard + interval, Timer::Ping))
            } else {
                None
            }
        });
        let listening = !self.paused;
        let pong = ours.and_then(|ours| ours.pong).filter(|_| listening);
        let pong = pong.map(|at| (at, Timer::Pong));
        let ttl = self.ttl.filter(|_| listening);
        let ttl = ttl.map(|at| (at, Timer::TimeToLive));
        // At the same moment, death comes before another PING.
        [pong, ttl, ping]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}

/// What is to be done about heartbeats.
#[derive(Debug)]
pub(super) enum Due {
    Nothing,
    Ping(Ping),
    Dead(Timer),
}

/// In tenths of a second, rounded up.
fn tenths(ttl: Duration) -> u16 {
    let tenths = ttl.as_millis().div_ceil(100);
    u16::try_from(tenths).map_or(TTL_LIMIT, |tenths| tenths.min(TTL_LIMIT))
}
