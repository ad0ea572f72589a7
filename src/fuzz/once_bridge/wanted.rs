//! What the bridge wants done: some of it is refused, and all of it is held against what there is.

use alloc::collections::BTreeSet;
use alloc::format;
use core::hash::Hasher;

use super::words::id;
use super::{CONTENT_OCTETS, Heard, OWN, ROSTER_PEERS, World};
use crate::once::bridge::Action;
use crate::once::{VIA, Which};
use crate::wire::once::{Change, Limits as WireLimits, Message, V2};
use crate::zre::SendError;
use crate::{Frames, PeerId};

impl World {
    /// Does the next thing, or refuses it in one of some ways. Whether there was one.
    pub(super) fn action(&mut self, how: u8) -> bool {
        let Some(action) = self.bridge.poll_action() else {
            return false;
        };
        self.trace.write(format!("{action:?}").as_bytes());
        let error = match how {
            0 => Some(SendError::Full),
            1 => Some(SendError::UnknownPeer),
            2 => Some(SendError::TooLarge { limit: 9 }),
            _ => None,
        };
        match action {
            Action::Whisper {
                node,
                peer,
                content,
            } => {
                if let Which::StandIn(from) = node {
                    self.delivers(from, &content);
                } else {
                    let there = self
                        .peers
                        .get(&node)
                        .is_some_and(|it| it.contains_key(&peer));
                    assert!(there || self.stopped, "{peer} is not at {node:?}");
                    if node == Which::Remote && error != Some(SendError::Full) {
                        self.heard(peer, &content, error.is_some());
                    }
                }
                if let Some(error) = error {
                    self.bridge
                        .handle_unsent(self.now, node, peer, content, error);
                    self.tell();
                }
            }
            Action::ShoutTo {
                stand_in,
                peer,
                content,
                ..
            } => {
                self.delivers(stand_in, &content);
                if let Some(error) = error {
                    let node = Which::StandIn(stand_in);
                    self.bridge
                        .handle_unsent(self.now, node, peer, content, error);
                    self.tell();
                }
            }
            Action::Start(stand_in) => {
                assert!(stand_in.headers.get(VIA).is_some());
                assert!(stand_in.headers.get("X-ONCE").is_none());
                assert!(![id(66), id(OWN)].contains(&stand_in.id));
                if how == 0 {
                    self.bridge.handle_not_started(self.now, stand_in.id);
                    self.tell();
                } else {
                    assert!(self.stand_ins.insert(stand_in.id));
                }
            }
            Action::Introduce { stand_in, .. } => assert!(self.stand_ins.contains(&stand_in)),
            Action::Join { node, .. } | Action::Leave { node, .. } => match node {
                Which::StandIn(id) => assert!(self.stand_ins.contains(&id)),
                node => assert_eq!(node, Which::Local),
            },
            Action::Retire { stand_in, .. } => {
                assert!(self.stand_ins.remove(&stand_in));
                self.peers.remove(&Which::StandIn(stand_in));
            }
            Action::Connect { key, .. } => assert!(key.is_none()),
            Action::Forget { .. } => {}
            Action::DialRelay { .. } => panic!("over a relay without a key"),
        }
        true
    }

    /// A stand-in says something to a client.
    fn delivers(&self, from: PeerId, content: &Frames) {
        assert!(self.stand_ins.contains(&from), "{from} is no stand-in");
        assert!(content.octets() <= CONTENT_OCTETS);
    }

    /// Another bridge gets something, or it is lost.
    fn heard(&mut self, bridge: PeerId, content: &Frames, lost: bool) {
        let Ok(Message::V2(message)) = Message::decode(content.clone(), &WireLimits::default())
        else {
            panic!("it says what cannot be read: {content:?}");
        };
        let told = self
            .told
            .entry(bridge)
            .or_insert_with(|| Some(Heard::default()));
        if lost {
            *told = None;
        }
        let said = match message {
            V2::Roster(roster) => {
                self.epoch = roster.epoch;
                let (index, last) = (roster.part.index(), roster.part.is_last());
                if index == 0 && !lost {
                    // All of it makes up for what was lost.
                    let before = told.take().unwrap_or_default();
                    *told = Some(Heard {
                        partial: BTreeSet::new(),
                        ..before
                    });
                }
                if let Some(heard) = told {
                    heard.partial.extend(roster.peers.iter().map(|it| it.uuid));
                    assert!(heard.partial.len() <= ROSTER_PEERS);
                    if last {
                        heard.roster = core::mem::take(&mut heard.partial);
                        heard.exact = true;
                    }
                }
                for peer in roster.peers {
                    assert_ne!(peer.uuid, id(66));
                }
                return;
            }
            V2::Delta(delta) => {
                self.epoch = delta.epoch;
                if let Some(heard) = told {
                    heard.exact |= delta.number == 1;
                    match delta.change {
                        Change::Enter(peer) => {
                            assert!(![id(66), id(OWN)].contains(&peer.uuid));
                            heard.roster.insert(peer.uuid);
                        }
                        Change::Exit { uuid } => {
                            heard.roster.remove(&uuid);
                        }
                        _ => {}
                    }
                }
                return;
            }
            V2::RemoteWhisper(whisper) => (whisper.number, Some(whisper.from)),
            V2::RemoteShout(shout) => (shout.number, Some(shout.from)),
            V2::RemoteAgain(again) => (again.number, None),
            _ => return,
        };
        let (number, from) = said;
        let last = self.numbers.insert(bridge, number);
        assert!(last < Some(number), "{number} comes after {last:?}");
        if let (Some(heard), Some(from)) = (told, from) {
            assert!(
                !heard.exact || heard.roster.contains(&from),
                "it was not told of {from}"
            );
        }
    }
}
