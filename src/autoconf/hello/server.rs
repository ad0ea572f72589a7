//! A server that answers whoever says hello.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Bytes;

use super::{ClientName, OK, SAID, TOO_MUCH, said};
use crate::Instant;
use crate::wire::Frames;

/// What nobody took of what was said is dropped beyond so much.
const EVENTS: usize = 1_024;
/// The pause before a socket that fails again and again is made anew.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// A socket that held for so long has not failed again.
const HELD: Duration = Duration::from_secs(10);

/// What a server asks of its embedder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send this as the answer to the request that came last. If that does not work, say so with [`Server::handle_failed`].
    Answer {
        /// What.
        message: Frames,
    },
    /// Give up the request at hand, and make the REP anew if it is what failed.
    Reset,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A client said hello.
    Hello {
        /// What it calls itself. Anybody can call himself anything.
        name: ClientName,
    },
    /// Somebody said something else.
    Said {
        /// What: all frames one behind the other, and at most 512 octets of them.
        text: Bytes,
    },
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// The socket is to be made anew.
    Reset,
}

/// What happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that came.
    pub requests: u64,
    /// Those that were a hello.
    pub hellos: u64,
    /// Resets.
    pub resets: u64,
    /// Events that nobody took in time.
    pub untold: u64,
}

/// Answers hellos over a REP that its embedder has.
///
/// ```
/// use atonce::{Frames, Instant};
/// use atonce::autoconf::hello::{Server, ServerAction, ServerEvent};
///
/// let mut server = Server::new();
/// server.handle_request(Instant::ZERO, &Frames::from("client0 HI"));
/// let answer = ServerAction::Answer { message: Frames::from("OK") };
/// assert_eq!(server.poll_action(), Some(answer));
/// let Some(ServerEvent::Hello { name }) = server.poll_event() else { panic!() };
/// assert_eq!(name.as_str(), "client0");
/// ```
#[derive(Debug, Default)]
pub struct Server {
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    /// When the socket is reset.
    reset_at: Option<Instant>,
    /// When it was reset last, and the pause before that.
    last: Option<(Instant, Duration)>,
    counters: Counters,
}

impl Server {
    /// A server whose REP is bound.
    pub fn new() -> Self {
        Self::default()
    }

    // ---- inputs

    /// A request came over the REP.
    // AUTO-51
    pub fn handle_request(&mut self, _now: Instant, message: &Frames) {
        self.counters.requests += 1;
        let answer = match &message[..] {
            [only] if only.len() <= SAID => OK,
            _ => TOO_MUCH,
        };
        // REP is lock-step: of an answer that was not sent nobody waits any more.
        self.actions
            .retain(|action| !matches!(action, Action::Answer { .. }));
        self.actions.push_back(Action::Answer {
            message: Frames::from(answer),
        });
        let text = said(message);
        let name = if answer == OK {
            ClientName::of(&text)
        } else {
            None
        };
        let event = match name {
            Some(name) => {
                self.counters.hellos += 1;
                Event::Hello { name }
            }
            None => Event::Said { text },
        };
        if self.events.len() == EVENTS {
            self.counters.untold += 1;
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// An answer could not be sent, or the REP failed in another way.
    // AUTO-55
    pub fn handle_failed(&mut self, now: Instant) {
        if self.reset_at.is_some() {
            return;
        }
        self.actions.clear();
        let [first, longest] = PAUSES;
        let pause = match self.last {
            Some((at, _)) if now - at >= HELD => Duration::ZERO,
            Some((_, pause)) => (2 * pause).clamp(first, longest),
            None => Duration::ZERO,
        };
        self.last = Some((now + pause, pause));
        if pause.is_zero() {
            self.reset();
        } else {
            self.reset_at = Some(now + pause);
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.reset_at.is_some_and(|at| at <= now) {
            self.reset_at = None;
            self.reset();
        }
    }

    // ---- outputs

    /// The next thing to do, in order.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What was said next. Of what nobody takes the last 1,024 are kept.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None`: not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        self.reset_at.map(|at| (at, Timer::Reset))
    }

    /// What happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    // ---- within

    fn reset(&mut self) {
        self.counters.resets += 1;
        self.actions.push_back(Action::Reset);
    }
}
