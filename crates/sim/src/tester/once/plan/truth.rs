//! What everybody should see, and who sees something else.

use std::collections::{BTreeMap, BTreeSet};

use atonce::PeerId;

use super::Tester;
use crate::NodeId;
use crate::once::Bridge;
use crate::tester::once::findings::Serial;
use crate::tester::once::guest::{self, Guest};

/// A process of a LAN as it really is: its node, where it is, and its groups.
pub(super) struct Truth {
    pub(super) node: NodeId,
    pub(super) incarnation: u32,
    pub(super) lan: usize,
    pub(super) groups: u16,
}

impl Tester {
    pub(super) fn truth(&self) -> BTreeMap<Serial, Truth> {
        let tenants = self.places.iter();
        let tenants = tenants.filter_map(|seat| seat.tenant.map(|tenant| (seat.lan, tenant)));
        tenants
            .filter_map(|(lan, tenant)| {
                let stack = self.sim.stack(tenant.node)?;
                let truth = Truth {
                    node: tenant.node,
                    incarnation: tenant.incarnation,
                    lan,
                    groups: Guest::bits(stack.groups()),
                };
                Some((tenant.serial, truth))
            })
            .collect()
    }

    /// The bridge of a LAN that makes its stand-ins, when there is exactly one and the others make none; else what is wrong.
    fn active(
        &self,
        lan: usize,
        truth: &BTreeMap<Serial, Truth>,
    ) -> Result<PeerId, (String, Vec<NodeId>)> {
        let mut active = Vec::new();
        for post in self.bridges.iter().filter(|post| post.lan == Some(lan)) {
            let program = post.program.and_then(|id| self.sim.program::<Bridge>(id));
            let Some((bridge, machine)) = program.and_then(|it| Some((it, it.machine()?))) else {
                continue;
            };
            let local = bridge.local().into_iter().collect();
            let stand_ins: BTreeSet<PeerId> = bridge.stand_ins().map(|(id, _)| id).collect();
            let mut far = BTreeSet::new();
            if machine.is_active() {
                active.push(post.id);
                let seed = self.options.seed;
                let others = truth.iter().filter(|(_, it)| it.lan != lan);
                far = others
                    .map(|(serial, _)| guest::id_of(seed, *serial))
                    .collect();
            }
            if stand_ins != far {
                let what = format!(
                    "a bridge of LAN {lan} ({}) has {} stand-ins, and there are {} peers for it",
                    if machine.is_active() {
                        "active"
                    } else {
                        "standby"
                    },
                    stand_ins.len(),
                    far.len()
                );
                return Err((what, local));
            }
        }
        match active[..] {
            [one] => Ok(one),
            _ => {
                let what = format!("LAN {lan} has {} active bridges", active.len());
                Err((what, Vec::new()))
            }
        }
    }

    /// Something that somebody sees and is not true, if there is anything.
    pub(super) fn wrong(&self) -> Option<(String, Vec<NodeId>)> {
        let truth = self.truth();
        let mut active = Vec::new();
        for lan in 0..self.lans.len() {
            match self.active(lan, &truth) {
                Ok(bridge) => active.push(bridge),
                Err(wrong) => return Some(wrong),
            }
        }
        for (serial, own) in &truth {
            let guest = self.sim.application(own.node);
            for (other, there) in &truth {
                let via = (there.lan != own.lan)
                    .then(|| active.get(there.lan).copied())
                    .flatten();
                if other != serial && !guest.sees(*other, there.incarnation, via, there.groups) {
                    let what = format!(
                        "{serial} of LAN {} sees of {other} of LAN {}, which is at {via:?} and in {:#b}: {}",
                        own.lan,
                        there.lan,
                        there.groups,
                        guest.view(*other)
                    );
                    return Some((what, vec![own.node, there.node]));
                }
            }
            let bridges: BTreeSet<PeerId> = self
                .bridges
                .iter()
                .filter(|post| post.lan == Some(own.lan) && post.program.is_some())
                .map(|post| post.id)
                .collect();
            if guest.here() + 1 != truth.len() || *guest.bridges() != bridges {
                let what = format!(
                    "{serial} sees {} of {} peers, and {:?} of the bridges {bridges:?}",
                    guest.here(),
                    truth.len() - 1,
                    guest.bridges()
                );
                return Some((what, vec![own.node]));
            }
        }
        self.unjoined().map(|what| (what, Vec::new()))
    }
}
