//! ZMTP sockets: PUSH, PULL, REQ, REP, DEALER, ROUTER, PUB, SUB, XPUB, XSUB and PAIR, over TCP and Unix sockets.
//!
//! The same sockets, builder, endpoints and errors as in [`atonce_std::socket`], which tells about them; only that
//! [`send`](Socket::send), [`recv`](Socket::recv) and [`close`](Socket::close) are awaited. A socket is one task.
//!
//! ```
//! use atonce_tokio::Socket;
//! use atonce_tokio::socket::Kind;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pull = Socket::new(Kind::Pull)?;
//! let endpoint = pull.bind("tcp://127.0.0.1:0")?; // any port that is free
//!
//! let push = Socket::new(Kind::Push)?;
//! push.connect(&endpoint)?;
//! push.send("work").await?;
//!
//! assert_eq!(pull.recv().await?[0], "work");
//! # Ok(())
//! # }
//! ```
//!
//! Every future and stream of this module may be dropped at any point, as `select!` does: what was not sent is not sent later, and
//! what came is not lost. So several sockets are waited for with `select!`, and for some time with `tokio::time::timeout`.

mod monitor;
mod proxy;
mod streams;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use atonce::{Bytes, Frames};
use atonce_std::driver::{Drive, Empty, SocketDriver};
use tokio::runtime::Handle as Runtime;
use tokio::task::coop;

pub use atonce_std::socket::{
    Backoff, Config, ConnectError, Counters, Endpoint, Event, Host, InvalidEndpoint, InvalidKind,
    IpcPath, Kind, Open, Passwords, PeerInfo, QueueLimit, RecvError, SendError, SocketBuilder,
    SocketError, SocketOptions, SubscribeError, SubscriptionLimit, Usage, Why, parse_endpoint,
};

pub use self::monitor::Monitor;
pub use self::proxy::proxy;
pub use self::streams::{Incoming, Outgoing};
use crate::task::{Shared, Task};

/// A ZMTP socket, running as a task of the runtime in which it was opened.
///
/// A clone is another handle of the same socket; when the last one is dropped the socket is closed, and what was sent still goes out
/// in the background, for the [linger](SocketBuilder::linger) at most. When the runtime shuts down first, it is lost.
///
/// ```
/// use atonce_tokio::Socket;
/// use atonce_tokio::socket::Kind;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let rep = Socket::new(Kind::Rep)?;
/// let endpoint = rep.bind("tcp://127.0.0.1:0")?;
/// tokio::spawn(async move {
///     while let Ok(question) = rep.recv().await {
///         let _ = rep.send(question).await; // who asked may be gone
///     }
/// });
///
/// let req = Socket::builder(Kind::Req).connect(&endpoint).open()?;
/// req.send("anybody there?").await?;
/// assert_eq!(req.recv().await?[0], "anybody there?");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Socket(Arc<Handle>);

/// All clones share it; its end is the end of the socket.
struct Handle {
    shared: Arc<Shared<SocketDriver>>,
    kind: Kind,
}

impl Socket {
    /// A socket with everything at its default, neither bound nor connected. To be called within a runtime.
    ///
    /// # Errors
    ///
    /// [`SocketError::NoRuntime`]; or [`SocketError::System`], when the operating system has no descriptor for it.
    pub fn new(kind: Kind) -> Result<Self, SocketError> {
        Self::builder(kind).open()
    }

    /// A socket that is still to be made. [`open`](SocketBuilder::open) must be called within a runtime.
    pub fn builder(kind: Kind) -> SocketBuilder<Self> {
        SocketBuilder::new(kind)
    }

    /// Which type it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Listens; gives the endpoint where it really is, with the port that the system chose for 0. Any number of times.
    ///
    /// # Errors
    ///
    /// It cannot be listened there, and is not.
    pub fn bind(&self, endpoint: impl AsRef<str>) -> Result<String, SocketError> {
        let endpoint = parse_endpoint(endpoint.as_ref())?;
        let real = self.command(|driver| driver.bind(&endpoint))?;
        Ok(real.to_string())
    }

    /// Listens there no more, at an endpoint as `bind` was given it or gave it. Links that came through it stay.
    ///
    /// # Errors
    ///
    /// [`SocketError::Unknown`]: it is not listened there.
    pub fn unbind(&self, endpoint: impl AsRef<str>) -> Result<(), SocketError> {
        let endpoint = parse_endpoint(endpoint.as_ref())?;
        self.command(|driver| driver.unbind(&endpoint))
    }

