//! Somebody else who decides who may come in, and has to be asked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use atonce::curve::PublicKey;
use atonce::endpoint::{Endpoint, Host};
use atonce::wire::Text;
use atonce::wire::zap::Domain;
use atonce::zmtp::Verdict;

use crate::TrustError;

/// What the application decides with.
pub(crate) type Decide = dyn Fn(&PublicKey, SocketAddr) -> Verdict + Send + Sync;

/// The same of a name and a password.
pub(crate) type DecidePlain = dyn Fn(&Text, &Text, SocketAddr) -> Verdict + Send + Sync;

/// See the module.
#[derive(Clone)]
pub(crate) enum Decider {
    Application(Arc<Decide>),
    Passwords(Arc<DecidePlain>),
    /// A handler that speaks ZAP.
    Handler {
        address: SocketAddr,
        domain: Domain,
    },
}

impl Decider {
    /// A handler at `tcp://ADDRESS:PORT`. Names are not looked up, since it may take long and nobody could tell where they lead;
    /// `localhost` is as good as an address.
    pub(super) fn handler(endpoint: &str, domain: &str) -> Result<Self, TrustError> {
        let parsed: Endpoint = endpoint.parse().map_err(|source| TrustError::Endpoint {
            endpoint: endpoint.to_owned(),
            source,
        })?;
        let address = match parsed.host {
            Host::Ip(address) => address,
            Host::Name(name) if name.as_str().eq_ignore_ascii_case("localhost") => {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            }
            Host::Name(_) => {
                let endpoint = endpoint.to_owned();
                return Err(TrustError::HandlerName { endpoint });
            }
        };
        let domain = domain.parse().map_err(|source| TrustError::Domain {
            domain: domain.to_owned(),
            source,
        })?;
        Ok(Self::Handler {
            address: SocketAddr::new(address, parsed.port),
            domain,
        })
    }

    /// Whether what it is asked and what it answers stay on this machine.
    pub(super) fn is_on_loopback(&self) -> bool {
        match self {
            Self::Application(_) | Self::Passwords(_) => true,
            Self::Handler { address, .. } => address.ip().to_canonical().is_loopback(),
        }
    }
}

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(_) => f.write_str("Application(..)"),
            Self::Passwords(_) => f.write_str("Passwords(..)"),
            Self::Handler { address, domain } => f
                .debug_struct("Handler")
                .field("address", address)
                .field("domain", domain)
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trust;

    /// ZAP-25
    #[test]
    fn a_handler_is_on_the_loopback_unless_it_is_said_that_it_need_not_be() {
        for endpoint in [
            "tcp://127.0.0.1:9000",
            "tcp://127.8.8.8:1",
            "tcp://[::1]:9000",
            "tcp://[::ffff:127.0.0.1]:9000",
            "tcp://localhost:9000",
        ] {
            assert!(Trust::zap(endpoint, "global").is_ok(), "{endpoint}");
        }
        for endpoint in [
            "tcp://10.0.0.7:9000",
            "tcp://0.0.0.0:9000",
            "tcp://[fe80::1]:1",
        ] {
            let error = Trust::zap(endpoint, "global").unwrap_err();
            assert!(matches!(error, TrustError::NotLoopback { .. }), "{error}");
            assert!(Trust::zap_anywhere(endpoint, "global").is_ok());
        }
    }

    #[test]
    fn what_is_no_handler_is_told() {
        for anywhere in [false, true] {
            let wrong = |endpoint: &str, domain: &str| {
                let made = match anywhere {
                    false => Trust::zap(endpoint, domain),
                    true => Trust::zap_anywhere(endpoint, domain),
                };
                made.unwrap_err()
            };
            let name = wrong("tcp://example.org:9000", "global");
            assert!(matches!(name, TrustError::HandlerName { .. }), "{name}");
            let inproc = wrong("inproc://zeromq.zap.01", "global");
            assert!(matches!(inproc, TrustError::Endpoint { .. }), "{inproc}");
            let domain = wrong("tcp://127.0.0.1:9000", "");
            assert!(matches!(domain, TrustError::Domain { .. }), "{domain}");
        }
    }
}
