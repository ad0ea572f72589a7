//! How links begin and how they end: dials, acceptances, last words, retries, and the end of it all.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use tracing::debug;

use super::config::Security;
use super::peers::{Listener, Peers};
use super::pipe::{Origin, Pipe, PipeId};
use super::wish::Wish;
use super::{Action, ConnectId, Endpoint, Event, Kind, ListenerId, Timer, Why};
use crate::Instant;
use crate::net::{Cut, LinkId};
use crate::wire::Text;
use crate::zmtp::{self, Connection, Verdict};

/// How long the last words to somebody who is not let in, or whose connection failed, may take: 1 s. They are one frame.
const FAREWELL: Duration = Duration::from_secs(1);

/// A link over which a peer took part for so long, or for longer than the pause that is next, was of use, and pauses begin anew: 1 s.
/// One that is let in and cut at once, again and again, is dialled as seldom as one that does not answer.
const SETTLED: Duration = Duration::from_secs(1);

impl Peers {
    // ---- listeners

    pub(super) fn bind(&mut self, endpoint: &Endpoint) -> ListenerId {
        let listener = ListenerId(self.next_listener);
        self.next_listener += 1;
        let endpoint = endpoint.clone();
        self.actions.push_back(Action::Listen {
            listener,
            endpoint: endpoint.clone(),
        });
        let is_up = false;
        self.listeners
            .insert(listener, Listener { endpoint, is_up });
        listener
    }

    pub(super) fn unbind(&mut self, listener: ListenerId) {
        if let Some(gone) = self.listeners.remove(&listener) {
            self.actions.push_back(Action::Unlisten { listener });
            let endpoint = gone.endpoint;
            self.tell(Event::Unbound { listener, endpoint });
        }
    }

    pub(super) fn listening(&mut self, listener: ListenerId, endpoint: Endpoint) {
        if let Some(entry) = self.listeners.get_mut(&listener) {
            entry.endpoint = endpoint.clone();
            entry.is_up = true;
            self.tell(Event::Listening { listener, endpoint });
        }
    }

    pub(super) fn listen_failed(&mut self, listener: ListenerId, detail: &str) {
        if let Some(gone) = self.listeners.remove(&listener) {
            self.tell(Event::ListenFailed {
                listener,
                endpoint: gone.endpoint,
                detail: detail.into(),
            });
        }
    }

    pub(super) fn accepted(
        &mut self,
        now: Instant,
        listener: ListenerId,
        remote: Option<SocketAddr>,
    ) -> Option<LinkId> {
        let at = self.listeners.get(&listener)?.endpoint.clone();
        let remote = remote.map_or(at, Endpoint::from);
        // SOCK-8
        let why = if self.accepted >= self.config.links {
            Some(Why::TooManyLinks)
        } else if self.unready >= self.config.unready_links {
            Some(Why::TooManyUnready)
        } else {
            None
        };
        if let Some(why) = why {
            self.counters.refused += 1;
            self.tell(Event::Turned { remote, why });
            return None;
        }
        let link = self.name_link();
        let mut pipe = Pipe::new(Origin::Listener(listener), remote.clone());
        pipe.link = Some(link);
        pipe.connected = true;
        pipe.connection = Some(self.connection(now));
        self.pipes.insert(link, Box::new(pipe));
        self.accepted += 1;
        self.unready += 1;
        self.tell(Event::Accepted { link, remote });
        self.watch(PipeId(link));
        Some(link)
    }

    // ---- connects

    pub(super) fn connect(&mut self, now: Instant, endpoint: &Endpoint) -> ConnectId {
        let connect = ConnectId(self.next_connect);
        self.next_connect += 1;
        let id = PipeId(self.name_link());
        let mut pipe = Pipe::new(Origin::Connect(connect), endpoint.clone());
        // SOCK-10, SOCK-16
        pipe.patient = !self.config.immediate && self.keeps_queues();
        self.pipes.insert(id.0, Box::new(pipe));
        self.connects.insert(connect, id);
        self.note_room(id);
        self.dial(now, id, id.0);
        connect
    }

