//! Asks an authentication handler that speaks ZAP, over a connection of its own on a thread of its own.
//!
//! ```text
//!  node ── Question ──► thread ── DEALER over TCP ──► REP or ROUTER, mostly a proxy in front of zauth
//!       ◄── Answer ───         ◄─────────────────────
//! ```
//!
//! The thread sleeps while there is nothing to ask. It dials when there is, and again when the connection ended, and asks what is
//! not answered anew there.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use atonce::wire::zap::{Credentials, Domain, Outcome, Reply, Request};
use atonce::wire::zmtp::SocketType;
use atonce::zmtp::{Config, Connection, Denial, Event, Limits, Verdict};
use atonce::{Frames, Instant, LinkId, zmtp};
use mio::net::TcpStream;
use mio::{Interest, Poll, Token, Waker};

use super::asker::{Answers, MOST, PATIENCE, Question};
use super::clock::Clock;

/// The first pause before the handler is dialled again, and the longest: one that is restarted is back at once, and one that is
/// gone costs next to nothing.
// ZAP-24
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A connection on which nothing was answered for so long, while a question expired, is made anew.
const SILENCE: Duration = Duration::from_millis(2_500);

/// What a reply may be: seven frames, of which the metadata is the only large one.
const LIMITS: Limits = Limits {
    frame_octets: 64 << 10,
    message_octets: 128 << 10,
    message_frames: 16,
    command_octets: 8 << 10,
};

/// What is read at once, in octets.
const CHUNK: usize = 16 << 10;

/// Reads in a row before questions and deadlines are looked at again.
const READS: usize = 16;

/// The most slices of a write.
const SLICES: usize = 64;

const WAKE: Token = Token(0);
const HANDLER: Token = Token(1);

/// The node's end: it asks.
#[derive(Debug)]
pub(super) struct Client {
    /// `None` only when it is being dropped.
    questions: Option<Sender<Question>>,
    waker: Arc<Waker>,
}

impl Client {
    /// Starts the thread. It ends when this is dropped.
    pub(super) fn start(address: SocketAddr, domain: Domain, answers: Answers) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, questions) = channel();
        let mut worker = Worker {
            address,
            domain,
            answers,
            questions,
            poll,
            _waker: Arc::clone(&waker),
            clock: Clock::start(),
            under_way: BTreeMap::new(),
            next_id: 0,
            link: None,
            dial_at: Instant::ZERO,
            pause: FIRST_PAUSE,
            is_down: false,
        };
        thread::Builder::new()
            .name("atonce-zap".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            questions: Some(sender),
            waker,
        })
    }

    /// Whether the thread is there to take it.
    pub(super) fn ask(&self, question: Question) -> bool {
        let questions = self.questions.as_ref();
        questions.is_some_and(|questions| questions.send(question).is_ok())
            && self.waker.wake().is_ok()
    }
}

impl Drop for Client {
    /// The thread sees that there will be no more questions.
    fn drop(&mut self) {
        self.questions = None;
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot end the thread that asks the handler");
        }
    }
}

/// The thread.
struct Worker {
    address: SocketAddr,
    domain: Domain,
    answers: Answers,
    questions: Receiver<Question>,
    poll: Poll,
    /// A waker that is dropped takes the last wake-up with it, so that this side has to keep it as well.
    _waker: Arc<Waker>,
    clock: Clock,
    /// Questions without an answer, by their request ids, which count up: the first one is the oldest.
    under_way: BTreeMap<u64, Asked>,
    next_id: u64,
    link: Option<Link>,
    /// When the handler may be dialled.
    dial_at: Instant,
    /// The next pause.
    pause: Duration,
    /// Whether it was told that the handler cannot be asked, so that it is not told again.
    is_down: bool,
}

struct Asked {
    link: LinkId,
    /// What is sent, again on each connection.
    message: Frames,
    deadline: Instant,
}

struct Link {
    stream: TcpStream,
    connection: Connection,
    /// TCP is not there yet.
    is_dialling: bool,
    /// There may be more to read than was.
    has_more: bool,
    /// When the handler answered last, or was dialled.
    heard: Instant,
}

