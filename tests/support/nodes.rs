//! What nodes want of the network, and what their applications take.

use std::collections::VecDeque;

#[cfg(feature = "curve")]
use atonce::zmtp;
use atonce::{Action, Cut, LinkId};

use super::{DELAY, Delivery, End, Lan, frames, names};
#[cfg(feature = "curve")]
use super::{Guard, Question};

impl Lan {
    pub(super) fn drain_node(&mut self, host: usize) {
        let now = self.now;
        loop {
            let reading = self.hosts[host].reading;
            let stack = self.stack(host);
            if let Some(action) = stack.poll_action() {
                self.act(host, action);
                continue;
            }
            if !reading {
                return;
            }
            // Every other application takes several at once: it is to be told the same.
            let mut events = VecDeque::new();
            if host.is_multiple_of(2) {
                events.extend(stack.poll_event(now));
            } else {
                stack.poll_events(now, 2_000, &mut events);
            }
            if events.is_empty() {
                return;
            }
            self.hosts[host].events.extend(events);
        }
    }

    fn act(&mut self, host: usize, action: Action) {
        let now = self.now;
        match action {
            Action::Broadcast { datagram, .. } => {
                let source = self.hosts[host].address;
                self.broadcast(host, source, &datagram);
            }
            Action::Beacon { to, datagram, .. } => self.direct(host, to, &datagram),
            Action::Dial { link, address } => {
                *self.dials.entry(host).or_default() += 1;
                // Dialled links are told from accepted ones by their key, for the faults.
                let key = link.as_u64() | (1 << 32);
                self.hosts[host].links.insert(key, link);
                self.push(Delivery::Dialled {
                    from: End { host, key },
                    address,
                });
            }
            Action::Transmit { link } => {
                let octets: Vec<u8> = self
                    .stack(host)
                    .poll_transmit(link)
                    .flatten()
                    .copied()
                    .collect();
                let end = self.end(host, link);
                let reader_stalls = end
                    .and_then(|end| self.wires.get(&end))
                    .is_some_and(|to| self.hosts[to.host].stalled);
                if reader_stalls {
                    return;
                }
                if octets.is_empty() {
                    return;
                }
                let count = octets.len();
                self.stack(host).handle_transmitted(now, link, count);
                if let Some(&to) = end.and_then(|end| self.wires.get(&end)) {
                    self.transfer(host, to.host, Delivery::Octets { to, octets });
                }
            }
            Action::Pause { link } => {
                if let Some(end) = self.end(host, link) {
                    self.hosts[host].paused.entry(end.key).or_default();
                }
            }
            Action::Resume { link } => {
                let Some(end) = self.end(host, link) else {
                    return;
                };
                for octets in self.hosts[host].paused.remove(&end.key).unwrap_or_default() {
                    self.receive(end, octets);
                }
            }
            Action::Close { link } => {
                if let Some(end) = self.end(host, link) {
                    self.hosts[host].links.remove(&end.key);
                    self.hosts[host].paused.remove(&end.key);
                    self.hang_up(end, Cut::Closed);
                }
            }
            Action::Resolve { .. } => {}
            #[cfg(feature = "curve")]
            Action::Authenticate { link, key, remote } => {
                let verdict = match &self.hosts[host].guard {
                    Guard::Listed(keys) if keys.contains(&key) => zmtp::Verdict::Allow,
                    Guard::Listed(_) => zmtp::Verdict::Deny(zmtp::Denial::Refused),
                    Guard::Away => {
                        return self.asked.push(Question {
                            host,
                            link,
                            key,
                            remote,
                        });
                    }
                };
                self.stack(host).handle_verdict(now, link, verdict);
            }
            other => panic!("{other:?}"),
        }
    }

    /// How many connections a node has.
    pub(crate) fn open_links(&self, host: usize) -> usize {
        self.hosts[host].links.len()
    }

    /// How often a node dialled.
    pub(crate) fn dials(&self, host: usize) -> usize {
        self.dials.get(&host).copied().unwrap_or_default()
    }

    pub(super) fn end(&self, host: usize, link: LinkId) -> Option<End> {
        let key = self.hosts[host]
            .links
            .iter()
            .find(|(_, other)| **other == link)
            .map(|(key, _)| *key)?;
        Some(End { host, key })
    }

    /// Asserts that two nodes hear each other, and that nothing else is told to them.
    #[track_caller]
    pub(crate) fn still_talk(&mut self, alice: usize, bob: usize) {
        for (from, to) in [(alice, bob), (bob, alice)] {
            let id = self.id(to);
            self.with(from, |stack, now| {
                stack.whisper(now, id, &frames("still?")).unwrap();
            });
            self.run_for(20 * DELAY);
            let heard = names(&self.events(to));
            assert!(
                matches!(&heard[..], [one] if one.ends_with("[b\"still?\"]")),
                "{heard:?}"
            );
        }
    }
}