    // SOCK-30
    pub(super) fn disconnect(&mut self, now: Instant, connect: ConnectId) {
        let Some(pipe) = self.connects.remove(&connect) else {
            return;
        };
        self.timers.cancel(Timer::Retry(connect));
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        entry.released = true;
        entry.patient = false;
        let lost = if entry.ready { 0 } else { entry.discard() };
        let endpoint = entry.remote.clone();
        let has_link = entry.link.is_some();
        self.counters.messages_lost += count(lost);
        self.note_no_room(pipe);
        self.tell(Event::Released {
            connect,
            endpoint,
            lost,
        });
        if has_link {
            self.begin_close(now, pipe, Why::Unwanted);
        } else {
            self.forget_if_done(pipe);
        }
    }

    /// Whether messages for somebody who was dialled wait for the next link: not those for a subscriber, who has to say anew what it
    /// wants, and not answers to somebody who is gone.
    const fn keeps_queues(&self) -> bool {
        // SOCK-57
        matches!(
            self.kind,
            Kind::Push | Kind::Dealer | Kind::Req | Kind::Pair | Kind::Router
        )
    }

    fn name_link(&mut self) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        link
    }

    fn dial(&mut self, now: Instant, pipe: PipeId, link: LinkId) {
        let connection = self.connection(now);
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        entry.link = Some(link);
        entry.connected = false;
        entry.signalled = false;
        entry.connection = Some(connection);
        entry.attempts = entry.attempts.saturating_add(1);
        let endpoint = entry.remote.clone();
        if pipe.0 != link {
            self.redialled.insert(link, pipe);
        }
        self.actions.push_back(Action::Dial {
            link,
            endpoint: endpoint.clone(),
        });
        self.tell(Event::Connecting { link, endpoint });
        self.watch(pipe);
    }

    /// It is time to dial again.
    pub(super) fn retry(&mut self, now: Instant, connect: ConnectId) {
        let Some(&pipe) = self.connects.get(&connect) else {
            return;
        };
        let Some(entry) = self.pipes.get(pipe.0) else {
            return;
        };
        let has_room = self
            .config
            .receive
            .has_room(entry.pending_messages(), entry.pending_octets());
        // SOCK-23
        if has_room {
            let link = self.name_link();
            self.dial(now, pipe, link);
        } else {
            // Its messages are not taken: a peer that comes again and again brings no more than one.
            self.retry_later(now, pipe, connect, false);
        }
    }

    fn retry_later(&mut self, now: Instant, pipe: PipeId, connect: ConnectId, in_vain: bool) {
        let random = self.random();
        let backoff = self.config.reconnect;
        let Some(entry) = self.pipes.get(pipe.0) else {
            return;
        };
        // SOCK-6
        let after = if in_vain {
            backoff.delay(u32::MAX, random)
        } else {
            backoff.delay(entry.attempts.saturating_sub(1), random)
        };
        let endpoint = entry.remote.clone();
        self.timers.set(Timer::Retry(connect), now + after);
        self.tell(Event::Retrying {
            connect,
            endpoint,
            after,
        });
    }

    pub(super) fn connected(&mut self, pipe: PipeId) {
        if let Some(entry) = self.pipes.get_mut(pipe.0)
            && let Some(link) = entry.link
            && !entry.connected
        {
            entry.connected = true;
            entry.signal(&mut self.actions);
            let endpoint = entry.remote.clone();
            self.tell(Event::Connected { link, endpoint });
        }
    }

    // ---- connections

    fn connection(&mut self, now: Instant) -> Connection {
        let security = self.security();
        let config = zmtp::Config {
            identity: self.config.identity.clone(),
            security,
            // SOCK-7
            handshake_timeout: self.config.handshake_timeout,
            heartbeat: self.config.heartbeat,
            limits: self.config.limits,
            ..zmtp::Config::new(self.kind.into())
        };
        Connection::new(now, config)
    }

    fn security(&mut self) -> zmtp::Security {
        match &self.config.security {
            Security::Null => zmtp::Security::Null,
            Security::PlainClient { username, password } => zmtp::Security::PlainClient {
                username: username.clone(),
                password: password.clone(),
            },
            Security::PlainServer => zmtp::Security::PlainServer,
            #[cfg(feature = "curve")]
            Security::CurveClient { keys, server } => zmtp::Security::CurveClient {
                keys: keys.clone(),
                server: *server,
                seed: self.seeds.next(),
            },
            #[cfg(feature = "curve")]
            Security::CurveServer { keys } => zmtp::Security::CurveServer {
                keys: keys.clone(),
                seed: self.seeds.next(),
            },
        }
    }

    pub(super) fn verdict(&mut self, now: Instant, pipe: PipeId, verdict: Verdict) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        let Some(connection) = &mut entry.connection else {
            return;
        };
        if entry.ending.is_some() || connection.is_closed() {
            return;
        }
        connection.handle_verdict(now, verdict);
        if connection.is_closed() {
            // SOCK-9
            self.counters.denied += 1;
            self.begin_close(now, pipe, Why::Denied);
        }
    }

    // ---- ends

    /// A connection is of no use any more.
    pub(super) fn fail(&mut self, now: Instant, pipe: PipeId, error: zmtp::Error) {
        debug!(link = %pipe.0, %error, "failed");
        self.counters.failed += 1;
        self.begin_close(now, pipe, Why::Failed(error));
    }

    /// Ends a link, with what is queued for it only if the application said so: else there may be an ERROR to say.
    pub(super) fn begin_close(&mut self, now: Instant, pipe: PipeId, why: Why) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        let Some(link) = entry.link else {
            return;
        };
        if entry.ending.is_some() {
            return;
        }
        let flushes = why == Why::Unwanted && entry.ready;
        entry.ending = Some(why);
        self.unready(pipe);
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        let linger = if flushes {
            self.config.linger
        } else {
            FAREWELL.min(self.config.linger)
        };
        if !flushes && !entry.patient {
            let lost = entry.discard();
            // Told with the end of the link, which is near.
            entry.given_up += lost;
            self.counters.messages_lost += count(lost);
        }
        let has_words = entry.connected
            && entry
                .connection
                .as_ref()
                .is_some_and(|it| it.queued_octets() > 0);
        if !has_words || linger.is_zero() {
            return self.end_link(now, pipe, None);
        }
        entry.signal(&mut self.actions);
        self.timers.set(Timer::Linger(link), now + linger);
    }

    /// A pipe that was ready is so no more.
    fn unready(&mut self, pipe: PipeId) {
        if let Some(entry) = self.pipes.get_mut(pipe.0)
            && core::mem::replace(&mut entry.ready, false)
        {
            self.ready.remove(&pipe);
            self.held.remove(&pipe);
            self.gone.push_back(pipe);
            self.note_no_room(pipe);
        }
    }

    /// Ends a link now. `cut`: the embedder said that it is over, and needs not be told to close it.
    pub(super) fn end_link(&mut self, now: Instant, pipe: PipeId, cut: Option<Cut>) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        if entry.missed_untold > 0 {
            self.tell_missed(pipe, true);
        }
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        let Some(link) = entry.link.take() else {
            return;
        };
        entry.missed = 0;
        entry.wishes = None;
        let was_ready = core::mem::replace(&mut entry.greeted, false);
        let gave_up_queue = !entry.patient;
        let publishes = self.kind.publishes();
        let mut lost = 0;
        if let Some(mut connection) = entry.connection.take() {
            // What a connection that failed had is not there to be counted any more.
            lost += match connection.error() {
                Some(_) => entry.at_stake,
                None => connection.queued_messages(),
            };
            while let Some(event) = connection.poll_event() {
                match event {
                    // A wish ends with its link.
                    zmtp::Event::Message(message) if publishes && Wish::of(&message).is_some() => {}
                    zmtp::Event::Message(message) if !self.takes_at_once && !self.closing => {
                        // SOCK-22
                        entry.keep(message);
                    }
                    _ => {}
                }
            }
        }
        entry.connected = false;
        entry.signalled = false;
        entry.paused = false;
        entry.deadline = None;
        let why = entry.ending.take();
        // SOCK-11
        let given_up = core::mem::take(&mut entry.given_up);
        if gave_up_queue {
            lost += entry.discard();
        }
        // SOCK-5
        let backoff = self.config.reconnect;
        if let Some(since) = entry.ready_at.take()
            && now - since
                >= backoff
                    .delay(entry.attempts.saturating_sub(1), u32::MAX)
                    .min(SETTLED)
        {
            // The next dial is the second one.
            entry.attempts = 1;
        }
        let dialled = entry.is_dialled();
        let in_fair = entry.pending_messages() > 0 && !entry.in_fair;
        if in_fair {
            entry.in_fair = true;
            self.fair.push_back(pipe);
        }
        if !dialled && !was_ready {
            self.unready -= 1;
        }
        let remote = entry.remote.clone();
        self.unready(pipe);
        self.timers.cancel(Timer::Connection(link));
        self.timers.cancel(Timer::Linger(link));
        self.redialled.remove(&link);
        if cut.is_none() {
            self.actions.push_back(Action::Close { link });
        }
        let in_vain = matches!(
            why,
            Some(Why::Failed(
                zmtp::Error::Incompatible(_) | zmtp::Error::Refused { .. }
            ))
        );
        let why = why.or(cut.map(Why::Cut)).unwrap_or(Why::Unwanted);
        self.counters.messages_lost += count(lost);
        let lost = lost + given_up;
        if self.closing {
            self.lost_at_close += lost;
        }
        self.tell(Event::Disconnected {
            link,
            remote,
            was_ready,
            why,
            lost,
        });
        self.after_link(now, pipe, in_vain);
    }

    /// What becomes of a pipe whose link has ended.
    fn after_link(&mut self, now: Instant, pipe: PipeId, in_vain: bool) {
        let Some(entry) = self.pipes.get(pipe.0) else {
            return;
        };
        if let Origin::Connect(connect) = entry.origin
            && !entry.released
            && (!self.closing || (!self.hard && !entry.queue.is_empty()))
        {
            self.note_no_room(pipe);
            self.note_room(pipe);
            return self.retry_later(now, pipe, connect, in_vain);
        }
        self.forget_if_done(pipe);
    }

    /// Forgets a pipe that has no link and nothing left to give, unless it is to be dialled again.
    pub(super) fn forget_if_done(&mut self, pipe: PipeId) {
        let Some(entry) = self.pipes.get(pipe.0) else {
            return;
        };
        let stays = match entry.origin {
            Origin::Connect(_) => !entry.released && !self.closing,
            Origin::Listener(_) => false,
        };
        if stays || entry.link.is_some() || entry.pending_messages() > 0 {
            return;
        }
        let (dialled, in_fair, in_balance) = (entry.is_dialled(), entry.in_fair, entry.in_balance);
        if let Origin::Connect(connect) = entry.origin {
            self.connects.remove(&connect);
            self.timers.cancel(Timer::Retry(connect));
        }
        self.pipes.remove(pipe.0);
        if !dialled {
            self.accepted -= 1;
        }
        if in_fair {
            self.fair.retain(|other| *other != pipe);
        }
        if in_balance {
            self.balance.retain(|other| *other != pipe);
        }
        self.conclude();
    }

    /// For [`close`](Self::close) of patterns.
    pub(super) fn turn_away(&mut self, now: Instant, pipe: PipeId, why: Why, error: Option<&str>) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        if matches!(why, Why::IdentityTaken | Why::PairTaken) {
            self.counters.refused += 1;
        }
        if let Some(connection) = &mut entry.connection {
            if !matches!(why, Why::Displaced | Why::Unwanted) {
                while connection.next_is_message() {
                    drop(connection.poll_event());
                }
            }
            if let Some(reason) = error.and_then(|reason| Text::try_from(reason).ok()) {
                connection.refuse(&reason);
            }
        }
        self.begin_close(now, pipe, why);
    }

    /// For [`redial`](Self::redial).
    pub(super) fn cut_and_redial(&mut self, now: Instant, pipe: PipeId) {
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        let origin = entry.origin;
        entry.forget_leftover();
        self.lose_queue(pipe);
        let Some(entry) = self.pipes.get_mut(pipe.0) else {
            return;
        };
        if let Some(connection) = &mut entry.connection {
            while connection.next_is_message() {
                drop(connection.poll_event());
            }
        }
        entry.attempts = 0;
        entry.ending = Some(Why::Unwanted);
        self.end_link(now, pipe, None);
        if let Origin::Connect(connect) = origin
            && self.connects.contains_key(&connect)
        {
            self.timers.cancel(Timer::Retry(connect));
            self.retry(now, connect);
        }
    }

    // ---- the end

    /// Begins to close everything.
    // SOCK-31
    pub(super) fn close_all(&mut self, now: Instant) {
        if self.closing {
            return;
        }
        self.closing = true;
        self.hard = self.config.linger.is_zero();
        let listeners: Vec<_> = self.listeners.keys().copied().collect();
        for listener in listeners {
            self.unbind(listener);
        }
        self.balance.clear();
        self.fair.clear();
        let pipes: Vec<_> = self.pipes.iter().map(|(link, _)| PipeId(link)).collect();
        if !pipes.is_empty() && !self.hard {
            self.timers.set(Timer::Close, now + self.config.linger);
        }
        for pipe in pipes {
            let Some(entry) = self.pipes.get_mut(pipe.0) else {
                continue;
            };
            entry.in_fair = false;
            entry.in_balance = false;
            entry.forget_leftover();
            let waits = entry.is_dialled() && !entry.queue.is_empty() && !self.hard;
            if entry.ready {
                self.begin_close(now, pipe, Why::Unwanted);
            } else if !waits {
                let ends = entry.ending.is_none();
                if ends {
                    entry.ending = Some(Why::Unwanted);
                }
                self.give_up(pipe);
                if ends {
                    self.end_link(now, pipe, None);
                }
                self.forget_if_done(pipe);
            }
        }
        self.conclude();
    }

    /// The time to close everything is over.
    pub(super) fn close_hard(&mut self, now: Instant) {
        self.hard = true;
        let pipes: Vec<_> = self.pipes.iter().map(|(link, _)| PipeId(link)).collect();
        for pipe in pipes {
            // Before its link ends, with which it may be forgotten.
            self.give_up(pipe);
            self.end_link(now, pipe, None);
            self.forget_if_done(pipe);
        }
        self.conclude();
    }

    /// Drops what waits for somebody who is not there.
    fn give_up(&mut self, pipe: PipeId) {
        if let Some(entry) = self.pipes.get_mut(pipe.0) {
            let lost = entry.discard();
            self.lost_at_close += lost;
            self.counters.messages_lost += count(lost);
        }
    }

    /// Tells that everything is closed, once it is.
    fn conclude(&mut self) {
        if self.closing && !self.closed && self.pipes.is_empty() {
            self.closed = true;
            self.timers.clear();
            let lost = self.lost_at_close;
            self.events.push_back(Event::Closed { lost });
        }
    }
}

/// As counters have it.
fn count(messages: usize) -> u64 {
    crate::wire::primitive::wide(messages)
}
