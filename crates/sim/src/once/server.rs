//! A server: one node, and the machine.

use std::sync::Arc;
use std::time::Duration;

use atonce::curve::KeyPair;
use atonce::once::{self, Limits, Mechanism, Role, Roles, relay, server};
use atonce::wire::Headers;
use atonce::zre::Beacons;
use atonce::{Config, Event, Instant, PeerId, Text};

use super::{Alarm, DIRECTED_PORT, secure};
use crate::{NodeId, Nodes, Place, Program};

/// What a [`Server`] is made of.
#[derive(Clone, Debug)]
pub struct ServerSetup {
    /// Its identity.
    pub id: PeerId,
    /// Its name: `server`.
    pub name: Text,
    /// The port of its mailbox: any.
    pub port: Option<u16>,
    /// The port of its relay, at the address of the server: there is none.
    pub relay: Option<u16>,
    /// How bridges may prove that they may take part.
    pub mechanisms: Vec<Mechanism>,
    /// What makes it secure.
    pub keys: Option<Arc<KeyPair>>,
    /// What others may cost.
    pub limits: Limits,
    /// How long a bridge may be silent before its node asks whether it is still there: 5 s. It is gone after six times as long.
    pub patience: Duration,
}

impl ServerSetup {
    /// A server with this identity that is not secure and lets nobody in yet.
    pub fn new(id: PeerId) -> Self {
        Self {
            id,
            name: "server".try_into().unwrap_or_default(),
            port: None,
            relay: None,
            mechanisms: Vec::new(),
            keys: None,
            limits: Limits::default(),
            patience: Config::default().evasive_timeout,
        }
    }
}

/// A server of @Once, as a program: [`Sim::start_program`](crate::Sim::start_program) starts it.
#[derive(Debug)]
pub struct Server {
    setup: ServerSetup,
    running: Option<Running>,
    told: Vec<(Instant, server::Event)>,
    alarm: Alarm,
}

#[derive(Debug)]
struct Running {
    machine: once::Server,
    node: NodeId,
    relay: Option<NodeId>,
    stopping: bool,
}

impl Server {
    /// One that is not started yet.
    pub const fn new(setup: ServerSetup) -> Self {
        Self {
            setup,
            running: None,
            told: Vec::new(),
            alarm: Alarm::new(),
        }
    }

    /// The machine, when it was started.
    pub fn machine(&self) -> Option<&once::Server> {
        self.running.as_ref().map(|running| &running.machine)
    }

    /// Its node, when it was started.
    pub fn node(&self) -> Option<NodeId> {
        self.running.as_ref().map(|running| running.node)
    }

    /// Its relay, when it was started and has one: [`Sim::relay`](crate::Sim::relay) knows it.
    pub fn relay(&self) -> Option<NodeId> {
        self.running.as_ref()?.relay
    }

    /// What it told, and when.
    pub fn told(&self) -> &[(Instant, server::Event)] {
        &self.told
    }

    /// Says goodbye and ends.
    pub fn stop(&mut self, nodes: &mut Nodes<'_>) {
        if let Some(running) = &mut self.running {
            running.machine.stop(nodes.now());
            running.stopping = true;
        }
        self.pump(nodes);
    }

    /// Does what the machine wants, until there is nothing more to do.
    fn pump(&mut self, nodes: &mut Nodes<'_>) {
        let Some(Running {
            machine,
            node,
            relay,
            stopping,
        }) = &mut self.running
        else {
            return;
        };
        let now = nodes.now();
        if machine.poll_timeout().is_some_and(|(at, _)| at <= now) {
            machine.handle_timeout(now);
        }
        while let Some(action) = machine.poll_action() {
            match action {
                server::Action::Whisper { peer, content } => {
                    let said = nodes.with(*node, |context| context.whisper(peer, content.clone()));
                    if let Some(Err(error)) = said {
                        machine.handle_unsent(now, peer, content, error);
                    }
                }
                server::Action::Pair { dialler, acceptor } => {
                    // When it takes no more, or has ended, those two come in vain.
                    if let Some(relay) = *relay {
                        nodes.expect(relay, dialler, acceptor);
                    }
                }
                // An action that this crate does not know of: it is a part of the same workspace.
                _ => debug_assert!(false, "{action:?}"),
            }
        }
        while let Some(event) = machine.poll_event() {
            self.told.push((now, event));
        }
        if *stopping {
            nodes.with(*node, |context| {
                context.stop();
            });
        }
        self.alarm
            .arm(nodes, machine.poll_timeout().map(|(at, _)| at));
    }
}

impl Program for Server {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let setup = &self.setup;
        let mut headers = Headers::default();
        let roles = Roles {
            role: Role::Server,
            beacon: Some(DIRECTED_PORT),
            relay: setup.relay.is_some(),
        };
        roles.put(&mut headers);
        let config = Config {
            uuid: Some(setup.id),
            name: Some(setup.name.clone()),
            headers,
            beacons: Beacons::Directed,
            duplex: true,
            evasive_timeout: setup.patience,
            expired_timeout: setup.patience * 6,
            curve: secure(setup.keys.as_ref()),
            ..Config::default()
        };
        let place = Place {
            port: setup.port,
            beacon_port: Some(DIRECTED_PORT),
            ..Place::default()
        };
        let node = nodes.start(&place, config);
        let relay = setup.relay.map(|port| {
            let place = Place {
                port: Some(port),
                ..Place::default()
            };
            nodes.start_relay(&place, relay::Limits::default())
        });
        let port = relay.and_then(|relay| nodes.port(relay));
        let seed = nodes.chance().seed();
        let machine = once::Server::new(
            nodes.now(),
            seed,
            server::Config {
                id: setup.id,
                key: setup.keys.as_ref().map(|keys| *keys.public()),
                mechanisms: setup.mechanisms.clone(),
                relay: port.map(|port| format!("tcp://*:{port}")),
                limits: setup.limits.clone(),
            },
        );
        self.running = Some(Running {
            machine,
            node,
            relay,
            stopping: false,
        });
        self.pump(nodes);
    }

    fn on_event(&mut self, nodes: &mut Nodes<'_>, node: NodeId, event: Event) {
        let key = super::key_of(nodes, node, &event);
        if let Some(running) = &mut self.running {
            running.machine.handle_event(nodes.now(), event, key);
        }
        self.pump(nodes);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, token: u64) {
        if self.alarm.rings(token) {
            self.pump(nodes);
        }
    }
}
