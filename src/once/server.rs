//! The server: where bridges meet.

mod leading;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use self::leading::{Leading, Way};
use super::session::{self, Heard, Output, Sessions};
use super::{Limits, Mechanism, Role, Roles};
use crate::curve::PublicKey;
use crate::endpoint::{Endpoint, Host};
use crate::wire::Text;
use crate::wire::once::{
    self as wire, Address, Code, Contact, Invitation, Message, RelayRole, Ticket, V1, V2,
};
use crate::zre::{Event as NodeEvent, SendError};
use crate::{Frames, Instant, Peer, PeerId};

/// How long changes are gathered before bridges are told of them.
const GATHER: Duration = Duration::from_millis(100);
/// When somebody is told again whose queue was full, or who asks too often.
const LATER: Duration = Duration::from_secs(1);

/// What a server is told when it is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity of its node.
    pub id: PeerId,
    /// The key of its node, when that is secure.
    pub key: Option<PublicKey>,
    /// How bridges may prove that they may take part, the best one first. With [`Mechanism::Open`] plain peers are answered in version 1 as well.
    pub mechanisms: Vec<Mechanism>,
    /// Where bridges reach the relay, if there is one: `tcp://ADDRESS:PORT`; the address may be `*`, the server's own, and is no
    /// host name. At most 255 octets; what is longer is no relay.
    pub relay: Option<String>,
    /// What others may cost.
    pub limits: Limits,
}

/// What a server wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The node is to whisper this. When it refuses, answer with [`Server::handle_unsent`].
    Whisper {
        /// To whom.
        peer: PeerId,
        /// What.
        content: Frames,
    },
    /// The relay is to join the two who come with these tickets.
    Pair {
        /// Of who dials.
        dialler: Ticket,
        /// Of who accepts.
        acceptor: Ticket,
    },
}

/// What a server tells whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A bridge proved that it may take part.
    Enter {
        /// Which.
        bridge: PeerId,
        /// Under which mechanism.
        mechanism: &'static str,
    },
    /// A bridge is gone.
    Exit {
        /// Which.
        bridge: PeerId,
    },
    /// Two bridges were told how to come to each other over the relay.
    Led {
        /// Who asked, and will dial.
        dialler: PeerId,
        /// Who will accept.
        acceptor: PeerId,
    },
    /// Somebody was refused, or refused us. Of one peer told ten times at once, and then once a second.
    Refused {
        /// Who.
        peer: PeerId,
        /// Why.
        code: Code,
        /// Whether it is we who were refused.
        us: bool,
    },
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// A proof takes too long, or is to be renewed.
    Session,
    /// Bridges are to be told who is there.
    Contacts,
}

/// The machine of a server.
///
/// It tells each bridge that proved that it may take part which others there are, again whenever that changed. It keeps nothing of
/// peers that neither say that they are bridges nor say anything of @Once, and passes nothing on that they say.
///
/// ```
/// use atonce::once::server::{Action, Config, Event, Server};
/// use atonce::once::{Limits, Mechanism, Role, Roles};
/// use atonce::wire::Headers;
/// use atonce::wire::once::{self, Authenticate, Message, Proof, V2};
/// use atonce::zre::Event as NodeEvent;
/// use atonce::{Instant, Peer, PeerId};
/// use std::sync::Arc;
///
/// let now = Instant::ZERO;
/// let mut server = Server::new(now, [7; 32], Config {
///     id: PeerId::from_bytes([1; 16]),
///     key: None,
///     mechanisms: vec![Mechanism::Open],
///     relay: None,
///     limits: Limits::default(),
/// });
///
/// // Its node says that a bridge is there.
/// let mut headers = Headers::new();
/// Roles { role: Role::Bridge, beacon: Some(5671), relay: false }.put(&mut headers);
/// let id = PeerId::from_bytes([2; 16]);
/// let endpoint = "tcp://192.0.2.7:49152".try_into()?;
/// let peer = Arc::new(Peer { id, name: "office".try_into()?, endpoint, headers });
/// server.handle_event(now, NodeEvent::Enter { peer: peer.clone() }, None);
/// let Some(Action::Whisper { content, .. }) = server.poll_action() else { panic!() };
/// let challenge = Message::decode(content, &once::Limits::default())?;
/// assert_eq!(challenge.name(), "CHALLENGE");
///
/// // A bridge has `Sessions` to answer that; under OPEN there is nothing to prove.
/// let answer = V2::Authenticate(Authenticate {
///     mechanism: "OPEN".try_into()?,
///     nonce: [4; 32],
///     proof: Proof::from_bytes([0; 32]),
/// });
/// let content = Message::from(answer).encode();
/// server.handle_event(now, NodeEvent::Whisper { peer, content }, None);
/// assert_eq!(server.poll_event(), Some(Event::Enter { bridge: id, mechanism: "OPEN" }));
/// assert!(server.bridges().eq([(id, Some(([192, 0, 2, 7], 5671).into()))]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    sessions: Sessions,
    leading: Leading,
    bridges: BTreeMap<PeerId, Bridge>,
    /// When those are told who is there that are to be told.
    contacts_at: Option<Instant>,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
}

