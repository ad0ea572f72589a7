//! Gossip beside a node: it publishes where the node is, and tells the node where others are.
//!
//! The participant is a machine of the core ([`atonce::gossip`]); here are its sockets, a ROUTER where others come and a DEALER for each
//! hub, and what ties it to the node: tuples of others are hints to it, and who is here as a peer keeps a tuple alive.

mod hubs;
mod place;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atonce::curve::KeyPair;
use atonce::endpoint as node;
use atonce::gossip::{Action, Config, Event as Gossiped, Gossip, Neighbour, RemoteId, Unsent};
use atonce::socket::{self, Backoff, Endpoint, Event as Happened, Kind, SendError};
use atonce::wire::gossip::{Key, Value};
use atonce::zre::Event;
use atonce::{Frames, Instant, LinkId, PeerId, Stack};

use self::place::Places;
use super::aside::{Around, Begin, Companion, SocketId};
use super::random_seed;
use crate::gossip::{GossipOptions, Remote as Hub};
use crate::socket::{SocketError, SocketOptions};
use crate::{Contact, Options, StartError, Trust};

/// Messages that are taken of one socket before others have their turn.
const MESSAGES: usize = 256;

/// A hub that is gone is dialled again in this time at the latest: tuples that change meanwhile are missed by as long.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The largest message of a stranger, in octets: a key, a value, and what is around them.
const MESSAGE_OCTETS: usize = 8 * 1024;

/// Who is not here so long after a tuple was heard is perhaps not there any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// With what a node takes part in gossip, from its beginning or later.
#[derive(Clone, Debug)]
pub(super) struct Means {
    /// The node's own, in a secure network.
    keys: Option<Arc<KeyPair>>,
    trust: Option<Trust>,
    /// How long what was said may take to leave at the end.
    linger: Duration,
}

/// See [the module](self).
#[derive(Debug)]
pub(crate) struct GossipAside {
    gossip: Gossip,
    means: Means,
    /// Under which tuples name the node.
    key: Key,
    places: Places,
    /// Where others come; `None` when nobody is to.
    router: Option<SocketId>,
    remotes: Vec<Remote>,
    /// Tuples whose peers are not here, and since when.
    missing: BTreeMap<PeerId, Missing>,
    missing_due: Option<Instant>,
    /// Messages were left for the next turn.
    more: bool,
}

#[derive(Debug)]
struct Remote {
    id: RemoteId,
    socket: SocketId,
    hub: Hub,
    /// The link over which it is reached now.
    link: Option<LinkId>,
}

#[derive(Debug)]
struct Missing {
    key: Key,
    since: Instant,
    doubted: bool,
}

/// Makes gossip beside a node.
pub(super) fn begin(means: Means, options: GossipOptions) -> Begin {
    Box::new(move |now, around| {
        let gossip = GossipAside::begin(now, means, &options, around);
        let gossip = gossip.map_err(|source| StartError::Beside {
            what: "gossip",
            source,
        })?;
        Ok(Box::new(gossip) as Box<dyn Companion>)
    })
}

impl Means {
    pub(super) fn of(options: &Options) -> Self {
        let curve = options.config.curve.as_ref();
        Self {
            keys: curve.map(|curve| curve.keys.clone()),
            trust: options.trust.clone(),
            linger: options.config.limits.linger,
        }
    }

    const fn is_secure(&self) -> bool {
        self.keys.is_some()
    }

    fn socket(&self, kind: Kind, binds: Vec<Endpoint>, hub: Option<&Hub>) -> SocketOptions {
        let mut config = socket::Config {
            linger: self.linger,
            reconnect: Backoff {
                longest: LONGEST_PAUSE,
                ..Backoff::default()
            },
            // Whoever comes back is told everything anew.
            immediate: true,
            ..socket::Config::default()
        };
        config.limits.frame_octets = MESSAGE_OCTETS;
        config.limits.message_octets = MESSAGE_OCTETS;
        config.limits.message_frames = 4;
        config.security = match (&self.keys, hub.map(|hub| hub.key)) {
            (Some(keys), None) => socket::Security::CurveServer {
                keys: Arc::clone(keys),
            },
            (Some(keys), Some(Some(server))) => socket::Security::CurveClient {
                keys: Arc::clone(keys),
                server,
            },
            _ => socket::Security::Null,
        };
        SocketOptions {
            kind,
            config,
            trust: self.trust.clone().filter(|_| hub.is_none()),
            passwords: None,
            binds,
            connects: hub.map(|hub| hub.endpoint.clone()).into_iter().collect(),
            subscriptions: Vec::new(),
            seed: None,
        }
    }
}

