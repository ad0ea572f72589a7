//! The messages of @Once, which ride in the content of WHISPER: `spec/once.md`.
//!
//! The first frame of the content is the message; behind REMOTE-WHISPER and REMOTE-SHOUT stand the frames of an application,
//! as they are. [`V1`] is the protocol of the seed, [`V2`] the one that bridges and servers work with. What of a message
//! is legal when is not a matter of its octets, and nothing here knows it.
//!
//! ```
//! use atonce::{Frames, PeerId};
//! use atonce::wire::once::{Limits, Message, RemoteWhisper, V1, V2};
//!
//! // What a plain peer of ZRE may ask an open server.
//! let ask = Message::from(V1::GetEndpoints);
//! assert_eq!(ask.encode()[..], [&b"\xAA\xA2\x01\x01"[..]]);
//!
//! // What a bridge sends for one of its peers to a peer of another.
//! let whisper = Message::from(V2::RemoteWhisper(RemoteWhisper {
//!     epoch: 1,
//!     number: 7,
//!     from: PeerId::from_bytes([1; 16]),
//!     to: PeerId::from_bytes([2; 16]),
//!     content: Frames::from_iter(["hello", "world"]),
//! }));
//! let frames = whisper.encode();
//! assert_eq!((frames.len(), frames[0].len()), (3, 52));
//! assert!(Message::is_once(&frames));
//! assert_eq!(Message::decode(frames, &Limits::default())?, whisper);
//! # Ok::<(), atonce::wire::Malformed>(())
//! ```

use alloc::vec::Vec;
use core::iter;

use bytes::{BufMut, Bytes};

use super::primitive::{exactly, number1, number2, too_many, whole};
use super::{Expected, Found, Frames, Malformed};

mod contact;
mod fields;
mod proof;
mod relay;
mod remote;
mod roster;
mod session;
mod v1;
mod v2;

pub use contact::{Address, Contact};
pub use proof::{Exchange, Party, Proof, Side};
pub use relay::{Invitation, Prelude, RelayRole, Ticket};
pub use remote::{Reason, RemoteAgain, RemoteShout, RemoteWhisper, Target, Undeliverable};
pub use roster::{Change, Delta, Part, Peer, Roster};
pub use session::{Authenticate, Challenge, Code, Nope};
pub use v1::V1;
pub use v2::V2;

const SIGNATURE: u16 = 0xAAA2;
/// Signature, id and version, with which every message begins.
const PREFIX_OCTETS: usize = 4;

/// A message of @Once.
///
/// [The module](self) has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// One of version 1, the seed's.
    V1(V1),
    /// One of version 2.
    V2(V2),
    /// One with an id that its version does not know.
    Unknown(Unknown),
}

/// What is known of a message that nobody knows: version and id, never such as are known.
///
/// What else was in it is dropped: nobody could use it.
///
/// ```
/// use atonce::wire::once::Unknown;
///
/// let unknown = Unknown::new(2, 0x60).map(|unknown| (unknown.version(), unknown.id()));
/// assert_eq!(unknown, Some((2, 0x60)));
/// // GET-ENDPOINTS; what ZRE/LOG has; and a version that is not spoken.
/// assert_eq!([Unknown::new(1, 1), Unknown::new(2, 1), Unknown::new(3, 9)], [None; 3]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unknown {
    version: u8,
    id: u8,
}

impl Unknown {
    /// The message of this version with this id; `None` when the id is known or means another protocol, or the version is
    /// not spoken.
    pub const fn new(version: u8, id: u8) -> Option<Self> {
        let known = match version {
            v1::VERSION => v1::is_known(id),
            v2::VERSION => v2::is_known(id) || id == v2::NO_MESSAGE,
            _ => true,
        };
        if known {
            None
        } else {
            Some(Self { version, id })
        }
    }

    /// The version on the wire.
    pub const fn version(self) -> u8 {
        self.version
    }

    /// The id on the wire.
    pub const fn id(self) -> u8 {
        self.id
    }
}

/// How much a message may hold. The defaults are what `spec/once.md` states; who allows less refuses what others may say.
///
/// The content of REMOTE-WHISPER and REMOTE-SHOUT is limited by the connection that carries it.
///
/// ```
/// use atonce::wire::once::Limits;
///
/// let limits = Limits { endpoints: 100, ..Limits::default() };
/// assert_eq!(limits.peers, 4_096);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most octets in the first frame: 2 MiB. A HELLO has at most 1 MiB, and so what is told of a peer fits a message,
    /// also after it joined all the groups that it may.
    pub octets: usize,
    /// The most mechanisms in a CHALLENGE: 16. There are three.
    pub mechanisms: usize,
    /// The most entries in a LIST-ENDPOINTS: 1,024, ten times what the guide wants to see.
    pub endpoints: usize,
    /// The most peers in a ROSTER, and the most parts of one: 4,096, as many as a node may have peers.
    pub peers: usize,
    /// The most groups of a peer: 1,024, as in ZRE.
    pub groups: usize,
    /// The most headers of a peer: 256, as in ZRE.
    pub headers: usize,
    /// The most peers that a REMOTE-SHOUT or REMOTE-AGAIN is for: 4,096, as many as a node may have.
    pub receivers: usize,
    /// The most octets in the value of a header: 1 MiB, more than a HELLO with it could have.
    pub value: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            octets: 2 << 20,
            mechanisms: 16,
            endpoints: 1_024,
            peers: 4_096,
            groups: 1_024,
            headers: 256,
            receivers: 4_096,
            value: 1 << 20,
        }
    }
}

