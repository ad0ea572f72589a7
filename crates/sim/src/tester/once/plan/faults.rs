//! What each fault does.

use super::{Coming, Tenant, Tester};
use crate::once::Bridge;
use crate::tester::once::options::{A_THIRD, Fault};
use crate::{HostId, NodeId, Odds, ProgramId, RouterId};

impl Tester {
    pub(super) fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::WanPartition => {
                let cut: Vec<bool> = (0..self.lans.len())
                    .map(|_| self.chance.happens(Odds::percent(50)))
                    .collect();
                let is_cut = |lan: &usize| cut.get(*lan).copied().unwrap_or_default();
                let peers = self.places.iter().filter(|seat| is_cut(&seat.lan));
                let bridges = self.bridges.iter();
                let bridges = bridges.filter(|post| post.lan.as_ref().is_some_and(is_cut));
                let side: Vec<HostId> = peers
                    .map(|seat| seat.host)
                    .chain(bridges.map(|post| post.host))
                    .collect();
                self.part(&side);
            }
            Fault::LanPartition => {
                let lan = self.chance.index(self.lans.len());
                let peers = self.places.iter().filter(|seat| seat.lan == lan);
                let bridges = self.bridges.iter().filter(|post| post.lan == Some(lan));
                let all = peers
                    .map(|seat| seat.host)
                    .chain(bridges.map(|post| post.host));
                let side: Vec<HostId> = all
                    .filter(|_| self.chance.happens(Odds::percent(50)))
                    .collect();
                self.part(&side);
            }
            Fault::ServerKill => {
                self.count_relayed();
                if let Some(program) = self.server.program.take() {
                    self.sim.kill_program(program);
                    self.after(100, 20_000, Coming::Server);
                }
            }
            Fault::NatRestart => {
                let nats: Vec<RouterId> = self.lans.iter().filter_map(|lan| lan.nat).collect();
                if let Some(nat) = self.chance.pick(&nats) {
                    self.sim.restart_nat(nat);
                }
            }
            Fault::BridgeKill
            | Fault::BridgeStop
            | Fault::BridgePowerOff
            | Fault::BridgeSuspend
            | Fault::Reset
            | Fault::Blackhole => {
                if let Some((n, program, node)) = self.some_bridge() {
                    self.strike_bridge(fault, n, program, node);
                }
            }
            Fault::PeerKill | Fault::PeerPowerOff | Fault::PeerSuspend | Fault::Move => {
                if let Some((place, tenant)) = self.somebody() {
                    self.strike_peer(fault, place, tenant);
                }
            }
        }
    }

    fn part(&mut self, side: &[HostId]) {
        self.sim.partition(side);
        let long = self.chance.happens(Odds::percent(20));
        self.after(100, if long { 80_000 } else { 20_000 }, Coming::Heal);
    }

    fn strike_bridge(&mut self, fault: Fault, n: usize, program: ProgramId, node: NodeId) {
        match fault {
            Fault::BridgeKill => {
                self.sim.kill_program(program);
                self.bridge_gone(n);
                self.after(100, 20_000, Coming::Bridge(n));
            }
            Fault::BridgeStop => {
                self.sim.resume(node);
                self.sim
                    .with_program(program, |bridge: &mut Bridge, nodes| bridge.stop(nodes));
                self.bridge_gone(n);
                self.after(100, 20_000, Coming::Bridge(n));
            }
            Fault::BridgePowerOff => {
                if let Some(post) = self.bridges.get_mut(n) {
                    post.off = true;
                    self.sim.power_off(post.host);
                }
                self.bridge_gone(n);
                self.after(1_000, 60_000, Coming::PostOn(n));
            }
            Fault::BridgeSuspend => {
                self.sim.suspend(node);
                self.after(500, 40_000, Coming::Runs(node));
            }
            Fault::Reset => self.sim.reset_some(node, A_THIRD),
            _ => self.sim.blackhole_some(node, A_THIRD),
        }
    }

    fn strike_peer(&mut self, fault: Fault, place: usize, tenant: Tenant) {
        match fault {
            Fault::PeerKill => {
                self.kill(place, tenant);
                self.start(place, Some(tenant.serial));
            }
            Fault::PeerPowerOff => {
                if let Some(seat) = self.places.get_mut(place) {
                    seat.off = true;
                    self.sim.power_off(seat.host);
                }
                self.gone(place, tenant);
                self.after(1_000, 60_000, Coming::SeatOn(place));
            }
            Fault::PeerSuspend => {
                self.sim.suspend(tenant.node);
                self.after(500, 40_000, Coming::Runs(tenant.node));
            }
            _ => {
                let lan = self.places.get(place).map(|seat| seat.lan);
                let free: Vec<usize> = self
                    .places
                    .iter()
                    .enumerate()
                    .filter(|(_, seat)| Some(seat.lan) != lan && !seat.off && seat.tenant.is_none())
                    .map(|(to, _)| to)
                    .collect();
                if let Some(to) = self.chance.pick(&free) {
                    if self.chance.happens(Odds::percent(50)) {
                        self.kill(place, tenant);
                    } else {
                        self.stop(place, tenant);
                    }
                    self.start(to, Some(tenant.serial));
                }
            }
        }
    }
}