/// A bridge that may take part.
#[derive(Debug)]
struct Bridge {
    peer: Arc<Peer>,
    key: Option<PublicKey>,
    /// It is to be told who is there.
    owed: bool,
}

impl Bridge {
    /// Where it hears beacons that are sent to it alone.
    fn beacon(&self) -> Option<SocketAddr> {
        // ONCE-73
        let port = Roles::of(&self.peer.headers)?.beacon?;
        match Endpoint::try_from(&self.peer.endpoint).ok()?.host {
            Host::Ip(address) => Some(SocketAddr::new(address, port)),
            // Whoever is told looks nothing up, and so it is told nothing.
            Host::Name(_) => None,
        }
    }

    fn contact(&self) -> Contact {
        // ONCE-73
        Contact {
            uuid: self.peer.id,
            name: self.peer.name.clone(),
            endpoint: self.peer.endpoint.clone(),
            beacon: self.beacon().map(|at| Address {
                ip: at.ip(),
                port: at.port(),
            }),
            key: self.key.map(|key| *key.as_bytes()),
        }
    }

    /// An address as version 1 has it.
    fn address(&self) -> Option<Text> {
        // ONCE-76
        let address = match self.beacon() {
            Some(beacon) => beacon.to_string(),
            None => {
                let endpoint = Endpoint::try_from(&self.peer.endpoint).ok()?.to_string();
                endpoint.trim_start_matches("tcp://").to_string()
            }
        };
        address.try_into().ok()
    }
}

