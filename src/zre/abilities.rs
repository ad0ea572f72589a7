//! How atonce nodes know each other's extra abilities.

use super::Peer;
use crate::wire::{Headers, LongText, Text};

/// The header of HELLO that names them, separated by spaces. Other implementations show it and ignore it.
const HEADER: &str = "X-ATONCE";

/// Understands GOODBYE on the link, which other kinds of peers drop a node for.
pub(super) const GOODBYE: &str = "goodbye";

/// Speaks ELECT and LEADER, which other kinds of peers drop a node for as well.
// ELEC-3
pub(super) const ELECT: &str = "elect";

/// Takes what we say on the link that it dialled, when we cannot dial it (ZRE-140).
pub(super) const DUPLEX: &str = "duplex";

/// Adds the header to what the application wants told.
pub(super) fn put(headers: &mut Headers, duplex: bool) {
    // ZRE-99
    let value = if duplex {
        "goodbye elect duplex"
    } else {
        "goodbye elect"
    };
    if let (Ok(name), Ok(value)) = (Text::try_from(HEADER), LongText::try_from(value)) {
        headers.insert(name, value);
    }
}

pub(super) fn has(peer: &Peer, ability: &str) -> bool {
    names(&peer.headers, ability)
}

/// The same of one who is no peer yet.
pub(super) fn names(headers: &Headers, ability: &str) -> bool {
    headers.get(HEADER).is_some_and(|value| {
        value
            .as_bytes()
            // ZRE-99
            .split(|octet| *octet == b' ')
            .any(|word| word == ability.as_bytes())
    })
}
