//! The commands of CURVE: what can be seen of them without a key.

use alloc::vec::Vec;

use bytes::BufMut;

use crate::wire::primitive::{array, number8, whole, wide};
use crate::wire::{Expected, Found, Malformed};

/// The first command of a client (RFC 26 "The HELLO Command").
///
/// ```
/// use atonce::wire::zmtp::curve::Hello;
///
/// let hello = Hello { client: [1; 32], nonce: 1, sealed: [2; 80] };
/// let body = hello.encode();
/// assert_eq!(body.len(), 200); // more than the answer, so that nobody can have somebody else flooded with answers
/// assert_eq!(Hello::decode(&body)?, hello);
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The client's key for this connection.
    pub client: [u8; 32],
    /// The short nonce.
    pub nonce: u64,
    /// 64 zeros, sealed from `client` to the server's permanent key.
    pub sealed: [u8; 80],
}

/// The server's answer to HELLO (RFC 26 "The WELCOME Command"): 168 octets.
///
/// ```
/// use atonce::wire::zmtp::curve::Welcome;
///
/// let welcome = Welcome { nonce: [1; 16], sealed: [2; 144] };
/// assert_eq!(Welcome::decode(&welcome.encode())?, welcome);
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The long nonce.
    pub nonce: [u8; 16],
    /// The server's key for this connection and the cookie, sealed from its permanent key to the client's key for this
    /// connection.
    pub sealed: [u8; 144],
}

/// Two keys, sealed under a long nonce: one shape that stands for two things, which no type should take for each other.
macro_rules! sealed_keys {
    ($(#[$about:meta])* $name:ident, $what:literal, $(#[$content:meta])*) => {
        $(#[$about])*
        ///
        /// ```
        #[doc = concat!("use atonce::wire::zmtp::curve::", stringify!($name), ";")]
        ///
        #[doc = concat!("let it = ", stringify!($name), " { nonce: [1; 16], sealed: [2; 80] };")]
        #[doc = concat!("assert_eq!(", stringify!($name), "::from_bytes(&it.to_bytes()), it);")]
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            /// The long nonce.
            pub nonce: [u8; 16],
            $(#[$content])*
            pub sealed: [u8; 80],
        }

        impl $name {
            #[doc = concat!("The octets of a ", $what, ".")]
            pub const OCTETS: usize = 96;

            /// Its octets.
            pub fn to_bytes(&self) -> [u8; Self::OCTETS] {
                let mut octets = [0; Self::OCTETS];
                let mut rest = octets.as_mut_slice();
                rest.put_slice(&self.nonce);
                rest.put_slice(&self.sealed);
                octets
            }

            #[doc = concat!("The ", $what, " with these octets.")]
            pub fn from_bytes(octets: &[u8; Self::OCTETS]) -> Self {
                // Both are there: together they are as long as it is.
                let nonce = octets.first_chunk().copied().unwrap_or([0; 16]);
                let sealed = octets.last_chunk().copied().unwrap_or([0; 80]);
                Self { nonce, sealed }
            }
        }
    };
}

sealed_keys! {
    /// What the server hands out in WELCOME instead of keeping it, and gets back in INITIATE: 96 octets.
    Cookie, "cookie",
    /// Both keys for this connection, the client's public and the server's secret one, sealed by the server for itself.
}

sealed_keys! {
    /// With what a client vouches that a key for this connection is its own: 96 octets.
    Vouch, "vouch",
    /// The client's key for this connection and the server's permanent one, sealed from the client's permanent key to the
    /// server's key for this connection.
}

/// The second command of a client (RFC 26 "The INITIATE Command"): 257 octets or more.
///
/// ```
/// use atonce::wire::zmtp::curve::{Cookie, Initiate};
///
/// let cookie = Cookie { nonce: [1; 16], sealed: [2; 80] };
/// let initiate = Initiate { cookie, nonce: 2, sealed: &[3; 144] };
/// assert_eq!(Initiate::decode(&initiate.encode())?, initiate);
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initiate<'a> {
    /// As it came in WELCOME.
    pub cookie: Cookie,
    /// The short nonce, above that of HELLO.
    pub nonce: u64,
    /// The client's permanent key, its [`Vouch`] and metadata, sealed between the keys for this connection. At least 144 octets.
    pub sealed: &'a [u8],
}

/// The server's answer to INITIATE (RFC 26 "The READY Command"): 30 octets or more.
///
/// ```
/// use atonce::wire::zmtp::curve::Ready;
///
/// let ready = Ready { nonce: 1, sealed: &[3; 16] };
/// assert_eq!(Ready::decode(&ready.encode())?, ready);
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready<'a> {
    /// The short nonce of the server.
    pub nonce: u64,
    /// Metadata, sealed between the keys for this connection. At least 16 octets.
    pub sealed: &'a [u8],
}

