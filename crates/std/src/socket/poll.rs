//! Waits for several sockets.

use std::ops::BitOr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Socket;
use crate::held;
use crate::shared::{Bell, Watch};

/// What a socket is waited for, or is ready for: see [`poll`].
///
/// ```
/// use atonce_std::socket::Interest;
///
/// let both = Interest::RECV | Interest::SEND;
/// assert!(both.recv && both.send && !both.is_none());
/// assert!(Interest::NONE.is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// To receive: there is a message, or `recv` has an error to tell.
    pub recv: bool,
    /// To send: there is room, or `send` has an error to tell.
    pub send: bool,
}

impl Interest {
    /// For nothing.
    pub const NONE: Self = Self {
        recv: false,
        send: false,
    };
    /// To receive.
    pub const RECV: Self = Self {
        recv: true,
        send: false,
    };
    /// To send.
    pub const SEND: Self = Self {
        recv: false,
        send: true,
    };

    /// Whether it is nothing.
    pub const fn is_none(self) -> bool {
        !self.recv && !self.send
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            recv: self.recv || other.recv,
            send: self.send || other.send,
        }
    }
}

/// Waits until one of several sockets is ready for what it is waited for, as long as `timeout` (`None`: as long as it takes). Gives
/// for each, in order, what it is ready for of that; nothing at all when the time is over.
///
/// A socket that is closed, before or meanwhile, is ready for both: it has that to tell. One that is ready may have nothing after
/// all, when another thread was faster, or what came is of no use: take with [`try_recv`](Socket::try_recv).
///
/// ```
/// use std::time::Duration;
///
/// use atonce_std::socket::{Interest, Kind, poll};
/// use atonce_std::Socket;
///
/// let (one, other) = (Socket::new(Kind::Pull)?, Socket::new(Kind::Pull)?);
/// one.bind("tcp://127.0.0.1:0")?;
/// let push = Socket::builder(Kind::Push).connect(other.bind("tcp://127.0.0.1:0")?).open()?;
/// push.send("work")?;
///
/// let ready = poll(&[(&one, Interest::RECV), (&other, Interest::RECV)], None);
/// assert_eq!(ready, [Interest::NONE, Interest::RECV]);
/// assert_eq!(other.try_recv()?, Some("work".into()));
///
/// let ready = poll(&[(&one, Interest::RECV)], Some(Duration::from_millis(10)));
/// assert!(ready[0].is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn poll(sockets: &[(&Socket, Interest)], timeout: Option<Duration>) -> Vec<Interest> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let bell = Arc::new(Bell::default());
    let mut watches: Vec<Watch<'_, _>> = Vec::new();
    loop {
        let ready: Vec<Interest> = sockets
            .iter()
            .map(|(socket, interest)| socket.is_ready(*interest))
            .collect();
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let is_late = timeout == Some(Duration::ZERO) || left == Some(Duration::ZERO);
        if is_late || ready.iter().any(|ready| !ready.is_none()) {
            return ready;
        }
        if watches.is_empty() {
            // What happens from now on rings; what happened just before is seen by the next look.
            let each = sockets.iter();
            watches.extend(each.map(|(socket, _)| socket.0.shared.watch(&bell)));
            if !sockets.is_empty() {
                continue;
            }
        }
        if held::is_any() {
            held::let_go();
            continue;
        }
        bell.wait(left);
    }
}

impl Socket {
    /// What of this it is ready for now.
    fn is_ready(&self, interest: Interest) -> Interest {
        self.0.shared.look(|inbox, core| {
            if core.has_ended() || core.driver.is_closing() {
                return Interest::RECV | Interest::SEND;
            }
            let socket = core.driver.socket();
            Interest {
                recv: interest.recv && (!inbox.is_empty() || socket.can_recv()),
                send: interest.send && socket.can_send(),
            }
        })
    }
}
