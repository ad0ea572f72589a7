//! ZMTP sockets: PUSH, PULL, REQ, REP, DEALER, ROUTER, PUB, SUB, XPUB, XSUB and PAIR, over TCP and Unix sockets.
//!
//! A [`Socket`] speaks with libzmq and everything that is made of it, as with its own kind.
//!
//! ```
//! use atonce_std::Socket;
//! use atonce_std::socket::Kind;
//!
//! let pull = Socket::new(Kind::Pull)?;
//! let endpoint = pull.bind("tcp://127.0.0.1:0")?; // any port that is free
//!
//! let push = Socket::new(Kind::Push)?;
//! push.connect(&endpoint)?;
//! push.send("work")?;
//!
//! assert_eq!(pull.recv()?[0], "work");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Endpoints
//!
//! | to [`bind`](Socket::bind) | |
//! |---|---|
//! | `tcp://*:5555` | on every interface, IPv4 and IPv6 |
//! | `tcp://192.168.1.7:5555`, `tcp://[::1]:5555` | on this address |
//! | `tcp://eth0:5555` | on the address of this interface |
//! | `tcp://127.0.0.1:0` | on any port that is free: `bind` tells which |
//! | `ipc:///run/feed`, `ipc://@feed` | at this path; under this abstract name (Linux) |
//!
//! The same without `*` and 0 can be [connected](Socket::connect), with the name of a host, which is looked up each time, instead of an
//! interface. Which side binds, and which is there first, does not matter. A connection that ends is made anew.
//!
//! A path at which somebody listens is told so; the file of a process that died is replaced, and that of a socket goes with it.
//!
//! # Waiting
//!
//! [`send`](Socket::send) waits for room and [`recv`](Socket::recv) for a message; each has a sibling that never waits, and one that waits
//! for some time. [`poll()`] waits for several sockets. A thread that waits in `recv` does the socket's I/O meanwhile, and when it does
//! something else the socket's own thread goes on: as with a [`Node`](crate::Node).
//!
//! # The end
//!
//! [`close`](Socket::close) waits until what was sent has left, for the [linger](SocketBuilder::linger) at most. When the last handle of a
//! socket is dropped the same is done in the background: a program that ends right then may take it with it.

mod builder;
mod error;
mod monitor;
mod passwords;
mod poll;
mod proxy;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use atonce::wire::Text;
use atonce::{Bytes, Frames};

pub use atonce::Cut;
pub use atonce::socket::{
    Backoff, Config, ConnectError, Counters, Endpoint, Event, Host, InvalidEndpoint, InvalidKind,
    IpcPath, Kind, PeerView, QueueLimit, RecvError, SendError, SubscribeError, SubscriptionLimit,
    Usage, Why,
};
pub use atonce::wire::zmtp::{Identity, InvalidIdentity, SocketType, Version};
pub use atonce::zmtp::Limits;

pub use self::builder::{Open, SocketBuilder, SocketOptions, parse_endpoint};
pub use self::error::SocketError;
pub use self::monitor::Monitor;
pub use self::passwords::Passwords;
pub use self::poll::{Interest, poll};
use self::proxy::Passage;
pub use self::proxy::proxy;
use crate::driver::{Empty, SocketDriver};
use crate::shared::Shared;

/// How much longer than the linger a close may take, on a busy machine.
const CLOSE_MARGIN: Duration = Duration::from_secs(3);

/// A ZMTP socket.
///
/// Every method can be called from any thread, also while another one waits. A clone is another handle of the same socket; when the
/// last one is dropped the socket is closed, and what was sent still goes out in the background, for the
/// [linger](SocketBuilder::linger) at most.
///
/// ```
/// use std::thread;
///
/// use atonce_std::Socket;
/// use atonce_std::socket::Kind;
///
/// let rep = Socket::new(Kind::Rep)?;
/// let endpoint = rep.bind("tcp://127.0.0.1:0")?;
/// thread::spawn(move || {
///     while let Ok(question) = rep.recv() {
///         let _ = rep.send(question); // who asked may be gone
///     }
/// });
///
/// let req = Socket::builder(Kind::Req).connect(&endpoint).open()?;
/// req.send("anybody there?")?;
/// assert_eq!(req.recv()?[0], "anybody there?");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Socket(Arc<Handle>);

