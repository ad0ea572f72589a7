//! What the applications say and hear, and what has to be true of it.

use alloc::vec::Vec;

use bytes::Bytes;

use super::super::sockets::TOPICS;
use super::host::identity_of;
use super::{AT_ONCE, HEALING, Said, World};
use crate::socket::{Kind, RecvError, SendError, SubscribeError};
use crate::wire::Frames;

/// The frame that tells one message from all others.
const MARK: &[u8] = b"#message";

fn mark(id: u64) -> Bytes {
    let mut octets = Vec::from(MARK);
    octets.extend(id.to_be_bytes());
    octets.into()
}

fn read_mark(frame: &Bytes) -> Option<u64> {
    let id = frame.strip_prefix(MARK)?;
    Some(u64::from_be_bytes(id.try_into().ok()?))
}

/// Which message it is, and how many frames stand before that.
fn find(message: &Frames) -> Option<(usize, u64)> {
    let mut frames = message.iter().enumerate();
    frames.find_map(|(at, frame)| Some((at, read_mark(frame)?)))
}

impl World {
    /// A message with a name of its own, as it is to arrive: the frames from its mark on.
    fn compose(
        &mut self,
        number: usize,
        to: Option<usize>,
        answers: Option<u64>,
        size: usize,
    ) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let mut message = Frames::from(mark(id));
        message.extend(answers.map(mark));
        if size > 0 {
            message.push(alloc::vec![id.to_le_bytes()[0]; size]);
        }
        let said = Said {
            from: number,
            topic: None,
            message,
            to,
            answers,
        };
        self.said.insert(id, said);
        id
    }

    /// Sends something new behind an envelope; whether it was taken.
    fn send(
        &mut self,
        number: usize,
        envelope: Frames,
        to: Option<usize>,
        answers: Option<u64>,
        size: usize,
    ) -> Result<u64, SendError> {
        let now = self.now;
        let id = self.compose(number, to, answers, size);
        let mut message = envelope;
        message.extend(self.said[&id].message.iter().cloned());
        let host = &mut self.hosts[number];
        let Some(socket) = &mut host.socket else {
            return Err(SendError::Closed);
        };
        let can = socket.can_send();
        let sent = socket.send(now, &message);
        match &sent {
            // Whoever wants it may have room while somebody else has none (PUB).
            Ok(()) => assert!(
                can || matches!(host.kind, Kind::Pub | Kind::XPub),
                "it said that it could not"
            ),
            Err(SendError::Full | SendError::OutOfTurn) => {
                assert!(!can || host.kind == Kind::Router, "it said that it could");
            }
            Err(_) => {}
        }
        self.note(format_args!("{number} sends {id}: {sent:?}"));
        if sent.is_err() {
            self.said.remove(&id);
        }
        sent.map(|()| id)
    }

    /// The application of a seat says something that begins a talk.
    pub(super) fn say(&mut self, seat: usize, choice: usize, size: usize) {
        let number = self.seats[seat];
        let kind = self.hosts[number].kind;
        match kind {
            Kind::Push | Kind::Pair => {
                let _ = self.send(number, Frames::new(), None, None, size);
            }
            Kind::Dealer => {
                let mut envelope = Frames::new();
                if self.peer_kind_of(seat) == Kind::Rep {
                    envelope.push(Bytes::new());
                }
                let _ = self.send(number, envelope, None, None, size);
            }
            Kind::Req => {
                let asked = self.send(number, Frames::new(), None, None, size);
                let host = &mut self.hosts[number];
                match asked {
                    Ok(id) => {
                        assert_eq!(host.asked, None, "a question before the answer");
                        host.asked = Some(id);
                    }
                    Err(SendError::OutOfTurn) => assert!(host.asked.is_some(), "it may ask"),
                    Err(_) => {}
                }
            }
            Kind::Router => {
                let known = &self.hosts[number].known;
                if known.is_empty() || self.peer_kind_of(seat) == Kind::Req {
                    return;
                }
                let at = choice % known.len();
                if let Some((identity, there)) = known.iter().nth(at) {
                    let (identity, there) = (identity.clone(), *there);
                    let sent = self.send(number, Frames::from(identity.clone()), there, None, size);
                    if sent == Err(SendError::Unroutable) && there.is_none() {
                        self.hosts[number].known.remove(&identity);
                    }
                }
            }
            Kind::Pub | Kind::XPub => {
                let topic = Bytes::from_static(TOPICS[choice % TOPICS.len()]);
                let sent = self.send(number, Frames::from(topic.clone()), None, None, size);
                if let Some(said) = sent.ok().and_then(|id| self.said.get_mut(&id)) {
                    said.topic = Some(topic);
                }
            }
            Kind::Rep | Kind::Pull | Kind::Sub | Kind::XSub => {}
        }
    }

    /// A message left a socket as a whole.
    pub(super) fn carry(
        &mut self,
        wire: u32,
        end: usize,
        from: usize,
        to: Option<usize>,
        message: &Frames,
    ) {
        let Some((at, id)) = find(message) else {
            panic!("nobody said {message:.100?}");
        };
        let said = &self.said[&id];
        assert_eq!(said.from, from, "somebody else said {id}");
        assert_eq!(message[at..], said.message[..], "{id} was changed");
        let Some(pipe) = self.wires.get_mut(&wire).map(|wire| &mut wire.pipes[end]) else {
            return;
        };
        pipe.messages += 1;
        if let Some(to) = to {
            let before = self.carried.insert((id, to), (wire, pipe.messages));
            assert_eq!(before, None, "{id} was sent twice");
        }
    }

    /// The application takes what came, when it does by itself, and answers; whether anything happened.
    pub(super) fn live(&mut self, number: usize) -> bool {
        if !self.hosts[number].eager || self.hosts[number].closing {
            return false;
        }
        let mut any = false;
        while self.receive(number) {
            any = true;
            self.answer(number);
        }
        any |= self.answer(number);
        any
    }

    /// Takes one message; whether there was one.
    pub(super) fn receive(&mut self, number: usize) -> bool {
        let now = self.now;
        let host = &mut self.hosts[number];
        if host.closing {
            return false;
        }
        let Some(socket) = &mut host.socket else {
            return false;
        };
        let can = socket.can_recv();
        match socket.recv(now) {
            Ok(Some(message)) => {
                assert!(can, "it said that there was nothing");
                self.note(format_args!("{number} receives {message:.100?}"));
                self.hear(number, message);
                true
            }
            Ok(None) => false,
            Err(RecvError::PeerLost) => {
                assert!(self.disturbed, "nobody was lost");
                assert!(host.asked.take().is_some(), "nothing was asked");
                self.note(format_args!("{number} has lost who was to answer"));
                true
            }
            Err(RecvError::OutOfTurn) => {
                assert!(!can);
                match host.kind {
                    Kind::Req => assert_eq!(host.asked, None, "it waits for an answer"),
                    Kind::Rep => assert!(!host.owed.is_empty(), "it owes no answer"),
                    kind => panic!("{kind} knows no turns"),
                }
                false
            }
            Err(error) => {
                assert_eq!(error, RecvError::NotReceiving);
                assert!(matches!(host.kind, Kind::Push | Kind::Pub));
                false
            }
        }
    }

    fn hear(&mut self, number: usize, mut message: Frames) {
        let host = &mut self.hosts[number];
        if host.kind == Kind::XPub {
            let wish = message.first().and_then(|frame| frame.split_first());
            let Some((0 | 1, prefix)) = wish else {
                panic!("no wish: {message:?}");
            };
            assert!(
                message.len() == 1 && TOPICS.contains(&prefix),
                "{message:?}"
            );
            return;
        }
        let Some((at, id)) = find(&message) else {
            panic!("nobody said {message:.100?}");
        };
        let said = &self.said[&id];
        assert_eq!(message[at..], said.message[..], "{id} was changed");
        assert!(host.received.insert(id), "{id} came twice");
        let seat = host.seat;
        assert!(
            said.to.is_none_or(|to| to == seat),
            "{id} is not for {seat}"
        );
        let Some((wire, place)) = self.carried.get(&(id, number)).copied() else {
            panic!("{id} did not come over any connection to {number}");
        };
        let before = self.arrived.insert((wire, number), place);
        assert!(before < Some(place), "{id} comes after what was said later");
        let (from, answers) = (said.from, said.answers);
        let from_seat = self.hosts[from].seat;
        let is_named = self.named;
        let host = &mut self.hosts[number];
        let envelope: Frames = core::iter::from_fn(|| message.pop_front())
            .take(at)
            .collect();
        match host.kind {
            Kind::Sub | Kind::XSub => {
                let topic = envelope.first().expect("a topic");
                let mut wanted = host.wanted_once.iter();
                assert!(
                    wanted.any(|prefix| topic.starts_with(prefix)),
                    "nobody wants {topic:?}"
                );
            }
            Kind::Req => {
                assert!(envelope.is_empty(), "{envelope:?}");
                let asked = host.asked.take();
                // A ROUTER sends an answer to whoever has the name of the one who asked: without a number it is taken for what was
                // asked since.
                if self.named && self.types.1 == Kind::Router && !self.config.correlate {
                    assert!(asked.is_some(), "nothing was asked");
                    return;
                }
                assert!(
                    asked.is_some() && asked == answers,
                    "{answers:?} for {asked:?}"
                );
            }
            Kind::Rep => {
                assert!(envelope.is_empty() && host.owed.is_empty());
                host.owed.push_back((envelope, id));
            }
            Kind::Router => {
                let identity = envelope.first().expect("an identity");
                let is_told =
                    is_named && matches!(self.types.0, Kind::Dealer | Kind::Req | Kind::Router);
                if is_told {
                    assert_eq!(identity[..], identity_of(from_seat).as_bytes()[..]);
                } else {
                    assert_eq!((identity.len(), identity.first()), (5, Some(&0)));
                }
                host.known
                    .insert(identity.clone(), is_told.then_some(from_seat));
                if self.types.0 == Kind::Req {
                    host.owed.push_back((envelope, id));
                }
            }
            Kind::Dealer if self.types.1 == Kind::Rep => {
                assert!(
                    envelope.len() == 1 && envelope[0].is_empty(),
                    "{envelope:?}"
                );
                let question = answers.and_then(|question| self.said.get(&question));
                assert!(question.is_some_and(|question| question.from == number));
                let is_first = answers.is_some_and(|question| self.answered.insert(question));
                assert!(is_first, "two answers to {answers:?}");
            }
            _ => assert!(envelope.is_empty(), "{envelope:?}"),
        }
    }

    /// Answers what was asked first, if anything was; whether it did, or knows that nobody waits for it.
    pub(super) fn answer(&mut self, number: usize) -> bool {
        let host = &self.hosts[number];
        let Some((envelope, question)) = host.owed.front().cloned() else {
            return false;
        };
        if host.closing || host.socket.is_none() {
            return false;
        }
        let asker = self.hosts[self.said[&question].from].seat;
        match self.send(number, envelope, Some(asker), Some(question), 0) {
            Ok(_) => {}
            Err(SendError::PeerLost) => {
                assert!(self.hosts[number].kind == Kind::Rep && self.disturbed);
            }
            Err(SendError::Unroutable) => {
                assert!(self.hosts[number].kind == Kind::Router && self.disturbed);
            }
            // Of a ROUTER whose peer is slow: later.
            Err(SendError::Full) => return false,
            Err(error) => panic!("{error}"),
        }
        self.hosts[number].owed.pop_front();
        true
    }

    /// Nobody answers some questions: who waits asks no more, and is connected anew.
    pub(super) fn give_up_questions(&mut self) {
        let now = self.now;
        for host in &mut self.hosts {
            if let Some(socket) = &mut host.socket
                && host.asked.take().is_some()
            {
                socket.reset(now);
            }
        }
        self.settle();
        self.run_until(now + HEALING);
    }

    // ---- wishes

    pub(super) fn want(&mut self, seat: usize, prefix: &'static [u8], wanted: bool) {
        let now = self.now;
        let host = self.host_mut(seat);
        if host.closing || !matches!(host.kind, Kind::Sub | Kind::XSub) {
            return;
        }
        let Some(socket) = &mut host.socket else {
            return;
        };
        let prefix = Bytes::from_static(prefix);
        if wanted {
            assert_eq!(socket.subscribe(now, prefix.clone()), Ok(()));
            host.wanted.push(prefix.clone());
            host.wanted_once.insert(prefix.clone());
        } else {
            let place = host.wanted.iter().position(|other| *other == prefix);
            let said = socket.unsubscribe(now, &prefix);
            match place {
                Some(place) => {
                    assert_eq!(said, Ok(()));
                    host.wanted.remove(place);
                    host.unsubscribed = true;
                }
                None => assert_eq!(said, Err(SubscribeError::NotSubscribed)),
            }
        }
        self.note(format_args!("{seat} wants {prefix:?}: {wanted}"));
    }

    // ---- in the end

    /// Unless a peer was lost, all that was sent is there.
    pub(super) fn is_whole(&self) {
        if self.disturbed {
            return;
        }
        for (id, to) in self.carried.keys() {
            let host = &self.hosts[*to];
            let arrived = host.received.contains(id);
            assert!(arrived || host.unsubscribed, "{id} did not come to {to}");
        }
        let directed = !matches!(self.types.0, Kind::Pub | Kind::XPub);
        for (id, said) in self.said.iter().filter(|_| directed) {
            let mut hosts = self.hosts.iter();
            let arrived = hosts.any(|host| host.received.contains(id));
            assert!(arrived, "{id} of {} is lost", said.from);
        }
    }

    /// What is said now comes at once, to whom it is for.
    pub(super) fn talk(&mut self) {
        for seat in 0..self.seats.len() {
            let number = self.seats[seat];
            assert!(
                self.hosts[number].owed.is_empty(),
                "{number} owes an answer"
            );
            assert_eq!(self.hosts[number].asked, None, "{number} waits for ever");
            let often = match self.hosts[number].kind {
                Kind::Router => self.hosts[number].known.len(),
                Kind::Pub | Kind::XPub => TOPICS.len(),
                _ => 3,
            };
            for choice in 0..often {
                let before = self.next_id;
                self.say(seat, choice, 5);
                self.settle();
                self.run_until(self.now + AT_ONCE);
                for id in before..self.next_id {
                    self.has_arrived(id, seat);
                }
            }
        }
    }

    /// It came to one, or to each one that wants it.
    fn has_arrived(&self, id: u64, seat: usize) {
        let Some(said) = self.said.get(&id) else {
            let kind = self.kind_of(seat);
            // Somebody whom it knew of old is not there any more, or answers to nobody.
            assert!(kind == Kind::Router, "{seat} could not say {id}");
            return;
        };
        let received = |seat: usize| self.host(seat).received.contains(&id);
        let others = self.others(self.hosts[said.from].seat);
        if let Some(topic) = &said.topic {
            for other in others {
                let mut wanted = self.host(other).wanted.iter();
                let is_wanted = wanted.any(|prefix| topic.starts_with(prefix));
                assert_eq!(received(other), is_wanted, "{topic:?} to {other}");
            }
            return;
        }
        let heard = others.iter().filter(|it| received(**it)).count();
        assert_eq!(heard, 1, "{id} of {seat} is heard by {heard} of {others:?}");
    }
}
