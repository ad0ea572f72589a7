//! A node that logs: what happens to it goes to all collectors that are its peers.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atonce::curve::PublicKey;
use atonce::log::Logger;
use atonce::log::logger::{Action, CollectorId, Config, Met};
use atonce::socket::{
    Config as SocketConfig, Event as SocketEvent, Kind, QueueLimit, SubscriptionLimit,
};
use atonce::wire::Text;
use atonce::wire::log::{Level, Record};
use atonce::zmtp::Limits;
use atonce::zre::Event;
use atonce::{Frames, Instant};

use super::Driver;
use super::aside::{Around, Begin, Companion, SocketId};
use crate::Certificate;
use crate::socket::{SocketBuilder, SocketError, SocketOptions};

/// What may wait in a publisher, beside what the logger keeps anyway.
// LOG-29
const QUEUED: usize = 64;

/// For how long the last words of a node may take.
const LINGER: Duration = Duration::from_secs(1);

/// The most subscriptions of a collector: more make no sense.
const SUBSCRIPTIONS: usize = 256;

/// See the module.
#[derive(Debug)]
struct Log {
    logger: Logger,
    publishers: BTreeMap<CollectorId, SocketId>,
    /// What a secure node speaks with.
    own: Option<Certificate>,
}

/// Makes the log of a node that is in these groups from the beginning.
pub(super) fn begin(config: Config, own: Option<Certificate>, groups: Vec<Text>) -> Begin {
    Box::new(move |now, _| {
        let mut logger = Logger::new(now, since_1970(), config);
        for (place, group) in groups.iter().enumerate() {
            if !groups.iter().take(place).any(|before| before == group) {
                logger.handle_joined(now, group);
            }
        }
        Ok(Box::new(Log {
            logger,
            publishers: BTreeMap::new(),
            own,
        }))
    })
}

/// The time of the world. A clock that is before 1970 is at 1970.
fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

impl Log {
    /// Does what the logger asks for, and says what there is to say.
    fn act(&mut self, around: &mut Around<'_>) {
        while let Some(action) = self.logger.poll_action() {
            match action {
                Action::Connect {
                    collector,
                    address,
                    key,
                } => match self.connect(address, key, around) {
                    Ok(Some(socket)) => {
                        tracing::debug!(%address, "logging there");
                        self.publishers.insert(collector, socket);
                    }
                    Ok(None) => {
                        tracing::warn!(%address, "not logging there: who asks for it proved no key");
                    }
                    Err(error) => tracing::warn!(%address, %error, "not logging there"),
                },
                Action::Disconnect { collector } => {
                    if let Some(socket) = self.publishers.remove(&collector) {
                        around.close(socket);
                    }
                }
                other => tracing::error!(?other, "this adapter is older than the core"),
            }
        }
        for (collector, socket) in &self.publishers {
            let Some(publisher) = around.socket(*socket) else {
                continue;
            };
            while let Some(event) = publisher.poll_event() {
                tracing::trace!(?event, "a collector");
                if let SocketEvent::Disconnected { lost, .. } = event {
                    self.logger.handle_lost(*collector, lost);
                }
            }
            while let Ok(Some(message)) = publisher.recv() {
                let message = message.first().map_or(&[][..], |frame| frame);
                self.logger.handle_subscription(*collector, message);
            }
            // LOG-29
            while publisher.socket().can_send()
                && let Some(message) = self.logger.poll_message(*collector)
            {
                if let Err(error) = publisher.send(&Frames::from(message)) {
                    tracing::debug!(%error, "a record is lost");
                }
            }
        }
    }

    /// A publisher for a collector; `None`: a secure node knows no key for it.
    fn connect(
        &self,
        address: SocketAddr,
        key: Option<PublicKey>,
        around: &mut Around<'_>,
    ) -> Result<Option<SocketId>, SocketError> {
        let mut publisher = SocketBuilder::<()>::new(Kind::XPub)
            .config(publisher_config())
            // LOG-16
            .connect(endpoint(address));
        // LOG-15
        match (&self.own, key) {
            (Some(own), Some(key)) => publisher = publisher.curve_client(own.clone(), key),
            (Some(_), None) => return Ok(None),
            (None, _) => {}
        }
        let options: SocketOptions = publisher.options()?;
        around.open(options).map(Some)
    }

    fn log(&mut self, now: Instant, say: impl FnOnce(&mut Logger), around: &mut Around<'_>) {
        self.logger.set_time(now, since_1970());
        say(&mut self.logger);
        self.act(around);
    }
}

/// An address as an endpoint, with the zone that it has if it is one of the link.
fn endpoint(address: SocketAddr) -> String {
    format!("tcp://{address}")
}

/// What a publisher may cost.
fn publisher_config() -> SocketConfig {
    SocketConfig {
        // LOG-27: what a collector does not take stays with the logger.
        no_drop: true,
        linger: LINGER,
        send: QueueLimit {
            messages: QUEUED,
            octets: QUEUED * Record::LIMIT,
        },
        receive: QueueLimit {
            messages: SUBSCRIPTIONS,
            octets: 64 << 10,
        },
        limits: Limits {
            frame_octets: 4 << 10,
            message_octets: 4 << 10,
            message_frames: 1,
            ..Limits::default()
        },
        subscriptions: SubscriptionLimit {
            prefixes: SUBSCRIPTIONS,
            octets: 16 << 10,
        },
        links: 1,
        ..SocketConfig::default()
    }
}

impl Companion for Log {
    fn hear(&mut self, now: Instant, event: &Event, around: &mut Around<'_>) {
        let met = match event {
            Event::Enter { peer } => Met::of(around.stack, peer.id),
            _ => None,
        };
        // LOG-28
        self.logger.set_time(now, since_1970());
        self.logger.handle_event(now, event, met.as_ref());
    }

    fn turn(&mut self, now: Instant, around: &mut Around<'_>) {
        self.logger.handle_timeout(now);
        self.act(around);
    }

    fn deadline(&self) -> Option<Instant> {
        self.logger.poll_timeout().map(|(at, _)| at)
    }

    fn stop(&mut self, now: Instant, _goodbye: bool, around: &mut Around<'_>) {
        // LOG-23
        self.log(now, |logger| logger.handle_stop(now), around);
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Driver {
    /// Says something to the collectors of log records. Nothing happens when the node does not log.
    pub fn log(&mut self, level: Level, text: &str) {
        self.with_log(|logger, now| logger.log(now, level, text));
    }

    /// Calls the logger, if there is one.
    pub(super) fn with_log(&mut self, say: impl FnOnce(&mut Logger, Instant)) {
        self.with_companion(|now, log: &mut Log, around| {
            log.log(now, |logger| say(logger, now), around);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_can_be_dialled_at_every_address_that_it_may_have() {
        // LOG-16
        for address in ["10.0.0.2:9992", "[2001:db8::2]:9992", "[fe80::2%7]:9992"] {
            let address: SocketAddr = address.parse().unwrap();
            let publisher = SocketBuilder::<()>::new(Kind::XPub)
                .config(publisher_config())
                .connect(endpoint(address));
            let options = publisher.options().unwrap();
            assert_eq!(options.connects[0].to_string(), format!("tcp://{address}"));
        }
    }
}
