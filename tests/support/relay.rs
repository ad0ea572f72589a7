//! A relay of @Once in the network.

use std::net::SocketAddr;

use atonce::Cut;
use atonce::once::Relay;
use atonce::once::relay::{Action, Limits};

use super::{Delivery, Lan, Machine};

impl Lan {
    pub(crate) fn relay_at(&mut self, address: SocketAddr) -> usize {
        let relay = Relay::new(Limits::default());
        self.add(Machine::Relay(Box::new(relay)), address)
    }

    pub(crate) fn relay(&mut self, host: usize) -> &mut Relay {
        match &mut self.hosts[host].machine {
            Machine::Relay(relay) => relay,
            _ => panic!("host {host} is no relay"),
        }
    }

    pub(super) fn drain_relay(&mut self, host: usize) {
        let now = self.now;
        while let Some(action) = self.relay(host).poll_action() {
            let (Action::Transmit { link }
            | Action::Pause { link }
            | Action::Resume { link }
            | Action::Close { link }) = action
            else {
                panic!("{action:?}");
            };
            let end = self.end(host, link).unwrap();
            match action {
                Action::Transmit { .. } => {
                    let lent = self.relay(host).poll_transmit(link);
                    let octets: Vec<u8> = lent.flatten().copied().collect();
                    let count = octets.len();
                    self.relay(host).handle_transmitted(now, link, count);
                    if let Some(&to) = self.wires.get(&end) {
                        self.transfer(host, to.host, Delivery::Octets { to, octets });
                    }
                }
                Action::Pause { .. } => {
                    self.hosts[host].paused.entry(end.key).or_default();
                }
                Action::Resume { .. } => {
                    let waiting = self.hosts[host].paused.remove(&end.key);
                    for octets in waiting.unwrap_or_default() {
                        self.receive(end, octets);
                    }
                }
                _ => {
                    self.hosts[host].links.remove(&end.key);
                    self.hosts[host].paused.remove(&end.key);
                    self.hang_up(end, Cut::Closed);
                }
            }
        }
    }
}