/// A frame of traffic (RFC 26 "The MESSAGE Command"): 33 octets or more, 33 more than the frame in it.
///
/// ```
/// use atonce::wire::zmtp::curve::SealedFrame;
///
/// let body = [b"\x07MESSAGE".as_slice(), &[0, 0, 0, 0, 0, 0, 0, 3], &[9; 17]].concat();
/// let frame = SealedFrame::decode(&body)?;
/// assert_eq!((frame.nonce, frame.sealed.len()), (3, 17));
/// # Ok::<(), atonce::wire::Malformed>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedFrame<'a> {
    /// The short nonce, above all before.
    pub nonce: u64,
    /// An octet of flags and the body of the frame, sealed between the keys for this connection. At least 17 octets.
    pub sealed: &'a [u8],
}

const HELLO: &[u8; 6] = b"\x05HELLO";
const WELCOME: &[u8; 8] = b"\x07WELCOME";
const INITIATE: &[u8; 9] = b"\x08INITIATE";
const READY: &[u8; 6] = b"\x05READY";
const MESSAGE: &[u8; 8] = b"\x07MESSAGE";

/// The name of a sealed frame, and its nonce.
const HEAD_OCTETS: usize = MESSAGE.len() + size_of::<u64>();

/// Major and minor version of CURVE.
const VERSION: [u8; 2] = [1, 0];
/// What makes HELLO longer than WELCOME.
const PADDING: usize = 72;

impl Hello {
    /// The octets of the command.
    pub const OCTETS: usize = 200;

    /// The body of the command.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(Self::OCTETS);
        body.put_slice(HELLO);
        body.put_slice(&VERSION);
        body.put_bytes(0, PADDING);
        body.put_slice(&self.client);
        body.put_u64(self.nonce);
        body.put_slice(&self.sealed);
        body
    }

    /// Reads the body of a command.
    ///
    /// # Errors
    ///
    /// It is none of this kind, or its size, version or padding are not as they should be.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let data = named("HELLO", HELLO, body)?;
        let fields = (
            array("HELLO.version"),
            array("HELLO.padding"),
            array("HELLO.client"),
            number8("HELLO.nonce"),
            array("HELLO.sealed"),
        );
        let (version, padding, client, nonce, sealed): ([u8; 2], [u8; PADDING], _, _, _) =
            whole("HELLO", fields, data)?;
        // ZMTP-80
        if version != VERSION {
            return Err(Malformed::new(
                "HELLO.version",
                Expected::What("1.0"),
                Found::What("another"),
            ));
        }
        if padding != [0; PADDING] {
            return Err(Malformed::new(
                "HELLO.padding",
                Expected::What("zeros"),
                Found::What("something else"),
            ));
        }
        Ok(Self {
            client,
            nonce,
            sealed,
        })
    }
}

impl Welcome {
    /// The octets of the command.
    pub const OCTETS: usize = 168;

    /// The body of the command.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(Self::OCTETS);
        body.put_slice(WELCOME);
        body.put_slice(&self.nonce);
        body.put_slice(&self.sealed);
        body
    }

    /// Reads the body of a command.
    ///
    /// # Errors
    ///
    /// It is none of this kind, or its size is another.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let data = named("WELCOME", WELCOME, body)?;
        let fields = (array("WELCOME.nonce"), array("WELCOME.sealed"));
        let (nonce, sealed) = whole("WELCOME", fields, data)?;
        Ok(Self { nonce, sealed })
    }
}

impl<'a> Initiate<'a> {
    /// The fewest octets that `sealed` has.
    pub const LEAST_SEALED: usize = 144;

    /// The body of the command.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(INITIATE.len() + Cookie::OCTETS + 8 + self.sealed.len());
        body.put_slice(INITIATE);
        body.put_slice(&self.cookie.to_bytes());
        body.put_u64(self.nonce);
        body.put_slice(self.sealed);
        body
    }

    /// Reads the body of a command.
    ///
    /// # Errors
    ///
    /// It is none of this kind, or too short.
    pub fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let data = named("INITIATE", INITIATE, body)?;
        let fields = (
            array("INITIATE.cookie"),
            number8("INITIATE.nonce"),
            nom::combinator::rest,
        );
        let (cookie, nonce, sealed) = whole("INITIATE", fields, data)?;
        Ok(Self {
            cookie: Cookie::from_bytes(&cookie),
            nonce,
            sealed: at_least("INITIATE.sealed", Self::LEAST_SEALED, sealed)?,
        })
    }
}

