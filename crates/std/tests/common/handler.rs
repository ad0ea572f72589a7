//! An authentication handler to test with: a ROUTER on the loopback that speaks ZAP as well or as badly as it is told.
#![allow(dead_code)] // each test program uses a part of it
#![allow(clippy::unwrap_used, clippy::panic)] // a test is where they belong, also outside of its function

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use atonce::wire::zap::{Credentials, Outcome, Reply, Request};
use atonce::wire::zmtp::{Metadata, SocketType};
use atonce::zmtp::{Config, Connection, Event};
use atonce::{Bytes, Frames, Instant};

/// What the handler does when it was asked.
pub(crate) enum Say {
    /// Answers this question.
    Reply(Outcome),
    /// Answers one that was not asked.
    WrongId(Outcome),
    /// Sends a message.
    Message(Frames),
    /// Sends octets.
    Octets(&'static [u8]),
    /// Closes the connection.
    HangUp,
}

/// A running one; it runs until the test ends.
pub(crate) struct Handler {
    pub(crate) address: SocketAddr,
    /// What it was asked.
    pub(crate) asked: Receiver<Request>,
    /// One for each connection that ended.
    pub(crate) ended: Receiver<()>,
}

impl Handler {
    /// It is told what to do by a function of the question and of how many came before on any connection.
    pub(crate) fn start(answer: impl FnMut(&Request, usize) -> Vec<Say> + Send + 'static) -> Self {
        Self::start_at(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), answer)
    }

    pub(crate) fn start_at(
        listener: TcpListener,
        mut answer: impl FnMut(&Request, usize) -> Vec<Say> + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (told, asked) = channel();
        let (over, ended) = channel();
        thread::spawn(move || {
            let mut count = 0;
            for stream in listener.incoming() {
                serve(stream.unwrap(), &mut count, &mut answer, &told);
                if over.send(()).is_err() {
                    return;
                }
            }
        });
        Self {
            address,
            asked,
            ended,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("tcp://{}", self.address)
    }
}

/// Lets in.
pub(crate) fn allowed() -> Outcome {
    Outcome::Allowed {
        user_id: "joe".try_into().unwrap(),
        metadata: Metadata::new(),
    }
}

/// The key that is asked about.
pub(crate) fn key(request: &Request) -> [u8; 32] {
    match request.credentials {
        Credentials::Curve(key) => key,
        _ => panic!("{request:?}"),
    }
}

fn serve(
    mut stream: TcpStream,
    count: &mut usize,
    answer: &mut impl FnMut(&Request, usize) -> Vec<Say>,
    told: &Sender<Request>,
) {
    let now = Instant::ZERO;
    let mut connection = Connection::new(now, Config::new(SocketType::Router));
    let mut chunk = [0; 4096];
    loop {
        let octets = connection.poll_transmit().collect::<Vec<_>>().concat();
        if stream.write_all(&octets).is_err() {
            return;
        }
        connection.handle_transmitted(now, octets.len());
        let Ok(read @ 1..) = stream.read(&mut chunk) else {
            return;
        };
        connection.handle_input(now, &chunk[..read]);
        while let Some(event) = connection.poll_event() {
            let message = match event {
                Event::Message(message) => message,
                Event::Ready { .. } => continue,
                other => panic!("{other:?}"),
            };
            let request = Request::decode(&message).unwrap();
            let says = answer(&request, *count);
            *count += 1;
            let id = request.request_id.clone();
            let _ = told.send(request);
            for say in says {
                match say {
                    Say::Reply(outcome) => connection.send(reply(id.clone(), outcome)).unwrap(),
                    Say::WrongId(outcome) => {
                        connection.send(reply("nobody's".into(), outcome)).unwrap();
                    }
                    Say::Message(message) => connection.send(message).unwrap(),
                    Say::Octets(octets) => {
                        let before = connection.poll_transmit().collect::<Vec<_>>().concat();
                        connection.handle_transmitted(now, before.len());
                        stream.write_all(&[&before, octets].concat()).unwrap();
                    }
                    Say::HangUp => return,
                }
            }
        }
    }
}

fn reply(request_id: Bytes, outcome: Outcome) -> Frames {
    let text = "as it was told".try_into().unwrap();
    Reply {
        request_id,
        text,
        outcome,
    }
    .encode()
}
