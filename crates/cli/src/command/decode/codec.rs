//! The protocols of which octets may be a message: a line each.

mod autoconf;
mod beacon;
mod gossip;
mod log;
mod once;
mod zap;
pub(super) mod zmtp;
mod zre;

use atonce::Frames;
use atonce::wire::Malformed;
use clap::ValueEnum;

use super::place;
use super::told::{Fault, Told};

/// What octets may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A beacon of ZRE: a datagram.
    Beacon,
    /// A datagram of autoconfiguration.
    Autoconf,
    /// A message of ZRE.
    Zre,
    /// A message of gossip.
    Gossip,
    /// A record of ZRE/LOG.
    Log,
    /// A message of @Once.
    Once,
    /// A message of ZAP.
    Zap,
    /// What one side of a connection of ZMTP says.
    Zmtp,
}

/// How the messages of a protocol are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// One by one, in datagrams.
    Datagrams,
    /// Over a connection of ZMTP.
    Messages,
}

/// A protocol.
#[derive(Debug)]
pub(super) struct Codec {
    /// What its messages are.
    pub(super) kind: Kind,
    /// What it is called.
    pub(super) protocol: &'static str,
    /// How they are carried.
    pub(super) carried: Carried,
    /// Whether frames begin so that they can be nothing else, well made or not.
    begins: fn(&Frames) -> bool,
    /// Reads all of them.
    read: fn(&Frames) -> Result<Told, Malformed>,
}

/// All of them; of two whose messages begin alike the first is tried.
pub(super) const CODECS: &[Codec] = &[
    Codec {
        kind: Kind::Beacon,
        protocol: "beacon",
        carried: Carried::Datagrams,
        begins: beacon::begins,
        read: beacon::read,
    },
    Codec {
        kind: Kind::Autoconf,
        protocol: "autoconf",
        carried: Carried::Datagrams,
        begins: autoconf::begins,
        read: autoconf::read,
    },
    Codec {
        kind: Kind::Zre,
        protocol: "ZRE",
        carried: Carried::Messages,
        begins: zre::begins,
        read: zre::read,
    },
    Codec {
        kind: Kind::Gossip,
        protocol: "gossip",
        carried: Carried::Messages,
        begins: gossip::begins,
        read: gossip::read,
    },
    Codec {
        kind: Kind::Log,
        protocol: "ZRE/LOG",
        carried: Carried::Messages,
        begins: log::begins,
        read: log::read,
    },
    Codec {
        kind: Kind::Once,
        protocol: "@Once",
        carried: Carried::Messages,
        begins: once::begins,
        read: once::read,
    },
    Codec {
        kind: Kind::Zap,
        protocol: "ZAP",
        carried: Carried::Messages,
        begins: zap::begins,
        read: zap::read,
    },
];

impl Codec {
    /// The one of this kind; that of connections is none.
    pub(super) fn of(kind: Kind) -> Option<&'static Self> {
        CODECS.iter().find(|codec| codec.kind == kind)
    }

    /// The one whose messages begin so.
    pub(super) fn seek(frames: &Frames, carried: Option<Carried>) -> Option<&'static Self> {
        let fits = |codec: &&Self| carried.is_none_or(|carried| codec.carried == carried);
        CODECS
            .iter()
            .filter(fits)
            .find(|codec| (codec.begins)(frames))
    }

    /// What the frames say; or what is wrong, and at which offset of all of them together.
    pub(super) fn read(&self, frames: &Frames) -> Result<Told, (usize, Fault)> {
        (self.read)(frames).map_err(|malformed| {
            let at = place::of(frames, &malformed, self.read);
            (at, Fault::of(self.protocol, &malformed))
        })
    }
}

/// Whether the first frame begins with these octets, or is the beginning of them and not nothing.
fn first_begins(frames: &Frames, with: &[u8]) -> bool {
    frames.first().is_some_and(|frame| frame.starts_with(with))
}
