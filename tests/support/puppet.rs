//! Peers by hand: what a test has them say, and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
#[cfg(feature = "curve")]
use std::sync::Arc;

#[cfg(feature = "curve")]
use atonce::curve::KeyPair;
use atonce::wire::Beacon;
#[cfg(feature = "curve")]
use atonce::wire::LongText;
use atonce::wire::zmtp::{Identity, SocketType};
use atonce::wire::zre::{Command, Hello, Message};
use atonce::zmtp::{self, Connection};
use atonce::{Cut, Frames, PeerId};

use super::{Delivery, End, Lan, Machine, text};

/// A peer whose every word the test decides. Its ZMTP is real, and it answers PING if told to.
pub(crate) struct Puppet {
    pub(crate) id: PeerId,
    /// Its own links: dialled by it (DEALER) or accepted (ROUTER).
    pub(super) links: BTreeMap<u64, Connection>,
    pub(super) next: u64,
    /// Whose mailbox it says that its own is, as those of atonce nodes do.
    pub(crate) states: Option<PeerId>,
    /// All octets that came over each link.
    pub(crate) octets: BTreeMap<u64, Vec<u8>>,
    /// What came, decoded.
    pub(crate) heard: Vec<(u64, Message)>,
    /// Links that are gone.
    pub(crate) closed: BTreeSet<u64>,
    pub(crate) answers_pings: bool,
    /// The link on which it speaks to each node, and its next sequence.
    pub(super) speaking: BTreeMap<usize, (u64, u16)>,
    /// It is secure, and has these keys.
    #[cfg(feature = "curve")]
    pub(super) keys: Option<Arc<KeyPair>>,
}

impl Lan {
    /// A peer by hand. It says nothing by itself.
    pub(crate) fn puppet(&mut self, octet: u8) -> usize {
        let address = Self::address()(self.hosts.len());
        self.puppet_at(octet, address)
    }

    pub(crate) fn puppet_at(&mut self, octet: u8, address: SocketAddr) -> usize {
        let puppet = Puppet {
            id: PeerId::from_bytes([octet; 16]),
            links: BTreeMap::new(),
            next: 0,
            states: None,
            octets: BTreeMap::new(),
            heard: Vec::new(),
            closed: BTreeSet::new(),
            answers_pings: true,
            speaking: BTreeMap::new(),
            #[cfg(feature = "curve")]
            keys: None,
        };
        self.add(Machine::Puppet(puppet), address)
    }

    /// The puppet dials a node; the link says who it is in its ZMTP identity.
    pub(crate) fn puppet_dials(&mut self, puppet: usize, node: usize) -> u64 {
        let id = self.the_puppet(puppet).id;
        self.puppet_dials_as(puppet, node, &id.identity())
    }

    pub(crate) fn puppet_dials_as(&mut self, puppet: usize, node: usize, identity: &[u8]) -> u64 {
        let mut config = zmtp::Config::new(SocketType::Dealer);
        config.identity = Identity::try_from(identity).unwrap();
        #[cfg(feature = "curve")]
        {
            config.security = self.security_of(puppet, self.hosts[node].key);
        }
        let now = self.now;
        let address = self.hosts[node].address;
        let puppet_ = self.the_puppet(puppet);
        let key = puppet_.next;
        puppet_.next += 1;
        puppet_.links.insert(key, Connection::new(now, config));
        let from = End { host: puppet, key };
        self.push(Delivery::Dialled { from, address });
        key
    }

    /// The puppet sends a message of frames over one of its links.
    pub(crate) fn puppet_sends(&mut self, puppet: usize, link: u64, message: impl Into<Frames>) {
        let message = message.into();
        let puppet_ = self.the_puppet(puppet);
        puppet_
            .links
            .get_mut(&link)
            .expect("the link is there")
            .send(message)
            .unwrap();
        self.drain(puppet);
    }

    /// The puppet sends octets over one of its links that are no ZMTP of its own.
    pub(crate) fn puppet_sends_octets(&mut self, puppet: usize, link: u64, octets: &[u8]) {
        let to = self.wires[&End {
            host: puppet,
            key: link,
        }];
        let octets = octets.to_vec();
        self.push(Delivery::Octets { to, octets });
    }

    pub(crate) fn puppet_says(
        &mut self,
        puppet: usize,
        link: u64,
        sequence: u16,
        command: Command,
    ) {
        self.puppet_sends(puppet, link, Message { sequence, command }.encode());
    }

