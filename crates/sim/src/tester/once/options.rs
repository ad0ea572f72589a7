//! What the tester is told.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use atonce::once::Limits;
use atonce::zre;

use super::super::faults::{FaultSet, InvalidFault, Kind};
use crate::{Odds, Quality, Tcp};

/// What the LANs are, and what happens to them.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many LANs: 4. At most 200.
    pub lans: usize,
    /// How many nodes there can be on each, beside the bridges: 5. At most 200.
    pub peers: usize,
    /// On how many of the LANs there are two bridges, from the first on: 1. With [`Admission::Keys`] on none: nothing is sealed on the
    /// LANs, and so two of one LAN could not prove there whose keys they have.
    pub doubled: usize,
    /// How many of the LANs, from the last on, are behind routers that translate addresses, with their bridges: 2. Those can dial and
    /// not be dialled: with the other LANs they have links that are used in both directions, and among each other over the relay of
    /// the server. With [`Admission::Open`] at most one is: a relay is for those who have keys.
    pub nats: usize,
    /// How bridges and the server prove that they may take part: by a secret.
    pub admission: Admission,
    /// For how long things happen: a minute. After it comes the time to settle.
    pub duration: Duration,
    /// What decides everything: 1.
    pub seed: u64,
    /// Whether nodes start, stop and move to another LAN; otherwise all are started in the beginning, and stay.
    pub toggle: bool,
    /// Whether they talk, join and leave; otherwise each joins one of the groups in the beginning.
    pub chatter: bool,
    /// Whether each host has an address of IPv6 as well, on its LAN.
    pub dual_stack: bool,
    /// How good the LANs are.
    pub lan: Quality,
    /// How good the network between them is: everything takes 20 ms, and up to 10 ms longer.
    pub wan: Quality,
    /// How the hosts' TCP behaves.
    pub tcp: Tcp,
    /// What goes wrong: nothing.
    pub faults: Faults,
    /// What bridges and the server allow others.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lans: 4,
            peers: 5,
            doubled: 1,
            nats: 2,
            admission: Admission::Secret,
            duration: Duration::from_secs(60),
            seed: 1,
            toggle: true,
            chatter: true,
            dual_stack: false,
            lan: Quality::default(),
            wan: Quality {
                delay: Duration::from_millis(20),
                jitter: Duration::from_millis(10),
                ..Quality::default()
            },
            tcp: Tcp::default(),
            faults: Faults::default(),
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// Whether a LAN is behind a router that translates addresses.
    pub(super) fn is_hidden(&self, lan: usize) -> bool {
        lan < self.lans && lan + self.hidden() >= self.lans
    }

    /// How many LANs are behind such routers.
    pub(super) fn hidden(&self) -> usize {
        let most = match self.admission {
            Admission::Open => 1,
            Admission::Secret | Admission::Keys => self.lans,
        };
        self.nats.min(self.lans).min(most)
    }

    /// How long it may take after the last fault until every node sees what is true.
    ///
    /// The worst, one behind the other: a server is sought again (30 s and some); the bridges shun each other's mailbox, wait for a link
    /// that hangs, and greet, which may take as long as in [the crowd](super::super::Options::settling_time); they refuse each other for a
    /// minute, since proofs failed while the network was bad; a bridge looks around before it is active; and the same again on the LAN, where
    /// nodes and stand-ins meet. Bridges that meet over the relay ask for it again after five minutes at the most, since they asked in
    /// vain before, and whoever is to accept may know the other by a link that hangs: then once more.
    pub fn settling_time(&self) -> Duration {
        let crowd = super::super::Options {
            tcp: self.tcp,
            ..Default::default()
        };
        let sought = Duration::from_secs(45);
        let refused = self.limits.proof_deadline + Duration::from_secs(60);
        let relayed = match self.hidden() {
            0 | 1 => Duration::ZERO,
            _ => ASKED_AGAIN * 2,
        };
        sought + crowd.settling_time() * 2 + refused + self.limits.settle * 2 + relayed
    }
}

/// The longest pause between two questions for the relay, with what one of them may take. Source: ONCE-127.
const ASKED_AGAIN: Duration = Duration::from_secs(300 + 30);

/// How bridges and servers prove that they may take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// They do not, and nothing is sealed.
    Open,
    /// By a secret that all have. Everything between them is sealed.
    #[default]
    Secret,
    /// By a list of keys. Everything between them is sealed.
    Keys,
}

impl FromStr for Admission {
    type Err = String;

    /// Reads `open`, `secret` or `keys`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(Self::Open),
            "secret" => Ok(Self::Secret),
            "keys" => Ok(Self::Keys),
            _ => Err("expected open, secret or keys".to_owned()),
        }
    }
}

