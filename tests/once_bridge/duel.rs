//! A bridge in the middle of others that are played by hand.

use std::sync::Arc;

use atonce::once::bridge::{Action, Config, Event as Told};
use atonce::once::session::{self, Heard, Output};
use atonce::once::{Bridge, Limits, Mechanism, Role, Roles, Sessions, Which};
use atonce::wire::Headers;
use atonce::wire::once::{
    Challenge, Change, Delta, Message, Part, Peer as Listed, Proof, Reason, RemoteWhisper, Roster,
    Target, V2,
};
use atonce::zre::ExitReason;
use atonce::{Event, Frames, Instant, Peer, PeerId};

use crate::net::{id, text};

/// A bridge, others that are played by hand and have proved that they may take part, and a client on the LAN.
pub(super) struct Duel {
    pub(super) now: Instant,
    pub(super) bridge: Bridge,
    pub(super) puppets: Vec<Puppet>,
    pub(super) told: Vec<Told>,
    pub(super) acts: Vec<Action>,
}

pub(super) struct Puppet {
    pub(super) peer: Arc<Peer>,
    pub(super) sessions: Sessions,
    pub(super) heard: Vec<V2>,
}

pub(super) const BRIDGE: u8 = 0xB0;
pub(super) const CLIENT: u8 = 1;

pub(super) fn declared(octet: u8, role: Role) -> Arc<Peer> {
    let mut headers = Headers::new();
    Roles {
        role,
        beacon: None,
        relay: false,
    }
    .put(&mut headers);
    Arc::new(Peer {
        id: id(octet),
        name: text("bridge"),
        endpoint: text("tcp://10.0.0.2:49152"),
        headers,
    })
}

pub(super) fn client(octet: u8) -> Arc<Peer> {
    Arc::new(Peer {
        id: id(octet),
        name: text("client"),
        endpoint: text("tcp://10.0.0.7:49152"),
        headers: Headers::new(),
    })
}

pub(super) fn listed(octet: u8, name: &str) -> Listed {
    Listed {
        uuid: id(octet),
        name: text(name),
        endpoint: None,
        key: None,
        headers: Headers::new(),
        groups: [text("G")].into(),
    }
}

impl Duel {
    /// With a puppet of role bridge or server for each of these.
    pub(super) fn new(limits: &Limits, puppets: &[(u8, Role)]) -> Self {
        let now = Instant::ZERO;
        let config = Config {
            id: id(BRIDGE),
            key: None,
            local_key: None,
            mechanisms: vec![Mechanism::Open],
            hidden: [id(66)].into(),
            limits: limits.clone(),
        };
        let mut duel = Self {
            now,
            bridge: Bridge::new(now, [7; 32], config),
            puppets: Vec::new(),
            told: Vec::new(),
            acts: Vec::new(),
        };
        duel.local(Event::Enter {
            peer: client(CLIENT),
        });
        duel.local(Event::Join {
            peer: client(CLIENT),
            group: text("G"),
        });
        duel.now = Instant::from_millis(5_000);
        duel.bridge.handle_timeout(duel.now);
        assert!(duel.bridge.is_active());
        for (octet, role) in puppets {
            let config = session::Config {
                id: id(*octet),
                key: None,
                role: *role,
                mechanisms: vec![Mechanism::Open],
                limits: limits.clone(),
            };
            duel.puppets.push(Puppet {
                peer: declared(*octet, *role),
                sessions: Sessions::new([*octet; 32], config),
                heard: Vec::new(),
            });
            duel.enter(duel.puppets.len() - 1);
        }
        duel
    }

    pub(super) fn bridges(puppets: &[u8]) -> Self {
        let puppets: Vec<_> = puppets.iter().map(|octet| (*octet, Role::Bridge)).collect();
        Self::new(&Limits::default(), &puppets)
    }

    pub(super) fn local(&mut self, event: Event) {
        let now = self.now;
        self.bridge.handle_event(now, Which::Local, event, None);
        self.pump();
    }

    pub(super) fn remote(&mut self, event: Event) {
        let now = self.now;
        self.bridge.handle_event(now, Which::Remote, event, None);
        self.pump();
    }

    /// Both sides enter.
    pub(super) fn enter(&mut self, at: usize) {
        let puppet = &mut self.puppets[at];
        let peer = puppet.peer.clone();
        puppet
            .sessions
            .handle_entered(self.now, &declared(BRIDGE, Role::Bridge), None);
        self.remote(Event::Enter { peer });
    }

    pub(super) fn exit(&mut self, at: usize) {
        let puppet = &mut self.puppets[at];
        let peer = puppet.peer.clone();
        puppet.sessions.handle_exited(self.now, id(BRIDGE));
        self.remote(Event::Exit {
            peer,
            reason: ExitReason::Expired,
        });
    }

    /// A puppet says something.
    pub(super) fn say(&mut self, at: usize, message: V2) {
        self.say_raw(at, Message::from(message).encode());
    }

    pub(super) fn say_raw(&mut self, at: usize, content: Frames) {
        let peer = self.puppets[at].peer.clone();
        self.remote(Event::Whisper { peer, content });
    }

