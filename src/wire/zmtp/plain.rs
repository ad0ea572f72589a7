//! The commands of PLAIN (RFC 24).

use alloc::vec::Vec;

use bytes::{BufMut, Bytes};

use super::Metadata;
use crate::wire::primitive::{put_string, string, string_len, whole};
use crate::wire::{Expected, Found, Malformed, Text};

/// A command of the handshake that only PLAIN has; its READY is that of [`Command`](super::Command).
///
/// ```
/// use atonce::wire::zmtp::PlainCommand;
///
/// let hello = PlainCommand::Hello { username: "admin".try_into()?, password: "secret".try_into()? };
/// assert_eq!(hello.encode(), b"\x05HELLO\x05admin\x06secret");
/// assert!(PlainCommand::decode(b"\x07WELCOME")? == PlainCommand::Welcome);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// No `Debug`: it would show a password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlainCommand {
    /// The client says who it is, in clear.
    Hello {
        /// Who.
        username: Text,
        /// And what proves it.
        password: Text,
    },
    /// The server lets it in.
    Welcome,
    /// What the client tells about itself then.
    Initiate(Metadata),
}

impl PlainCommand {
    const HELLO: &[u8; 6] = b"\x05HELLO";
    const WELCOME: &[u8; 8] = b"\x07WELCOME";
    const INITIATE: &[u8; 9] = b"\x08INITIATE";

    /// The body of the command.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello { username, password } => {
                let octets = Self::HELLO.len() + string_len(username) + string_len(password);
                let mut body = Vec::with_capacity(octets);
                body.put_slice(Self::HELLO);
                put_string(&mut body, username);
                put_string(&mut body, password);
                body
            }
            Self::Welcome => Self::WELCOME.to_vec(),
            Self::Initiate(metadata) => [Self::INITIATE, metadata.as_bytes()].concat(),
        }
    }

    /// Reads the body of a command.
    ///
    /// # Errors
    ///
    /// It is none of these, or its data do not follow the grammar.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        if let Some(data) = body.strip_prefix(Self::HELLO) {
            let data = Bytes::copy_from_slice(data);
            let fields = (
                string("HELLO.username", &data),
                string("HELLO.password", &data),
            );
            let (username, password) = whole("HELLO", fields, &data)?;
            return Ok(Self::Hello { username, password });
        }
        if let Some(data) = body.strip_prefix(Self::WELCOME) {
            whole("WELCOME", nom::combinator::success(()), data)?;
            return Ok(Self::Welcome);
        }
        if let Some(data) = body.strip_prefix(Self::INITIATE) {
            return Ok(Self::Initiate(Metadata::decode(data)?));
        }
        Err(Malformed::new(
            "command.name",
            Expected::What("HELLO, WELCOME or INITIATE"),
            Found::What("another"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_nothing_else() {
        let text = |text: &str| Text::try_from(text).unwrap();
        let metadata = Metadata::new().with(Metadata::SOCKET_TYPE, b"REQ").unwrap();
        for command in [
            PlainCommand::Hello {
                username: text(""),
                password: text(""),
            },
            PlainCommand::Hello {
                username: text(&"u".repeat(255)),
                password: text(&"p".repeat(255)),
            },
            PlainCommand::Welcome,
            PlainCommand::Initiate(metadata),
        ] {
            let body = command.encode();
            assert!(PlainCommand::decode(&body).is_ok_and(|decoded| decoded == command));
            assert!(PlainCommand::decode(&[body.as_slice(), b"?"].concat()).is_err());
            assert!(PlainCommand::decode(&body[..body.len() - 1]).is_err());
        }
    }
}
