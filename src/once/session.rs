//! Sessions: who of those who are there has proved that it may take part. Servers and bridges have the same.
//!
//! One exchange proves both sides to each other: the challenger says CHALLENGE, the answerer AUTHENTICATE, the challenger OK. A
//! server challenges bridges; of two bridges the one with the lower identity does; two servers have nothing to say to each other.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Limits, Mechanism, Role, Roles};
use crate::curve::PublicKey;
use crate::table;
use crate::timers::Timers;
use crate::wire::once::{Code, Message, Party, Side, V1, V2};
use crate::{Frames, Instant, Peer, PeerId};

mod allowance;
mod one;

use one::Session;

/// The ids of the messages that sessions are made of, and of those that they are not.
mod id {
    pub(super) const NONE: u8 = 0;
    pub(super) const CHALLENGE: u8 = 0x10;
    pub(super) const AUTHENTICATE: u8 = 0x11;
    pub(super) const OK: u8 = 0x12;
    pub(super) const STOP: u8 = 0x14;

    /// Whether it is a message of sessions.
    pub(super) const fn is_of_sessions(id: u8) -> bool {
        matches!(id, CHALLENGE..=STOP)
    }
}

/// What sessions are told of the node that has them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity of the node.
    pub id: PeerId,
    /// Its key, when it is secure.
    pub key: Option<PublicKey>,
    /// What it is.
    pub role: Role,
    /// How it proves that it may take part, and takes such proofs, the best one first. Several secrets are good while one takes
    /// the place of another: the first of them is the one that this side proves.
    pub mechanisms: Vec<Mechanism>,
    /// What others may cost: `bridges` and the `proof_…` are looked at here.
    pub limits: Limits,
}

/// What a session wants done or tells, of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// The node is to whisper this to the peer. When it refuses, answer with [`Sessions::handle_unsent`].
    Send(V2),
    /// The peer may take part from now on; what is sent from here on comes behind OK. Not told of renewals.
    Proved {
        /// What it proved.
        mechanism: &'static str,
    },
    /// The peer may not take part any more. It comes only after [`Proved`](Self::Proved), and not when the peer exits.
    Over {
        /// Whether it said, and proved, that it leaves; otherwise its proof was not renewed in time, or it says that it does not take
        /// ours.
        stopped: bool,
    },
    /// Something was refused. What had been proved stays so, unless [`Over`](Self::Over) is told as well.
    Refused {
        /// Why.
        code: Code,
        /// Whether it is we who were refused.
        us: bool,
    },
}

/// What a peer said, as far as it is not a matter of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// Nothing: it is no message of @Once, or sessions dealt with it.
    Nothing,
    /// Something of version 1, from whomever. See [`Sessions::may_answer`].
    V1(V1),
    /// Something of version 2 from a peer that has proved that it may take part. A NOPE is about something else than sessions.
    V2(V2),
}

/// The sessions of a node with all its peers.
///
/// ```
/// use atonce::once::session::{Config, Heard, Output, Sessions};
/// use atonce::once::{Limits, Mechanism, Role, Roles, Secret};
/// use atonce::wire::Headers;
/// use atonce::wire::once::{Message, V2};
/// use atonce::{Instant, Peer, PeerId};
///
/// let now = Instant::ZERO;
/// let made = |octet: u8, role: Role| {
///     let mut headers = Headers::new();
///     Roles { role, beacon: None, relay: false }.put(&mut headers);
///     let id = PeerId::from_bytes([octet; 16]);
///     let config = Config {
///         id,
///         key: None,
///         role,
///         mechanisms: vec![Mechanism::Secret(Secret::new("of all of us")?)],
///         limits: Limits::default(),
///     };
///     // In earnest from the operating system, and used for nothing else.
///     let sessions = Sessions::new([octet; 32], config);
///     let name = "somebody".try_into().expect("short");
///     let endpoint = "tcp://10.0.0.7:49152".try_into().expect("short");
///     Ok::<_, atonce::once::EmptySecret>((sessions, Peer { id, name, endpoint, headers }))
/// };
/// let mut both = [made(1, Role::Server)?, made(2, Role::Bridge)?];
///
/// // Each node tells that the other is there, and then carries what they say.
/// for me in [0, 1] {
///     let other = both[1 - me].1.clone();
///     both[me].0.handle_entered(now, &other, None);
/// }
/// let mut told = Vec::new();
/// for me in [0, 1, 0, 1] {
///     while let Some((_, output)) = both[me].0.poll_output() {
///         let Output::Send(message) = output else {
///             told.push((me, output));
///             continue;
///         };
///         let sender = both[me].1.clone();
///         let content = Message::from(message).encode();
///         let heard = both[1 - me].0.handle_whisper(now, &sender, None, content);
///         assert_eq!(heard, Heard::Nothing);
///     }
/// }
/// let proved = || Output::Proved { mechanism: "SECRET" };
/// assert_eq!(told, [(0, proved()), (1, proved())]);
/// # Ok::<(), atonce::once::EmptySecret>(())
/// ```
#[derive(Debug)]
pub struct Sessions {
    own: Config,
    rng: ChaCha20Rng,
    peers: BTreeMap<PeerId, Session>,
    timers: Timers<PeerId>,
    outputs: VecDeque<(PeerId, Output)>,
    /// How many sessions there were.
    count: u64,
    stopped: bool,
}

