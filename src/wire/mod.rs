//! Every octet format: bytes ⇄ values, no state.
//!
//! What can be constructed can be encoded, and what is encoded decodes to the same value. What is malformed yields a
//! [`Malformed`] that names the field, what was expected and what was found. Counts and lengths are checked against
//! limits before anything is allocated.

pub mod autoconf;
mod beacon;
mod body;
mod error;
mod frames;
pub mod gossip;
mod headers;
pub mod log;
pub mod once;
pub(crate) mod primitive;
mod text;
pub mod zap;
pub mod zmtp;
pub mod zre;

pub use beacon::Beacon;
pub(crate) use body::Body;
pub use error::{Expected, Found, Malformed};
pub use frames::{Frames, IntoIter as FramesIntoIter};
pub use headers::{Headers, Iter as HeadersIter};
pub use text::{LongText, Text, TooLong};
