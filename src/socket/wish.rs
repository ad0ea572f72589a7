//! Subscriptions in messages: to publishers of ZMTP 3.0, to the application of an XPUB, and from that of an XSUB.

use alloc::vec::Vec;

use super::changes::Change;
use crate::Bytes;
use crate::wire::Frames;

const CANCEL: u8 = 0;
const SUBSCRIBE: u8 = 1;

/// What a message is that begins with an octet 0 or 1. Only one of a single frame is a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Messages are wanted that begin like what follows the octet.
    Subscribe,
    /// They are not wanted any more.
    Cancel,
    /// It has more frames. Some take its first frame for a subscription and others do not, so it is neither sent nor taken.
    Malformed,
}

impl Wish {
    /// `None`: it is a message like any other.
    #[inline]
    pub(super) fn of(message: &[Bytes]) -> Option<Self> {
        let wish = match *message.first()?.first()? {
            SUBSCRIBE => Self::Subscribe,
            CANCEL => Self::Cancel,
            _ => return None,
        };
        // SOCK-88
        Some(if message.len() == 1 {
            wish
        } else {
            Self::Malformed
        })
    }

    /// The prefix in such a message, in memory of its own: it is kept longer than what came with it.
    pub(super) fn prefix(message: &[Bytes]) -> Bytes {
        let frame = message.first().map_or(&[][..], |frame| frame);
        Bytes::copy_from_slice(frame.get(1..).unwrap_or_default())
    }
}

/// As the application of an XPUB gets it.
impl From<Change> for Frames {
    fn from(change: Change) -> Self {
        let (octet, prefix) = match change {
            Change::Subscribe(prefix) => (SUBSCRIBE, prefix),
            Change::Cancel(prefix) => (CANCEL, prefix),
        };
        let mut frame = Vec::with_capacity(1 + prefix.len());
        frame.push(octet);
        frame.extend_from_slice(&prefix);
        Self::from(frame)
    }
}
