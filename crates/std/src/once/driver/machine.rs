//! What the two machines have in common.

use std::collections::BTreeMap;
use std::fmt;

use atonce::curve::PublicKey;
use atonce::once::{Bridge, Role, Server, Which, bridge, server};
use atonce::wire::once::Ticket;
use atonce::wire::{Frames, Text};
use atonce::zre::{self, SendError};
use atonce::{Instant, PeerId};

use super::Driver;
use crate::once::{BridgeStatus, FarPeer, Member, RelayStatus, ServerStatus};

/// A machine that says what nodes are to do: [`Server`] or [`Bridge`]. For adapters, which are generic over it.
pub trait Machine: fmt::Debug + Send + Sized + 'static {
    /// What it tells.
    type Event: Clone + fmt::Debug + Send + 'static;
    /// How it is doing.
    type Status;

    #[doc(hidden)]
    fn handle_event(
        &mut self,
        now: Instant,
        node: Which,
        event: zre::Event,
        key: Option<PublicKey>,
    );
    #[doc(hidden)]
    fn handle_unsent(
        &mut self,
        now: Instant,
        node: Which,
        peer: PeerId,
        content: Frames,
        error: SendError,
    );
    #[doc(hidden)]
    fn handle_not_started(&mut self, now: Instant, stand_in: PeerId);
    #[doc(hidden)]
    fn handle_timeout(&mut self, now: Instant);
    #[doc(hidden)]
    fn stop(&mut self, now: Instant);
    #[doc(hidden)]
    fn wants(&self, node: Which) -> bool;
    #[doc(hidden)]
    fn poll_work(&mut self) -> Option<Work>;
    #[doc(hidden)]
    fn poll_event(&mut self) -> Option<Self::Event>;
    #[doc(hidden)]
    fn deadline(&self) -> Option<Instant>;
    #[doc(hidden)]
    fn note(driver: &mut Driver<Self>, event: &Self::Event);
    #[doc(hidden)]
    fn status(driver: &Driver<Self>) -> Self::Status;
}

/// What a machine wants done.
#[derive(Debug)]
pub enum Work {
    /// By a node.
    Node(bridge::Action),
    /// By the relay.
    Pair {
        /// Of who dials.
        dialler: Ticket,
        /// Of who accepts.
        acceptor: Ticket,
    },
}

/// A server or bridge that proved that it may take part.
#[derive(Clone, Debug)]
pub(super) struct Met {
    name: Option<Text>,
    role: Role,
    mechanism: &'static str,
}

impl Machine for Bridge {
    type Event = bridge::Event;
    type Status = BridgeStatus;

    fn handle_event(
        &mut self,
        now: Instant,
        node: Which,
        event: zre::Event,
        key: Option<PublicKey>,
    ) {
        self.handle_event(now, node, event, key);
    }

    fn handle_unsent(
        &mut self,
        now: Instant,
        node: Which,
        peer: PeerId,
        content: Frames,
        error: SendError,
    ) {
        self.handle_unsent(now, node, peer, content, error);
    }

    fn handle_not_started(&mut self, now: Instant, stand_in: PeerId) {
        self.handle_not_started(now, stand_in);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn stop(&mut self, now: Instant) {
        self.stop(now);
    }

    fn wants(&self, node: Which) -> bool {
        self.wants(node)
    }

    fn poll_work(&mut self) -> Option<Work> {
        self.poll_action().map(Work::Node)
    }

    fn poll_event(&mut self) -> Option<bridge::Event> {
        self.poll_event()
    }

    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout().map(|(at, _)| at)
    }

    fn note(driver: &mut Driver<Self>, event: &bridge::Event) {
        match event {
            bridge::Event::Met {
                peer,
                role,
                mechanism,
            } => {
                let met = Met {
                    name: Some(peer.name.clone()),
                    role: *role,
                    mechanism,
                };
                driver.members.insert(peer.id, met);
            }
            bridge::Event::Lost { peer } => {
                driver.members.remove(&peer.id);
            }
            bridge::Event::Enter { peer, name, bridge } => {
                let far = FarPeer {
                    id: *peer,
                    name: name.clone(),
                    bridge: *bridge,
                };
                driver.far_peers.insert(*peer, far);
            }
            bridge::Event::Exit { peer, .. } => {
                driver.far_peers.remove(peer);
            }
            _ => {}
        }
    }

