//! What servers and bridges say: JSON for programs, whose names and fields are a contract, and words for people.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use atonce::PeerId;
use atonce::curve::PublicKey;
use atonce::once::Role;
use atonce::wire::Text;
use atonce::wire::once::Code;
use atonce::zre;
use atonce_std::once::{BridgeStatus, Event, Member, ServerStatus, Which, bridge, server};
use serde::Serialize;

use crate::escape::escaped;
use crate::failure::Failure;
use crate::json::{self, hex};
use crate::output::Output;
use crate::paint::{self, painted};
use crate::words;

/// One line. Its `event` says which.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Line<'a> {
    /// It runs; `endpoint` is the first that servers and bridges reach it at, empty when it has none yet.
    Start {
        /// Its identity.
        #[serde(serialize_with = "hex")]
        uuid: PeerId,
        /// Its name.
        name: Cow<'a, str>,
        /// Where its mailbox is.
        endpoint: &'a str,
        /// Its public key, when it has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// A server or bridge proved that it may take part.
    Met {
        /// Who.
        #[serde(serialize_with = "hex")]
        peer: PeerId,
        /// Its name.
        name: Cow<'a, str>,
        /// `server` or `bridge`.
        role: &'static str,
        /// Under which mechanism.
        mechanism: &'a str,
    },
    /// A server or bridge that was met is gone.
    Lost {
        /// Who.
        #[serde(serialize_with = "hex")]
        peer: PeerId,
        /// Its name.
        name: Cow<'a, str>,
    },
    /// Somebody was refused.
    Refused {
        /// Who.
        #[serde(serialize_with = "hex")]
        peer: PeerId,
        /// Why, as a number of NOPE.
        code: u16,
        /// The same in words.
        text: String,
        /// Whether it is this one that was refused.
        us: bool,
    },
    /// Somebody was refused for his key, and said nothing of himself.
    #[serde(rename = "refused")]
    Stranger {
        /// The key.
        key: String,
        /// From where it came.
        address: String,
        /// Why, as a number of NOPE.
        code: u16,
        /// The same in words.
        text: String,
        /// It is not this one that was refused.
        us: bool,
    },
    /// It makes stand-ins and tells others who is on its LAN.
    Active,
    /// Another bridge of the LAN does.
    Standby {
        /// Which.
        #[serde(serialize_with = "hex")]
        bridge: PeerId,
    },
    /// A peer of another LAN is here.
    Enter {
        /// Who.
        #[serde(serialize_with = "hex")]
        peer: PeerId,
        /// Its name.
        name: Cow<'a, str>,
        /// The bridge that it is at.
        #[serde(serialize_with = "hex")]
        bridge: PeerId,
    },
    /// A peer of another LAN is not here any more.
    Exit {
        /// Who.
        #[serde(serialize_with = "hex")]
        peer: PeerId,
        /// Its name.
        name: Cow<'a, str>,
        /// The bridge that it was at.
        #[serde(serialize_with = "hex")]
        bridge: PeerId,
    },
    /// There are as many stand-ins as may be.
    TooMany {
        /// How many may be.
        limit: usize,
    },
    /// A bridge claims a peer that is elsewhere.
    Claimed {
        /// The bridge.
        #[serde(serialize_with = "hex")]
        bridge: PeerId,
        /// The peer.
        #[serde(serialize_with = "hex")]
        peer: PeerId,
        /// The bridge that the peer is at.
        #[serde(serialize_with = "hex")]
        holder: PeerId,
    },
    /// A bridge speaks for one who is not in its roster.
    NotYours {
        /// The bridge.
        #[serde(serialize_with = "hex")]
        bridge: PeerId,
        /// For whom.
        #[serde(serialize_with = "hex")]
        peer: PeerId,
    },
    /// Something did not arrive that a peer of this LAN said.
    Undeliverable {
        /// Who said it.
        #[serde(serialize_with = "hex")]
        from: PeerId,
        /// The bridge that it went to.
        #[serde(serialize_with = "hex")]
        bridge: PeerId,
        /// Why, in words.
        reason: String,
    },
    /// A bridge that a server knows cannot be met.
    OutOfReach {
        /// Which.
        #[serde(serialize_with = "hex")]
        bridge: PeerId,
    },
    /// The server led two bridges to its relay.
    Led {
        /// Who will dial.
        #[serde(serialize_with = "hex")]
        dialler: PeerId,
        /// Who will accept.
        #[serde(serialize_with = "hex")]
        acceptor: PeerId,
    },
    /// How a bridge is doing.
    #[serde(rename = "status")]
    Bridge(BridgeLine),
    /// How a server is doing.
    #[serde(rename = "status")]
    Server(ServerLine),
    /// It is stopped. The last line.
    Stop,
}

