//! CURVE (RFC 25 and 26): both sides prove their permanent keys, and all that follows is sealed with keys that only this
//! connection has.
//!
//! ```text
//! client                                                        server
//!   HELLO     C', Box[0..](C'→S)                          ───►
//!             ◄───  Box[S', Box[C', s'](K)](S→C')      WELCOME    and forgets S', s'
//!   INITIATE  Box[C', s'](K), Box[C, Box[C', S](C→S'), about us](C'→S') ───►
//!                                                                 asks whether C may come in
//!             ◄───  Box[about us](S'→C')                 READY
//!   MESSAGE   Box[flags, frame](C'→S')                    ◄──►   MESSAGE
//! ```
//!
//! C and S are permanent keys, C' and S' those of the connection, lower case their secret halves, and K is known to the server for
//! this one connection. Until INITIATE opens, a server keeps its seed, K and a nonce, whatever comes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Done, Step};
use crate::curve::sealing::{NONCE_OCTETS, SharedKey, TAG_OCTETS};
use crate::curve::{KeyPair, PublicKey, SecretKey, Seed};
use crate::wire::zmtp::curve::{Cookie, Hello, Initiate, Ready, SealedFrame, Vouch, Welcome};
use crate::wire::zmtp::{FrameKind, Metadata};
use crate::wire::{Body, Expected, Found, Malformed};
use crate::zmtp::error::unexpected;
use crate::zmtp::inbox::Frame;
use crate::zmtp::{Credentials, Error, Incompatible, Misbehaving};

/// How far it has come.
#[derive(Debug)]
pub(super) struct Curve(State);

// A secret that is moved is copied, and what it was copied from stays. So nothing is moved out of a state: the next one is made
// beside it, and it is dropped, which overwrites it, where it lies.
enum State {
    // The client's side.
    Start {
        keys: Arc<KeyPair>,
        server: PublicKey,
        random: Random,
    },
    AwaitsWelcome {
        keys: Arc<KeyPair>,
        server: PublicKey,
        /// C', c'.
        ours: KeyPair,
        /// Between C' and S.
        hello: SharedKey,
        /// For what vouches for C'.
        nonce: [u8; 16],
    },
    AwaitsReady(Traffic),
    // The server's side.
    AwaitsHello {
        keys: Arc<KeyPair>,
        random: Random,
    },
    AwaitsInitiate {
        keys: Arc<KeyPair>,
        /// K.
        cookie: Zeroizing<[u8; 32]>,
        /// The short nonce of HELLO.
        nonce: u64,
    },
    Asks {
        theirs: Metadata,
        traffic: Traffic,
    },
    // Both.
    Traffic(Traffic),
    /// It failed.
    Spent,
}

/// What seals and opens frames once the keys of the connection are known.
#[derive(Clone)]
struct Traffic {
    /// Between C' and S'.
    key: SharedKey,
    /// The permanent key of the peer.
    peer: PublicKey,
    side: Side,
    /// The short nonce of what this side sealed last.
    sealed: u64,
    /// The same of what the peer sealed, which was opened.
    opened: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// Randomness out of the seed of the connection.
struct Random {
    seed: Seed,
    draws: u64,
}

// The nonces' first octets, by what is sealed.
const HELLO: &[u8; 16] = b"CurveZMQHELLO---";
const INITIATE: &[u8; 16] = b"CurveZMQINITIATE";
const READY: &[u8; 16] = b"CurveZMQREADY---";
const FROM_CLIENT: &[u8; 16] = b"CurveZMQMESSAGEC";
const FROM_SERVER: &[u8; 16] = b"CurveZMQMESSAGES";
const WELCOME: &[u8; 8] = b"WELCOME-";
const COOKIE: &[u8; 8] = b"COOKIE--";
const VOUCH: &[u8; 8] = b"VOUCH---";

// The flags of a sealed frame.
const MORE: u8 = 1;
const COMMAND: u8 = 2;

impl Curve {
    pub(super) const OVERHEAD_OCTETS: usize = SealedFrame::OVERHEAD_OCTETS;

