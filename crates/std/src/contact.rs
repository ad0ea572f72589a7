//! Whom to contact without a beacon.

use std::fmt;
use std::str::FromStr;

use atonce::curve::PublicKey;
use atonce::endpoint::Endpoint;

use crate::ConnectError;

/// The mailbox of a node: `tcp://HOST:PORT`, and in a secure network its key, `tcp://HOST:PORT|KEY`, as C Zyre writes it.
///
/// ```
/// use atonce_std::Contact;
///
/// let contact: Contact = "tcp://10.0.0.7:49152|rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7".parse()?;
/// assert_eq!(contact.endpoint.port, 49152);
/// assert!(contact.key.is_some());
/// # Ok::<(), atonce_std::ConnectError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The public key that whoever is there has to have.
    pub key: Option<PublicKey>,
}

impl FromStr for Contact {
    type Err = ConnectError;

    fn from_str(text: &str) -> Result<Self, ConnectError> {
        // Neither an endpoint nor Z85 has a |.
        let (endpoint, key) = match text.split_once('|') {
            Some((endpoint, key)) => (endpoint, Some(key.parse()?)),
            None => (text, None),
        };
        let endpoint = endpoint.parse()?;
        Ok(Self { endpoint, key })
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.endpoint, f)?;
        match &self.key {
            Some(key) => write!(f, "|{key}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_so_and_what_is_wrong_is_told() {
        for text in [
            "tcp://10.0.0.7:49152",
            "tcp://alice.example.org:1|rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
        ] {
            assert_eq!(text.parse::<Contact>().unwrap().to_string(), text);
        }
        let parse = |text: &str| text.parse::<Contact>().unwrap_err();
        assert!(matches!(parse("tcp://10.0.0.7|x"), ConnectError::Key(_)));
        assert!(matches!(parse("tcp://10.0.0.7:1|"), ConnectError::Key(_)));
        assert!(matches!(parse("10.0.0.7"), ConnectError::Endpoint(_)));
    }
}
