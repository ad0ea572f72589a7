//! What answers a hello, over a REP.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard};
use std::task::{Poll, ready};
use std::time::Duration;

use atonce::Frames;
use atonce_std::autoconf::{Answering, Rep};
use futures_core::Stream;
use tokio::time::Instant;

use super::hello::ServerEvent;
use crate::socket::{SendError, SocketError};
use crate::{Certificate, Socket, Trust};

/// What is said when a task panicked with it: what it held is suspect.
const PANICKED: &str = "atonce: a task panicked while it answered; this is a bug, please report it";

/// Answers whoever says hello, over a REP.
///
/// It answers while somebody waits in [`recv`](Self::recv). [`Hello`](super::Hello) has an example.
pub struct Answerer {
    socket: Socket,
    endpoint: String,
    answering: Mutex<Answering>,
}

impl Answerer {
    /// Binds a REP for it, which is to be announced afterwards. To be called within a runtime.
    ///
    /// # Errors
    ///
    /// There is no runtime, or it cannot be listened there.
    pub fn bind(endpoint: &str) -> Result<Self, SocketError> {
        Self::open(endpoint, None)
    }

    /// The same with CURVE: for those whose keys are trusted. What is to be announced is the public key of `own`.
    ///
    /// # Errors
    ///
    /// There is no runtime, it cannot be listened there, or the certificate has no secret key.
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

    /// Answers, and tells who came; waits for somebody. `None` when it was [closed](Self::close). Dropped before it is done, it has
    /// answered nobody without telling.
    pub async fn recv(&self) -> Option<ServerEvent> {
        let mut requests = self.socket.incoming();
        let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
        poll_fn(|cx| {
            loop {
                let mut answering = self.answering();
                if let Some(event) = answering.poll_event() {
                    return Poll::Ready(Some(event));
                }
                if let Some(pause) = answering.pause(&self.socket) {
                    sleep.as_mut().reset(Instant::now() + pause);
                    ready!(sleep.as_mut().poll(cx));
                    continue;
                }
                let request = ready!(Pin::new(&mut requests).poll_next(cx));
                let is_open = request.map(|request| answering.handle(&self.socket, request));
                if is_open != Some(true) {
                    return Poll::Ready(None);
                }
            }
        })
        .await
    }

    /// Ends it: what was answered still goes out, for the linger of a socket at most. The end is begun by the first poll; dropped
    /// before it is done, it ends all the same.
    pub async fn close(&self) {
        self.socket.close().await;
    }

    /// Never held across an `await`.
    fn answering(&self) -> MutexGuard<'_, Answering> {
        self.answering.lock().expect(PANICKED)
    }
}

impl Rep for Socket {
    fn answer(&self, answer: Frames) -> Result<(), SendError> {
        self.try_send(answer)
    }

    fn reset(&self) {
        Self::reset(self);
    }
}

impl fmt::Debug for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answerer")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
