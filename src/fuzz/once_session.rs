//! @Once: a server, a bridge that has the secret, and others who say whatever they like to both.
//!
//! Mallory enters at both under identities of her own, reads all that is said between the two, says any of it again in
//! whatever order and with whatever changes, and is between the two as well when the schedule says so.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::{Result, Unstructured};

use crate::curve::PublicKey;
use crate::once::server::{Action, Config, Event, Server};
use crate::once::session::{Config as Own, Heard, Output, Sessions};
use crate::once::{Limits, Mechanism, Role, Roles, Secret};
use crate::wire::once::{
    Authenticate, Challenge, Code, Exchange, Limits as WireLimits, Message, Nope, Party, Proof, V1,
    V2,
};
use crate::wire::{Headers, Text};
use crate::zre::{Event as NodeEvent, ExitReason, SendError};
use crate::{Frames, Instant, Peer, PeerId};

/// Of the server, of the bridge that has the secret, and of how many others there are.
const SERVER: u8 = 50;
const BRIDGE: u8 = 60;
const OTHERS: u8 = 5;
/// Known at once, so that some are too many.
const BRIDGES: usize = 3;

/// A schedule for a server, a bridge and others: tables stay within their limits; nobody is taken for one that may take part
/// without the proof that belongs to what was last asked, which is computed here anew; where a secret is all that counts, nobody
/// who lacks it ever is; contacts are those that are taken for such, with the keys of their links; an input has few answers.
pub fn once_session(octets: &[u8]) {
    let mut u = Unstructured::new(octets);
    if let Ok(mut play) = Play::new(&mut u) {
        while !u.is_empty() && play.step(&mut u).is_ok() {
            play.check();
        }
        play.end();
    }
}

fn id(octet: u8) -> PeerId {
    PeerId::from_bytes([octet; 16])
}

fn party(octet: u8, key: Option<PublicKey>) -> Party {
    let key = key.map(|key| *key.as_bytes());
    Party {
        uuid: id(octet),
        key,
    }
}

fn text(text: &str) -> Text {
    Text::try_from(text).unwrap_or_default()
}

fn secret() -> Secret {
    match Secret::new("of those who may") {
        Ok(secret) => secret,
        Err(error) => panic!("{error}"),
    }
}

fn peer(octet: u8, roles: Option<Roles>) -> Arc<Peer> {
    let mut headers = Headers::new();
    if let Some(roles) = roles {
        roles.put(&mut headers);
    }
    Arc::new(Peer {
        id: id(octet),
        name: text("somebody"),
        endpoint: text("tcp://192.0.2.7:49152"),
        headers,
    })
}

/// What a machine said last to a peer, as far as a proof is about it.
#[derive(Default)]
struct Asked {
    challenge: Option<Challenge>,
    answer: Option<Authenticate>,
}

/// One who is at a machine: how it says that it is, and with which key.
type Present = BTreeMap<u8, (Arc<Peer>, Option<PublicKey>)>;

struct Play {
    now: Instant,
    server: Server,
    bridge: Sessions,
    mechanisms: Vec<Mechanism>,
    secure: bool,
    /// Who is at the server, and at the bridge.
    at: [Present; 2],
    asked: [BTreeMap<u8, Asked>; 2],
    /// Whom the server, and the bridge, takes for one that may take part.
    proved: [BTreeMap<u8, ()>; 2],
    /// What is under way from the server to the bridge and back.
    wire: [Vec<Frames>; 2],
    /// All that was said.
    heard: Vec<Frames>,
    /// What whoever was heard last said, to which machine.
    last: Option<(usize, u8, Option<Message>)>,
    said: usize,
}