/// How a bridge is doing, in numbers.
#[derive(Debug, Serialize)]
pub(crate) struct BridgeLine {
    /// Whether it makes stand-ins.
    active: bool,
    /// Servers that it has met.
    servers: usize,
    /// Bridges that it has met.
    bridges: usize,
    /// Peers of other LANs that are here.
    far_peers: usize,
    /// Nodes that it runs for them.
    stand_ins: usize,
    /// Peers that its local node sees.
    local_peers: usize,
    /// Links of all its nodes.
    links: usize,
    /// Descriptors that it takes.
    descriptors: usize,
    /// Whispers of this LAN that went to another.
    whispers_sent: u64,
    /// Shouts of this LAN that went to another.
    shouts_sent: u64,
    /// Whispers and shouts that were delivered here, one for each receiver.
    delivered: u64,
    /// Those that were not.
    undeliverable: u64,
    /// Octets of @Once that were sent.
    octets_sent: u64,
    /// Octets of @Once that came.
    octets_received: u64,
}

/// How a server is doing, in numbers.
#[derive(Debug, Serialize)]
pub(crate) struct ServerLine {
    /// Bridges that may take part.
    bridges: usize,
    /// Peers of its node, whether they proved anything or not.
    peers: usize,
    /// Its links.
    links: usize,
    /// Descriptors that it takes.
    descriptors: usize,
    /// Pairs that its relay joins now, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    relayed: Option<usize>,
    /// Octets that its relay passed on so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    relayed_octets: Option<u64>,
}

impl From<&BridgeStatus> for BridgeLine {
    fn from(status: &BridgeStatus) -> Self {
        let of = |role| {
            let members = status.members.iter();
            members.filter(|member| member.role == role).count()
        };
        let counters = &status.counters;
        Self {
            active: status.active,
            servers: of(Role::Server),
            bridges: of(Role::Bridge),
            far_peers: status.far_peers.len(),
            stand_ins: status.stand_ins,
            local_peers: status.local_peers,
            links: status.links,
            descriptors: status.descriptors,
            whispers_sent: counters.whispers_sent,
            shouts_sent: counters.shouts_sent,
            delivered: counters.delivered,
            undeliverable: counters.undeliverable,
            octets_sent: counters.octets_sent,
            octets_received: counters.octets_received,
        }
    }
}

impl From<&ServerStatus> for ServerLine {
    fn from(status: &ServerStatus) -> Self {
        Self {
            bridges: status.members.len(),
            peers: status.peers,
            links: status.links,
            descriptors: status.descriptors,
            relayed: status.relay.map(|relay| relay.pairs),
            relayed_octets: status.relay.map(|relay| relay.counters.octets),
        }
    }
}

/// Says what happens, and remembers the names of those whom it said to be there.
pub(crate) struct Teller {
    output: Output,
    names: BTreeMap<PeerId, Text>,
    /// The endpoint that the line `start` told, until its interface is told to be up.
    told: Option<String>,
}

