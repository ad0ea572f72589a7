//! What a security mechanism does for a connection.
//!
//! Greeting, frames, heartbeats, limits and deadlines are the same for all of them. A connection calls its mechanism at these
//! points:
//!
//! 1. [`start`](Mechanism::start), when the peer's greeting is in: the first command, if it is this side that begins.
//! 2. [`handle_command`](Mechanism::handle_command), for each command of the handshake except ERROR, which all
//!    mechanisms have: what to answer, whether the embedder is to be asked, and whether that was the last one.
//! 3. [`allow`](Mechanism::allow), when the embedder lets the client in.
//! 4. [`seal`](Mechanism::seal), where it [`seals`](Mechanism::seals), for each frame of traffic in the order of the wire: the body
//!    of the frame to send in its stead. Frames are sealed as they are queued, and the queue is never reordered, so nonces increase.
//! 5. [`open`](Mechanism::open), for each frame that came: the frame in it.

#[cfg(feature = "curve")]
mod curve;
mod plain;

use alloc::boxed::Box;
use alloc::vec::Vec;

#[cfg(feature = "curve")]
use self::curve::Curve;
use self::plain::Plain;
use super::config::Security;
use super::error::unexpected;
use super::inbox::Frame;
use super::{Credentials, Error};
#[cfg(feature = "curve")]
use crate::curve::PublicKey;
use crate::wire::Text;
use crate::wire::zmtp::{Command, FrameKind, MechanismName, Metadata};

/// The mechanism of one connection, as far as its handshake has come; `None` for NULL, which has nothing to remember.
#[derive(Debug)]
pub(super) struct Mechanism(Option<Box<Guard>>);

#[derive(Debug)]
struct Guard {
    secured: Secured,
    /// As whom the embedder lets the client in.
    user_id: Option<Text>,
}

#[derive(Debug)]
enum Secured {
    Plain(Plain),
    #[cfg(feature = "curve")]
    Curve(Curve),
}

/// What came of a command of the handshake.
#[derive(Debug)]
pub(super) enum Step {
    /// This command is to be sent, and the next one awaited.
    Say(Vec<u8>),
    /// The embedder is to be asked.
    Ask(Credentials),
    /// The handshake is over.
    Done(Done),
}

/// How a handshake ended.
#[derive(Debug)]
pub(super) struct Done {
    /// What the peer tells about itself.
    pub(super) metadata: Metadata,
    /// The last command, when it is this side that has the last word.
    pub(super) say: Option<Vec<u8>>,
}

impl Done {
    /// Of a mechanism without keys.
    fn keyless(metadata: Metadata, say: Option<Vec<u8>>) -> Self {
        Self { metadata, say }
    }
}

impl Mechanism {
    pub(super) fn new(security: Security) -> Self {
        let secured = match security {
            Security::Null => return Self(None),
            Security::PlainClient { username, password } => {
                Secured::Plain(Plain::client(username, password))
            }
            Security::PlainServer => Secured::Plain(Plain::server()),
            #[cfg(feature = "curve")]
            Security::CurveClient { keys, server, seed } => {
                Secured::Curve(Curve::client(keys, server, seed))
            }
            #[cfg(feature = "curve")]
            Security::CurveServer { keys, seed } => Secured::Curve(Curve::server(keys, seed)),
        };
        let user_id = None;
        Self(Some(Box::new(Guard { secured, user_id })))
    }

    #[inline]
    fn secured(&self) -> Option<&Secured> {
        self.0.as_deref().map(|guard| &guard.secured)
    }

    #[inline]
    fn secured_mut(&mut self) -> Option<&mut Secured> {
        self.0.as_deref_mut().map(|guard| &mut guard.secured)
    }

    pub(super) fn name(&self) -> MechanismName {
        match self.secured() {
            None => MechanismName::NULL,
            Some(Secured::Plain(_)) => MechanismName::PLAIN,
            #[cfg(feature = "curve")]
            Some(Secured::Curve(_)) => MechanismName::CURVE,
        }
    }

    /// Whether this side is the server of the handshake that is to come.
    pub(super) fn is_server(&self) -> bool {
        match self.secured() {
            None => false,
            Some(Secured::Plain(plain)) => plain.is_server(),
            #[cfg(feature = "curve")]
            Some(Secured::Curve(curve)) => curve.is_server(),
        }
    }

