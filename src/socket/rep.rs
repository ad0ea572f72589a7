//! REP answers, one question at a time (RFC 28).

use super::Config;
use super::pattern::Behaviour;

#[derive(Debug)]
pub(super) struct Rep;

impl Rep {
    pub(super) const fn new(_config: &Config) -> Self {
        Self
    }
}

impl Behaviour for Rep {}