impl Worker {
    fn run(&mut self) {
        // One that is asked for nothing needs no room.
        let mut events = mio::Events::with_capacity(4);
        loop {
            let timeout = self.deadline().map(|at| at - self.clock.now());
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    tracing::error!(%error, "the handler cannot be asked any more");
                    return;
                }
                _ => {}
            }
            loop {
                match self.questions.try_recv() {
                    Ok(question) => self.take(&question),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let now = self.clock.now();
            self.expire(now);
            if self.link.is_none() && !self.under_way.is_empty() && self.dial_at <= now {
                self.dial(now);
            }
            self.serve();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let oldest = self.under_way.first_key_value();
        let expires = oldest.map(|(_, asked)| asked.deadline);
        let other = match &self.link {
            Some(link) if link.has_more => Some(Instant::ZERO),
            Some(link) => link.connection.poll_timeout().map(|(at, _)| at),
            None => oldest.map(|_| self.dial_at),
        };
        [expires, other].into_iter().flatten().min()
    }

    fn take(&mut self, question: &Question) {
        let now = self.clock.now();
        let id = self.next_id;
        self.next_id += 1;
        let request = Request {
            // ZAP-26
            request_id: id.to_string().into(),
            domain: self.domain.clone(),
            // ZAP-3
            address: question.remote.ip().to_canonical(),
            // ZAP-5
            identity: Default::default(),
            // ZAP-4
            credentials: match &question.credentials {
                zmtp::Credentials::Curve(key) => Credentials::Curve(*key.as_bytes()),
                zmtp::Credentials::Plain { username, password } => Credentials::Plain {
                    username: username.clone(),
                    password: password.expose().clone(),
                },
                _ => Credentials::Null,
            },
        };
        let message = request.encode();
        if let Some(link) = &mut self.link {
            link.send(&message);
        }
        let left = PATIENCE.saturating_sub(question.asked.elapsed());
        self.under_way.insert(
            id,
            Asked {
                link: question.link,
                message,
                deadline: now + left,
            },
        );
    }

    /// Answers what the handler did not.
    // ZAP-23
    fn expire(&mut self, now: Instant) {
        let mut is_silent = false;
        while let Some(oldest) = self.under_way.first_entry()
            && oldest.get().deadline <= now
        {
            let asked = oldest.remove();
            let link = self.link.as_ref();
            is_silent |= link.is_some_and(|link| link.heard + SILENCE <= now);
            self.answers
                .give(asked.link, Verdict::Deny(Denial::Temporary));
        }
        // Its machine may be gone, which TCP would notice after a quarter of an hour.
        if is_silent {
            self.hang_up("it does not answer");
        }
    }

    fn dial(&mut self, now: Instant) {
        match self.open(now) {
            Ok(mut link) => {
                for asked in self.under_way.values() {
                    link.send(&asked.message);
                }
                self.link = Some(link);
            }
            Err(error) => self.hang_up(error),
        }
    }

    fn open(&self, now: Instant) -> io::Result<Link> {
        let mut stream = TcpStream::connect(self.address)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, HANDLER, both)?;
        Ok(Link {
            stream,
            // ZAP-20
            connection: Connection::new(
                now,
                Config {
                    handshake_timeout: PATIENCE,
                    limits: LIMITS,
                    ..Config::new(SocketType::Dealer)
                },
            ),
            is_dialling: true,
            has_more: false,
            heard: now,
        })
    }

    /// Reads, answers and writes what there is.
    fn serve(&mut self) {
        let Some(link) = &mut self.link else {
            return;
        };
        let mut messages = Vec::new();
        let failed = link.serve(&self.clock, &mut messages).err();
        if !messages.is_empty() {
            link.heard = self.clock.recent();
        }
        for message in &messages {
            self.handle_message(message);
        }
        if let Some(reason) = failed {
            self.hang_up(reason);
        }
    }