    /// `ours` is what this side tells about itself.
    ///
    /// RFC 37 lets the side that dialled say READY first with NULL; C peers do not wait and neither do we: it saves a round trip,
    /// and both sides accept either order.
    pub(super) fn start(&mut self, ours: &Metadata) -> Result<Option<Vec<u8>>, Error> {
        match self.secured_mut() {
            // ZMTP-30
            None => Ok(Some(ready(ours))),
            Some(Secured::Plain(plain)) => Ok(plain.start()),
            #[cfg(feature = "curve")]
            Some(Secured::Curve(curve)) => curve.start(),
        }
    }

    pub(super) fn handle_command(&mut self, body: &[u8], ours: &Metadata) -> Result<Step, Error> {
        match self.secured_mut() {
            None => match Command::decode(body)? {
                Command::Ready(theirs) => Ok(Step::Done(Done::keyless(theirs, None))),
                // ZMTP-32
                _ => Err(unexpected("command before READY")),
            },
            Some(Secured::Plain(plain)) => plain.handle_command(body, ours),
            #[cfg(feature = "curve")]
            Some(Secured::Curve(curve)) => curve.handle_command(body, ours),
        }
    }

    /// The client may come in, under this user id; `None` when nobody was asked about.
    #[cfg_attr(
        not(feature = "curve"),
        expect(unused_variables, reason = "only CURVE looks at it")
    )]
    pub(super) fn allow(&mut self, user_id: Option<Text>, ours: &Metadata) -> Option<Step> {
        let guard = self.0.as_deref_mut()?;
        let step = match &mut guard.secured {
            Secured::Plain(plain) => plain.allow(),
            #[cfg(feature = "curve")]
            Secured::Curve(curve) => curve.allow(ours),
        }?;
        guard.user_id = user_id.filter(|user_id| !user_id.is_empty());
        Some(step)
    }

    /// As whom the embedder let the client in.
    pub(super) fn user_id(&self) -> Option<&Text> {
        self.0.as_deref()?.user_id.as_ref()
    }

    /// The permanent key that the peer proved to have, once the handshake is over.
    #[cfg(feature = "curve")]
    pub(super) fn key(&self) -> Option<PublicKey> {
        match self.secured()? {
            Secured::Plain(_) => None,
            Secured::Curve(curve) => curve.key(),
        }
    }

    /// Whether the embedder was asked and did not answer.
    pub(super) fn is_asking(&self) -> bool {
        match self.secured() {
            None => false,
            Some(Secured::Plain(plain)) => plain.is_asking(),
            #[cfg(feature = "curve")]
            Some(Secured::Curve(curve)) => curve.is_asking(),
        }
    }

    /// Whether frames are sealed once the handshake is over.
    #[inline]
    pub(super) fn seals(&self) -> bool {
        self.overhead() > 0
    }

    /// How much longer a sealed frame is than the frame in it.
    #[inline]
    pub(super) fn overhead(&self) -> usize {
        match self.secured() {
            None | Some(Secured::Plain(_)) => 0,
            #[cfg(feature = "curve")]
            Some(Secured::Curve(_)) => Curve::OVERHEAD_OCTETS,
        }
    }

    /// Appends the body of a sealed frame, [`overhead`](Self::overhead) octets more than `body`. It goes as the last frame of a
    /// message, whatever is in it. `false`: nothing is sealed here, and nothing was appended.
    #[cfg_attr(
        not(feature = "curve"),
        expect(unused_variables, clippy::ptr_arg, reason = "only CURVE seals")
    )]
    pub(super) fn seal(&mut self, kind: FrameKind, body: &[u8], out: &mut Vec<u8>) -> bool {
        match self.secured_mut() {
            None | Some(Secured::Plain(_)) => false,
            #[cfg(feature = "curve")]
            Some(Secured::Curve(curve)) => curve.seal(kind, body, out),
        }
    }

    #[inline]
    pub(super) fn open<'a>(&mut self, frame: Frame<'a>) -> Result<Frame<'a>, Error> {
        match self.secured_mut() {
            None | Some(Secured::Plain(_)) => Ok(frame),
            #[cfg(feature = "curve")]
            Some(Secured::Curve(curve)) => curve.open(frame),
        }
    }
}

/// A READY that is not sealed.
fn ready(metadata: &Metadata) -> Vec<u8> {
    let command = Command::Ready(metadata.clone());
    let mut body = Vec::with_capacity(command.encoded_len());
    command.encode(&mut body);
    body
}