impl Message {
    /// Whether these frames, the content of a WHISPER, begin as a message of @Once does in a version that is spoken here.
    ///
    /// What does not is somebody else's: it is no offence.
    ///
    /// ```
    /// use atonce::Frames;
    /// use atonce::wire::once::Message;
    ///
    /// assert!(Message::is_once(&Frames::from(b"\xAA\xA2\x01\x01")));
    /// assert!(!Message::is_once(&Frames::from(b"\xAA\xA2\x01\x03")));
    /// assert!(!Message::is_once(&Frames::from("hello")));
    /// ```
    pub fn is_once(frames: &Frames) -> bool {
        frames.first().is_some_and(|frame| prefix(frame).is_ok())
    }

    /// Reads a message, which is the content of a WHISPER.
    ///
    /// The content of REMOTE-WHISPER and REMOTE-SHOUT shares the memory of the frames, and so do strings unless that would
    /// keep a frame in memory that is much larger than they are. Frames behind any other message are ignored. An unknown
    /// id is no error, whatever follows it.
    ///
    /// # Errors
    ///
    /// [`Malformed`] names the field that does not follow the grammar, or goes over the limits; `signature`, `version` or
    /// `id` when it is no message of @Once in a version that is spoken here ([`is_once`](Self::is_once)).
    pub fn decode(mut frames: Frames, limits: &Limits) -> Result<Self, Malformed> {
        let frame = frames.pop_front().unwrap_or_default();
        let (version, id, body) = prefix(&frame)?;
        // ONCE-10
        if frame.len() > limits.octets {
            return Err(too_many("message", limits.octets, frame.len()));
        }
        if let Some(unknown) = Unknown::new(version, id) {
            // ONCE-5
            return Ok(Self::Unknown(unknown));
        }
        // ONCE-4: what stands behind a message that has no content is dropped.
        if version == v1::VERSION {
            v1::decode(id, &frame, body, limits).map(Self::V1)
        } else {
            v2::decode(id, &frame, body, frames, limits).map(Self::V2)
        }
    }

    /// The frames of the message, to be the content of a WHISPER.
    ///
    /// The first one is allocated, once and to its exact size; the content is shared. What is within [`Limits`] decodes to
    /// the same message.
    pub fn encode(&self) -> Frames {
        let size = PREFIX_OCTETS + self.body_len();
        let mut head = Vec::with_capacity(size);
        head.put_u16(SIGNATURE);
        head.put_u8(self.id());
        head.put_u8(self.version());
        match self {
            Self::V1(message) => message.put_body(&mut head),
            Self::V2(message) => message.put_body(&mut head),
            Self::Unknown(_) => {}
        }
        debug_assert_eq!(head.len(), size, "{self:?}");
        let content: &[Bytes] = self.content().map_or(&[], |content| content);
        iter::once(Bytes::from(head))
            .chain(content.iter().cloned())
            .collect()
    }

    /// The frames behind the first one; `None` for a message that has none.
    pub const fn content(&self) -> Option<&Frames> {
        match self {
            Self::V2(message) => message.content(),
            _ => None,
        }
    }

    /// Its version on the wire.
    pub const fn version(&self) -> u8 {
        match self {
            Self::V1(_) => v1::VERSION,
            Self::V2(_) => v2::VERSION,
            Self::Unknown(unknown) => unknown.version(),
        }
    }

    /// Its id on the wire.
    pub const fn id(&self) -> u8 {
        match self {
            Self::V1(message) => message.id(),
            Self::V2(message) => message.id(),
            Self::Unknown(unknown) => unknown.id(),
        }
    }

    /// Its name as the specification writes it, for people.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::V1(message) => message.name(),
            Self::V2(message) => message.name(),
            Self::Unknown(_) => "UNKNOWN",
        }
    }

    /// The octets of all frames, without framing.
    pub fn octets(&self) -> usize {
        PREFIX_OCTETS + self.body_len() + self.content().map_or(0, Frames::octets)
    }

    fn body_len(&self) -> usize {
        match self {
            Self::V1(message) => message.body_len(),
            Self::V2(message) => message.body_len(),
            Self::Unknown(_) => 0,
        }
    }
}

impl From<V1> for Message {
    fn from(message: V1) -> Self {
        Self::V1(message)
    }
}

impl From<V2> for Message {
    fn from(message: V2) -> Self {
        Self::V2(message)
    }
}

/// Version, id, and what follows.
fn prefix(frame: &[u8]) -> Result<(u8, u8, &[u8]), Malformed> {
    let fields = (
        // ONCE-1
        exactly("signature", number2("signature"), SIGNATURE),
        number1("id"),
        number1("version"),
        nom::combinator::rest,
    );
    let ((), id, version, body) = whole("message", fields, frame)?;
    // ONCE-2
    if version != v1::VERSION && version != v2::VERSION {
        let found = Found::Value(version.into());
        return Err(Malformed::new("version", Expected::What("1 or 2"), found));
    }
    // ONCE-6
    if version == v2::VERSION && id == v2::NO_MESSAGE {
        let expected = Expected::What("another than that of ZRE/LOG");
        return Err(Malformed::new("id", expected, Found::Value(id.into())));
    }
    Ok((version, id, body))
}
