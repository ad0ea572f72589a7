//! What the tester is told.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use atonce::Config;

use super::faults::{FaultSet, InvalidFault, Kind};
use crate::{Odds, Quality, Tcp};

/// What the crowd is, and what happens to it.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes there can be: 10.
    pub nodes: usize,
    /// For how long things happen: a minute. After it comes the time to settle.
    pub duration: Duration,
    /// What decides everything: 1.
    pub seed: u64,
    /// Whether nodes start and stop: one every half to one second, so that half of them are alive on average. Otherwise all
    /// are started within the first second (a large crowd within 10 ms for each) and stay.
    pub toggle: bool,
    /// Whether they talk, join and leave.
    pub chatter: bool,
    /// The generation of what is shouted each second, 1 to 3: unless said, by chance. What is of the third is not answered,
    /// so that each generation less multiplies the number of messages by a third of the size of the group. By chance a shout
    /// to a group of n is of the second generation once in n times and of the first once in n² times: so all answers together
    /// are about half as many as what is answered, in a crowd of any size.
    pub shouts: Option<u8>,
    /// Whether they stand for leader of their groups, each of about half of them, now of these and now of those.
    pub contest: bool,
    /// Whether the network is secure: each node has keys, and lets in whoever has some. Nothing can be
    /// [swallowed](Fault::Swallow) then, since nobody on the way can tell where a message begins.
    pub curve: bool,
    /// Whether each host has an address of IPv6 as well, on the same network.
    pub dual_stack: bool,
    /// How good the network is.
    pub quality: Quality,
    /// Whether an EXIT of a node that is alive counts as something that did not hold.
    pub steadfast: bool,
    /// How the hosts' TCP behaves.
    pub tcp: Tcp,
    /// What else goes wrong: nothing.
    pub faults: Faults,
    /// The nodes' configuration; name and identity are given by the tester.
    pub config: Config,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 10,
            duration: Duration::from_secs(60),
            seed: 1,
            toggle: true,
            chatter: true,
            shouts: None,
            contest: false,
            curve: false,
            steadfast: false,
            dual_stack: false,
            quality: Quality::default(),
            tcp: Tcp::default(),
            faults: Faults::default(),
            config: Config::default(),
        }
    }
}

impl Options {
    /// How long it may take after the last fault until every node sees what is true.
    ///
    /// The worst that can have happened to a pair just before: one shuns the other's endpoint because it never answered (60 s),
    /// waits for its next try (30 s and a quarter) and for the next beacon, of which some get lost (5 intervals), and its HELLO is answered in time or not
    /// at all (30 s). A connection that hangs is noticed when the peer expires, or when TCP gives it up.
    ///
    /// ```
    /// use atonce_sim::tester::Options;
    ///
    /// assert!(Options::default().settling_time().as_secs() < 200);
    /// ```
    pub fn settling_time(&self) -> Duration {
        let hopeless = self.config.expired_timeout.max(self.tcp.patience);
        let shunned = Duration::from_secs(60) + Duration::from_millis(37_500);
        let config = &self.config;
        let hello = config.limits.hello_deadline.max(config.expired_timeout);
        hopeless + shunned + config.interval * 5 + hello
    }
}

impl Options {
    /// How long it may take, once every node sees what is true and hears all others, until each group that somebody stands for has one leader, the same for all.
    ///
    /// The worst that can have happened just before: the wave of one who is mute, which is waited for (5 s), our own (2 s) after it, and
    /// what others say of another leader (3 s, and twice as long the second time).
    pub const ELECTING_TIME: Duration = Duration::from_secs(20);
}

/// Something that goes wrong now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// The hosts are divided in two for up to 20 s, now and then for longer than nodes wait for each other.
    Partition,
    /// Nothing gets from one host to another for up to 20 s, and everything back.
    OneWay,
    /// A third of the connections of a node is reset.
    Reset,
    /// A third of the connections of a node is forgotten on the way, and nobody is told.
    Blackhole,
    /// A process is killed.
    Kill,
    /// A host loses its power.
    PowerOff,
    /// A process is killed, and a new one with another identity has its port at once.
    PortReuse,
    /// A process is killed, and comes back at once with the same identity, sometimes on another port.
    SameIdentity,
    /// An application takes no events for up to 40 s; limits and buffers are small.
    Deaf,
    /// A process reads no sockets for up to 40 s; limits and buffers are small.
    Stall,
    /// A process does not run for up to 40 s.
    Suspend,
    /// A host gets another address.
    AddressChange,
    /// A clock goes forward by up to a minute.
    ClockJump,
    /// Kernels take and give octets in small portions.
    ShortIo,
    /// Something on the way swallows a message: the sequence has a gap.
    Swallow,
    /// The radios of some hosts, or of all, stand still for up to 20 s: everything waits, and gets through at the end. The next
    /// time is not before this is over.
    Burst,
}

impl Fault {
    /// All there are.
    pub const ALL: [Self; 16] = [
        Self::Partition,
        Self::OneWay,
        Self::Reset,
        Self::Blackhole,
        Self::Kill,
        Self::PowerOff,
        Self::PortReuse,
        Self::SameIdentity,
        Self::Deaf,
        Self::Stall,
        Self::Suspend,
        Self::AddressChange,
        Self::ClockJump,
        Self::ShortIo,
        Self::Swallow,
        Self::Burst,
    ];

    /// Its name: `partition`, `one-way`, `reset`, `blackhole`, `kill`, `power-off`, `port-reuse`, `same-identity`, `deaf`,
    /// `stall`, `suspend`, `address-change`, `clock-jump`, `short-io`, `swallow` or `burst`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Reset => "reset",
            Self::Blackhole => "blackhole",
            Self::Kill => "kill",
            Self::PowerOff => "power-off",
            Self::PortReuse => "port-reuse",
            Self::SameIdentity => "same-identity",
            Self::Deaf => "deaf",
            Self::Stall => "stall",
            Self::Suspend => "suspend",
            Self::AddressChange => "address-change",
            Self::ClockJump => "clock-jump",
            Self::ShortIo => "short-io",
            Self::Swallow => "swallow",
            Self::Burst => "burst",
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
    const NAMES: &'static str = "partition, one-way, reset, blackhole, kill, power-off, port-reuse, same-identity, deaf, stall, \
                                 suspend, address-change, clock-jump, short-io, swallow and burst";
}

impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(name: &str) -> Result<Self, InvalidFault> {
        Self::named(name)
    }
}

/// What goes wrong in a run.
pub type Faults = FaultSet<Fault>;

/// How many groups there are.
pub(super) const GROUPS: usize = 10;

/// How likely a connection is hit when something hits a third of them.
pub(super) const A_THIRD: Odds = Odds::per_million(333_333);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_that_is_read() {
        let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.as_str()).collect();
        for (fault, name) in Fault::ALL.iter().zip(&names) {
            assert_eq!(name.parse(), Ok(*fault));
            assert!(Fault::NAMES.contains(name), "{name}");
        }
        assert_eq!(Faults::all().to_string(), names.join(","));
        assert!("lightning".parse::<Faults>().is_err());
    }
}