    /// Connects, now and whenever the connection is gone, with growing pauses. Whether somebody is there shows later. Any number of
    /// times.
    ///
    /// # Errors
    ///
    /// The endpoint cannot be connected to, whoever is there.
    pub fn connect(&self, endpoint: impl AsRef<str>) -> Result<(), SocketError> {
        let endpoint = parse_endpoint(endpoint.as_ref())?;
        self.command(|driver| driver.connect(&endpoint))
    }

    /// Takes one [`connect`](Self::connect) back. What was sent there still goes out, for the linger at most; what waits for nobody is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`SocketError::Unknown`]: it is not connected there.
    pub fn disconnect(&self, endpoint: impl AsRef<str>) -> Result<(), SocketError> {
        let endpoint = parse_endpoint(endpoint.as_ref())?;
        self.command(|driver| driver.disconnect(&endpoint))
    }

    /// Wants messages that begin with this, of all publishers (SUB, XSUB). Empty is all of them. As often as it is wanted it has to be
    /// taken back.
    ///
    /// # Errors
    ///
    /// [`SocketError::Subscribe`]: this socket does not subscribe, or the prefix is too long.
    pub fn subscribe(&self, prefix: impl Into<Bytes>) -> Result<(), SocketError> {
        let prefix = prefix.into();
        self.command(|driver| driver.subscribe(prefix))
    }

    /// Takes one such wish back.
    ///
    /// # Errors
    ///
    /// [`SocketError::Subscribe`]: this socket does not subscribe, or did not want that.
    pub fn unsubscribe(&self, prefix: impl AsRef<[u8]>) -> Result<(), SocketError> {
        self.command(|driver| driver.unsubscribe(prefix.as_ref()))
    }

    /// Gives up what is under way, so that a REQ may ask and a REP may receive again. An answer that still comes is dropped.
    pub fn reset(&self) {
        self.command(SocketDriver::reset);
    }

    /// Sends a message; waits for room if there is none. To send does not mean that it arrived: it is queued, and mostly written.
    /// Dropped before it is done, nothing is sent.
    ///
    /// # Errors
    ///
    /// The pattern has no use for it now, or it can never be sent. [`SendError::Full`] is waited for.
    pub async fn send(&self, message: impl Into<Frames>) -> Result<(), SendError> {
        SendWait {
            socket: self,
            key: None,
            message: message.into(),
        }
        .await
    }

    /// Sends a message, if there is room for it. For where nothing can be awaited.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SendError::Full`]: nobody has room for it now.
    pub fn try_send(&self, message: impl Into<Frames>) -> Result<(), SendError> {
        let message = message.into();
        self.command(|driver| driver.send(&message))
    }

    /// The next message; waits for it. Dropped before it is done, it has taken nothing.
    ///
    /// # Errors
    ///
    /// To wait would be in vain: the pattern does not receive, or not now; whoever was to answer is gone (REQ); the socket is
    /// closed.
    pub async fn recv(&self) -> Result<Frames, RecvError> {
        RecvWait {
            socket: self,
            key: None,
        }
        .await
    }

