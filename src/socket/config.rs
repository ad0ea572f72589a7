//! What a socket is told when it is made.

#[cfg(feature = "curve")]
use alloc::sync::Arc;
use core::time::Duration;

#[cfg(feature = "curve")]
use crate::curve::{KeyPair, PublicKey};
use crate::wire::Text;
use crate::wire::zmtp::Identity;
use crate::zmtp::{Heartbeat, Limits, Password};

/// Everything about a socket that the embedder decides. What means something to one pattern only is ignored by the others.
///
/// ```
/// use atonce::socket::{Config, QueueLimit};
/// use core::time::Duration;
///
/// let config = Config {
///     send: QueueLimit { messages: 10, ..QueueLimit::default() },
///     linger: Duration::from_secs(1),
///     ..Config::default()
/// };
/// assert_eq!(config.reconnect.first, Duration::from_millis(100));
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The name under which a ROUTER is to know this socket; empty for none. Only REQ, DEALER and ROUTER tell it.
    pub identity: Identity,
    /// How the two sides of a link make sure of each other.
    pub security: Security,
    /// How long a link may take from the dial, or from its acceptance, to the end of the handshake: 30 s, as with C peers.
    pub handshake_timeout: Duration,
    /// Whether, and how, a link finds out that the peer is gone without TCP saying so: not at all.
    pub heartbeat: Option<Heartbeat>,
    /// What a peer may send at once.
    pub limits: Limits,
    /// What waits to be sent to one peer at most.
    pub send: QueueLimit,
    /// What waits of one peer to be received at most; then its link is not read until the application took half of it.
    pub receive: QueueLimit,
    /// When what was connected is dialled again.
    pub reconnect: Backoff,
    /// How long a socket that is closed, or a peer that is disconnected, is still sent what was queued: 30 s.
    pub linger: Duration,
    /// The most links that others made, those whose messages still wait among them: 4,096. Who comes on top is refused.
    pub links: usize,
    /// The most of them that are not through with their handshake: 128. Who comes on top is refused: a flood of strangers costs no
    /// peer its link.
    pub unready_links: usize,
    /// What one peer may subscribe to (PUB, XPUB).
    pub subscriptions: SubscriptionLimit,
    /// Whether messages are queued only for peers that are there (PUSH, DEALER, REQ, PAIR): no. Otherwise what was connected has a
    /// queue from the beginning, which waits for the next link while there is none.
    pub immediate: bool,
    /// Whether a ROUTER tells of messages for nobody, [`SendError::Unroutable`](super::SendError::Unroutable), instead of dropping
    /// them: yes.
    pub mandatory: bool,
    /// Whether a peer whose identity is taken gets it, and the one before loses its link (ROUTER): no, then the newcomer is refused.
    pub handover: bool,
    /// Whether a peer that is slow makes a PUB or XPUB tell [`SendError::Full`](super::SendError::Full), and nobody gets the message,
    /// instead of missing it: no. [`can_send`](super::Socket::can_send) then says whether all subscribers have room. A subscriber that
    /// does not read at all stops the publisher until its link ends: heartbeats see to that.
    pub no_drop: bool,
    /// Whether a REQ puts a number before each request, by which it knows the answer: no. A REP gives it back; an application on a
    /// ROUTER has to.
    pub correlate: bool,
    /// Whether an XPUB tells of every subscription and the end of each, and not only of the first and the last of a prefix: no. And
    /// whether a SUB or XSUB tells publishers of every one; then it takes all of them back when the last ends, and not before, since C
    /// publishers do not count them.
    pub verbose: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            identity: Identity::default(),
            security: Security::Null,
            handshake_timeout: Duration::from_secs(30),
            heartbeat: None,
            limits: Limits::default(),
            send: QueueLimit::default(),
            receive: QueueLimit::default(),
            reconnect: Backoff::default(),
            linger: Duration::from_secs(30),
            links: 4_096,
            unready_links: 128,
            subscriptions: SubscriptionLimit::default(),
            immediate: false,
            mandatory: true,
            handover: false,
            no_drop: false,
            correlate: false,
            verbose: false,
        }
    }
}

/// The mechanism of the handshake on all links of a socket, and which part in it this side has, whichever side dials.
///
/// ```
/// use atonce::curve::KeyPair;
/// use atonce::socket::{Config, Security};
/// use std::sync::Arc;
///
/// let keys = Arc::new(KeyPair::generate([7; 32]));
/// let config = Config { security: Security::CurveServer { keys }, ..Config::default() };
/// assert!(!format!("{config:?}").contains("7, 7"));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Security {
    /// None: whoever connects is let in, and everybody on the way can read along.
    #[default]
    Null,
    /// A name and a password, which everybody on the way can read (RFC 24).
    PlainClient {
        /// Who we are.
        username: Text,
        /// What proves it.
        password: Password,
    },
    /// The other side of it: [`Action::Authenticate`](super::Action::Authenticate) asks who may come in.
    PlainServer,
    /// Encryption, between two who know each other's keys (RFC 25, 26).
    #[cfg(feature = "curve")]
    CurveClient {
        /// Ours.
        keys: Arc<KeyPair>,
        /// The server's; another one does not get to know who we are.
        server: PublicKey,
    },
    /// The other side of it: [`Action::Authenticate`](super::Action::Authenticate) asks who may come in.
    #[cfg(feature = "curve")]
    CurveServer {
        /// Ours.
        keys: Arc<KeyPair>,
    },
}

