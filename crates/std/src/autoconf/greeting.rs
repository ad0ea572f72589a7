//! Hello, over a REQ.

use std::net::SocketAddr;
use std::time::Duration;

use atonce::Instant;
use atonce::autoconf::hello::{
    self, Client, ClientAction, ClientEvent, ClientName, InvalidClientName,
};
use atonce::curve::PublicKey;

use super::Server;
use crate::driver::Clock;
use crate::socket::{Event, Interest, Kind, Monitor, Open, SocketBuilder, SocketError, poll};
use crate::{Certificate, Socket};

/// How long something is waited for before somebody is asked whether to go on, or whether the connection is refused.
const SLICE: Duration = Duration::from_millis(20);

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
        let answer = self.say_while(server, |_| true)?;
        Ok(answer.unwrap_or(ClientEvent::Unanswered { tries: 0 }))
    }

    /// As [`say`](Self::say), as long as `go_on` says so, which is asked many times a second, and told whether somebody is reached whose
    /// answer is waited for. `None`: it said no.
    ///
    /// So a hello is given up when its server is lost or doubted, unless the answer may be on its way, as that of a server that answers
    /// and stops:
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// use atonce_std::autoconf::{Hello, Seeker};
    ///
    /// let seeker = Seeker::builder().service("printing").start()?;
    /// let hello = Hello::new("client0")?;
    /// while let Some(server) = seeker.find(Duration::from_secs(60)) {
    ///     let go_on = |is_reached| is_reached || seeker.is_in_order(server.id);
    ///     match hello.say_while(&server, go_on)? {
    ///         Some(answer) => println!("{answer:?}"),
    ///         None => println!("it is gone: the next one"),
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`say`](Self::say).
    // AUTO-53, AUTO-54
    pub fn say_while(
        &self,
        server: &Server,
        mut go_on: impl FnMut(bool) -> bool,
    ) -> Result<Option<ClientEvent>, SocketError> {
        let clock = Clock::start();
        let mut client = self.client(clock.now(), server);
        let mut asked: Vec<Asked> = Vec::new();
        loop {
            let is_reached = client.is_reached();
            if !go_on(is_reached) {
                // Who was reached, or answered, just now is to be known.
                for asked in &mut asked {
                    asked.look(clock.now(), &mut client);
                }
                if let Some(event) = client.poll_event() {
                    return Ok(Some(event));
                }
                if is_reached || !client.is_reached() || !go_on(true) {
                    return Ok(None);
                }
            }
            while let Some(action) = client.poll_action() {
                match action {
                    ClientAction::Ask { endpoint, message } => {
                        let socket: Socket = self.connect(server, endpoint)?;
                        if socket.try_send(message).is_err() {
                            client.handle_lost(clock.now(), endpoint);
                        }
                        let monitor = socket.monitor();
                        asked.push(Asked {
                            endpoint,
                            socket,
                            monitor,
                        });
                    }
                    ClientAction::Close { endpoint } => {
                        asked.retain(|asked| asked.endpoint != endpoint);
                    }
                    other => tracing::error!(?other, "nobody knows how to do it"),
                }
            }
            if let Some(event) = client.poll_event() {
                return Ok(Some(event));
            }
            let Some((at, _)) = client.poll_timeout() else {
                return Ok(None);
            };
            let left = (at - clock.now()).min(SLICE);
            let sockets = asked.iter().map(|asked| (&asked.socket, Interest::RECV));
            poll(&sockets.collect::<Vec<_>>(), Some(left));
            for asked in &mut asked {
                asked.look(clock.now(), &mut client);
            }
            client.handle_timeout(clock.now());
        }
    }

    /// The machine of a hello to this server that begins now. For adapters.
    pub fn client(&self, now: Instant, server: &Server) -> Client {
        let endpoints = server.endpoints.iter().copied();
        Client::new(now, &self.name, endpoints, self.config.clone())
    }

    /// A REQ over which to ask this server, at one of its endpoints. For adapters.
    ///
    /// # Errors
    ///
    /// There is no socket, no certificate or no descriptor for it.
    pub fn connect<S: Open>(
        &self,
        server: &Server,
        endpoint: SocketAddr,
    ) -> Result<S, SocketError> {
        let builder = SocketBuilder::new(Kind::Req).linger(Duration::ZERO);
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
        builder.connect(format!("tcp://{endpoint}")).open()
    }
}

/// An endpoint that is asked.
struct Asked {
    endpoint: SocketAddr,
    socket: Socket,
    monitor: Monitor,
}

impl Asked {
    /// Tells the machine what came of it meanwhile.
    fn look(&mut self, now: Instant, client: &mut Client) {
        match self.socket.try_recv() {
            Ok(Some(message)) => client.handle_answer(now, self.endpoint, &message),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, endpoint = %self.endpoint, "no answer");
                client.handle_lost(now, self.endpoint);
            }
        }
        while let Some(event) = self.monitor.try_next() {
            match event {
                Event::Ready { .. } => client.handle_reached(now, self.endpoint),
                Event::Disconnected { why, .. } => {
                    tracing::debug!(?why, endpoint = %self.endpoint, "the connection is gone");
                    client.handle_lost(now, self.endpoint);
                }
                _ => {}
            }
        }
    }
}

/// A certificate that nobody will know again.
fn anonymous() -> Result<Certificate, SocketError> {
    Certificate::generate().map_err(|error| SocketError::System {
        what: "random octets",
        source: std::io::Error::other(error),
    })
}
