//! The keys of both sides where everything is encrypted: those of libzmq's manual, which everybody knows.

use std::env;
use std::sync::Arc;

use atonce::curve::{KeyPair, SecretKey};
use atonce_std::{Builder, Certificate, Limits, Trust};

/// Of the side that is connected to: its public key, and its secret one.
pub const CALLED: (&str, &str) = (
    "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
    "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
);

/// Of the side that connects.
pub const CALLER: (&str, &str) = (
    "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
    "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
);

/// Whether everything is to be encrypted.
#[must_use]
pub fn are_used() -> bool {
    env::var_os("CURVE").is_some()
}

/// A pair as the core wants it.
///
/// # Panics
///
/// It is none.
#[must_use]
pub fn pair((_, secret): (&str, &str)) -> Arc<KeyPair> {
    let secret: SecretKey = secret.parse().expect("a key");
    Arc::new(KeyPair::from_secret(secret))
}

/// A node of that side, which trusts the other one; or one like all others, where nothing is encrypted.
pub fn secured<N>(builder: Builder<N>, ours: (&str, &str)) -> Builder<N> {
    if !are_used() {
        return builder;
    }
    let limits = Limits {
        // As many as go half the way of a handshake at once.
        unproved_links: 4_096,
        ..Limits::default()
    };
    let trusted = [CALLED, CALLER].map(|pair| pair.0.parse().expect("a key"));
    let certificate = Certificate::new(pair(ours));
    builder
        .limits(limits)
        .curve(certificate, Trust::keys(trusted))
}

/// What a node that is called is to be reached at, for one that calls it.
#[must_use]
pub fn contact(address: &str) -> String {
    if are_used() {
        format!("{address}|{}", CALLED.0)
    } else {
        address.to_owned()
    }
}
