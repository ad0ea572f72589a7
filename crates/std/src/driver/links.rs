//! TCP connections: dialled, accepted, read, written and closed.

use std::cell::RefCell;
use std::io::{ErrorKind, IoSlice, Read};
use std::net::SocketAddr;

use atonce::{Cut, LinkId};
use bytes::BufMut;
use mio::Interest;
use mio::event::Event;
use mio::net::TcpStream;
#[cfg(not(target_vendor = "apple"))]
use nix::sys::socket::MsgFlags;
use smallvec::SmallVec;
use socket2::SockRef;

use super::cut::cut;
use super::fill::{Filled, fill};
use super::interfaces::Listing;
use super::{Driver, Source};

/// What is read of all links before the adapter gets the control back, in octets.
pub(super) const TURN_OCTETS: usize = 256 * 1024;

/// What is read of a link before the next one has its turn, in octets. More makes no read cheaper, and what is read stays
/// in the processor's cache, and in memory that was used a moment ago, until the application has taken it.
const READ_OCTETS: usize = 128 * 1024;

/// What is written to a link before the next one has its turn, in octets.
const WRITTEN_OCTETS: usize = 1024 * 1024;

/// What small reads are read into, in octets. One for each thread that drives a node.
const SCRATCH_OCTETS: usize = 128 * 1024;

/// What is read of the messages behind a large frame together with it. If they are small it is enough of them, and if the next
/// is large too, not too much of it to be copied.
const BEYOND_OCTETS: usize = 4 * 1024;

/// Slices given to one system call. More would save little, and the kernel takes at most 1,024.
const SLICES: usize = 512;

/// Of these so many lie on the stack, which every node's thread has.
const FEW_SLICES: usize = 32;

/// To write to a connection that the other side ended must be an error and not a signal: the program that the node runs in
/// may have SIGPIPE at its default, which ends the process. On Apple's systems the sockets have an option for it, which is
/// set when they are made.
#[cfg(not(target_vendor = "apple"))]
pub(super) const WITHOUT_SIGNAL: i32 = MsgFlags::MSG_NOSIGNAL.bits();
#[cfg(target_vendor = "apple")]
pub(super) const WITHOUT_SIGNAL: i32 = 0;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_OCTETS]);
}

/// Calls `use_it` with the scratch buffer of this thread. Not to be nested.
pub(super) fn with_scratch<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| use_it(scratch))
}

#[derive(Debug)]
pub(super) struct Link {
    id: LinkId,
    stream: TcpStream,
    /// `connect` is under way.
    dialling: bool,
    /// The socket may have something to read: it was not read until it had no more.
    readable: bool,
    /// It stands in `unread`.
    in_unread: bool,
    /// The socket may take something.
    writable: bool,
    /// It stands in `unsent`.
    in_unsent: bool,
    /// The stack does not want to read it now.
    paused: bool,
    /// The other side, or an error, ended the connection: it is to be read to its end, which is near.
    ending: bool,
    /// What writing failed with. What came before is read first.
    cut: Option<Cut>,
}

impl Driver {
    /// The poller reported a link.
    pub(super) fn note_link(&mut self, key: usize, event: &Event) {
        if self.links.get(key).is_some_and(|link| link.dialling) {
            self.finish_dial(key);
            self.act();
        }
        let Some(link) = self.links.get_mut(key) else {
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
            self.note_unread_link(key);
        }
        // An event tells every present state, also the one that did not change.
        if event.is_writable()
            && let Some(link) = self.links.get_mut(key)
            && !link.writable
            && link.cut.is_none()
        {
            link.writable = true;
            self.blocked = self.blocked.saturating_sub(1);
            self.note_unsent(key);
        }
    }

    fn note_unread_link(&mut self, key: usize) {
        if let Some(link) = self.links.get_mut(key)
            && link.readable
            && !link.paused
            && !link.in_unread
        {
            link.in_unread = true;
            self.unread.push_back(Source::Link(key));
        }
    }

    pub(super) fn note_unsent(&mut self, key: usize) {
        if let Some(link) = self.links.get_mut(key)
            && link.writable
            && !link.in_unsent
        {
            link.in_unsent = true;
            self.unsent.push_back(key);
        }
    }

    pub(super) fn dial(&mut self, id: LinkId, address: SocketAddr) {
        tracing::debug!(%id, %address, "dial");
        let stream = TcpStream::connect(address);
        match stream.and_then(|stream| self.add_link(id, stream, true)) {
            Ok(key) => {
                // On this machine it mostly is done already. Then we speak first, at once, so that whoever accepts it finds
                // our greeting and has its answer ready before it writes for the first time.
                self.finish_dial(key);
                self.flush_link(key);
            }
            Err(error) => {
                tracing::debug!(%id, %address, %error, "cannot dial");
                let now = self.clock.recent();
                self.stack.handle_disconnected(now, id, cut(&error));
            }
        }
    }