    pub(crate) fn puppet_closes(&mut self, puppet: usize, link: u64) {
        self.the_puppet(puppet).links.remove(&link);
        self.hang_up(
            End {
                host: puppet,
                key: link,
            },
            Cut::Closed,
        );
    }

    pub(crate) fn hello_of(&mut self, puppet: usize, name: &str) -> Hello {
        #[cfg_attr(
            not(feature = "curve"),
            expect(unused_mut, reason = "with the feature it gets a key")
        )]
        let mut hello = Hello {
            endpoint: text(&format!("tcp://{}", self.hosts[puppet].address)),
            name: text(name),
            ..Hello::default()
        };
        #[cfg(feature = "curve")]
        if let Some(key) = self.hosts[puppet].key {
            let key = LongText::try_from(key.to_string()).unwrap();
            hello.headers.insert(text("X-PUBLICKEY"), key);
        }
        hello
    }

    /// The puppet greets a node as a well-behaved peer does, and returns its link.
    pub(crate) fn puppet_greets(&mut self, puppet: usize, node: usize) -> u64 {
        let hello = self.hello_of(puppet, "puppet");
        let link = self.puppet_dials(puppet, node);
        self.puppet_says(puppet, link, 1, Command::Hello(hello));
        link
    }

    pub(crate) fn puppet_beacons(&mut self, puppet: usize, id: PeerId, port: u16) {
        #[cfg(feature = "curve")]
        let key = self.hosts[puppet].key.map(|key| *key.as_bytes());
        #[cfg(not(feature = "curve"))]
        let key = None;
        let beacon = Beacon {
            uuid: id,
            port,
            key,
        };
        let source = self.hosts[puppet].address;
        self.broadcast(puppet, source, &beacon.encode());
    }

    /// Says which link the puppet speaks on to a node, and the sequence it has reached, so that PINGs are answered.
    pub(crate) fn puppet_speaks(&mut self, puppet: usize, node: usize, link: u64, next: u16) {
        self.the_puppet(puppet).speaking.insert(node, (link, next));
    }

    /// The link on which the puppet speaks to a node.
    pub(crate) fn puppet_link(&mut self, puppet: usize, node: usize) -> u64 {
        self.the_puppet(puppet).speaking[&node].0
    }

    /// The next sequence that the puppet would use towards a node.
    pub(crate) fn puppet_next(&mut self, puppet: usize, node: usize) -> u16 {
        let (_, next) = self
            .the_puppet(puppet)
            .speaking
            .get_mut(&node)
            .expect("it speaks");
        let sequence = *next;
        *next = next.wrapping_add(1);
        sequence
    }

    pub(super) fn answer(&mut self, puppet: usize, node: Option<usize>) {
        let Some(node) = node else { return };
        let Some((link, _)) = self.the_puppet(puppet).speaking.get(&node).copied() else {
            return;
        };
        let sequence = self.puppet_next(puppet, node);
        if self.the_puppet(puppet).links.contains_key(&link) {
            self.puppet_says(puppet, link, sequence, Command::PingOk);
        }
    }

    pub(super) fn drain_puppet(&mut self, host: usize) {
        let now = self.now;
        let puppet = self.the_puppet(host);
        let mut sent = Vec::new();
        for (&key, connection) in &mut puppet.links {
            let octets: Vec<u8> = connection.poll_transmit().flatten().copied().collect();
            sent.push((key, octets));
        }
        for (key, octets) in sent {
            let end = End { host, key };
            // What is said before the connection is made waits.
            if let Some(&to) = self.wires.get(&end)
                && !octets.is_empty()
            {
                let count = octets.len();
                if let Some(connection) = self.the_puppet(host).links.get_mut(&key) {
                    connection.handle_transmitted(now, count);
                }
                self.transfer(host, to.host, Delivery::Octets { to, octets });
            }
        }
    }

    /// The puppet closes the connections that a node made to it.
    pub(crate) fn puppet_hangs_up_on(&mut self, puppet: usize, node: usize) {
        let ends: Vec<_> = self
            .wires
            .iter()
            .filter(|(a, b)| a.host == node && b.host == puppet && a.key >= (1 << 32))
            .map(|(_, b)| *b)
            .collect();
        for end in ends {
            self.the_puppet(puppet).links.remove(&end.key);
            self.hang_up(end, Cut::Closed);
        }
    }
}
