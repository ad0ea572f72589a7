//! The bridge: it shows its LAN who is on others, and them who is on its own.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Mechanism, Role, Sessions, Which, session};
use crate::curve::PublicKey;
use crate::wire::once::{Message, Reason, V2};
use crate::zre::{Event as NodeEvent, SendError};
use crate::{Frames, Instant, Peer, PeerId};

mod contacts;
mod election;
mod far;
mod holders;
mod inward;
mod locals;
mod meeting;
mod outbox;
mod outward;
mod own;
mod relaying;
mod replica;
mod shown;
mod waiting;
mod window;
mod words;

use contacts::Contacts;
use election::Election;
use far::{Far, Said};
use holders::Holders;
use inward::Delivery;
use locals::Local;
use outbox::{Address, Outboxes};
use outward::Spoken;
use own::OwnRoster;
use relaying::Relaying;
use shown::StandIns;
use waiting::Waiting;
pub use words::{Action, Config, Counters, Event, StandIn, Timer, Usage};

/// The group of the bridges that make stand-ins, one for each LAN.
const ACTIVE: &str = "X-ONCE-ACTIVE";

/// The machine of a bridge. See [the module](super).
///
/// Its embedder has the nodes: it hands over what they tell ([`handle_event`](Self::handle_event), as long as it is
/// [wanted](Self::wants)), does one [`Action`] after the other, and says when a node refused one before it asks for the next.
///
/// Here are two bridges without any nodes: the example tells each of them of the other and of somebody on its LAN, and carries what they
/// whisper to each other.
///
/// ```
/// use atonce::once::bridge::{Action, Config};
/// use atonce::once::{Bridge, Limits, Mechanism, Role, Roles, Which};
/// use atonce::wire::Headers;
/// use atonce::{Event, Instant, Peer, PeerId};
/// use std::sync::Arc;
///
/// let peer = |octet: u8, name: &str, headers| {
///     let id = PeerId::from_bytes([octet; 16]);
///     let (name, endpoint) = (name.try_into()?, "tcp://10.0.0.7:49152".try_into()?);
///     Ok::<_, atonce::wire::TooLong>(Arc::new(Peer { id, name, endpoint, headers }))
/// };
/// let mut declared = Headers::new();
/// Roles { role: Role::Bridge, beacon: None, relay: false }.put(&mut declared);
///
/// let mut bridges = Vec::new();
/// for (octet, client) in [(0xB0, "alice"), (0xB1, "bob")] {
///     let config = Config {
///         id: PeerId::from_bytes([octet; 16]),
///         key: None,
///         local_key: None,
///         mechanisms: vec![Mechanism::Open],
///         hidden: Default::default(),
///         limits: Limits::default(),
///     };
///     let mut bridge = Bridge::new(Instant::ZERO, [octet; 32], config);
///     let client = peer(octet - 0xA0, client, Headers::new())?;
///     bridge.handle_event(Instant::ZERO, Which::Local, Event::Enter { peer: client }, None);
///     bridges.push((bridge, peer(octet, "bridge", declared.clone())?));
/// }
///
/// // Nobody else is there, so that each may make stand-ins on its LAN.
/// let now = Instant::from_millis(4_000);
/// for (bridge, _) in &mut bridges {
///     bridge.handle_timeout(now);
///     assert!(bridge.is_active());
/// }
/// let others = [bridges[1].1.clone(), bridges[0].1.clone()];
/// for ((bridge, _), other) in bridges.iter_mut().zip(others) {
///     bridge.handle_event(now, Which::Remote, Event::Enter { peer: other }, None);
/// }
///
/// let mut started = Vec::new();
/// let mut me = 0;
/// let mut quiet = false;
/// loop {
///     let Some(action) = bridges[me].0.poll_action() else {
///         if quiet {
///             break;
///         }
///         // Now the other one, until neither has anything to do.
///         (me, quiet) = (1 - me, true);
///         continue;
///     };
///     quiet = false;
///     match action {
///         Action::Whisper { node: Which::Remote, content, .. } => {
///             let peer = bridges[me].1.clone();
///             let event = Event::Whisper { peer, content };
///             bridges[1 - me].0.handle_event(now, Which::Remote, event, None);
///         }
///         Action::Start(stand_in) => started.push((me, stand_in.name.to_str_lossy().into_owned())),
///         other => println!("not needed here: {other:?}"),
///     }
/// }
/// started.sort();
/// assert_eq!(started, [(0, "bob".to_owned()), (1, "alice".to_owned())]);
/// # Ok::<(), atonce::wire::TooLong>(())
/// ```
pub struct Bridge {
    config: Config,
    rng: ChaCha20Rng,
    /// With those that the remote node knows.
    remote: Sessions,
    /// With those that the local node knows: the other bridges of this LAN.
    local: Sessions,
    /// Servers and bridges that are peers of the two nodes.
    declared: BTreeMap<Address, Declared>,
    outboxes: Outboxes,
    own: OwnRoster,
    /// The peers of the local node, but for servers, bridges and stand-ins.
    locals: BTreeMap<PeerId, Local>,
    /// Those of them that exited at the local node, and when that is so for all.
    leaving: BTreeSet<(Instant, PeerId)>,
    /// Of them, those that may be told and are not, for lack of room.
    unlisted: usize,
    fars: BTreeMap<PeerId, Far>,
    /// Above which numbers begin for a bridge of which nothing is known.
    numbers: u64,
    losses: u64,
    holders: Holders,
    stand_ins: StandIns,
    /// For a peer of this LAN, from a stand-in.
    inward: Waiting<(PeerId, PeerId), Delivery>,
    /// From a peer that the local node does not know yet.
    outward: Waiting<PeerId, Spoken>,
    election: Election,
    contacts: Contacts,
    relaying: Relaying,
    steps: VecDeque<Step>,
    /// What the last action was about.
    in_hand: InHand,
    events: VecDeque<Event>,
    counters: Counters,
    stopped: bool,
}