/// Something that goes wrong now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// Some LANs are cut off from the others and perhaps from the server, for up to 20 s, now and then for longer than peers wait.
    WanPartition,
    /// The hosts of a LAN are divided in two for as long.
    LanPartition,
    /// A bridge is killed, and comes back within 20 s.
    BridgeKill,
    /// A bridge says goodbye and ends, and comes back within 20 s.
    BridgeStop,
    /// The host of a bridge loses its power for up to a minute.
    BridgePowerOff,
    /// A bridge does not run for up to 40 s.
    BridgeSuspend,
    /// The server is killed, with its relay, and comes back within 20 s: what was joined there is cut.
    ServerKill,
    /// A router that translates addresses forgets for whom it did.
    NatRestart,
    /// A third of the connections of a node of a bridge is reset.
    Reset,
    /// A third of the connections of a node of a bridge is forgotten on the way, and nobody is told.
    Blackhole,
    /// A node of a LAN is killed, and comes back at once as itself.
    PeerKill,
    /// The host of a node loses its power for up to a minute.
    PeerPowerOff,
    /// A node does not run for up to 40 s.
    PeerSuspend,
    /// A node is killed or stopped, and starts on another LAN at once, as itself.
    Move,
}

impl Fault {
    /// All there are.
    pub const ALL: [Self; 14] = [
        Self::WanPartition,
        Self::LanPartition,
        Self::BridgeKill,
        Self::BridgeStop,
        Self::BridgePowerOff,
        Self::BridgeSuspend,
        Self::ServerKill,
        Self::NatRestart,
        Self::Reset,
        Self::Blackhole,
        Self::PeerKill,
        Self::PeerPowerOff,
        Self::PeerSuspend,
        Self::Move,
    ];

    /// Its name: `wan-partition`, `lan-partition`, `bridge-kill`, `bridge-stop`, `bridge-power-off`, `bridge-suspend`, `server-kill`,
    /// `nat-restart`, `reset`, `blackhole`, `peer-kill`, `peer-power-off`, `peer-suspend` or `move`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WanPartition => "wan-partition",
            Self::LanPartition => "lan-partition",
            Self::BridgeKill => "bridge-kill",
            Self::BridgeStop => "bridge-stop",
            Self::BridgePowerOff => "bridge-power-off",
            Self::BridgeSuspend => "bridge-suspend",
            Self::ServerKill => "server-kill",
            Self::NatRestart => "nat-restart",
            Self::Reset => "reset",
            Self::Blackhole => "blackhole",
            Self::PeerKill => "peer-kill",
            Self::PeerPowerOff => "peer-power-off",
            Self::PeerSuspend => "peer-suspend",
            Self::Move => "move",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Kind for Fault {
    const EACH: &'static [Self] = &Self::ALL;
    const NAMES: &'static str = "wan-partition, lan-partition, bridge-kill, bridge-stop, bridge-power-off, bridge-suspend, server-kill, \
                                 nat-restart, reset, blackhole, peer-kill, peer-power-off, peer-suspend and move";
}

impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(name: &str) -> Result<Self, InvalidFault> {
        Self::named(name)
    }
}

/// What goes wrong in a run: `server-kill,move`, for instance.
pub type Faults = FaultSet<Fault>;

/// How many groups there are.
pub(super) const GROUPS: usize = 5;

/// What a node of a LAN is allowed to cost: as much as ever.
pub(super) fn node_limits(options: &Options) -> zre::Limits {
    let peers = (options.lans + 1) * (options.peers + 2);
    let usual = zre::Limits::default();
    zre::Limits {
        contacts_per_address: usual.contacts_per_address.max(peers),
        contacts: usual.contacts.max(peers),
        ..usual
    }
}

/// How likely a thing is that happens in a third of cases.
pub(super) const A_THIRD: Odds = super::super::options::A_THIRD;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lans_are_hidden_and_only_one_of_those_without_keys() {
        let hidden = |lans, nats, admission| -> Vec<usize> {
            let options = Options {
                lans,
                nats,
                admission,
                ..Options::default()
            };
            (0..lans + 1)
                .filter(|lan| options.is_hidden(*lan))
                .collect()
        };
        assert_eq!(hidden(4, 2, Admission::Secret), [2, 3]);
        assert_eq!(hidden(4, 2, Admission::Open), [3]);
        assert_eq!(hidden(3, 0, Admission::Keys), [0; 0]);
        assert_eq!(hidden(2, 9, Admission::Keys), [0, 1]);
    }

    #[test]
    fn every_fault_has_a_name_that_is_read() {
        for fault in Fault::ALL {
            assert_eq!(fault.as_str().parse(), Ok(fault));
            assert!(Fault::NAMES.contains(fault.as_str()), "{fault}");
        }
        assert!("lightning".parse::<Faults>().is_err());
    }
}
