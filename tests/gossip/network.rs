//! Participants of ours and C ones, with links between them, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use atonce::gossip::{Action, Config, Event, Gossip, Neighbour, RemoteId, Unsent};
use atonce::wire::gossip::{Key, Message, Value};
use atonce::{Bytes, Frames, Instant};

use crate::c_peer::{CPeer, To};

pub(crate) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(crate) fn value(text: &str) -> Value {
    text.parse().unwrap()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(crate) enum Kind {
    Ours(Gossip),
    C(CPeer),
}

#[derive(Debug)]
struct Link {
    client: usize,
    server: usize,
    /// The name of the hub at a client of ours.
    remote: Option<RemoteId>,
    is_up: bool,
    /// Which connection it is, so that what was on its way in another one is lost.
    connection: u32,
    latency: Duration,
}

#[derive(Debug)]
enum Due {
    Connected {
        link: usize,
        connection: u32,
    },
    Message {
        link: usize,
        connection: u32,
        to_server: bool,
        message: Frames,
    },
}

#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: Instant,
    pub(crate) all: Vec<Kind>,
    links: Vec<Link>,
    due: BTreeMap<(Instant, u64), Due>,
    count: u64,
    seed: u8,
    /// How many PUBLISH went to whom, since it was last asked.
    pub(crate) published_to: BTreeMap<usize, u64>,
    pub(crate) events: BTreeMap<usize, Vec<Event>>,
    pub(crate) config: Config,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self {
            now: Instant::from_millis(1_000),
            all: Vec::new(),
            links: Vec::new(),
            due: BTreeMap::new(),
            count: 0,
            seed: 0,
            published_to: BTreeMap::new(),
            events: BTreeMap::new(),
            config: Config::default(),
        }
    }

    fn fresh(&mut self) -> Gossip {
        self.seed += 1;
        Gossip::new(self.now, [self.seed; 32], self.config.clone())
    }

    pub(crate) fn ours(&mut self) -> usize {
        let gossip = self.fresh();
        self.all.push(Kind::Ours(gossip));
        self.all.len() - 1
    }

    pub(crate) fn c(&mut self) -> usize {
        self.all.push(Kind::C(CPeer::default()));
        self.all.len() - 1
    }

    pub(crate) fn gossip(&mut self, n: usize) -> &mut Gossip {
        match &mut self.all[n] {
            Kind::Ours(gossip) => gossip,
            Kind::C(peer) => panic!("{peer:?}"),
        }
    }

    pub(crate) fn is_ours(&self, n: usize) -> bool {
        matches!(self.all[n], Kind::Ours(_))
    }

    pub(crate) fn publish(&mut self, n: usize, key: &Key, value: &Value) {
        let now = self.now;
        match &mut self.all[n] {
            Kind::Ours(gossip) => gossip.publish(now, key.clone(), value.clone()).unwrap(),
            Kind::C(peer) => peer.publish(now, key, value),
        }
        self.pump();
    }

    pub(crate) fn unpublish(&mut self, n: usize, key: &Key) {
        let now = self.now;
        match &mut self.all[n] {
            Kind::Ours(gossip) => assert!(gossip.unpublish(now, key)),
            Kind::C(peer) => peer.unpublish(key),
        }
        self.pump();
    }

    /// A link, which begins to connect.
    pub(crate) fn link(&mut self, client: usize, server: usize, latency: Duration) -> usize {
        let now = self.now;
        let remote = match &mut self.all[client] {
            Kind::Ours(gossip) => Some(gossip.open(now)),
            Kind::C(_) => None,
        };
        self.links.push(Link {
            client,
            server,
            remote,
            is_up: false,
            connection: 0,
            latency,
        });
        self.connect(self.links.len() - 1);
        self.links.len() - 1
    }

    pub(crate) fn connect(&mut self, link: usize) {
        let it = &mut self.links[link];
        if it.is_up {
            return;
        }
        it.is_up = true;
        it.connection += 1;
        let (connection, latency) = (it.connection, it.latency);
        self.push(latency, Due::Connected { link, connection });
    }

    pub(crate) fn cut(&mut self, link: usize) {
        let now = self.now;
        let it = &mut self.links[link];
        if !it.is_up {
            return;
        }
        it.is_up = false;
        let (client, remote) = (it.client, it.remote);
        match &mut self.all[client] {
            Kind::Ours(gossip) => gossip.handle_disconnected(now, remote.unwrap()),
            Kind::C(peer) => peer.disconnected(link),
        }
        self.pump();
    }

    /// Dies, and is there again with nothing that it knew. Its links connect again.
    pub(crate) fn restart(&mut self, n: usize) {
        let links: Vec<usize> = (0..self.links.len()).collect();
        let of: Vec<usize> = links
            .into_iter()
            .filter(|link| self.links[*link].client == n || self.links[*link].server == n)
            .collect();
        let up: Vec<usize> = of
            .iter()
            .copied()
            .filter(|link| self.links[*link].is_up)
            .collect();
        for link in &up {
            self.cut(*link);
        }
        self.all[n] = match self.all[n] {
            Kind::Ours(_) => Kind::Ours(self.fresh()),
            Kind::C(_) => Kind::C(CPeer::default()),
        };
        let now = self.now;
        for link in of {
            if self.links[link].client == n
                && let Kind::Ours(gossip) = &mut self.all[n]
            {
                self.links[link].remote = Some(gossip.open(now));
            }
        }
        self.events.remove(&n);
        for link in up {
            self.connect(link);
        }
    }

    fn push(&mut self, after: Duration, due: Due) {
        self.count += 1;
        self.due.insert((self.now + after, self.count), due);
    }

    fn session(&self, link: usize) -> Bytes {
        let connection = self.links[link].connection;
        Bytes::from(format!("\0{link}/{connection}"))
    }

    fn link_of(&self, server: usize, session: &Bytes) -> Option<usize> {
        (0..self.links.len()).find(|link| {
            let it = &self.links[*link];
            it.server == server && it.is_up && self.session(*link) == *session
        })
    }

    fn send(&mut self, link: usize, to_server: bool, message: Frames) {
        let it = &self.links[link];
        let to = if to_server { it.server } else { it.client };
        if matches!(Message::decode(&message[0]), Ok(Message::Publish(_))) {
            *self.published_to.entry(to).or_default() += 1;
        }
        let (connection, latency) = (it.connection, it.latency);
        self.push(
            latency,
            Due::Message {
                link,
                connection,
                to_server,
                message,
            },
        );
    }

    /// Does all that is to be done now.
    pub(crate) fn pump(&mut self) {
        for n in 0..self.all.len() {
            loop {
                match &mut self.all[n] {
                    Kind::Ours(gossip) => {
                        let Some(action) = gossip.poll_action() else {
                            let events = std::iter::from_fn(|| gossip.poll_event());
                            self.events.entry(n).or_default().extend(events);
                            break;
                        };
                        self.act(n, action);
                    }
                    Kind::C(peer) => {
                        let said = std::mem::take(&mut peer.said);
                        if said.is_empty() {
                            break;
                        }
                        for (to, message) in said {
                            let message = Frames::from(message.encode());
                            match to {
                                To::Hub(link) if self.links[link].is_up => {
                                    self.send(link, true, message);
                                }
                                To::Hub(_) => {}
                                To::Client(session) => {
                                    if let Some(link) = self.link_of(n, &session) {
                                        self.send(link, false, message);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn act(&mut self, n: usize, action: Action) {
        let now = self.now;
        match action {
            Action::Send { to, message } => {
                let link = match &to {
                    Neighbour::Session(session) => self.link_of(n, session),
                    Neighbour::Remote(remote) => (0..self.links.len()).find(|link| {
                        let it = &self.links[*link];
                        it.client == n && it.remote == Some(*remote) && it.is_up
                    }),
                };
                match link {
                    Some(link) => {
                        let to_server = matches!(to, Neighbour::Remote(_));
                        self.send(link, to_server, message);
                    }
                    None => self
                        .gossip(n)
                        .handle_unsent(now, &to, &message, Unsent::Gone),
                }
            }
            Action::Reconnect { remote } => {
                let links = 0..self.links.len();
                let mut links = links.filter(|link| {
                    self.links[*link].client == n && self.links[*link].remote == Some(remote)
                });
                let link = links.next().unwrap();
                self.cut(link);
                self.connect(link);
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.pump();
        loop {
            let first = self.due.first_key_value().map(|((at, _), _)| *at);
            let timeouts = self.all.iter().filter_map(|it| match it {
                Kind::Ours(gossip) => gossip.poll_timeout().map(|(at, _)| at),
                Kind::C(_) => None,
            });
            let next = timeouts.chain(first).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            let now = self.now;
            for it in &mut self.all {
                if let Kind::Ours(gossip) = it {
                    gossip.handle_timeout(now);
                }
            }
            while let Some(entry) = self.due.first_entry()
                && entry.key().0 <= now
            {
                let due = entry.remove();
                self.deliver(due);
            }
            self.pump();
        }
    }

    fn deliver(&mut self, due: Due) {
        let now = self.now;
        match due {
            Due::Connected { link, connection } => {
                let it = &self.links[link];
                if !it.is_up || it.connection != connection {
                    return;
                }
                let remote = it.remote;
                match &mut self.all[it.client] {
                    Kind::Ours(gossip) => gossip.handle_connected(now, remote.unwrap()),
                    Kind::C(peer) => peer.connected(now, link),
                }
            }
            Due::Message {
                link,
                connection,
                to_server,
                message,
            } => {
                let it = &self.links[link];
                if !it.is_up || it.connection != connection {
                    return;
                }
                let session = self.session(link);
                let (remote, to) = (it.remote, if to_server { it.server } else { it.client });
                let from = match (to_server, remote) {
                    (true, _) => Neighbour::Session(session.clone()),
                    (false, Some(remote)) => Neighbour::Remote(remote),
                    (false, None) => Neighbour::Session(session.clone()),
                };
                match &mut self.all[to] {
                    Kind::Ours(gossip) => gossip.handle_message(now, &from, &message),
                    Kind::C(peer) => {
                        let message = Message::decode(&message[0]).unwrap();
                        if to_server {
                            peer.hear_client(now, &session, message);
                        } else {
                            peer.hear_hub(now, link, message);
                        }
                    }
                }
            }
        }
    }

    /// What holds there.
    pub(crate) fn table(&self, n: usize) -> BTreeMap<String, String> {
        let text = |(key, value): (&Key, &Value)| (key.to_string(), value.to_string());
        match &self.all[n] {
            Kind::Ours(gossip) => gossip.tuples().map(text).collect(),
            Kind::C(peer) => {
                let live = peer.tuples.iter().filter(|(_, value)| !value.is_void());
                live.map(text).collect()
            }
        }
    }
}
