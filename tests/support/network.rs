//! The network: what is on its way, and the time that it takes.

use std::net::SocketAddr;
use std::time::Duration;

use atonce::wire::zmtp::{Identity, SocketType};
use atonce::wire::zre::{Command, Limits, Message};
use atonce::zmtp::{self, Connection};
use atonce::{Cut, Instant};

use super::{DELAY, Delivery, End, Lan, Machine};

impl Lan {
    /// A datagram as if it came from `source`.
    pub(crate) fn broadcast(&mut self, from: usize, mut source: SocketAddr, octets: &[u8]) {
        source.set_port(5670);
        for to in 0..self.hosts.len() {
            let near = self.hosts[to].nat == self.hosts[from].nat;
            if to != from && near && !self.is_cut(from, to) {
                let octets = octets.to_vec();
                self.push(Delivery::Datagram { to, source, octets });
            }
        }
    }

    /// A datagram from the port on which a host hears beacons, to one address.
    pub(crate) fn direct(&mut self, from: usize, to: SocketAddr, octets: &[u8]) {
        let mut source = self.hosts[from].address;
        source.set_port(5670);
        self.directed.push((self.now, from, to, octets.to_vec()));
        // A node that hears none has no socket there.
        for host in 0..self.hosts.len() {
            let there = self.hosts[host].address.ip() == to.ip() && to.port() == 5670;
            if there && !self.is_cut(from, host) {
                let octets = octets.to_vec();
                self.push(Delivery::Datagram {
                    to: host,
                    source,
                    octets,
                });
            }
        }
    }

    /// Octets of TCP are not lost: what cannot get through now gets through later.
    pub(super) fn transfer(&mut self, from: usize, to: usize, delivery: Delivery) {
        if let (Some(tapped), Delivery::Octets { octets, .. }) = (&mut self.tapped, &delivery) {
            tapped.extend_from_slice(octets);
        }
        if self.is_cut(from, to) {
            self.held.push(((from, to), delivery));
        } else {
            self.push(delivery);
        }
    }

    /// Whether the one who dialled still wants the connection.
    fn has_link(&self, end: End) -> bool {
        let host = &self.hosts[end.host];
        match &host.machine {
            Machine::Node(..) => host.links.contains_key(&end.key),
            Machine::Puppet(puppet) => puppet.links.contains_key(&end.key),
            // A relay dials nobody.
            _ => false,
        }
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_until_quiet_or(end);
        self.now = end;
    }

