//! Gossip: any messages, and a participant among neighbours who say what they like.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::values;
use crate::Instant;
use crate::gossip::{
    Action, Config, Event, Gossip, Limits, Neighbour, PublishError, RemoteId, Unsent,
};
use crate::wire::Frames;
use crate::wire::gossip::{Key, Message, ParticipantId, Publish, Stamp, Value};

/// A message: what decodes encodes to what decodes to the same, and to no more octets than came.
pub fn gossip(octets: &[u8]) {
    let frame = Bytes::copy_from_slice(octets);
    let message = match Message::decode(&frame) {
        Ok(message) => message,
        Err(error) => {
            let foreign = ["signature", "id", "version", "message"].contains(&error.field);
            assert!(!foreign || !Message::is_gossip(octets), "{error}");
            return values::shown(octets.len(), format_args!("{error} {error:?}"));
        }
    };
    assert!(Message::is_gossip(octets));
    values::shown(octets.len(), format_args!("{message:?}"));
    let encoded = message.encode();
    assert!(octets.starts_with(&encoded), "{message:?}");
    assert_eq!(Message::decode(&encoded).as_ref(), Ok(&message));
    if let Message::Publish(publish) = &message {
        let Publish { key, value, .. } = publish;
        assert_eq!(Key::try_from(key.as_bytes()).as_ref(), Ok(key));
        assert_eq!(Value::try_from(value.as_bytes()).as_ref(), Ok(value));
        values::shown(octets.len(), format_args!("{key} {value}"));
        let void = value.to_void();
        assert!(void.is_void() && void.to_void() == void);
        assert_eq!(value.is_void(), void == *value);
    }
}

const START: Instant = Instant::from_millis(1_000);
const STEPS: usize = 400;
const SESSIONS: [&str; 4] = ["a", "b", "c", "d"];
const KEYS: [&str; 9] = ["0", "1", "2", "3", "4", "5", "6", "7", "own"];
const VALUES: [&str; 6] = ["v", "w", "x", "", "|k", "y|k"];

/// Small, so that they are reached.
fn config() -> Config {
    Config {
        limits: Limits {
            tuples: 6,
            tuples_of_one: 3,
            sessions: 3,
            messages: 300,
            changes: 4,
            penalty: Duration::from_secs(10),
        },
        ..Config::default()
    }
}

/// A schedule for one participant among clients and hubs of any kind, which say what they like, come and go, and do not read.
///
/// - No table contradicts another or goes over its limit, and nothing is due any more after it was done.
/// - What is to be sent is for somebody who is there. Who did not say that he is of ours hears no stamp and no TTL.
/// - What is told of tuples is one story, and ends with what holds.
/// - What was published here holds, or it was told that it is overruled, or it is asserted soon.
/// - When all are gone and nobody confirms anything, nothing is left.
/// - The same twice gives the same.
pub fn gossip_peer(schedule: &[u8]) {
    let is_twice = schedule.last().is_some_and(|last| last & 7 == 7);
    let once = run(schedule);
    if is_twice {
        assert_eq!(once, run(schedule), "the same gives something else");
    }
}

fn run(schedule: &[u8]) -> Vec<Action> {
    let mut u = Unstructured::new(schedule);
    let mut world = World::new();
    for _ in 0..STEPS {
        if u.is_empty() || world.step(&mut u).is_err() {
            break;
        }
        world.gossip.check_invariants();
    }
    world.end();
    world.done
}

struct World {
    now: Instant,
    gossip: Gossip,
    hubs: Vec<(RemoteId, bool)>,
    /// Who has said that he is of ours, since he is there.
    ours: BTreeSet<Neighbour>,
    /// What the application knows by events.
    known: BTreeMap<Key, Value>,
    overruled: BTreeSet<Key>,
    done: Vec<Action>,
}

