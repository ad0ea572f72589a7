//! REP answers, one question at a time (RFC 28).

use core::mem;

use super::answering::Source;
use super::pattern::Behaviour;
use super::peers::Peers;
use super::pipe::PipeId;
use super::{Config, RecvError, SendError};
use crate::Instant;
use crate::wire::Frames;

/// The most frames before the empty one: 255. Each device on the way puts one there, so there are few; and an answer still has room
/// for more than 700 frames where a message may have 1,024.
const HOPS: usize = 255;

#[derive(Debug)]
pub(super) struct Rep {
    turn: Turn,
}

/// Whose turn it is.
#[derive(Debug)]
enum Turn {
    /// Somebody's to ask, and the application's to take the question.
    Ask,
    /// The application's, to answer.
    Answer {
        pipe: PipeId,
        /// Up to the empty frame, and that one.
        envelope: Frames,
    },
    /// The application's, to be told that who asked is gone.
    Lost,
}

impl Rep {
    pub(super) const fn new(_config: &Config) -> Self {
        Self { turn: Turn::Ask }
    }
}

impl Behaviour for Rep {
    fn send(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        message: &Frames,
    ) -> Result<(), SendError> {
        match mem::replace(&mut self.turn, Turn::Ask) {
            // SOCK-53
            Turn::Ask => Err(SendError::OutOfTurn),
            // SOCK-51, SOCK-55
            Turn::Answer { pipe, envelope } if peers.push_anyway(pipe, &envelope, message) => {
                Ok(())
            }
            // SOCK-54
            Turn::Answer { .. } | Turn::Lost => Err(SendError::PeerLost),
        }
    }

    fn can_send(&self, _peers: &Peers) -> bool {
        !matches!(self.turn, Turn::Ask)
    }

    fn recv(&mut self, now: Instant, peers: &mut Peers) -> Result<Option<Frames>, RecvError> {
        // SOCK-53
        if !matches!(self.turn, Turn::Ask) {
            return Err(RecvError::OutOfTurn);
        }
        // SOCK-50
        while let Some((pipe, source, message)) = peers.next_to_answer(now) {
            let Some((envelope, question)) = apart(message) else {
                // SOCK-52
                peers.discarded();
                continue;
            };
            self.turn = match source {
                Source::Here => Turn::Answer { pipe, envelope },
                // SOCK-54: the link that this peer has now, if any, is another one.
                Source::Gone => Turn::Lost,
            };
            return Ok(Some(question));
        }
        Ok(None)
    }

    fn can_recv(&self, peers: &Peers) -> bool {
        matches!(self.turn, Turn::Ask) && peers.has_next_to_answer()
    }

    fn handle_gone(&mut self, _now: Instant, _peers: &mut Peers, pipe: PipeId) {
        // SOCK-54
        if let Turn::Answer { pipe: asking, .. } = self.turn
            && asking == pipe
        {
            self.turn = Turn::Lost;
        }
    }

    fn reset(&mut self, _now: Instant, _peers: &mut Peers) {
        // SOCK-56
        self.turn = Turn::Ask;
    }
}

/// The envelope of a question, with the empty frame, and the question.
fn apart(message: Frames) -> Option<(Frames, Frames)> {
    let addresses = message.iter().take(HOPS + 1);
    // SOCK-52
    let addresses = addresses.take_while(|frame| !frame.is_empty()).count();
    if addresses > HOPS || addresses + 1 >= message.len() {
        return None;
    }
    let mut frames = message.into_iter();
    let envelope = frames.by_ref().take(addresses + 1).collect();
    Some((envelope, frames.collect()))
}