    pub(super) fn client(keys: Arc<KeyPair>, server: PublicKey, seed: Seed) -> Self {
        let random = Random::new(seed);
        Self(State::Start {
            keys,
            server,
            random,
        })
    }

    pub(super) fn server(keys: Arc<KeyPair>, seed: Seed) -> Self {
        let random = Random::new(seed);
        Self(State::AwaitsHello { keys, random })
    }

    pub(super) fn is_server(&self) -> bool {
        match &self.0 {
            State::Start { .. } | State::AwaitsWelcome { .. } | State::AwaitsReady(_) => false,
            State::AwaitsHello { .. } | State::AwaitsInitiate { .. } | State::Asks { .. } => true,
            State::Traffic(traffic) => traffic.side == Side::Server,
            State::Spent => false,
        }
    }

    /// The permanent key that the peer proved to have, once the handshake is over.
    pub(super) fn key(&self) -> Option<PublicKey> {
        match &self.0 {
            State::Traffic(traffic) => Some(traffic.peer),
            _ => None,
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        matches!(self.0, State::Asks { .. })
    }

    /// HELLO, from a client.
    pub(super) fn start(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let State::Start {
            keys,
            server,
            random,
        } = &mut self.0
        else {
            return Ok(None);
        };
        let ours = random.key_pair();
        // ZMTP-84
        let Some(hello) = SharedKey::new(ours.secret(), server) else {
            self.0 = State::Spent;
            return Err(Incompatible::Key.into());
        };
        let nonce = FIRST_NONCE;
        let sealed = sealed(&hello, &short(HELLO, nonce), &[0; 64]);
        let command = Hello {
            client: *ours.public().as_bytes(),
            nonce,
            sealed: fixed(&sealed),
        };
        self.0 = State::AwaitsWelcome {
            keys: keys.clone(),
            server: *server,
            ours,
            hello,
            nonce: random.draw(),
        };
        Ok(Some(command.encode()))
    }

    pub(super) fn handle_command(&mut self, body: &[u8], ours: &Metadata) -> Result<Step, Error> {
        let next = match &mut self.0 {
            State::AwaitsWelcome {
                keys,
                server,
                ours: transient,
                hello,
                nonce,
            } => {
                let proof = Proof {
                    keys,
                    server: *server,
                    transient,
                    nonce: *nonce,
                };
                welcome(&proof, hello, body, ours)
            }
            State::AwaitsReady(traffic) => ready(traffic, body),
            State::AwaitsHello { keys, random } => hello(keys, random, body),
            State::AwaitsInitiate {
                keys,
                cookie,
                nonce,
            } => initiate(keys, cookie, *nonce, body),
            State::Start { .. } | State::Asks { .. } | State::Traffic(_) | State::Spent => {
                Err(unexpected("command out of turn"))
            }
        };
        // Whatever fails leaves nothing behind.
        let (state, step) = match next {
            Ok((state, step)) => (state, Ok(step)),
            Err(error) => (State::Spent, Err(error)),
        };
        self.0 = state;
        step
    }

    /// READY, to a client that may come in.
    pub(super) fn allow(&mut self, ours: &Metadata) -> Option<Step> {
        let State::Asks { theirs, traffic } = &mut self.0 else {
            return None;
        };
        traffic.sealed = FIRST_NONCE;
        let nonce = traffic.sealed;
        let sealed = sealed(&traffic.key, &short(READY, nonce), ours.as_bytes());
        let say = Ready {
            nonce,
            sealed: &sealed,
        }
        .encode();
        let metadata = mem::replace(theirs, Metadata::new());
        self.0 = State::Traffic(traffic.clone());
        Some(Step::Done(Done {
            metadata,
            say: Some(say),
        }))
    }

    pub(super) fn seal(&mut self, kind: FrameKind, body: &[u8], out: &mut Vec<u8>) -> bool {
        match &mut self.0 {
            State::Traffic(traffic) => {
                traffic.seal(kind, body, out);
                true
            }
            _ => false,
        }
    }

    pub(super) fn open<'a>(&mut self, frame: Frame<'a>) -> Result<Frame<'a>, Error> {
        match &mut self.0 {
            State::Traffic(traffic) => traffic.open(frame),
            _ => Err(unexpected("message out of turn")),
        }
    }
}

