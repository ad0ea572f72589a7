//! Who leads the groups of the crowd, once all is quiet.

use std::time::Duration;

use atonce::Stack;

use super::options::Options;
use super::plan::{LOOK, Progress, QUIET, Tester};
use crate::NodeId;

impl Tester {
    /// Runs until each group that somebody stands for has one leader, the same for all, and looks whether it stays. How long it took.
    ///
    /// It begins when every connection is known to work: what is said over one that hangs arrives when that is found out.
    pub(super) fn elect(&mut self, progress: &mut impl FnMut(Progress)) -> Option<Duration> {
        let start = self.sim.now();
        let end = start + Options::ELECTING_TIME;
        while let Some((what, nodes)) = self.misled() {
            if self.sim.now() >= end {
                let what = format!("{:?} after all hear each other, {what}", end - start);
                self.findings.borrow_mut().fail(what, &nodes);
            }
            if self.is_broken() {
                return None;
            }
            let later = self.sim.now() + LOOK;
            self.run_until(later);
            self.reap();
            progress(self.progress(true));
        }
        let took = self.sim.now() - start;
        let later = self.sim.now() + QUIET;
        self.run_until(later);
        if let Some((what, nodes)) = self.misled() {
            let what = format!("though nothing happens any more, {what}");
            self.findings.borrow_mut().fail(what, &nodes);
        }
        (!self.is_broken()).then_some(took)
    }

    /// A group of which its members do not see the same leader, or one that does not stand, if there is any.
    fn misled(&self) -> Option<(String, Vec<NodeId>)> {
        let tenants = self.places.iter().flatten();
        let stacks: Vec<_> = tenants
            .filter_map(|tenant| Some((tenant.node, self.sim.stack(tenant.node)?)))
            .collect();
        self.groups.iter().find_map(|group| {
            let is_in = |(_, stack): &&(NodeId, &Stack)| stack.groups().any(|own| own == group);
            let members: Vec<_> = stacks.iter().filter(is_in).collect();
            let stands = |stack: &Stack| stack.contested().any(|own| own == group);
            let contestants = members.iter().filter(|(_, stack)| stands(stack));
            let contestants: Vec<_> = contestants.map(|(_, stack)| stack.id()).collect();
            if contestants.is_empty() {
                // One that stood may lead on.
                return None;
            }
            let leader = members
                .iter()
                .find_map(|(_, stack)| stack.leader(group.as_bytes()));
            let wrong = members.iter().find(|(node, stack)| {
                let told = self.sim.application(*node).leader(group);
                let seen = stack.leader(group.as_bytes());
                seen != leader || (told != leader && !stack.has_event())
            });
            match (leader, wrong) {
                (None, _) => Some((format!("nobody leads {group}"), Vec::new())),
                (Some(leader), Some((node, stack))) => {
                    let what = format!(
                        "{leader} leads {group}, and for {} it is {:?}",
                        stack.name(),
                        stack.leader(group.as_bytes())
                    );
                    Some((what, vec![*node]))
                }
                (Some(leader), None) if !contestants.contains(&leader) => {
                    let what = format!("{leader} leads {group}, and does not stand");
                    Some((what, Vec::new()))
                }
                _ => None,
            }
        })
    }
}
