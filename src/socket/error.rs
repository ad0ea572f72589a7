//! Why a socket did not do what it was told to.

/// Why a socket does not listen. Nothing was changed.
///
/// What the system says later, such as a port that is taken, is [`Event::ListenFailed`](super::Event::ListenFailed).
///
/// ```
/// use atonce::socket::{BindError, Config, Kind, Socket};
/// use atonce::Instant;
///
/// let mut socket = Socket::new(Instant::ZERO, [7; 32], Kind::Pull, Config::default());
/// socket.close(Instant::ZERO);
/// let bound = socket.bind(Instant::ZERO, &"tcp://*:5555".parse()?);
/// assert_eq!(bound, Err(BindError::Closed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The socket was closed.
    #[error("the socket is closed")]
    Closed,
}

/// Why a socket does not dial. Nothing was changed.
///
/// ```
/// use atonce::socket::{Config, ConnectError, Kind, Socket};
/// use atonce::Instant;
///
/// let mut socket = Socket::new(Instant::ZERO, [7; 32], Kind::Push, Config::default());
/// let connected = socket.connect(Instant::ZERO, &"tcp://*:5555".parse()?);
/// assert_eq!(connected, Err(ConnectError::NoAddress));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The socket was closed.
    #[error("the socket is closed")]
    Closed,
    /// The endpoint says only where to listen: it has `*` for a host or no port.
    #[error("the endpoint has no host or no port that could be dialled")]
    NoAddress,
    /// A PAIR has one partner, and dials one.
    #[error("a PAIR dials one partner only")]
    PairTaken,
}

/// Why a message was not sent. It is still the caller's, and nothing was changed but what the variant says.
///
/// ```
/// use atonce::socket::{Config, Kind, SendError, Socket};
/// use atonce::{Frames, Instant};
///
/// let mut push = Socket::new(Instant::ZERO, [7; 32], Kind::Push, Config::default());
/// // Nobody is there, and nobody was connected.
/// assert_eq!(push.send(Instant::ZERO, &Frames::from("work")), Err(SendError::Full));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The queues of all peers to whom it might go are full, or there is none. Try again when
    /// [`can_send`](super::Socket::can_send) says so.
    #[error("no peer has room for it")]
    Full,
    /// No peer has the identity in the first frame (ROUTER).
    #[error("no peer has this identity")]
    Unroutable,
    /// It has more octets than a queue takes.
    #[error("a message of {octets} octets, where {limit} are allowed")]
    TooLarge {
        /// How many it has.
        octets: usize,
        /// How many it may have: `octets` of [`Config::send`](super::Config).
        limit: usize,
    },
    /// It is not this side's turn: a REQ waits for an answer, a REP for a request.
    #[error("it is not this side's turn to send")]
    OutOfTurn,
    /// Whoever asked is gone (REP). The request is done with: the next one can be received.
    #[error("who asked is gone")]
    PeerLost,
    /// This pattern does not send.
    #[error("this type of socket does not send")]
    NotSending,
    /// A message has at least one frame, which may be empty.
    #[error("a message has at least one frame")]
    NoFrames,
    /// It lacks what the pattern needs: a ROUTER the identity and something behind it, an XSUB an octet 0 or 1.
    #[error("the message lacks what this type of socket needs")]
    Malformed,
    /// The socket was closed.
    #[error("the socket is closed")]
    Closed,
}

/// Why nothing was received, and nothing will be until something changes.
///
/// ```
/// use atonce::socket::{Config, Kind, RecvError, Socket};
/// use atonce::Instant;
///
/// let mut push = Socket::new(Instant::ZERO, [7; 32], Kind::Push, Config::default());
/// assert_eq!(push.recv(Instant::ZERO), Err(RecvError::NotReceiving));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// It is not this side's turn: a REQ has asked nothing, a REP has to answer first.
    #[error("it is not this side's turn to receive")]
    OutOfTurn,
    /// Whoever was to answer is gone (REQ). Told once; a new request can be sent.
    #[error("who was to answer is gone")]
    PeerLost,
    /// This pattern does not receive.
    #[error("this type of socket does not receive")]
    NotReceiving,
    /// The socket was closed.
    #[error("the socket is closed")]
    Closed,
}

/// Why a subscription was not changed.
///
/// ```
/// use atonce::socket::{Config, Kind, Socket, SubscribeError};
/// use atonce::Instant;
///
/// let mut pull = Socket::new(Instant::ZERO, [7; 32], Kind::Pull, Config::default());
/// assert_eq!(pull.subscribe(Instant::ZERO, "news"), Err(SubscribeError::NotSubscribing));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Only SUB and XSUB subscribe.
    #[error("this type of socket does not subscribe")]
    NotSubscribing,
    /// There was no such subscription to take back.
    #[error("there is no such subscription")]
    NotSubscribed,
    /// The prefix has more octets than a subscription may have.
    #[error("a prefix of {octets} octets, where {limit} are allowed")]
    TooLong {
        /// How many it has.
        octets: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The socket was closed.
    #[error("the socket is closed")]
    Closed,
}
