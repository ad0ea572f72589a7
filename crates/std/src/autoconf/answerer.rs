//! What answers a hello, over a REP.

use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use atonce::Frames;
use atonce::autoconf::hello::{self, ServerAction, ServerEvent};

use crate::driver::Clock;
use crate::socket::{Kind, Open, RecvError, SendError, SocketBuilder, SocketError};
use crate::{Certificate, Socket, Trust};

/// As good as for ever, and no time that cannot be added to any other.
const LONG: Duration = Duration::from_secs(3_600);
/// What is said when a thread panicked with it: what it held is suspect.
const PANICKED: &str =
    "atonce: a thread panicked while it answered; this is a bug, please report it";

/// The REP of whoever answers. For adapters.
pub trait Rep {
    /// Sends an answer, if it can be sent now.
    ///
    /// # Errors
    ///
    /// It cannot.
    fn answer(&self, answer: Frames) -> Result<(), SendError>;

    /// Gives up what is under way, so that it can receive again.
    fn reset(&self);
}

impl Rep for Socket {
    fn answer(&self, answer: Frames) -> Result<(), SendError> {
        self.try_send(answer)
    }

    fn reset(&self) {
        Self::reset(self);
    }
}

/// What answers, beside its REP. For adapters.
#[derive(Debug)]
pub struct Answering {
    machine: hello::Server,
    clock: Clock,
}

impl Default for Answering {
    fn default() -> Self {
        Self {
            machine: hello::Server::new(),
            clock: Clock::start(),
        }
    }
}

impl Answering {
    /// The REP of it, before it is bound.
    ///
    /// # Errors
    ///
    /// There is no descriptor for it, or the certificate has no secret key.
    pub fn open<S: Open>(security: Option<(Certificate, Trust)>) -> Result<S, SocketError> {
        let builder = SocketBuilder::new(Kind::Rep);
        match security {
            None => builder,
            Some((own, trust)) => builder.curve_server(own, trust),
        }
        .open()
    }

    /// Who came, one after the other.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.machine.poll_event()
    }

    /// How long nothing is to be received, if that is so: it would fail again at once.
    // AUTO-55
    pub fn pause(&mut self, rep: &impl Rep) -> Option<Duration> {
        let now = self.clock.now();
        self.machine.handle_timeout(now);
        self.act(rep);
        let (at, _) = self.machine.poll_timeout()?;
        Some(at - now)
    }

    /// Answers what was received. `false`: the REP is closed.
    // AUTO-51, AUTO-55
    pub fn handle(&mut self, rep: &impl Rep, received: Result<Frames, RecvError>) -> bool {
        match received {
            Ok(request) => self.machine.handle_request(self.clock.now(), &request),
            Err(RecvError::Closed) => return false,
            Err(error) => {
                tracing::debug!(%error, "cannot receive");
                self.machine.handle_failed(self.clock.now());
            }
        }
        self.act(rep)
    }

    fn act(&mut self, rep: &impl Rep) -> bool {
        while let Some(action) = self.machine.poll_action() {
            match action {
                ServerAction::Answer { message } => match rep.answer(message) {
                    // Who asked is gone: the next one can be received.
                    Ok(()) | Err(SendError::PeerLost) => {}
                    Err(SendError::Closed) => return false,
                    Err(error) => {
                        tracing::debug!(%error, "cannot answer");
                        self.machine.handle_failed(self.clock.now());
                    }
                },
                ServerAction::Reset => rep.reset(),
                other => tracing::error!(?other, "nobody knows how to do it"),
            }
        }
        true
    }
}

/// Answers whoever says hello, over a REP.
///
/// It answers while somebody waits in [`recv`](Self::recv). [`Hello`](super::Hello) has an example.
pub struct Answerer {
    socket: Socket,
    endpoint: String,
    answering: Mutex<Answering>,
}

impl Answerer {
    /// Binds a REP for it, which is to be announced afterwards.
    ///
    /// # Errors
    ///
    /// It cannot be listened there.
    pub fn bind(endpoint: &str) -> Result<Self, SocketError> {
        Self::open(endpoint, None)
    }

    /// The same with CURVE: for those whose keys are trusted. What is to be announced is the public key of `own`.
    ///
    /// # Errors
    ///
    /// It cannot be listened there, or the certificate has no secret key.
    pub fn bind_secure(
        endpoint: &str,
        own: Certificate,
        trust: Trust,
    ) -> Result<Self, SocketError> {
        Self::open(endpoint, Some((own, trust)))
    }

    fn open(endpoint: &str, security: Option<(Certificate, Trust)>) -> Result<Self, SocketError> {
        let socket: Socket = Answering::open(security)?;
        let endpoint = socket.bind(endpoint)?;
        Ok(Self {
            socket,
            endpoint,
            answering: Mutex::new(Answering::default()),
        })
    }

    /// Where it is, with the port that it got.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Answers, and tells who came; waits for somebody. `None` when it was [closed](Self::close).
    pub fn recv(&self) -> Option<ServerEvent> {
        self.receive(None)
    }

    /// Answers, and tells who came; waits for somebody as long as `timeout`. `None` when nobody came in all that time, or it was closed.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<ServerEvent> {
        self.receive(Some(timeout))
    }

    /// Ends it: what was answered still goes out, for the linger of a socket at most.
    pub fn close(&self) {
        self.socket.close();
    }

    fn receive(&self, timeout: Option<Duration>) -> Option<ServerEvent> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut answering = self.answering();
        loop {
            if let Some(event) = answering.poll_event() {
                return Some(event);
            }
            let wait = until.map_or(LONG, |until| {
                until.saturating_duration_since(Instant::now())
            });
            let late = until.is_some() && wait.is_zero();
            let is_open = match answering.pause(&self.socket) {
                None => {
                    let received = self.socket.recv_timeout(wait).transpose();
                    received.map(|received| answering.handle(&self.socket, received))
                }
                Some(pause) => {
                    std::thread::sleep(wait.min(pause));
                    None
                }
            };
            if is_open == Some(false) || is_open.is_none() && late {
                return None;
            }
        }
    }

    /// One thread after the other: a REP has one request at a time.
    fn answering(&self) -> MutexGuard<'_, Answering> {
        self.answering.lock().expect(PANICKED)
    }
}

impl fmt::Debug for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answerer")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
