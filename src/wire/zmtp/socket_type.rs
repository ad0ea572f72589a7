//! Which patterns may talk to which.

use core::fmt;

use crate::wire::{Expected, Found, Malformed};

macro_rules! socket_types {
    ($($(#[$doc:meta])* $variant:ident $name:literal: $($peer:ident)*;)*) => {
        /// The pattern that a peer follows (RFC 37 "The Socket-Type Property").
        ///
        /// ```
        /// use atonce::wire::zmtp::SocketType;
        ///
        /// assert!(SocketType::Dealer.may_talk_to(SocketType::Router));
        /// assert!(!SocketType::Dealer.may_talk_to(SocketType::Req));
        /// assert_eq!(SocketType::decode(b"ROUTER")?, SocketType::Router);
        /// # Ok::<(), atonce::wire::Malformed>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum SocketType {
            $($(#[$doc])* $variant,)*
        }

        impl SocketType {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it stands in READY: `DEALER`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether the two make a legal pair. It is the same from both sides.
            // ZMTP-34
            pub const fn may_talk_to(self, peer: Self) -> bool {
                match self {
                    $(Self::$variant => matches!(peer, $(Self::$peer)|*),)*
                }
            }
        }
    };
}

socket_types! {
    /// Asks, one question at a time.
    Req "REQ": Rep Router;
    /// Answers.
    Rep "REP": Req Dealer;
    /// Sends to and receives from its peers in turn. A node dials with it.
    Dealer "DEALER": Rep Dealer Router;
    /// Knows its peers by identity. A mailbox is one.
    Router "ROUTER": Req Dealer Router;
    /// Publishes.
    Pub "PUB": Sub XSub;
    /// Publishes and sees the subscriptions.
    XPub "XPUB": Sub XSub;
    /// Subscribes.
    Sub "SUB": Pub XPub;
    /// Subscribes by messages.
    XSub "XSUB": Pub XPub;
    /// Hands out work.
    Push "PUSH": Pull;
    /// Takes work.
    Pull "PULL": Push;
    /// Talks to exactly one peer.
    Pair "PAIR": Pair;
    /// Like DEALER, one frame to a message.
    Client "CLIENT": Server;
    /// Like ROUTER, one frame to a message.
    Server "SERVER": Client;
    /// Sends to groups.
    Radio "RADIO": Dish;
    /// Receives from groups.
    Dish "DISH": Radio;
    /// Like PUSH, one frame to a message.
    Scatter "SCATTER": Gather;
    /// Like PULL, one frame to a message.
    Gather "GATHER": Scatter;
    /// Dials and is dialled, one frame to a message.
    Peer "PEER": Peer;
    /// Like PAIR, one frame to a message.
    Channel "CHANNEL": Channel;
}

impl SocketType {
    /// Reads the value of `Socket-Type`, in the case that all peers write.
    ///
    /// # Errors
    ///
    /// Another value than those of the table.
    pub fn decode(value: &[u8]) -> Result<Self, Malformed> {
        Self::ALL
            .iter()
            .copied()
            // ZMTP-33
            .find(|kind| kind.as_str().as_bytes() == value)
            .ok_or(Malformed::new(
                "READY.Socket-Type",
                Expected::What("a type of RFC 37"),
                Found::What("another"),
            ))
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
