//! Key pairs: what they are, how they are made and written.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{sealing, z85};

/// The half of a key pair that others know somebody by. Its text is Z85 (RFC 32), 40 characters.
///
/// ```
/// use atonce::curve::PublicKey;
///
/// let key: PublicKey = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7".parse()?;
/// assert_eq!(key.as_bytes()[0], 0x54);
/// assert_eq!(key.to_string(), "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");
/// # Ok::<(), atonce::curve::InvalidKey>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// The half that only its owner knows. It shows itself in no `Debug` output, is compared in constant time, and is overwritten
/// when it is dropped.
///
/// ```
/// use atonce::curve::SecretKey;
///
/// let key: SecretKey = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs".parse()?;
/// assert_eq!(key.public_key().to_string(), "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID");
/// assert_eq!(format!("{key:?}"), "SecretKey(..)");
/// # Ok::<(), atonce::curve::InvalidKey>(())
/// ```
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

/// Both halves.
///
/// ```
/// use atonce::curve::KeyPair;
///
/// // The seed must be of the best randomness that there is, and used for nothing else.
/// let pair = KeyPair::generate([7; 32]);
/// assert_eq!(pair.secret().public_key(), *pair.public());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    public: PublicKey,
    secret: SecretKey,
}

/// 32 octets of randomness that are used once: nobody else may know or guess them. It shows itself in no `Debug` output, cannot be
/// cloned, and is overwritten when it is dropped.
///
/// ```
/// use atonce::curve::Seed;
///
/// // From the operating system, or a generator that was seeded by it.
/// let seed = Seed::from_bytes([7; 32]);
/// assert_eq!(format!("{seed:?}"), "Seed(..)");
/// ```
pub struct Seed([u8; 32]);

/// What was given is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// It is not 40 characters of Z85.
    #[error("a key is 40 characters of Z85")]
    Text,
    /// The public half is not that of the secret one.
    #[error("the public key does not belong to the secret key")]
    Mismatch,
}

impl PublicKey {
    /// The octets of a key.
    pub const OCTETS: usize = 32;

    /// The key with these octets. Any will do here; those that nobody can own are found when they are used.
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// Its octets, as they stand in a beacon.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        z85::decode(text.as_bytes())
            .map(Self)
            .ok_or(InvalidKey::Text)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&z85::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SecretKey {
    /// The key with these octets; any will do.
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// Its octets. Take care where they go.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its text, for a file that nobody else can read.
    pub fn to_z85(&self) -> Zeroizing<String> {
        Zeroizing::new(z85::encode(&self.0))
    }

    /// The other half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(sealing::public_of(&self.0))
    }
}

impl FromStr for SecretKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        z85::decode(text.as_bytes())
            .map(Self)
            .ok_or(InvalidKey::Text)
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Seed {
    /// These octets.
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl KeyPair {
    /// The pair of this secret key.
    pub fn from_secret(secret: SecretKey) -> Self {
        Self {
            public: secret.public_key(),
            secret,
        }
    }

    /// The pair of both halves.
    ///
    /// # Errors
    ///
    /// They do not belong together.
    pub fn from_parts(public: PublicKey, secret: SecretKey) -> Result<Self, InvalidKey> {
        let pair = Self::from_secret(secret);
        (pair.public == public)
            .then_some(pair)
            .ok_or(InvalidKey::Mismatch)
    }

    /// A new pair. The same seed gives the same pair, so that it must be random and not be used again. The first octet of the
    /// public key is not 0: C Zyre takes a beacon with such a key for one without.
    pub fn generate(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        let mut random = ChaCha20Rng::from_seed(*seed);
        loop {
            let mut octets = Zeroizing::new([0; 32]);
            random.fill_bytes(octets.as_mut());
            let pair = Self::from_secret(SecretKey::from_bytes(*octets));
            if pair.public.0.first() != Some(&0) {
                return pair;
            }
        }
    }

    /// What others know it by.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What nobody else knows.
    pub const fn secret(&self) -> &SecretKey {
        &self.secret
    }
}