    fn handle_message(&mut self, message: &Frames) {
        // ZAP-22
        let reply = match Reply::decode(message) {
            Ok(reply) => reply,
            Err(error) => {
                tracing::warn!(handler = %self.address, %error, "no reply of ZAP");
                return;
            }
        };
        let id = str::from_utf8(&reply.request_id).ok();
        let id = id.and_then(|id| id.parse().ok());
        let Some(asked) = id.and_then(|id| self.under_way.remove(&id)) else {
            tracing::debug!(handler = %self.address, id = ?reply.request_id, "a late reply, or one to nothing that was asked");
            return;
        };
        if self.is_down {
            tracing::info!(handler = %self.address, "answers again");
        }
        self.is_down = false;
        self.pause = FIRST_PAUSE;
        tracing::debug!(status = reply.outcome.code(), text = %reply.text, "the handler decided");
        self.answers.give(asked.link, verdict(&reply.outcome));
    }

    /// Without a connection from now on; the next one after a pause.
    // ZAP-24
    fn hang_up(&mut self, reason: impl std::fmt::Display) {
        self.link = None;
        self.dial_at = self.clock.now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        // One that went away while nobody asks is perhaps not missed.
        if self.under_way.is_empty() || self.is_down {
            tracing::debug!(handler = %self.address, %reason, "cannot be asked");
        } else {
            self.is_down = true;
            tracing::warn!(handler = %self.address, %reason, "cannot be asked, and nobody new is let in");
        }
    }
}

// ZAP-11
fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Allowed { user_id, .. } => Verdict::AllowAs(user_id.clone()),
        Outcome::Temporary => Verdict::Deny(Denial::Temporary),
        Outcome::Refused => Verdict::Deny(Denial::Refused),
        Outcome::Internal => Verdict::Deny(Denial::Internal),
    }
}

impl Link {
    fn send(&mut self, message: &Frames) {
        // A closed one is replaced, and everything asked again on the next.
        let _ = self.connection.send(message.clone());
    }

    /// Reads and writes what there is. Messages that came are there also when it failed.
    fn serve(&mut self, clock: &Clock, messages: &mut Vec<Frames>) -> Result<(), String> {
        if self.is_dialling && !self.is_dialled()? {
            return self.check(clock, messages);
        }
        self.is_dialling = false;
        self.has_more = false;
        let mut chunk = [0; CHUNK];
        for read in 1.. {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("it hung up".to_owned()),
                Ok(octets) => {
                    let octets = chunk.get(..octets).unwrap_or_default();
                    self.connection.handle_input(clock.now(), octets);
                    self.check(clock, messages)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
            if read == READS {
                self.has_more = true;
                break;
            }
        }
        self.check(clock, messages)?;
        self.write(clock)?;
        // It takes nothing while questions come and expire.
        if self.connection.queued_messages() > MOST {
            return Err("it does not read".to_owned());
        }
        Ok(())
    }

    /// Whether TCP is there; the error if it will not be.
    fn is_dialled(&self) -> Result<bool, String> {
        if let Ok(Some(error)) | Err(error) = self.stream.take_error() {
            return Err(error.to_string());
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                // What is asked is small, and somebody waits for the answer.
                let _ = self.stream.set_nodelay(true);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Takes what the connection has to tell, and looks at its deadline.
    fn check(&mut self, clock: &Clock, messages: &mut Vec<Frames>) -> Result<(), String> {
        self.connection.handle_timeout(clock.now());
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Message(message) => messages.push(message),
                Event::Closed(error) => return Err(error.to_string()),
                _ => {}
            }
        }
        Ok(())
    }

    fn write(&mut self, clock: &Clock) -> Result<(), String> {
        loop {
            let slices = self.connection.poll_transmit().take(SLICES);
            let slices: Vec<_> = slices.map(IoSlice::new).collect();
            if slices.is_empty() {
                return Ok(());
            }
            match self.stream.write_vectored(&slices) {
                Ok(octets) => self.connection.handle_transmitted(clock.now(), octets),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
