//! What holds between any two calls, checked by the fuzzer and by tests.

use alloc::collections::BTreeSet;

use super::Stack;
use crate::net::LinkId;

impl Stack {
    /// Panics when the tables of the node and its connections contradict each other or go over their limits.
    pub(crate) fn check_invariants(&self) {
        self.node.check_invariants();
        assert!(self.resumed.is_empty(), "links wait to be read again");
        let ours: BTreeSet<LinkId> = self
            .links
            .iter()
            .filter(|(_, entry)| !entry.closing)
            .map(|(link, _)| link)
            .collect();
        assert_eq!(ours, self.node.link_ids().collect(), "links");
        let timed: BTreeSet<LinkId> = self.timers.keys().collect();
        let closing: BTreeSet<LinkId> = self.closing.keys().collect();
        for (link, entry) in self.links.iter() {
            assert_eq!(
                entry.deadline.is_some(),
                timed.contains(&link),
                "the deadline of {link}"
            );
            let ends = entry.closing || entry.failed;
            assert_eq!(ends, closing.contains(&link), "the end of {link}");
            let wanted = entry.connection.poll_timeout().map(|(at, _)| at);
            assert!(
                !entry.connected
                    || wanted.is_none_or(|at| entry.deadline.is_some_and(|set| set <= at)),
                "{link} is called too late"
            );
            if entry.connected && entry.ended.is_none() && entry.queued_octets() > 0 {
                assert!(entry.signalled, "nobody knows that {link} has to send");
            }
            if !entry.closing {
                assert_eq!(entry.paused, self.node.is_paused(link), "pause of {link}");
                assert!(
                    entry.paused || entry.connection.pending_messages() == 0,
                    "what came over {link} lies about"
                );
                assert!(entry.paused || entry.ended.is_none(), "{link} has ended");
            }
        }
        for link in timed.union(&closing) {
            assert!(self.links.contains(*link), "{link} is gone");
        }
    }

    /// Panics unless nobody is here, and nothing is kept but what the application asked for.
    pub(crate) fn check_nobody_is_here(&self) {
        self.node.check_nobody_is_here();
        assert!(self.links.is_empty(), "{:?}", self.links);
    }
}