/// A server or bridge that is a peer of one of the nodes.
#[derive(Debug)]
struct Declared {
    peer: Arc<Peer>,
    role: Role,
    proved: bool,
}

/// For how many things to do there always is room.
const FEW_STEPS: usize = 64;

/// What is to be done.
#[derive(Debug)]
enum Step {
    Act(Action),
    Deliver(Delivery),
}

/// What an action was about that a node may refuse.
#[derive(Debug)]
enum InHand {
    Nothing,
    /// Something for a server or bridge.
    Outgoing(Option<Said>),
    /// Something for a peer of this LAN.
    Delivery(Delivery),
}

impl Bridge {
    /// A bridge that knows nobody. `seed` must be of the best randomness that there is, and used for nothing else.
    pub fn new(now: Instant, seed: [u8; 32], config: Config) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut sessions = |key, mechanisms| {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            let config = session::Config {
                id: config.id,
                key,
                role: Role::Bridge,
                mechanisms,
                limits: config.limits.clone(),
            };
            Sessions::new(seed, config)
        };
        let remote = sessions(config.key, config.mechanisms.clone());
        let local = sessions(config.local_key, on_the_lan(&config));
        // ONCE-80
        let epoch = rng.next_u64().max(1);
        let limits = &config.limits;
        let mut bridge = Self {
            remote,
            local,
            declared: BTreeMap::new(),
            outboxes: Outboxes::default(),
            own: OwnRoster::new(epoch, limits),
            locals: BTreeMap::new(),
            leaving: BTreeSet::new(),
            unlisted: 0,
            fars: BTreeMap::new(),
            numbers: 0,
            losses: 0,
            holders: Holders::default(),
            stand_ins: StandIns::new(limits.stand_ins),
            inward: Waiting::new(limits.waiting, limits.waiting_octets),
            outward: Waiting::new(limits.waiting, limits.waiting_octets),
            election: Election::default(),
            contacts: Contacts::default(),
            relaying: Relaying::default(),
            steps: VecDeque::new(),
            in_hand: InHand::Nothing,
            events: VecDeque::new(),
            counters: Counters::default(),
            stopped: false,
            rng,
            config,
        };
        bridge.look_around(now);
        bridge
    }

    /// Something happened at one of its nodes; `key` is that of the peer that the event is about, which a secure node has in
    /// [`PeerView::key`](crate::zre::PeerView).
    pub fn handle_event(
        &mut self,
        now: Instant,
        node: Which,
        event: NodeEvent,
        key: Option<PublicKey>,
    ) {
        if self.stopped {
            return;
        }
        self.wakes(now);
        match node {
            Which::Remote => self.handle_node(now, node, event, key),
            Which::Local => {
                self.handle_lan(now, &event, key);
                self.handle_node(now, node, event, key);
            }
            Which::StandIn(id) => self.handle_stand_in(now, id, event),
        }
        self.settle(now);
    }

    /// A node refused what an [`Action::Whisper`] or [`Action::ShoutTo`] was about, which was the last action that was asked for.
    pub fn handle_unsent(
        &mut self,
        now: Instant,
        node: Which,
        peer: PeerId,
        content: Frames,
        error: SendError,
    ) {
        let in_hand = core::mem::replace(&mut self.in_hand, InHand::Nothing);
        match (node, in_hand) {
            (Which::StandIn(_), InHand::Delivery(delivery)) => {
                // ONCE-102
                self.counters.delivered = self.counters.delivered.saturating_sub(1);
                let reason = match error {
                    SendError::Full => Reason::FULL,
                    SendError::TooLarge { .. } => Reason::TOO_LARGE,
                    SendError::Stopped => Reason::LOST,
                    // Gone, or not in the group any more.
                    _ => Reason::UNKNOWN,
                };
                self.undelivered(&delivery, reason);
            }
            (Which::StandIn(_), _) => {}
            (_, in_hand) => {
                let sent = content.octets() as u64;
                self.counters.octets_sent = self.counters.octets_sent.saturating_sub(sent);
                let said = match in_hand {
                    InHand::Outgoing(said) => said,
                    _ => None,
                };
                self.not_taken(now, (node, peer), content, error, said);
            }
        }
        self.settle(now);
    }

    /// A stand-in could not be started, for lack of what the machine has. It is tried again when another one ends, or after 10 s.
    pub fn handle_not_started(&mut self, now: Instant, stand_in: PeerId) {
        self.lacks(now, stand_in);
        self.settle(now);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.outboxes.handle_timeout(now);
        if !self.stopped {
            self.wakes(now);
            self.remote.handle_timeout(now);
            self.local.handle_timeout(now);
            self.forget_leaving(now);
            self.stop_waiting(now);
            self.elect(now);
            self.try_again(now);
            self.ask_for_relays(now);
        }
        self.settle(now);
    }

    /// Says goodbye to servers and bridges, and ends all stand-ins. The nodes are to be stopped when all actions are done.
    pub fn stop(&mut self, now: Instant) {
        // ONCE-119
        self.remote.stop(now);
        self.local.stop(now);
        self.settle(now);
        self.end_stand_ins(true);
        self.lose_all();
        self.stopped = true;
    }

    /// Whether events of this node are wanted now. While they are not, they stay where they are, so that those who talk to it are
    /// held back.
    #[must_use]
    pub fn wants(&self, node: Which) -> bool {
        match node {
            Which::Remote | Which::Local => true,
            // ONCE-102
            Which::StandIn(id) => self.stand_ins.get(id).is_none_or(|shown| {
                let bridge = shown.claim.bridge;
                let waits = self.fars.get(&bridge).map_or(0, Far::octets);
                !self.outboxes.holds((Which::Remote, bridge))
                    && waits < self.config.limits.waiting_octets
            }),
        }
    }

    /// The next thing to do, in order.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.in_hand = InHand::Nothing;
        match self.steps.pop_front() {
            Some(Step::Act(action)) => return Some(action),
            Some(Step::Deliver(delivery)) => {
                self.counters.delivered += 1;
                let action = delivery.action();
                self.in_hand = InHand::Delivery(delivery);
                return Some(action);
            }
            // Where there are many, a bridge that becomes active introduces each to each of its LAN: that needs room once.
            None => self.steps.shrink_to(FEW_STEPS),
        }
        while let Some((node, peer)) = self.outboxes.ready() {
            let Some((content, said)) = self.next_for((node, peer)) else {
                self.outboxes.rest((node, peer));
                continue;
            };
            self.counters.octets_sent += content.octets() as u64;
            self.in_hand = InHand::Outgoing(said);
            return Some(Action::Whisper {
                node,
                peer,
                content,
            });
        }
        None
    }

    /// The next thing to tell.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let retry = self.outboxes.poll_timeout();
        if self.stopped {
            return retry.map(|at| (at, Timer::Retry));
        }
        [
            (self.remote.poll_timeout(), Timer::Session),
            (self.local.poll_timeout(), Timer::Session),
            (self.election.poll_timeout(), Timer::Election),
            (retry, Timer::Retry),
            (self.stand_ins.poll_timeout(), Timer::Retry),
            (self.inward.poll_timeout(), Timer::Waiting),
            (self.outward.poll_timeout(), Timer::Waiting),
            (self.leaving.first().map(|(at, _)| *at), Timer::Waiting),
            (self.relaying.poll_timeout(), Timer::Relay),
        ]
        .into_iter()
        .filter_map(|(at, timer)| Some((at?, timer)))
        .min_by_key(|(at, _)| *at)
    }

    /// Whether it makes stand-ins, and tells others who is on its LAN.
    pub const fn is_active(&self) -> bool {
        self.election.is_active()
    }

    /// What happened so far, in numbers.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// What it holds now, to be watched or shown. Takes time in proportion to the bridges that it knows.
    pub fn usage(&self) -> Usage {
        let far_octets: usize = self.fars.values().map(Far::octets).sum();
        Usage {
            met: self.remote.proved().count(),
            roster: self.own.len(),
            far_peers: self.fars.values().map(|far| far.replica.len()).sum(),
            stand_ins: self.stand_ins.len(),
            without_stand_in: self.stand_ins.without(),
            waiting_octets: far_octets + self.inward.octets() + self.outward.octets(),
        }
    }

    /// Takes what the sessions want and tell, until there is nothing more.
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some((peer, output)) = self.remote.poll_output() {
                self.handle_output(now, (Which::Remote, peer), output);
            } else if let Some((peer, output)) = self.local.poll_output() {
                self.handle_output(now, (Which::Local, peer), output);
            } else if self.relaying.is_stale() {
                self.review_missing(now);
            } else {
                return;
            }
        }
    }

    /// What is next for a server or a bridge, and who said it when it is a whisper or shout.
    fn next_for(&mut self, to: Address) -> Option<(Frames, Option<Said>)> {
        let first = self.outboxes.pop(to);
        if first.is_some() {
            return first;
        }
        let (Which::Remote, id) = to else { return None };
        let far = self.fars.get_mut(&id).filter(|far| far.live)?;
        let next = far.next(&mut self.own);
        for from in far.take_unsaid() {
            self.was_undeliverable(from, id, Reason::LOST);
        }
        next.map(|next| (next.frames, next.said))
    }

    /// Something is to be said to a server or a bridge.
    fn say(&mut self, to: Address, message: V2) {
        let _fits = self.outboxes.push(to, Message::from(message).encode());
    }

    fn act(&mut self, action: Action) {
        self.steps.push_back(Step::Act(action));
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// There is something new in our roster, or for one bridge.
    fn wake_all(&mut self) {
        for (id, far) in &self.fars {
            if far.live && far.has_next(&self.own) {
                self.outboxes.wake((Which::Remote, *id));
            }
        }
    }
}

