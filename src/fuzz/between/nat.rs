//! One that cannot be dialled.

use core::net::{IpAddr, SocketAddr};

use super::wire::End;
use super::{Answer, World, lies};
use crate::Cut;
use crate::wire::zmtp::Identity;

/// How the second node can be reached. Schedules that know of it begin with `NAT` and one octet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nat {
    /// Nobody can dial it, nor hears its beacons.
    hidden: bool,
    /// What it dials comes from another address than its own.
    translated: bool,
    /// Who is where it says that it lives.
    there: There,
    /// The application of the other node, or a beacon, said to look for it where it is not.
    pub(super) sought: bool,
}

#[derive(Clone, Copy, Debug)]
enum There {
    Nobody,
    /// No answer.
    Silence,
    /// A mailbox that does not say whose it is.
    Stranger,
    /// A mailbox that says that it is of somebody else.
    Mallory,
}

impl Nat {
    pub(super) fn read(schedule: &[u8]) -> (Option<Self>, &[u8]) {
        let Some((octet, schedule)) = schedule.strip_prefix(b"NAT").and_then(<[u8]>::split_first)
        else {
            return (None, schedule);
        };
        let there = match octet >> 2 & 3 {
            0 => There::Nobody,
            1 => There::Silence,
            2 => There::Stranger,
            _ => There::Mallory,
        };
        let nat = Self {
            hidden: octet & 1 != 0,
            translated: octet & 2 != 0,
            there,
            sought: false,
        };
        (Some(nat), schedule)
    }
}

impl World {
    /// Whether nobody can dial this node.
    pub(super) fn is_hidden(&self, who: usize) -> bool {
        who == 1 && self.nat.is_some_and(|nat| nat.hidden)
    }

    /// From where the connections of this node come, whose own address is `local`.
    pub(super) fn seen_from(&self, who: usize, local: SocketAddr) -> SocketAddr {
        let mut seen = local;
        if who == 1 && self.nat.is_some_and(|nat| nat.translated) {
            seen.set_ip(IpAddr::from([203, 0, 113, 1]));
        }
        seen
    }

    /// Whether the connections to this address end where the node that listens there does not get them.
    pub(super) fn is_nowhere(&self, to: SocketAddr) -> bool {
        let network = (0..self.networks).find(|network| self.address_of(1, *network) == to);
        self.is_hidden(1) && network.is_some()
    }

    /// Whether whoever has the end of a connection to this address is to hear nothing.
    pub(super) fn is_deaf(&self, to: SocketAddr) -> bool {
        let sought = self.nat.is_some_and(|nat| nat.sought);
        self.is_nowhere(to) && !sought && !self.lied
    }

    /// What becomes of a dial to such an address: its other end, or the answer.
    pub(super) fn nowhere(&mut self) -> Result<End, Answer> {
        // Who lied in the name of a stranger there could be met by it.
        let at_peace = self.at_rest && self.lied;
        match self.nat.filter(|_| !at_peace).map(|nat| nat.there) {
            None | Some(There::Nobody) => Err(Answer::Cut(Cut::Refused)),
            Some(There::Silence) => Err(Answer::Never),
            Some(There::Stranger) => Ok(self.mailbox(Identity::default())),
            Some(There::Mallory) => {
                let identity = lies::MALLORY.identity();
                let identity = Identity::try_from(identity.as_slice());
                Ok(self.mailbox(identity.unwrap_or_default()))
            }
        }
    }
}
