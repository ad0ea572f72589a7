//! A node driven by hand over non-blocking sockets, without either adapter: what it takes to embed the core in a
//! runtime of your own.
//!
//! Two nodes live in one loop here, on loopback; they find each other by beacons, one whispers, the other answers, and
//! the program ends:
//!
//! ```text
//! cargo run --example by_hand
//! ```
//!
//! Everything an adapter does is in [`Embedding`]: sockets, a clock, entropy, and nothing of the protocol.
//! The loop asks every socket again and again; yours would wait for readiness and for [`Stack::poll_timeout`].

#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // this is the outside, where clocks and sockets are

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant as Clock};

use atonce::zre::{Config, Event};
use atonce::{Action, Cut, Frames, Instant, Interface, InterfaceId, LinkId, Stack};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Broadcast on loopback reaches every socket of this machine that is bound to the port, and nobody else.
const EVERYBODY: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);

struct Embedding {
    stack: Stack,
    start: Clock,
    beacons: UdpSocket,
    beacon_port: u16,
    mailbox: TcpListener,
    interface: InterfaceId,
    links: BTreeMap<LinkId, Link>,
    scratch: Vec<u8>,
}

struct Link {
    stream: TcpStream,
    /// The connection was begun and is not made yet.
    dialling: bool,
    /// The stack asked not to read it.
    paused: bool,
}

impl Embedding {
    fn new(name: &str, beacon_port: u16) -> Result<Self, Box<dyn Error>> {
        let mailbox = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        mailbox.set_nonblocking(true)?;

        // Many nodes of one machine share the port of the beacons.
        let beacons = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        beacons.set_reuse_address(true)?;
        beacons.set_reuse_port(true)?;
        beacons.set_broadcast(true)?;
        beacons.set_nonblocking(true)?;
        beacons.bind(&SockAddr::from(SocketAddr::from((EVERYBODY, beacon_port))))?;
        let beacons = UdpSocket::from(beacons);
        let beacon_port = beacons.local_addr()?.port();

        // The core has no randomness of its own: identities, and later keys, come from this seed.
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let config = Config {
            name: Some(name.try_into()?),
            ..Config::default()
        };
        let mut stack = Stack::new(Instant::ZERO, seed, config);
        let interface = stack.handle_interface_up(
            Instant::ZERO,
            Interface {
                name: "lo".into(),
                address: Ipv4Addr::LOCALHOST.into(),
                port: mailbox.local_addr()?.port(),
                zone: 0,
            },
        );
        Ok(Self {
            stack,
            start: Clock::now(),
            beacons,
            beacon_port,
            mailbox,
            interface,
            links: BTreeMap::new(),
            scratch: vec![0; 64 * 1024],
        })
    }