impl World {
    fn new() -> Self {
        Self {
            now: START,
            gossip: Gossip::new(START, [3; 32], config()),
            hubs: Vec::new(),
            ours: BTreeSet::new(),
            known: BTreeMap::new(),
            overruled: BTreeSet::new(),
            done: Vec::new(),
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let now = self.now;
        match u.int_in_range(0..=19_u8)? {
            0..=7 => {
                let from = self.somebody(u)?;
                let message = self.message(u)?;
                if let Message::Hello(Some(_)) = message
                    && matches!(from, Neighbour::Session(_))
                {
                    self.ours.insert(from.clone());
                }
                if let (Message::Pong(Some(_)), Neighbour::Remote(_)) = (&message, &from) {
                    self.ours.insert(from.clone());
                }
                let message = Frames::from(message.encode());
                self.gossip.handle_message(now, &from, &message);
            }
            8 => {
                let from = self.somebody(u)?;
                let frames: Frames = u.arbitrary()?;
                self.gossip.handle_message(now, &from, &frames);
                // It may have said that it is of ours.
                self.ours.insert(from);
            }
            9 if self.hubs.len() < 3 => self.hubs.push((self.gossip.open(now), false)),
            9 | 10 => {
                if let Some(hub) = pick(u, &mut self.hubs)? {
                    hub.1 = true;
                    let remote = hub.0;
                    self.gossip.handle_connected(now, remote);
                    self.ours.remove(&Neighbour::Remote(remote));
                }
            }
            11 => {
                if let Some(hub) = pick(u, &mut self.hubs)? {
                    hub.1 = false;
                    let remote = hub.0;
                    self.gossip.handle_disconnected(now, remote);
                }
            }
            12 => {
                if u.ratio(1, 4)?
                    && let Some((remote, _)) = self.hubs.pop()
                {
                    self.gossip.close(now, remote);
                }
            }
            13 => {
                let (key, value) = (key(u)?, value(u)?);
                match self.gossip.publish(now, key.clone(), value.clone()) {
                    Ok(()) => assert_eq!(self.gossip.get(&key), Some(&value)),
                    Err(PublishError::Void) => assert!(value.is_void()),
                    Err(PublishError::Full { limit }) => assert_eq!(limit, 6),
                }
                self.overruled.remove(&key);
            }
            14 => {
                let key = key(u)?;
                let was = self.gossip.published().any(|(own, _)| *own == key);
                assert_eq!(self.gossip.unpublish(now, &key), was);
                self.overruled.remove(&key);
            }
            15 => {
                let key = key(u)?;
                match u.int_in_range(0..=2_u8)? {
                    0 => self.gossip.doubt(now, &key),
                    1 => self.gossip.confirm(now, &key),
                    _ => {
                        let own = self.gossip.published().any(|(own, _)| *own == key);
                        self.gossip.refute(now, &key);
                        assert!(own || self.gossip.get(&key).is_none());
                    }
                }
            }
            16 => {
                let to = self.somebody(u)?;
                let message = Frames::from(self.message(u)?.encode());
                let gone = u.ratio(1, 4)?;
                let why = if gone { Unsent::Gone } else { Unsent::Full };
                self.gossip.handle_unsent(now, &to, &message, why);
                if gone {
                    self.left(&to);
                }
            }
            17 => {
                let name = *u.choose(&SESSIONS)?;
                self.gossip.handle_session_gone(now, name.as_bytes());
                self.ours.remove(&Neighbour::Session(name.into()));
            }
            _ => {
                let most = *u.choose(&[100, 2_000, 2_000, 2_000, 40_000, 40_000, 700_000_u64])?;
                let millis = u.int_in_range(0..=most)?;
                self.pass(Duration::from_millis(millis));
            }
        }
        if u.ratio(3, 4)? {
            self.act(u)?;
        }
        if u.ratio(3, 4)? {
            self.listen();
        }
        Ok(())
    }

    fn left(&mut self, who: &Neighbour) {
        self.ours.remove(who);
        if let Neighbour::Remote(remote) = who {
            for hub in &mut self.hubs {
                hub.1 &= hub.0 != *remote;
            }
        }
    }

    fn somebody(&mut self, u: &mut Unstructured<'_>) -> Result<Neighbour> {
        if u.arbitrary()?
            && let Some((remote, _)) = pick(u, &mut self.hubs)?
        {
            return Ok(Neighbour::Remote(*remote));
        }
        Ok(Neighbour::Session((*u.choose(&SESSIONS)?).into()))
    }

    fn message(&self, u: &mut Unstructured<'_>) -> Result<Message> {
        let id = |u: &mut Unstructured<'_>| -> Result<ParticipantId> {
            if u.ratio(1, 16)? {
                return Ok(self.gossip.id());
            }
            Ok(ParticipantId::from_bytes([u.arbitrary()?; 16]))
        };
        Ok(match u.int_in_range(0..=9_u8)? {
            0 => Message::Hello(None),
            1 => Message::Hello(Some(id(u)?)),
            2 => Message::Ping,
            3 => Message::Pong(None),
            4 => Message::Pong(Some(id(u)?)),
            5 => Message::Invalid,
            _ => {
                let stamp = if u.arbitrary()? {
                    let generations = [u64::from(u.arbitrary::<u8>()?) << 22, Stamp::LIMIT];
                    Some(Stamp {
                        generation: generations[usize::from(u.ratio(1, 16)?)],
                        origin: id(u)?,
                        published: u.arbitrary()?,
                    })
                } else {
                    None
                };
                Message::Publish(Publish {
                    key: key(u)?,
                    value: value(u)?,
                    ttl: *u.choose(&[0, 1, 5_000, 60_000, u32::MAX])?,
                    stamp,
                })
            }
        })
    }

    fn act(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        // What a table of six can give each of six neighbours to hear, many times over.
        let mut left = 1_000;
        while let Some(action) = self.gossip.poll_action() {
            left -= 1;
            assert!(left > 0, "it does not end: {action:?}");
            self.done.push(action.clone());
            match &action {
                Action::Send { to, message } => {
                    self.said(to, message);
                    if u.ratio(1, 32)? {
                        self.gossip
                            .handle_unsent(self.now, to, message, Unsent::Full);
                    }
                }
                Action::Reconnect { remote } => {
                    assert!(self.hubs.iter().any(|(hub, _)| hub == remote));
                }
            }
        }
        Ok(())
    }