impl Play {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let flags: u8 = u.arbitrary()?;
        let mut mechanisms = vec![Mechanism::Secret(secret())];
        if flags & 1 != 0 {
            mechanisms.push(Mechanism::Open);
        }
        if flags & 2 != 0 {
            let keys = [SERVER, BRIDGE, 1].map(|octet| PublicKey::from_bytes([octet; 32]));
            mechanisms.insert(0, Mechanism::Keys(keys.into()));
        }
        let secure = flags & 4 != 0;
        let limits = Limits {
            bridges: BRIDGES,
            ..Limits::default()
        };
        let key = |octet| secure.then_some(PublicKey::from_bytes([octet; 32]));
        let server = Config {
            id: id(SERVER),
            key: key(SERVER),
            mechanisms: mechanisms.clone(),
            relay: None,
            limits: limits.clone(),
        };
        let bridge = Own {
            id: id(BRIDGE),
            key: key(BRIDGE),
            role: Role::Bridge,
            mechanisms: mechanisms.clone(),
            limits,
        };
        Ok(Self {
            now: Instant::ZERO,
            server: Server::new(Instant::ZERO, [1; 32], server),
            bridge: Sessions::new([2; 32], bridge),
            mechanisms,
            secure,
            at: Default::default(),
            asked: Default::default(),
            proved: Default::default(),
            wire: Default::default(),
            heard: Vec::new(),
            last: None,
            said: 0,
        })
    }

    fn key(&self, octet: u8) -> Option<PublicKey> {
        self.secure.then_some(PublicKey::from_bytes([octet; 32]))
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.said = 0;
        self.last = None;
        let mut few = 4;
        match u.int_in_range(0..=11)? {
            0 => {
                let millis: u16 = u.arbitrary()?;
                self.now += Duration::from_millis(u64::from(millis) * u64::from(millis % 64));
                // A year has as many as it has.
                few = usize::MAX;
                self.pass();
            }
            1 => {
                let (there, back) = (self.at[0].contains_key(&BRIDGE), u.arbitrary()?);
                if there {
                    self.exit(0, BRIDGE);
                    self.exit(1, SERVER);
                    self.wire = Default::default();
                }
                if !there || back {
                    self.enter(0, BRIDGE, Some(Role::Bridge));
                    self.enter(1, SERVER, Some(Role::Server));
                }
            }
            2..=4 => {
                let way = usize::from(u.arbitrary::<bool>()?);
                if !self.wire[way].is_empty() {
                    let content = self.wire[way].remove(0);
                    self.hear(1 - way, [SERVER, BRIDGE][way], content);
                }
            }
            5 => {
                let (machine, octet) = (
                    usize::from(u.arbitrary::<bool>()?),
                    u.int_in_range(1..=OTHERS)?,
                );
                // Lower and higher than the bridge.
                let octet = if octet > 3 { octet + 90 } else { octet };
                let role = *u.choose(&[Some(Role::Bridge), Some(Role::Server), None])?;
                if self.at[machine].contains_key(&octet) {
                    self.exit(machine, octet);
                } else {
                    self.enter(machine, octet, role);
                }
            }
            6 => {
                // One that is between the two.
                let machine = usize::from(u.arbitrary::<bool>()?);
                let from = [BRIDGE, SERVER][machine];
                let content = self.anything(u)?;
                self.hear(machine, from, content);
            }
            7 => {
                let machine = usize::from(u.arbitrary::<bool>()?);
                let Some(content) = self.heard.last().cloned() else {
                    return Ok(());
                };
                let octet = [BRIDGE, SERVER][machine];
                if self.at[machine].contains_key(&octet) {
                    if machine == 0 {
                        let error = *u.choose(&[SendError::Full, SendError::UnknownPeer])?;
                        self.server
                            .handle_unsent(self.now, id(octet), content, error);
                    } else {
                        self.bridge.handle_unsent(self.now, id(octet), &content);
                    }
                }
            }
            _ => {
                let machine = usize::from(u.arbitrary::<bool>()?);
                let others: Vec<u8> = self.at[machine].keys().copied().collect();
                let Some(&from) = others.get(u.int_in_range(0..=7)?) else {
                    return Ok(());
                };
                if ![SERVER, BRIDGE].contains(&from) {
                    let content = self.anything(u)?;
                    self.hear(machine, from, content);
                }
            }
        }
        self.drain();
        assert!(self.said <= few, "{} answers", self.said);
        Ok(())
    }

    /// Whatever Mallory can say.
    fn anything(&self, u: &mut Unstructured<'_>) -> Result<Frames> {
        let proof = |u: &mut Unstructured<'_>| -> Result<Proof> {
            let heard = self.heard.get(usize::from(u.arbitrary::<u8>()?));
            let heard = heard.and_then(|content| decode(content.clone()));
            Ok(match heard {
                Some(Message::V2(V2::Authenticate(Authenticate { proof, .. })))
                | Some(Message::V2(V2::Ok { proof, .. } | V2::Stop { proof })) => proof,
                _ => Proof::from_bytes([u.int_in_range(0..=1)?; 32]),
            })
        };
        let name = |u: &mut Unstructured<'_>| -> Result<Text> {
            Ok(text(u.choose(&["SECRET", "OPEN", "CURVE", ""])?))
        };
        let nonce = |u: &mut Unstructured<'_>| Ok([u.arbitrary()?; 32]);
        let message: Message = match u.int_in_range(0..=9)? {
            0 => V2::Challenge(Challenge {
                mechanisms: vec![name(u)?, name(u)?],
                nonce: nonce(u)?,
            })
            .into(),
            1 => V2::Authenticate(Authenticate {
                mechanism: name(u)?,
                nonce: nonce(u)?,
                proof: proof(u)?,
            })
            .into(),
            2 => V2::Ok {
                proof: proof(u)?,
                seconds: u.arbitrary()?,
            }
            .into(),
            3 => V2::Stop { proof: proof(u)? }.into(),
            4 => V2::Nope(Nope {
                about: *u.choose(&[0, 0x10, 0x11, 0x12, 0x13, 0x14, 0x20, 0x21, 0x40])?,
                code: Code(u.int_in_range(0..=9)?),
                text: Text::default(),
            })
            .into(),
            5 => V2::GetEndpoints.into(),
            6 => V1::GetEndpoints.into(),
            7 => {
                let octets: Vec<u8> = u.arbitrary()?;
                let head = [0xAA, 0xA2, u.arbitrary()?, u.int_in_range(0..=3)?];
                return Ok(Frames::from([&head[..], &octets].concat()));
            }
            _ => {
                let count = self.heard.len();
                let back = usize::from(u.arbitrary::<u8>()?);
                let heard = count
                    .checked_sub(back + 1)
                    .and_then(|at| self.heard.get(at));
                return Ok(heard.cloned().unwrap_or_default());
            }
        };
        Ok(message.encode())
    }

    fn enter(&mut self, machine: usize, octet: u8, role: Option<Role>) {
        let roles = role.map(|role| Roles {
            role,
            beacon: Some(5671),
            relay: false,
        });
        let (peer, key) = (peer(octet, roles), self.key(octet));
        self.at[machine].insert(octet, (peer.clone(), key));
        self.asked[machine].remove(&octet);
        if machine == 0 {
            let event = NodeEvent::Enter { peer };
            self.server.handle_event(self.now, event, key);
        } else {
            self.bridge.handle_entered(self.now, &peer, key);
        }
        self.drain();
    }

    fn exit(&mut self, machine: usize, octet: u8) {
        let Some((peer, _)) = self.at[machine].remove(&octet) else {
            return;
        };
        self.asked[machine].remove(&octet);
        if machine == 0 {
            let reason = ExitReason::Left;
            self.server
                .handle_event(self.now, NodeEvent::Exit { peer, reason }, None);
        } else {
            self.bridge.handle_exited(self.now, peer.id);
            self.proved[1].remove(&octet);
        }
        self.drain();
    }

    fn hear(&mut self, machine: usize, from: u8, content: Frames) {
        let Some((peer, key)) = self.at[machine].get(&from).cloned() else {
            return;
        };
        self.last = Some((machine, from, decode(content.clone())));
        if machine == 0 {
            let event = NodeEvent::Whisper { peer, content };
            return self.server.handle_event(self.now, event, key);
        }
        let before = self.proved[1].contains_key(&from);
        let heard = self.bridge.handle_whisper(self.now, &peer, key, content);
        if matches!(heard, Heard::V2(_)) {
            assert!(before, "heard one that proved nothing: {heard:?}");
        }
    }

    fn pass(&mut self) {
        self.server.handle_timeout(self.now);
        self.bridge.handle_timeout(self.now);
        self.drain();
    }

    /// Takes what both want and tell.
    fn drain(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Enter { bridge, mechanism } => {
                    self.is_proved(0, bridge.as_bytes()[0], mechanism);
                }
                Event::Exit { bridge } => {
                    let known = self.proved[0].remove(&bridge.as_bytes()[0]);
                    assert!(known.is_some(), "{bridge} left twice");
                }
                Event::Refused { .. } => {}
                Event::Led { .. } => panic!("it has no relay"),
            }
        }
        while let Some(action) = self.server.poll_action() {
            let Action::Whisper { peer, content } = action else {
                continue;
            };
            if let Some(Message::V2(V2::ListEndpoints { contacts })) = decode(content.clone()) {
                let told = peer.as_bytes()[0];
                assert!(
                    self.proved[0].contains_key(&told),
                    "{peer} is told of others"
                );
                for contact in contacts {
                    let octet = contact.uuid.as_bytes()[0];
                    assert!(
                        octet != told && self.proved[0].contains_key(&octet),
                        "{contact:?}"
                    );
                    let key = self.key(octet).map(|key| *key.as_bytes());
                    assert_eq!(contact.key, key);
                }
            }
            self.says(0, peer, content);
        }
        while let Some((peer, output)) = self.bridge.poll_output() {
            let octet = peer.as_bytes()[0];
            match output {
                Output::Send(message) => self.says(1, peer, Message::from(message).encode()),
                Output::Proved { mechanism } => self.is_proved(1, octet, mechanism),
                Output::Over { .. } => {
                    assert!(
                        self.proved[1].remove(&octet).is_some(),
                        "{peer} was nothing"
                    );
                }
                Output::Refused { .. } => {}
            }
        }
    }

    fn says(&mut self, machine: usize, to: PeerId, content: Frames) {
        let octet = to.as_bytes()[0];
        self.said += 1;
        let asked = self.asked[machine].entry(octet).or_default();
        match decode(content.clone()) {
            Some(Message::V2(V2::Challenge(challenge))) => asked.challenge = Some(challenge),
            Some(Message::V2(V2::Authenticate(answer))) => {
                let Some((1, _, Some(Message::V2(V2::Challenge(challenge))))) = &self.last else {
                    panic!("{answer:?} to nothing");
                };
                asked.challenge = Some(challenge.clone());
                asked.answer = Some(answer);
            }
            None => panic!("{content:?} is no message"),
            _ => {}
        }
        if octet == [BRIDGE, SERVER][machine] && self.at[machine].contains_key(&octet) {
            self.wire[machine].push(content.clone());
        }
        if self.heard.len() < 256 {
            self.heard.push(content);
        }
    }

    /// Somebody is taken for one that may take part: what it said last is the proof of it.
    fn is_proved(&mut self, machine: usize, octet: u8, mechanism: &str) {
        assert!(
            self.at[machine].contains_key(&octet),
            "{octet} is not there"
        );
        assert!(
            self.proved[machine].insert(octet, ()).is_none(),
            "told twice"
        );
        let Some((_, from, Some(Message::V2(said)))) = self.last.clone() else {
            panic!("nothing was said");
        };
        assert_eq!(
            (from, self.last.as_ref().map(|last| last.0)),
            (octet, Some(machine))
        );
        let own = [SERVER, BRIDGE][machine];
        let parties = [own, octet].map(|octet| party(octet, self.key(octet)));
        let asked = &self.asked[machine][&octet];
        let Some(challenge) = &asked.challenge else {
            panic!("nobody said CHALLENGE");
        };
        // Whom it challenged proves it with AUTHENTICATE, who challenged it with OK.
        let (answer, challenger, proof, seconds) = match (&said, &asked.answer) {
            (V2::Authenticate(answer), _) => (answer, parties[0], answer.proof, None),
            (V2::Ok { proof, seconds }, Some(answer)) => {
                (answer, parties[1], *proof, Some(*seconds))
            }
            other => panic!("{other:?} proves nothing"),
        };
        assert_eq!(answer.mechanism, *mechanism);
        match mechanism {
            "SECRET" => assert!(
                octet == own || [SERVER, BRIDGE].contains(&octet),
                "{octet} lacks it"
            ),
            "CURVE" => assert!(self.secure && [SERVER, BRIDGE, 1].contains(&octet)),
            _ => assert!(self.mechanisms.contains(&Mechanism::Open)),
        }
        assert!(challenge.mechanisms.contains(&answer.mechanism));
        let exchange = Exchange {
            challenger,
            answerer: if seconds.is_some() {
                parties[0]
            } else {
                parties[1]
            },
            challenge,
            mechanism: &answer.mechanism,
            nonce: &answer.nonce,
        };
        let over = seconds.map_or_else(|| exchange.authenticate(), |seconds| exchange.ok(seconds));
        let right = match mechanism {
            "SECRET" => Mechanism::Secret(secret()).proof(&over),
            _ => Proof::from_bytes([0; 32]),
        };
        assert_eq!(proof, right);
    }

    fn check(&self) {
        self.server.check();
        self.bridge.check();
        assert!(self.bridge.len() <= BRIDGES);
        let proved = self.proved[0].keys().map(|octet| id(*octet));
        assert!(self.server.bridges().map(|(bridge, _)| bridge).eq(proved));
        let proved = self.proved[1].keys().map(|octet| id(*octet));
        assert!(self.bridge.proved().eq(proved));
    }

    /// Whatever happened: when all others leave, and some time has gone by, the two that have the secret find each other.
    fn end(&mut self) {
        self.last = None;
        for machine in [0, 1] {
            let all: Vec<u8> = self.at[machine].keys().copied().collect();
            for octet in all {
                self.exit(machine, octet);
            }
        }
        self.wire = Default::default();
        self.now += Duration::from_secs(120);
        self.pass();
        self.enter(0, BRIDGE, Some(Role::Bridge));
        self.enter(1, SERVER, Some(Role::Server));
        while let Some(way) = (0..2).find(|way| !self.wire[*way].is_empty()) {
            let content = self.wire[way].remove(0);
            self.hear(1 - way, [SERVER, BRIDGE][way], content);
            self.drain();
        }
        self.check();
        assert!(self.proved[0].contains_key(&BRIDGE) && self.proved[1].contains_key(&SERVER));
        // And nothing is left of them when they go.
        self.exit(0, BRIDGE);
        self.exit(1, SERVER);
        self.now += Duration::from_secs(1);
        self.pass();
        assert!(self.bridge.is_empty() && self.bridge.poll_timeout().is_none());
        assert!(self.server.poll_timeout().is_none());
        self.check();
    }
}

fn decode(content: Frames) -> Option<Message> {
    Message::decode(content, &WireLimits::default()).ok()
}
