//! What may be said to the bridge and who may say it: mostly what an honest one would.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use arbitrary::{Result, Unstructured};

use super::{CONTENT_OCTETS, OWN};
use crate::once::{Role, Roles};
use crate::wire::once::{
    Change, Code, Contact, Delta, Nope, Part, Peer as Listed, Proof, Reason, RemoteAgain,
    RemoteShout, RemoteWhisper, Roster, Target, Undeliverable, V2,
};
use crate::wire::{Headers, LongText, Text};
use crate::{Frames, Peer, PeerId};

pub(super) fn id(octet: u8) -> PeerId {
    PeerId::from_bytes([octet; 16])
}

pub(super) fn text(text: &str) -> Text {
    Text::try_from(text).unwrap_or_default()
}

pub(super) fn peer(octet: u8, headers: Headers) -> Arc<Peer> {
    Arc::new(Peer {
        id: id(octet),
        name: text("somebody"),
        endpoint: text("tcp://192.0.2.7:49152"),
        headers,
    })
}

pub(super) fn declared(octet: u8, role: Role) -> Arc<Peer> {
    let mut headers = Headers::new();
    let roles = Roles {
        role,
        beacon: None,
        relay: false,
    };
    roles.put(&mut headers);
    peer(octet, headers)
}

/// Identities that matter: clients, far peers, bridges, the bridge itself, one that is hidden.
pub(super) fn any_id(u: &mut Unstructured<'_>) -> Result<PeerId> {
    const IDS: [u8; 16] = [1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 40, 41, 60, OWN, 66];
    u.choose(&IDS).map(|octet| id(*octet))
}

pub(super) fn any_group(u: &mut Unstructured<'_>) -> Result<Text> {
    Ok(text(u.choose(&["A", "B", "X-ONCE-ACTIVE"])?))
}

pub(super) fn any_number(u: &mut Unstructured<'_>) -> Result<u64> {
    if u.ratio(1_u8, 20)? {
        return u.arbitrary();
    }
    u.int_in_range(0..=30)
}

pub(super) fn any_epoch(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(if u.ratio(1_u8, 12)? {
        u.int_in_range(0..=2)?
    } else {
        1
    })
}

/// What one said before, so that what it says now is mostly what an honest one would.
#[derive(Default)]
pub(super) struct Played {
    /// The number of its last change, and of the last whisper or shout.
    change: u64,
    said: u64,
    announced: Vec<PeerId>,
}

impl Played {
    fn next_change(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        let honest = u.ratio(11_u8, 12)?;
        self.change = if honest {
            self.change.saturating_add(1)
        } else {
            any_number(u)?
        };
        Ok(self.change)
    }

    fn next_said(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        let honest = u.ratio(11_u8, 12)?;
        self.said = if honest {
            self.said.saturating_add(1)
        } else {
            any_number(u)?
        };
        Ok(self.said)
    }

    pub(super) fn whole(&mut self, u: &mut Unstructured<'_>) -> Result<Roster> {
        let peers = many(u, any_listed)?;
        self.announced.extend(peers.iter().map(|peer| peer.uuid));
        Ok(Roster {
            epoch: any_epoch(u)?,
            number: self.next_change(u)?,
            part: Part::WHOLE,
            peers,
        })
    }

    fn sender(&self, u: &mut Unstructured<'_>) -> Result<PeerId> {
        if self.announced.is_empty() || u.ratio(1_u8, 12)? {
            return any_id(u);
        }
        u.choose(&self.announced).copied()
    }
}

/// A client, or anybody.
fn any_receiver(u: &mut Unstructured<'_>) -> Result<PeerId> {
    if u.ratio(1_u8, 12)? {
        return any_id(u);
    }
    u.int_in_range(1..=4).map(id)
}

pub(super) fn any_content(u: &mut Unstructured<'_>) -> Result<Frames> {
    let octets = *u.choose(&[0, 1, 2, CONTENT_OCTETS, CONTENT_OCTETS + 1])?;
    Ok(match u.int_in_range(0..=2)? {
        0 => Frames::new(),
        1 => Frames::from(alloc::vec![1_u8; octets]),
        _ => Frames::from_iter([alloc::vec![2_u8], alloc::vec![3; octets]]),
    })
}

