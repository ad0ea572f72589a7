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
    /// How long one endpoint has for the connection before the next one is tried beside it: 500 ms.
    pub beside: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(2_500),
            tries: 3,
            pause: Duration::from_millis(100),
            beside: Duration::from_millis(500),
        }
    }
}

/// What a client asks of its embedder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Make a REQ, connect it there and nowhere else, and send this over it. If it cannot be made, say so with
    /// [`Client::handle_lost`]. There may be one for each endpoint at a time.
    Ask {
        /// Where.
        endpoint: SocketAddr,
        /// What.
        message: Frames,
    },
    /// Close the REQ that was made for this endpoint, without waiting for what it has not sent. What comes of it later is not for this
    /// machine.
    Close {
        /// Where it was connected.
        endpoint: SocketAddr,
    },
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

/// An endpoint at which it was said, and that did not answer yet.
#[derive(Clone, Copy, Debug)]
struct Asked {
    endpoint: SocketAddr,
    /// How long it has for the answer.
    until: Instant,
    /// The handshake is done: somebody is there.
    is_reached: bool,
}

/// Says hello to one server, at each of its endpoints if need be, with a new socket each time.
///
/// An endpoint at which nobody is takes its time to show that. So the next one is tried beside it after [a while](Config::beside), and
/// not when somebody is [reached](Self::handle_reached): then it is for that server to answer.
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
/// assert_eq!(client.poll_action(), Some(ClientAction::Close { endpoint }));
/// assert_eq!(client.poll_action(), Some(asked));
///
/// client.handle_answer(at, endpoint, &Frames::from("OK"));
/// assert_eq!(client.poll_event(), Some(ClientEvent::Welcome { endpoint }));
/// assert!(client.is_over());
/// # Ok::<(), atonce::autoconf::hello::InvalidClientName>(())
/// ```
#[derive(Debug)]
pub struct Client {
    hello: Frames,
    /// Each once.
    endpoints: Vec<SocketAddr>,
    config: Config,
    /// How often it was said.
    tries: u32,
    /// Each endpoint at most once.
    asked: Vec<Asked>,
    /// When it is said at the next endpoint, unless something stands against that.
    next_at: Instant,
    is_over: bool,
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
        let mut each: Vec<SocketAddr> = Vec::new();
        for endpoint in endpoints {
            if !each.contains(&endpoint) {
                each.push(endpoint);
            }
        }
        let mut client = Self {
            hello: name.hello(),
            endpoints: each,
            config,
            tries: 0,
            asked: Vec::new(),
            next_at: now,
            is_over: false,
            actions: VecDeque::new(),
            event: None,
        };
        client.go_on(now);
        client
    }

    // ---- inputs

    /// The handshake of the REQ for this endpoint is done: somebody is there. Optional: without it the other endpoints are tried
    /// beside.
    pub fn handle_reached(&mut self, _now: Instant, endpoint: SocketAddr) {
        let mut asked = self.asked.iter_mut();
        if let Some(asked) = asked.find(|asked| asked.endpoint == endpoint) {
            asked.is_reached = true;
        }
    }

    /// An answer came over the REQ for this endpoint.
    // AUTO-52
    pub fn handle_answer(&mut self, _now: Instant, endpoint: SocketAddr, message: &Frames) {
        if !self.asked.iter().any(|asked| asked.endpoint == endpoint) {
            return;
        }
        let event = match &message[..] {
            [only] if *only == OK => Event::Welcome { endpoint },
            _ => Event::Answered {
                endpoint,
                text: said(message),
            },
        };
        for Asked { endpoint, .. } in core::mem::take(&mut self.asked) {
            self.actions.push_back(Action::Close { endpoint });
        }
        self.end(event);
    }

    /// The REQ for this endpoint could not be made or connected, or the connection on which the answer is due is gone.
    // AUTO-54
    pub fn handle_lost(&mut self, now: Instant, endpoint: SocketAddr) {
        let before = self.asked.len();
        self.asked.retain(|asked| asked.endpoint != endpoint);
        if self.asked.len() == before {
            return;
        }
        self.actions.push_back(Action::Close { endpoint });
        let paused = now + self.config.pause;
        self.next_at = match self.next_at <= now {
            true => paused,
            false => self.next_at.min(paused),
        };
        self.give_up_if_done();
    }

    /// Does what is due by `now`.
    // AUTO-53
    pub fn handle_timeout(&mut self, now: Instant) {
        let actions = &mut self.actions;
        let before = self.asked.len();
        self.asked.retain(|asked| {
            let is_late = asked.until <= now;
            if is_late {
                let endpoint = asked.endpoint;
                actions.push_back(Action::Close { endpoint });
            }
            !is_late
        });
        if self.asked.len() < before {
            self.next_at = self.next_at.min(now);
        }
        self.go_on(now);
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
        let answers = self.asked.iter().map(|asked| (asked.until, Timer::Answer));
        let again = self.next().map(|_| (self.next_at, Timer::Again));
        answers.chain(again).min_by_key(|(at, _)| *at)
    }

    /// Whether the handshake is done at an endpoint that did not answer yet, and is waited for: the answer may be on its way, also
    /// that of a server that says goodbye just now.
    pub fn is_reached(&self) -> bool {
        self.asked.iter().any(|asked| asked.is_reached)
    }

    /// Whether it has ended. Actions may still be to be done, and the event to be taken.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    // ---- within

    /// How often it is said.
    fn most(&self) -> u32 {
        let endpoints = u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX);
        self.config.tries.max(1).max(endpoints)
    }

    /// Where it is said next, if nothing stands against it but the time.
    // AUTO-53
    fn next(&self) -> Option<SocketAddr> {
        if self.is_over || self.tries >= self.most() {
            return None;
        }
        let turn = usize::try_from(self.tries).ok()?;
        let place = turn.checked_rem(self.endpoints.len())?;
        let next = *self.endpoints.get(place)?;
        let in_the_way = |asked: &Asked| asked.is_reached || asked.endpoint == next;
        (!self.asked.iter().any(in_the_way)).then_some(next)
    }

    /// Says it where it is due.
    fn go_on(&mut self, now: Instant) {
        while self.next_at <= now
            && let Some(endpoint) = self.next()
        {
            self.tries += 1;
            self.actions.push_back(Action::Ask {
                endpoint,
                message: self.hello.clone(),
            });
            self.asked.push(Asked {
                endpoint,
                until: now + self.config.timeout,
                is_reached: false,
            });
            self.next_at = now + self.config.beside;
        }
        self.give_up_if_done();
    }

    fn give_up_if_done(&mut self) {
        let is_tried = self.endpoints.is_empty() || self.tries >= self.most();
        if is_tried && self.asked.is_empty() && !self.is_over {
            self.end(Event::Unanswered { tries: self.tries });
        }
    }

    fn end(&mut self, event: Event) {
        self.is_over = true;
        self.event = Some(event);
    }
}