    /// The next message, if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<Frames>, RecvError> {
        let shared = &self.0.shared;
        match shared.next(&mut shared.inbox(), None) {
            Ok(message) => Ok(Some(message)),
            Err(Empty::Late) => Ok(None),
            Err(Empty::Over) => Err(RecvError::Closed),
            Err(Empty::Refused(error)) => Err(error),
        }
    }

    /// The messages that come, one after the other, until the socket is closed. It keeps the socket open.
    pub fn incoming(&self) -> Incoming {
        Incoming::new(self.clone())
    }

    /// Takes messages and sends them, each when there is room for it. It keeps the socket open.
    pub fn outgoing(&self) -> Outgoing {
        Outgoing::new(self.clone())
    }

    /// What happens to the socket and its links, one event after the other: who comes and goes, and why. Of several monitors each event
    /// comes to one. Events are kept from the beginning, at most 1,024.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(Arc::clone(&self.0.shared))
    }

    /// Where it listens, as it really is.
    pub fn endpoints(&self) -> Vec<String> {
        let core = self.0.shared.lock();
        let endpoints = core.driver.socket().endpoints();
        endpoints
            .map(|(_, endpoint)| endpoint.to_string())
            .collect()
    }

    /// The peers that take part.
    pub fn peers(&self) -> Vec<PeerInfo> {
        let core = self.0.shared.lock();
        core.driver.socket().peers().map(PeerInfo::from).collect()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        *self.0.shared.lock().driver.socket().counters()
    }

    /// What the socket holds now, each within its limit. Takes time in proportion to its links.
    pub fn usage(&self) -> Usage {
        self.0.shared.lock().driver.socket().usage()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.0.shared.lock().driver.is_closing()
    }

    /// Ends the socket: nothing more is sent or received; done when what was sent has left, or the
    /// [linger](SocketBuilder::linger) is over. The end is begun by the first poll; dropped before it is done, the socket ends all the
    /// same.
    pub async fn close(&self) {
        self.0.close();
        self.closed().await;
    }

    /// Waits until the socket is closed, by whomever.
    pub async fn closed(&self) {
        CloseWait {
            socket: self,
            key: None,
        }
        .await;
    }

    fn command<R>(&self, give: impl FnOnce(&mut SocketDriver) -> R) -> R {
        let mut core = self.0.shared.lock();
        let result = give(&mut core.driver);
        core.settle();
        result
    }

    /// Sends a message, or waits for room for it in the place `key`.
    fn poll_send(
        &self,
        message: &Frames,
        key: &mut Option<usize>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        // Else a sender that always finds room would never let the socket's task run.
        let progress = ready!(coop::poll_proceed(cx));
        let mut core = self.0.shared.lock();
        let mut result = core.driver.send(message);
        if result == Err(SendError::Full) && core.driver.holds_back() {
            core.driver.flush();
            result = core.driver.send(message);
        }
        core.settle();
        if result == Err(SendError::Full) && !core.ended {
            core.senders.wait(key, cx);
            return Poll::Pending;
        }
        progress.made_progress();
        Poll::Ready(result)
    }

    fn poll_recv(
        &self,
        key: &mut Option<usize>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Frames, RecvError>> {
        let next = ready!(self.0.shared.poll_next(key, cx));
        Poll::Ready(next.map_err(|empty| match empty {
            Empty::Refused(error) => error,
            Empty::Late | Empty::Over => RecvError::Closed,
        }))
    }

    fn forget_sender(&self, key: Option<usize>) {
        if key.is_some()
            && let Some(mut core) = self.0.shared.try_lock_sound()
        {
            core.senders.forget(key);
        }
    }

    fn forget_receiver(&self, key: Option<usize>) {
        if key.is_some()
            && let Some(mut core) = self.0.shared.try_lock_sound()
        {
            core.receivers.forget(key);
        }
    }
}

impl Open for Socket {
    fn open(options: SocketOptions) -> Result<Self, SocketError> {
        let runtime = Runtime::try_current().map_err(|_| SocketError::NoRuntime)?;
        let kind = options.kind();
        let (driver, poller) = SocketDriver::new(options)?;
        let shared = Arc::new(Shared::new(driver));
        let task =
            Task::new(Arc::clone(&shared), poller).map_err(|source| SocketError::System {
                what: "a place in the runtime",
                source,
            })?;
        runtime.spawn(task);
        Ok(Self(Arc::new(Handle { shared, kind })))
    }
}

impl Handle {
    /// Begins it; the task does the rest.
    fn close(&self) {
        // After a panic there is nothing to close.
        if let Some(mut core) = self.shared.try_lock_sound()
            && !core.ended
        {
            core.driver.close();
            core.wake_task();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

struct SendWait<'a> {
    socket: &'a Socket,
    /// Its place among those who wait.
    key: Option<usize>,
    message: Frames,
}

impl Future for SendWait<'_> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.socket.poll_send(&this.message, &mut this.key, cx)
    }
}

impl Drop for SendWait<'_> {
    fn drop(&mut self) {
        self.socket.forget_sender(self.key);
    }
}

struct RecvWait<'a> {
    socket: &'a Socket,
    key: Option<usize>,
}

impl Future for RecvWait<'_> {
    type Output = Result<Frames, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.socket.poll_recv(&mut this.key, cx)
    }
}

impl Drop for RecvWait<'_> {
    fn drop(&mut self) {
        self.socket.forget_receiver(self.key);
    }
}

struct CloseWait<'a> {
    socket: &'a Socket,
    key: Option<usize>,
}

impl Future for CloseWait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut core = this.socket.0.shared.lock();
        if core.ended {
            return Poll::Ready(());
        }
        core.stoppers.wait(&mut this.key, cx);
        Poll::Pending
    }
}

impl Drop for CloseWait<'_> {
    fn drop(&mut self) {
        if self.key.is_some()
            && let Some(mut core) = self.socket.0.shared.try_lock_sound()
        {
            core.stoppers.forget(self.key);
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("kind", &self.0.kind)
            .finish_non_exhaustive()
    }
}
