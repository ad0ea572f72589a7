//! A bridge: a node on the WAN, one on the LAN, a stand-in for each peer of another LAN, and the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use atonce::curve::KeyPair;
use atonce::endpoint::Endpoint;
use atonce::once::{self, Limits, Mechanism, Role, Roles, Which, bridge, relay_address};
use atonce::wire::Headers;
use atonce::zre::{self, Beacons};
use atonce::{Config, Event, Instant, PeerId, Stack, Text};

use super::{Alarm, Contact, DIRECTED_PORT, secure};
use crate::{NodeId, Nodes, Place, Program, SegmentId};

/// What a [`Bridge`] is made of.
#[derive(Clone, Debug)]
pub struct BridgeSetup {
    /// Its identity.
    pub id: PeerId,
    /// Its name: `bridge`.
    pub name: Text,
    /// Where its local node and the stand-ins are.
    pub lan: SegmentId,
    /// Where its remote node is; the same segment for a bridge behind a router that translates addresses.
    pub wan: SegmentId,
    /// The UDP port of its remote node: 5671.
    pub beacon_port: u16,
    /// The port of the mailbox of its remote node: any.
    pub port: Option<u16>,
    /// The endpoint that is told to others instead of that mailbox.
    pub advertise: Option<Endpoint>,
    /// Which servers it seeks, and bridges.
    pub servers: Vec<Contact>,
    /// How servers and bridges may prove that they may take part.
    pub mechanisms: Vec<Mechanism>,
    /// What makes its remote node secure.
    pub keys: Option<Arc<KeyPair>>,
    /// Identities that are never shown.
    pub hidden: BTreeSet<PeerId>,
    /// What others may cost.
    pub limits: Limits,
    /// What the network may cost each of its nodes.
    pub node_limits: zre::Limits,
}

impl BridgeSetup {
    /// A bridge with this identity between these segments. It is not secure, seeks nobody and lets nobody in yet.
    pub fn new(id: PeerId, lan: SegmentId, wan: SegmentId) -> Self {
        Self {
            id,
            name: "bridge".try_into().unwrap_or_default(),
            lan,
            wan,
            beacon_port: DIRECTED_PORT,
            port: None,
            advertise: None,
            servers: Vec::new(),
            mechanisms: Vec::new(),
            keys: None,
            hidden: BTreeSet::new(),
            limits: Limits::default(),
            node_limits: zre::Limits::default(),
        }
    }
}

/// A bridge of @Once, as a program: [`Sim::start_program`](crate::Sim::start_program) starts it.
#[derive(Debug)]
pub struct Bridge {
    setup: BridgeSetup,
    running: Option<Running>,
    told: Vec<(Instant, bridge::Event)>,
    alarm: Alarm,
    most_stand_ins: usize,
}

#[derive(Debug)]
struct Running {
    machine: once::Bridge,
    remote: NodeId,
    local: NodeId,
    /// The stand-ins that were not told to end.
    stand_ins: BTreeMap<PeerId, NodeId>,
    /// The same, by node.
    of_node: BTreeMap<NodeId, PeerId>,
    /// The mailboxes of each stand-in, also of one that is about to end.
    mailboxes: BTreeMap<NodeId, Vec<SocketAddr>>,
    stopping: bool,
}

impl Bridge {
    /// One that is not started yet.
    pub const fn new(setup: BridgeSetup) -> Self {
        Self {
            setup,
            running: None,
            told: Vec::new(),
            alarm: Alarm::new(),
            most_stand_ins: 0,
        }
    }

    /// What it is made of.
    pub const fn setup(&self) -> &BridgeSetup {
        &self.setup
    }

    /// The machine, when it was started.
    pub fn machine(&self) -> Option<&once::Bridge> {
        self.running.as_ref().map(|running| &running.machine)
    }

    /// Its remote node, when it was started.
    pub fn remote(&self) -> Option<NodeId> {
        self.running.as_ref().map(|running| running.remote)
    }

    /// Its local node, when it was started.
    pub fn local(&self) -> Option<NodeId> {
        self.running.as_ref().map(|running| running.local)
    }

    /// The peers for which it has stand-ins, and their nodes.
    pub fn stand_ins(&self) -> impl Iterator<Item = (PeerId, NodeId)> {
        let running = self.running.iter();
        running.flat_map(|running| running.stand_ins.iter().map(|(id, node)| (*id, *node)))
    }

    /// The most stand-ins that it had at once.
    pub const fn most_stand_ins(&self) -> usize {
        self.most_stand_ins
    }

    /// What it told, and when.
    pub fn told(&self) -> &[(Instant, bridge::Event)] {
        &self.told
    }

