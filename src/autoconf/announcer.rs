//! What a server does so that it is found.

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use core::num::NonZeroU32;
use core::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{about, drawn};
use crate::Instant;
use crate::wire::autoconf::{Announcement, Datagram, InstanceId, Offer};

/// Within this time a query is answered.
const ANSWER: Duration = Duration::from_millis(100);
/// No two announcements are nearer to each other.
const APART: Duration = Duration::from_millis(500);
/// After this time the goodbye is said again.
const AGAIN: Duration = Duration::from_millis(100);
/// Shorter intervals are a flood; with longer ones clients, who keep nobody for more than 5 minutes, would forget the server.
const INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(100)];
/// Goodbyes that wait for an embedder that does not take any: it can change its mind often.
const GOODBYES: usize = 8;

/// How a server announces itself.
///
/// ```
/// use core::time::Duration;
/// use atonce::autoconf::announcer::Config;
///
/// let config = Config { interval: Duration::from_secs(5) };
/// assert_eq!(Config::default().interval, Duration::from_secs(15));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The time between two announcements: 15 s. Less than 100 ms counts as that, and more than 100 s as that. Clients forget the
    /// server after three of them.
    pub interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
        }
    }
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// The next announcement is due.
    Announce,
    /// Somebody asked.
    Answer,
    /// The goodbye is to be said again.
    Goodbye,
}

/// What happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Announcements that were given to the embedder.
    pub announcements: u64,
    /// Queries for this service or for every one.
    pub queries: u64,
    /// Goodbyes that were given to the embedder.
    pub goodbyes: u64,
    /// Datagrams that are none of ours, or malformed.
    pub malformed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is announced when that is due.
    Here { at: Instant, why: Timer },
    /// Goodbye was said once.
    Leaving { at: Instant },
    /// Nothing more is said.
    Over,
}

/// Announces a server. It is to be made when the server's socket is bound.
///
/// Its datagrams go wherever clients may hear them, all to all of these places; what comes from there is given to
/// [`handle_datagram`](Self::handle_datagram), its own datagrams too if they come back. A datagram that could not be sent need not be told: the next one repairs it.
///
/// ```
/// use atonce::Instant;
/// use atonce::autoconf::{Announcer, announcer};
/// use atonce::wire::autoconf::{Datagram, Offer};
///
/// let now = Instant::ZERO;
/// let offer = Offer::new("printing".parse()?, [([192, 168, 1, 2], 50053).into()])?;
/// let mut announcer = Announcer::new(now, [7; 32], offer, announcer::Config::default());
/// assert!(announcer.poll_datagram().is_some()); // at once
/// assert!(announcer.poll_datagram().is_none());
///
/// let (at, _) = announcer.poll_timeout().expect("there will be more");
/// assert!(at.as_millis() >= 13_500 && at.as_millis() <= 15_000);
/// announcer.handle_timeout(at);
/// assert!(announcer.poll_datagram().is_some());
///
/// announcer.stop(at);
/// let goodbye = Datagram::Goodbye(announcer.instance());
/// assert_eq!(announcer.poll_datagram(), Some(goodbye.encode()));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Announcer {
    offer: Offer,
    instance: InstanceId,
    interval: Duration,
    rng: ChaCha20Rng,
    state: State,
    /// When the last announcement was due.
    last: Instant,
    /// An announcement waits for the embedder.
    owed: bool,
    /// This instance was announced, so that it has to say goodbye.
    known: bool,
    /// Goodbyes that wait for the embedder, at most [`GOODBYES`].
    goodbyes: VecDeque<InstanceId>,
    counters: Counters,
}

