//! What bridges want of the nodes that they have, done as far as the network lets it be.

use std::collections::VecDeque;

use atonce::once::bridge::{Action, StandIn};
use atonce::once::{VIA, Which};
use atonce::{Frames, Peer, PeerId, SendError};

use super::{Kind, Message, Net, text};

impl Net {
    /// Gives a bridge what its nodes tell, and does what it wants.
    pub(crate) fn serve(&mut self, host: usize) {
        if !self.hosts[host].up {
            return;
        }
        loop {
            let mut quiet = true;
            let whiches: Vec<Which> = self.hosts[host].inbox.keys().copied().collect();
            for which in whiches {
                let it = &mut self.hosts[host];
                while it.bridge.wants(which)
                    && let Some(event) = it.inbox.get_mut(&which).and_then(VecDeque::pop_front)
                {
                    it.bridge.handle_event(self.now, which, event, None);
                    quiet = false;
                }
            }
            while let Some(action) = self.hosts[host].bridge.poll_action() {
                self.act(host, action);
                quiet = false;
            }
            if quiet {
                break;
            }
        }
        let it = &mut self.hosts[host];
        while let Some(event) = it.bridge.poll_event() {
            it.told.push(event);
        }
    }

    fn node_of(&self, host: usize, which: Which) -> Option<usize> {
        let host = &self.hosts[host];
        match which {
            Which::Remote => Some(host.remote),
            Which::Local => Some(host.local),
            Which::StandIn(id) => host.stand_ins.get(&id).copied(),
        }
    }

    fn act(&mut self, host: usize, action: Action) {
        match action {
            Action::Whisper {
                node,
                peer,
                content,
            } => {
                let which = node;
                let node = self.node_of(host, which).expect("a node that is there");
                let to = self.nodes[node].peers.get(&peer).map(|(to, _)| *to);
                let percent = match which {
                    Which::StandIn(_) => self.faults.client_full,
                    _ => self.faults.full,
                };
                let error = match to {
                    None => SendError::UnknownPeer,
                    Some(_) if self.chance(percent) => SendError::Full,
                    Some(to) => return self.send(node, to, Message::Whisper(content)),
                };
                self.unsent(host, which, peer, content, error);
            }
            Action::ShoutTo {
                stand_in,
                peer,
                group,
                content,
            } => {
                let which = Which::StandIn(stand_in);
                let node = self.node_of(host, which).expect("a node that is there");
                let to = self.nodes[node].peers.get(&peer);
                let member = to.filter(|(_, groups)| groups.contains(&group));
                let member = member.map(|(to, _)| *to);
                let error = match member {
                    None => SendError::NotMember,
                    Some(_) if self.chance(self.faults.client_full) => SendError::Full,
                    Some(to) => return self.send(node, to, Message::Shout(group, content)),
                };
                self.unsent(host, which, peer, content, error);
            }
            Action::Join { node, group } => {
                let node = self.node_of(host, node).expect("a node that is there");
                self.set_member(node, &group, true);
            }
            Action::Leave { node, group } => {
                let node = self.node_of(host, node).expect("a node that is there");
                self.set_member(node, &group, false);
            }
            Action::Start(stand_in) => {
                if self.chance(self.faults.not_started) {
                    self.hosts[host]
                        .bridge
                        .handle_not_started(self.now, stand_in.id);
                    // What it wants with it comes behind.
                    self.hosts[host].stand_ins.remove(&stand_in.id);
                    return;
                }
                self.start(host, stand_in);
            }
            Action::Introduce { stand_in, peer, .. } => {
                let Some(node) = self.node_of(host, Which::StandIn(stand_in)) else {
                    return;
                };
                let local = self.hosts[host].local;
                let Some((client, _)) = self.nodes[local].peers.get(&peer.id) else {
                    return;
                };
                let client = *client;
                if self.may_meet(node, client) && !self.greeted.contains(&(node, client)) {
                    self.meet(node, client);
                }
            }
            Action::Retire { stand_in, goodbye } => {
                let node = self.hosts[host].stand_ins.remove(&stand_in);
                self.end(node.expect("a stand-in that is there"), goodbye);
                self.hosts[host].inbox.remove(&Which::StandIn(stand_in));
            }
            other => self.hosts[host].connects.push(other),
        }
    }

    fn start(&mut self, host: usize, stand_in: StandIn) {
        let StandIn {
            id,
            name,
            headers,
            groups,
        } = stand_in;
        assert!(headers.get(VIA).is_some());
        let peer = Peer {
            id,
            name,
            endpoint: text("tcp://10.0.0.1:50000"),
            headers,
        };
        let lan = self.hosts[host].lan;
        let node = self.add(lan, Kind::StandIn(host), peer, groups);
        let before = self.hosts[host].stand_ins.insert(id, node);
        assert_eq!(before, None, "two stand-ins of {id}");
    }

    fn unsent(
        &mut self,
        host: usize,
        which: Which,
        peer: PeerId,
        content: Frames,
        error: SendError,
    ) {
        self.refused += 1;
        let now = self.now;
        let bridge = &mut self.hosts[host].bridge;
        bridge.handle_unsent(now, which, peer, content, error);
    }
}
