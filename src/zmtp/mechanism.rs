//! The seam for mechanisms: a handshake of commands, then a transformation of each frame.
//!
//! A connection asks its mechanism at four points:
//!
//! 1. [`start`](Mechanism::start), when the peer's greeting is in: the first command, if it is this side that begins.
//! 2. [`handle_command`](Mechanism::handle_command), for each command of the handshake except ERROR, which all
//!    mechanisms have: what to answer, and whether that was the last one.
//! 3. [`seal`](Mechanism::seal), for each frame of traffic in the order of the wire: the frame to send in its stead.
//! 4. [`open`](Mechanism::open), for each frame that came: the frame in it.
//!
//! So CURVE fits: its HELLO, WELCOME, INITIATE and READY are bodies of commands that only it reads, and its MESSAGE is a
//! [`FrameKind::Last`] that `open` turns into a frame of another kind and smaller body. Frames are sealed as they are
//! queued, and the queue is never reordered, so nonces increase.

use bytes::Bytes;

use super::Error;
use super::config::Security;
use super::error::unexpected;
use super::inbox::Frame;
use crate::wire::zmtp::{Command, FrameKind, MechanismName, Metadata};

/// The mechanism of one connection, as far as its handshake has come.
#[derive(Debug)]
pub(super) enum Mechanism {
    Null,
}

/// What came of a command of the handshake.
#[derive(Debug)]
pub(super) enum Step {
    /// The handshake is over: what the peer tells about itself.
    Done(Metadata),
}

impl Mechanism {
    pub(super) fn new(security: Security) -> Self {
        match security {
            Security::Null => Self::Null,
        }
    }

    pub(super) fn name(&self) -> MechanismName {
        match self {
            Self::Null => MechanismName::NULL,
        }
    }

    /// `ours` is what this side tells about itself.
    ///
    /// RFC 37 lets the side that dialled say READY first; C peers do not wait and neither do we: it saves a round trip,
    /// and both sides accept either order.
    pub(super) fn start(&mut self, ours: Metadata) -> Option<Command> {
        match self {
            // ZMTP-30
            Self::Null => Some(Command::Ready(ours)),
        }
    }

    pub(super) fn handle_command(&mut self, body: &[u8]) -> Result<Step, Error> {
        match self {
            Self::Null => match Command::decode(body)? {
                Command::Ready(theirs) => Ok(Step::Done(theirs)),
                // ZMTP-32
                _ => Err(unexpected("command before READY")),
            },
        }
    }

    /// Whether frames are sealed at all once the handshake is over.
    #[inline]
    pub(super) fn seals(&self) -> bool {
        match self {
            Self::Null => false,
        }
    }

    /// `None`: as it is.
    #[inline]
    pub(super) fn seal(&mut self, _kind: FrameKind, _body: &[u8]) -> Option<(FrameKind, Bytes)> {
        match self {
            Self::Null => None,
        }
    }

    #[inline]
    pub(super) fn open<'a>(&mut self, frame: Frame<'a>) -> Result<Frame<'a>, Error> {
        match self {
            Self::Null => Ok(frame),
        }
    }
}