impl Announcer {
    /// A server that was just bound, and of which nobody knows. `seed` is of randomness that nobody else has: the instance comes from it.
    // AUTO-20: an `Offer` has no port 0 and no unspecified address.
    #[expect(clippy::needless_pass_by_value, reason = "as all machines take theirs")]
    pub fn new(now: Instant, seed: [u8; 32], offer: Offer, config: Config) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let [least, most] = INTERVALS;
        // AUTO-21
        let interval = config.interval.clamp(least, most);
        let instance = draw(&mut rng);
        let at = now + about(&mut rng, interval);
        Self {
            offer,
            instance,
            interval,
            rng,
            state: State::Here {
                at,
                why: Timer::Announce,
            },
            last: now,
            owed: true,
            known: false,
            goodbyes: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// The server has something else to say of itself from now on, such as another address: it says goodbye and is another
    /// instance, which is announced at once. Nothing happens when it is the same, or when it was stopped.
    // AUTO-22
    pub fn change(&mut self, now: Instant, offer: Offer) {
        if self.offer == offer || !matches!(self.state, State::Here { .. }) {
            return;
        }
        self.say_goodbye();
        self.offer = offer;
        self.instance = draw(&mut self.rng);
        self.known = false;
        self.announce(now);
    }

    /// The server leaves. What [`poll_datagram`](Self::poll_datagram) gives now and at the next deadline is to be sent still;
    /// then [`is_over`](Self::is_over). Announcements that wait are not said any more.
    // AUTO-24
    pub fn stop(&mut self, now: Instant) {
        if !matches!(self.state, State::Here { .. }) {
            return;
        }
        self.owed = false;
        self.say_goodbye();
        self.state = if self.known {
            State::Leaving { at: now + AGAIN }
        } else {
            State::Over
        };
    }

    // ---- inputs

    /// A datagram came from `source`, by whichever way. What is no query for this service changes nothing.
    // AUTO-23
    pub fn handle_datagram(&mut self, now: Instant, _source: SocketAddr, datagram: &[u8]) {
        let wanted = match Datagram::decode(datagram) {
            Ok(Datagram::Query(wanted)) => wanted,
            Ok(_) => return,
            Err(_) => {
                self.counters.malformed += 1;
                return;
            }
        };
        if wanted.is_some_and(|wanted| wanted != *self.offer.service()) {
            return;
        }
        self.counters.queries += 1;
        self.refresh(now);
    }

    /// There may be somebody who does not know of it yet, as on an interface that was not there before: it is announced soon, as
    /// when somebody asked.
    pub fn refresh(&mut self, now: Instant) {
        if let State::Here { at, .. } = self.state {
            let answer = now + drawn(&mut self.rng, ANSWER);
            let answer = answer.max(self.last + APART);
            // What is said before that anyway answers it as well.
            if answer < at {
                self.state = State::Here {
                    at: answer,
                    why: Timer::Answer,
                };
            }
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Here { at, .. } if at <= now => self.announce(now),
            State::Leaving { at } if at <= now => {
                self.say_goodbye();
                self.state = State::Over;
            }
            _ => {}
        }
    }

    // ---- outputs

    /// The next datagram to send, to all who may hear it.
    #[must_use]
    pub fn poll_datagram(&mut self) -> Option<Bytes> {
        if let Some(instance) = self.goodbyes.pop_front() {
            self.counters.goodbyes += 1;
            return Some(Datagram::Goodbye(instance).encode());
        }
        if !core::mem::take(&mut self.owed) {
            return None;
        }
        self.known = true;
        self.counters.announcements += 1;
        let announcement = Announcement {
            instance: self.instance,
            ttl: self.ttl(),
            offer: self.offer.clone(),
        };
        Some(Datagram::Announcement(announcement).encode())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None`: not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        match self.state {
            State::Here { at, why } => Some((at, why)),
            State::Leaving { at } => Some((at, Timer::Goodbye)),
            State::Over => None,
        }
    }

    // ---- queries

    /// Which start of which server it is now.
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    /// What the server says of itself now.
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Whether it was stopped and has said all that it will ever say.
    pub fn is_over(&self) -> bool {
        self.state == State::Over && self.goodbyes.is_empty()
    }

    /// What happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    // ---- within

    /// For how long an announcement counts: three intervals.
    // AUTO-21
    fn ttl(&self) -> NonZeroU32 {
        let millis = 3 * self.interval.as_millis();
        let millis = u32::try_from(millis).unwrap_or(u32::MAX);
        NonZeroU32::new(millis).unwrap_or(NonZeroU32::MIN)
    }

    fn announce(&mut self, now: Instant) {
        self.owed = true;
        self.last = now;
        self.state = State::Here {
            at: now + about(&mut self.rng, self.interval),
            why: Timer::Announce,
        };
    }

    /// Who was never announced leaves without a word.
    fn say_goodbye(&mut self) {
        if !self.known {
            return;
        }
        if self.goodbyes.len() == GOODBYES {
            self.goodbyes.pop_front();
        }
        self.goodbyes.push_back(self.instance);
    }
}

fn draw(rng: &mut ChaCha20Rng) -> InstanceId {
    let mut octets = [0; 16];
    rng.fill_bytes(&mut octets);
    InstanceId::from_bytes(octets)
}