impl Teller {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            output: Output::new(json).timed(),
            names: BTreeMap::new(),
            told: None,
        }
    }

    /// Who it is that runs.
    pub(crate) fn start(
        &mut self,
        uuid: PeerId,
        name: &Text,
        endpoints: &[String],
        key: Option<String>,
    ) -> Result<(), Failure> {
        let endpoint = endpoints.first().map_or("", String::as_str);
        self.told = Some(endpoint.to_owned());
        let line = Line::Start {
            uuid,
            name: name.to_str_lossy(),
            endpoint,
            key: key.clone(),
        };
        self.output.line(&line, || match key {
            Some(key) => format!(
                "{}, with the key {}",
                words::start(uuid, name, endpoint),
                escaped(&key)
            ),
            None => format!(
                "{}, {}",
                words::start(uuid, name, endpoint),
                painted(paint::WARN, "without encryption")
            ),
        })
    }

    /// What happened to a bridge.
    pub(crate) fn bridge(&mut self, event: &Event<bridge::Event>) -> Result<(), Failure> {
        let Some(event) = self.common(event)? else {
            return Ok(());
        };
        match event {
            bridge::Event::Met {
                peer,
                role,
                mechanism,
            } => self.met(peer.id, &peer.name, *role, mechanism),
            bridge::Event::Lost { peer } => self.lost(peer.id),
            bridge::Event::Refused { peer, code, us } => {
                self.refused(*peer, code.0, code.to_string(), *us)
            }
            bridge::Event::Active => self.output.line(&Line::Active, || {
                painted(paint::GOOD, "active: this bridge shows who is elsewhere")
            }),
            bridge::Event::Standby { bridge } => {
                let name = self.name(*bridge);
                self.output.line(&Line::Standby { bridge: *bridge }, || {
                    format!("standby: {name} shows who is elsewhere")
                })
            }
            bridge::Event::Enter { peer, name, bridge } => {
                self.names.insert(*peer, name.clone());
                let (who, at) = (self.name(*peer), self.name(*bridge));
                let line = Line::Enter {
                    peer: *peer,
                    name: name.to_str_lossy(),
                    bridge: *bridge,
                };
                self.output
                    .line(&line, || format!("{who} is here, from {at}"))
            }
            bridge::Event::Exit { peer, bridge } => {
                let (who, at) = (self.name(*peer), self.name(*bridge));
                let name = self.names.remove(peer).unwrap_or_default();
                let line = Line::Exit {
                    peer: *peer,
                    name: name.to_str_lossy(),
                    bridge: *bridge,
                };
                self.output
                    .line(&line, || format!("{who} is gone, from {at}"))
            }
            bridge::Event::TooMany { limit } => {
                let line = Line::TooMany { limit: *limit };
                self.output.line(&line, || {
                    let told = format!("there are more peers elsewhere than the {limit} that may be shown here (--max-stand-ins)");
                    painted(paint::WARN, &told)
                })
            }
            bridge::Event::OutOfReach { bridge } => {
                let who = self.name(*bridge);
                let line = Line::OutOfReach { bridge: *bridge };
                self.output.line(&line, || {
                    let told = format!("{who} cannot be met: neither of us can dial the other, and no server led us to a relay");
                    painted(paint::WARN, &told)
                })
            }
            bridge::Event::Claimed {
                bridge,
                peer,
                holder,
            } => {
                let (who, by, at) = (self.name(*peer), self.name(*bridge), self.name(*holder));
                let line = Line::Claimed {
                    bridge: *bridge,
                    peer: *peer,
                    holder: *holder,
                };
                self.output.line(&line, || {
                    painted(paint::WARN, &format!("{by} claims {who}, who is at {at}"))
                })
            }
            bridge::Event::NotYours { bridge, peer } => {
                let (who, by) = (self.name(*peer), self.name(*bridge));
                let line = Line::NotYours {
                    bridge: *bridge,
                    peer: *peer,
                };
                self.output.line(&line, || {
                    painted(
                        paint::WARN,
                        &format!("{by} speaks for {who}, who is not there"),
                    )
                })
            }
            bridge::Event::Undeliverable {
                from,
                bridge,
                reason,
            } => {
                let (who, by) = (self.name(*from), self.name(*bridge));
                let line = Line::Undeliverable {
                    from: *from,
                    bridge: *bridge,
                    reason: reason.to_string(),
                };
                self.output.line(&line, || {
                    let told = format!("what {who} said did not arrive at {by}: {reason}");
                    painted(paint::WARN, &told)
                })
            }
            other => {
                tracing::warn!(?other, "this program is older than the library");
                Ok(())
            }
        }
    }

    /// What happened to a server; who its bridges are is in `members`.
    pub(crate) fn server(
        &mut self,
        event: &Event<server::Event>,
        members: impl FnOnce() -> Vec<Member>,
    ) -> Result<(), Failure> {
        let Some(event) = self.common(event)? else {
            return Ok(());
        };
        match event {
            server::Event::Enter { bridge, mechanism } => {
                let found = members().into_iter().find(|member| member.id == *bridge);
                let name = found.map(|member| member.name).unwrap_or_default();
                self.met(*bridge, &name, Role::Bridge, mechanism)
            }
            server::Event::Exit { bridge } => self.lost(*bridge),
            server::Event::Led { dialler, acceptor } => {
                let (one, other) = (self.name(*dialler), self.name(*acceptor));
                let line = Line::Led {
                    dialler: *dialler,
                    acceptor: *acceptor,
                };
                self.output
                    .line(&line, || format!("led {one} and {other} to the relay"))
            }
            server::Event::Refused { peer, code, us } => {
                self.refused(*peer, code.0, code.to_string(), *us)
            }
            other => {
                tracing::warn!(?other, "this program is older than the library");
                Ok(())
            }
        }
    }

    /// How a bridge is doing.
    pub(crate) fn bridge_status(&mut self, status: &BridgeStatus) -> Result<(), Failure> {
        let line = BridgeLine::from(status);
        let words = format!(
            "{}: {} servers, {} bridges; {} peers here, {} elsewhere, {} links; {} whispers and {} shouts sent, {} delivered, {} not; \
             {} octets sent, {} received",
            if line.active { "active" } else { "standby" },
            line.servers,
            line.bridges,
            line.local_peers,
            line.far_peers,
            line.links,
            line.whispers_sent,
            line.shouts_sent,
            line.delivered,
            line.undeliverable,
            line.octets_sent,
            line.octets_received,
        );
        self.output.line(&Line::Bridge(line), || words)
    }

    /// How a server is doing.
    pub(crate) fn server_status(&mut self, status: &ServerStatus) -> Result<(), Failure> {
        let line = ServerLine::from(status);
        let mut words = format!(
            "{} bridges; {} peers, {} links",
            line.bridges, line.peers, line.links
        );
        if let (Some(pairs), Some(octets)) = (line.relayed, line.relayed_octets) {
            words += &format!("; {pairs} pairs over the relay, {octets} octets so far");
        }
        self.output.line(&Line::Server(line), || words)
    }

    /// Says what both have; what is left is of one of them.
    fn common<'e, E>(&mut self, event: &'e Event<E>) -> Result<Option<&'e E>, Failure> {
        match event {
            Event::Once(event) => return Ok(Some(event)),
            Event::Node { node, event } => self.of_a_node(*node, event)?,
            Event::Stranger { key, remote, .. } => self.stranger(key, *remote)?,
            Event::Trouble(trouble) => {
                let line = json::Line::error(&**trouble);
                self.output
                    .line(&line, || painted(paint::WARN, &escaped(trouble)))?;
            }
            Event::Stopped => {
                let words = || painted(paint::FAINT, "left the network");
                self.output.line(&Line::Stop, words)?;
            }
            other => tracing::warn!("this program is older than the library: {}", kind(other)),
        }
        Ok(None)
    }

    /// Something of a node of ours, of which there may be several.
    fn of_a_node(&mut self, node: Which, event: &zre::Event) -> Result<(), Failure> {
        if let zre::Event::InterfaceUp { endpoint, .. } = event
            && node == Which::Remote
            && self
                .told
                .take_if(|told| endpoint == told.as_str())
                .is_some()
        {
            return Ok(());
        }
        let node = match node {
            Which::Remote => "remote".to_owned(),
            Which::Local => "local".to_owned(),
            Which::StandIn(id) => id.to_string(),
        };
        self.output.event_of(Some(&node), event)
    }

    fn met(
        &mut self,
        peer: PeerId,
        name: &Text,
        role: Role,
        mechanism: &str,
    ) -> Result<(), Failure> {
        self.names.insert(peer, name.clone());
        let who = self.name(peer);
        let role = match role {
            Role::Server => "server",
            Role::Bridge => "bridge",
        };
        let line = Line::Met {
            peer,
            name: name.to_str_lossy(),
            role,
            mechanism,
        };
        self.output
            .line(&line, || format!("met the {role} {who} ({mechanism})"))
    }

    fn lost(&mut self, peer: PeerId) -> Result<(), Failure> {
        let who = self.name(peer);
        let name = self.names.get(&peer).cloned().unwrap_or_default();
        let line = Line::Lost {
            peer,
            name: name.to_str_lossy(),
        };
        self.output.line(&line, || format!("{who} is gone"))
    }

    fn stranger(&mut self, key: &PublicKey, remote: SocketAddr) -> Result<(), Failure> {
        let (key, address) = (key.to_string(), remote.to_string());
        let words = format!(
            "refused {address}: its key {} is not trusted",
            escaped(&key)
        );
        let line = Line::Stranger {
            key,
            address,
            code: Code::REFUSED.0,
            text: "its key is not trusted".into(),
            us: false,
        };
        self.output.line(&line, || painted(paint::WARN, &words))
    }

    fn refused(&mut self, peer: PeerId, code: u16, text: String, us: bool) -> Result<(), Failure> {
        let who = self.name(peer);
        let words = match us {
            true => format!("{who} refused us: {text}"),
            false => format!("refused {who}: {text}"),
        };
        let line = Line::Refused {
            peer,
            code,
            text,
            us,
        };
        self.output.line(&line, || painted(paint::WARN, &words))
    }

    /// Whoever is known by name, and the UUID of who is not.
    fn name(&self, peer: PeerId) -> String {
        match self.names.get(&peer) {
            Some(name) if !name.is_empty() => painted(paint::NAME, &escaped(&name.to_str_lossy())),
            _ => painted(paint::NAME, &peer.to_string()),
        }
    }
}

