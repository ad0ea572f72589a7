//! What a client knows of the servers that are there.

mod asking;
mod server;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tracing::debug;

use crate::Instant;
use crate::table;
use crate::timers::Timers;
use crate::wire::autoconf::{Announcement, Datagram, InstanceId, ServiceName};

use asking::Asking;
use server::{Doubt, Entry, Grounds};

pub use server::{Server, ServerId};

/// How soon after the doubt began an announcement is taken for an older one, which came another way.
const STALE: Duration = Duration::from_millis(100);
/// For how long a server is doubted that does not say that it is there.
const DOUBT: Duration = Duration::from_secs(2);

/// What is sought.
///
/// ```
/// use atonce::autoconf::seeker::Config;
///
/// let config = Config { services: vec!["printing".parse()?], ..Config::default() };
/// assert!(config.keys.is_none() && config.elsewhere);
/// # Ok::<(), atonce::wire::autoconf::InvalidServiceName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The services; none stands for every service.
    pub services: Vec<ServiceName>,
    /// The public keys of which a server has to announce one; `None`: whichever, and none. That it has the key is shown by CURVE only,
    /// when it is connected to.
    pub keys: Option<BTreeSet<[u8; 32]>>,
    /// Whether endpoints count that are at another address than the announcement came from. They do; without them, strangers cannot have
    /// this client connect to somebody else, and a server is found only at the address that it announces from.
    pub elsewhere: bool,
    /// What it may cost.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            keys: None,
            elsewhere: true,
            limits: Limits::default(),
        }
    }
}

/// What servers and strangers may cost a client.
///
/// ```
/// use atonce::autoconf::seeker::Limits;
///
/// let limits = Limits { servers: 16, ..Limits::default() };
/// assert_eq!(limits.of_one_source, 32);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most servers: 256. A client wants one, and a person can look at some.
    pub servers: usize,
    /// The most that one address announces: 32, so that a stranger with one address has an eighth.
    pub of_one_source: usize,
    /// For how long an announcement counts at most: 5 min. Whoever says more does not stay for ever when it is gone.
    pub longest_ttl: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            servers: 256,
            of_one_source: 32,
            longest_ttl: Duration::from_secs(300),
        }
    }
}

/// What happened to a server. The first event of each is [`Found`](Self::Found), and the last [`Lost`](Self::Lost).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It is there.
    Found {
        /// Which.
        server: Arc<Server>,
    },
    /// It can be reached at more endpoints than before: those of IPv6 on a link that it was now heard on.
    Changed {
        /// Which, as it is now.
        server: Arc<Server>,
    },
    /// Somebody who says something else announced himself under the same instance. Both are known; one of them may lie, or be the
    /// copy of a machine.
    Contested {
        /// Who was there first.
        server: Arc<Server>,
        /// Where the other announcement came from.
        by: SocketAddr,
    },
    /// It said goodbye, or somebody in its name; or another one has its endpoint; or it did not answer the application. It is
    /// asked.
    Doubted {
        /// Which.
        server: Arc<Server>,
    },
    /// It is there after all.
    Trusted {
        /// Which.
        server: Arc<Server>,
    },
    /// It is gone.
    Lost {
        /// Which.
        server: Arc<Server>,
        /// Why.
        reason: Reason,
    },
}

/// Why a server is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It was not announced for as long as it said that it would be.
    Expired,
    /// It said goodbye, and nobody said otherwise.
    Left,
    /// It was doubted for another reason, and did not say that it is there.
    Silent,
    /// There was no room, and it was not established.
    Displaced,
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::Expired => "expired",
            Self::Left => "left",
            Self::Silent => "silent",
            Self::Displaced => "displaced",
        })
    }
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// It is to be asked who offers a service.
    Query,
    /// A server is late, doubted for too long, or gone.
    Server,
}

