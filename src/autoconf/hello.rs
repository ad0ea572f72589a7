//! What a client and a server first say to each other: `NAME HI`, and `OK`.
//!
//! Both machines say what is to be done with a socket of REQ or REP, and are told what came of it. They have none themselves.

mod client;
mod server;

pub use client::{Action as ClientAction, Client, Config, Event as ClientEvent, Timer};
pub use server::{
    Action as ServerAction, Counters as ServerCounters, Event as ServerEvent, Server,
    Timer as ServerTimer,
};

use alloc::string::String;

use bytes::Bytes;

use crate::wire::Frames;

/// The answer that means that all is well.
const OK: &[u8] = b"OK";
/// The answer to what is no hello and is more than one can be expected to read.
const TOO_MUCH: &[u8] = b"TOO MUCH";
/// What stands behind the name.
const HI: &str = " HI";
/// The most octets that are looked at of what strangers say.
const SAID: usize = 512;

/// The name of a client: 1 to 255 octets of UTF-8 without control characters. It may have spaces.
///
/// ```
/// use atonce::autoconf::hello::ClientName;
///
/// let name: ClientName = "client 4".parse()?;
/// assert_eq!(name.hello(), atonce::Frames::from("client 4 HI"));
/// assert!("".parse::<ClientName>().is_err());
/// # Ok::<(), atonce::autoconf::hello::InvalidClientName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName(String);

/// What was given cannot be the name of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a client is 1 to 255 octets of UTF-8 without control characters")]
pub struct InvalidClientName;

impl ClientName {
    /// The most octets.
    pub const LIMIT: usize = 255;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a client of this name says.
    // AUTO-50
    pub fn hello(&self) -> Frames {
        Frames::from([self.0.as_str(), HI].concat())
    }

    /// Who says this, if it is a hello.
    fn of(said: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(said).ok()?;
        text.strip_suffix(HI)?.parse().ok()
    }
}

impl core::str::FromStr for ClientName {
    type Err = InvalidClientName;

    fn from_str(name: &str) -> Result<Self, InvalidClientName> {
        // AUTO-50
        let fits = (1..=Self::LIMIT).contains(&name.len()) && !name.contains(char::is_control);
        fits.then(|| Self(name.into())).ok_or(InvalidClientName)
    }
}

impl core::fmt::Display for ClientName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(&self.0)
    }
}

/// What was said, in one piece, as far as it is kept.
fn said(message: &Frames) -> Bytes {
    match &message[..] {
        [only] if only.len() <= SAID => only.clone(),
        frames => {
            let octets = frames.iter().flatten().copied().take(SAID);
            octets.collect()
        }
    }
}
