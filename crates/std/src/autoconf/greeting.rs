//! Hello, over a REQ and a REP.

use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use atonce::autoconf::hello::{
    self, Client, ClientAction, ClientEvent, ClientName, InvalidClientName, ServerAction,
    ServerEvent,
};
use atonce::curve::PublicKey;

use super::Server;
use crate::driver::Clock;
use crate::socket::{Event, Kind, Monitor, RecvError, SendError, SocketError};
use crate::{Certificate, Socket, Trust};

/// How long something is waited for before somebody is asked whether to go on, or whether the connection is refused.
const SLICE: Duration = Duration::from_millis(20);
/// As good as for ever, and no time that cannot be added to any other.
const LONG: Duration = Duration::from_secs(3_600);
/// What is said when a thread panicked with it: what it held is suspect.
const PANICKED: &str =
    "atonce: a thread panicked while it answered; this is a bug, please report it";

/// Says hello to servers, as a client of some name.
///
/// ```
/// use std::time::Duration;
/// use atonce_std::autoconf::{Announcer, Answerer, Hello, Seeker, hello};
///
/// let answerer = Answerer::bind("tcp://127.0.0.1:0")?;
/// # let announced = answerer.endpoint().to_owned();
/// let announcer = Announcer::builder("printing")
///     .endpoint(answerer.endpoint())
///     .interface("lo")
/// #   .port(25676)
///     .start()?;
/// let server = std::thread::spawn(move || answerer.recv());
///
/// let seeker = Seeker::builder()
///     .service("printing")
///     .interface("lo")
/// #   .port(25676)
///     .start()?;
/// let found = seeker.find(Duration::from_secs(10)).expect("it is there");
/// let answer = Hello::new("client0")?.say(&found)?;
/// assert!(matches!(answer, hello::ClientEvent::Welcome { .. }));
/// seeker.confirm(found.id);
///
/// let Ok(Some(hello::ServerEvent::Hello { name })) = server.join() else { panic!() };
/// assert_eq!(name.as_str(), "client0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hello {
    name: ClientName,
    certificate: Option<Certificate>,
    config: hello::Config,
}

impl Hello {
    /// As a client of this name, which anybody may have as well.
    ///
    /// # Errors
    ///
    /// It has no octets or more than 255, or control characters.
    pub fn new(name: &str) -> Result<Self, InvalidClientName> {
        Ok(Self {
            name: name.parse()?,
            certificate: None,
            config: hello::Config::default(),
        })
    }

    /// To servers with a key, with this certificate. Without it each hello has a key of its own.
    #[must_use]
    pub fn certificate(mut self, own: Certificate) -> Self {
        self.certificate = Some(own);
        self
    }

    /// How long an answer may take, the connection included: 2.5 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// How often it is said: 3 times, or once at each endpoint if those are more.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.config.tries = tries;
        self
    }

    /// Says it, and waits for the answer, as long and as often as it was told. Over CURVE with the key that the server announced, if it
    /// announced one: pin it where the server is sought, or it may be anybody's.
    ///
    /// # Errors
    ///
    /// There is no socket, no certificate or no descriptor for it. That nobody answers is none.
    pub fn say(&self, server: &Server) -> Result<ClientEvent, SocketError> {
        let answer = self.say_while(server, || true)?;
        Ok(answer.unwrap_or(ClientEvent::Unanswered { tries: 0 }))
    }

    /// As [`say`](Self::say), as long as `go_on` says so, which is asked many times a second. `None`: it said no.
    ///
    /// # Errors
    ///
    /// As [`say`](Self::say).
    // AUTO-53, AUTO-54
    pub fn say_while(
        &self,
        server: &Server,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Option<ClientEvent>, SocketError> {
        let clock = Clock::start();
        let endpoints = server.endpoints.iter().copied();
        let mut client = Client::new(clock.now(), &self.name, endpoints, self.config.clone());
        let mut asking: Option<(Socket, Monitor)> = None;
        while go_on() {
            while let Some(action) = client.poll_action() {
                match action {
                    ClientAction::Ask { endpoint, message } => {
                        let socket = self.connect(server, &format!("tcp://{endpoint}"))?;
                        if socket.try_send(message).is_err() {
                            client.handle_lost(clock.now());
                        }
                        let monitor = socket.monitor();
                        asking = Some((socket, monitor));
                    }
                    ClientAction::Close => asking = None,
                    other => tracing::error!(?other, "nobody knows how to do it"),
                }
            }
            if let Some(event) = client.poll_event() {
                return Ok(Some(event));
            }
            let now = clock.now();
            let Some((at, _)) = client.poll_timeout() else {
                break;
            };
            let left = (at - now).min(SLICE);
            let Some((socket, monitor)) = &mut asking else {
                std::thread::sleep(left);
                client.handle_timeout(clock.now());
                continue;
            };
            match socket.recv_timeout(left) {
                Ok(Some(message)) => client.handle_answer(clock.now(), &message),
                Ok(None) => client.handle_timeout(clock.now()),
                Err(error) => {
                    tracing::debug!(%error, "no answer");
                    client.handle_lost(clock.now());
                }
            }
            while let Some(event) = monitor.try_next() {
                if let Event::Disconnected { why, .. } = event {
                    tracing::debug!(?why, "the connection is gone");
                    client.handle_lost(clock.now());
                }
            }
        }
        Ok(None)
    }

    fn connect(&self, server: &Server, endpoint: &str) -> Result<Socket, SocketError> {
        let builder = Socket::builder(Kind::Req).linger(Duration::ZERO);
        // AUTO-6
        let builder = match server.offer.key() {
            None => builder,
            Some(key) => {
                let own = match &self.certificate {
                    Some(own) => own.clone(),
                    None => anonymous()?,
                };
                builder.curve_client(own, PublicKey::from_bytes(*key))
            }
        };
        builder.connect(endpoint).open()
    }
}

