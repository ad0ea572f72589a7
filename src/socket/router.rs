//! ROUTER knows its peers by identity (RFC 28).

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashMap;

use super::pattern::Behaviour;
use super::peers::Peers;
use super::pipe::PipeId;
use super::{Config, RecvError, SendError, Why};
use crate::by_link::ByLink;
use crate::table::{self, Secret};
use crate::wire::Frames;
use crate::{Bytes, Instant};

/// A message has so many frames at most, with the identity before it: 1,024, what a peer takes unless it was told otherwise.
const FRAMES: usize = 1_024;

pub(super) struct Router {
    /// Whose an identity is: where messages for it go. Never gone through, so that its order reaches no output.
    routes: HashMap<Bytes, PipeId, Secret>,
    /// Under which identity it is given what somebody said.
    names: ByLink<Name>,
    /// Those of `routes` that have no link now and are dialled again.
    absent: BTreeSet<PipeId>,
    /// The number of the next peer that states no identity.
    next: Option<u32>,
    mandatory: bool,
    handover: bool,
}

/// What somebody is called.
#[derive(Debug)]
struct Name {
    identity: Bytes,
    /// Its link has ended.
    gone: bool,
    /// What those were called who were there over links before, each with how many of their messages wait at most. Only of what
    /// is dialled, and no more than messages.
    past: VecDeque<(Bytes, usize)>,
}

impl Router {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            routes: HashMap::with_hasher(table::no_secret()),
            names: ByLink::new(),
            absent: BTreeSet::new(),
            next: None,
            mandatory: config.mandatory,
            handover: config.handover,
        }
    }

    /// An identity for one that states none.
    // SOCK-60
    fn make_up(&mut self, peers: &mut Peers) -> Bytes {
        loop {
            let number = self.next.unwrap_or_else(|| peers.random());
            self.next = Some(number.wrapping_add(1));
            let [a, b, c, d] = number.to_be_bytes();
            let identity = Bytes::copy_from_slice(&[0, a, b, c, d]);
            if !self.routes.contains_key(&identity) {
                return identity;
            }
        }
    }

    fn add_route(&mut self, peers: &mut Peers, identity: Bytes, pipe: PipeId) {
        if self.routes.capacity() == 0 {
            // Strangers choose their identities, and could otherwise choose them so that they all collide.
            let mut number = || u64::from(peers.random()) << 32 | u64::from(peers.random());
            let secret = Secret::with_seeds(number(), number(), number(), number());
            self.routes = HashMap::with_hasher(secret);
        }
        self.routes.insert(identity, pipe);
    }

    /// Takes the identity of one away, if it has it: whether it had.
    fn remove_route(&mut self, pipe: PipeId) -> bool {
        let Some(name) = self.names.get(pipe.0) else {
            return false;
        };
        let had = self.routes.get(&name.identity) == Some(&pipe);
        if had {
            self.routes.remove(&name.identity);
            let (len, capacity) = (self.routes.len(), self.routes.capacity());
            if let Some(room) = table::room_after(len, capacity) {
                self.routes.shrink_to(room);
            }
        }
        had
    }

    /// Forgets what one is called who is gone, and whose messages were taken.
    // SOCK-69
    fn forget_if_done(&mut self, peers: &Peers, pipe: PipeId) {
        if self.names.get(pipe.0).is_some_and(|name| name.gone)
            && !self.absent.contains(&pipe)
            && peers.pending(pipe) == 0
        {
            self.names.remove(pipe.0);
        }
    }

    /// Forgets those that are not dialled any more.
    fn sweep(&mut self, peers: &Peers) {
        let absent = self.absent.iter().copied();
        let given_up: Vec<_> = absent.filter(|pipe| !peers.waits_for_link(*pipe)).collect();
        for pipe in given_up {
            self.absent.remove(&pipe);
            self.remove_route(pipe);
            self.forget_if_done(peers, pipe);
        }
    }

    /// Under which identity the message is given that was just taken.
    fn name(&mut self, peers: &Peers, pipe: PipeId) -> Option<Bytes> {
        let name = self.names.get_mut(pipe.0)?;
        let identity = match name.past.front_mut() {
            // SOCK-67
            Some((identity, left)) => {
                let identity = identity.clone();
                *left -= 1;
                if *left == 0 {
                    name.past.pop_front();
                }
                identity
            }
            None => name.identity.clone(),
        };
        if name.gone {
            self.forget_if_done(peers, pipe);
        }
        Some(identity)
    }

    /// A message has nobody to go to, or no room there.
    fn refuse(&self, peers: &mut Peers, error: SendError) -> Result<(), SendError> {
        if self.mandatory {
            return Err(error);
        }
        peers.counters_mut().messages_dropped += 1;
        Ok(())
    }
}