    fn status(driver: &Driver<Self>) -> BridgeStatus {
        let local = driver.place(Which::Local);
        let remote = driver.place(Which::Remote);
        let stand_ins = driver.nodes.iter();
        let stand_ins = stand_ins.filter(|(_, node)| matches!(node.which, Which::StandIn(_)));
        BridgeStatus {
            active: driver.machine.is_active(),
            members: members(&driver.members, |_| None),
            far_peers: driver.far_peers.values().cloned().collect(),
            stand_ins: stand_ins.count(),
            local_peers: local.map_or(0, |node| node.driver.stack().usage().peers),
            links: driver.links(),
            descriptors: driver.taken_descriptors(),
            missed_events: driver.missed,
            counters: driver.machine.counters(),
            remote: remote.map_or_else(Default::default, |node| *node.driver.stack().counters()),
        }
    }
}

impl Machine for Server {
    type Event = server::Event;
    type Status = ServerStatus;

    fn handle_event(&mut self, now: Instant, _: Which, event: zre::Event, key: Option<PublicKey>) {
        self.handle_event(now, event, key);
    }

    fn handle_unsent(
        &mut self,
        now: Instant,
        _: Which,
        peer: PeerId,
        content: Frames,
        error: SendError,
    ) {
        self.handle_unsent(now, peer, content, error);
    }

    fn handle_not_started(&mut self, _: Instant, _: PeerId) {}

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn stop(&mut self, now: Instant) {
        self.stop(now);
    }

    fn wants(&self, _: Which) -> bool {
        true
    }

    fn poll_work(&mut self) -> Option<Work> {
        Some(match self.poll_action()? {
            server::Action::Whisper { peer, content } => Work::Node(bridge::Action::Whisper {
                node: Which::Remote,
                peer,
                content,
            }),
            server::Action::Pair { dialler, acceptor } => Work::Pair { dialler, acceptor },
            other => {
                tracing::error!(?other, "this adapter is older than the core");
                return self.poll_work();
            }
        })
    }

    fn poll_event(&mut self) -> Option<server::Event> {
        self.poll_event()
    }

    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout().map(|(at, _)| at)
    }

    fn note(driver: &mut Driver<Self>, event: &server::Event) {
        match event {
            server::Event::Enter { bridge, mechanism } => {
                let met = Met {
                    name: None,
                    role: Role::Bridge,
                    mechanism,
                };
                driver.members.insert(*bridge, met);
            }
            server::Event::Exit { bridge } => {
                driver.members.remove(bridge);
            }
            _ => {}
        }
    }

    fn status(driver: &Driver<Self>) -> ServerStatus {
        let node = driver.place(Which::Remote);
        let stack = node.map(|node| node.driver.stack());
        ServerStatus {
            members: members(&driver.members, |id| {
                let peer = stack?.peer(id)?;
                Some(peer.peer.name.clone())
            }),
            peers: stack.map_or(0, |stack| stack.usage().peers),
            links: driver.links(),
            descriptors: driver.taken_descriptors(),
            relay: driver.relay.as_ref().map(|joiner| RelayStatus {
                pairs: joiner.driver.relay().pairs().count(),
                links: joiner.driver.relay().links(),
                counters: *joiner.driver.relay().counters(),
            }),
            missed_events: driver.missed,
            node: stack.map_or_else(Default::default, |stack| *stack.counters()),
        }
    }
}

/// Those who were met; `name` is asked of those whose name was not told.
fn members(members: &BTreeMap<PeerId, Met>, name: impl Fn(PeerId) -> Option<Text>) -> Vec<Member> {
    let member = |(id, met): (&PeerId, &Met)| Member {
        id: *id,
        name: met.name.clone().or_else(|| name(*id)).unwrap_or_default(),
        role: met.role,
        mechanism: met.mechanism,
    };
    members.iter().map(member).collect()
}
