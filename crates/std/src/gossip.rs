//! What a node is told of the gossip network that it takes part in.

use atonce::curve::PublicKey;
use atonce::socket::Endpoint;
use atonce::zre;

use crate::socket::{SocketError, parse_endpoint};
use crate::{ConnectError, StartError};

/// Where others come, and the hubs to which the node goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct GossipOptions {
    pub(crate) binds: Vec<Endpoint>,
    pub(crate) remotes: Vec<Remote>,
}

/// A hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) endpoint: Endpoint,
    /// Its key, in a secure network.
    pub(crate) key: Option<PublicKey>,
}

impl GossipOptions {
    /// Reads what was given; `None` when nothing was.
    pub(crate) fn read(
        binds: &[String],
        remotes: &[String],
        is_secure: bool,
    ) -> Result<Option<Self>, StartError> {
        if binds.is_empty() && remotes.is_empty() {
            return Ok(None);
        }
        let binds = binds.iter().map(|endpoint| parse(endpoint));
        let mut options = Self {
            binds: binds.collect::<Result<_, _>>()?,
            remotes: Vec::new(),
        };
        for given in remotes {
            let remote = Remote::read(given, is_secure)?;
            if !options.remotes.contains(&remote) {
                options.remotes.push(remote);
            }
        }
        Ok(Some(options))
    }
}

impl Remote {
    fn read(given: &str, is_secure: bool) -> Result<Self, StartError> {
        let contact = |source| StartError::Contact {
            endpoint: given.to_owned(),
            source,
        };
        let (endpoint, key) = match given.split_once('|') {
            Some((endpoint, key)) => {
                let key = key
                    .parse()
                    .map_err(|error| contact(ConnectError::Key(error)))?;
                (endpoint, Some(key))
            }
            None => (given, None),
        };
        let endpoint = parse(endpoint)?;
        match (is_secure, key) {
            (true, None) => Err(contact(zre::ConnectError::NoKey.into())),
            (false, Some(_)) => Err(contact(zre::ConnectError::NotSecure.into())),
            _ if !endpoint.can_be_dialled() => Err(StartError::Beside {
                what: "gossip",
                source: SocketError::Connect {
                    endpoint: endpoint.to_string(),
                    source: atonce::socket::ConnectError::NoAddress,
                },
            }),
            _ => Ok(Self { endpoint, key }),
        }
    }
}

fn parse(endpoint: &str) -> Result<Endpoint, StartError> {
    parse_endpoint(endpoint).map_err(|source| StartError::Beside {
        what: "gossip",
        source,
    })
}
