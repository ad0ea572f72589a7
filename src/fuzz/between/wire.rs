//! A connection through the middle: two ends, and octets on their way in both directions.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::net::LinkId;
use crate::wire::Frames;
use crate::wire::zmtp::SocketType;
use crate::wire::zre::{Command, Limits, Message};
use crate::zmtp::{self, Connection};
use crate::{Cut, Instant};

/// Who holds one end of a wire.
pub(super) enum End {
    /// Of which of the two nodes, and how it calls the connection.
    Node(usize, LinkId),
    /// The middle itself, as somebody.
    Puppet(Box<Connection>),
    /// Nobody: closed, or not made yet.
    Nobody,
}

/// One direction.
#[derive(Default)]
pub(super) struct Pipe {
    pub(super) octets: VecDeque<u8>,
    /// Nothing gets through for now.
    pub(super) held: bool,
    /// Everything that comes is lost, without a word.
    pub(super) swallows: bool,
    /// What the receiver is told once the octets are through; nothing follows.
    pub(super) end: Option<Cut>,
    /// The sender has something to send.
    pub(super) wanted: bool,
    /// The receiver does not want to read.
    pub(super) paused: bool,
    /// How much the receiver took since its application took nothing any more.
    pub(super) unread: usize,
}

pub(super) struct Wire {
    /// Where the first end dialled to.
    pub(super) to: SocketAddr,
    /// The dial was answered.
    pub(super) made: bool,
    /// The dial is not going to be answered.
    pub(super) hangs: bool,
    /// Who dialled, and who was dialled.
    pub(super) ends: [End; 2],
    /// What the first end sent, and what the second one sent.
    pub(super) pipes: [Pipe; 2],
    pub(super) overheard: Overheard,
    /// What whoever was dialled says.
    pub(super) answers: Overheard,
}

impl Wire {
    pub(super) fn new(end: End, to: SocketAddr, now: Instant) -> Self {
        Self {
            to,
            made: false,
            hangs: false,
            ends: [end, End::Nobody],
            pipes: [Pipe::default(), Pipe::default()],
            overheard: Overheard::new(now, SocketType::Router),
            answers: Overheard::new(now, SocketType::Dealer),
        }
    }

    /// Which end this node holds.
    pub(super) fn end_of(&self, who: usize, link: LinkId) -> Option<usize> {
        (0..2).find(|end| matches!(self.ends[*end], End::Node(w, l) if (w, l) == (who, link)))
    }

    /// One end is gone: what it sent comes through, what it was sent is lost.
    pub(super) fn leave(&mut self, end: usize, cut: Cut) {
        self.ends[end] = End::Nobody;
        let pipe = &mut self.pipes[end];
        pipe.end = pipe.end.or(Some(cut));
        pipe.wanted = false;
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
        self.ends.iter().all(|end| matches!(end, End::Nobody))
    }
}

/// What a node says on a connection, as anybody on the way can read it.
pub(super) struct Overheard {
    connection: Connection,
    /// The sequence of the last message; `None` before the first one.
    pub(super) last: Option<u16>,
}

impl Overheard {
    fn new(now: Instant, reader: SocketType) -> Self {
        let mut config = zmtp::Config::new(reader);
        config.limits.frame_octets = usize::MAX;
        config.limits.message_octets = usize::MAX;
        Self {
            connection: Connection::new(now, config),
            last: None,
        }
    }

    /// The node sent these octets. Panics unless they are ZMTP and ZRE, begin with HELLO (or where the wire `before`
    /// ended), and number their messages without a gap.
    pub(super) fn hear(&mut self, now: Instant, octets: &[u8], before: &mut Option<u16>) {
        self.connection.handle_input(now, octets);
        while let Some(event) = self.connection.poll_event() {
            match event {
                zmtp::Event::Message(message) => self.follow(message, before),
                zmtp::Event::Closed(error) => panic!("the node speaks ZMTP: {error}"),
                _ => {}
            }
        }
    }

    fn follow(&mut self, message: Frames, before: &mut Option<u16>) {
        let Message { sequence, command } =
            Message::decode(message, &Limits::default()).expect("the node speaks ZRE");
        if matches!(command, Command::Hello(_)) {
            assert_eq!(sequence, 1, "HELLO begins");
        } else {
            let expected = self.last.or(*before).map(|last| last.wrapping_add(1));
            assert_eq!(Some(sequence), expected, "{command:.100?}");
        }
        self.last = Some(sequence);
        *before = self.last;
    }

    /// Whether what was sent last ends a message.
    pub(super) fn is_between_messages(&self) -> bool {
        self.last.is_some() && self.connection.partial_octets() == 0
    }
}

/// A message of one frame, as octets of ZMTP.
pub(super) fn framed(sequence: u16, command: Command) -> Vec<u8> {
    let mut octets = Vec::new();
    let message = Message { sequence, command }.encode();
    for (at, frame) in message.iter().enumerate() {
        let more = u8::from(at + 1 < message.len());
        if let Ok(short) = u8::try_from(frame.len()) {
            octets.extend([more, short]);
        } else {
            octets.push(more | 2);
            octets.extend((frame.len() as u64).to_be_bytes());
        }
        octets.extend_from_slice(frame);
    }
    octets
}
