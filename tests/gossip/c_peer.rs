//! A C participant as CZMQ's zgossip really behaves, with its faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atonce::wire::gossip::{Key, Message, Publish, Value};
use atonce::{Bytes, Instant};

/// After how long a silent client is forgotten.
const TIMEOUT: Duration = Duration::from_secs(1);

/// To whom a C participant says something: a client, or a link of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Client(Bytes),
    Hub(usize),
}

#[derive(Debug)]
struct Client {
    is_connected: bool,
    heard_at: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct CPeer {
    pub(crate) tuples: BTreeMap<Key, Value>,
    clients: BTreeMap<Bytes, Client>,
    hubs: BTreeSet<usize>,
    /// What stood last in the one message that it has for its clients.
    ttl: u32,
    pub(crate) said: Vec<(To, Message)>,
    /// What it told its node.
    pub(crate) delivered: Vec<(Key, Value)>,
}

impl CPeer {
    pub(crate) fn publish(&mut self, now: Instant, key: &Key, value: &Value) {
        self.expire(now);
        self.accept(key, value);
    }

    /// Only its own table forgets it.
    pub(crate) fn unpublish(&mut self, key: &Key) {
        self.tuples.remove(key);
    }

    pub(crate) fn connected(&mut self, now: Instant, hub: usize) {
        self.expire(now);
        self.hubs.insert(hub);
        self.say(To::Hub(hub), Message::Hello(None));
        let all: Vec<_> = self.tuples.clone().into_iter().collect();
        for (key, value) in all {
            self.say(To::Hub(hub), publish(key, value, 0));
        }
    }

    pub(crate) fn disconnected(&mut self, hub: usize) {
        self.hubs.remove(&hub);
    }

    pub(crate) fn hear_hub(&mut self, now: Instant, hub: usize, message: Message) {
        self.expire(now);
        match message {
            Message::Publish(publish) => self.accept(&publish.key, &publish.value),
            Message::Invalid => self.say(To::Hub(hub), Message::Hello(None)),
            _ => {}
        }
    }

    pub(crate) fn hear_client(&mut self, now: Instant, client: &Bytes, message: Message) {
        self.expire(now);
        if let Message::Publish(publish) = &message {
            self.ttl = publish.ttl;
        }
        let state = self.clients.entry(client.clone()).or_insert(Client {
            is_connected: false,
            heard_at: now,
        });
        state.heard_at = now;
        match (state.is_connected, message) {
            (_, Message::Ping) => self.say(To::Client(client.clone()), Message::Pong(None)),
            (false, Message::Hello(_)) => {
                state.is_connected = true;
                let all: Vec<_> = self.tuples.clone().into_iter().collect();
                for (key, value) in all {
                    self.say(To::Client(client.clone()), publish(key, value, self.ttl));
                }
            }
            (true, Message::Publish(publish)) => self.accept(&publish.key, &publish.value),
            _ => self.invalid(client),
        }
    }

    fn invalid(&mut self, client: &Bytes) {
        self.say(To::Client(client.clone()), Message::Invalid);
        self.clients.remove(client);
    }

    fn accept(&mut self, key: &Key, value: &Value) {
        if self.tuples.get(key) == Some(value) {
            return;
        }
        self.tuples.insert(key.clone(), value.clone());
        self.delivered.push((key.clone(), value.clone()));
        let clients: Vec<Bytes> = self.clients.keys().cloned().collect();
        for client in clients {
            if self.clients[&client].is_connected {
                let message = publish(key.clone(), value.clone(), self.ttl);
                self.say(To::Client(client), message);
            } else {
                self.invalid(&client);
            }
        }
        for hub in self.hubs.clone() {
            self.say(To::Hub(hub), publish(key.clone(), value.clone(), 0));
        }
    }

    fn expire(&mut self, now: Instant) {
        self.clients
            .retain(|_, client| now < client.heard_at + TIMEOUT);
    }

    fn say(&mut self, to: To, message: Message) {
        self.said.push((to, message));
    }
}

fn publish(key: Key, value: Value, ttl: u32) -> Message {
    Message::Publish(Publish {
        key,
        value,
        ttl,
        stamp: None,
    })
}
