//! ROUTER knows its peers by identity (RFC 28).

use super::Config;
use super::pattern::Behaviour;

#[derive(Debug)]
pub(super) struct Router;

impl Router {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

impl Behaviour for Router {}