fn any_listed(u: &mut Unstructured<'_>) -> Result<Listed> {
    let mut headers = Headers::new();
    if u.ratio(1_u8, 4)? {
        let name = text(u.choose(&["X-ONCE", "X-ONCE-VIA", "X-ROOM"])?);
        headers.extend([(name, LongText::try_from("bridge").unwrap_or_default())]);
    }
    let groups = if u.arbitrary()? {
        [any_group(u)?].into()
    } else {
        BTreeSet::new()
    };
    Ok(Listed {
        uuid: any_id(u)?,
        name: text(u.choose(&["one", "other"])?),
        endpoint: None,
        key: None,
        headers,
        groups,
    })
}

fn many<T>(
    u: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = u.int_in_range(0..=7)?;
    (0..count).map(|_| one(u)).collect()
}

fn any_change(u: &mut Unstructured<'_>) -> Result<Change> {
    Ok(match u.int_in_range(0..=3)? {
        0 => Change::Enter(any_listed(u)?),
        1 => Change::Exit { uuid: any_id(u)? },
        2 => Change::Join {
            uuid: any_id(u)?,
            group: any_group(u)?,
        },
        _ => Change::Leave {
            uuid: any_id(u)?,
            group: any_group(u)?,
        },
    })
}

/// What one may say that has proved that it may take part.
pub(super) fn any_message(
    u: &mut Unstructured<'_>,
    own_epoch: u64,
    played: &mut Played,
) -> Result<V2> {
    let proof = Proof::from_bytes([0; 32]);
    Ok(match u.int_in_range(0..=16)? {
        0 => V2::Stop { proof },
        1 => V2::Nope(Nope {
            about: *u.choose(&[0x43, 0x31, 0x20, 0x12])?,
            code: Code(u.int_in_range(1..=8)?),
            text: Text::default(),
        }),
        2 => {
            let contacts = many(u, |u| {
                Ok(Contact {
                    uuid: any_id(u)?,
                    name: Text::default(),
                    endpoint: text(u.choose(&["tcp://10.0.0.1:1", "tcp://10.0.0.2:2", "bad"])?),
                    beacon: None,
                    key: u.ratio(1_u8, 9)?.then_some([7; 32]),
                })
            })?;
            V2::ListEndpoints { contacts }
        }
        3 => V2::GetEndpoints,
        4 => V2::GetRoster {
            epoch: if u.arbitrary()? {
                own_epoch
            } else {
                any_epoch(u)?
            },
            from: any_number(u)?,
        },
        5 | 6 => {
            let count = u.int_in_range(1..=3)?;
            let index = u.int_in_range(0..=count - 1)?;
            V2::Roster(Roster {
                epoch: any_epoch(u)?,
                number: any_number(u)?,
                part: Part::new(index, count).unwrap_or(Part::WHOLE),
                peers: many(u, any_listed)?,
            })
        }
        7 => V2::Roster(played.whole(u)?),
        8..=10 => {
            let change = any_change(u)?;
            if let Change::Enter(peer) = &change {
                played.announced.push(peer.uuid);
            }
            V2::Delta(Delta {
                epoch: any_epoch(u)?,
                number: played.next_change(u)?,
                change,
            })
        }
        11 | 12 => V2::RemoteWhisper(RemoteWhisper {
            epoch: any_epoch(u)?,
            number: played.next_said(u)?,
            from: played.sender(u)?,
            to: any_receiver(u)?,
            content: any_content(u)?,
        }),
        13 | 14 => V2::RemoteShout(RemoteShout {
            epoch: any_epoch(u)?,
            number: played.next_said(u)?,
            from: played.sender(u)?,
            group: any_group(u)?,
            to: many(u, any_receiver)?,
            content: any_content(u)?,
        }),
        15 => V2::RemoteAgain(RemoteAgain {
            epoch: any_epoch(u)?,
            number: played.next_said(u)?,
            of: played.said.saturating_sub(u.int_in_range(0..=5)?),
            to: many(u, any_receiver)?,
        }),
        _ => V2::Undeliverable(Undeliverable {
            epoch: if u.arbitrary()? {
                own_epoch
            } else {
                any_epoch(u)?
            },
            number: any_number(u)?,
            from: any_id(u)?,
            target: Target::Peer(any_id(u)?),
            reason: Reason(u.int_in_range(0..=6)?),
        }),
    })
}