/// All clones share it; its end is the end of the socket.
struct Handle {
    shared: Arc<Shared<SocketDriver>>,
    kind: Kind,
    linger: Duration,
    /// Proxies that pass something on to it or from it, and are to end with it.
    passages: Mutex<Vec<Arc<Passage>>>,
}

/// A peer of a socket, as it was when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// Where it was connected or where it comes from.
    pub remote: Endpoint,
    /// What it calls itself; empty when it does not.
    pub identity: Identity,
    /// The pattern that it follows.
    pub socket_type: SocketType,
    /// The version of ZMTP that it speaks.
    pub version: Version,
    /// As whom it was let in.
    pub user_id: Option<Text>,
    /// Messages for it that did not leave this socket.
    pub queued_messages: usize,
    /// Octets of these, some of framing among them.
    pub queued_octets: usize,
    /// Messages of it that were not taken.
    pub pending_messages: usize,
    /// Octets of these.
    pub pending_octets: usize,
}

impl From<PeerView<'_>> for PeerInfo {
    fn from(view: PeerView<'_>) -> Self {
        Self {
            remote: view.remote.clone(),
            identity: view.identity.clone(),
            socket_type: view.socket_type,
            version: view.version,
            user_id: view.user_id.cloned(),
            queued_messages: view.queued_messages,
            queued_octets: view.queued_octets,
            pending_messages: view.pending_messages,
            pending_octets: view.pending_octets,
        }
    }
}

impl Socket {
    /// A socket with everything at its default, neither bound nor connected.
    ///
    /// # Errors
    ///
    /// [`SocketError::System`]: the operating system has no descriptor or thread for it.
    pub fn new(kind: Kind) -> Result<Self, SocketError> {
        Self::builder(kind).open()
    }

    /// A socket that is still to be made.
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

    /// Connects, now and whenever the connection is gone, with growing pauses. It returns at once: whether somebody is there shows
    /// later. Any number of times.
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
    ///
    /// # Errors
    ///
    /// The pattern has no use for it now, or it can never be sent. [`SendError::Full`] is waited for.
    pub fn send(&self, message: impl Into<Frames>) -> Result<(), SendError> {
        self.send_unless(&message.into(), None, || false)
    }

    /// Sends a message, if there is room for it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SendError::Full`]: nobody has room for it now.
    pub fn try_send(&self, message: impl Into<Frames>) -> Result<(), SendError> {
        let message = message.into();
        self.command(|driver| driver.send(&message))
    }

    /// Sends a message; waits for room as long as `timeout`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SendError::Full`]: nobody had room for it in all that time.
    pub fn send_timeout(
        &self,
        message: impl Into<Frames>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        self.send_unless(&message.into(), Some(timeout), || false)
    }

    /// [`SendError::Full`] as well when it is `stopped`.
    fn send_unless(
        &self,
        message: &Frames,
        timeout: Option<Duration>,
        stopped: impl Fn() -> bool,
    ) -> Result<(), SendError> {
        let shared = &self.0.shared;
        let mut core = shared.lock();
        let mut end = None;
        loop {
            let result = core.driver.send(message);
            if result != Err(SendError::Full) {
                shared.settle(&mut core);
                return result;
            }
            let end = *end.get_or_insert_with(|| core.after(timeout));
            if core.left_until(end) == Some(Duration::ZERO) || stopped() {
                shared.settle(&mut core);
                return result;
            }
            core = shared.wait_for_room(core, end);
            if core.has_ended() {
                return Err(SendError::Closed);
            }
        }
    }

