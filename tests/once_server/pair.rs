//! Two sides, and what is between them.

use atonce::curve::PublicKey;
use atonce::once::session::{Config, Heard, Output, Sessions};
use atonce::once::{Limits, Mechanism, Role};
use atonce::wire::once::{Message, V2};
use atonce::{Frames, Instant, Peer};

use crate::{content, peer, short};

/// One who has sessions, and how others see it.
pub(crate) struct Side {
    pub(crate) sessions: Sessions,
    pub(crate) peer: Peer,
    pub(crate) key: Option<PublicKey>,
    /// What it told, without what it said.
    told: Vec<String>,
}

impl Side {
    pub(crate) fn new(octet: u8, role: Role, mechanisms: Vec<Mechanism>) -> Self {
        Self::with(octet, role, None, mechanisms, Limits::default())
    }

    pub(crate) fn with(
        octet: u8,
        role: Role,
        key: Option<PublicKey>,
        mechanisms: Vec<Mechanism>,
        limits: Limits,
    ) -> Self {
        let peer = peer(octet, role);
        let config = Config {
            id: peer.id,
            key,
            role,
            mechanisms,
            limits,
        };
        Self {
            sessions: Sessions::new([octet; 32], config),
            peer,
            key,
            told: Vec::new(),
        }
    }

    pub(crate) fn enters(&mut self, now: Instant, other: &Peer, key: Option<PublicKey>) {
        self.sessions.handle_entered(now, other, key);
    }

    /// The other side says something.
    pub(crate) fn hears(
        &mut self,
        now: Instant,
        other: &Peer,
        message: impl Into<Message>,
    ) -> Heard {
        self.hears_octets(now, other, content(message))
    }

    pub(crate) fn hears_octets(&mut self, now: Instant, other: &Peer, octets: Frames) -> Heard {
        self.sessions.handle_whisper(now, other, None, octets)
    }

    /// What it says; what it tells is kept.
    pub(crate) fn says(&mut self) -> Vec<V2> {
        let mut said = Vec::new();
        while let Some((_, output)) = self.sessions.poll_output() {
            self.told.push(match output {
                Output::Send(message) => {
                    said.push(message);
                    continue;
                }
                Output::Proved { mechanism } => format!("proved {mechanism}"),
                Output::Over { stopped: true } => "stopped".into(),
                Output::Over { stopped: false } => "over".into(),
                Output::Refused { code, us: false } => format!("refused {}", code.0),
                Output::Refused { code, us: true } => format!("refused us {}", code.0),
                other => panic!("{other:?}"),
            });
        }
        said
    }

    pub(crate) fn shorts(&mut self) -> Vec<String> {
        self.says().iter().map(short).collect()
    }

    pub(crate) fn told(&mut self) -> Vec<String> {
        let said = self.says();
        assert_eq!(said, [], "was not looked at");
        std::mem::take(&mut self.told)
    }

    /// Lets time go by until then; what it says goes nowhere, and comes back.
    pub(crate) fn alone_until(&mut self, end: Instant) -> Vec<(u64, String)> {
        let mut said = Vec::new();
        while let Some(at) = self.sessions.poll_timeout().filter(|at| *at <= end) {
            self.sessions.handle_timeout(at);
            let at = at.as_millis();
            said.extend(self.shorts().into_iter().map(|message| (at, message)));
        }
        said
    }
}

/// Two sides with nothing between them.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) sides: [Side; 2],
    /// All that was said, by whom.
    pub(crate) said: Vec<(usize, V2)>,
}

impl Pair {
    /// A server and a bridge: the first challenges.
    pub(crate) fn new(mechanisms: [Vec<Mechanism>; 2]) -> Self {
        let [server, bridge] = mechanisms;
        Self::of(
            Side::new(1, Role::Server, server),
            Side::new(2, Role::Bridge, bridge),
        )
    }

    pub(crate) fn of(one: Side, other: Side) -> Self {
        Self {
            now: Instant::ZERO,
            sides: [one, other],
            said: Vec::new(),
        }
    }

    /// Both are there.
    pub(crate) fn enter(mut self) -> Self {
        self.meet();
        self
    }

    pub(crate) fn meet(&mut self) {
        for me in [0, 1] {
            let other = &self.sides[1 - me];
            let (peer, key) = (other.peer.clone(), other.key);
            self.sides[me].enters(self.now, &peer, key);
        }
        self.talk();
    }

    pub(crate) fn part(&mut self) {
        for me in [0, 1] {
            let other = self.sides[1 - me].peer.id;
            self.sides[me].sessions.handle_exited(self.now, other);
        }
    }

    /// Carries what is said until nobody says anything.
    pub(crate) fn talk(&mut self) {
        loop {
            let before = self.said.len();
            for me in [0, 1] {
                for message in self.sides[me].says() {
                    self.carry(me, message);
                }
            }
            if self.said.len() == before {
                return;
            }
        }
    }

    /// One says something to the other.
    pub(crate) fn carry(&mut self, from: usize, message: V2) -> Heard {
        let peer = self.sides[from].peer.clone();
        let heard = self.sides[1 - from].hears(self.now, &peer, message.clone());
        self.said.push((from, message));
        heard
    }

    /// Lets time go by.
    pub(crate) fn run_for(&mut self, duration: std::time::Duration) {
        let end = self.now + duration;
        loop {
            let next = self.sides.iter();
            let next = next.filter_map(|side| side.sessions.poll_timeout()).min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            for side in &mut self.sides {
                side.sessions.handle_timeout(at);
            }
            self.talk();
        }
        self.now = end;
    }

    pub(crate) fn told(&mut self) -> [Vec<String>; 2] {
        self.sides.each_mut().map(Side::told)
    }

    /// What was said since the last time.
    pub(crate) fn shorts(&mut self) -> Vec<String> {
        let said = std::mem::take(&mut self.said);
        said.iter().map(|(_, message)| short(message)).collect()
    }

    /// Whether each takes the other for one that may take part.
    pub(crate) fn proved(&self) -> [Option<&'static str>; 2] {
        [0, 1].map(|me| {
            let other = self.sides[1 - me].peer.id;
            self.sides[me].sessions.mechanism(other)
        })
    }
}