/// What happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Announcements of what is sought.
    pub announcements: u64,
    /// Goodbyes of those who were known.
    pub goodbyes: u64,
    /// Queries that were given to the embedder.
    pub queries: u64,
    /// Datagrams that are none of ours, or of a later version.
    pub foreign: u64,
    /// Datagrams that begin as ours do and are malformed.
    pub malformed: u64,
    /// Announcements of services that are not sought.
    pub unsought: u64,
    /// Announcements without one of the keys that are wanted.
    pub untrusted: u64,
    /// Announcements of no endpoint that counts.
    pub unreachable: u64,
    /// Servers that were announced under the instance of another one.
    pub contested: u64,
    /// Servers that gave way to newcomers.
    pub displaced: u64,
    /// Newcomers for which there was no room.
    pub refused: u64,
}

/// What has a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Due {
    Query(usize),
    Server(ServerId),
}

/// What the application is still to be told.
#[derive(Debug)]
enum Note {
    /// Whatever of this server was not told. Once for each server.
    About(ServerId),
    /// One that it knows of is lost.
    Lost(Arc<Server>, Reason),
}

/// Knows which servers are there.
///
/// It listens to announcements and asks for them; its datagrams go where servers may hear them. What comes from strangers
/// cannot make it fail, nor hold more than its [`Limits`] allow, nor change what is known of a server: `spec/autoconf.md` says what is promised
/// and what is not.
///
/// ```
/// use core::num::NonZeroU32;
/// use atonce::Instant;
/// use atonce::autoconf::seeker::{Config, Event, Reason, Seeker};
/// use atonce::wire::autoconf::{Announcement, Datagram, InstanceId, Offer};
///
/// let now = Instant::ZERO;
/// let config = Config { services: vec!["printing".parse()?], ..Config::default() };
/// let mut seeker = Seeker::new(now, [7; 32], config);
/// assert_eq!(seeker.poll_datagram(), Some(Datagram::Query(Some("printing".parse()?)).encode()));
///
/// let instance = InstanceId::from_bytes([7; 16]);
/// let ttl = NonZeroU32::new(45_000).expect("it is not zero");
/// let offer = Offer::new("printing".parse()?, [([192, 168, 1, 2], 50053).into()])?;
/// let announcement = Datagram::Announcement(Announcement { instance, ttl, offer });
/// seeker.handle_datagram(now, ([192, 168, 1, 2], 5674).into(), &announcement.encode());
/// assert!(matches!(seeker.poll_event(), Some(Event::Found { .. })));
///
/// // Anybody can say goodbye in its name: it is asked, and believed gone when it is silent.
/// let goodbye = Datagram::Goodbye(instance).encode();
/// seeker.handle_datagram(now, ([192, 168, 1, 66], 5674).into(), &goodbye);
/// assert!(matches!(seeker.poll_event(), Some(Event::Doubted { .. })));
/// while let Some((at, _)) = seeker.poll_timeout().filter(|(at, _)| at.as_millis() <= 2_000) {
///     seeker.handle_timeout(at);
/// }
/// assert!(matches!(seeker.poll_event(), Some(Event::Lost { reason: Reason::Left, .. })));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Seeker {
    keys: Option<BTreeSet<[u8; 32]>>,
    elsewhere: bool,
    limits: Limits,
    rng: ChaCha20Rng,
    asking: Asking,
    next: u64,
    /// In the order in which they were found.
    servers: BTreeMap<ServerId, Entry>,
    by_instance: BTreeSet<(InstanceId, ServerId)>,
    /// How many each address announces; never none.
    by_source: BTreeMap<IpAddr, usize>,
    timers: Timers<Due>,
    /// At most one about each server, and one for each that the application was told of and is lost.
    notes: VecDeque<Note>,
    counters: Counters,
}

