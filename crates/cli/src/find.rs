//! Whom a user means.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use atonce::PeerId;
use atonce::zre::Peer;
use atonce_std::Node;

use crate::escape::escaped;

/// A peer as users name it: a UUID of 32 hexadecimal digits in either case, or a name that only one peer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// By its UUID.
    Id(PeerId),
    /// By its name.
    Name(String),
}

/// Why a target is nobody in particular.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// Nobody with this UUID or name is here.
    Unknown(Target),
    /// Several peers have this name.
    Ambiguous(String, Vec<PeerId>),
}

impl Target {
    /// The peer that is meant, of those who are here now.
    pub(crate) fn find(&self, node: &Node) -> Result<Arc<Peer>, NotFound> {
        let found = match self {
            Self::Id(id) => Vec::from_iter(node.peer(*id)),
            Self::Name(name) => node.peers_by_name(name),
        };
        self.only(found.into_iter().map(|found| found.peer).collect())
    }

    /// The only one of these.
    fn only(&self, mut found: Vec<Arc<Peer>>) -> Result<Arc<Peer>, NotFound> {
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(NotFound::Unknown(self.clone())),
            (Some(peer), true) => Ok(peer),
            (Some(peer), false) => {
                let mut ids: Vec<_> = found.iter().map(|peer| peer.id).chain([peer.id]).collect();
                ids.sort_unstable();
                Err(NotFound::Ambiguous(peer.name.to_string(), ids))
            }
        }
    }
}

impl FromStr for Target {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text
            .parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Id))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => fmt::Display::fmt(id, f),
            Self::Name(name) => f.write_str(&escaped(name)),
        }
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(Target::Id(id)) => write!(f, "no peer with the UUID {id} is here"),
            Self::Unknown(Target::Name(name)) => {
                write!(f, "no peer named {} is here", escaped(name))
            }
            Self::Ambiguous(name, ids) => {
                write!(
                    f,
                    "{} peers are named {}, use a UUID:",
                    ids.len(),
                    escaped(name)
                )?;
                ids.iter().try_for_each(|id| write!(f, " {id}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atonce::PeerId;
    use atonce::wire::{Headers, Text};
    use atonce::zre::Peer;

    use super::{NotFound, Target};

    fn peer(octet: u8) -> Arc<Peer> {
        Arc::new(Peer {
            id: PeerId::from_bytes([octet; 16]),
            name: Text::try_from("bob").unwrap(),
            endpoint: Text::default(),
            headers: Headers::default(),
        })
    }

    #[test]
    fn thirty_two_hexadecimal_digits_are_a_uuid_and_all_else_is_a_name() {
        let id = PeerId::from_bytes([0xAB; 16]);
        assert_eq!(
            "abABabABabABabABabABabABabABabAB".parse(),
            Ok(Target::Id(id))
        );
        assert_eq!("bob".parse(), Ok(Target::Name("bob".into())));
        assert_eq!("ab".repeat(15).parse(), Ok(Target::Name("ab".repeat(15))));
    }

    #[test]
    fn only_one_peer_can_be_meant() {
        let bob: Target = "bob".parse().unwrap();
        assert_eq!(bob.only(vec![peer(1)]).unwrap(), peer(1));
        let unknown = bob.only(Vec::new()).unwrap_err();
        assert_eq!(unknown.to_string(), "no peer named bob is here");
        let ambiguous = bob.only(vec![peer(2), peer(1)]).unwrap_err();
        assert_eq!(
            ambiguous,
            NotFound::Ambiguous("bob".into(), vec![peer(1).id, peer(2).id])
        );
        let (one, two) = ("01".repeat(16), "02".repeat(16));
        assert_eq!(
            ambiguous.to_string(),
            format!("2 peers are named bob, use a UUID: {one} {two}")
        );
    }
}
