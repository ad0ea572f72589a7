//! What goes wrong: processes that die or stop, links that are cut, hosts that hear nothing.

use atonce::{Config, Cut, Interface, Stack};

use super::{Delivery, End, Host, Lan, Machine};

impl Lan {
    /// The process dies: its connections are reset, and its port is free.
    pub(crate) fn kill(&mut self, host: usize) {
        self.hosts[host].machine = Machine::Dead;
        self.reset_links(host);
    }

    /// Another process in the place of one that ended, at its address, and perhaps under its identity.
    pub(crate) fn reborn(&mut self, host: usize, config: Config, seed: [u8; 32]) {
        let address = self.hosts[host].address;
        let mut stack = Box::new(Stack::new(self.now, seed, config));
        let interface = Interface {
            name: "eth0".into(),
            address: address.ip(),
            port: address.port(),
            zone: 0,
        };
        let interface = stack.handle_interface_up(self.now, interface);
        let place = &mut self.hosts[host];
        place.machine = Machine::Node(stack, interface);
        place.links.clear();
        place.paused.clear();
        self.drain(host);
    }

    /// Every connection of the host is reset, both ways; it lives on.
    pub(crate) fn reset_links(&mut self, host: usize) {
        let ends: Vec<_> = self
            .wires
            .iter()
            .flat_map(|(a, b)| [*a, *b])
            .filter(|end| end.host == host)
            .collect();
        for end in ends {
            if let Some(other) = self.wires.remove(&end) {
                self.wires.remove(&other);
                self.push(Delivery::Ended {
                    to: other,
                    cut: Cut::Reset,
                });
                self.push(Delivery::Ended {
                    to: end,
                    cut: Cut::Reset,
                });
            }
        }
    }

    /// Resets the connections that the host itself dialled.
    pub(crate) fn reset_dialled(&mut self, from: usize, to: usize) {
        let ends: Vec<_> = self
            .wires
            .iter()
            .filter(|(a, b)| a.host == from && b.host == to && a.key >= (1 << 32))
            .map(|(a, _)| *a)
            .collect();
        for end in ends {
            self.hang_up(end, Cut::Reset);
            self.push(Delivery::Ended {
                to: end,
                cut: Cut::Reset,
            });
        }
    }

    /// Takes the host out of the network without a word, and puts it back.
    pub(crate) fn isolate(&mut self, host: usize, isolated: bool) {
        for other in 0..self.hosts.len() {
            for pair in [(host, other), (other, host)] {
                if isolated {
                    self.cut.insert(pair);
                } else {
                    self.cut.remove(&pair);
                }
            }
        }
        let held = std::mem::take(&mut self.held);
        for ((from, to), delivery) in held {
            self.transfer(from, to, delivery);
        }
    }

    /// Stops the process and lets it go on: whatever came meanwhile waits in its sockets.
    pub(crate) fn freeze(&mut self, host: usize, frozen: bool) {
        self.hosts[host].frozen = frozen;
        for delivery in std::mem::take(&mut self.frozen) {
            self.push(delivery);
        }
    }

    pub(super) fn is_frozen(&self, delivery: &Delivery) -> bool {
        match delivery {
            Delivery::Datagram { to, .. } => self.hosts[*to].frozen,
            Delivery::Octets { to, .. } | Delivery::Ended { to, .. } => self.hosts[to.host].frozen,
            Delivery::Dialled { address, .. } => {
                let there = |host: &Host| host.frozen && host.address == *address;
                self.hosts.iter().any(there)
            }
        }
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }

    /// A deaf host hears what waited, each connection's as one piece.
    pub(crate) fn hear(&mut self, host: usize) {
        self.hosts[host].deaf = false;
        for (key, octets) in std::mem::take(&mut self.hosts[host].unheard) {
            self.receive(End { host, key }, octets);
        }
    }
}