impl Seeker {
    /// A client that knows nobody, and asks at once. `seed` is of randomness; what comes of it is when it asks.
    // AUTO-32
    pub fn new(now: Instant, seed: [u8; 32], config: Config) -> Self {
        let mut seeker = Self {
            keys: config.keys,
            elsewhere: config.elsewhere,
            limits: config.limits,
            rng: ChaCha20Rng::from_seed(seed),
            asking: Asking::new(config.services),
            next: 0,
            servers: BTreeMap::new(),
            by_instance: BTreeSet::new(),
            by_source: BTreeMap::new(),
            // Strangers name no keys of it.
            timers: Timers::new(table::no_secret()),
            notes: VecDeque::new(),
            counters: Counters::default(),
        };
        for place in seeker.asking.places() {
            seeker.ask(now, place);
        }
        seeker
    }

    // ---- commands

    /// It answered: it is established, and not doubted any more. Nothing happens when it is not known.
    // AUTO-37
    pub fn confirm(&mut self, _now: Instant, server: ServerId) {
        let Some(entry) = self.servers.get_mut(&server) else {
            return;
        };
        entry.established = true;
        if entry.doubt.take().is_some() {
            let due = entry.due();
            self.timers.set(Due::Server(server), due);
            self.note(server);
        }
    }

    /// It did not answer: it is asked, and lost when it is silent. Nothing happens when it is not known, or is doubted already.
    // AUTO-35
    pub fn doubt(&mut self, now: Instant, server: ServerId) {
        self.begin_doubt(now, server, Grounds::Silent);
    }

    /// There may be somebody who is not known yet, as on an interface that was not there before: it asks for each service at
    /// once, or half a second after it asked last.
    pub fn refresh(&mut self, now: Instant) {
        for place in self.asking.places() {
            self.look_around(now, place);
        }
    }

    // ---- inputs