impl GossipAside {
    fn begin(
        now: Instant,
        means: Means,
        options: &GossipOptions,
        around: &mut Around<'_>,
    ) -> Result<Self, SocketError> {
        // Another seed than the node's, of which it would be known.
        let seed = random_seed().map_err(|source| SocketError::System {
            what: "random octets",
            source,
        })?;
        let GossipOptions { binds, remotes } = options;
        let router = match binds.as_slice() {
            [] => None,
            some => Some(around.open(means.socket(Kind::Router, some.to_vec(), None))?),
        };
        let own = around.stack.id().to_string();
        let mut aside = Self {
            gossip: Gossip::new(now, *seed, Config::default()),
            means,
            // 32 digits are a key.
            key: own.parse().map_err(|_| SocketError::Closed)?,
            places: Places::new(binds),
            router,
            remotes: Vec::new(),
            missing: BTreeMap::new(),
            missing_due: None,
            more: false,
        };
        for hub in remotes {
            aside.connect(now, hub, around)?;
        }
        if !aside.waits() {
            aside.publish(now, around.stack);
        }
        Ok(aside)
    }

    /// Where it is listened for others, with the ports that the system chose.
    pub(crate) fn endpoints(&self, around: &mut Around<'_>) -> Vec<Endpoint> {
        let router = self.router.and_then(|router| around.socket(router));
        let router = router.map(|router| &*router);
        let endpoints = router.map(|router| router.socket().endpoints());
        let endpoints = endpoints.into_iter().flatten();
        endpoints.map(|(_, endpoint)| endpoint.clone()).collect()
    }

    /// The tuples that hold, ours among them.
    pub(crate) fn tuples(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.gossip.tuples()
    }

    // ---- our own tuple

    /// Whether it is too early to say where the node is: there is nobody to tell, and who will be told decides what.
    // ZRE-156
    const fn waits(&self) -> bool {
        self.router.is_none() && self.places.is_to_wait()
    }

    /// Says where the node is, or that it is nowhere any more, if that is news.
    // ZRE-156
    fn publish(&mut self, now: Instant, stack: &Stack) {
        let endpoint = self.places.choose(stack);
        let value = endpoint.and_then(|endpoint| {
            let value = match &self.means.keys {
                Some(keys) => format!("{endpoint}|{}", keys.public()),
                None => endpoint.to_string(),
            };
            value.parse::<Value>().ok()
        });
        let before = self
            .gossip
            .published()
            .next()
            .map(|(_, value)| value.clone());
        if value == before {
            return;
        }
        match value {
            Some(value) => {
                tracing::debug!(%value, "publishing");
                if let Err(error) = self.gossip.publish(now, self.key.clone(), value) {
                    tracing::warn!(%error, "nobody is told by gossip where this node is");
                }
            }
            None => {
                self.gossip.unpublish(now, &self.key);
            }
        }
    }

    // ---- what the sockets have

    fn take_remotes(&mut self, now: Instant, around: &mut Around<'_>) {
        for index in 0..self.remotes.len() {
            self.take_happened(now, index, around);
            let Some(remote) = self.remotes.get(index) else {
                return;
            };
            let from = Neighbour::Remote(remote.id);
            let socket = remote.socket;
            self.take_messages(now, socket, around, |_| Some(from.clone()));
        }
    }

    /// Whether a hub came or went.
    fn take_happened(&mut self, now: Instant, index: usize, around: &mut Around<'_>) {
        while let Some(remote) = self.remotes.get_mut(index)
            && let Some(socket) = around.socket(remote.socket)
            && let Some(happened) = socket.poll_event()
        {
            let (id, name) = (remote.id, remote.socket);
            match happened {
                Happened::Ready { link, .. } => {
                    tracing::debug!(hub = %remote.hub.endpoint, "gossip with a hub");
                    remote.link = Some(link);
                    let local = socket.local_address(link);
                    self.places.reached_by(local.map(|local| local.ip()));
                    self.publish(now, around.stack);
                    self.gossip.handle_connected(now, id);
                }
                Happened::Disconnected { link, why, .. } if remote.link == Some(link) => {
                    tracing::debug!(hub = %remote.hub.endpoint, %why, "no gossip with a hub");
                    remote.link = None;
                    // Its last words came before its end.
                    self.take_messages(now, name, around, |_| Some(Neighbour::Remote(id)));
                    self.gossip.handle_disconnected(now, id);
                }
                other => tracing::trace!(hub = %remote.hub.endpoint, ?other),
            }
        }
    }

    fn take_sessions(&mut self, now: Instant, around: &mut Around<'_>) {
        let Some(router) = self.router else {
            return;
        };
        if let Some(router) = around.socket(router) {
            while let Some(happened) = router.poll_event() {
                tracing::trace!(?happened);
            }
        }
        self.take_messages(now, router, around, |message| {
            message.pop_front().map(Neighbour::Session)
        });
    }

