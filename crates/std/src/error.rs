//! Why a node does not start, in words that say what to do.

use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use atonce::curve::InvalidKey;
use atonce::endpoint::InvalidEndpoint;
use atonce::wire::TooLong;
use atonce::zre;

use crate::socket::SocketError;

/// Why nobody is contacted. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It is not of the form `tcp://HOST:PORT`, or in a secure network `tcp://HOST:PORT|KEY`.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// What stands behind `|` is no public key.
    #[error("behind |: {0}")]
    Key(#[from] InvalidKey),
    /// The node does not contact it.
    #[error(transparent)]
    Node(#[from] zre::ConnectError),
}

/// Why a node does not go to a hub of gossip. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Its key lacks or is none, or is given to a node that is not secure, or the node is stopped.
    #[error(transparent)]
    Contact(#[from] ConnectError),
    /// It is not of the form `tcp://HOST:PORT`, cannot be dialled, or there is no socket for it.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// Why a node was not started. No socket of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name is longer than the protocol allows.
    #[error("the name of the node: {0}")]
    Name(#[source] TooLong),
    /// A header's name or value is longer than the protocol allows.
    #[error("the header {name:?}: {source}")]
    Header {
        /// The name of the header.
        name: String,
        /// What is too long.
        source: TooLong,
    },
    /// A group's name is longer than the protocol allows.
    #[error("the group {group:?}: {source}")]
    Group {
        /// The name of the group.
        group: String,
        /// What is too long.
        source: TooLong,
    },
    /// An endpoint is not of the form `tcp://host:port`.
    #[error("{endpoint:?} is not an endpoint: {source}")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        source: InvalidEndpoint,
    },
    /// A peer cannot be contacted.
    #[error("{endpoint:?} cannot be contacted: {source}")]
    Contact {
        /// What was given.
        endpoint: String,
        /// Why not.
        source: ConnectError,
    },
    /// The certificate of the node has no secret key.
    #[error(
        "the certificate has the public key only: a secure node needs the secret one, which `Certificate::load` finds in FILE_secret"
    )]
    NoSecretKey,
    /// The endpoint to advertise has a host name, which peers do not look up.
    #[error("{endpoint} cannot be advertised: peers do not look names up, give an address")]
    AdvertisedName {
        /// What was given.
        endpoint: String,
    },
    /// The TCP ports begin behind their end.
    #[error(
        "the range of TCP ports {}-{} is empty: give the lower one first",
        ports.start(),
        ports.end()
    )]
    NoPorts {
        /// What was given.
        ports: RangeInclusive<u16>,
    },
    /// This machine has no such interface or address.
    #[error("there is no interface {wanted:?} on this machine; there is: {present}")]
    UnknownInterface {
        /// What was asked for.
        wanted: String,
        /// What this machine has.
        present: String,
    },
    /// The mailbox cannot be bound.
    #[error(
        "cannot listen on {} of {interface} ({address}): {source}{}",
        describe(ports),
        advice(ports, source)
    )]
    Mailbox {
        /// The interface.
        interface: String,
        /// Its address.
        address: IpAddr,
        /// The ports that were tried; `0..=0` stands for any.
        ports: RangeInclusive<u16>,
        /// What the operating system said of the last.
        source: io::Error,
    },
    /// Beacons are to go to an address that is no multicast group.
    #[error(
        "{address} is no multicast group: those are 224.0.0.0 to 239.255.255.255, and the addresses that begin with ff"
    )]
    NoGroup {
        /// The address.
        address: IpAddr,
    },
    /// Nothing can listen for beacons.
    #[error(
        "cannot listen for beacons on UDP port {port}: {source}; end the program that holds the port for itself, or \
         choose another port for all nodes, or 0 for no beacons"
    )]
    BeaconPort {
        /// The port.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
    /// A directed node cannot have the port on which it is to hear for itself.
    #[error(
        "cannot have UDP port {port}, to which others send beacons, for this node alone: {source}; end the program that uses \
         it, or choose another port, or 0 for any that is free"
    )]
    DirectedPort {
        /// The port; 0 stands for any.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
    /// A socket that the node is to have beside its mailbox cannot be made, bound or connected.
    #[error("{what}: {source}")]
    Beside {
        /// What it is for.
        what: &'static str,
        /// Why not.
        source: SocketError,
    },
    /// A collector of log records is to listen, and no interface that it may use has an address.
    #[error("no interface has an address to listen at")]
    NoAddress,
    /// The operating system does not tell its interfaces.
    #[error("cannot list the interfaces of this machine: {0}")]
    Interfaces(#[source] io::Error),
    /// The operating system has no poller, thread or descriptor left for the node.
    #[error("the operating system refused {what}: {source}")]
    System {
        /// What was wanted from it.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// A server or a bridge is asked to let everybody in, without that being said.
    #[error(
        "nothing says who may take part: give a secret, or a certificate and whose keys are trusted (any is everybody), or say \
         that it is open to everybody"
    )]
    NobodyAsked,
    /// A secure bridge is to contact a mailbox, and does not know whose.
    #[error(
        "{endpoint}: here everything is encrypted, so the key of who is there is needed: give its HOST (and UDP port), where \
         beacons tell the key, or tcp://HOST:PORT|KEY"
    )]
    ServerKey {
        /// What was given.
        endpoint: String,
    },
    /// An asynchronous node was started where no runtime runs.
    #[error("no asynchronous runtime runs here: start the node within one")]
    NoRuntime,
}

fn describe(ports: &RangeInclusive<u16>) -> String {
    match (ports.start(), ports.end()) {
        (0, 0) => "any TCP port".to_owned(),
        (first, last) if first == last => format!("TCP port {first}"),
        (first, last) => format!("any of the TCP ports {first}-{last}"),
    }
}

fn advice(ports: &RangeInclusive<u16>, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse if ports.start() == ports.end() => {
            "; choose another port, or a range of them, or none for any that is free"
        }
        io::ErrorKind::AddrInUse => "; choose a wider range, or none for any port that is free",
        io::ErrorKind::PermissionDenied => "; choose ports from 1024 on",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_named_with_a_way_out() {
        let error = StartError::Mailbox {
            interface: "eth0".into(),
            address: [10, 0, 0, 1].into(),
            ports: 5000..=5000,
            source: io::Error::from(io::ErrorKind::AddrInUse),
        };
        assert_eq!(
            error.to_string(),
            "cannot listen on TCP port 5000 of eth0 (10.0.0.1): address in use; choose another port, or a range of \
             them, or none for any that is free"
        );
    }
}