    /// Runs until `done` holds, at most for a minute; says how long it took.
    pub(crate) fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(
                self.now - start < Duration::from_secs(60),
                "does not come true"
            );
            self.run_for(DELAY);
        }
        self.now - start
    }

    fn run_until_quiet_or(&mut self, end: Instant) {
        loop {
            let delivery = self.queue.keys().next().map(|(at, _)| *at);
            let timeout = (0..self.hosts.len())
                .filter_map(|host| self.deadline(host))
                .min();
            let Some(next) = [delivery, timeout].into_iter().flatten().min() else {
                return;
            };
            if next > end {
                return;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let delivery = entry.remove();
                self.deliver(delivery);
            }
            let now = self.now;
            for host in 0..self.hosts.len() {
                if self.deadline(host).is_some_and(|at| at <= now) {
                    match &mut self.hosts[host].machine {
                        Machine::Node(stack, _) => stack.handle_timeout(now),
                        Machine::Puppet(puppet) => {
                            for connection in puppet.links.values_mut() {
                                connection.handle_timeout(now);
                            }
                        }
                        #[cfg(feature = "curve")]
                        Machine::Relay(relay) => relay.handle_timeout(now),
                        Machine::Dead => {}
                    }
                    self.drain(host);
                }
            }
        }
    }

    fn deadline(&self, host: usize) -> Option<Instant> {
        if self.hosts[host].frozen {
            return None;
        }
        match &self.hosts[host].machine {
            Machine::Node(stack, _) => stack.poll_timeout().map(|(at, _)| at),
            Machine::Puppet(puppet) => puppet
                .links
                .values()
                .filter_map(|connection| connection.poll_timeout().map(|(at, _)| at))
                .min(),
            #[cfg(feature = "curve")]
            Machine::Relay(relay) => relay.poll_timeout().map(|(at, _)| at),
            Machine::Dead => None,
        }
    }

    pub(super) fn push(&mut self, delivery: Delivery) {
        self.sequence += 1;
        self.queue
            .insert((self.now + DELAY, self.sequence), delivery);
    }

    pub(super) fn hang_up(&mut self, end: End, cut: Cut) {
        if let Some(other) = self.wires.remove(&end) {
            self.wires.remove(&other);
            self.transfer(end.host, other.host, Delivery::Ended { to: other, cut });
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        if self.is_frozen(&delivery) {
            return self.frozen.push(delivery);
        }
        match delivery {
            Delivery::Datagram { to, source, octets } => {
                if let Machine::Node(stack, _) = &mut self.hosts[to].machine {
                    stack.handle_datagram(now, source, &octets);
                    self.drain(to);
                }
            }
            Delivery::Dialled { from, address } => self.connect(from, address),
            Delivery::Octets { to, octets } => self.receive(to, octets),
            Delivery::Ended { to, cut } => {
                let host = &mut self.hosts[to.host];
                match &mut host.machine {
                    Machine::Node(stack, _) => {
                        if let Some(link) = host.links.remove(&to.key) {
                            stack.handle_disconnected(now, link, cut);
                        }
                    }
                    Machine::Puppet(puppet) => {
                        puppet.links.remove(&to.key);
                        puppet.closed.insert(to.key);
                    }
                    #[cfg(feature = "curve")]
                    Machine::Relay(relay) => {
                        if let Some(link) = host.links.remove(&to.key) {
                            relay.handle_disconnected(now, link, cut);
                        }
                    }
                    Machine::Dead => {}
                }
                self.drain(to.host);
            }
        }
    }

    fn connect(&mut self, from: End, address: SocketAddr) {
        let now = self.now;
        if self.silent.contains(&address) {
            return;
        }
        let host = &self.hosts[from.host];
        let (local, nat) = (SocketAddr::new(host.address.ip(), 50_000), host.nat);
        // The last one who took a port has it.
        let there = self.hosts.iter().rposition(|host| {
            let near = host.nat.is_none() || host.nat == nat;
            let listens = !host.refuses && !matches!(host.machine, Machine::Dead);
            host.address == address && near && listens
        });
        let Some(to) = there else {
            return self.push(Delivery::Ended {
                to: from,
                cut: Cut::Refused,
            });
        };
        if self.is_cut(from.host, to) {
            let delivery = Delivery::Dialled { from, address };
            return self.transfer(from.host, to, delivery);
        }
        if !self.has_link(from) {
            return;
        }
        let mut remote = local;
        if let Some(public) = nat.filter(|_| self.hosts[to].nat != nat) {
            // Each connection has a port of its own there.
            let port = 40_000 + u16::try_from(from.key % 10_000).unwrap();
            remote = SocketAddr::new(public, port);
        }
        let accepted = match &mut self.hosts[to].machine {
            Machine::Node(stack, interface) => {
                let link = stack.handle_accepted(now, *interface, remote);
                link.map(|link| (link.as_u64(), Some(link)))
            }
            Machine::Puppet(puppet) => {
                let key = puppet.next;
                puppet.next += 1;
                let mut config = zmtp::Config::new(SocketType::Router);
                if let Some(id) = puppet.states {
                    config.identity = Identity::try_from(id.identity().as_slice()).unwrap();
                }
                #[cfg(feature = "curve")]
                {
                    config.security = self.security_of(to, None);
                }
                let links = &mut self.the_puppet(to).links;
                links.insert(key, Connection::new(now, config));
                Some((key, None))
            }
            #[cfg(feature = "curve")]
            Machine::Relay(relay) => {
                let link = relay.handle_accepted(now);
                Some((link.as_u64(), Some(link)))
            }
            Machine::Dead => None,
        };
        let Some((key, link)) = accepted else {
            return self.push(Delivery::Ended {
                to: from,
                cut: Cut::Closed,
            });
        };
        if let Some(link) = link {
            self.hosts[to].links.insert(key, link);
        }
        let to = End { host: to, key };
        self.wires.insert(from, to);
        self.wires.insert(to, from);
        let host = &mut self.hosts[from.host];
        if let Machine::Node(stack, _) = &mut host.machine {
            let link = host.links[&from.key];
            stack.handle_connected(now, link, local);
        }
        self.drain(to.host);
        self.drain(from.host);
    }

    pub(super) fn receive(&mut self, to: End, octets: Vec<u8>) {
        let now = self.now;
        let host = &mut self.hosts[to.host];
        if host.deaf {
            return host.unheard.entry(to.key).or_default().extend(octets);
        }
        match &mut host.machine {
            Machine::Node(stack, _) => {
                if let Some(&link) = host.links.get(&to.key) {
                    if let Some(waiting) = host.paused.get_mut(&to.key) {
                        waiting.push(octets);
                    } else {
                        stack.handle_received(now, link, &octets);
                    }
                }
            }
            Machine::Puppet(puppet) => {
                let Some(connection) = puppet.links.get_mut(&to.key) else {
                    return;
                };
                connection.handle_input(now, &octets);
                puppet.octets.entry(to.key).or_default().extend(&octets);
                let mut pings = 0;
                #[cfg(feature = "curve")]
                let mut failed = false;
                while let Some(event) = connection.poll_event() {
                    #[cfg(feature = "curve")]
                    if puppet.keys.is_some() && matches!(event, zmtp::Event::Closed(_)) {
                        failed = true;
                    }
                    #[cfg(feature = "curve")]
                    if let zmtp::Event::Authenticate(_) = event {
                        connection.handle_verdict(now, zmtp::Verdict::Allow);
                    }
                    if let zmtp::Event::Message(message) = event {
                        let message = Message::decode(message, &Limits::default()).unwrap();
                        pings += usize::from(message.command == Command::Ping);
                        puppet.heard.push((to.key, message));
                    }
                }
                #[cfg(feature = "curve")]
                if failed {
                    self.drain(to.host);
                    return self.puppet_closes(to.host, to.key);
                }
                let puppet = self.the_puppet(to.host);
                if puppet.answers_pings {
                    let from = self.wires.get(&to).map(|end| end.host);
                    for _ in 0..pings {
                        self.answer(to.host, from);
                    }
                }
            }
            #[cfg(feature = "curve")]
            Machine::Relay(relay) => {
                if let Some(&link) = host.links.get(&to.key) {
                    if let Some(waiting) = host.paused.get_mut(&to.key) {
                        waiting.push(octets);
                    } else {
                        relay.handle_received(now, link, &octets);
                    }
                }
            }
            Machine::Dead => {}
        }
        self.drain(to.host);
    }

    /// Lets the network see what a host wants.
    pub(super) fn drain(&mut self, host: usize) {
        match &mut self.hosts[host].machine {
            Machine::Node(..) => self.drain_node(host),
            Machine::Puppet(_) => self.drain_puppet(host),
            #[cfg(feature = "curve")]
            Machine::Relay(_) => self.drain_relay(host),
            Machine::Dead => {}
        }
    }
}