    pub(super) fn pump(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for at in 0..self.puppets.len() {
                let puppet = &mut self.puppets[at];
                let peer = puppet.peer.clone();
                while let Some((_, output)) = puppet.sessions.poll_output() {
                    if let Output::Send(message) = output {
                        let content = Message::from(message).encode();
                        let peer = peer.clone();
                        let event = Event::Whisper { peer, content };
                        self.bridge
                            .handle_event(self.now, Which::Remote, event, None);
                        quiet = false;
                    }
                }
            }
            while let Some(action) = self.bridge.poll_action() {
                quiet = false;
                let Action::Whisper {
                    node: Which::Remote,
                    peer,
                    content,
                } = action
                else {
                    self.acts.push(action);
                    continue;
                };
                let mut puppets = self.puppets.iter_mut();
                let Some(puppet) = puppets.find(|puppet| puppet.peer.id == peer) else {
                    continue;
                };
                let us = declared(BRIDGE, Role::Bridge);
                let heard = puppet.sessions.handle_whisper(self.now, &us, None, content);
                if let Heard::V2(message) = heard {
                    puppet.heard.push(message);
                }
            }
            while let Some(event) = self.bridge.poll_event() {
                self.told.push(event);
            }
        }
    }

    pub(super) fn roster(&mut self, at: usize, epoch: u64, number: u64, peers: Vec<Listed>) {
        let roster = Roster {
            epoch,
            number,
            part: Part::WHOLE,
            peers,
        };
        self.say(at, V2::Roster(roster));
    }

    pub(super) fn change(&mut self, at: usize, epoch: u64, number: u64, change: Change) {
        self.say(
            at,
            V2::Delta(Delta {
                epoch,
                number,
                change,
            }),
        );
    }

    pub(super) fn whisper(&mut self, at: usize, epoch: u64, number: u64, from: u8, to: u8) {
        let whisper = RemoteWhisper {
            epoch,
            number,
            from: id(from),
            to: id(to),
            content: Frames::from("hello"),
        };
        self.say(at, V2::RemoteWhisper(whisper));
    }

    /// The stand-in knows the client.
    pub(super) fn reaches(&mut self, stand_in: u8) {
        let event = Event::Enter {
            peer: client(CLIENT),
        };
        let node = Which::StandIn(id(stand_in));
        self.bridge.handle_event(self.now, node, event, None);
        self.pump();
    }

    pub(super) fn shown(&mut self) -> Vec<PeerId> {
        let mut shown = std::collections::BTreeSet::new();
        for act in &self.acts {
            match act {
                Action::Start(stand_in) => assert!(shown.insert(stand_in.id)),
                Action::Retire { stand_in, .. } => assert!(shown.remove(stand_in)),
                _ => {}
            }
        }
        shown.into_iter().collect()
    }

    /// What was delivered: from whom, and whether as a shout.
    pub(super) fn delivered(&self) -> Vec<(PeerId, bool)> {
        let acts = self.acts.iter();
        acts.filter_map(|act| match act {
            Action::Whisper {
                node: Which::StandIn(from),
                ..
            } => Some((*from, false)),
            Action::ShoutTo { stand_in, .. } => Some((*stand_in, true)),
            _ => None,
        })
        .collect()
    }

    pub(super) fn reasons(&mut self, at: usize) -> Vec<(Target, Reason)> {
        let heard = std::mem::take(&mut self.puppets[at].heard);
        heard
            .into_iter()
            .filter_map(|message| match message {
                V2::Undeliverable(it) => Some((it.target, it.reason)),
                _ => None,
            })
            .collect()
    }

    /// A puppet is at the local node as well, and proves there what it is. Its identity has to be the lower one.
    pub(super) fn on_the_lan(&mut self, at: usize) {
        let peer = self.puppets[at].peer.clone();
        self.local(Event::Enter { peer: peer.clone() });
        let proof = Proof::from_bytes([0; 32]);
        let challenge = Challenge {
            mechanisms: vec![text("OPEN")],
            nonce: [3; 32],
        };
        for message in [
            V2::Challenge(challenge),
            V2::Ok {
                proof,
                seconds: 600,
            },
        ] {
            let content = Message::from(message).encode();
            let peer = peer.clone();
            self.local(Event::Whisper { peer, content });
        }
    }

    /// Somebody whispers to a stand-in.
    pub(super) fn whispers(&mut self, stand_in: u8, peer: &Arc<Peer>, content: &'static str) {
        let (peer, content) = (peer.clone(), Frames::from(content));
        let event = Event::Whisper { peer, content };
        let node = Which::StandIn(id(stand_in));
        self.bridge.handle_event(self.now, node, event, None);
        self.pump();
    }

    /// What a puppet heard in whispers of the client.
    pub(super) fn whispered(&mut self, at: usize) -> Vec<Frames> {
        let heard = std::mem::take(&mut self.puppets[at].heard);
        let heard = heard.into_iter().filter_map(|message| match message {
            V2::RemoteWhisper(it) => Some(it.content),
            _ => None,
        });
        heard.collect()
    }

    /// The client shouts to a stand-in.
    pub(super) fn shouts(&mut self, stand_in: u8, content: &'static str) {
        let event = Event::Shout {
            peer: client(CLIENT),
            group: text("G"),
            content: Frames::from(content),
        };
        let node = Which::StandIn(id(stand_in));
        self.bridge.handle_event(self.now, node, event, None);
        self.pump();
    }

    /// The numbers of what a puppet heard of the client, and whether each says again what was said before.
    pub(super) fn shouted(&mut self, at: usize) -> Vec<(u64, bool)> {
        let heard = std::mem::take(&mut self.puppets[at].heard);
        let heard = heard.into_iter().filter_map(|message| match message {
            V2::RemoteShout(it) => Some((it.number, false)),
            V2::RemoteAgain(it) => Some((it.number, true)),
            _ => None,
        });
        heard.collect()
    }

    pub(super) fn retired(&self) -> Vec<(PeerId, bool)> {
        let acts = self.acts.iter().filter_map(|act| match act {
            Action::Retire { stand_in, goodbye } => Some((*stand_in, *goodbye)),
            _ => None,
        });
        acts.collect()
    }
}
