//! The octets of ZMTP 3.0 and 3.1: greeting, frames, commands, metadata.
//!
//! The source is [RFC 37](https://rfc.zeromq.org/spec/37/) (3.1), "Formal Grammar" unless another section is named;
//! [RFC 23](https://rfc.zeromq.org/spec/23/) (3.0) differs in the minor version and lacks PING, PONG, SUBSCRIBE and
//! CANCEL.
//!
//! ```text
//! connection = greeting *frame
//! greeting   = FF 8OCTET 7F  major minor  20 mechanism  as-server  31 filler    ; 64 octets, see Greeting
//! frame      = flags size body                                                  ; see FrameHeader
//! command    = the body of a frame with COMMAND: length name data               ; see Command
//! metadata   = *( length name length4 value )                                   ; see Metadata
//! ```
//!
//! Greeting and frame header are read from a stream, so that reading has three outcomes: an error, a value, or
//! [`Decoded::Partial`]. Commands and metadata lie in a frame and are there as a whole.

mod command;
pub mod curve;
mod frame;
mod greeting;
mod identity;
mod metadata;
mod plain;
mod socket_type;

pub use command::{Command, OtherCommand, Ping, PingContext};
pub use frame::{FrameHeader, FrameKind};
pub use greeting::{Greeting, GreetingError, MechanismName, Revision, Version};
pub use identity::{Identity, InvalidIdentity};
pub use metadata::{InvalidProperty, Metadata, Properties};
pub use plain::PlainCommand;
pub use socket_type::SocketType;

/// What came of reading a value from the beginning of a stream of which more may follow.
///
/// ```
/// use atonce::wire::zmtp::{Decoded, FrameHeader};
///
/// // A long header of which two octets came: seven lack.
/// assert_eq!(FrameHeader::decode(&[0x02, 0x00])?, Decoded::Partial { lacking: 7 });
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<T> {
    /// The value is there.
    Complete {
        /// The value.
        value: T,
        /// How many octets it took; what follows belongs to what comes next.
        octets: usize,
    },
    /// What came so far is right, and more is needed.
    Partial {
        /// At least this many octets lack; not 0.
        lacking: usize,
    },
}

#[cfg(test)]
mod tests;
