//! What is done with links while their machine may ask for anything.

use std::io::ErrorKind;

use atonce::{Cut, Instant};
use bytes::BufMut;
use mio::event::Event;

use super::super::Poller;
use super::super::cut::{cut, is_shortage};
use super::super::fill::{Filled, fill};
use super::{
    A_LITTLE, ACCEPT_PAUSE, ACCEPTS, BEYOND_OCTETS, Links, Machine, Source, TURN_OCTETS,
    with_scratch,
};

/// Octets read in one turn that belong to a stream of large messages, or of many.
const MUCH: usize = 32 * 1024;

/// A driver, to its links.
pub(in crate::driver) trait Host: Sized {
    type Machine: Machine;

    fn links(&mut self) -> &mut Links<Self::Machine>;

    /// Does what the machine asks for, in its order, except that what is to be sent is only noted. Whether there was anything.
    fn act(&mut self) -> bool;

    /// The socket for datagrams, if there is one, may have some.
    fn note_datagrams(&mut self) {}

    /// The system may have changed something.
    fn note_changes(&mut self) {}

    /// The poller of a socket beside the host, if it has any, has something.
    fn note_aside(&mut self, _key: usize) {}

    /// Reads datagrams, within a budget of its own; returns how many octets were read.
    fn read_datagrams(&mut self) -> usize {
        0
    }

    /// Takes in what the poller found.
    fn take(&mut self, poller: &mut Poller) {
        poller.take(|event| match Source::of(event.token()) {
            Some(Source::Link(key)) => self.note_link(key, event),
            Some(Source::Listener(key)) => self.links().note_listener(key),
            Some(Source::Datagrams) => self.note_datagrams(),
            Some(Source::Changes) => self.note_changes(),
            Some(Source::Aside(key)) => self.note_aside(key),
            None => {} // it woke us, that is all
        });
    }

    /// The end of a turn: reads and sends.
    fn read_and_send(&mut self, now: Instant, poller: &mut Poller) {
        self.act();
        poller.expects_more = self.read() >= MUCH;
        // Who was woken by something else leaves what is gathered as it is.
        let links = self.links();
        if links.hold.is_zero() || links.pace.is_over(now) {
            self.send();
        }
    }

    /// The poller reported a link.
    fn note_link(&mut self, key: usize, event: &Event) {
        let links = self.links();
        if links.table.get(key).is_some_and(|link| link.dialling) {
            links.finish_dial(key);
            self.act();
        }
        let links = self.links();
        let Some(link) = links.table.get_mut(key) else {
            return;
        };
        if link.dialling {
            return;
        }
        if event.is_read_closed() || event.is_error() {
            link.ending = true;
        }
        if event.is_readable() || link.ending {
            link.readable = true;
            links.note_unread_link(key);
        }
        // An event tells every present state, also the one that did not change.
        if event.is_writable()
            && let Some(link) = links.table.get_mut(key)
            && !link.writable
            && link.cut.is_none()
        {
            link.writable = true;
            links.blocked = links.blocked.saturating_sub(1);
            links.note_unsent(key);
        }
    }

    /// Reads every source that has something, each within its budget, until the budget of the turn is spent. How many octets came.
    fn read(&mut self) -> usize {
        let mut budget = TURN_OCTETS;
        let links = self.links();
        links.read_at = links.clock.recent();
        for _ in 0..links.unread.len() {
            let Some(source) = self.links().unread.pop_front() else {
                break;
            };
            let octets = match source {
                Source::Link(key) => self.read_link(key, budget),
                Source::Listener(key) => self.accept(key, budget),
                Source::Datagrams => self.read_datagrams(),
                Source::Changes => 0,
                Source::Aside(_) => 0, // never unread: it has a poller of its own
            };
            if octets > 0 {
                self.links().pace.rest();
            }
            budget = budget.saturating_sub(octets);
            if budget == 0 {
                break;
            }
        }
        TURN_OCTETS.saturating_sub(budget)
    }

    /// Reads a link within its budget; returns how much was read.
    fn read_link(&mut self, key: usize, budget: usize) -> usize {
        if let Some(link) = self.links().table.get_mut(key) {
            link.in_unread = false;
        }
        let budget = budget.min(Self::Machine::READ_OCTETS);
        with_scratch(|scratch| {
            let room = budget.min(scratch.len());
            let scratch = scratch.get_mut(..room).unwrap_or_default();
            let mut octets = 0;
            while octets < budget {
                match self.read_once(key, scratch) {
                    Some(more) => octets += more,
                    None => return octets,
                }
            }
            self.links().note_unread_link(key);
            octets
        })
    }

