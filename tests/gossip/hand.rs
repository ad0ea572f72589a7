//! One participant, and neighbours that are driven by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use atonce::gossip::{Action, Config, Event, Gossip, Neighbour, RemoteId, Timer, Unsent};
use atonce::wire::gossip::{Key, Message, ParticipantId, Publish, Stamp, Value};
use atonce::{Frames, Instant};

use crate::network::{key, value};

pub(crate) struct Hand {
    pub(crate) now: Instant,
    pub(crate) gossip: Gossip,
    /// What was said and not looked at.
    said: BTreeMap<Neighbour, Vec<Message>>,
    pub(crate) reconnects: Vec<RemoteId>,
    pub(crate) events: Vec<Event>,
}

pub(crate) fn session(name: &str) -> Neighbour {
    Neighbour::Session(name.to_owned().into())
}

/// Another participant of ours.
pub(crate) fn other(n: u8) -> ParticipantId {
    ParticipantId::from_bytes([n; 16])
}

pub(crate) const CHANGE: u64 = 1 << 24;

pub(crate) fn stamp(generation: u64, n: u8) -> Stamp {
    Stamp {
        generation,
        origin: other(n),
        published: true,
    }
}

pub(crate) fn plain(name: &str, says: &str) -> Message {
    Message::Publish(Publish {
        key: key(name),
        value: value(says),
        ttl: 0,
        stamp: None,
    })
}

pub(crate) fn stamped(name: &str, says: &str, stamp: Stamp) -> Message {
    Message::Publish(Publish {
        key: key(name),
        value: value(says),
        ttl: 60_000,
        stamp: Some(stamp),
    })
}

impl Hand {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = Instant::from_millis(1_000);
        Self {
            now,
            gossip: Gossip::new(now, [42; 32], config),
            said: BTreeMap::new(),
            reconnects: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn publish(&mut self, name: &str, says: &str) {
        let (key, value) = (key(name), value(says));
        self.gossip.publish(self.now, key, value).unwrap();
        self.pump();
    }

    pub(crate) fn unpublish(&mut self, name: &str) -> bool {
        let was = self.gossip.unpublish(self.now, &key(name));
        self.pump();
        was
    }

    /// A hub that is connected, and told HELLO and PING.
    pub(crate) fn hub(&mut self) -> Neighbour {
        let remote = self.gossip.open(self.now);
        self.gossip.handle_connected(self.now, remote);
        self.pump();
        let hub = Neighbour::Remote(remote);
        let hello = Message::Hello(Some(self.gossip.id()));
        assert_eq!(self.told(&hub), [hello, Message::Ping]);
        hub
    }

    /// A hub of another kind that has nothing to tell.
    pub(crate) fn foreign_hub(&mut self) -> Neighbour {
        let hub = self.hub();
        self.say(&hub, Message::Pong(None));
        self.told(&hub);
        hub
    }

    /// One of ours that has nothing to tell.
    pub(crate) fn our_hub(&mut self, n: u8) -> Neighbour {
        let hub = self.hub();
        self.say(&hub, Message::Pong(Some(other(n))));
        self.told(&hub);
        hub
    }

    /// A client that said HELLO long ago.
    pub(crate) fn client(&mut self, name: &str, of: Option<u8>) -> Neighbour {
        let client = session(name);
        self.say(&client, Message::Hello(of.map(other)));
        self.wait(2_000);
        self.told(&client);
        client
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is made on the spot")]
    pub(crate) fn say(&mut self, from: &Neighbour, message: Message) {
        let message = Frames::from(message.encode());
        self.gossip.handle_message(self.now, from, &message);
        self.pump();
    }

    fn pump(&mut self) {
        while let Some((at, _)) = self.gossip.poll_timeout().filter(|(at, _)| *at <= self.now) {
            assert!(at <= self.now);
            self.gossip.handle_timeout(self.now);
        }
        while let Some(action) = self.gossip.poll_action() {
            match action {
                Action::Send { to, message } => {
                    assert_eq!(message.len(), 1);
                    let message = Message::decode(&message[0]).unwrap();
                    self.said.entry(to).or_default().push(message);
                }
                Action::Reconnect { remote } => self.reconnects.push(remote),
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = self.gossip.poll_event() {
            self.events.push(event);
        }
    }

    /// What was said to somebody since this was asked last.
    pub(crate) fn told(&mut self, to: &Neighbour) -> Vec<Message> {
        self.said.remove(to).unwrap_or_default()
    }

    /// What of it was PUBLISH: keys and values.
    pub(crate) fn published(&mut self, to: &Neighbour) -> Vec<(String, String)> {
        let published = self.statements(to).into_iter();
        published
            .map(|it| (it.key.to_string(), it.value.to_string()))
            .collect()
    }

    pub(crate) fn statements(&mut self, to: &Neighbour) -> Vec<Publish> {
        let told = self.told(to).into_iter();
        told.filter_map(|message| match message {
            Message::Publish(publish) => Some(publish),
            _ => None,
        })
        .collect()
    }

    /// Lets time pass, without anything from hubs.
    pub(crate) fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some((at, _)) = self.gossip.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.gossip.handle_timeout(self.now);
            self.pump();
        }
        self.now = end;
        self.pump();
    }

    /// Lets time pass while these hubs answer.
    pub(crate) fn live(&mut self, millis: u64, hubs: &[&Neighbour]) {
        let end = self.now + Duration::from_millis(millis);
        while self.now < end {
            self.wait(100);
            for hub in hubs {
                let message = Frames::from(Message::Pong(None).encode());
                self.gossip.handle_message(self.now, hub, &message);
            }
            self.pump();
        }
    }

    pub(crate) fn holds(&self, name: &str) -> Option<Value> {
        self.gossip.get(&key(name)).cloned()
    }

    pub(crate) fn names(&self) -> Vec<Key> {
        self.gossip.tuples().map(|(key, _)| key.clone()).collect()
    }

    pub(crate) fn unsent(&mut self, to: &Neighbour, message: &Message, why: Unsent) {
        let message = Frames::from(message.encode());
        self.gossip.handle_unsent(self.now, to, &message, why);
        self.pump();
    }

    pub(crate) fn timer(&self) -> Option<Timer> {
        self.gossip.poll_timeout().map(|(_, timer)| timer)
    }
}