// ---- the server's side of the handshake

/// HELLO came: WELCOME, and nothing but K to remember.
fn hello(keys: &Arc<KeyPair>, random: &mut Random, body: &[u8]) -> Result<(State, Step), Error> {
    let command = Hello::decode(body)?;
    let unproved = Error::Unproved { command: "HELLO" };
    let client = PublicKey::from_bytes(command.client);
    // ZMTP-84
    let key = SharedKey::new(keys.secret(), &client).ok_or(unproved.clone())?;
    // ZMTP-81
    let zeros = opened(&key, &short(HELLO, command.nonce), &command.sealed);
    if zeros.is_none_or(|zeros| zeros.as_slice() != [0; 64]) {
        return Err(unproved);
    }
    let transient = random.key_pair();
    let cookie_key = Zeroizing::new(random.draw());
    let cookie_nonce = random.draw();
    let secrets =
        Zeroizing::new([client.as_bytes().as_slice(), transient.secret().as_bytes()].concat());
    let locked = SharedKey::from_bytes(&cookie_key);
    let cookie = Cookie {
        nonce: cookie_nonce,
        sealed: fixed(&sealed(&locked, &long(COOKIE, &cookie_nonce), &secrets)),
    };
    let nonce = random.draw();
    let content = [transient.public().as_bytes().as_slice(), &cookie.to_bytes()].concat();
    let welcome = Welcome {
        nonce,
        sealed: fixed(&sealed(&key, &long(WELCOME, &nonce), &content)),
    };
    // ZMTP-82
    let next = State::AwaitsInitiate {
        keys: keys.clone(),
        cookie: cookie_key,
        nonce: command.nonce,
    };
    Ok((next, Step::Say(welcome.encode())))
}

/// INITIATE came: the client is proved, and the embedder to be asked.
fn initiate(
    keys: &KeyPair,
    cookie: &[u8; 32],
    hello_nonce: u64,
    body: &[u8],
) -> Result<(State, Step), Error> {
    let unproved = Error::Unproved {
        command: "INITIATE",
    };
    let command = Initiate::decode(body)?;
    let unlocked = opened(
        &SharedKey::from_bytes(cookie),
        &long(COOKIE, &command.cookie.nonce),
        &command.cookie.sealed,
    )
    .ok_or(unproved.clone())?;
    let (transient, secret) = halves(&unlocked).ok_or(unproved.clone())?;
    let secret = SecretKey::from_bytes(*secret);
    let their_transient = PublicKey::from_bytes(*transient);
    let key = SharedKey::new(&secret, &their_transient).ok_or(unproved.clone())?;
    above(hello_nonce, command.nonce)?;
    let content =
        opened(&key, &short(INITIATE, command.nonce), command.sealed).ok_or(unproved.clone())?;
    let Some((client, rest)) = content.split_first_chunk::<32>() else {
        return Err(unproved);
    };
    let Some((vouch, metadata)) = rest.split_first_chunk() else {
        return Err(unproved);
    };
    let client = PublicKey::from_bytes(*client);
    let vouch = Vouch::from_bytes(vouch);
    // ZMTP-83, ZMTP-84
    let vouched = SharedKey::new(&secret, &client)
        .and_then(|key| opened(&key, &long(VOUCH, &vouch.nonce), &vouch.sealed))
        .ok_or(unproved.clone())?;
    let expected = [transient.as_slice(), keys.public().as_bytes()].concat();
    if !bool::from(vouched.ct_eq(&expected)) {
        return Err(unproved);
    }
    let theirs = Metadata::decode(metadata)?;
    let next = State::Asks {
        theirs,
        traffic: Traffic::new(key, client, Side::Server, 0, command.nonce),
    };
    // ZMTP-85
    Ok((next, Step::Ask(Credentials::Curve(client))))
}

