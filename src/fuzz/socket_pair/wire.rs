//! A connection between two sockets, and what anybody on the way can read of it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Instant;
use crate::net::{Cut, LinkId};
use crate::wire::Frames;
use crate::wire::zmtp::SocketType;
use crate::zmtp::{self, Connection};

/// One direction.
pub(super) struct Pipe {
    pub(super) octets: VecDeque<u8>,
    /// Nothing gets through for now.
    pub(super) held: bool,
    /// Everything that comes is lost, without a word.
    pub(super) swallows: bool,
    /// What the receiver is told once the octets are through; nothing follows.
    pub(super) end: Option<Cut>,
    /// The receiver does not want to read.
    pub(super) paused: bool,
    /// Who reads along.
    ear: Connection,
    /// How many messages went in.
    pub(super) messages: usize,
}

impl Pipe {
    fn new(now: Instant, sender: SocketType) -> Self {
        let all = crate::socket::Kind::ALL.iter();
        let mut all = all.map(|kind| SocketType::from(*kind));
        let reader = all.find(|kind| kind.may_talk_to(sender)).unwrap_or(sender);
        Self {
            octets: VecDeque::new(),
            held: false,
            swallows: false,
            end: None,
            paused: false,
            ear: Connection::new(now, zmtp::Config::new(reader)),
            messages: 0,
        }
    }

    /// The messages that end with these octets.
    pub(super) fn overhear(&mut self, now: Instant, octets: &[u8]) -> Vec<Frames> {
        self.ear.handle_input(now, octets);
        let answers: usize = self.ear.poll_transmit().map(<[u8]>::len).sum();
        self.ear.handle_transmitted(now, answers);
        let mut messages = Vec::new();
        while let Some(event) = self.ear.poll_event() {
            match event {
                zmtp::Event::Message(message) => messages.push(message),
                // Somebody was told that he is not wanted.
                zmtp::Event::Closed(zmtp::Error::Refused { .. }) => {}
                zmtp::Event::Closed(error) => panic!("a socket speaks ZMTP: {error}"),
                _ => {}
            }
        }
        messages
    }
}

pub(super) struct Wire {
    /// Which seat was dialled.
    pub(super) to: usize,
    /// The dial was answered.
    pub(super) made: bool,
    /// The dial is not going to be answered.
    pub(super) hangs: bool,
    /// Who dialled, and who was dialled: which socket, and how it calls the connection. `None`: not there yet, or not any more.
    pub(super) ends: [Option<(usize, LinkId)>; 2],
    /// What the first end sent, and what the second one sent.
    pub(super) pipes: [Pipe; 2],
}

impl Wire {
    pub(super) fn new(
        now: Instant,
        to: usize,
        end: (usize, LinkId),
        types: [SocketType; 2],
    ) -> Self {
        Self {
            to,
            made: false,
            hangs: false,
            ends: [Some(end), None],
            pipes: types.map(|sender| Pipe::new(now, sender)),
        }
    }

    /// Which end this socket holds.
    pub(super) fn end_of(&self, host: usize, link: LinkId) -> Option<usize> {
        (0..2).find(|end| self.ends[*end] == Some((host, link)))
    }

    /// One end is gone: what it sent comes through, what it was sent is lost.
    pub(super) fn leave(&mut self, end: usize, cut: Cut) {
        self.ends[end] = None;
        let pipe = &mut self.pipes[end];
        pipe.end = pipe.end.or(Some(cut));
        self.pipes[1 - end].octets.clear();
    }

    /// The connection breaks. What is on its way may get through before, or is lost.
    pub(super) fn cut(&mut self, cut: Cut, lost: bool) {
        for pipe in &mut self.pipes {
            pipe.end = pipe.end.or(Some(cut));
            if lost {
                pipe.octets.clear();
            }
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.ends.iter().all(Option::is_none)
    }
}
