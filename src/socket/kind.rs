//! Which types of sockets there are.

use core::fmt;
use core::str::FromStr;

use crate::wire::zmtp::SocketType;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident;)*) => {
        /// The type of a [`Socket`](super::Socket): the patterns of RFC 28 to 31.
        ///
        /// ```
        /// use atonce::socket::Kind;
        ///
        /// assert_eq!("pull".parse(), Ok(Kind::Pull));
        /// assert_eq!(Kind::XPub.to_string(), "XPUB");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$kind),*];
        }

        impl From<Kind> for SocketType {
            fn from(kind: Kind) -> Self {
                match kind {
                    $(Kind::$kind => Self::$kind,)*
                }
            }
        }
    };
}

kinds! {
    /// Talks to one partner (RFC 31).
    Pair;
    /// Asks, one question at a time (RFC 28).
    Req;
    /// Answers, one question at a time (RFC 28).
    Rep;
    /// Sends to its peers in turn, and takes from each fairly (RFC 28).
    Dealer;
    /// Knows its peers by identity (RFC 28).
    Router;
    /// Publishes (RFC 29).
    Pub;
    /// Subscribes (RFC 29).
    Sub;
    /// Publishes, and sees the subscriptions (RFC 29).
    XPub;
    /// Subscribes by messages (RFC 29).
    XSub;
    /// Hands out work (RFC 30).
    Push;
    /// Takes work (RFC 30).
    Pull;
}

impl Kind {
    /// Whether it is the business of this type what others want.
    pub(super) const fn publishes(self) -> bool {
        matches!(self, Self::Pub | Self::XPub)
    }
}

/// What was given is not the name of a [`Kind`].
///
/// ```
/// use atonce::socket::{Kind, InvalidKind};
///
/// assert_eq!("tub".parse::<Kind>(), Err(InvalidKind));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of pair, req, rep, dealer, router, pub, sub, xpub, xsub, push and pull")]
pub struct InvalidKind;

/// In either case.
impl FromStr for Kind {
    type Err = InvalidKind;

    fn from_str(text: &str) -> Result<Self, InvalidKind> {
        let is_it = |kind: &&Self| SocketType::from(**kind).as_str().eq_ignore_ascii_case(text);
        Self::ALL.iter().find(is_it).copied().ok_or(InvalidKind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(SocketType::from(*self).as_str())
    }
}
