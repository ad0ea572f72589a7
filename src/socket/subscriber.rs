//! SUB and XSUB: what publishers send that begins as was wished (RFC 29).

use super::Config;
use super::pattern::Behaviour;

#[derive(Debug)]
pub(super) struct Subscriber;

impl Subscriber {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

impl Behaviour for Subscriber {}

#[derive(Debug)]
pub(super) struct XSubscriber;

impl XSubscriber {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

impl Behaviour for XSubscriber {}
