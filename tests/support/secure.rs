//! What secure networks have besides: keys of puppets, and who says whose keys may come in.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use atonce::LinkId;
use atonce::curve::{KeyPair, PublicKey, Seed};
use atonce::zmtp;

use super::Lan;

/// Who is let in and spoken to by a secure node.
#[derive(Clone, Debug)]
pub(crate) enum Guard {
    /// These.
    Listed(BTreeSet<PublicKey>),
    /// Nobody answers: the questions are kept in [`Lan::asked`].
    Away,
}

/// What a secure node asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) host: usize,
    pub(crate) link: LinkId,
    pub(crate) key: PublicKey,
    pub(crate) remote: SocketAddr,
}

impl Lan {
    /// A peer by hand that has keys.
    pub(crate) fn secure_puppet(&mut self, octet: u8, keys: &Arc<KeyPair>) -> usize {
        let puppet = self.puppet(octet);
        self.give_keys(puppet, keys);
        puppet
    }

    pub(crate) fn give_keys(&mut self, puppet: usize, keys: &Arc<KeyPair>) {
        self.the_puppet(puppet).keys = Some(keys.clone());
        self.hosts[puppet].key = Some(*keys.public());
    }

    /// How a connection of a puppet is to be secured: as the client of the server with this key, or as a server.
    pub(super) fn security_of(
        &mut self,
        puppet: usize,
        server: Option<PublicKey>,
    ) -> zmtp::Security {
        let Some(keys) = self.the_puppet(puppet).keys.clone() else {
            return zmtp::Security::Null;
        };
        self.seeds = self.seeds.wrapping_add(1);
        let seed = Seed::from_bytes([self.seeds; 32]);
        match server {
            Some(server) => zmtp::Security::CurveClient { keys, server, seed },
            None => zmtp::Security::CurveServer { keys, seed },
        }
    }

    /// Answers a question that a node asked.
    pub(crate) fn answer_question(&mut self, question: Question, verdict: zmtp::Verdict) {
        self.with(question.host, |stack, now| {
            stack.handle_verdict(now, question.link, verdict);
        });
    }
}
