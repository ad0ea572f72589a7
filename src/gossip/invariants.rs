//! What has to hold after each call.

use super::Gossip;

impl Gossip {
    pub(crate) fn check_invariants(&self) {
        let limits = &self.config.limits;
        self.config.check();
        assert!(self.table.len() <= limits.tuples);
        self.table.check();
        self.telling.check(&self.table);
        assert!(self.by_session.len() <= limits.sessions);
        for (session, no) in &self.by_session {
            let talk = self.talks.get(no).expect("a session is a neighbour");
            assert!(talk.remote().is_none() && self.no(&talk.who) == Some(*no));
            assert!(matches!(&talk.who, super::Neighbour::Session(other) if other == session));
            assert!(talk.brought <= limits.tuples_of_one);
        }
        for (no, talk) in &self.talks {
            talk.check(self.table.len());
            let is_ready = self.ready.contains(no);
            assert!(is_ready || !talk.is_ready(), "not ready: {talk:?}");
            let due = self.timers.get(*no);
            assert!(talk.due().is_none_or(|at| due.is_some_and(|due| due <= at)));
            let brought = self.table.iter();
            let brought = brought.filter(|(_, entry)| entry.brought_by == Some(*no));
            assert_eq!(brought.count(), talk.brought);
        }
        for no in &self.ready {
            assert!(self.talks.contains_key(no));
        }
    }
}
