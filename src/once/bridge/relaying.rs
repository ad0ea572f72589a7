//! Bridges that cannot be reached otherwise: when a server is asked for its relay, and what becomes of the answer.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Action, Bridge, Event};
use crate::curve::PublicKey;
use crate::once::{Role, Roles, Which};
use crate::wire::once::{Code, Invitation, V2};
use crate::{Instant, PeerId};

/// How long a bridge may take to be met by itself.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first pause between two questions about the same one; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A server that sends more tickets for the same bridge is not obeyed: each makes a node connect to where the server says.
const APART: Duration = Duration::from_secs(5);

/// The bridges that servers list and that are no peers.
#[derive(Debug, Default)]
pub(super) struct Relaying {
    missing: BTreeMap<PeerId, Missing>,
    /// Who is listed or a peer has changed.
    stale: bool,
}

#[derive(Debug)]
struct Missing {
    key: PublicKey,
    /// When a server is to be asked for a way, or it is to be told that there is none.
    next: Option<Instant>,
    /// How often one was asked.
    asked: u32,
    /// It was told that this one is out of reach.
    told: bool,
    /// When the last ticket for it came.
    invited: Option<Instant>,
}

impl Relaying {
    pub(super) const fn is_stale(&self) -> bool {
        self.stale
    }

    pub(super) const fn has_changed(&mut self) {
        self.stale = true;
    }

    /// A server with a relay is met: pauses begin anew, since that it was not there may be why asking was of no use.
    // ONCE-127
    pub(super) fn begin_anew(&mut self, now: Instant) {
        for missing in self.missing.values_mut() {
            // The others are still to come back to it, too.
            missing.next = missing.next.map(|at| at.min(now + PATIENCE));
            missing.asked = 0;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let missing = self.missing.values();
        missing.filter_map(|missing| missing.next).min()
    }
}

impl Bridge {
    /// Who is listed or a peer has changed.
    pub(super) fn review_missing(&mut self, now: Instant) {
        self.relaying.stale = false;
        // ONCE-127
        let mut wanted = BTreeMap::new();
        if self.config.key.is_some() && !self.stopped {
            wanted.extend(self.contacts.keys());
            wanted.retain(|id, _| {
                *id != self.config.id && !self.declared.contains_key(&(Which::Remote, *id))
            });
        }
        let missing = &mut self.relaying.missing;
        missing.retain(|id, it| wanted.get(id) == Some(&it.key));
        for (id, key) in wanted {
            // The other one is to ask; whether that led to something is known when it would ask again.
            let patience = if self.config.id < id {
                PATIENCE
            } else {
                PATIENCE + FIRST_PAUSE
            };
            missing.entry(id).or_insert(Missing {
                key,
                next: Some(now + patience),
                asked: 0,
                told: false,
                invited: None,
            });
        }
    }

    /// Asks for the relay of a server, if it is time.
    pub(super) fn ask_for_relays(&mut self, now: Instant) {
        let due = self.relaying.missing.iter();
        let due = due.filter(|(_, it)| it.next.is_some_and(|at| at <= now));
        let due: Vec<PeerId> = due.map(|(id, _)| *id).collect();
        if due.is_empty() {
            return;
        }
        let declared = self.declared.iter();
        let relays = declared.filter(|((node, _), it)| {
            let relay = Roles::of(&it.peer.headers).is_some_and(|roles| roles.relay);
            *node == Which::Remote && it.role == Role::Server && it.proved && relay
        });
        let relays: Vec<PeerId> = relays.map(|((_, id), _)| *id).collect();
        for bridge in due {
            let asks = self.config.id < bridge;
            let Some(missing) = self.relaying.missing.get_mut(&bridge) else {
                continue;
            };
            // Another one each time, if there are several.
            let turn = usize::try_from(missing.asked).unwrap_or(0);
            let relay = turn
                .checked_rem(relays.len())
                .and_then(|turn| relays.get(turn))
                .filter(|_| asks)
                .copied();
            let in_vain = relay.is_none() || missing.asked > 0;
            let tell = in_vain && !missing.told;
            missing.told |= in_vain;
            let pause = FIRST_PAUSE * 2_u32.pow(missing.asked.min(4));
            missing.next = asks.then_some(now + pause.min(LONGEST_PAUSE));
            missing.asked += u32::from(relay.is_some());
            if tell {
                self.tell(Event::OutOfReach { bridge });
            }
            if let Some(server) = relay {
                self.say((Which::Remote, server), V2::Relay { uuid: bridge });
            }
        }
    }

    /// A server says how to come to another bridge.
    pub(super) fn invited(&mut self, now: Instant, server: PeerId, invitation: Invitation) {
        // ONCE-127
        let id = V2::Ticket(invitation.clone()).id();
        let peer = invitation.uuid;
        let missing = self.relaying.missing.get_mut(&peer);
        let Some(missing) = missing.filter(|it| {
            let recent = |at| now - at < APART;
            !it.invited.is_some_and(recent)
        }) else {
            let sessions = self.sessions(Which::Remote);
            return sessions.refuse(now, server, id, Code::UNEXPECTED);
        };
        missing.invited = Some(now);
        let key = missing.key;
        self.act(Action::DialRelay {
            server,
            peer,
            key,
            role: invitation.role,
            endpoint: invitation.endpoint,
            ticket: invitation.ticket,
        });
    }
}