// ---- the client's side of the handshake

/// With what a client proves itself to a server.
struct Proof<'a> {
    keys: &'a KeyPair,
    server: PublicKey,
    transient: &'a KeyPair,
    nonce: [u8; 16],
}

/// WELCOME came: the server is proved, and gets to know who we are.
fn welcome(
    proof: &Proof<'_>,
    hello: &SharedKey,
    body: &[u8],
    about_us: &Metadata,
) -> Result<(State, Step), Error> {
    let &Proof {
        keys,
        server,
        transient,
        nonce,
    } = proof;
    let unproved = Error::Unproved { command: "WELCOME" };
    let command = Welcome::decode(body)?;
    let content =
        opened(hello, &long(WELCOME, &command.nonce), &command.sealed).ok_or(unproved.clone())?;
    let Some((theirs, cookie)) = content.split_first_chunk::<32>() else {
        return Err(unproved);
    };
    let Some(cookie) = cookie.first_chunk() else {
        return Err(unproved);
    };
    let theirs = PublicKey::from_bytes(*theirs);
    // ZMTP-84
    let key = SharedKey::new(transient.secret(), &theirs).ok_or(unproved.clone())?;
    let vouched = [transient.public().as_bytes().as_slice(), server.as_bytes()].concat();
    let vouching = SharedKey::new(keys.secret(), &theirs).ok_or(unproved)?;
    let vouch = Vouch {
        nonce,
        sealed: fixed(&sealed(&vouching, &long(VOUCH, &nonce), &vouched)),
    };
    let content = [
        keys.public().as_bytes().as_slice(),
        &vouch.to_bytes(),
        about_us.as_bytes(),
    ]
    .concat();
    let nonce = FIRST_NONCE + 1;
    let initiate = Initiate {
        cookie: Cookie::from_bytes(cookie),
        nonce,
        sealed: &sealed(&key, &short(INITIATE, nonce), &content),
    }
    .encode();
    let next = State::AwaitsReady(Traffic::new(key, server, Side::Client, nonce, 0));
    Ok((next, Step::Say(initiate)))
}

/// READY came: we are in.
fn ready(traffic: &mut Traffic, body: &[u8]) -> Result<(State, Step), Error> {
    let command = Ready::decode(body)?;
    above(traffic.opened, command.nonce)?;
    let metadata = opened(&traffic.key, &short(READY, command.nonce), command.sealed)
        .ok_or(Error::Unproved { command: "READY" })?;
    traffic.opened = command.nonce;
    let metadata = Metadata::decode(&metadata)?;
    let step = Step::Done(Done {
        metadata,
        say: None,
    });
    Ok((State::Traffic(traffic.clone()), step))
}

// ---- traffic

impl Traffic {
    fn new(key: SharedKey, peer: PublicKey, side: Side, sealed: u64, opened: u64) -> Self {
        Self {
            key,
            peer,
            side,
            sealed,
            opened,
        }
    }

    fn nonces(&self) -> (&'static [u8; 16], &'static [u8; 16]) {
        match self.side {
            Side::Client => (FROM_CLIENT, FROM_SERVER),
            Side::Server => (FROM_SERVER, FROM_CLIENT),
        }
    }