    fn said(&self, to: &Neighbour, message: &Frames) {
        match to {
            Neighbour::Session(name) => {
                assert!(SESSIONS.iter().any(|session| name == session));
            }
            Neighbour::Remote(remote) => {
                assert!(self.hubs.contains(&(*remote, true)), "{to:?} is not there");
            }
        }
        let message = Message::decode(&message[0]);
        let message = message.unwrap_or_else(|error| panic!("{error}"));
        if let Message::Publish(publish) = message {
            let ours = publish.stamp.is_some();
            assert_eq!(ours, publish.ttl > 0);
            assert!(!ours || self.ours.contains(to), "a stamp for {to:?}");
            assert!(publish.ttl <= 600_000);
        }
    }

    fn listen(&mut self) {
        while let Some(event) = self.gossip.poll_event() {
            match event {
                Event::Published { key, value } => {
                    assert!(!value.is_void());
                    assert_eq!(self.known.insert(key, value), None);
                }
                Event::Changed { key, value, before } => {
                    assert!(!value.is_void() && value != before);
                    assert_eq!(self.known.insert(key, value), Some(before));
                }
                Event::Unpublished { key, before, end } => {
                    values::shown(8, format_args!("{end}"));
                    assert_eq!(self.known.remove(&key), Some(before));
                }
                Event::Overruled { key, ours, theirs } => {
                    assert_ne!(ours, theirs);
                    self.overruled.insert(key);
                }
                Event::Restored { key } => {
                    self.overruled.remove(&key);
                }
                Event::Synced { remote, .. } | Event::Itself { remote } => {
                    values::shown(8, format_args!("{remote}"));
                }
                Event::Refused { .. } => {}
            }
        }
        let own: BTreeMap<_, _> = self.gossip.published().collect();
        self.known.retain(|key, _| !own.contains_key(key));
        let others = self.gossip.tuples();
        let others = others.filter(|(key, _)| !own.contains_key(key));
        assert!(others.eq(&self.known), "events and tables differ");
        for (key, value) in self.gossip.tuples() {
            assert!(self.gossip.keys_with(value).any(|other| other == key));
            assert!(self.gossip.get(key) == Some(value));
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        // Six tuples and seven neighbours, of whom each may be due thirty times a second for a while.
        let mut left = 100_000;
        while let Some((at, _)) = self.gossip.poll_timeout().filter(|(at, _)| *at <= end) {
            left -= 1;
            assert!(left > 0, "{at} is due again and again");
            self.now = self.now.max(at);
            self.gossip.handle_timeout(self.now);
            let next = self.gossip.poll_timeout();
            assert!(next.is_none_or(|(next, _)| next > self.now), "{next:?}");
        }
        self.now = end;
    }

    fn end(&mut self) {
        self.listen();
        for name in SESSIONS {
            self.gossip.handle_session_gone(self.now, name.as_bytes());
        }
        for (remote, _) in core::mem::take(&mut self.hubs) {
            self.gossip.close(self.now, remote);
        }
        // Alone, nobody contests what is published here.
        self.pass(Duration::from_secs(700));
        self.listen();
        let own: BTreeMap<Key, Value> = self
            .gossip
            .published()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for (key, value) in &own {
            let holds = self.gossip.get(key) == Some(value);
            let confirmed = self.gossip.get(key).is_some();
            assert!(holds || confirmed, "{key} is lost");
        }
        self.gossip.leave(self.now);
        for name in KEYS {
            let key = name.parse().unwrap_or_else(|_| panic!("{name}"));
            self.gossip.doubt(self.now, &key);
        }
        self.pass(Duration::from_secs(700));
        self.pass(Duration::from_secs(700));
        self.listen();
        self.gossip.check_invariants();
        assert_eq!(self.gossip.tuples().count(), 0);
        assert_eq!(self.gossip.poll_timeout(), None, "something is left");
        assert_eq!(
            (self.gossip.sessions(), self.gossip.poll_action()),
            (0, None)
        );
        let counters = format!("{:?}", self.gossip.counters());
        assert!(!counters.to_string().is_empty());
    }
}

fn key(u: &mut Unstructured<'_>) -> Result<Key> {
    let name = *u.choose(&KEYS)?;
    name.parse().map_err(|_| arbitrary::Error::IncorrectFormat)
}

fn value(u: &mut Unstructured<'_>) -> Result<Value> {
    let text = *u.choose(&VALUES)?;
    text.parse().map_err(|_| arbitrary::Error::IncorrectFormat)
}

fn pick<'a, T>(u: &mut Unstructured<'_>, from: &'a mut [T]) -> Result<Option<&'a mut T>> {
    if from.is_empty() {
        return Ok(None);
    }
    let at = u.choose_index(from.len())?;
    Ok(from.get_mut(at))
}
