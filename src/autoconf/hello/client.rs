//! A client that says hello, and does not wait for ever.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;

use super::{ClientName, OK, said};
use crate::Instant;
use crate::wire::Frames;

/// How long a client waits, and how often it tries.
///
/// ```
/// use core::time::Duration;
/// use atonce::autoconf::hello::Config;
///
/// let config = Config { timeout: Duration::from_secs(1), ..Config::default() };
/// assert_eq!(config.tries, 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long an answer may take, the connection included: 2.5 s.
    pub timeout: Duration,
    /// How often it is said: 3 times, or once at each endpoint if those are more. 0 counts as 1.
    pub tries: u32,
    /// How long it waits after a connection failed: 100 ms.
    pub pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(2_500),
            tries: 3,
            pause: Duration::from_millis(100),
        }
    }
}

/// What a client asks of its embedder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Make a REQ, connect it there and nowhere else, and send this over it. If it cannot be made, say so with
    /// [`Client::handle_lost`].
    Ask {
        /// Where.
        endpoint: SocketAddr,
        /// What.
        message: Frames,
    },
    /// Close the REQ, without waiting for what it has not sent. What comes of it later is not for this machine.
    Close,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server said `OK`.
    Welcome {
        /// Where it was reached.
        endpoint: SocketAddr,
    },
    /// The server said something else.
    Answered {
        /// Where it was reached.
        endpoint: SocketAddr,
        /// What it said: all frames one behind the other, and at most 512 octets of them.
        text: Bytes,
    },
    /// Nobody answered, as often as it was said.
    Unanswered {
        /// How often that was.
        tries: u32,
    },
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// The answer takes too long.
    Answer,
    /// It is to be said again.
    Again,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was said, and not answered.
    Asking { until: Instant },
    /// The socket was reset, and it will be said again.
    Pausing { until: Instant },
    /// It is answered, or given up.
    Over,
}

/// Says hello to one server, at each of its endpoints if need be, with a new socket each time.
///
/// ```
/// use atonce::{Frames, Instant};
/// use atonce::autoconf::hello::{Client, ClientAction, ClientEvent, Config};
///
/// let now = Instant::ZERO;
/// let endpoint = ([192, 168, 1, 2], 50053).into();
/// let mut client = Client::new(now, &"client0".parse()?, [endpoint], Config::default());
/// let asked = ClientAction::Ask { endpoint, message: Frames::from("client0 HI") };
/// assert_eq!(client.poll_action(), Some(asked.clone()));
///
/// // Nobody answers: the socket is given up, and it is said again with another one.
/// let (at, _) = client.poll_timeout().expect("it does not wait for ever");
/// client.handle_timeout(at);
/// assert_eq!(client.poll_action(), Some(ClientAction::Close));
/// assert_eq!(client.poll_action(), Some(asked));
///
/// client.handle_answer(at, &Frames::from("OK"));
/// assert_eq!(client.poll_event(), Some(ClientEvent::Welcome { endpoint }));
/// assert!(client.is_over());
/// # Ok::<(), atonce::autoconf::hello::InvalidClientName>(())
/// ```
#[derive(Debug)]
pub struct Client {
    hello: Frames,
    endpoints: Vec<SocketAddr>,
    config: Config,
    /// How often it was said.
    tries: u32,
    state: State,
    actions: VecDeque<Action>,
    event: Option<Event>,
}

impl Client {
    /// A client that says hello at once. Without endpoints it is over at once, unanswered.
    pub fn new(
        now: Instant,
        name: &ClientName,
        endpoints: impl IntoIterator<Item = SocketAddr>,
        config: Config,
    ) -> Self {
        let mut client = Self {
            hello: name.hello(),
            endpoints: endpoints.into_iter().collect(),
            config,
            tries: 0,
            state: State::Over,
            actions: VecDeque::new(),
            event: None,
        };
        client.try_next(now);
        client
    }

    // ---- inputs

    /// An answer came over the REQ.
    // AUTO-52
    pub fn handle_answer(&mut self, _now: Instant, message: &Frames) {
        let State::Asking { .. } = self.state else {
            return;
        };
        let Some(endpoint) = self.endpoint() else {
            return;
        };
        let event = match &message[..] {
            [only] if *only == OK => Event::Welcome { endpoint },
            _ => Event::Answered {
                endpoint,
                text: said(message),
            },
        };
        self.actions.push_back(Action::Close);
        self.end(event);
    }

    /// The REQ could not be made or connected, or the connection on which the answer is due is gone.
    // AUTO-54
    pub fn handle_lost(&mut self, now: Instant) {
        if !matches!(self.state, State::Asking { .. }) {
            return;
        }
        self.actions.push_back(Action::Close);
        if self.tries >= self.most() {
            return self.give_up();
        }
        self.state = State::Pausing {
            until: now + self.config.pause,
        };
    }

    /// Does what is due by `now`.
    // AUTO-53
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Asking { until } if until <= now => {
                self.actions.push_back(Action::Close);
                self.try_next(now);
            }
            State::Pausing { until } if until <= now => self.try_next(now),
            _ => {}
        }
    }

    // ---- outputs

    /// The next thing to do, in order.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How it ended, once.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None`: not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        match self.state {
            State::Asking { until } => Some((until, Timer::Answer)),
            State::Pausing { until } => Some((until, Timer::Again)),
            State::Over => None,
        }
    }

    /// Whether it has ended. Actions may still be to be done, and the event to be taken.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    // ---- within

    /// How often it is said.
    fn most(&self) -> u32 {
        let endpoints = u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX);
        self.config.tries.max(1).max(endpoints)
    }

    /// Where it is said, or was last.
    fn endpoint(&self) -> Option<SocketAddr> {
        let turn = usize::try_from(self.tries.checked_sub(1)?).ok()?;
        let place = turn.checked_rem(self.endpoints.len())?;
        self.endpoints.get(place).copied()
    }

    fn try_next(&mut self, now: Instant) {
        if self.tries >= self.most() {
            return self.give_up();
        }
        self.tries += 1;
        let Some(endpoint) = self.endpoint() else {
            self.tries = 0;
            return self.give_up();
        };
        self.actions.push_back(Action::Ask {
            endpoint,
            message: self.hello.clone(),
        });
        self.state = State::Asking {
            until: now + self.config.timeout,
        };
    }

    fn give_up(&mut self) {
        self.end(Event::Unanswered { tries: self.tries });
    }

    fn end(&mut self, event: Event) {
        self.state = State::Over;
        self.event = Some(event);
    }
}