impl Server {
    /// A server that knows nobody. `seed` as for [`Stack::new`](crate::Stack::new), and another one.
    pub fn new(now: Instant, seed: [u8; 32], config: Config) -> Self {
        // Nothing is due before somebody comes.
        let _ = now;
        let Config {
            id,
            key,
            mechanisms,
            relay,
            limits,
        } = config;
        let relay = relay.and_then(|endpoint| Text::try_from(endpoint).ok());
        let sessions = session::Config {
            id,
            key,
            role: Role::Server,
            mechanisms,
            limits,
        };
        Self {
            sessions: Sessions::new(seed, sessions),
            leading: Leading::new(seed, relay),
            bridges: BTreeMap::new(),
            contacts_at: None,
            actions: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Something happened at its node; `key` is that of the peer that the event is about, which a secure node has in
    /// [`PeerView::key`](crate::zre::PeerView).
    pub fn handle_event(&mut self, now: Instant, event: NodeEvent, key: Option<PublicKey>) {
        match event {
            NodeEvent::Enter { peer } => {
                // It may have exited unseen.
                self.gone(now, peer.id);
                self.sessions.handle_entered(now, &peer, key);
                self.pump(now, Some((&peer, key)));
            }
            NodeEvent::Whisper { peer, content } => {
                let heard = self.sessions.handle_whisper(now, &peer, key, content);
                self.pump(now, Some((&peer, key)));
                match heard {
                    Heard::V1(message) => self.hear_v1(now, peer.id, &message),
                    Heard::V2(message) => self.hear_v2(now, peer.id, &message),
                    Heard::Nothing => {}
                }
                self.pump(now, None);
            }
            NodeEvent::Exit { peer, .. } => {
                self.sessions.handle_exited(now, peer.id);
                self.gone(now, peer.id);
            }
            // ONCE-70: groups and all else are not what it is there for.
            _ => {}
        }
    }

    /// The node refused to whisper what an [`Action::Whisper`] was about.
    pub fn handle_unsent(&mut self, now: Instant, peer: PeerId, content: Frames, error: SendError) {
        // Whoever is not there exits, or did.
        if matches!(error, SendError::UnknownPeer | SendError::Stopped) {
            return;
        }
        self.sessions.handle_unsent(now, peer, &content);
        self.pump(now, None);
        let limits = wire::Limits::default();
        let contacts = matches!(
            Message::decode(content, &limits),
            Ok(Message::V2(V2::ListEndpoints { .. }))
        );
        if contacts {
            self.owe(now, peer, LATER);
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sessions.handle_timeout(now);
        self.pump(now, None);
        if self.contacts_at.is_some_and(|at| at <= now) {
            self.contacts_at = None;
            let owed = self.bridges.iter_mut();
            let owed = owed.filter_map(|(id, bridge)| {
                let owed = core::mem::take(&mut bridge.owed);
                owed.then_some(*id)
            });
            let owed: Vec<PeerId> = owed.collect();
            for peer in owed {
                self.tell_contacts(peer);
            }
        }
    }

    /// Tells those who are there that it ends. The node is to be stopped when all actions are done.
    pub fn stop(&mut self, now: Instant) {
        // ONCE-77
        self.sessions.stop(now);
        self.pump(now, None);
        self.bridges.clear();
        self.contacts_at = None;
    }

    /// The next thing to do, in order.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing to tell.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let session = self.sessions.poll_timeout().map(|at| (at, Timer::Session));
        let contacts = self.contacts_at.map(|at| (at, Timer::Contacts));
        [session, contacts]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// The bridges that may take part, sorted by identity, and where they hear beacons that are sent to them alone.
    pub fn bridges(&self) -> impl Iterator<Item = (PeerId, Option<SocketAddr>)> {
        let bridges = self.bridges.iter();
        bridges.map(|(id, bridge)| (*id, bridge.beacon()))
    }

    /// Takes what the sessions want and tell; `of` is the peer that was heard.
    fn pump(&mut self, now: Instant, of: Option<(&Arc<Peer>, Option<PublicKey>)>) {
        while let Some((peer, output)) = self.sessions.poll_output() {
            match output {
                Output::Send(message) => self.whisper(peer, message),
                Output::Proved { mechanism } => {
                    // A challenger is shown a proof by nobody but the peer that it just heard.
                    let Some((it, key)) = of.filter(|(it, _)| it.id == peer) else {
                        continue;
                    };
                    self.events.push_back(Event::Enter {
                        bridge: peer,
                        mechanism,
                    });
                    let bridge = Bridge {
                        peer: it.clone(),
                        key,
                        owed: false,
                    };
                    self.bridges.insert(peer, bridge);
                    self.changed(now);
                }
                Output::Over { .. } => self.gone(now, peer),
                Output::Refused { code, us } => {
                    self.events.push_back(Event::Refused { peer, code, us });
                }
            }
        }
    }

    fn whisper(&mut self, peer: PeerId, message: impl Into<Message>) {
        let content = message.into().encode();
        self.actions.push_back(Action::Whisper { peer, content });
    }

    /// Somebody may not take part any more.
    fn gone(&mut self, now: Instant, bridge: PeerId) {
        if self.bridges.remove(&bridge).is_some() {
            self.events.push_back(Event::Exit { bridge });
            self.changed(now);
        }
    }

    /// Everybody is to be told who is there.
    fn changed(&mut self, now: Instant) {
        // ONCE-72
        for bridge in self.bridges.values_mut() {
            bridge.owed = true;
        }
        self.tell_by(now + GATHER);
    }

    fn owe(&mut self, now: Instant, peer: PeerId, after: Duration) {
        if let Some(bridge) = self.bridges.get_mut(&peer) {
            bridge.owed = true;
            self.tell_by(now + after);
        }
    }

    fn tell_by(&mut self, at: Instant) {
        let sooner = self.contacts_at.map_or(at, |before| before.min(at));
        self.contacts_at = Some(sooner);
    }

    /// Those whom a peer may want to meet: all bridges but itself.
    fn others(&self, asker: PeerId) -> impl Iterator<Item = &Bridge> {
        // ONCE-71
        let others = self.bridges.iter().filter(move |(id, _)| **id != asker);
        let most = wire::Limits::default().endpoints;
        others.map(|(_, bridge)| bridge).take(most)
    }

    fn tell_contacts(&mut self, peer: PeerId) {
        let contacts = self.others(peer).map(Bridge::contact).collect();
        self.whisper(peer, V2::ListEndpoints { contacts });
    }

    fn hear_v1(&mut self, now: Instant, peer: PeerId, message: &V1) {
        let answered = *message == V1::GetEndpoints && self.sessions.may_answer(now, peer);
        if !answered {
            return;
        }
        let mechanisms = &self.sessions.config().mechanisms;
        if mechanisms.contains(&Mechanism::Open) {
            // ONCE-75
            let endpoints = self.others(peer).filter_map(Bridge::address).collect();
            self.whisper(peer, V1::ListEndpoints { endpoints });
        } else {
            // ONCE-75: version 1 has no way to say no.
            self.events.push_back(Event::Refused {
                peer,
                code: Code::UNAUTHENTICATED,
                us: false,
            });
        }
    }

    fn hear_v2(&mut self, now: Instant, peer: PeerId, message: &V2) {
        match message {
            // ONCE-74
            V2::GetEndpoints if self.sessions.may_answer(now, peer) => {
                if let Some(bridge) = self.bridges.get_mut(&peer) {
                    bridge.owed = false;
                }
                self.tell_contacts(peer);
            }
            V2::GetEndpoints => self.owe(now, peer, LATER),
            V2::Relay { uuid } => self.lead(now, peer, *uuid),
            // Nothing was asked of it that it could be about.
            V2::Nope(_) => {}
            // ONCE-70: it is no bridge, and passes nothing on.
            other => self
                .sessions
                .refuse(now, peer, other.id(), Code::UNEXPECTED),
        }
    }
}

impl Server {
    /// A bridge asks for a way to another.
    // ONCE-126
    fn lead(&mut self, now: Instant, asker: PeerId, to: PeerId) {
        let has_key = |id| {
            let bridge = self.bridges.get(&id);
            bridge.is_some_and(|bridge| bridge.key.is_some())
        };
        let is_there = asker != to && has_key(asker) && has_key(to);
        match self.leading.way(now, asker, to, is_there) {
            Ok(Way {
                endpoint,
                dialler,
                acceptor,
            }) => {
                // First, so that nobody comes who is not expected.
                self.actions.push_back(Action::Pair { dialler, acceptor });
                for (peer, uuid, role, ticket) in [
                    (asker, to, RelayRole::Dial, dialler),
                    (to, asker, RelayRole::Accept, acceptor),
                ] {
                    let endpoint = endpoint.clone();
                    let invitation = Invitation {
                        uuid,
                        role,
                        endpoint,
                        ticket,
                    };
                    self.whisper(peer, V2::Ticket(invitation));
                }
                self.events.push_back(Event::Led {
                    dialler: asker,
                    acceptor: to,
                });
            }
            Err(code) => {
                let about = V2::Relay { uuid: to }.id();
                self.sessions.refuse(now, asker, about, code);
            }
        }
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Server {
    /// What holds between any two inputs.
    pub(crate) fn check(&self) {
        self.sessions.check();
        let proved: Vec<PeerId> = self.sessions.proved().collect();
        assert!(
            self.bridges.keys().eq(&proved),
            "{:?} {proved:?}",
            self.bridges.keys()
        );
    }
}
