//! Sockets beside a node: what a node does over ZMTP sockets of its own, apart from its links to peers.
//!
//! A [`Companion`] has any number of sockets, is told what happens at the node before the application takes it, and may ask the node
//! for things. Each socket has a poller of its own, which is waited for by the node's: so whoever waits for the node waits for all of
//! it, and the turns of a node take those of its sockets with them.
//!
//! ```text
//!   ┌─────────────────────────── Driver ───────────────────────────┐
//!   │  Stack  ── a copy of each event ──▶  Companion … Companion    │
//!   │    ▲                                     │           ▲        │
//!   │    └────────────── asks for ─────────────┤           │ turns  │
//!   │                                          ▼           │        │
//!   │                                    SocketDriver … SocketDriver │
//!   └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! A node without companions pays one comparison a turn for all this.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use atonce::zre::Event;
use atonce::{Instant, Stack};
use mio::Interest;
use mio::unix::SourceFd;
use slab::Slab;

use super::links::{Host, Source};
use super::{Drive, Driver, Poller, SocketDriver};
use crate::StartError;
use crate::socket::{SocketError, SocketOptions};

/// What has sockets beside a node. It is called in turns of the node, and in nothing else; after each call what it asked the node and
/// its sockets for is done.
pub(crate) trait Companion: fmt::Debug + Send {
    /// Something happened at the node: every event but WHISPER and SHOUT, in their order, whether the application takes its events or
    /// not. What happened between two turns comes with the next.
    fn hear(&mut self, now: Instant, event: &Event, around: &mut Around<'_>);

    /// Takes its turn: one of its sockets had a turn of its own, something happened, or its deadline is over.
    fn turn(&mut self, now: Instant, around: &mut Around<'_>);

    /// When it wants a turn at the latest.
    fn deadline(&self) -> Option<Instant>;

    /// The node ends. With `goodbye` others are to be told of it; without, another is in its place. Sockets that it leaves open are
    /// closed when this returns, with their own linger, and at the end of the node's.
    fn stop(&mut self, now: Instant, goodbye: bool, around: &mut Around<'_>);

    /// What it is, to who needs its own one back.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// The name of a socket beside a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId(usize);

/// What is around a companion: the node, and the sockets beside it.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    /// The node, to ask it and to ask something of it: it is done when the companion returns.
    pub(crate) stack: &'a mut Stack,
    sockets: &'a mut Sockets,
}

impl Around<'_> {
    /// Makes a socket.
    ///
    /// # Errors
    ///
    /// Nothing of it is left.
    pub(crate) fn open(&mut self, options: SocketOptions) -> Result<SocketId, SocketError> {
        self.sockets.open(options)
    }

    /// A socket; `None` when it is closed. What is sent leaves when the companion returns.
    pub(crate) fn socket(&mut self, socket: SocketId) -> Option<&mut SocketDriver> {
        let seat = self.sockets.seats.get_mut(socket.0)?;
        (!seat.closing).then_some(&mut seat.driver)
    }

    /// Closes a socket. What was sent still leaves within its linger.
    pub(crate) fn close(&mut self, socket: SocketId) {
        if let Some(seat) = self.sockets.seats.get_mut(socket.0) {
            seat.closing = true;
            seat.driver.close();
        }
    }
}

/// Sockets beside a node.
#[derive(Debug)]
struct Sockets {
    /// The node's.
    registry: mio::Registry,
    seats: Slab<Seat>,
}

#[derive(Debug)]
struct Seat {
    driver: SocketDriver,
    poller: Poller,
    /// The poller has something that was not taken.
    ready: bool,
    /// When the socket wants a turn.
    due: Option<Instant>,
    /// Its companion does without it.
    closing: bool,
}

impl Sockets {
    fn open(&mut self, options: SocketOptions) -> Result<SocketId, SocketError> {
        let (driver, poller) = SocketDriver::new(options)?;
        let entry = self.seats.vacant_entry();
        let key = entry.key();
        let registered = self.registry.register(
            &mut SourceFd(&poller.as_raw_fd()),
            Source::Aside(key).token(),
            Interest::READABLE,
        );
        registered.map_err(|source| SocketError::System {
            what: "a place in the poller",
            source,
        })?;
        entry.insert(Seat {
            driver,
            poller,
            ready: false,
            due: Some(Instant::ZERO),
            closing: false,
        });
        Ok(SocketId(key))
    }

    /// Has those take a turn for which there is something. Whether there was any.
    fn turn(&mut self, now: Instant) -> bool {
        let mut any = false;
        for (key, seat) in &mut self.seats {
            if seat.ready || seat.due.is_some_and(|at| at <= now) {
                any = true;
                if std::mem::take(&mut seat.ready)
                    && let Err(error) = seat.poller.take_ready(&mut seat.ready)
                {
                    tracing::error!(%error, key, "a socket beside the node cannot wait");
                    seat.driver.abandon();
                }
                seat.driver.turn(&mut seat.poller);
                seat.due = None; // it is looked at when all is done
            }
        }
        any
    }

    /// Sends what was said, lets go of what has ended, and notes when the others want their turns.
    fn settle(&mut self, now: Instant) -> Option<Instant> {
        let registry = &self.registry;
        let mut first = None;
        self.seats.retain(|_, seat| {
            seat.driver.flush();
            if seat.driver.is_ended() {
                let descriptor = seat.poller.as_raw_fd();
                if let Err(error) = registry.deregister(&mut SourceFd(&descriptor)) {
                    tracing::debug!(%error, "a socket that ended is still waited for");
                }
                return false;
            }
            let timeout = match seat.ready {
                true => Some(Duration::ZERO),
                false => seat.driver.timeout(),
            };
            seat.due = timeout.map(|timeout| now + timeout);
            first = sooner(first, seat.due);
            true
        });
        first
    }

    fn abandon_all(&mut self) {
        for (_, seat) in &mut self.seats {
            seat.driver.abandon();
        }
    }

    fn close_all(&mut self) {
        for (_, seat) in &mut self.seats {
            seat.closing = true;
            seat.driver.close();
        }
    }
}

/// The companions of a node and their sockets.
#[derive(Debug)]
pub(super) struct Aside {
    sockets: Sockets,
    companions: Vec<Box<dyn Companion>>,
    /// When one of them wants a turn.
    due: Option<Instant>,
    /// How long what was said may take to leave when the node ends.
    linger: Duration,
    /// When that is over; `None` while the node does not end.
    until: Option<Instant>,
}

/// Makes a companion, with the sockets that it has from the beginning.
pub(crate) type Begin =
    Box<dyn FnOnce(Instant, &mut Around<'_>) -> Result<Box<dyn Companion>, StartError>>;

impl Aside {
    fn new(registry: &mio::Registry, linger: Duration) -> io::Result<Box<Self>> {
        Ok(Box::new(Self {
            sockets: Sockets {
                registry: registry.try_clone()?,
                seats: Slab::new(),
            },
            companions: Vec::new(),
            due: Some(Instant::ZERO),
            linger,
            until: None,
        }))
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn is_stopping(&self) -> bool {
        self.until.is_some()
    }

    /// Whether everything was closed.
    fn is_ended(&self) -> bool {
        self.is_stopping() && self.sockets.seats.is_empty()
    }

    /// The descriptors that it takes.
    pub(super) fn descriptors(&self) -> usize {
        let seats = self.sockets.seats.iter();
        let seats = seats.map(|(_, seat)| seat.driver.descriptors());
        1 + seats.sum::<usize>()
    }

    /// Calls each of the companions.
    fn each(
        &mut self,
        stack: &mut Stack,
        mut call: impl FnMut(&mut dyn Companion, &mut Around<'_>),
    ) {
        for companion in &mut self.companions {
            let mut around = Around {
                stack,
                sockets: &mut self.sockets,
            };
            call(companion.as_mut(), &mut around);
        }
    }

    fn turn(&mut self, now: Instant, stack: &mut Stack) {
        let mut any = self.sockets.turn(now);
        while let Some(event) = stack.poll_copy() {
            any = true;
            if !self.is_stopping() {
                self.each(stack, |companion, around| {
                    companion.hear(now, &event, around);
                });
            }
        }
        any |= self.companions_due().is_some_and(|at| at <= now);
        if any && !self.is_stopping() {
            self.each(stack, |companion, around| companion.turn(now, around));
        }
        self.settle(now);
    }

    fn settle(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.sockets.abandon_all();
        }
        let sockets = self.sockets.settle(now);
        let rest = match self.until {
            Some(until) => Some(until),
            None => self.companions_due(),
        };
        self.due = sooner(sockets, rest);
    }

    fn companions_due(&self) -> Option<Instant> {
        let companions = self.companions.iter();
        companions
            .filter_map(|companion| companion.deadline())
            .min()
    }
}

impl Driver {
    /// Makes the companions, if there are any. It is to [copy its events](Stack::copy_events) already.
    pub(super) fn start_aside(
        &mut self,
        begins: Vec<Begin>,
        linger: Duration,
    ) -> Result<(), StartError> {
        if begins.is_empty() {
            return Ok(());
        }
        let aside = Aside::new(&self.links.registry, linger);
        let mut aside = aside.map_err(|source| StartError::System {
            what: "a poller",
            source,
        })?;
        let now = self.links.clock.now();
        for begin in begins {
            let mut around = Around {
                stack: &mut self.links.machine,
                sockets: &mut aside.sockets,
            };
            let companion = begin(now, &mut around)?;
            aside.companions.push(companion);
        }
        self.aside = Some(aside);
        Ok(())
    }

    /// Makes one more companion, beside a node that runs. It hears what happens from now on.
    pub(super) fn add_companion<C: Companion + 'static>(
        &mut self,
        linger: Duration,
        begin: impl FnOnce(Instant, &mut Around<'_>) -> Result<C, SocketError>,
    ) -> Result<(), SocketError> {
        if self.aside.is_none() {
            let aside = Aside::new(&self.links.registry, linger);
            let aside = aside.map_err(|source| SocketError::System {
                what: "a poller",
                source,
            })?;
            self.aside = Some(aside);
            self.links.machine.copy_events();
        }
        let added = self.with_aside(|now, aside, stack| {
            let mut around = Around {
                stack,
                sockets: &mut aside.sockets,
            };
            let companion = begin(now, &mut around)?;
            aside.companions.push(Box::new(companion));
            aside.settle(now);
            Ok(())
        });
        added.unwrap_or(Ok(()))
    }

    /// A poller of a socket beside the node has something.
    pub(super) fn note_socket_aside(&mut self, key: usize) {
        if let Some(aside) = &mut self.aside
            && let Some(seat) = aside.sockets.seats.get_mut(key)
        {
            seat.ready = true;
            aside.due = Some(Instant::ZERO);
        }
    }

    /// Gives the companions their turn, if there is anything for them.
    #[inline]
    pub(super) fn turn_aside(&mut self, now: Instant) {
        if let Some(aside) = &self.aside
            && (aside.due.is_some_and(|at| at <= now) || self.links.machine.has_copy())
        {
            self.with_aside(|now, aside, stack| aside.turn(now, stack));
        }
    }

    fn with_aside<R>(
        &mut self,
        call: impl FnOnce(Instant, &mut Aside, &mut Stack) -> R,
    ) -> Option<R> {
        let now = self.links.clock.now();
        let aside = self.aside.as_mut()?;
        let result = call(now, aside, &mut self.links.machine);
        if self.act() {
            Host::send(self);
        }
        Some(result)
    }

    /// Calls one companion out of its turn, for a command of the application. `None` when there is none of this kind.
    pub(crate) fn with_companion<C: Companion + 'static, R>(
        &mut self,
        call: impl FnOnce(Instant, &mut C, &mut Around<'_>) -> R,
    ) -> Option<R> {
        self.with_aside(|now, aside, stack| {
            let companions = aside.companions.iter_mut();
            let found = companions
                .map(|companion| companion.as_any().downcast_mut::<C>())
                .find_map(|found| found)?;
            let mut around = Around {
                stack,
                sockets: &mut aside.sockets,
            };
            let result = call(now, found, &mut around);
            aside.settle(now);
            Some(result)
        })
        .flatten()
    }

    /// The node is told to stop: its companions say their last, and their sockets close.
    pub(super) fn stop_aside(&mut self, goodbye: bool) {
        self.with_aside(|now, aside, stack| {
            if aside.until.is_none() {
                aside.until = Some(now + aside.linger);
                aside.each(stack, |companion, around| {
                    companion.stop(now, goodbye, around);
                });
                aside.sockets.close_all();
            }
            aside.settle(now);
        });
    }

    /// Whether no companion has anything more to send.
    pub(super) fn is_aside_ended(&self) -> bool {
        self.aside.as_ref().is_none_or(|aside| aside.is_ended())
    }
}

fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
