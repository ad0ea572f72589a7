//! Whether somebody may come in.

use core::fmt;

use crate::wire::Text;

/// The answer to the question whether somebody may come in: [`zmtp::Event::Authenticate`](crate::zmtp::Event::Authenticate),
/// and of a node `Action::Authenticate`.
///
/// ```
/// use atonce::{Denial, Verdict};
///
/// assert_eq!(Verdict::Deny(Denial::Refused).to_string(), "denied: 400");
/// assert!(Verdict::AllowAs("joe".try_into()?).is_allowed());
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may come in.
    Allow,
    /// It may, and is known here under this user id (RFC 27), which [`zmtp::Connection::user_id`](crate::zmtp::Connection::user_id)
    /// and [`PeerView::user_id`](crate::zre::PeerView) tell. It means something to this side only: nothing of it goes over the wire,
    /// and an empty one is none.
    AllowAs(Text),
    /// It may not.
    Deny(Denial),
}

/// Why a client may not come in, as ZAP (RFC 27) has it.
///
/// ```
/// use atonce::Denial;
///
/// assert_eq!(Denial::Internal.code(), "500");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Denial {
    /// 300, not now: the connection is closed without a word, so that the client comes again.
    Temporary,
    /// 400, not this one: it is told so, and C peers do not come again.
    Refused,
    /// 500, whoever decides failed: the same.
    Internal,
}

impl Denial {
    /// The code of ZAP, which is what a client is told.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Temporary => "300",
            Self::Refused => "400",
            Self::Internal => "500",
        }
    }
}

impl Verdict {
    /// Whether it may come in.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow | Self::AllowAs(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allowed"),
            Self::AllowAs(user_id) => write!(f, "allowed as {user_id}"),
            Self::Deny(denial) => write!(f, "denied: {}", denial.code()),
        }
    }
}
