//! Peers as they are at one moment.

use std::sync::Arc;
use std::time::Duration;

use atonce::curve::PublicKey;
use atonce::wire::Text;
use atonce::zre::{Peer, PeerView, Presence};

/// A peer that was here when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Who it is; shared with its events.
    pub peer: Arc<Peer>,
    /// The groups it is in, sorted.
    pub groups: Vec<Text>,
    /// How lively it is.
    pub presence: Presence,
    /// How long its last answer to [`Node::ping`](crate::Node::ping) took; `None` until there is one.
    pub round_trip: Option<Duration>,
    /// The key that it proved; `None` when this node is not secure.
    pub key: Option<PublicKey>,
    /// As whom a ZAP handler or [`Trust::ask`](crate::Trust::ask) [let it in](atonce::Verdict::AllowAs); `None` when there is no such
    /// name for it.
    pub user_id: Option<Text>,
}

impl From<PeerView<'_>> for PeerInfo {
    fn from(view: PeerView<'_>) -> Self {
        Self {
            peer: Arc::clone(view.peer),
            groups: view.groups.iter().cloned().collect(),
            presence: view.presence,
            round_trip: view.round_trip,
            key: view.key,
            user_id: view.user_id.cloned(),
        }
    }
}
