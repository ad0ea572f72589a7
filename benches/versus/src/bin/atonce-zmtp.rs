//! Bare connections of our core on nonblocking sockets of one thread: what a handshake costs without a node around it.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use atonce::curve::{KeyPair, Seed};
use atonce::wire::zmtp::{Greeting, SocketType};
use atonce::zmtp::{Config, Connection, Event, Security, Verdict};
use atonce_versus::{Half, Knocks, Role, Watch, keys, reached_at, rest, role};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);

/// Octets of a WELCOME with its header.
const WELCOME: usize = 2 + 168;

fn main() {
    match role() {
        Role::Echo => answer(),
        Role::Knocks(it) => knock(&it),
        Role::Half(it) => half(&it),
        other => panic!("no {other:?} with connections"),
    }
}

/// The sockets, what becomes of them, and what all of them share.
struct Links {
    poll: Poll,
    links: HashMap<Token, Link>,
    /// The tokens that were ever given.
    tokens: usize,
    side: SocketType,
    keys: Arc<KeyPair>,
    started: Instant,
}

struct Link {
    connection: Connection,
    stream: TcpStream,
}

/// What came of a connection so far.
enum Progress {
    Waits,
    Ready,
    Gone,
}

impl Links {
    fn new(side: SocketType) -> Self {
        let pair = match side {
            SocketType::Router => keys::CALLED,
            _ => keys::CALLER,
        };
        Self {
            poll: Poll::new().expect("a poller"),
            links: HashMap::new(),
            tokens: 0,
            side,
            keys: keys::pair(pair),
            started: Instant::now(),
        }
    }

    fn now(&self) -> atonce::Instant {
        atonce::Instant::ZERO + self.started.elapsed()
    }

    fn add(&mut self, mut stream: TcpStream) {
        stream.set_nodelay(true).expect("it is TCP");
        let token = Token(self.tokens);
        self.tokens += 1;
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, token, both);
        registered.expect("there is room");
        let connection = connection(self.now(), self.side, &self.keys);
        self.links.insert(token, Link { connection, stream });
    }

    /// Something happened at a link.
    fn handle(&mut self, token: Token) -> Progress {
        let now = self.now();
        let Some(link) = self.links.get_mut(&token) else {
            return Progress::Waits;
        };
        let progress = link.work(now).unwrap_or(Progress::Gone);
        if matches!(progress, Progress::Gone) {
            self.links.remove(&token);
        }
        progress
    }
}

/// Of a side, encrypted where everything is.
fn connection(now: atonce::Instant, side: SocketType, keys: &Arc<KeyPair>) -> Connection {
    let security = || {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("there is randomness");
        let (keys, seed) = (Arc::clone(keys), Seed::from_bytes(seed));
        match side {
            SocketType::Router => Security::CurveServer { keys, seed },
            _ => {
                let server = keys::CALLED.0.parse().expect("a key");
                Security::CurveClient { keys, server, seed }
            }
        }
    };
    let config = Config {
        security: if keys::are_used() {
            security()
        } else {
            Security::Null
        },
        ..Config::new(side)
    };
    Connection::new(now, config)
}

impl Link {
    /// Reads, answers and writes, until there is nothing more of it.
    fn work(&mut self, now: atonce::Instant) -> io::Result<Progress> {
        let mut octets = [0; 4096];
        let mut progress = Progress::Waits;
        loop {
            let came = match self.stream.read(&mut octets) {
                Ok(0) => return Ok(Progress::Gone),
                Ok(came) => came,
                Err(error) if is_for_later(&error) => 0,
                Err(error) => return Err(error),
            };
            self.connection.handle_input(now, &octets[..came]);
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Authenticate(_) => self.connection.handle_verdict(now, Verdict::Allow),
                    Event::Ready { .. } => progress = Progress::Ready,
                    other => panic!("{other:?}"),
                }
            }
            self.write(now)?;
            // Who reads less than there was room for has all there is.
            if came < octets.len() {
                return Ok(progress);
            }
        }
    }

    fn write(&mut self, now: atonce::Instant) -> io::Result<()> {
        loop {
            let lent = self.connection.poll_transmit().take(8);
            let slices: Vec<_> = lent.map(IoSlice::new).collect();
            if slices.is_empty() {
                return Ok(());
            }
            match self.stream.write_vectored(&slices) {
                Ok(sent) => self.connection.handle_transmitted(now, sent),
                Err(error) if is_for_later(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Lets in everybody, until it is ended.
fn answer() {
    let mut links = Links::new(SocketType::Router);
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut listener = TcpListener::bind(free).expect("a free port");
    let registry = links.poll.registry();
    let registered = registry.register(&mut listener, LISTENER, Interest::READABLE);
    registered.expect("there is room");
    reached_at(listener.local_addr().expect("an address"));
    let mut events = Events::with_capacity(256);
    loop {
        links.poll.poll(&mut events, None).expect("it waits");
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    links.add(stream);
                }
            } else {
                links.handle(event.token());
            }
        }
    }
}

fn knock(it: &Knocks) {
    let mut links = Links::new(SocketType::Dealer);
    let address: SocketAddr = it.address.parse().expect("an address");
    let mut events = Events::with_capacity(256);
    let (mut begun, mut done) = (0, 0);
    let watch = Watch::start();
    while done < it.count {
        while begun < it.count && begun - done < it.at_once {
            links.add(TcpStream::connect(address).expect("it listens"));
            begun += 1;
        }
        links.poll.poll(&mut events, None).expect("it waits");
        for event in &events {
            match links.handle(event.token()) {
                Progress::Waits => {}
                // When we are, so is the server: it has the last word.
                Progress::Ready => {
                    links.links.remove(&event.token());
                    done += 1;
                }
                Progress::Gone => panic!("it is not let in"),
            }
        }
    }
    watch.report(done);
}

/// Makes connections that come as far as WELCOME.
fn half(it: &Half) {
    assert!(keys::are_used(), "only CURVE has a half way");
    let address = it.address.trim_start_matches("tcp://");
    let keys = keys::pair(keys::CALLER);
    let now = atonce::Instant::ZERO;
    let begun = Instant::now();
    let hold = |_| {
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("it is TCP");
        let mut connection = connection(now, SocketType::Dealer, &keys);
        let mut say = |connection: &mut Connection| {
            let octets = connection.poll_transmit().collect::<Vec<_>>().concat();
            connection.handle_transmitted(now, octets.len());
            (&stream).write_all(&octets).expect("it can be written");
        };
        say(&mut connection);
        let mut greeting = [0; Greeting::OCTETS];
        (&stream).read_exact(&mut greeting).expect("it greets");
        connection.handle_input(now, &greeting);
        say(&mut connection);
        let mut welcome = [0; WELCOME];
        stream.read_exact(&mut welcome).expect("it answers");
        assert_eq!(welcome[..10], *b"\x04\xa8\x07WELCOME");
        stream
    };
    let held: Vec<_> = (0..it.count).map(hold).collect();
    rest(begun.elapsed());
    drop(held);
}