/// How much may wait in a queue. A queue that is below both limits takes one more message; one message alone may have no more
/// octets than the limit.
///
/// ```
/// use atonce::socket::QueueLimit;
///
/// assert_eq!(QueueLimit::default(), QueueLimit { messages: 1_000, octets: 64 << 20 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimit {
    /// Messages: 1,000, as with C peers.
    pub messages: usize,
    /// Octets of them: 64 MiB.
    pub octets: usize,
}

impl Default for QueueLimit {
    fn default() -> Self {
        Self {
            messages: 1_000,
            octets: 64 << 20,
        }
    }
}

impl QueueLimit {
    /// Whether a queue of so many has room for one more.
    // SOCK-12
    #[inline]
    pub(super) const fn has_room(&self, messages: usize, octets: usize) -> bool {
        messages < self.messages && octets < self.octets
    }

    /// Whether a queue of so many that was full is worth being filled again: half of it is free.
    // SOCK-20
    pub(super) const fn is_low(&self, messages: usize, octets: usize) -> bool {
        messages <= self.messages / 2 && octets <= self.octets / 2
    }
}

/// How many subscriptions a publisher keeps for one peer.
///
/// ```
/// use atonce::socket::SubscriptionLimit;
///
/// assert_eq!(SubscriptionLimit::default().prefixes, 10_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionLimit {
    /// Different prefixes: 10,000. They take 2 MiB when they are short.
    pub prefixes: usize,
    /// Octets of these together: 1 MiB. They take three times as much.
    pub octets: usize,
}

impl Default for SubscriptionLimit {
    fn default() -> Self {
        Self {
            prefixes: 10_000,
            octets: 1 << 20,
        }
    }
}

/// How long a connect waits before it dials again: `first`, twice as long after each attempt that brought no peer, `longest` at most.
/// After a peer that was there it is `first` again. A peer that says that it will not talk to us is asked again after `longest`.
///
/// ```
/// use atonce::socket::Backoff;
/// use core::time::Duration;
///
/// let backoff = Backoff { longest: Duration::from_secs(5), ..Backoff::default() };
/// assert_eq!(backoff.jitter, 50);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure: 100 ms.
    pub first: Duration,
    /// At most: 30 s.
    pub longest: Duration,
    /// By how many percent of itself the time is shortened at random at most: 50. So those who lost the same server do not come back
    /// at once all together. More than 100 counts as 100.
    pub jitter: u8,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            jitter: 50,
        }
    }
}

/// Time passes between two dials, whatever is configured.
const LEAST: Duration = Duration::from_millis(1);

impl Backoff {
    // SOCK-5
    /// How long to wait after so many attempts that brought no peer. `random` is one of all numbers.
    pub(super) fn delay(&self, attempts: u32, random: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << attempts.min(31));
        let delay = doubled.min(self.longest);
        let shortest = delay.saturating_mul(100 - u32::from(self.jitter.min(100))) / 100;
        // What of the rest: so many 65,536ths.
        let share = delay.saturating_sub(shortest) / (1 << 16);
        (shortest + share * (random >> 16)).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest_and_is_shortened_at_random() {
        let backoff = Backoff::default();
        let whole: [u64; 12] = [
            100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000,
        ];
        for (attempts, millis) in (0..).zip(whole) {
            let delay = Duration::from_millis(millis);
            assert_eq!(backoff.delay(attempts, 0), delay / 2);
            let longest = backoff.delay(attempts, u32::MAX);
            assert!(
                longest <= delay && longest > delay * 99 / 100,
                "{longest:?}"
            );
        }
        assert!(backoff.delay(u32::MAX, u32::MAX) <= backoff.longest);
        let sure = Backoff {
            jitter: 0,
            longest: Duration::MAX,
            ..backoff
        };
        assert_eq!(sure.delay(0, 7), sure.first);
        assert_eq!(sure.delay(10, 7), sure.first * 1_024);
        let any = Backoff {
            jitter: 255,
            ..backoff
        };
        assert_eq!(any.delay(3, 0), LEAST);
        let endless = Backoff {
            first: Duration::MAX,
            longest: Duration::MAX,
            jitter: 1,
        };
        assert!(endless.delay(3, u32::MAX) > Duration::from_secs(1 << 40));
    }
}