    fn seal(&mut self, kind: FrameKind, body: &[u8], out: &mut Vec<u8>) {
        // ZMTP-86. It takes centuries to use them up.
        self.sealed = self.sealed.wrapping_add(1);
        let nonce = self.sealed;
        out.put_slice(&SealedFrame::head(nonce));
        let begin = out.len();
        out.put_bytes(0, TAG_OCTETS);
        out.put_u8(match kind {
            FrameKind::Last => 0,
            FrameKind::More => MORE,
            FrameKind::Command => COMMAND,
        });
        out.put_slice(body);
        let (ours, _) = self.nonces();
        let sealed = out.get_mut(begin..).unwrap_or_default();
        if let Some((tag, content)) = sealed.split_first_chunk_mut() {
            *tag = self.key.seal(&short(ours, nonce), content);
        }
    }

    fn open<'a>(&mut self, frame: Frame<'a>) -> Result<Frame<'a>, Error> {
        if frame.kind == FrameKind::More {
            // ZMTP-87
            return Err(unexpected("MORE outside of what is sealed"));
        }
        let head = SealedFrame::decode(frame.body.as_slice())?;
        let nonce = head.nonce;
        // ZMTP-86. RFC 26 allows gaps, and nobody has them: who left a frame out changed what was said.
        if self.opened.checked_add(1) != Some(nonce) {
            return Err(Misbehaving::Nonce.into());
        }
        let Some((tag, content)) = head.sealed.split_first_chunk::<TAG_OCTETS>() else {
            return Err(unproved_frame());
        };
        let (_, theirs) = self.nonces();
        let nonces = short(theirs, nonce);
        let mut content = match &frame.body {
            Body::Borrowed(_) => {
                let mut content = content.to_vec();
                if !self.key.open(&nonces, tag, &mut content) {
                    return Err(unproved_frame());
                }
                Bytes::from(content)
            }
            // Nobody else has it: it is opened where it is.
            Body::Owned(_) => {
                let tag = *tag;
                let whole = frame.body.into_bytes();
                let mut whole = whole
                    .try_into_mut()
                    .unwrap_or_else(|whole| BytesMut::from(&*whole));
                whole.advance(SealedFrame::HEAD_OCTETS + TAG_OCTETS);
                if !self.key.open(&nonces, &tag, &mut whole) {
                    return Err(unproved_frame());
                }
                whole.freeze()
            }
        };
        self.opened = nonce;
        // It is there: a sealed frame has an octet at least.
        let flags = content.try_get_u8().unwrap_or(0);
        // ZMTP-88
        let kind = match flags {
            0 => FrameKind::Last,
            MORE => FrameKind::More,
            COMMAND => FrameKind::Command,
            other => {
                return Err(Malformed::new(
                    "MESSAGE.flags",
                    Expected::What("nothing, MORE or COMMAND"),
                    Found::Value(other.into()),
                )
                .into());
            }
        };
        let body = Body::Owned(content);
        Ok(Frame { kind, body })
    }
}

impl Random {
    fn new(seed: Seed) -> Self {
        Self { seed, draws: 0 }
    }

    /// Each draw is a stream of its own.
    fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut generator = ChaCha20Rng::from_seed(*self.seed.as_bytes());
        generator.set_stream(self.draws);
        self.draws += 1;
        let mut octets = [0; N];
        generator.fill_bytes(&mut octets);
        octets
    }

    fn key_pair(&mut self) -> KeyPair {
        KeyPair::generate(self.draw())
    }
}

/// The short nonces of each side begin with it.
const FIRST_NONCE: u64 = 1;

fn short(what: &[u8; 16], nonce: u64) -> [u8; NONCE_OCTETS] {
    let mut octets = [0; NONCE_OCTETS];
    let mut rest = octets.as_mut_slice();
    rest.put_slice(what);
    rest.put_u64(nonce);
    octets
}

fn long(what: &[u8; 8], nonce: &[u8; 16]) -> [u8; NONCE_OCTETS] {
    let mut octets = [0; NONCE_OCTETS];
    let mut rest = octets.as_mut_slice();
    rest.put_slice(what);
    rest.put_slice(nonce);
    octets
}

