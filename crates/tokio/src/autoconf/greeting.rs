//! Hello, over a REQ.

use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use atonce::Instant;
use atonce_std::autoconf as on_threads;
use futures_core::Stream;

use super::Server;
use super::hello::{Client, ClientAction, ClientEvent, InvalidClientName};
use crate::socket::{Event, Incoming, Monitor, SocketError};
use crate::{Certificate, Socket};

/// Says hello to servers, as a client of some name.
///
/// ```
/// use atonce_tokio::autoconf::{Announcer, Answerer, Hello, Seeker, hello};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let answerer = Answerer::bind("tcp://127.0.0.1:0")?;
/// let announcer = Announcer::builder("printing")
///     .endpoint(answerer.endpoint())
///     .interface("lo")
/// #   .port(25686)
///     .start()?;
/// let server = tokio::spawn(async move { answerer.recv().await });
///
/// let seeker = Seeker::builder()
///     .service("printing")
///     .interface("lo")
/// #   .port(25686)
///     .start()?;
/// let found = seeker.find().await.expect("it is not stopped");
/// let gone = seeker.not_in_order(found.id); // lost, or doubted: another one is to be looked for
/// let answer = Hello::new("client0")?.say_unless(&found, gone).await?;
/// assert!(matches!(answer, Some(hello::ClientEvent::Welcome { .. })));
/// seeker.confirm(found.id);
///
/// let Some(hello::ServerEvent::Hello { name }) = server.await? else { panic!() };
/// assert_eq!(name.as_str(), "client0");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Hello(on_threads::Hello);

impl Hello {
    /// As a client of this name, which anybody may have as well.
    ///
    /// # Errors
    ///
    /// It has no octets or more than 255, or control characters.
    pub fn new(name: &str) -> Result<Self, InvalidClientName> {
        on_threads::Hello::new(name).map(Self)
    }

    /// To servers with a key, with this certificate. Without it each hello has a key of its own.
    #[must_use]
    pub fn certificate(self, own: Certificate) -> Self {
        Self(self.0.certificate(own))
    }

    /// How long an answer may take, the connection included: 2.5 s.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self(self.0.timeout(timeout))
    }

    /// How often it is said: 3 times, or once at each endpoint if those are more.
    #[must_use]
    pub fn tries(self, tries: u32) -> Self {
        Self(self.0.tries(tries))
    }

    /// Says it, and waits for the answer, as long and as often as it was told. Over CURVE with the key that the server announced, if it
    /// announced one: pin it where the server is sought, or it may be anybody's. Dropped before it is done, it is given up.
    ///
    /// # Errors
    ///
    /// There is no runtime, no socket, no certificate or no descriptor for it. That nobody answers is none.
    pub async fn say(&self, server: &Server) -> Result<ClientEvent, SocketError> {
        let answer = self.say_unless(server, pending()).await?;
        Ok(answer.unwrap_or(ClientEvent::Unanswered { tries: 0 }))
    }

    /// As [`say`](Self::say), unless this happens first: then `None`. When somebody is reached who may be answering, as a server that
    /// answers and stops, that answer is waited for all the same.
    ///
    /// # Errors
    ///
    /// As [`say`](Self::say).
    // AUTO-53, AUTO-54
    pub async fn say_unless(
        &self,
        server: &Server,
        gone: impl Future<Output = ()>,
    ) -> Result<Option<ClientEvent>, SocketError> {
        let mut gone = pin!(gone);
        let mut is_gone = false;
        let start = tokio::time::Instant::now();
        let now = || Instant::ZERO + start.elapsed();
        let mut client = self.0.client(now(), server);
        let mut asked: Vec<Asked> = Vec::new();
        let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            while let Some(action) = client.poll_action() {
                match action {
                    ClientAction::Ask { endpoint, message } => {
                        let socket: Socket = self.0.connect(server, endpoint)?;
                        if socket.try_send(message).is_err() {
                            client.handle_lost(now(), endpoint);
                        }
                        asked.push(Asked {
                            endpoint,
                            answers: socket.incoming(),
                            monitor: socket.monitor(),
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
            if is_gone && !client.is_reached() {
                return Ok(None);
            }
            sleep.as_mut().reset(start + (at - Instant::ZERO));
            poll_fn(|cx| {
                let mut happened = false;
                for asked in &mut asked {
                    happened |= asked.poll(now(), &mut client, cx);
                }
                if !is_gone && gone.as_mut().poll(cx).is_ready() {
                    is_gone = true;
                    happened = true;
                    // Who was reached just before that is to be known.
                    for asked in &mut asked {
                        asked.poll(now(), &mut client, cx);
                    }
                }
                match happened {
                    true => Poll::Ready(()),
                    false => sleep.as_mut().poll(cx),
                }
            })
            .await;
            client.handle_timeout(now());
        }
    }
}

/// An endpoint that is asked.
struct Asked {
    endpoint: SocketAddr,
    /// Has the socket.
    answers: Incoming,
    monitor: Monitor,
}

impl Asked {
    /// Tells the machine what came of it meanwhile; whether anything did.
    fn poll(&mut self, now: Instant, client: &mut Client, cx: &mut Context<'_>) -> bool {
        let mut happened = false;
        if let Poll::Ready(answer) = Pin::new(&mut self.answers).poll_next(cx) {
            happened = true;
            match answer {
                Some(Ok(message)) => client.handle_answer(now, self.endpoint, &message),
                lost => {
                    tracing::debug!(?lost, endpoint = %self.endpoint, "no answer");
                    client.handle_lost(now, self.endpoint);
                }
            }
        }
        while let Poll::Ready(Some(event)) = Pin::new(&mut self.monitor).poll_next(cx) {
            match event {
                Event::Ready { .. } => client.handle_reached(now, self.endpoint),
                Event::Disconnected { why, .. } => {
                    tracing::debug!(?why, endpoint = %self.endpoint, "the connection is gone");
                    client.handle_lost(now, self.endpoint);
                }
                _ => continue,
            }
            happened = true;
        }
        happened
    }
}