/// What an event is that has no words yet.
const fn kind<E>(event: &Event<E>) -> &'static str {
    match event {
        Event::Once(_) => "of the network",
        Event::Node { .. } => "of a node",
        Event::Stranger { .. } => "a stranger",
        Event::Trouble(_) => "trouble",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn json(line: &Line<'_>) -> Value {
        serde_json::to_value(line).unwrap()
    }

    #[test]
    fn every_line_is_as_the_contract_has_it() {
        let [a, b, c] = [0xA1, 0xB2, 0xC3].map(|octet| PeerId::from_bytes([octet; 16]));
        let [at, bt, ct] = [a, b, c].map(|id| id.to_string());
        for (line, expected) in [
            (
                Line::Start {
                    uuid: a,
                    name: "cellar".into(),
                    endpoint: "tcp://10.0.0.1:49152",
                    key: Some("K".into()),
                },
                json!({"event": "start", "uuid": at, "name": "cellar", "endpoint": "tcp://10.0.0.1:49152", "key": "K"}),
            ),
            (
                Line::Met {
                    peer: a,
                    name: "meet".into(),
                    role: "server",
                    mechanism: "SECRET",
                },
                json!({"event": "met", "peer": at, "name": "meet", "role": "server", "mechanism": "SECRET"}),
            ),
            (
                Line::Lost {
                    peer: a,
                    name: "meet".into(),
                },
                json!({"event": "lost", "peer": at, "name": "meet"}),
            ),
            (
                Line::Refused {
                    peer: a,
                    code: 4,
                    text: "the proof is wrong".into(),
                    us: true,
                },
                json!({"event": "refused", "peer": at, "code": 4, "text": "the proof is wrong", "us": true}),
            ),
            (
                Line::Stranger {
                    key: "k".into(),
                    address: "10.0.0.7:49152".into(),
                    code: 6,
                    text: "its key is not trusted".into(),
                    us: false,
                },
                json!({
                    "event": "refused", "key": "k", "address": "10.0.0.7:49152", "code": 6,
                    "text": "its key is not trusted", "us": false,
                }),
            ),
            (Line::Active, json!({"event": "active"})),
            (
                Line::Standby { bridge: a },
                json!({"event": "standby", "bridge": at}),
            ),
            (
                Line::Enter {
                    peer: a,
                    name: "bob".into(),
                    bridge: b,
                },
                json!({"event": "enter", "peer": at, "name": "bob", "bridge": bt}),
            ),
            (
                Line::Exit {
                    peer: a,
                    name: "bob".into(),
                    bridge: b,
                },
                json!({"event": "exit", "peer": at, "name": "bob", "bridge": bt}),
            ),
            (
                Line::TooMany { limit: 7 },
                json!({"event": "too-many", "limit": 7}),
            ),
            (
                Line::Claimed {
                    bridge: a,
                    peer: b,
                    holder: c,
                },
                json!({"event": "claimed", "bridge": at, "peer": bt, "holder": ct}),
            ),
            (
                Line::NotYours { bridge: a, peer: b },
                json!({"event": "not-yours", "bridge": at, "peer": bt}),
            ),
            (
                Line::Undeliverable {
                    from: a,
                    bridge: b,
                    reason: "it went".into(),
                },
                json!({"event": "undeliverable", "from": at, "bridge": bt, "reason": "it went"}),
            ),
            (
                Line::OutOfReach { bridge: a },
                json!({"event": "out-of-reach", "bridge": at}),
            ),
            (
                Line::Led {
                    dialler: a,
                    acceptor: b,
                },
                json!({"event": "led", "dialler": at, "acceptor": bt}),
            ),
            (Line::Stop, json!({"event": "stop"})),
        ] {
            assert_eq!(json(&line), expected);
        }
        let server = Line::Server(ServerLine {
            bridges: 2,
            peers: 3,
            links: 6,
            descriptors: 12,
            relayed: None,
            relayed_octets: None,
        });
        assert_eq!(
            json(&server),
            json!({"event": "status", "bridges": 2, "peers": 3, "links": 6, "descriptors": 12})
        );
    }
}
