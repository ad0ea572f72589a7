//! A Wi-Fi that stands still now and then.

use std::time::Duration;

use super::{MS, Tester};
use crate::Odds;
use crate::tester::options::A_THIRD;

/// How long radios stand still, at most.
const BURST: Duration = Duration::from_secs(20);

impl Tester {
    /// The medium has a bad time: a fourth of the times everybody, else each host with one chance in three.
    pub(super) fn burst(&mut self) {
        if self.sim.now() < self.calm {
            return;
        }
        let odds = if self.chance.happens(Odds::percent(25)) {
            Odds::ALWAYS
        } else {
            A_THIRD
        };
        let lasts = self.chance.between(100 * MS, BURST);
        self.calm = self.sim.now() + lasts;
        for host in &self.hosts {
            if self.chance.happens(odds) {
                self.sim.hold(host.id, lasts);
            }
        }
    }
}