    /// The next message; waits for it.
    ///
    /// # Errors
    ///
    /// To wait would be in vain: the pattern does not receive, or not now; whoever was to answer is gone (REQ); the socket is
    /// closed.
    pub fn recv(&self) -> Result<Frames, RecvError> {
        match self.receive(None) {
            // Without a limit there is no end of it but this.
            Ok(None) => Err(RecvError::Closed),
            Ok(Some(message)) => Ok(message),
            Err(error) => Err(error),
        }
    }

    /// The next message, if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<Frames>, RecvError> {
        self.receive(Some(Duration::ZERO))
    }

    /// The next message; waits for it as long as `timeout`. `None`: none came in all that time.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Frames>, RecvError> {
        self.receive(Some(timeout))
    }

    fn receive(&self, timeout: Option<Duration>) -> Result<Option<Frames>, RecvError> {
        self.receive_unless(timeout, || false)
    }

    /// `None` as well when it is `stopped`.
    fn receive_unless(
        &self,
        timeout: Option<Duration>,
        stopped: impl Fn() -> bool,
    ) -> Result<Option<Frames>, RecvError> {
        match self.0.shared.receive_unless(timeout, stopped) {
            Ok(message) => Ok(Some(message)),
            Err(Empty::Late) => Ok(None),
            Err(Empty::Over) => Err(RecvError::Closed),
            Err(Empty::Refused(error)) => Err(error),
        }
    }

    /// What happens to the socket and its links, one event after the other: who comes and goes, and why. Of several monitors each event
    /// comes to one. Events are kept from the beginning, at most 1,024.
    ///
    /// ```
    /// use atonce_std::Socket;
    /// use atonce_std::socket::{Event, Kind};
    ///
    /// let pair = Socket::new(Kind::Pair)?;
    /// let mut monitor = pair.monitor();
    /// pair.bind("ipc://@atonce-monitored")?;
    /// assert!(matches!(monitor.next(), Some(Event::Listening { .. })));
    /// pair.close();
    /// assert!(matches!(monitor.last(), Some(Event::Closed { lost: 0 })));
    /// # Ok::<(), atonce_std::socket::SocketError>(())
    /// ```
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

    /// Ends the socket: nothing more is sent or received; returns when what was sent has left, or the
    /// [linger](SocketBuilder::linger) is over.
    pub fn close(&self) {
        if !self.close_timeout(self.0.linger.saturating_add(CLOSE_MARGIN)) {
            tracing::warn!(kind = %self.0.kind, "did not close in time");
        }
    }

    /// Ends the socket, and waits for it as long as `timeout`; whether it is closed. If not it goes on in the background, for the
    /// linger at most.
    pub fn close_timeout(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let shared = &self.0.shared;
        drop(shared.begin_stop(shared.lock()));
        // Without the lock: they look at the socket on the other side as well.
        self.0.end_passages();
        shared.stop(shared.lock(), deadline)
    }

    fn command<R>(&self, give: impl FnOnce(&mut SocketDriver) -> R) -> R {
        let mut core = self.0.shared.lock();
        let result = give(&mut core.driver);
        self.0.shared.settle(&mut core);
        result
    }
}

impl Open for Socket {
    fn open(options: SocketOptions) -> Result<Self, SocketError> {
        let (kind, linger) = (options.kind, options.linger());
        let (driver, poller) = SocketDriver::new(options)?;
        let shared = Shared::new(driver, poller);
        let thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("atonce-socket".to_owned())
            .spawn(move || thread.run())
            .map_err(|source| SocketError::System {
                what: "a thread",
                source,
            })?;
        Ok(Self(Arc::new(Handle {
            shared,
            kind,
            linger,
            passages: Mutex::default(),
        })))
    }
}

impl Handle {
    fn end_passages(&self) {
        let passages = self.passages.lock().map(|passages| passages.clone());
        for passage in passages.unwrap_or_default() {
            passage.end();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // After a panic of the socket there is nothing to close.
        if let Some(core) = self.shared.try_lock() {
            drop(self.shared.begin_stop(core));
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