    /// What it told so far, which is forgotten.
    pub fn take_told(&mut self) -> Vec<(Instant, bridge::Event)> {
        std::mem::take(&mut self.told)
    }

    /// Says goodbye to servers and bridges, ends all stand-ins, and ends.
    pub fn stop(&mut self, nodes: &mut Nodes<'_>) {
        if let Some(running) = &mut self.running {
            running.machine.stop(nodes.now());
            running.stopping = true;
        }
        self.pump(nodes);
    }

    /// Does what the machine wants, until there is nothing more to do.
    fn pump(&mut self, nodes: &mut Nodes<'_>) {
        let Some(running) = &mut self.running else {
            return;
        };
        let now = nodes.now();
        if running
            .machine
            .poll_timeout()
            .is_some_and(|(at, _)| at <= now)
        {
            running.machine.handle_timeout(now);
        }
        while let Some(action) = running.machine.poll_action() {
            running.act(nodes, &self.setup, action);
        }
        self.most_stand_ins = self.most_stand_ins.max(running.stand_ins.len());
        while let Some(event) = running.machine.poll_event() {
            self.told.push((now, event));
        }
        if running.stopping {
            for node in [running.remote, running.local] {
                nodes.with(node, |context| {
                    context.stop();
                });
            }
        }
        self.alarm
            .arm(nodes, running.machine.poll_timeout().map(|(at, _)| at));
    }
}

impl Running {
    /// The node that a machine means; `None` for a stand-in that is not there any more.
    fn node(&self, which: Which) -> Option<NodeId> {
        match which {
            Which::Remote => Some(self.remote),
            Which::Local => Some(self.local),
            Which::StandIn(id) => self.stand_ins.get(&id).copied(),
        }
    }

    /// Which of its nodes it is, as the machine calls it; `None` for a stand-in that is about to end.
    fn which(&self, node: NodeId) -> Option<Which> {
        if node == self.remote {
            Some(Which::Remote)
        } else if node == self.local {
            Some(Which::Local)
        } else {
            self.of_node.get(&node).copied().map(Which::StandIn)
        }
    }

    fn act(&mut self, nodes: &mut Nodes<'_>, setup: &BridgeSetup, action: bridge::Action) {
        let now = nodes.now();
        match action {
            bridge::Action::Whisper {
                node: which,
                peer,
                content,
            } => {
                let said = self.node(which).and_then(|node| {
                    nodes.with(node, |context| context.whisper(peer, content.clone()))
                });
                let error = match said {
                    Some(Ok(())) => return,
                    Some(Err(error)) => error,
                    None => zre::SendError::Stopped,
                };
                self.machine.handle_unsent(now, which, peer, content, error);
            }
            bridge::Action::ShoutTo {
                stand_in,
                peer,
                group,
                content,
            } => {
                let which = Which::StandIn(stand_in);
                let said = self.node(which).and_then(|node| {
                    nodes.with(node, |context| {
                        context.shout_to(peer, &group, content.clone())
                    })
                });
                let error = match said {
                    Some(Ok(())) => return,
                    Some(Err(error)) => error,
                    None => zre::SendError::Stopped,
                };
                self.machine.handle_unsent(now, which, peer, content, error);
            }
            bridge::Action::Join { node, group } => {
                if let Some(node) = self.node(node) {
                    nodes.with(node, |context| context.join(&group));
                }
            }
            bridge::Action::Leave { node, group } => {
                if let Some(node) = self.node(node) {
                    nodes.with(node, |context| context.leave(&group));
                }
            }
            bridge::Action::Start(stand_in) => self.start(nodes, setup, stand_in),
            bridge::Action::Introduce {
                stand_in,
                peer,
                key,
            } => {
                if let (Some(node), Some(address)) = (
                    self.node(Which::StandIn(stand_in)),
                    address_of(&peer.endpoint),
                ) {
                    nodes.with(node, |context| context.introduce(peer.id, address, key));
                }
            }
            bridge::Action::Retire { stand_in, goodbye } => {
                if let Some(node) = self.stand_ins.remove(&stand_in) {
                    self.of_node.remove(&node);
                    nodes.with(node, |context| {
                        if goodbye {
                            context.stop();
                        } else {
                            context.retire();
                        }
                    });
                }
            }
            bridge::Action::Connect { endpoint, key } => {
                let contact = Contact::Mailbox(endpoint, key);
                nodes.with(self.remote, |context| contact.make(context));
            }
            bridge::Action::Forget { endpoint } => {
                nodes.with(self.remote, |context| context.disconnect(&endpoint));
            }
            bridge::Action::DialRelay {
                server,
                peer,
                key,
                role,
                endpoint,
                ticket,
            } => {
                let server = nodes
                    .stack(self.remote)
                    .and_then(|stack| stack.peer(server));
                let address =
                    server.and_then(|server| relay_address(&endpoint, server.remote.ip()));
                if let Some(address) = address {
                    // It is refused by a node that stops, and then it is too late.
                    nodes.with(self.remote, |context| {
                        context.dial_relayed(peer, key, address, ticket, role)
                    });
                }
            }
            // An action that this crate does not know of: it is a part of the same workspace.
            _ => debug_assert!(false, "{action:?}"),
        }
    }

