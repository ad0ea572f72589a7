//! What a node is told of the gossip network that it takes part in.

use atonce::curve::PublicKey;
use atonce::socket::Endpoint;
use atonce::zre;

use crate::socket::{SocketError, parse_endpoint};
use crate::{ConnectError, HubError, StartError};

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
        let binds = binds.iter().map(|endpoint| parse_endpoint(endpoint));
        let mut options = Self {
            binds: binds.collect::<Result<_, _>>().map_err(beside)?,
            remotes: Vec::new(),
        };
        for given in remotes {
            let remote = Remote::read(given, is_secure).map_err(|error| match error {
                HubError::Contact(source) => StartError::Contact {
                    endpoint: given.clone(),
                    source,
                },
                HubError::Socket(source) => beside(source),
            })?;
            if !options.remotes.contains(&remote) {
                options.remotes.push(remote);
            }
        }
        Ok(Some(options))
    }
}

impl Remote {
    /// Reads one, for a node that is secure or not.
    pub(crate) fn read(given: &str, is_secure: bool) -> Result<Self, HubError> {
        let (endpoint, key) = match given.split_once('|') {
            Some((endpoint, key)) => {
                let key = key.parse().map_err(ConnectError::Key)?;
                (endpoint, Some(key))
            }
            None => (given, None),
        };
        let endpoint = parse_endpoint(endpoint)?;
        match (is_secure, key) {
            (true, None) => Err(ConnectError::from(zre::ConnectError::NoKey).into()),
            (false, Some(_)) => Err(ConnectError::from(zre::ConnectError::NotSecure).into()),
            _ if !endpoint.can_be_dialled() => Err(SocketError::Connect {
                endpoint: endpoint.to_string(),
                source: atonce::socket::ConnectError::NoAddress,
            }
            .into()),
            _ => Ok(Self { endpoint, key }),
        }
    }

    /// Where one is, of whatever key.
    pub(crate) fn place(given: &str) -> Result<Endpoint, HubError> {
        let endpoint = given
            .split_once('|')
            .map_or(given, |(endpoint, _)| endpoint);
        Ok(parse_endpoint(endpoint)?)
    }
}

fn beside(source: SocketError) -> StartError {
    StartError::Beside {
        what: "gossip",
        source,
    }
}