/// The box of `content`.
fn sealed(key: &SharedKey, nonce: &[u8; NONCE_OCTETS], content: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(TAG_OCTETS + content.len());
    octets.put_bytes(0, TAG_OCTETS);
    octets.put_slice(content);
    if let Some((tag, content)) = octets.split_first_chunk_mut() {
        *tag = key.seal(nonce, content);
    }
    octets
}

/// What is in a box, if it opens.
fn opened(
    key: &SharedKey,
    nonce: &[u8; NONCE_OCTETS],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (tag, content) = sealed.split_first_chunk()?;
    let mut content = Zeroizing::new(content.to_vec());
    key.open(nonce, tag, &mut content).then_some(content)
}

/// A box whose size is known.
fn fixed<const N: usize>(sealed: &[u8]) -> [u8; N] {
    sealed.try_into().expect("content of a fixed size")
}

/// Two keys, one behind the other. They are not copied: one is secret.
fn halves(keys: &[u8]) -> Option<(&[u8; 32], &[u8; 32])> {
    let (one, other) = keys.split_first_chunk()?;
    Some((one, other.try_into().ok()?))
}

/// ZMTP-86.
fn above(last: u64, nonce: u64) -> Result<(), Error> {
    if nonce > last {
        Ok(())
    } else {
        Err(Misbehaving::Nonce.into())
    }
}

