//! REQ asks and awaits the answer, one question at a time (RFC 28).

use core::mem;

use super::pattern::Behaviour;
use super::peers::Peers;
use super::pipe::PipeId;
use super::{Config, RecvError, SendError};
use crate::wire::Frames;
use crate::zmtp::{Error, Misbehaving};
use crate::{Bytes, Instant};

#[derive(Debug)]
pub(super) struct Req {
    turn: Turn,
    /// The number of the next question, when they have one.
    next: Option<Number>,
}

/// Counts questions. It begins anywhere, so that answers to a socket that was here before, under the same identity, are not taken
/// for ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Undrawn,
    Next(u32),
}

/// Whose turn it is.
#[derive(Debug)]
enum Turn {
    /// The application's, to ask.
    Ask,
    /// That of the peer, to answer. With the number of the question, when it has one.
    Answer {
        pipe: PipeId,
        number: Option<[u8; 4]>,
    },
    /// The application's, to take the answer.
    Take(Frames),
    /// The application's, to be told that there will be no answer.
    Lost,
}

impl Req {
    pub(super) const fn new(config: &Config) -> Self {
        Self {
            turn: Turn::Ask,
            next: if config.correlate {
                Some(Number::Undrawn)
            } else {
                None
            },
        }
    }

    /// The number of the question that is asked now.
    fn draw(&mut self, peers: &mut Peers) -> Option<[u8; 4]> {
        let next = self.next.as_mut()?;
        let number = match *next {
            Number::Undrawn => peers.random(),
            Number::Next(number) => number,
        };
        // SOCK-48
        *next = Number::Next(number.wrapping_add(1));
        Some(number.to_be_bytes())
    }

    /// Whether there will be no answer. A question that was neither handed to the link that is there nor waits for one was lost with
    /// its link, or given up with its endpoint.
    fn is_lost(&self, peers: &Peers) -> bool {
        match &self.turn {
            // SOCK-46
            Turn::Answer { pipe, .. } => !peers.is_ready(*pipe) && peers.queued(*pipe) == 0,
            Turn::Lost => true,
            Turn::Ask | Turn::Take(_) => false,
        }
    }
}

impl Behaviour for Req {
    fn send(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        message: &Frames,
    ) -> Result<(), SendError> {
        // SOCK-42
        if !matches!(self.turn, Turn::Ask) {
            return Err(SendError::OutOfTurn);
        }
        // SOCK-41: asked before a number is drawn, so that nothing changes when nobody has room.
        if !peers.can_balance() {
            return Err(SendError::Full);
        }
        let number = self.draw(peers);
        // SOCK-40
        let asked = match number {
            Some(number) => {
                peers.balance(&[Bytes::copy_from_slice(&number), Bytes::new()], message)
            }
            None => peers.balance(&[Bytes::new()], message),
        };
        let pipe = asked.ok_or(SendError::Full)?;
        self.turn = Turn::Answer { pipe, number };
        Ok(())
    }

    fn can_send(&self, peers: &Peers) -> bool {
        matches!(self.turn, Turn::Ask) && peers.can_balance()
    }

    fn recv(&mut self, _now: Instant, peers: &mut Peers) -> Result<Option<Frames>, RecvError> {
        // SOCK-45
        if self.is_lost(peers) {
            self.turn = Turn::Ask;
            return Err(RecvError::PeerLost);
        }
        match mem::replace(&mut self.turn, Turn::Ask) {
            Turn::Take(answer) => Ok(Some(answer)),
            waiting @ Turn::Answer { .. } => {
                self.turn = waiting;
                Ok(None)
            }
            // SOCK-42
            Turn::Ask | Turn::Lost => Err(RecvError::OutOfTurn),
        }
    }

    fn can_recv(&self, peers: &Peers) -> bool {
        matches!(self.turn, Turn::Take(_)) || self.is_lost(peers)
    }

    fn handle_gone(&mut self, _now: Instant, peers: &mut Peers, pipe: PipeId) {
        // What no link took waits for the next one.
        // SOCK-45, SOCK-46
        if let Turn::Answer { pipe: asked, .. } = self.turn
            && asked == pipe
            && peers.queued(pipe) == 0
        {
            self.turn = Turn::Lost;
        }
    }

    /// What is no answer is dropped when it comes.
    fn takes_at_once(&self) -> bool {
        true
    }

    fn handle_message(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId, message: Frames) {
        // SOCK-43
        let answer = match self.turn {
            Turn::Answer {
                pipe: asked,
                number,
            } if asked == pipe && peers.queued(pipe) == 0 => Answer::of(message, number),
            _ => Answer::Another,
        };
        match answer {
            Answer::Whole(body) => self.turn = Turn::Take(body),
            // SOCK-48
            Answer::Another => peers.discarded(),
            Answer::Malformed => {
                peers.discarded();
                // SOCK-44
                let error = Misbehaving::Unexpected("message that is no answer");
                peers.fail(now, pipe, Error::Misbehaving(error));
            }
        }
    }

    fn reset(&mut self, now: Instant, peers: &mut Peers) {
        // SOCK-47
        if let Turn::Answer { pipe, number } = mem::replace(&mut self.turn, Turn::Ask) {
            if peers.queued(pipe) > 0 {
                peers.lose_queue(pipe);
            } else if number.is_none() && peers.is_ready(pipe) {
                // A late answer could not be told from that to the next question.
                peers.redial(now, pipe);
            }
        }
    }
}

/// What a message is, when an answer is due.
enum Answer {
    /// What the application gets.
    Whole(Frames),
    /// To another question.
    Another,
    Malformed,
}

impl Answer {
    fn of(mut message: Frames, number: Option<[u8; 4]>) -> Self {
        if let Some(ours) = number {
            match message.pop_front() {
                Some(number) if number.len() != ours.len() => return Self::Malformed,
                Some(number) if *number != ours => return Self::Another,
                _ => {}
            }
        }
        match message.pop_front() {
            // SOCK-44
            Some(delimiter) if delimiter.is_empty() && !message.is_empty() => Self::Whole(message),
            _ => Self::Malformed,
        }
    }
}