    fn start(&mut self, nodes: &mut Nodes<'_>, setup: &BridgeSetup, stand_in: bridge::StandIn) {
        let bridge::StandIn {
            id,
            name,
            headers,
            groups,
        } = stand_in;
        let config = Config {
            uuid: Some(id),
            name: Some(name),
            headers,
            beacons: Beacons::Say,
            limits: setup.node_limits.clone(),
            ..Config::default()
        };
        let place = Place {
            segments: Some(vec![setup.lan]),
            ..Place::default()
        };
        let node = nodes.start(&place, config);
        let endpoints = nodes.stack(node).into_iter().flat_map(Stack::endpoints);
        let mailboxes: Vec<_> = endpoints.filter_map(|it| address_of(&it)).collect();
        for mailbox in &mailboxes {
            nodes.with(self.local, |context| context.ignore(*mailbox));
        }
        self.mailboxes.insert(node, mailboxes);
        nodes.with(node, |context| {
            for group in &groups {
                context.join(group);
            }
        });
        if let Some(before) = self.stand_ins.insert(id, node) {
            self.of_node.remove(&before);
            debug_assert!(false, "two stand-ins of {id}");
        }
        self.of_node.insert(node, id);
    }
}

/// The address in an endpoint.
fn address_of(endpoint: &Text) -> Option<SocketAddr> {
    let text = endpoint.to_str_lossy();
    text.strip_prefix("tcp://")?.parse().ok()
}

impl Program for Bridge {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let setup = &self.setup;
        let config = |beacons, beacon: Option<u16>| {
            let mut headers = Headers::default();
            let roles = Roles {
                role: Role::Bridge,
                beacon,
                relay: false,
            };
            roles.put(&mut headers);
            Config {
                uuid: Some(setup.id),
                name: Some(setup.name.clone()),
                headers,
                beacons,
                limits: setup.node_limits.clone(),
                ..Config::default()
            }
        };
        let remote = nodes.start(
            &Place {
                segments: Some(vec![setup.wan]),
                port: setup.port,
                beacon_port: Some(setup.beacon_port),
            },
            Config {
                advertise: setup.advertise.clone(),
                duplex: true,
                curve: secure(setup.keys.as_ref()),
                ..config(Beacons::Directed, Some(setup.beacon_port))
            },
        );
        let local = nodes.start(
            &Place {
                segments: Some(vec![setup.lan]),
                ..Place::default()
            },
            config(Beacons::Both, None),
        );
        let seed = nodes.chance().seed();
        let machine = once::Bridge::new(
            nodes.now(),
            seed,
            bridge::Config {
                id: setup.id,
                key: setup.keys.as_ref().map(|keys| *keys.public()),
                local_key: None,
                mechanisms: setup.mechanisms.clone(),
                hidden: setup.hidden.clone(),
                limits: setup.limits.clone(),
            },
        );
        for server in &setup.servers {
            nodes.with(remote, |context| server.make(context));
        }
        self.running = Some(Running {
            machine,
            remote,
            local,
            stand_ins: BTreeMap::new(),
            of_node: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            stopping: false,
        });
        self.pump(nodes);
    }

    fn on_event(&mut self, nodes: &mut Nodes<'_>, node: NodeId, event: Event) {
        let key = super::key_of(nodes, node, &event);
        let Some(running) = &mut self.running else {
            return;
        };
        if event == Event::Stopped
            && let Some(mailboxes) = running.mailboxes.remove(&node)
        {
            // Whoever has this port next is somebody else.
            for mailbox in mailboxes {
                nodes.with(running.local, |context| context.heed(mailbox));
            }
        }
        if let Some(which) = running.which(node) {
            let now = nodes.now();
            running.machine.handle_event(now, which, event, key);
        }
        self.pump(nodes);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, token: u64) {
        if self.alarm.rings(token) {
            self.pump(nodes);
        }
    }

    fn wants(&self, node: NodeId) -> bool {
        let running = self.running.as_ref();
        running.is_none_or(|running| {
            let which = running.which(node);
            which.is_none_or(|which| running.machine.wants(which))
        })
    }
}