impl Behaviour for Router {
    #[inline]
    fn send(
        &mut self,
        _now: Instant,
        peers: &mut Peers,
        message: &Frames,
    ) -> Result<(), SendError> {
        let (identity, rest) = match message.split_first() {
            // SOCK-62
            Some((identity, rest)) if !rest.is_empty() => (identity, rest),
            _ => return Err(SendError::Malformed),
        };
        // SOCK-63
        let Some(&pipe) = self.routes.get(identity) else {
            return self.refuse(peers, SendError::Unroutable);
        };
        if peers.push(pipe, &[], rest) {
            return Ok(());
        }
        // SOCK-64
        let is_full = peers.is_ready(pipe) || peers.waits_for_link(pipe);
        let error = if is_full {
            SendError::Full
        } else {
            SendError::Unroutable
        };
        self.refuse(peers, error)
    }

    fn can_send(&self, _peers: &Peers) -> bool {
        true
    }

    #[inline]
    fn recv(&mut self, now: Instant, peers: &mut Peers) -> Result<Option<Frames>, RecvError> {
        let most = FRAMES.max(peers.config().limits.message_frames);
        while let Some((pipe, mut message)) = peers.next(now) {
            let identity = self.name(peers, pipe);
            debug_assert!(
                identity.is_some(),
                "whoever says something is called something"
            );
            // SOCK-70
            if let Some(identity) = identity
                && message.len() < most
            {
                // SOCK-61
                message.push_front(identity);
                return Ok(Some(message));
            }
            peers.discarded();
        }
        Ok(None)
    }

    #[inline]
    fn can_recv(&self, peers: &Peers) -> bool {
        peers.has_next()
    }

    fn handle_ready(&mut self, now: Instant, peers: &mut Peers, pipe: PipeId) {
        self.sweep(peers);
        self.absent.remove(&pipe);
        let stated = Bytes::from(peers.identity(pipe));
        if let Some(name) = self.names.get_mut(pipe.0) {
            let known: usize = name.past.iter().map(|(_, left)| left).sum();
            let left = peers.pending_of_past(pipe).saturating_sub(known);
            if left > 0 {
                name.past.push_back((name.identity.clone(), left));
            }
            // SOCK-68
            if name.identity == stated && self.routes.get(&stated) == Some(&pipe) {
                name.gone = false;
                return;
            }
            self.remove_route(pipe);
        }
        let identity = if stated.is_empty() {
            self.make_up(peers)
        } else {
            stated
        };
        if let Some(&other) = self.routes.get(&identity) {
            let is_there = !self.absent.remove(&other);
            if is_there && !self.handover {
                // SOCK-65: without an ERROR, after which C peers do not come again.
                peers.close(now, pipe, Why::IdentityTaken, None);
                return self.forget_if_done(peers, pipe);
            }
            if is_there {
                // SOCK-66
                peers.close(now, other, Why::Displaced, None);
            }
            peers.lose_queue(other);
            self.forget_if_done(peers, other);
        }
        self.add_route(peers, identity.clone(), pipe);
        match self.names.get_mut(pipe.0) {
            Some(name) => {
                name.identity = identity;
                name.gone = false;
            }
            None => self.names.insert(
                pipe.0,
                Name {
                    identity,
                    gone: false,
                    past: VecDeque::new(),
                },
            ),
        }
    }

    fn handle_gone(&mut self, _now: Instant, peers: &mut Peers, pipe: PipeId) {
        let Some(name) = self.names.get_mut(pipe.0) else {
            // It was not let in.
            return;
        };
        if core::mem::replace(&mut name.gone, true) {
            return;
        }
        // Only who states an identity can be known again by it.
        let is_stated = name.identity.first().is_some_and(|octet| *octet != 0);
        let has_route = self.routes.get(&name.identity) == Some(&pipe);
        // SOCK-68
        if has_route && is_stated && peers.waits_for_link(pipe) {
            self.absent.insert(pipe);
        } else {
            if self.remove_route(pipe) {
                peers.lose_queue(pipe);
            }
            self.forget_if_done(peers, pipe);
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("routes", &self.routes.len())
            .field("names", &self.names)
            .field("absent", &self.absent)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