    /// Registers a connection; gives its key. It is closed when that fails.
    pub(super) fn add_link(
        &mut self,
        id: LinkId,
        mut stream: TcpStream,
        dialling: bool,
    ) -> std::io::Result<usize> {
        stream.set_nodelay(true)?;
        let entry = self.links.vacant_entry();
        let key = entry.key();
        self.registry.register(
            &mut stream,
            Source::Link(key).token(),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        entry.insert(Link {
            id,
            stream,
            dialling,
            // Who dialled us has mostly said something already.
            readable: !dialling,
            in_unread: false,
            writable: !dialling,
            in_unsent: false,
            paused: false,
            ending: false,
            cut: None,
        });
        self.link_keys.insert(id, key);
        Ok(key)
    }

    /// Tells the stack when a dial is done. What that asks for is left to whoever calls it.
    fn finish_dial(&mut self, key: usize) {
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        let connected = match link.stream.peer_addr() {
            Ok(there) => link.stream.local_addr().map(|here| (here, there)),
            // What the dial failed with, if it did, says more.
            Err(error) => Err(match link.stream.take_error() {
                Ok(Some(error)) | Err(error) => error,
                Ok(None) => error,
            }),
        };
        match connected {
            // A dial to a port of this machine where nobody listens can meet itself, when the kernel picks that very
            // port to dial from.
            Ok((here, there)) if here == there => self.lose(key, Cut::Refused),
            Ok((here, _)) => {
                link.dialling = false;
                link.writable = true;
                let id = link.id;
                tracing::debug!(%id, %here, "connected");
                let now = self.clock.recent();
                self.stack.handle_connected(now, id, here);
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => {} // not yet
            Err(error) => {
                tracing::debug!(id = %link.id, %error, "not connected");
                self.lose(key, cut(&error));
            }
        }
    }

    /// Reads a link within its budget; returns how much was read.
    pub(super) fn read_link(&mut self, key: usize, budget: usize) -> usize {
        if let Some(link) = self.links.get_mut(key) {
            link.in_unread = false;
        }
        let budget = budget.min(READ_OCTETS);
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
            self.note_unread_link(key);
            octets
        })
    }

    /// One system call; `None` when there is no more to read for now.
    fn read_once(&mut self, key: usize, scratch: &mut [u8]) -> Option<usize> {
        let link = self.links.get_mut(key)?;
        if !link.readable || link.paused {
            return None;
        }
        let id = link.id;
        self.calls.reads += 1;
        let result = match self.stack.receive_buffer(id) {
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
                let now = self.clock.recent();
                if filled.within > 0 {
                    self.stack.handle_filled(now, id);
                }
                if let Some(octets) = scratch.get(..filled.beyond)
                    && !octets.is_empty()
                {
                    self.stack.handle_received(now, id, octets);
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

    /// Writes what a link has to send, within its budget.
    pub(super) fn flush_link(&mut self, key: usize) {
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        link.in_unsent = false;
        let mut budget = WRITTEN_OCTETS;
        while link.writable {
            if budget == 0 {
                self.note_unsent(key);
                return;
            }
            let mut slices: SmallVec<[IoSlice<'_>; FEW_SLICES]> = SmallVec::new();
            let mut octets = 0;
            for slice in self.stack.poll_transmit(link.id).take(SLICES) {
                octets += slice.len();
                slices.push(IoSlice::new(slice));
            }
            if octets == 0 {
                return;
            }
            self.calls.writes += 1;
            let socket = SockRef::from(&link.stream);
            let result = match slices.as_slice() {
                [one] => socket.send_with_flags(one, WITHOUT_SIGNAL),
                several => socket.send_vectored_with_flags(several, WITHOUT_SIGNAL),
            };
            drop(slices);
            match result {
                Ok(taken) => {
                    // Less than was offered: the socket is full, and room will be reported.
                    link.writable = taken == octets;
                    self.blocked += usize::from(!link.writable);
                    budget = budget.saturating_sub(taken);
                    let now = self.clock.recent();
                    self.stack.handle_transmitted(now, link.id, taken);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    link.writable = false;
                    self.blocked += 1;
                }
                Err(error) => {
                    tracing::debug!(id = %link.id, %error, "cannot write");
                    link.writable = false;
                    self.blocked += 1;
                    link.cut = Some(cut(&error));
                    // What came before the end is read first, and then the end is found.
                    link.ending = true;
                    link.readable = true;
                    self.note_unread_link(key);
                    return;
                }
            }
        }
    }

    pub(super) fn pause(&mut self, id: LinkId) {
        if let Some(link) = self.link_mut(id) {
            link.paused = true;
            tracing::debug!(%id, "paused: the application is slow");
        }
    }

    pub(super) fn resume(&mut self, id: LinkId) {
        if let Some(&key) = self.link_keys.get(&id)
            && let Some(link) = self.links.get_mut(key)
        {
            link.paused = false;
            self.note_unread_link(key);
        }
    }

    /// The stack is done with it.
    pub(super) fn close(&mut self, id: LinkId) {
        if let Some(key) = self.link_keys.remove(&id) {
            self.remove_link(key);
            tracing::debug!(%id, "closed");
        }
    }

    /// The stack is told that it is gone.
    fn cut_link(&mut self, key: usize, cut: Cut) {
        self.lose(key, cut);
        self.act();
    }

    /// The same; what the stack asks for then is left to whoever calls it.
    fn lose(&mut self, key: usize, cut: Cut) {
        if let Some(link) = self.remove_link(key) {
            self.link_keys.remove(&link.id);
            let now = self.clock.recent();
            self.stack.handle_disconnected(now, link.id, cut);
        }
    }

    /// Cuts the links from addresses that this machine has no more, now that it has another: nothing can be sent from
    /// them, and TCP would take a quarter of an hour to say so. While there is no other address they are kept, for
    /// it may be the same again in a moment.
    pub(super) fn cut_stranded(&mut self, listing: &Listing) {
        let stranded: Vec<usize> = self
            .links
            .iter()
            .filter(|(_, link)| {
                let local = link.stream.local_addr();
                local.is_ok_and(|local| !listing.has_address(local.ip()))
            })
            .map(|(key, _)| key)
            .collect();
        for key in stranded {
            self.cut_link(key, Cut::Unreachable);
        }
    }

    fn remove_link(&mut self, key: usize) -> Option<Link> {
        let link = self.links.try_remove(key)?;
        let blocked = !link.writable && !link.dialling;
        self.blocked = self.blocked.saturating_sub(usize::from(blocked));
        Some(link)
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(*self.link_keys.get(&id)?)
    }
}
