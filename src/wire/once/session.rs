//! Who is there, and may it be: CHALLENGE, AUTHENTICATE, NOPE.

use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::fields::{
    COUNT_OCTETS, SECRET_OCTETS, list, list_len, proof, put_list, put_text, text, text_len,
};
use super::{Limits, Proof};
use crate::wire::Text;
use crate::wire::primitive::{Parsed, array, number1, number2};

/// What whoever wants to know who the other is begins with.
///
/// ```
/// use atonce::wire::once::{Challenge, V2};
///
/// let challenge = Challenge { mechanisms: vec!["SECRET".try_into()?], nonce: [7; 32] };
/// assert_eq!(V2::Challenge(challenge).name(), "CHALLENGE");
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The ways to prove it that the sender takes, the one that it likes best first.
    pub mechanisms: Vec<Text>,
    /// 32 octets that nobody could have foreseen, and that are never used again.
    pub nonce: [u8; 32],
}

/// The answer to a CHALLENGE.
///
/// ```
/// use atonce::wire::once::{Authenticate, Proof, V2};
///
/// let authenticate = Authenticate {
///     mechanism: "SECRET".try_into()?,
///     nonce: [8; 32],
///     proof: Proof::from_bytes([9; 32]),
/// };
/// assert_eq!(V2::Authenticate(authenticate).name(), "AUTHENTICATE");
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticate {
    /// One of those that were offered.
    pub mechanism: Text,
    /// As in a [`Challenge`], but the sender's own.
    pub nonce: [u8; 32],
    /// What [`Exchange::authenticate`](super::Exchange::authenticate) is the text of; zeros when the mechanism needs none.
    pub proof: Proof,
}

/// Something was refused.
///
/// ```
/// use atonce::wire::once::{Code, Nope};
///
/// // To an AUTHENTICATE.
/// let nope = Nope { about: 0x11, code: Code::WRONG_PROOF, text: "another secret".try_into()? };
/// assert_eq!(nope.code.to_string(), "the proof is wrong");
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nope {
    /// The id of the message that was refused; 0 when it is about none.
    pub about: u8,
    /// Why.
    pub code: Code,
    /// The same in words, for people; may be empty.
    pub text: Text,
}

/// Why something was refused. A number that is none of these is kept as it came.
///
/// ```
/// use atonce::wire::once::Code;
///
/// assert_eq!(Code(3), Code::UNAUTHENTICATED);
/// assert_eq!(Code(999).to_string(), "code 999");
/// ```
// ONCE-33
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u16);

impl Code {
    /// The version is not spoken.
    pub const VERSION: Self = Self(1);
    /// It did not follow the grammar, or went over a limit.
    pub const MALFORMED: Self = Self(2);
    /// The sender has not proved who it is, or not recently enough.
    pub const UNAUTHENTICATED: Self = Self(3);
    /// The proof does not belong to the secret.
    pub const WRONG_PROOF: Self = Self(4);
    /// The mechanism is none of those that were offered.
    pub const MECHANISM: Self = Self(5);
    /// The sender proved who it is, and may not come in.
    pub const REFUSED: Self = Self(6);
    /// Not now: there are too many already. It may be tried again.
    pub const BUSY: Self = Self(7);
    /// Nothing of the kind was asked for.
    pub const UNEXPECTED: Self = Self(8);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::VERSION => "the version is not spoken",
            Self::MALFORMED => "the message is malformed",
            Self::UNAUTHENTICATED => "nothing was proved",
            Self::WRONG_PROOF => "the proof is wrong",
            Self::MECHANISM => "the mechanism was not offered",
            Self::REFUSED => "may not come in",
            Self::BUSY => "not now",
            Self::UNEXPECTED => "nobody asked for it",
            Self(code) => return write!(f, "code {code}"),
        })
    }
}

impl Challenge {
    pub(super) fn read<'a>(
        frame: &'a Bytes,
        limits: &Limits,
    ) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        const MECHANISMS: &str = "CHALLENGE.mechanisms";
        let most = limits.mechanisms;
        move |input| {
            let mechanisms = list(MECHANISMS, most, COUNT_OCTETS, text(MECHANISMS, frame));
            (mechanisms, array("CHALLENGE.nonce"))
                .map(|(mechanisms, nonce)| Self { mechanisms, nonce })
                .parse(input)
        }
    }

    pub(super) fn octets(&self) -> usize {
        list_len(&self.mechanisms, text_len) + SECRET_OCTETS
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_list(out, &self.mechanisms, put_text);
        out.put_slice(&self.nonce);
    }
}

impl Authenticate {
    pub(super) fn read<'a>(frame: &'a Bytes) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        move |input| {
            (
                text("AUTHENTICATE.mechanism", frame),
                array("AUTHENTICATE.nonce"),
                proof("AUTHENTICATE.proof"),
            )
                .map(|(mechanism, nonce, proof)| Self {
                    mechanism,
                    nonce,
                    proof,
                })
                .parse(input)
        }
    }

    pub(super) fn octets(&self) -> usize {
        text_len(&self.mechanism) + 2 * SECRET_OCTETS
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_text(out, &self.mechanism);
        out.put_slice(&self.nonce);
        out.put_slice(self.proof.as_bytes());
    }
}

impl Nope {
    pub(super) fn read<'a>(frame: &'a Bytes) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> + Copy {
        move |input| {
            (
                number1("NOPE.about"),
                number2("NOPE.code").map(Code),
                text("NOPE.text", frame),
            )
                .map(|(about, code, text)| Self { about, code, text })
                .parse(input)
        }
    }

    pub(super) fn octets(&self) -> usize {
        size_of::<u8>() + size_of::<u16>() + text_len(&self.text)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u8(self.about);
        out.put_u16(self.code.0);
        put_text(out, &self.text);
    }
}