/// What a session does with one input.
struct Turn<'a> {
    now: Instant,
    peer: PeerId,
    own: &'a Config,
    rng: &'a mut ChaCha20Rng,
    outputs: &'a mut VecDeque<(PeerId, Output)>,
}

impl Turn<'_> {
    fn output(&mut self, output: Output) {
        self.outputs.push_back((self.peer, output));
    }

    fn send(&mut self, message: V2) {
        self.output(Output::Send(message));
    }

    fn nope(&mut self, about: u8, code: Code) {
        self.send(V2::Nope(super::nope(about, code)));
    }

    /// Tells that somebody was refused.
    fn refused(&mut self, code: Code, us: bool) {
        self.output(Output::Refused { code, us });
    }

    fn nonce(&mut self) -> [u8; 32] {
        let mut nonce = [0; 32];
        self.rng.fill_bytes(&mut nonce);
        nonce
    }
}

impl Config {
    fn party(&self) -> Party {
        party(self.id, self.key)
    }

    /// On which side of a session with that peer this one is.
    fn side(&self, peer: PeerId, role: Role) -> Option<Side> {
        // ONCE-63
        match (self.role, role) {
            (Role::Server, Role::Server) => None,
            (Role::Server, Role::Bridge) => Some(Side::Challenger),
            (Role::Bridge, Role::Server) => Some(Side::Answerer),
            (Role::Bridge, Role::Bridge) if self.id == peer => None,
            (Role::Bridge, Role::Bridge) if self.id < peer => Some(Side::Challenger),
            (Role::Bridge, Role::Bridge) => Some(Side::Answerer),
        }
    }
}

fn party(uuid: PeerId, key: Option<PublicKey>) -> Party {
    Party {
        uuid,
        key: key.map(|key| *key.as_bytes()),
    }
}