    fn take_messages(
        &mut self,
        now: Instant,
        socket: SocketId,
        around: &mut Around<'_>,
        from: impl Fn(&mut Frames) -> Option<Neighbour>,
    ) {
        for _ in 0..MESSAGES {
            let Some(socket) = around.socket(socket) else {
                return;
            };
            match socket.recv() {
                Ok(Some(mut message)) => {
                    if let Some(from) = from(&mut message) {
                        self.gossip.handle_message(now, &from, &message);
                    }
                }
                Ok(None) | Err(_) => return,
            }
        }
        self.more = true;
    }

    // ---- what gossip wants

    fn act(&mut self, now: Instant, around: &mut Around<'_>) {
        while let Some(action) = self.gossip.poll_action() {
            match action {
                Action::Send { to, message } => self.send(now, &to, &message, around),
                Action::Reconnect { remote } => self.reconnect(remote, around),
                other => tracing::error!(?other, "this adapter is older than the core"),
            }
        }
    }

    fn send(&mut self, now: Instant, to: &Neighbour, message: &Frames, around: &mut Around<'_>) {
        let sent = match to {
            Neighbour::Session(session) => self.router.and_then(|router| {
                let mut whole = message.clone();
                whole.push_front(session.clone());
                Some(around.socket(router)?.send(&whole))
            }),
            Neighbour::Remote(id) => {
                let remote = self.remotes.iter().find(|remote| remote.id == *id);
                remote.and_then(|remote| Some(around.socket(remote.socket)?.send(message)))
            }
        };
        let why = match sent {
            Some(Ok(())) => return,
            Some(Err(SendError::Full)) => Unsent::Full,
            Some(Err(_)) | None => Unsent::Gone,
        };
        self.gossip.handle_unsent(now, to, message, why);
    }

    fn reconnect(&self, id: RemoteId, around: &mut Around<'_>) {
        let remote = self.remotes.iter().find(|remote| remote.id == id);
        if let Some(Remote { socket, hub, .. }) = remote
            && let Some(socket) = around.socket(*socket)
        {
            let endpoint = &hub.endpoint;
            tracing::debug!(hub = %endpoint, "it does not answer: connecting anew");
            let anew = socket
                .disconnect(endpoint)
                .and_then(|()| socket.connect(endpoint));
            if let Err(error) = anew {
                tracing::warn!(hub = %endpoint, %error, "cannot connect anew");
            }
        }
    }

    // ---- what gossip tells

    fn tell(&mut self, now: Instant, around: &mut Around<'_>) {
        while let Some(event) = self.gossip.poll_event() {
            match event {
                Gossiped::Published { key, value } | Gossiped::Changed { key, value, .. } => {
                    self.note(now, key, &value, around.stack);
                }
                Gossiped::Unpublished { key, before, end } => {
                    tracing::debug!(%key, %before, %end, "a tuple less");
                    self.forget(now, &key, around.stack);
                }
                Gossiped::Overruled { theirs, .. } => {
                    tracing::warn!(%theirs, "somebody else says by gossip where this node is");
                }
                Gossiped::Itself { remote } => {
                    let remote = self.remotes.iter().find(|known| known.id == remote);
                    if let Some(remote) = remote {
                        tracing::warn!(hub = %remote.hub.endpoint, "this is the node itself");
                    }
                }
                other => tracing::debug!(?other),
            }
        }
    }

    fn note(&mut self, now: Instant, key: Key, value: &Value, stack: &mut Stack) {
        let Some(id) = peer_of(&key) else {
            tracing::debug!(%key, "the key of a tuple is no UUID");
            return;
        };
        let Some(contact) = contact_of(value) else {
            tracing::debug!(%key, %value, "the value of a tuple leads nowhere");
            return self.forget(now, &key, stack);
        };
        let Contact {
            endpoint,
            key: public_key,
        } = contact;
        // ZRE-159
        if id != stack.id() && is_ours(stack, &endpoint) {
            tracing::debug!(%key, %value, "a tuple of one that was here before");
            self.gossip.refute(now, &key);
            return self.forget(now, &key, stack);
        }
        if let Err(error) = stack.note_tuple(now, id, &endpoint, public_key) {
            tracing::debug!(%key, %error, "a tuple is not followed");
        }
        if stack.peer(id).is_some() {
            self.gossip.confirm(now, &key);
            return;
        }
        let missing = Missing {
            key,
            since: now,
            doubted: false,
        };
        self.missing.insert(id, missing);
        self.missing_due.get_or_insert(now + PATIENCE);
    }

    /// Nobody is to look for this peer any more, who is not here. Whether there was a tuple of it.
    // ZRE-159
    pub(crate) fn unpublish(&mut self, now: Instant, id: PeerId, around: &mut Around<'_>) -> bool {
        let Some(key) = key_of(id).filter(|key| *key != self.key) else {
            return false;
        };
        if around.stack.peer(id).is_some() || self.gossip.get(&key).is_none() {
            return false;
        }
        self.gossip.refute(now, &key);
        self.forget(now, &key, around.stack);
        true
    }

