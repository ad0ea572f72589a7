//! A ZMTP connection driven by hand, over nothing but `std::net`: what an adapter does, in its smallest form.
//!
//! ```console
//! $ cargo run --example zmtp -- --type ROUTER --bind 127.0.0.1:5555 --echo
//! $ cargo run --example zmtp -- --type DEALER --connect 127.0.0.1:5555 --send 1000 --size 4096
//! ```
//!
//! The other side may as well be any ZeroMQ socket; `interop/check` runs this against libzmq. It serves one connection
//! and prints JSON lines. A message that `--send` makes is its number as 8 octets, then the octets
//! (number * 31 + index) mod 256, cut off at the size and cut into the frames that were asked for.

// Sockets, clock and threads belong to the embedder: here that is us.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atonce::curve::{KeyPair, PublicKey, Seed};
use atonce::wire::zmtp::{Identity, SocketType};
use atonce::zmtp::{Config, Connection, Credentials, Denial, Event, Heartbeat, Security, Verdict};
use atonce::{Bytes, Frames};
use bytes::BufMut;

const USAGE: &str = "\
usage: zmtp --type DEALER|ROUTER (--bind|--connect) ADDRESS:PORT (--echo | --send N) [options]
  --echo           send each message back
  --send N         send so many messages and compare what comes back
  --size OCTETS    of each message (64)
  --frames N       that each message is cut into (1)
  --identity NAME  told to the other side
  --heartbeat MS   ask the other side after so much silence
  --curve SECRET   encrypt, with this secret key of ours (Z85)
  --server KEY     the key of the other side, which is then the server; without, it is we
  --allow KEY      the only client that may come in; without, any may
  --idle MS        stay so long after all came back (0)";

/// Octets that may wait to be sent before the next message is made, or the next one read: TCP holds the peer back.
const QUEUE: usize = 4 << 20;

