//! PUB and XPUB: every message to those who subscribed to it (RFC 29).

use super::Config;
use super::pattern::Behaviour;

#[derive(Debug)]
pub(super) struct Publisher;

impl Publisher {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

impl Behaviour for Publisher {}

#[derive(Debug)]
pub(super) struct XPublisher;

impl XPublisher {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

impl Behaviour for XPublisher {}
