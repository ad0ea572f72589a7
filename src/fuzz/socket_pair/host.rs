//! One socket and its application.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use super::super::sockets;
use super::World;
use crate::net::LinkId;
use crate::socket::{Config, ConnectId, Kind, ListenerId, Socket};
use crate::wire::Frames;
use crate::wire::zmtp::Identity;

pub(super) struct Host {
    pub(super) seat: usize,
    pub(super) kind: Kind,
    /// `None`: it is gone.
    pub(super) socket: Option<Socket>,
    pub(super) closing: bool,
    /// Where it is to listen, and whether it does.
    pub(super) listener: Option<(ListenerId, bool)>,
    /// What it dials, and which seat is there.
    pub(super) connects: BTreeMap<ConnectId, usize>,
    pub(super) links: BTreeMap<LinkId, u32>,
    /// Its application takes what comes and answers at once.
    pub(super) eager: bool,
    pub(super) received: BTreeSet<u64>,
    /// What it wants (SUB, XSUB), and what it wanted at any time.
    pub(super) wanted: Vec<Bytes>,
    pub(super) wanted_once: BTreeSet<Bytes>,
    pub(super) unsubscribed: bool,
    /// Whom it can speak to (ROUTER).
    pub(super) known: BTreeMap<Bytes, Option<usize>>,
    /// Questions that it did not answer yet, with what is to stand before the answer.
    pub(super) owed: VecDeque<(Frames, u64)>,
    /// What it asked last, while there is no answer (REQ).
    pub(super) asked: Option<u64>,
    /// Messages that left it as a whole.
    pub(super) carried: u64,
    /// Links with a peer that ended.
    pub(super) ended: usize,
    /// How many messages it had lost when it began to close and could still send all.
    pub(super) lost_before: Option<u64>,
}

impl Host {
    /// Nothing contradicts itself; what was sent is somewhere.
    pub(super) fn check(&self) {
        let Some(socket) = &self.socket else {
            return;
        };
        socket.check_invariants();
        assert_eq!(socket.deadline(), socket.poll_timeout().map(|(at, _)| at));
        assert_eq!(socket.usage().links, self.links.len());
        self.account();
    }

    /// What it says that it sent left it, or waits, or is lost, as it says.
    pub(super) fn account(&self) {
        let Some(socket) = &self.socket else {
            return;
        };
        // What those say is no message to the other side.
        if matches!(self.kind, Kind::Sub | Kind::XSub) {
            return;
        }
        let (counters, usage) = (socket.counters(), socket.usage());
        let known = self.carried + counters.messages_lost + usage.queued_messages as u64;
        assert_eq!(
            counters.messages_sent, known,
            "{} left, {counters:?}, {usage:?}",
            self.carried
        );
    }
}

impl World {
    pub(super) fn host(&self, seat: usize) -> &Host {
        &self.hosts[self.seats[seat]]
    }

    pub(super) fn host_mut(&mut self, seat: usize) -> &mut Host {
        &mut self.hosts[self.seats[seat]]
    }

    /// Starts a socket where there is none.
    pub(super) fn take_seat(&mut self, seat: usize) {
        let number = self.hosts.len();
        if let Some(host) = self.hosts.get(self.seats[seat])
            && host.socket.is_some()
        {
            if !host.closing {
                return;
            }
            // One that lingers makes place.
            self.kill(seat);
        }
        let kind = self.kind_of(seat);
        let mut config = Config {
            // What is dropped on purpose is another matter.
            mandatory: true,
            ..self.config.clone()
        };
        if self.named {
            config.identity = identity_of(seat);
        }
        let seed = [u8::try_from(number % 251).unwrap_or_default(); 32];
        let socket = Socket::new(self.now, seed, kind, config);
        let mut known = BTreeMap::new();
        if self.types == (Kind::Router, Kind::Router) {
            let others = self.others(seat).into_iter();
            known.extend(
                others.map(|other| (identity_of(other).as_bytes().to_vec().into(), Some(other))),
            );
        }
        self.hosts.push(Host {
            seat,
            kind,
            socket: Some(socket),
            closing: false,
            listener: None,
            connects: BTreeMap::new(),
            links: BTreeMap::new(),
            eager: true,
            received: BTreeSet::new(),
            wanted: Vec::new(),
            wanted_once: BTreeSet::new(),
            unsubscribed: false,
            known,
            owed: VecDeque::new(),
            asked: None,
            carried: 0,
            ended: 0,
            lost_before: None,
        });
        self.seats[seat] = number;
        self.connect_to_all(seat);
    }

    pub(super) fn bind(&mut self, seat: usize) {
        if !self.binds(seat) {
            return;
        }
        let now = self.now;
        let host = self.host_mut(seat);
        if let Some(socket) = host
            .socket
            .as_mut()
            .filter(|_| !host.closing && host.listener.is_none())
        {
            let listener = socket.bind(now, &sockets::endpoint(seat));
            host.listener = Some((listener.expect("it is not closed"), false));
        }
    }

    pub(super) fn unbind(&mut self, seat: usize) {
        let now = self.now;
        let host = self.host_mut(seat);
        if let (Some(socket), Some((listener, _))) = (&mut host.socket, host.listener) {
            socket.unbind(now, listener);
        }
    }

    /// Dials whoever it does not dial.
    pub(super) fn connect_to_all(&mut self, seat: usize) {
        if self.binds(seat) {
            return;
        }
        let (now, others) = (self.now, self.others(seat));
        let host = self.host_mut(seat);
        let Some(socket) = host.socket.as_mut().filter(|_| !host.closing) else {
            return;
        };
        for other in others {
            if host.connects.values().all(|there| *there != other) {
                let connect = socket.connect(now, &sockets::endpoint(other));
                host.connects.insert(connect.expect("it may"), other);
            }
        }
    }
}

pub(super) fn identity_of(seat: usize) -> Identity {
    Identity::try_from(Bytes::from(format!("seat{seat}"))).unwrap_or_default()
}