struct Options {
    socket_type: SocketType,
    bind: Option<String>,
    connect: Option<String>,
    echo: bool,
    send: u64,
    size: usize,
    frames: usize,
    identity: Identity,
    heartbeat: Option<Heartbeat>,
    curve: Option<Arc<KeyPair>>,
    server: Option<PublicKey>,
    allow: Option<PublicKey>,
    idle: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = parse(std::env::args().skip(1)).map_err(|error| format!("{error}\n{USAGE}"))?;
    let stream = if let Some(address) = &options.bind {
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        println!(r#"{{"event":"start","endpoint":"tcp://{bound}"}}"#);
        listener.accept()?.0
    } else {
        let address = options.connect.as_deref().ok_or(USAGE)?;
        println!(r#"{{"event":"start","endpoint":null}}"#);
        TcpStream::connect(address)?
    };
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Driver::new(stream, options)?.run()
}

impl Options {
    fn security(&self) -> Result<Security, getrandom::Error> {
        let Some(keys) = self.curve.clone() else {
            return Ok(Security::Null);
        };
        // Of the operating system's best, and new for each connection.
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let seed = Seed::from_bytes(seed);
        Ok(match self.server {
            Some(server) => Security::CurveClient { keys, server, seed },
            None => Security::CurveServer { keys, seed },
        })
    }
}

/// A connection and what it needs of the outside: a socket and a clock.
struct Driver {
    connection: Connection,
    stream: TcpStream,
    started: Instant,
    options: Options,
    sent: u64,
    came: u64,
    octets: usize,
    /// When the last message came back.
    done: Option<Instant>,
}

impl Driver {
    fn new(stream: TcpStream, options: Options) -> Result<Self, getrandom::Error> {
        let config = Config {
            identity: options.identity.clone(),
            heartbeat: options.heartbeat,
            security: options.security()?,
            ..Config::new(options.socket_type)
        };
        Ok(Self {
            connection: Connection::new(atonce::Instant::ZERO, config),
            stream,
            started: Instant::now(),
            options,
            sent: 0,
            came: 0,
            octets: 0,
            done: None,
        })
    }

    /// The machine has no clock: this is what it is told.
    fn now(&self) -> atonce::Instant {
        atonce::Instant::ZERO + self.started.elapsed()
    }

    fn run(mut self) -> Result<(), Box<dyn Error>> {
        loop {
            let mut moved = match self.write() {
                Err(error) if is_gone(&error) => return self.end(),
                result => result?,
            };
            // When the other side does not take what we send, we do not read what it sends.
            if self.connection.queued_octets() < QUEUE {
                match self.read() {
                    Err(error) if is_gone(&error) => return self.end(),
                    result => moved |= result? > 0,
                }
            }
            while let Some(event) = self.connection.poll_event() {
                self.handle(event)?;
            }
            if let Some((deadline, _)) = self.connection.poll_timeout()
                && deadline <= self.now()
            {
                self.connection.handle_timeout(self.now());
            }
            // Before the handshake is over messages would only wait, and fill the queue.
            while self.connection.is_ready()
                && self.sent < self.options.send
                && self.connection.queued_octets() < QUEUE
            {
                self.connection.send(self.message(self.sent))?;
                self.sent += 1;
                moved = true;
            }
            if self
                .done
                .is_some_and(|at| at.elapsed() >= self.options.idle)
            {
                return self.end();
            }
            if !moved {
                // Keeps the example small. A program of use waits for the socket: see `atonce-std`.
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }

    /// Sends what the connection lends. `false`: nothing was sent.
    fn write(&mut self) -> io::Result<bool> {
        let slices: Vec<_> = self
            .connection
            .poll_transmit()
            .take(64)
            .map(IoSlice::new)
            .collect();
        if slices.is_empty() {
            return Ok(false);
        }
        match (&self.stream).write_vectored(&slices) {
            Ok(octets) => {
                self.connection.handle_transmitted(self.now(), octets);
                Ok(true)
            }
            Err(error) if would_block(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Hands over what came.
    fn read(&mut self) -> io::Result<usize> {
        let mut octets = [0; 64 << 10];
        // A large frame under way lends its own buffer: no more than it lacks goes there.
        let room = self
            .connection
            .receive_buffer()
            .map(|buffer| buffer.remaining_mut());
        let wanted = room.unwrap_or(octets.len()).min(octets.len());
        let came = match self
            .stream
            .read(octets.get_mut(..wanted).unwrap_or_default())
        {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(came) => came,
            Err(error) if would_block(&error) => return Ok(0),
            Err(error) => return Err(error),
        };
        let (now, octets) = (self.now(), octets.get(..came).unwrap_or_default());
        match self.connection.receive_buffer() {
            // With `unsafe`, as in `atonce-std`, the kernel writes there and nothing is copied.
            Some(mut buffer) => {
                buffer.put_slice(octets);
                self.connection.handle_filled(now);
            }
            None => self.connection.handle_input(now, octets),
        }
        Ok(came)
    }

    fn handle(&mut self, event: Event) -> Result<(), Box<dyn Error>> {
        match event {
            Event::Ready {
                version,
                socket_type,
                identity,
                ..
            } => {
                let identity: String = identity
                    .as_bytes()
                    .iter()
                    .map(|o| format!("{o:02X}"))
                    .collect();
                println!(
                    r#"{{"event":"ready","version":"{version}","type":"{socket_type}","identity":"{identity}"}}"#
                );
            }
            Event::Authenticate(Credentials::Curve(key)) => {
                let verdict = match self.options.allow {
                    Some(allowed) if allowed != key => Verdict::Deny(Denial::Refused),
                    _ => Verdict::Allow,
                };
                println!(r#"{{"event":"client","key":"{key}","verdict":"{verdict}"}}"#);
                self.connection.handle_verdict(self.now(), verdict);
            }
            Event::Message(message) => {
                if !self.options.echo && message != self.message(self.came) {
                    return Err(format!("message {} came back different", self.came).into());
                }
                self.came += 1;
                self.octets += message.octets();
                if self.options.echo {
                    self.connection.send(message)?;
                } else if self.came == self.options.send {
                    let (came, octets) = (self.came, self.octets);
                    let seconds = self.started.elapsed().as_secs_f64();
                    println!(
                        r#"{{"event":"verified","messages":{came},"octets":{octets},"seconds":{seconds:.6}}}"#
                    );
                    self.done = Some(Instant::now());
                }
            }
            Event::Closed(error) => return Err(error.into()),
            other => println!(
                r#"{{"event":"other","what":"{}"}}"#,
                format!("{other:?}").escape_default()
            ),
        }
        Ok(())
    }

    /// The end: by the other side, or because all is done.
    fn end(self) -> Result<(), Box<dyn Error>> {
        println!(
            r#"{{"event":"stop","messages":{},"octets":{}}}"#,
            self.came, self.octets
        );
        if self.options.echo || self.done.is_some() {
            Ok(())
        } else {
            Err(format!("the other side hung up after {} messages", self.came).into())
        }
    }

    fn message(&self, number: u64) -> Frames {
        let size = self.options.size;
        let head = number.to_be_bytes();
        let [start, ..] = number.wrapping_mul(31).to_le_bytes();
        let ramp: Vec<u8> = (0..=255).map(|index| start.wrapping_add(index)).collect();
        let mut octets: Vec<u8> = ramp.into_iter().cycle().take(size).collect();
        octets
            .iter_mut()
            .zip(head)
            .for_each(|(octet, head)| *octet = head);
        let mut rest = Bytes::from(octets);
        let share = size / self.options.frames;
        let mut frames = Frames::new();
        for _ in 1..self.options.frames {
            frames.push(rest.split_to(share));
        }
        frames.push(rest);
        frames
    }
}

/// The other side hung up. TCP calls it a reset when something of ours was under way, as a heartbeat may be at any time.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        socket_type: SocketType::Dealer,
        bind: None,
        connect: None,
        echo: false,
        send: 0,
        size: 64,
        frames: 1,
        identity: Identity::default(),
        heartbeat: None,
        curve: None,
        server: None,
        allow: None,
        idle: Duration::ZERO,
    };
    while let Some(word) = words.next() {
        if word == "--echo" {
            options.echo = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word}: what?"))?;
        match word.as_str() {
            "--type" => {
                let known = SocketType::ALL.iter().find(|kind| kind.as_str() == value);
                options.socket_type = *known.ok_or("no such socket type")?;
            }
            "--bind" => options.bind = Some(value),
            "--connect" => options.connect = Some(value),
            "--send" => options.send = value.parse()?,
            "--size" => options.size = value.parse()?,
            "--frames" => options.frames = value.parse::<usize>()?.max(1),
            "--identity" => options.identity = value.as_bytes().try_into()?,
            "--heartbeat" => {
                let interval = Duration::from_millis(value.parse()?);
                options.heartbeat = Some(Heartbeat {
                    timeout: 50 * interval,
                    ..Heartbeat::every(interval)
                });
            }
            "--curve" => {
                options.curve = Some(Arc::new(KeyPair::from_secret(value.parse()?)));
            }
            "--server" => options.server = Some(value.parse()?),
            "--allow" => options.allow = Some(value.parse()?),
            "--idle" => options.idle = Duration::from_millis(value.parse()?),
            _ => return Err(format!("{word}?").into()),
        }
    }
    if options.bind.is_some() == options.connect.is_some() || options.echo == (options.send > 0) {
        return Err("--bind or --connect, and --echo or --send".into());
    }
    Ok(options)
}