#[cold]
fn unproved_frame() -> Error {
    Error::Unproved { command: "MESSAGE" }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start { .. } => "Start",
            Self::AwaitsWelcome { .. } => "AwaitsWelcome",
            Self::AwaitsReady(_) => "AwaitsReady",
            Self::AwaitsHello { .. } => "AwaitsHello",
            Self::AwaitsInitiate { .. } => "AwaitsInitiate",
            Self::Asks { .. } => "Asks",
            Self::Traffic(_) => "Traffic",
            Self::Spent => "Spent",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::{format, fs};

    use serde_json::Value;

    use super::*;

    /// The handshake of `spec/vectors/curve.json`; the format is in `spec/README.md`.
    fn vector() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/vectors/curve.json");
        let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        file["handshakes"]["good"][0].clone()
    }

    fn octets(vector: &Value, field: &str) -> Vec<u8> {
        let digits = vector[field].as_str().unwrap();
        let pairs = (0..digits.len()).step_by(2);
        pairs
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
            .collect()
    }

    fn key(vector: &Value, field: &str) -> SecretKey {
        SecretKey::from_bytes(octets(vector, field).try_into().unwrap())
    }

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02X}")).collect()
    }

    fn said(step: Step) -> Vec<u8> {
        match step {
            Step::Say(command) => command,
            Step::Done(done) => done.say.unwrap(),
            Step::Ask(_) => panic!("asked"),
        }
    }

    #[test]
    fn a_whole_handshake_is_that_of_the_vector() {
        let vector = vector();
        let pair = |field| Arc::new(KeyPair::from_secret(key(&vector, field)));
        let (ours, theirs) = (pair("client_secret"), pair("server_secret"));
        let seed = |field| Seed::from_bytes(octets(&vector, field).try_into().unwrap());
        let mut client = Curve::client(ours, *theirs.public(), seed("client_seed"));
        let mut server = Curve::server(theirs, seed("server_seed"));
        let about = |name: &str| {
            Metadata::new()
                .with(Metadata::SOCKET_TYPE, name.as_bytes())
                .unwrap()
        };
        let (dealer, router) = (about("DEALER"), about("ROUTER"));
        let mut commands = Vec::new();
        let hello = client.start().unwrap().unwrap();
        let welcome = said(server.handle_command(&hello, &router).unwrap());
        let initiate = said(client.handle_command(&welcome, &dealer).unwrap());
        assert!(matches!(
            server.handle_command(&initiate, &router),
            Ok(Step::Ask(_))
        ));
        let ready = said(server.allow(&router).unwrap());
        client.handle_command(&ready, &dealer).unwrap();
        let sealed = |from: &mut Curve| {
            let mut body = Vec::new();
            assert!(from.seal(FrameKind::Last, b"hello", &mut body));
            body
        };
        let messages = [sealed(&mut client), sealed(&mut server)];
        commands.extend([hello, welcome, initiate, ready]);
        commands.extend(messages);
        let names = [
            "hello",
            "welcome",
            "initiate",
            "ready",
            "from_client",
            "from_server",
        ];
        for (name, command) in names.iter().zip(&commands) {
            assert_eq!(Some(&*hex(command)), vector[name].as_str(), "{name}");
        }
    }

    /// By the primitives alone, and with the keys that the vector names.
    #[test]
    fn the_keys_of_the_vector_open_its_boxes() {
        let vector = vector();
        let secret = |field| key(&vector, field);
        let (client, server) = (secret("client_secret"), secret("server_secret"));
        let (one, other) = (
            secret("client_transient_secret"),
            secret("server_transient_secret"),
        );
        let shared = |ours: &SecretKey, theirs: &SecretKey| {
            SharedKey::new(ours, &theirs.public_key()).unwrap()
        };
        let bytes = |field| octets(&vector, field);
        let hello = Hello::decode(&bytes("hello")).unwrap();
        assert_eq!(hello.client, *one.public_key().as_bytes());
        let signature = opened(
            &shared(&one, &server),
            &short(HELLO, hello.nonce),
            &hello.sealed,
        );
        assert_eq!(**signature.unwrap(), [0; 64]);
        let welcome = Welcome::decode(&bytes("welcome")).unwrap();
        let content = opened(
            &shared(&one, &server),
            &long(WELCOME, &welcome.nonce),
            &welcome.sealed,
        );
        let content = content.unwrap();
        assert_eq!(content[..32], *other.public_key().as_bytes());
        let cookie = Cookie::from_bytes(content[32..].try_into().unwrap());
        let cookie_key = SharedKey::from_bytes(&bytes("cookie_key").try_into().unwrap());
        let kept = opened(&cookie_key, &long(COOKIE, &cookie.nonce), &cookie.sealed).unwrap();
        assert_eq!(
            **kept,
            [*one.public_key().as_bytes(), *other.as_bytes()].concat()
        );
        let initiate = bytes("initiate");
        let initiate = Initiate::decode(&initiate).unwrap();
        assert_eq!(initiate.cookie, cookie);
        let of_the_connection = shared(&one, &other);
        let content = opened(
            &of_the_connection,
            &short(INITIATE, initiate.nonce),
            initiate.sealed,
        );
        let content = content.unwrap();
        assert_eq!(content[..32], *client.public_key().as_bytes());
        let vouch = Vouch::from_bytes(content[32..128].try_into().unwrap());
        let vouched = opened(
            &shared(&client, &other),
            &long(VOUCH, &vouch.nonce),
            &vouch.sealed,
        );
        assert_eq!(
            **vouched.unwrap(),
            [one.public_key(), server.public_key()]
                .map(|key| *key.as_bytes())
                .concat()
        );
        assert_eq!(content[128..], *b"\x0bSocket-Type\0\0\0\x06DEALER");
        let ready = bytes("ready");
        let ready = Ready::decode(&ready).unwrap();
        let about = opened(&of_the_connection, &short(READY, ready.nonce), ready.sealed);
        assert_eq!(**about.unwrap(), *b"\x0bSocket-Type\0\0\0\x06ROUTER");
        for (field, nonces) in [("from_client", FROM_CLIENT), ("from_server", FROM_SERVER)] {
            let frame = bytes(field);
            let frame = SealedFrame::decode(&frame).unwrap();
            let content = opened(
                &of_the_connection,
                &short(nonces, frame.nonce),
                frame.sealed,
            );
            assert_eq!(**content.unwrap(), *b"\0hello");
        }
    }
}