/// How bridges of this LAN prove to each other that they may take part.
fn on_the_lan(config: &Config) -> Vec<Mechanism> {
    let mut mechanisms = config.mechanisms.clone();
    if config.local_key.is_none() {
        // ONCE-110: two that never could prove it would both be active for good.
        mechanisms.retain(|mechanism| !mechanism.is_of_keys());
        if mechanisms.is_empty() && !config.mechanisms.is_empty() {
            mechanisms.push(Mechanism::Open);
        }
    }
    mechanisms
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("id", &self.config.id)
            .field("active", &self.is_active())
            .field("usage", &self.usage())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Bridge {
    /// What holds between any two inputs.
    pub(crate) fn check(&self) {
        self.remote.check();
        self.local.check();
        self.own.check();
        self.stand_ins.check();
        assert!(self.fars.len() <= self.config.limits.bridges);
        for (id, far) in &self.fars {
            far.check();
            let declared = self.declared.get(&(Which::Remote, *id));
            assert_eq!(far.live, declared.is_some_and(|it| it.proved));
        }
        let listed = self.locals.iter().filter(|(_, it)| it.since.is_some());
        assert!(listed.clone().all(|(id, _)| self.own.contains(*id)));
        assert_eq!(listed.count(), self.own.len());
        let leaving = self.locals.values().filter(|it| !it.is_here());
        assert_eq!(leaving.count(), self.leaving.len());
        for id in self.stand_ins.ids() {
            let Some(shown) = self.stand_ins.get(id) else {
                continue;
            };
            let holder = self.holder(id);
            let is_right =
                holder == Some(shown.claim.bridge) || (shown.leaving && holder.is_none());
            assert!(self.stopped || is_right, "{id}");
            assert!(!shown.leaving || self.is_waited_for(id), "{id}");
        }
        assert!(self.is_active() || (self.own.len() == 0 && self.stand_ins.len() == 0));
    }
}