    /// The core's time is whatever the embedder says, as long as it does not run backwards.
    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// Asks every socket once, and does what the stack wants.
    fn turn(&mut self) -> Result<(), Box<dyn Error>> {
        let now = self.now();
        if self.stack.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.stack.handle_timeout(now);
        }
        while let Some((length, source)) = ready(self.beacons.recv_from(&mut self.scratch))? {
            let datagram = self.scratch.get(..length).unwrap_or_default();
            self.stack.handle_datagram(now, source, datagram);
        }
        while let Some((stream, remote)) = ready(self.mailbox.accept())? {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            // `None`: there are too many; the stream is dropped.
            if let Some(id) = self.stack.handle_accepted(now, self.interface, remote) {
                let link = Link {
                    stream,
                    dialling: false,
                    paused: false,
                };
                self.links.insert(id, link);
            }
        }
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for id in links {
            if let Err(error) = self.serve(id) {
                self.links.remove(&id);
                self.stack.handle_disconnected(now, id, cut(&error));
            }
        }
        self.act()
    }

    /// One connection: finish dialling, write, read. An error is its end.
    fn serve(&mut self, id: LinkId) -> io::Result<()> {
        let now = self.now();
        let Some(link) = self.links.get_mut(&id) else {
            return Ok(());
        };
        if link.dialling {
            if let Some(error) = link.stream.take_error()? {
                return Err(error);
            }
            if link.stream.peer_addr().is_err() {
                return Ok(()); // not yet
            }
            link.dialling = false;
            let local = link.stream.local_addr()?;
            self.stack.handle_connected(now, id, local);
        }
        loop {
            let slices: Vec<IoSlice<'_>> = self
                .stack
                .poll_transmit(id)
                .take(64)
                .map(IoSlice::new)
                .collect();
            if slices.is_empty() {
                break;
            }
            let Some(taken) = ready(link.stream.write_vectored(&slices))? else {
                break;
            };
            self.stack.handle_transmitted(now, id, taken);
        }
        // A large frame could be read right into `receive_buffer`; this example lets the stack copy.
        while !link.paused {
            match ready(link.stream.read(&mut self.scratch))? {
                None => break,
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(length) => {
                    let octets = self.scratch.get(..length).unwrap_or_default();
                    self.stack.handle_received(now, id, octets);
                }
            }
        }
        Ok(())
    }

    /// Does what the stack wants.
    fn act(&mut self) -> Result<(), Box<dyn Error>> {
        while let Some(action) = self.stack.poll_action() {
            match action {
                Action::Broadcast { datagram, .. } => {
                    // A lost beacon is no matter: the next one comes.
                    let _ = self
                        .beacons
                        .send_to(&datagram, (EVERYBODY, self.beacon_port));
                }
                Action::Dial { link, address } => {
                    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
                    socket.set_nonblocking(true)?;
                    socket.set_tcp_nodelay(true)?;
                    match socket.connect(&address.into()) {
                        Err(error) if !in_progress(&error) => {
                            let now = self.now();
                            self.stack.handle_disconnected(now, link, cut(&error));
                        }
                        _ => {
                            let stream = socket.into();
                            self.links.insert(
                                link,
                                Link {
                                    stream,
                                    dialling: true,
                                    paused: false,
                                },
                            );
                        }
                    }
                }
                // The loop asks for octets to send at each turn anyway.
                Action::Transmit { .. } => {}
                Action::Pause { link } => self.pause(link, true),
                Action::Resume { link } => self.pause(link, false),
                Action::Close { link } => drop(self.links.remove(&link)),
                // Only for `connect` with a host name. A real embedder looks it up off this thread.
                Action::Resolve { query, .. } => {
                    let now = self.now();
                    self.stack.handle_resolved(now, query, &[]);
                }
                other => eprintln!("not known to this example: {other:?}"),
            }
        }
        Ok(())
    }

    fn pause(&mut self, id: LinkId, paused: bool) {
        if let Some(link) = self.links.get_mut(&id) {
            link.paused = paused;
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        let now = self.now();
        self.stack.poll_event(now)
    }
}

/// `None` where a blocking socket would have waited.
fn ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn in_progress(error: &io::Error) -> bool {
    // EINPROGRESS of Linux and of the BSDs: it has no stable name in `ErrorKind`.
    error.kind() == ErrorKind::WouldBlock || matches!(error.raw_os_error(), Some(115 | 36))
}

fn cut(error: &io::Error) -> Cut {
    match error.kind() {
        ErrorKind::ConnectionRefused => Cut::Refused,
        ErrorKind::UnexpectedEof => Cut::Closed,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            Cut::Reset
        }
        _ => Cut::Unreachable,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // 5670 is the port of ZRE; a free one here, so that the example meets nobody but itself.
    let mut alice = Embedding::new("alice", 0)?;
    let mut bob = Embedding::new("bob", alice.beacon_port)?;
    let (mut answered, mut stopped) = (false, 0);
    let deadline = Clock::now() + Duration::from_secs(20);
    while stopped < 2 {
        if Clock::now() > deadline {
            return Err("the two nodes did not finish their conversation in 20 s".into());
        }
        for node in [&mut alice, &mut bob] {
            node.turn()?;
            while let Some(event) = node.poll_event() {
                let now = node.now();
                println!("{} at {now}: {event:?}", node.stack.name());
                match event {
                    Event::Enter { peer } if node.stack.name() == "alice" => {
                        node.stack
                            .whisper(now, peer.id, &Frames::from("how are you?"))?;
                    }
                    Event::Whisper { peer, .. } if node.stack.name() == "bob" => {
                        node.stack
                            .whisper(now, peer.id, &Frames::from("fine, thanks"))?;
                    }
                    Event::Whisper { .. } => {
                        answered = true;
                        node.stack.stop(now);
                    }
                    Event::Exit { .. } => node.stack.stop(now),
                    Event::Stopped => stopped += 1,
                    _ => {}
                }
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    if answered {
        Ok(())
    } else {
        Err("they met, and did not talk".into())
    }
}