    /// An endpoint is ours from now on: who is said to be there is not.
    // ZRE-159
    fn refute_others(&mut self, now: Instant, stack: &Stack) {
        let is_refuted = |(key, value): (&Key, &Value)| {
            let contact = contact_of(value)?;
            (*key != self.key && is_ours(stack, &contact.endpoint)).then(|| key.clone())
        };
        let refuted: Vec<_> = self.gossip.tuples().filter_map(is_refuted).collect();
        for key in refuted {
            self.gossip.refute(now, &key);
        }
    }

    fn forget(&mut self, now: Instant, key: &Key, stack: &mut Stack) {
        if let Some(id) = peer_of(key) {
            stack.forget_tuple(now, id);
            self.missing.remove(&id);
        }
    }

    // ---- what the node knows

    fn entered(&mut self, now: Instant, id: PeerId) {
        self.missing.remove(&id);
        let Some(key) = key_of(id) else {
            return;
        };
        self.gossip.confirm(now, &key);
        // Others that are said to be where it is are not.
        let Some(value) = self.gossip.get(&key).cloned() else {
            return;
        };
        let others: Vec<_> = self
            .gossip
            .keys_with(&value)
            .filter(|other| **other != key && **other != self.key)
            .cloned()
            .collect();
        for other in others {
            tracing::debug!(%other, %key, "another is there now");
            self.gossip.doubt(now, &other);
        }
    }

    fn exited(&mut self, now: Instant, id: PeerId) {
        if let Some(key) = key_of(id)
            && self.gossip.get(&key).is_some()
        {
            self.gossip.doubt(now, &key);
            let missing = Missing {
                key,
                since: now,
                doubted: true,
            };
            self.missing.insert(id, missing);
        }
    }

    /// Doubts those who were not found.
    fn miss(&mut self, now: Instant) {
        if self.missing_due.is_none_or(|due| due > now) {
            return;
        }
        let mut next = None;
        for missing in self.missing.values_mut() {
            let due = missing.since + PATIENCE;
            if missing.doubted {
                continue;
            }
            if due <= now {
                missing.doubted = true;
                self.gossip.doubt(now, &missing.key);
            } else {
                next = Some(next.map_or(due, |next: Instant| next.min(due)));
            }
        }
        self.missing_due = next;
    }
}

impl Companion for GossipAside {
    fn hear(&mut self, now: Instant, event: &Event, around: &mut Around<'_>) {
        match event {
            Event::Enter { peer } => self.entered(now, peer.id),
            Event::Exit { peer, .. } => self.exited(now, peer.id),
            Event::InterfaceUp { .. } | Event::InterfaceDown { .. } => {
                self.refute_others(now, around.stack);
                if !self.waits() {
                    self.publish(now, around.stack);
                }
            }
            _ => {}
        }
    }

    fn turn(&mut self, now: Instant, around: &mut Around<'_>) {
        self.more = false;
        self.take_remotes(now, around);
        self.take_sessions(now, around);
        if self.gossip.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.gossip.handle_timeout(now);
        }
        self.miss(now);
        self.tell(now, around);
        self.act(now, around);
    }

    fn deadline(&self) -> Option<Instant> {
        if self.more {
            return Some(Instant::ZERO);
        }
        let gossip = self.gossip.poll_timeout().map(|(at, _)| at);
        [gossip, self.missing_due].into_iter().flatten().min()
    }

    fn stop(&mut self, now: Instant, goodbye: bool, around: &mut Around<'_>) {
        if goodbye {
            self.gossip.leave(now);
            self.act(now, around);
        }
        for socket in self.remotes.iter().map(|remote| remote.socket) {
            around.close(socket);
        }
        if let Some(router) = self.router {
            around.close(router);
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// Whether peers are told this endpoint for ours.
fn is_ours(stack: &Stack, endpoint: &node::Endpoint) -> bool {
    let mut own = stack.endpoints();
    own.any(|own| node::Endpoint::try_from(&own).as_ref() == Ok(endpoint))
}

/// Whose tuple it is.
fn peer_of(key: &Key) -> Option<PeerId> {
    let text = std::str::from_utf8(key.as_bytes()).ok()?;
    let id: PeerId = text.parse().ok()?;
    // Written otherwise it would be another tuple of the same node.
    (id.to_string() == text).then_some(id)
}

fn key_of(id: PeerId) -> Option<Key> {
    id.to_string().parse().ok()
}

/// Where a value leads.
// ZRE-156
fn contact_of(value: &Value) -> Option<Contact> {
    std::str::from_utf8(value.as_bytes()).ok()?.parse().ok()
}