    /// A datagram came from `source`, by whichever way. The zone of an address of IPv6 is that of the interface.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        match Datagram::decode(datagram) {
            // That of another client, or our own.
            Ok(Datagram::Query(_)) => {}
            Ok(Datagram::Announcement(announcement)) => self.hear(now, source, announcement),
            Ok(Datagram::Goodbye(instance)) => self.hear_goodbye(now, instance),
            // AUTO-1, AUTO-3
            Err(_) if !Datagram::is_ours(datagram) => self.counters.foreign += 1,
            Err(error) => {
                debug!(%source, %error, "malformed datagram");
                self.counters.malformed += 1;
            }
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.timers.pop_due(now) {
            match due {
                Due::Query(place) => self.ask_if_needed(now, place),
                Due::Server(server) => self.look_at(now, server),
            }
        }
    }

    // ---- outputs

    /// The next datagram to send, to all who may hear it.
    #[must_use]
    pub fn poll_datagram(&mut self) -> Option<Bytes> {
        let service = self.asking.next_owed()?;
        self.counters.queries += 1;
        Some(Datagram::Query(service).encode())
    }

    /// What happened next. Whoever takes none loses nothing that still matters: what is kept is bounded by [`Limits::servers`].
    // AUTO-40
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        while let Some(note) = self.notes.pop_front() {
            match note {
                Note::Lost(server, reason) => return Some(Event::Lost { server, reason }),
                Note::About(id) => {
                    let Some(entry) = self.servers.get_mut(&id) else {
                        continue;
                    };
                    if let Some(event) = entry.tell() {
                        // There may be more about it.
                        self.notes.push_front(Note::About(id));
                        return Some(event);
                    }
                    entry.noted = false;
                }
            }
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None`: not at all.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let (at, due) = self.timers.next()?;
        let timer = match due {
            Due::Query(_) => Timer::Query,
            Due::Server(_) => Timer::Server,
        };
        Some((at, timer))
    }

    // ---- queries

    /// All that are known: those that are in order first, and otherwise in the order in which they were found.
    // AUTO-39
    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        let which = |in_order: bool| {
            let entries = self.servers.values();
            let entries = entries.filter(move |entry| entry.is_in_order() == in_order);
            entries.map(|entry| &entry.server)
        };
        which(true).chain(which(false))
    }

    /// One that is known.
    pub fn server(&self, server: ServerId) -> Option<&Arc<Server>> {
        self.servers.get(&server).map(|entry| &entry.server)
    }

    /// Whether it is known, was heard lately, and is not doubted.
    pub fn is_in_order(&self, server: ServerId) -> bool {
        self.servers.get(&server).is_some_and(Entry::is_in_order)
    }

    /// What happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    // ---- what is heard

    fn hear(&mut self, now: Instant, source: SocketAddr, announcement: Announcement) {
        // AUTO-30
        let Some(place) = self.asking.place_of(announcement.offer.service()) else {
            self.counters.unsought += 1;
            return;
        };
        if let Some(keys) = &self.keys
            && announcement
                .offer
                .key()
                .is_none_or(|key| !keys.contains(key))
        {
            self.counters.untrusted += 1;
            return;
        }
        self.counters.announcements += 1;
        let mut rivals = Vec::new();
        for id in self.of_instance(announcement.instance) {
            match self.servers.get(&id) {
                Some(entry) if entry.is_announced_by(&announcement) => {
                    return self.hear_again(now, source, id);
                }
                Some(_) => rivals.push(id),
                None => {}
            }
        }
        self.hear_first(now, source, announcement, place, &rivals);
    }

    fn hear_again(&mut self, now: Instant, source: SocketAddr, id: ServerId) {
        let elsewhere = self.elsewhere;
        let Some(entry) = self.servers.get_mut(&id) else {
            return;
        };
        entry.hear(now);
        // AUTO-34: earlier ones may be older than the goodbye.
        let doubted = entry.doubt.is_some();
        if entry.doubt.is_some_and(|doubt| now > doubt.since + STALE) {
            entry.doubt = None;
        }
        let changed = entry.learn_zone(source, elsewhere);
        if changed || doubted && entry.doubt.is_none() {
            self.note(id);
        }
    }

    fn hear_first(
        &mut self,
        now: Instant,
        source: SocketAddr,
        announcement: Announcement,
        place: usize,
        rivals: &[ServerId],
    ) {
        let id = ServerId(self.next);
        let Some(entry) = Entry::new(
            now,
            id,
            source,
            announcement,
            place,
            self.elsewhere,
            self.limits.longest_ttl,
        ) else {
            self.counters.unreachable += 1;
            return;
        };
        if !self.make_room(now, source.ip()) {
            self.counters.refused += 1;
            return;
        }
        self.next += 1;
        debug!(%source, server = ?entry.server, "found");
        // AUTO-36
        for rival in rivals {
            if let Some(entry) = self.servers.get_mut(rival) {
                entry.contested_by = Some(source);
                self.note(*rival);
            }
        }
        if !rivals.is_empty() {
            self.counters.contested += 1;
        }
        // AUTO-35
        let claimed = self.servers.iter();
        let claimed = claimed.filter(|(_, other)| other.is_claimed_by(&entry));
        let claimed: Vec<ServerId> = claimed.map(|(id, _)| *id).collect();
        for other in claimed {
            self.begin_doubt(now, other, Grounds::Silent);
        }
        self.timers.set(Due::Server(id), entry.due());
        self.by_instance.insert((entry.server.instance, id));
        *self.by_source.entry(source.ip()).or_default() += 1;
        self.servers.insert(id, entry);
        self.note(id);
    }

    // AUTO-34
    fn hear_goodbye(&mut self, now: Instant, instance: InstanceId) {
        let known = self.of_instance(instance);
        if !known.is_empty() {
            self.counters.goodbyes += 1;
        }
        for id in known {
            self.begin_doubt(now, id, Grounds::Left);
        }
    }

    fn of_instance(&self, instance: InstanceId) -> Vec<ServerId> {
        let range = (instance, ServerId(0))..=(instance, ServerId(u64::MAX));
        self.by_instance.range(range).map(|(_, id)| *id).collect()
    }

    /// Whether there is room for one more from this address; somebody may have had to go.
    // AUTO-37
    fn make_room(&mut self, now: Instant, source: IpAddr) -> bool {
        let of_source = self.by_source.get(&source).copied().unwrap_or(0);
        let too_many_of_it = of_source >= self.limits.of_one_source;
        if !too_many_of_it && self.servers.len() < self.limits.servers {
            return true;
        }
        let displaced = self.servers.iter().find(|(_, entry)| {
            let counts = !too_many_of_it || entry.server.source.ip() == source;
            counts && !entry.established
        });
        let Some((&id, _)) = displaced else {
            return false;
        };
        self.counters.displaced += 1;
        self.lose(now, id, Reason::Displaced);
        true
    }

    // ---- doubts and ends

    fn begin_doubt(&mut self, now: Instant, id: ServerId, grounds: Grounds) {
        let Some(entry) = self.servers.get_mut(&id) else {
            return;
        };
        if entry.doubt.is_some() {
            return;
        }
        entry.doubt = Some(Doubt {
            since: now,
            until: now + DOUBT,
            grounds,
        });
        let (due, place) = (entry.due(), entry.place);
        self.timers.advance(Due::Server(id), due);
        self.note(id);
        // AUTO-34
        self.worry(now + STALE, place);
    }

    /// Its deadline has come.
    fn look_at(&mut self, now: Instant, id: ServerId) {
        let Some(entry) = self.servers.get_mut(&id) else {
            return;
        };
        if let Some(reason) = entry.is_lost(now) {
            return self.lose(now, id, reason);
        }
        // AUTO-33
        let was_late = entry.late;
        entry.late = entry.is_late(now);
        let (due, place, begins) = (entry.due(), entry.place, entry.late && !was_late);
        self.timers.set(Due::Server(id), due);
        if begins {
            self.worry(now, place);
        }
    }

    fn lose(&mut self, now: Instant, id: ServerId, reason: Reason) {
        let Some(entry) = self.servers.remove(&id) else {
            return;
        };
        debug!(server = ?entry.server, %reason, "lost");
        self.timers.cancel(Due::Server(id));
        self.by_instance.remove(&(entry.server.instance, id));
        let source = entry.server.source.ip();
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
        // AUTO-40
        if entry.noted {
            self.notes
                .retain(|note| !matches!(note, Note::About(other) if *other == id));
        }
        if entry.is_told() {
            self.notes.push_back(Note::Lost(entry.server, reason));
        }
        self.worry(now, entry.place);
    }

    /// There is something to tell about it.
    fn note(&mut self, id: ServerId) {
        if let Some(entry) = self.servers.get_mut(&id)
            && !core::mem::replace(&mut entry.noted, true)
        {
            self.notes.push_back(Note::About(id));
        }
    }

    /// What has to hold after each call.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn check_invariants(&self) {
        assert!(self.servers.len() <= self.limits.servers);
        assert_eq!(self.by_instance.len(), self.servers.len());
        let mut by_source = BTreeMap::<IpAddr, usize>::new();
        let mut about = BTreeSet::new();
        for note in &self.notes {
            if let Note::About(id) = note {
                assert!(about.insert(*id), "twice about {id:?}");
            }
        }
        for (id, entry) in &self.servers {
            assert_eq!(entry.server.id, *id);
            assert!(self.by_instance.contains(&(entry.server.instance, *id)));
            assert!(!entry.server.endpoints.is_empty());
            *by_source.entry(entry.server.source.ip()).or_default() += 1;
            let timer = self.timers.get(Due::Server(*id));
            assert!(timer.is_some_and(|at| at <= entry.due()), "{entry:?}");
            assert_eq!(about.remove(id), entry.noted, "{entry:?}");
        }
        assert!(about.is_empty(), "about nobody: {about:?}");
        assert_eq!(by_source, self.by_source);
        assert!(
            by_source
                .values()
                .all(|count| *count <= self.limits.of_one_source)
        );
        let due = self.timers.keys();
        let due = due.filter(|due| matches!(due, Due::Server(_))).count();
        assert_eq!(due, self.servers.len());
        assert!(self.notes.len() <= 2 * self.limits.servers + 1);
    }
}