/// A certificate that nobody will know again.
fn anonymous() -> Result<Certificate, SocketError> {
    Certificate::generate().map_err(|error| SocketError::System {
        what: "random octets",
        source: std::io::Error::other(error),
    })
}

/// Answers whoever says hello, over a REP.
///
/// It answers while somebody waits in [`recv`](Self::recv). [`Hello`] has an example.
pub struct Answerer {
    socket: Socket,
    endpoint: String,
    machine: Mutex<(hello::Server, Clock)>,
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
        let builder = Socket::builder(Kind::Rep);
        let builder = match security {
            None => builder,
            Some((own, trust)) => builder.curve_server(own, trust),
        };
        let socket: Socket = builder.open()?;
        let endpoint = socket.bind(endpoint)?;
        Ok(Self {
            socket,
            endpoint,
            machine: Mutex::new((hello::Server::new(), Clock::start())),
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

    // AUTO-51, AUTO-55
    fn receive(&self, timeout: Option<Duration>) -> Option<ServerEvent> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut held = self.machine();
        let (machine, clock) = &mut *held;
        loop {
            if let Some(event) = machine.poll_event() {
                return Some(event);
            }
            let mut wait = until.map_or(LONG, |until| {
                until.saturating_duration_since(Instant::now())
            });
            let late = until.is_some() && wait.is_zero();
            if let Some((at, _)) = machine.poll_timeout() {
                // It would fail again at once.
                wait = wait.min(at - clock.now());
                std::thread::sleep(wait);
                machine.handle_timeout(clock.now());
                wait = Duration::ZERO;
            }
            match self.socket.recv_timeout(wait) {
                Ok(Some(request)) => machine.handle_request(clock.now(), &request),
                Ok(None) if late => return None,
                Ok(None) => {}
                Err(RecvError::Closed) => return None,
                Err(error) => {
                    tracing::debug!(%error, "cannot receive");
                    machine.handle_failed(clock.now());
                }
            }
            while let Some(action) = machine.poll_action() {
                match action {
                    ServerAction::Answer { message } => match self.socket.try_send(message) {
                        // Who asked is gone: the next one can be received.
                        Ok(()) | Err(SendError::PeerLost) => {}
                        Err(SendError::Closed) => return None,
                        Err(error) => {
                            tracing::debug!(%error, "cannot answer");
                            machine.handle_failed(clock.now());
                        }
                    },
                    ServerAction::Reset => self.socket.reset(),
                    other => tracing::error!(?other, "nobody knows how to do it"),
                }
            }
        }
    }

    /// One thread after the other: a REP has one request at a time.
    fn machine(&self) -> MutexGuard<'_, (hello::Server, Clock)> {
        self.machine.lock().expect(PANICKED)
    }
}

impl fmt::Debug for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answerer")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
