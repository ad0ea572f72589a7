//! Why a server is not announced, or no servers are sought.

use std::io;

use atonce::wire::autoconf::{InvalidOffer, InvalidServiceName};

/// Why a server is not announced, or why none are sought. No socket of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AutoconfError {
    /// The name of the service cannot be one.
    #[error("the service {name:?}: {source}")]
    Service {
        /// What was given.
        name: String,
        /// What is wrong with it.
        source: InvalidServiceName,
    },
    /// An endpoint is not of the form `tcp://ADDRESS:PORT`.
    #[error(
        "{endpoint:?} cannot be announced: expected tcp://ADDRESS:PORT or tcp://*:PORT, an address and no name, with the port that was bound"
    )]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// What the server has to say cannot be announced.
    #[error("this cannot be announced: {0}")]
    Offer(#[from] InvalidOffer),
    /// A property is too long.
    #[error("the property {name:?} is longer than 255 octets, or its value is")]
    Property {
        /// Its name.
        name: String,
    },
    /// This machine has no such interface or address.
    #[error("there is no interface {wanted:?} on this machine; there is: {present}")]
    UnknownInterface {
        /// What was asked for.
        wanted: String,
        /// What this machine has.
        present: String,
    },
    /// All ways to say and hear something are off.
    #[error("neither IPv4 nor IPv6 nor broadcast is on, so that nobody could be heard")]
    NoWay,
    /// Nothing can be heard at the port.
    #[error(
        "cannot listen for announcements on UDP port {port}: {source}; end the program that holds the port for itself, or choose \
         another port for all who are to find each other"
    )]
    Port {
        /// The port.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system does not tell its interfaces.
    #[error("cannot list the interfaces of this machine: {0}")]
    Interfaces(#[source] io::Error),
    /// The operating system has no poller, thread or randomness left.
    #[error("the operating system refused {what}: {source}")]
    System {
        /// What was wanted from it.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// An asynchronous one was started where no runtime runs.
    #[error("no asynchronous runtime runs here: start it within one")]
    NoRuntime,
}
