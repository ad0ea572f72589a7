//! One turn: what the sockets have goes to the nodes, what the nodes tell to the machine, and what that wants done to the nodes.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use atonce::Instant;
use atonce::PeerId;
use atonce::curve::PublicKey;
use atonce::endpoint::Endpoint;
use atonce::once::{Which, bridge, relay_address};
use atonce::wire::Text;
use atonce::zre::{self, Peer};
use mio::Token;
use mio::unix::SourceFd;

use super::machine::{Machine, Work};
use super::names::Change;
use super::{Driver, Poller, RELAY, WAKE};
use crate::Contact;
use crate::once::Event;

/// Events that are handed to the machine in one turn, before the sockets are looked at again.
const TURN: usize = 1_024;

/// Events of one node before others have their turn.
const SHARE: usize = 64;

/// The descriptors that a stand-in takes at the least: two of its poller, one of what wakes it, a listener and a socket for beacons.
const OF_A_STAND_IN: usize = 5;

impl<M: Machine> Driver<M> {
    /// Takes in what the poller found and what became due, and sends what there is to send.
    pub fn turn(&mut self, poller: &mut Poller) {
        if self.ended {
            return;
        }
        let now = self.clock.now();
        poller.take(|event| {
            let key = match event.token() {
                WAKE => return,
                RELAY => {
                    if let Some(relay) = &mut self.relay {
                        relay.ready = true;
                    }
                    return;
                }
                Token(place) => place - 1,
            };
            // A place can be taken again while an event for what stood there before is under way: that is looked at in vain.
            if let Some(node) = self.nodes.get_mut(key) {
                node.ready = true;
                if !std::mem::replace(&mut node.in_turns, true) {
                    self.turns.push_back(key);
                }
            }
        });
        self.turn_relay(now);
        while let Some(&(at, key)) = self.due.first()
            && at <= now
        {
            self.due.pop_first();
            if let Some(node) = self.nodes.get_mut(key) {
                node.due = None;
                self.schedule(key);
            }
        }
        if !self.stopping {
            self.lead_beacons(now);
        }
        for _ in 0..self.turns.len() {
            let Some(key) = self.turns.pop_front() else {
                break;
            };
            self.turn_node(key);
        }
        if self.machine.deadline().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
        }
        self.hand_over(now);
        self.settle();
    }

    fn turn_relay(&mut self, now: Instant) {
        let Some(relay) = &mut self.relay else {
            return;
        };
        if !relay.ready && relay.due.is_none_or(|at| at > now) {
            return;
        }
        if std::mem::take(&mut relay.ready)
            && let Err(error) = relay.poller.take_ready(&mut relay.ready)
        {
            tracing::error!(%error, "the relay cannot wait for its sockets");
            self.relay = None;
            let trouble = format!("there is no relay any more: {error}");
            self.tell(Event::Trouble(trouble));
            return;
        }
        relay.driver.turn(&mut relay.poller);
        let timeout = match relay.ready {
            true => Some(Duration::ZERO),
            false => relay.driver.timeout(),
        };
        relay.due = timeout.map(|timeout| now + timeout);
    }

    /// Has a node take a turn soon.
    pub(super) fn schedule(&mut self, key: usize) {
        if let Some(node) = self.nodes.get_mut(key)
            && !std::mem::replace(&mut node.in_turns, true)
        {
            self.turns.push_back(key);
        }
    }

    fn turn_node(&mut self, key: usize) {
        let Some(node) = self.nodes.get_mut(key) else {
            return;
        };
        node.in_turns = false;
        if std::mem::take(&mut node.ready)
            && let Err(error) = node.poller.take_ready(&mut node.ready)
        {
            tracing::error!(%error, "a node cannot wait for its sockets");
            node.driver.abandon();
        }
        node.driver.turn(&mut node.poller);
        let (ready, which) = (node.ready, node.which);
        while let Some(node) = self.nodes.get_mut(key)
            && let Some((key, remote)) = node.driver.poll_stranger()
        {
            // Whoever comes to a secure LAN comes to each stand-in as well.
            if !matches!(which, Which::StandIn(_)) {
                let node = which;
                self.tell(Event::Stranger { node, key, remote });
            }
        }
        if ready {
            self.schedule(key);
        }
        // Before the local node has a turn, in which it could hear the first beacon from there.
        self.follow_mailboxes(key);
        self.touch(key);
    }

    /// Notes that a node did something, so that it is looked after at the end of the turn.
    pub(super) fn touch(&mut self, key: usize) {
        if let Some(node) = self.nodes.get_mut(key) {
            if !std::mem::replace(&mut node.is_touched, true) {
                self.touched.push(key);
            }
            if node.driver.has_event() {
                self.talking.insert(key);
            }
        }
    }

    /// Sends what the nodes gathered, and notes when each wants its next turn.
    pub(super) fn settle(&mut self) {
        let now = self.clock.now();
        while let Some(key) = self.touched.pop() {
            let Some(node) = self.nodes.get_mut(key) else {
                continue;
            };
            node.is_touched = false;
            node.driver.flush();
            if node.driver.has_event() {
                self.talking.insert(key);
            }
            if node.driver.is_ended() {
                self.remove(key);
                continue;
            }
            let due = match node.driver.timeout() {
                Some(Duration::ZERO) => {
                    self.schedule(key);
                    None
                }
                timeout => timeout.map(|timeout| now + timeout),
            };
            let Some(node) = self.nodes.get_mut(key) else {
                continue;
            };
            if due != node.due {
                if let Some(before) = std::mem::replace(&mut node.due, due) {
                    self.due.remove(&(before, key));
                }
                if let Some(due) = due {
                    self.due.insert((due, key));
                }
            }
        }
        if self.stopping && self.nodes.is_empty() {
            self.end();
        }
    }

    fn remove(&mut self, key: usize) {
        let Some(node) = self.nodes.try_remove(key) else {
            return;
        };
        if let Err(error) = self
            .registry
            .deregister(&mut SourceFd(&node.poller.as_raw_fd()))
        {
            tracing::debug!(%error, "a node that ended is still waited for");
        }
        if let Some(due) = node.due {
            self.due.remove(&(due, key));
        }
        self.talking.remove(&key);
        if self.places.get(&node.which) == Some(&key) {
            self.places.remove(&node.which);
        }
        self.heed(&node.mailboxes);
    }

    /// Has the local node ignore the mailboxes that a stand-in has now, and no others.
    pub(super) fn follow_mailboxes(&mut self, key: usize) {
        let Some(node) = self.nodes.get_mut(key) else {
            return;
        };
        if !matches!(node.which, Which::StandIn(_)) {
            return;
        }
        if node.driver.mailboxes().eq(node.mailboxes.iter().copied()) {
            return;
        }
        let new: Vec<_> = node.driver.mailboxes().collect();
        let old = std::mem::replace(&mut node.mailboxes, new.clone());
        self.heed(&old);
        if let Some(local) = self.node(Which::Local) {
            for mailbox in new {
                local.driver.ignore(mailbox);
            }
        }
    }

    fn heed(&mut self, mailboxes: &[SocketAddr]) {
        if let Some(local) = self.node(Which::Local) {
            for mailbox in mailboxes {
                local.driver.heed(*mailbox);
            }
        }
    }

    /// Sends beacons to where the names of servers lead now.
    fn lead_beacons(&mut self, now: Instant) {
        let changes = self.names.turn(now);
        for change in changes {
            let Some(&key) = self.places.get(&Which::Remote) else {
                return;
            };
            let Some(remote) = self.nodes.get_mut(key) else {
                return;
            };
            match change {
                Change::Beacon(address) => {
                    if let Err(error) = remote.driver.beacon(address) {
                        self.tell(Event::Trouble(format!("{address} is not sought: {error}")));
                    }
                }
                Change::Unbeacon(address) => remote.driver.unbeacon(address),
                Change::Unknown(name) => {
                    let trouble = format!("nobody knows where {name} is; it is looked up again");
                    self.tell(Event::Trouble(trouble));
                }
            }
            self.touch(key);
        }
    }

    /// Hands what the nodes tell to the machine, and does what that wants done, until there is nothing more or the turn is over.
    fn hand_over(&mut self, now: Instant) {
        self.act(now);
        let mut left = TURN;
        self.more = false;
        loop {
            let mut quiet = true;
            let talking: Vec<_> = self.talking.iter().copied().collect();
            for key in talking {
                for _ in 0..SHARE {
                    let Some(node) = self.nodes.get_mut(key) else {
                        break;
                    };
                    let which = node.which;
                    // One that is ending has nothing to say any more.
                    let is_known = self.places.get(&which) == Some(&key);
                    if is_known && !self.machine.wants(which) {
                        break;
                    }
                    let Some(event) = node.driver.poll_event() else {
                        self.talking.remove(&key);
                        break;
                    };
                    let key_of = peer_of(&event)
                        .and_then(|peer| node.driver.stack().peer(peer.id))
                        .and_then(|peer| peer.key);
                    self.touch(key);
                    if is_known {
                        quiet = false;
                        left = left.saturating_sub(1);
                        self.hear(now, which, event, key_of);
                    }
                }
                if left == 0 {
                    self.more = true;
                    return;
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn hear(&mut self, now: Instant, which: Which, event: zre::Event, key: Option<PublicKey>) {
        let is_told = match &event {
            zre::Event::Impostor { .. } => true,
            zre::Event::InterfaceUp { .. } | zre::Event::InterfaceDown { .. } => {
                !matches!(which, Which::StandIn(_))
            }
            _ => false,
        };
        if is_told {
            self.tell(Event::Node {
                node: which,
                event: event.clone(),
            });
        }
        if is_told && which == Which::Local {
            self.follow_interfaces();
        }
        self.machine.handle_event(now, which, event, key);
        self.act(now);
    }

    /// The local node saw an interface come or go: so do the stand-ins, which look for themselves only seldom.
    fn follow_interfaces(&mut self) {
        let keys: Vec<_> = self.nodes.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(node) = self.nodes.get_mut(key)
                && matches!(node.which, Which::StandIn(_))
            {
                node.driver.look_at_interfaces();
                self.schedule(key);
            }
        }
    }

    /// Does what the machine wants done, and passes on what it tells.
    pub(super) fn act(&mut self, now: Instant) {
        while let Some(work) = self.machine.poll_work() {
            match work {
                Work::Node(action) => self.act_by_node(now, action),
                Work::Pair { dialler, acceptor } => {
                    if let Some(relay) = &mut self.relay {
                        if !relay.driver.expect(dialler, acceptor) {
                            tracing::warn!("the relay joins as many as it may, and these two not");
                        }
                        // Its tickets become void at some time.
                        relay.due = Some(now);
                    }
                }
            }
        }
        while let Some(event) = self.machine.poll_event() {
            M::note(self, &event);
            self.tell(Event::Once(event));
        }
    }

    fn act_by_node(&mut self, now: Instant, action: bridge::Action) {
        match action {
            bridge::Action::Whisper {
                node,
                peer,
                content,
            } => {
                let sent = self.command(node, |driver| driver.whisper(peer, &content));
                let sent = sent.unwrap_or(Err(zre::SendError::Stopped));
                if let Err(error) = sent {
                    self.machine.handle_unsent(now, node, peer, content, error);
                }
            }
            bridge::Action::ShoutTo {
                stand_in,
                peer,
                group,
                content,
            } => {
                let node = Which::StandIn(stand_in);
                let sent = self.command(node, |driver| driver.shout_to(peer, &group, &content));
                let sent = sent.unwrap_or(Err(zre::SendError::Stopped));
                if let Err(error) = sent {
                    self.machine.handle_unsent(now, node, peer, content, error);
                }
            }
            bridge::Action::Join { node, group } => {
                self.command(node, |driver| driver.join(&group));
            }
            bridge::Action::Leave { node, group } => {
                self.command(node, |driver| driver.leave(&group));
            }
            bridge::Action::Start(stand_in) => self.start(now, stand_in),
            bridge::Action::Introduce {
                stand_in,
                peer,
                key,
            } => self.introduce(stand_in, &peer, key),
            bridge::Action::Retire { stand_in, goodbye } => self.retire(stand_in, goodbye),
            bridge::Action::Connect { endpoint, key } => self.contact(endpoint, key),
            bridge::Action::Forget { endpoint } => {
                self.command(Which::Remote, |driver| driver.disconnect(&endpoint));
            }
            bridge::Action::DialRelay {
                server,
                peer,
                key,
                role,
                endpoint,
                ticket,
            } => {
                let Some(address) = self.relay_at(server, &endpoint) else {
                    tracing::warn!(%server, %endpoint, "a server leads to no relay that can be reached");
                    return;
                };
                let dialled = self.command(Which::Remote, |driver| {
                    driver.dial_relayed(peer, key, address, ticket, role)
                });
                if let Some(Err(error)) = dialled {
                    tracing::warn!(%peer, %error, "a bridge is not contacted over a relay");
                }
            }
            other => tracing::error!(?other, "this adapter is older than the core"),
        }
    }

    /// Where a server's relay is.
    fn relay_at(&self, server: PeerId, endpoint: &Text) -> Option<SocketAddr> {
        let remote = self.place(Which::Remote)?.driver.stack();
        relay_address(endpoint, remote.peer(server)?.remote.ip())
    }

    /// Has a node do something, if it is there.
    fn command<R>(
        &mut self,
        which: Which,
        give: impl FnOnce(&mut crate::driver::Driver) -> R,
    ) -> Option<R> {
        let key = *self.places.get(&which)?;
        let result = give(&mut self.nodes.get_mut(key)?.driver);
        self.touch(key);
        Some(result)
    }

    fn contact(&mut self, endpoint: Endpoint, key: Option<PublicKey>) {
        let contact = Contact { endpoint, key };
        let contacted = self.command(Which::Remote, |driver| driver.connect(&contact));
        if let Some(Err(error)) = contacted {
            tracing::warn!(%contact, %error, "a bridge is not contacted");
        }
    }

    fn introduce(&mut self, stand_in: PeerId, peer: &Arc<Peer>, key: Option<PublicKey>) {
        let endpoint: Option<Endpoint> = peer.endpoint.to_str_lossy().parse().ok();
        let Some(address) = endpoint.and_then(|endpoint| endpoint.socket_address()) else {
            // It entered at the local node, which dialled this very text.
            tracing::debug!(peer = %peer.id, "no address to be introduced with");
            return;
        };
        self.command(Which::StandIn(stand_in), |driver| {
            driver.introduce(peer.id, address, key);
        });
    }

    fn start(&mut self, now: Instant, stand_in: bridge::StandIn) {
        let id = stand_in.id;
        let Some(template) = &self.stand_ins else {
            return;
        };
        let peers = self.place(Which::Local);
        let peers = peers.map_or(0, |local| local.driver.stack().usage().peers);
        // A listener and a socket for beacons on each further address.
        let local = self.place(Which::Local);
        let addresses = local.map_or(1, |local| local.driver.mailboxes().count());
        let further = 2 * addresses.saturating_sub(1);
        let wanted = self.taken_descriptors() + OF_A_STAND_IN + further + 2 * peers;
        let started = if wanted > self.descriptors {
            Err(format!(
                "no stand-in for {id}: it would take more descriptors than the process may have ({} and some spare ones); \
                 raise the limit (`ulimit -n`, `LimitNOFILE=`)",
                self.descriptors
            ))
        } else {
            let options = template.options(stand_in);
            let added = self.add(Which::StandIn(id), options);
            added.map_err(|error| format!("no stand-in for {id}: {error}"))
        };
        match started {
            Ok(_) => self.refused = false,
            Err(trouble) => {
                tracing::warn!("{trouble}");
                // There may be hundreds of them, of one cause.
                if !std::mem::replace(&mut self.refused, true) {
                    self.tell(Event::Trouble(trouble));
                }
                self.machine.handle_not_started(now, id);
            }
        }
    }

    fn retire(&mut self, stand_in: PeerId, goodbye: bool) {
        let which = Which::StandIn(stand_in);
        let Some(key) = self.places.remove(&which) else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(key) {
            if goodbye {
                node.driver.stop();
            } else {
                node.driver.retire();
            }
            self.touch(key);
        }
    }
}

/// The peer that an event is about.
fn peer_of(event: &zre::Event) -> Option<&Arc<Peer>> {
    match event {
        zre::Event::Enter { peer }
        | zre::Event::Evasive { peer }
        | zre::Event::Silent { peer }
        | zre::Event::Recovered { peer }
        | zre::Event::Join { peer, .. }
        | zre::Event::Leave { peer, .. }
        | zre::Event::Whisper { peer, .. }
        | zre::Event::Shout { peer, .. }
        | zre::Event::Exit { peer, .. } => Some(peer),
        _ => None,
    }
}
