//! What the node knows of a peer that is here.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;

use super::keys::{Key, Proof};
use super::sequence::Receiver;
use super::{Peer, PeerView, Presence, abilities};
use crate::net::LinkId;
use crate::wire::Text;
use crate::{Instant, PeerId};

/// A doubt about a peer, settled by a PING: if it answers, it stays and the doubt is gone; if its link closes or it is
/// silent for a second, what was doubted is true.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Challenge {
    /// When the PING was sent.
    pub(super) since: Instant,
    /// Somebody said goodbye in its name.
    pub(super) goodbye: bool,
    /// A link that carries its identity wants to speak for it.
    pub(super) takeover: Option<LinkId>,
    /// Somebody else says that the peer's endpoint is theirs.
    pub(super) claim: Option<Claim>,
    /// Its link ended right after it entered.
    pub(super) hung_up: bool,
    /// It entered by a HELLO that came after ours, and perhaps does not know us.
    pub(super) unknown: bool,
    /// Whether anything at all came of it since.
    pub(super) silence: Silence,
    /// All its links were cut, and since then ours is up again: perhaps another is there now.
    pub(super) resumed: Option<Instant>,
}

/// Whether one was silent that was only asked whether it knows us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Silence {
    /// It was not, or nobody looked yet.
    #[default]
    None,
    /// Nothing at all came of it.
    Lasts,
    /// Something came: from then on its answer has a second.
    Over,
}

impl Challenge {
    /// Whether it is only asked whether it knows us: nothing is said against it.
    pub(super) const fn is_question(&self) -> bool {
        let doubted = self.goodbye || self.hung_up || self.resumed.is_some();
        !doubted && self.takeover.is_none() && self.claim.is_none()
    }

    /// Whether nothing but a cut of all its links is said against it.
    pub(super) const fn only_resumes(&self) -> bool {
        let doubted = self.goodbye || self.hung_up;
        !doubted && self.takeover.is_none() && self.claim.is_none()
    }
}

/// Who says that an endpoint is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A beacon, with the key in it: only a hint.
    Beacon(PeerId, Option<Key>),
    /// A HELLO that waits on this link.
    Hello(LinkId),
}

/// Whether a HELLO with the same card is the answer to ours and no restart.
// As large as `Option<Instant>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// We did not greet it anew.
    None,
    /// We did: until then it is.
    Until {
        at: Instant,
        /// The number that was expected of it when we greeted it.
        expected: u16,
    },
}

impl Answer {
    /// Whether a HELLO that comes now is one.
    pub(super) fn is_due(self, now: Instant) -> bool {
        matches!(self, Self::Until { at, .. } if now < at)
    }
}

#[derive(Debug)]
// A node has thousands of these, and each beacon and each message finds one outside the cache: first what a beacon needs, then
// what a message needs besides.
#[repr(C)]
pub(super) struct Record {
    /// Where our link to it leads.
    pub(super) address: SocketAddr,
    /// Where its HELLO came from.
    pub(super) remote: SocketAddr,
    /// The link on which it speaks to us, while there is one.
    pub(super) inbound: Option<LinkId>,
    /// When it was heard of last, by a message or a beacon.
    pub(super) heard: Instant,
    /// When the last message of it came.
    pub(super) spoke: Instant,
    pub(super) presence: Presence,
    /// Our link to it is up: what its dial knows, where each beacon finds it at once.
    pub(super) reached: bool,
    /// It has a deadline of its own for its silence; if not, the sweep sees to it.
    pub(super) timed: bool,
    /// What the application was told that it is.
    pub(super) told: Presence,
    pub(super) receiver: Receiver,
    pub(super) card: Arc<Peer>,
    pub(super) groups: BTreeSet<Text>,
    /// The newest link on which it ever spoke.
    pub(super) newest: LinkId,
    /// Our link to it was cut, and so many messages to it may be lost; the application is not told yet. None of them: it greeted
    /// anew, and what may be lost is what it said.
    pub(super) untold: Option<u64>,
    /// When it entered.
    pub(super) entered: Instant,
    /// Boxed: hardly anybody is in doubt.
    pub(super) challenge: Option<Box<Challenge>>,
    /// When somebody last said goodbye in its name.
    pub(super) farewell: Option<Instant>,
    pub(super) answer: Answer,
    /// It sent one of the commands that only C Zyre and its kin know.
    pub(super) elects: bool,
    /// A word of an election could not be said to it, for lack of room.
    pub(super) missed_word: bool,
    /// The key that it proved on both links, and as whom it was let in. Boxed: in most networks there is none.
    pub(super) proof: Option<Box<Proof>>,
}

impl Record {
    /// The doubt about it, if there is one.
    pub(super) fn doubt(&self) -> Option<Challenge> {
        self.challenge.as_deref().copied()
    }

    /// We greeted it anew: for so long its HELLO is the answer.
    pub(super) fn await_answer(&mut self, until: Instant) {
        self.answer = Answer::Until {
            at: until,
            expected: self.receiver.expected(),
        };
    }

    /// Whether it has said anything since we greeted it anew.
    pub(super) fn spoke_since_greeted(&self) -> bool {
        matches!(self.answer, Answer::Until { expected, .. } if expected != self.receiver.expected())
    }

    /// Whether it is known to speak ELECT and LEADER.
    pub(super) fn speaks_of_elections(&self) -> bool {
        // ELEC-2
        self.elects || self.elects_as_we_do()
    }

    /// Whether it holds elections as an atonce node does, and not as C Zyre.
    pub(super) fn elects_as_we_do(&self) -> bool {
        abilities::has(&self.card, abilities::ELECT)
    }

    /// The key that it proved.
    pub(super) fn key(&self) -> Option<Key> {
        self.proof.as_deref().map(|proof| proof.key)
    }

    /// What the application sees; `round_trip` is what our link to it knows.
    pub(super) fn view(&self, round_trip: Option<Duration>) -> PeerView<'_> {
        PeerView {
            round_trip,
            peer: &self.card,
            groups: &self.groups,
            presence: self.presence,
            remote: self.remote,
            #[cfg(feature = "curve")]
            key: self.key(),
            #[cfg(feature = "curve")]
            user_id: self
                .proof
                .as_deref()
                .and_then(|proof| proof.user_id.as_ref()),
        }
    }
}
