//! Keys of CURVE, and what is sealed with them.
//!
//! A [`KeyPair`] is what a node or server is known by for good; its [`PublicKey`] is given to others, its [`SecretKey`] to nobody.
//! The primitives (X25519, HSalsa20, XSalsa20-Poly1305: the box and secretbox of NaCl) are those of well-kept crates; see
//! `sealing.rs`.

mod key;
pub(crate) mod sealing;
#[cfg(test)]
mod tests;
mod z85;

pub use key::{InvalidKey, KeyPair, PublicKey, SecretKey, Seed};
