//! REQ asks and awaits the answer, one question at a time (RFC 28).

use super::Config;
use super::pattern::Behaviour;

#[derive(Debug)]
pub(super) struct Req;

impl Req {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

impl Behaviour for Req {}
