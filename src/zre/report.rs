//! What the caller is told about what it asked for, and what is counted.

use crate::wire::TooLong;

/// Why nothing was sent. Always the caller's to handle; nothing was changed.
///
/// ```
/// use atonce::zre::{Config, Node, SendError};
/// use atonce::{Frames, Instant, PeerId};
///
/// let mut node = Node::new(Instant::ZERO, [7; 32], Config::default());
/// let nobody = PeerId::from_bytes([1; 16]);
/// let sent = node.whisper(Instant::ZERO, nobody, &Frames::from("hello"));
/// assert_eq!(sent, Err(SendError::UnknownPeer));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No such peer is here: it did not enter, or it is gone.
    #[error("no such peer is here")]
    UnknownPeer,
    /// The peer is not in the group.
    #[error("the peer is not in the group")]
    NotMember,
    /// The peer does not read as fast as it is written to. Try again later.
    #[error("the queue to the peer is full")]
    Full,
    /// Larger than [`Limits::message_octets`](super::Limits::message_octets), or of more frames than
    /// [`Limits::message_frames`](super::Limits::message_frames).
    #[error("the message is larger than the limit of {limit} octets, or has too many frames")]
    TooLarge {
        /// The limit of octets.
        limit: usize,
    },
    /// The name of the group is longer than a group's name can be.
    #[error("the name of the group: {0}")]
    Group(#[from] TooLong),
    /// The node is stopping.
    #[error("the node is stopped")]
    Stopped,
}

/// Why nobody is contacted. Nothing was changed.
///
/// ```
/// use atonce::zre::ConnectError;
///
/// assert_eq!(
///     ConnectError::NoKey.to_string(),
///     "this node is secure and needs the public key of whoever is there: tcp://HOST:PORT|KEY"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The node is secure, and would not know whether it is the right one who answers.
    #[error(
        "this node is secure and needs the public key of whoever is there: tcp://HOST:PORT|KEY"
    )]
    NoKey,
    /// A key is given, and the node has none of its own.
    #[error("this node is not secure: it has no keys of its own to speak with the owner of a key")]
    NotSecure,
    /// Nobody can own this key, such as one of zeros alone.
    #[error("nobody can own this key")]
    UselessKey,
    /// A beacon is to be sent, and the node does without beacons: [`Beacons::Off`](super::Beacons::Off).
    #[error("this node does without beacons")]
    NoBeacons,
    /// There are as many tuples as there may be: [`Limits::tuples`](super::Limits::tuples).
    #[error("there are too many tuples already")]
    TooMany,
    /// The node is stopping.
    #[error("the node is stopped")]
    Stopped,
}

/// How far a SHOUT went.
///
/// ```
/// use atonce::zre::{Config, Node, Shouted};
/// use atonce::{Frames, Instant};
///
/// let mut node = Node::new(Instant::ZERO, [7; 32], Config::default());
/// let group = "CHAT".try_into()?;
/// let shouted = node.shout(Instant::ZERO, &group, &Frames::from("hello"));
/// assert_eq!(shouted, Ok(Shouted { reached: 0, full: 0 }));
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shouted {
    /// Peers to which it is on its way.
    pub reached: usize,
    /// Peers that do not get it because their queue is full.
    pub full: usize,
}

/// Counts since the node was made.
///
/// ```
/// use atonce::Instant;
/// use atonce::zre::{Config, Node};
///
/// let node = Node::new(Instant::ZERO, [7; 32], Config::default());
/// assert_eq!(node.counters().messages_sent, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Peers that entered.
    pub enters: u64,
    /// Peers that exited.
    pub exits: u64,
    /// ZRE messages handed to links, of every kind.
    pub messages_sent: u64,
    /// ZMTP messages that came over links, of every kind.
    pub messages_received: u64,
    /// Messages that were not sent because a peer's queue was full.
    pub sends_refused: u64,
    /// Hints that were not followed because there were too many.
    pub hints_refused: u64,
    /// Links that were closed because there were too many.
    pub links_refused: u64,
    /// Datagrams that are no beacons.
    pub datagrams_malformed: u64,
    /// How often a link was not read for a while because the application was slow.
    pub pauses: u64,
    /// Cuts of links and changes of presence that were told as one with others, because the application took nothing.
    pub changes_merged: u64,
    /// Nodes that were not let in, or not looked for, because the application took nothing.
    pub entries_deferred: u64,
    /// Links that ended because the other side broke the rules of ZMTP, did not prove its key, or took too long with its handshake.
    pub links_failed: u64,
    /// In a secure network: beacons that were left alone because they have no key, or not the one that they should have.
    pub beacons_refused: u64,
    /// In a secure network: keys that were not let in, or not spoken to, because the embedder said so.
    pub keys_denied: u64,
    /// In a secure network: links that were closed because what they stated belongs to another key: an identity, or the key in a
    /// HELLO.
    pub impostors: u64,
}

/// What a node holds at the moment. Whatever the network does, each of these stays within the [`Limits`](super::Limits)
/// that it names.
///
/// ```
/// use atonce::{Config, Instant, Stack};
///
/// let mut stack = Stack::new(Instant::ZERO, [7; 32], Config::default());
/// stack.connect(Instant::ZERO, &"tcp://192.168.1.7:49152".parse()?)?;
/// let usage = stack.usage();
/// assert_eq!((usage.links, usage.peers, usage.events), (1, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Peers that are here: [`peers`](super::Limits::peers).
    pub peers: usize,
    /// Endpoints that are dialled for a hint of the network and reached no peer yet: [`contacts`](super::Limits::contacts).
    pub hints: usize,
    /// Accepted links on which nobody said HELLO: [`unproved_links`](super::Limits::unproved_links).
    pub unproved: usize,
    /// Links of every kind.
    pub links: usize,
    /// Events that wait for the application.
    pub events: usize,
    /// What these are counted as, in octets: [`receive_octets_total`](super::Limits::receive_octets_total), and beyond it what
    /// each peer brings with the message that makes it full, and the end of those that are gone.
    pub event_octets: usize,
    /// What waits to be sent, of all links together, in octets.
    pub queued_octets: usize,
    /// What waits on the link on which most octets wait: [`send_octets`](super::Limits::send_octets), or one message, and
    /// the few that the node sends by itself.
    pub longest_queue_octets: usize,
    /// The same by messages: [`send_messages`](super::Limits::send_messages).
    pub longest_queue_messages: usize,
}