impl Sessions {
    /// Sessions with nobody. `seed` must be of the best randomness that there is, and used for nothing else: whoever knows it
    /// foresees what proofs are over.
    pub fn new(seed: [u8; 32], config: Config) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let seeds = [(); 4].map(|()| rng.next_u64());
        let [one, two, three, four] = seeds;
        Self {
            own: config,
            rng,
            peers: BTreeMap::new(),
            // Strangers name what is in it.
            timers: Timers::new(table::Secret::with_seeds(one, two, three, four)),
            outputs: VecDeque::new(),
            count: 0,
            stopped: false,
        }
    }

    /// A peer entered, over a link that proved this key. Nothing is kept of one that is neither server nor bridge.
    pub fn handle_entered(&mut self, now: Instant, peer: &Peer, key: Option<PublicKey>) {
        if self.stopped {
            return;
        }
        // ONCE-69
        let remembered = self.peers.get(&peer.id);
        if remembered.is_some_and(|session| session.is_remembered(key)) {
            self.with(now, peer.id, Session::come_back);
            return;
        }
        self.forget(peer.id);
        if self.side_of(peer).is_some() && !self.make_room(now, peer, key) {
            // ONCE-68: it says so once, and nothing is kept.
            let mut turn = self.turn(now, peer.id);
            turn.nope(id::NONE, Code::BUSY);
            turn.refused(Code::BUSY, false);
        }
    }

    /// A peer exited. What it proved is over; that is not told.
    pub fn handle_exited(&mut self, now: Instant, peer: PeerId) {
        let stays = self
            .peers
            .get_mut(&peer)
            .is_some_and(|session| session.exit(now));
        if stays {
            self.set_timer(now, peer);
        } else {
            self.forget(peer);
        }
    }

    /// A peer whispered something; `key` is the one that its link proved.
    ///
    /// What it is to others comes back; what has to be said or told because of it comes with [`poll_output`](Self::poll_output).
    pub fn handle_whisper(
        &mut self,
        now: Instant,
        peer: &Peer,
        key: Option<PublicKey>,
        content: Frames,
    ) -> Heard {
        // ONCE-52: what is no message of @Once is somebody else's.
        if self.stopped || !Message::is_once(&content) {
            return Heard::Nothing;
        }
        // ONCE-68: beyond the limit nobody is answered, since nobody would count how often.
        if !self.make_room(now, peer, key) {
            return Heard::Nothing;
        }
        self.with(now, peer.id, |session, turn| session.hear(turn, content))
            .unwrap_or(Heard::Nothing)
    }

    /// The node refused to whisper what [`Output::Send`] was about, and the peer is still there. The session goes on as if it had been
    /// lost; other messages than those of sessions are none of its business.
    pub fn handle_unsent(&mut self, now: Instant, peer: PeerId, content: &Frames) {
        let id = content
            .first()
            .filter(|_| Message::is_once(content))
            .and_then(|frame| frame.get(2).copied());
        if let Some(id) = id.filter(|_| !self.stopped) {
            self.with(now, peer, |session, turn| session.unsent(turn, id));
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(peer) = self.timers.pop_due(now) {
            let over = self.with(now, peer, Session::is_due);
            if over == Some(true) {
                self.forget(peer);
            }
        }
    }

    /// Tells those with whom something was proved that this node leaves, and proves it. Nothing is heard or said any more.
    pub fn stop(&mut self, now: Instant) {
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.with(now, peer, Session::stop);
        }
        self.stopped = true;
        self.peers.clear();
        self.timers.clear();
    }

    /// Refuses something that a peer said: with NOPE, and [`Output::Refused`]. Not more often than is good; then nothing is said.
    pub fn refuse(&mut self, now: Instant, peer: PeerId, about: u8, code: Code) {
        self.with(now, peer, |session, turn| {
            session.offence(turn, about, code);
        });
    }

    /// Whether a peer may be answered that has not proved anything; asking counts as an answer.
    ///
    /// Ten answers at once, and then one each second: whoever asks more often is not to cost more.
    pub fn may_answer(&mut self, now: Instant, peer: PeerId) -> bool {
        // ONCE-67
        self.peers
            .get_mut(&peer)
            .is_some_and(|session| session.may_answer(now))
    }

    /// The next thing to do or to tell, and of which peer, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<(PeerId, Output)> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.earliest()
    }

    /// What a peer has proved that may take part; `None` when it may not.
    pub fn mechanism(&self, peer: PeerId) -> Option<&'static str> {
        let session = self.peers.get(&peer)?;
        session.mechanism(&self.own)
    }

    /// Those who may take part, sorted by identity.
    pub fn proved(&self) -> impl Iterator<Item = PeerId> {
        let proved = self.peers.iter();
        proved.filter_map(|(peer, session)| session.is_proved().then_some(*peer))
    }

    /// How many peers something is kept of: at most [`Limits::bridges`].
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether nothing is kept of anybody.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// What this node is told it is.
    pub const fn config(&self) -> &Config {
        &self.own
    }

    fn side_of(&self, peer: &Peer) -> Option<Side> {
        let roles = Roles::of(&peer.headers)?;
        self.own.side(peer.id, roles.role)
    }

    /// Whether something is kept of a peer now.
    fn make_room(&mut self, now: Instant, peer: &Peer, key: Option<PublicKey>) -> bool {
        if self.peers.contains_key(&peer.id) {
            return true;
        }
        let side = self.side_of(peer);
        // ONCE-68
        if self.peers.len() >= self.own.limits.bridges {
            let unproved = self.peers.iter().filter(|(_, other)| !other.is_proved());
            let oldest = unproved.min_by_key(|(_, other)| other.worth());
            let oldest = oldest.map(|(other, session)| (*other, session.has_begun()));
            match oldest {
                // Who is nobody takes no place of somebody.
                None => return false,
                Some((_, true)) if side.is_none() => return false,
                Some((other, begun)) => {
                    self.forget(other);
                    if begun {
                        let mut turn = self.turn(now, other);
                        turn.nope(id::NONE, Code::BUSY);
                        turn.refused(Code::BUSY, false);
                    }
                }
            }
        }
        self.count += 1;
        let session = Session::new(now, self.count, side, key);
        self.peers.insert(peer.id, session);
        self.with(now, peer.id, Session::begin);
        true
    }

    fn turn(&mut self, now: Instant, peer: PeerId) -> Turn<'_> {
        Turn {
            now,
            peer,
            own: &self.own,
            rng: &mut self.rng,
            outputs: &mut self.outputs,
        }
    }

    /// Does something with a session, and looks when it is due then.
    fn with<T>(
        &mut self,
        now: Instant,
        peer: PeerId,
        act: impl FnOnce(&mut Session, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let session = self.peers.get_mut(&peer)?;
        let mut turn = Turn {
            now,
            peer,
            own: &self.own,
            rng: &mut self.rng,
            outputs: &mut self.outputs,
        };
        let result = act(session, &mut turn);
        self.set_timer(now, peer);
        Some(result)
    }

    fn set_timer(&mut self, now: Instant, peer: PeerId) {
        let due = self.peers.get(&peer).and_then(Session::deadline);
        match due {
            // Time passes between two of them, whatever the limits say.
            Some(at) => self.timers.set(peer, at.max(now + one::LEAST)),
            None => self.timers.cancel(peer),
        }
    }

    fn forget(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
        self.timers.cancel(peer);
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Sessions {
    /// What holds between any two inputs.
    pub(crate) fn check(&self) {
        assert!(self.peers.len() <= self.own.limits.bridges);
        for peer in self.timers.keys() {
            assert!(self.peers.contains_key(&peer), "a timer of {peer}");
        }
        for (peer, session) in &self.peers {
            session.check();
            assert_eq!(
                self.timers.get(*peer).is_some(),
                session.deadline().is_some()
            );
        }
    }
}