impl<'a> Ready<'a> {
    /// The fewest octets that `sealed` has.
    pub const LEAST_SEALED: usize = 16;

    /// The body of the command.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(READY.len() + 8 + self.sealed.len());
        body.put_slice(READY);
        body.put_u64(self.nonce);
        body.put_slice(self.sealed);
        body
    }

    /// Reads the body of a command.
    ///
    /// # Errors
    ///
    /// It is none of this kind, or too short.
    pub fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let data = named("READY", READY, body)?;
        let fields = (number8("READY.nonce"), nom::combinator::rest);
        let (nonce, sealed) = whole("READY", fields, data)?;
        Ok(Self {
            nonce,
            sealed: at_least("READY.sealed", Self::LEAST_SEALED, sealed)?,
        })
    }
}

impl<'a> SealedFrame<'a> {
    /// The fewest octets that `sealed` has.
    pub const LEAST_SEALED: usize = 17;
    /// What stands in front of `sealed`, in octets.
    pub const HEAD_OCTETS: usize = HEAD_OCTETS;
    /// How much longer the body of a sealed frame is than that of the frame in it.
    pub const OVERHEAD_OCTETS: usize = Self::HEAD_OCTETS + Self::LEAST_SEALED;

    /// What stands in front of `sealed`.
    pub fn head(nonce: u64) -> [u8; HEAD_OCTETS] {
        let mut octets = [0; HEAD_OCTETS];
        let mut rest = octets.as_mut_slice();
        rest.put_slice(MESSAGE);
        rest.put_u64(nonce);
        octets
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    ///
    /// It is none of this kind, or too short.
    pub fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let data = named("MESSAGE", MESSAGE, body)?;
        let fields = (number8("MESSAGE.nonce"), nom::combinator::rest);
        let (nonce, sealed) = whole("MESSAGE", fields, data)?;
        Ok(Self {
            nonce,
            sealed: at_least("MESSAGE.sealed", Self::LEAST_SEALED, sealed)?,
        })
    }
}

/// What follows the name of a command, if it has this name.
fn named<'a>(command: &'static str, name: &[u8], body: &'a [u8]) -> Result<&'a [u8], Malformed> {
    body.strip_prefix(name).ok_or(Malformed::new(
        "command.name",
        Expected::What(command),
        Found::What("another"),
    ))
}

fn at_least<'a>(
    field: &'static str,
    least: usize,
    octets: &'a [u8],
) -> Result<&'a [u8], Malformed> {
    if octets.len() < least {
        return Err(Malformed::new(
            field,
            Expected::Octets(wide(least)),
            Found::Octets(wide(octets.len())),
        ));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_is_exact_in_every_field() {
        let body = Hello {
            client: [1; 32],
            nonce: 1,
            sealed: [2; 80],
        }
        .encode();
        assert_eq!(body.len(), Hello::OCTETS);
        let fails = |at: usize| {
            let mut body = body.clone();
            body[at] ^= 1;
            Hello::decode(&body).map_err(|malformed| malformed.field)
        };
        assert_eq!(fails(0), Err("command.name"));
        assert_eq!(fails(6), Err("HELLO.version"));
        assert_eq!(fails(7), Err("HELLO.version"));
        assert_eq!(fails(8), Err("HELLO.padding"));
        assert_eq!(fails(79), Err("HELLO.padding"));
        assert!(fails(80).is_ok());
        assert!(Hello::decode(&body[..199]).is_err());
        assert!(Hello::decode(&[body.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn sizes_are_those_of_the_specification() {
        let welcome = Welcome {
            nonce: [1; 16],
            sealed: [2; 144],
        };
        assert_eq!(welcome.encode().len(), Welcome::OCTETS);
        let cookie = Cookie {
            nonce: [1; 16],
            sealed: [2; 80],
        };
        let sealed = [3; Initiate::LEAST_SEALED];
        let initiate = Initiate {
            cookie,
            nonce: 2,
            sealed: &sealed,
        };
        let body = initiate.encode();
        assert_eq!(body.len(), 257);
        assert!(Initiate::decode(&body[..256]).is_err());
        let ready = Ready {
            nonce: 1,
            sealed: &[3; 16],
        };
        assert_eq!(ready.encode().len(), 30);
        assert!(Ready::decode(&ready.encode()[..29]).is_err());
        let frame = [SealedFrame::head(7).as_slice(), &[1; 17]].concat();
        assert_eq!(frame.len(), SealedFrame::OVERHEAD_OCTETS);
        assert_eq!(SealedFrame::decode(&frame).unwrap().nonce, 7);
        assert!(SealedFrame::decode(&frame[..32]).is_err());
    }
}
