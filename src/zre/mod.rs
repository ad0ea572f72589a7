//! The node as a machine: who is there, who is in which group, and what is said to whom.
//!
//! A node has one mailbox (a ROUTER), into which its peers write, and makes one link (a DEALER) to the mailbox of each
//! peer: the Harmony pattern of RFC 36. This module is that node at the level of messages; [`Stack`](crate::Stack) adds
//! the ZMTP connections.
//!
//! ```text
//!   beacon, endpoint                HELLO on a link that they made
//!         │                                   │
//!         ▼                                   ▼
//!    ┌─────────┐   link up: our HELLO    ┌─────────┐
//!    │  hint   │ ──────────────────────▶ │ greeted │
//!    └─────────┘                         └────┬────┘
//!         tries end: forgotten                │ their HELLO came and our link is up
//!                                             ▼
//!                       ┌────────────────  ENTER  ◀──────────────┐
//!                       ▼                                        │
//!     ┌───────┐  evasive timeout   ┌─────────┐   no PING-OK  ┌───┴────┐
//!     │ ready │ ─────────────────▶ │ evasive │ ────────────▶ │ silent │
//!     └───────┘ ◀───── anything ── └─────────┘ ◀─ anything ─ └────────┘
//!         │
//!         ▼  goodbye, expired, replaced, lost, overrun
//!       EXIT
//! ```
//!
//! Where a line of this module lives:
//!
//! | file | what |
//! |---|---|
//! | `node` | what the node holds, what the application asks, what it is given |
//! | `action` | what the node asks of its embedder |
//! | `interfaces` | the endpoints that peers are told, and where beacons are said |
//! | `stopping` | how the node ends |
//! | `inbound` | links that others make, and what is known of each |
//! | `greeting` | who may speak for an identity, HELLO |
//! | `ways` | where one who greets is to be reached |
//! | `hearing` | what a peer says |
//! | `speaking` | what the application says |
//! | `dialling` | links that we make: hints, tries, cuts |
//! | `duplex` | links that are used in both directions, where only one side can dial |
//! | `relayed` | links over a relay, which joins one of ours to one of the peer's |
//! | `partners` | whom the application names: directed beacons, introductions, mailboxes that are ignored |
//! | `tuples` | who is where, as a gossip network says it |
//! | `hints` | what beacons, the application and tuples say of where somebody is |
//! | `doubts` | what is said against a peer, and how it is settled |
//! | `silence` | how a peer is missed |
//! | `telling` | what the application is told of a peer, and when |
//! | `exits` | the end of a peer |
//! | `deadlines` | what is due, and when |
//! | `election` | who leads a group: a machine of its own for each; `electing` is where the node has them |
//! | `keys` | who may speak for an identity in a secure network, and who is asked whether they may |
//! | `rivals` | several keys that are told for one endpoint |
//! | `dial`, `record`, `past`, `target` | what is known of our link, a peer, a peer that is gone, a host name |
//! | `sequence`, `inbox` | numbers of messages; events that wait |

mod abilities;
mod action;
mod config;
mod deadlines;
mod dial;
mod dialling;
mod dials;
mod doubts;
mod duplex;
mod electing;
mod election;
mod event;
mod exits;
mod greeting;
mod hearing;
mod hints;
mod inbound;
mod inbox;
mod interfaces;
mod keys;
mod node;
mod partners;
mod past;
mod peer;
mod record;
mod relayed;
mod report;
mod resuming;
mod rivals;
mod sequence;
mod services;
mod silence;
mod speaking;
mod stopping;
mod target;
mod telling;
mod tuples;
mod ways;

pub use action::Action;
#[cfg(feature = "curve")]
pub use config::Curve;
pub use config::{Beacons, Config, Limits};
pub use deadlines::Timer;
pub use election::{Election, Word};
pub use event::{Event, ExitReason, Lost};
pub(crate) use keys::Key;
pub use node::Node;
pub use peer::{Peer, PeerView, Presence};
#[cfg(feature = "curve")]
pub(crate) use relayed::relayed;
pub use report::{ConnectError, Counters, SendError, Shouted, Usage};
pub(crate) use speaking::spoken;