    /// One system call; `None` when there is no more to read for now.
    fn read_once(&mut self, key: usize, scratch: &mut [u8]) -> Option<usize> {
        let links = self.links();
        let link = links.table.get_mut(key)?;
        if !link.readable || link.paused {
            return None;
        }
        if link.parts.is_some() {
            return links.read_on(key, scratch);
        }
        let id = link.id;
        links.calls.reads += 1;
        let result = match links.machine.receive_buffer(id) {
            // What lacks of a large frame, and with the same system call the beginning of what follows it.
            Some(mut buffer) if buffer.has_remaining_mut() => {
                let beyond = scratch.get_mut(..BEYOND_OCTETS).unwrap_or_default();
                fill(&link.stream, &mut buffer, beyond)
            }
            _ => link.stream.read(scratch).map(|came| Filled {
                within: 0,
                beyond: came,
                is_full: came == scratch.len(),
            }),
        };
        match result {
            Ok(Filled {
                within: 0,
                beyond: 0,
                ..
            }) => {
                let cut = link.cut.unwrap_or(Cut::Closed);
                tracing::debug!(%id, ?cut, "ended");
                self.cut_link(key, cut);
                None
            }
            Ok(filled) => {
                // Less than there was room for: the socket is empty, and something new will be reported. An end that was
                // reported already will not be reported again.
                link.readable = filled.is_full || link.ending;
                let now = links.clock.recent();
                if filled.within > 0 {
                    links.machine.handle_filled(now, id);
                }
                if let Some(octets) = scratch.get(..filled.beyond)
                    && !octets.is_empty()
                {
                    links.machine.handle_received(now, id, octets);
                }
                self.act();
                Some(filled.within + filled.beyond)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Some(0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                link.readable = false;
                if let Some(cut) = link.cut {
                    self.cut_link(key, cut);
                }
                None
            }
            Err(error) => {
                tracing::debug!(%id, %error, "cut");
                let cut = link.cut.unwrap_or(cut(&error));
                self.cut_link(key, cut);
                None
            }
        }
    }

    /// Accepts connections within their budget, and reads what they have to say; returns how much was read.
    fn accept(&mut self, key: usize, budget: usize) -> usize {
        let mut octets = 0;
        if let Some(listener) = self.links().listeners.get_mut(key) {
            listener.in_unread = false;
        }
        for _ in 0..ACCEPTS {
            let links = self.links();
            let Some(listener) = links.listeners.get_mut(key) else {
                return octets;
            };
            match listener.socket.accept() {
                Ok((stream, remote)) => {
                    links.is_short = false;
                    let now = links.clock.recent();
                    let accepted = links.machine.handle_accepted(now, listener.id, remote);
                    let Some(id) = accepted else {
                        tracing::debug!(?remote, "connection refused");
                        continue;
                    };
                    tracing::debug!(%id, ?remote, "accepted");
                    match links.add_link(id, stream, false) {
                        // What it said already is answered together with our greeting.
                        Ok(key) => octets += self.read_link(key, budget - octets),
                        Err(error) => {
                            tracing::debug!(%id, %error, "cannot use it");
                            links.machine.handle_disconnected(now, id, cut(&error));
                        }
                    }
                    self.act();
                    if octets >= budget {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    listener.readable = false;
                    return octets;
                }
                Err(error) if is_shortage(&error) => {
                    links.accept_at = Some(links.clock.recent() + ACCEPT_PAUSE);
                    if !std::mem::replace(&mut links.is_short, true) {
                        tracing::warn!(%error, "cannot accept connections; trying again");
                    }
                    return octets;
                }
                // It was reset before it was accepted, or the like: the next one may be well.
                Err(error) => tracing::debug!(%error, "cannot accept a connection"),
            }
        }
        self.links().note_unread_listener(key);
        octets
    }

    /// Sends what every link has to send, each within its budget.
    fn send(&mut self) {
        self.links().flush_all();
        self.act();
    }

    /// Sends what is held back.
    fn flush_held(&mut self) {
        if self.links().holds_back() {
            self.send();
        }
    }

    /// After a command: does what it made the machine ask for, now or, in a burst, with what follows.
    fn sent(&mut self, now: Instant, octets: usize) {
        self.act();
        let links = self.links();
        let unsent = links.unsent.len();
        if unsent == 0 {
            return;
        }
        if links.pace.is_due(now, octets, unsent) {
            self.send();
            let links = self.links();
            // A little to one link takes so little that it need not be known before it comes often.
            if unsent > 1 || octets > A_LITTLE || !links.pace.is_calm() {
                links.pace.wrote(now, links.clock.now());
            }
        }
    }

    /// The machine is told that a link is gone.
    fn cut_link(&mut self, key: usize, cut: Cut) {
        self.links().lose(key, cut);
        self.act();
    }
}
