//! Logging over the network, as the ZeroMQ guide has it: nodes say what happens to them, and collectors hear it.
//!
//! A node logs when it is told to, with [`Builder::log`](crate::Builder::log): who comes and goes, which groups it joins, and what the application says with
//! [`Node::log`](crate::Node::log). It says so to each peer that has the header [`HEADER`], over a ZMTP connection of its own, in a secure
//! network with CURVE. A collector that is slow or gone stops nobody.
//!
//! A [`Collector`] hears it. To be found it has a node beside it:
//!
//! ```
//! use std::time::Duration;
//!
//! use atonce_std::Node;
//! use atonce_std::log::{Collector, HEADER, Level};
//!
//! let collector = Collector::builder().interface("lo").open()?;
//! let node = Node::builder().interface("lo").port(0);
//! let archive = node.clone().name("archive").service(HEADER, collector.endpoints()).start()?;
//!
//! let kitchen = node.name("kitchen").log(Level::INFO).peer(&archive.endpoints()[0]).start()?;
//! kitchen.log(Level::WARNING, "the milk boils over");
//!
//! let mut said = String::new();
//! while !said.contains("milk") {
//!     let record = collector.recv_timeout(Duration::from_secs(10)).ok_or("nothing came")??;
//!     said = record.data.to_string();
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `spec/log.md` has all of it; `atonce log` is such a collector.

use std::fmt;
use std::io::ErrorKind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use atonce::Frames;
use atonce::log::collector as core;
use atonce::wire::Text;
use atonce::zre::Event;

pub use atonce::log::HEADER;
pub use atonce::log::collector::{Counters, NoRecord, Source};
pub use atonce::log::logger::{Config, Limits};
pub use atonce::wire::log::{Event as Happened, Level, NodeTag, Record};

use crate::driver::interfaces::places;
use crate::socket::{Kind, Socket, SocketError};
use crate::{Certificate, Family, StartError, Trust};

/// Makes a [`Collector`]. Everything has a default: it hears all levels, on any free port of every interface that a node would use.
///
/// ```no_run
/// use atonce_std::log::{Collector, Level};
///
/// let collector = Collector::builder().interface("eth0").port(9992).level(Level::WARNING).open()?;
/// # Ok::<(), atonce_std::StartError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct CollectorBuilder {
    interfaces: Vec<String>,
    family: Family,
    port: u16,
    level: Option<Level>,
    security: Option<(Certificate, Trust)>,
}

impl CollectorBuilder {
    /// An interface to listen on, by name or address; can be called again for more. The same as its node is told.
    pub fn interface(mut self, interface: impl Into<String>) -> Self {
        self.interfaces.push(interface.into());
        self
    }

    /// With which versions of IP it listens: [`Both`](Family::Both). The same as its node is told.
    pub fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// The TCP port, the same on each interface; any that is free when it is not set or 0. A collector that always has the same is not
    /// mistaken for whoever had its port before.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Hears this level and those before it; others are not even sent.
    pub fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Hears only those whose keys are trusted, over CURVE. The certificate has to be that of the collector's node: nodes expect its key.
    // LOG-15
    pub fn curve(mut self, certificate: Certificate, trust: Trust) -> Self {
        self.security = Some((certificate, trust));
        self
    }

    /// Listens, at the addresses that the interfaces have now.
    ///
    /// # Errors
    ///
    /// It cannot be listened there, or there is no address.
    pub fn open(self) -> Result<Collector, StartError> {
        let beside = |source| StartError::Beside {
            what: "the collector of log records",
            source,
        };
        let mut socket = Socket::builder(Kind::Sub);
        // LOG-30
        match self.level {
            None => socket = socket.subscribe(Record::prefix(None)),
            Some(Level(most)) => {
                for level in 0..=most {
                    socket = socket.subscribe(Record::prefix(Some(Level(level))));
                }
            }
        }
        if let Some((certificate, trust)) = self.security {
            socket = socket.curve_server(certificate, trust);
        }
        let limits = atonce::zmtp::Limits {
            frame_octets: LARGEST,
            message_octets: LARGEST,
            ..atonce::zmtp::Limits::default()
        };
        let socket = socket.limits(limits).open().map_err(beside)?;
        let mut port = self.port;
        let mut endpoints = Vec::new();
        for mut address in places(&self.interfaces, self.family)? {
            address.set_port(port);
            // LOG-10
            let bound = match socket.bind(format!("tcp://{address}")) {
                Ok(bound) => bound,
                // An address that came just now, or goes, is not there for anybody.
                Err(SocketError::Listen { source, .. })
                    if source.kind() == ErrorKind::AddrNotAvailable =>
                {
                    tracing::debug!(%address, %source, "not listening there");
                    continue;
                }
                Err(error) => return Err(beside(error)),
            };
            if let Ok(bound) = bound.parse::<atonce::endpoint::Endpoint>() {
                port = bound.port;
            }
            endpoints.push(bound);
        }
        if endpoints.is_empty() {
            return Err(StartError::NoAddress);
        }
        Ok(Collector {
            endpoints,
            socket,
            heard: Mutex::new(core::Collector::new(core::Config::default())),
            begun: Instant::now(),
        })
    }
}

/// The largest message that is read, in octets. What is larger is no record, and ends the link of whoever sends it.
const LARGEST: usize = 64 << 10;

/// Hears what nodes log. [The module](self) has an example.
///
/// Every method can be called from any thread. Dropped, it listens no more.
pub struct Collector {
    socket: Socket,
    /// Where it listens: one for each address, and at least one.
    endpoints: Vec<String>,
    heard: Mutex<core::Collector>,
    begun: Instant,
}

impl Collector {
    /// One that is still to be made.
    pub fn builder() -> CollectorBuilder {
        CollectorBuilder::default()
    }

    /// Where it listens, at each of the addresses: of these the [`HEADER`] of its node is to say the one that is right for whom it meets, which
    /// [`Builder::service`](crate::Builder::service) does.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// What came next; waits for it. `None` when it is closed.
    pub fn recv(&self) -> Option<Result<Record, NoRecord>> {
        self.socket.recv().ok().map(|message| self.read(&message))
    }

    /// What came next; waits for it as long as `timeout`. `None` when nothing came in all that time, or it is closed.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Result<Record, NoRecord>> {
        let message = self.socket.recv_timeout(timeout).ok()??;
        Some(self.read(&message))
    }

    fn read(&self, message: &Frames) -> Result<Record, NoRecord> {
        let now = self.now();
        self.lock().handle_message(now, message)
    }

    /// Takes an event of its node, so that it knows who enters and can [name](Self::name) him.
    pub fn hear(&self, event: &Event) {
        let now = self.now();
        self.lock().handle_event(now, event);
    }

    /// Who that probably is, of those of whom it was told. `None`: nobody is known with this number, or several are.
    pub fn name(&self, node: NodeTag) -> Option<Text> {
        let now = self.now();
        self.lock().name(now, node).cloned()
    }

    /// How much each node said so far.
    pub fn sources(&self) -> Vec<(NodeTag, Source)> {
        let heard = self.lock();
        let sources = heard.sources();
        sources.map(|(node, source)| (node, *source)).collect()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.lock().counters()
    }

    /// How many nodes are connected.
    pub fn connected(&self) -> usize {
        self.socket.usage().peers
    }

    /// Listens no more; whoever waits for a record is told.
    pub fn close(&self) {
        self.socket.close();
    }

    fn lock(&self) -> MutexGuard<'_, core::Collector> {
        // It is whole between two calls, and none of them panics.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> atonce::Instant {
        let since = self.begun.elapsed().as_micros();
        atonce::Instant::from_micros(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}
