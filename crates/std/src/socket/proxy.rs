//! Passes messages from one socket to another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use atonce::Frames;
use atonce::socket::{RecvError, SendError};

use super::{Interest, Kind, Socket, poll};
use crate::driver::SocketDriver;
use crate::shared::Shared;

/// Messages of one side that are passed on before the other has its turn.
const TURN: usize = 256;

/// Passes what comes from `front` on to `back`, and what comes from `back` on to `front`, until one of them is closed. What is passed on
/// is sent to `capture` as well, if it is there; who takes that too slowly misses some.
///
/// | front | back | |
/// |---|---|---|
/// | ROUTER | DEALER | a queue: requests of many for the next free of several REP |
/// | XSUB | XPUB | a forwarder: publishers and subscribers that do not know each other |
/// | PULL | PUSH | a streamer: work from several to several |
///
/// A message that the other side has no room for is waited with, and nothing more is taken meanwhile: so a slow side holds the other
/// back, and nothing is dropped here. Only a ROUTER drops what one of its peers has no room for, so that a client that does not take its
/// answers holds up no other. What cannot be delivered at all, such as an answer to somebody who is gone, is dropped.
///
/// It takes this thread until then, and another one where both directions are of use. Close one of the sockets, from another thread, to end it.
///
/// ```
/// use std::thread;
///
/// use atonce_std::Socket;
/// use atonce_std::socket::{Kind, proxy};
///
/// let (front, back) = (Socket::new(Kind::Pull)?, Socket::new(Kind::Push)?);
/// let (inward, outward) = (front.bind("tcp://127.0.0.1:0")?, back.bind("tcp://127.0.0.1:0")?);
/// let streamer = {
///     let (front, back) = (front.clone(), back.clone());
///     thread::spawn(move || proxy(&front, &back, None))
/// };
/// let push = Socket::builder(Kind::Push).connect(inward).open()?;
/// let pull = Socket::builder(Kind::Pull).connect(outward).open()?;
/// push.send("work")?;
/// assert_eq!(pull.recv()?[0], "work");
///
/// front.close();
/// streamer.join().expect("it ends");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn proxy(front: &Socket, back: &Socket, capture: Option<&Socket>) {
    let ways = [Way::new(front, back), Way::new(back, front)];
    let takes_turns = |socket: &Socket| matches!(socket.kind(), Kind::Req | Kind::Rep);
    if takes_turns(front) || takes_turns(back) {
        return pass_in_turn(ways, capture);
    }
    let passage = Passage::open(front, back);
    let [there, again] = ways;
    thread::scope(|scope| {
        if there.is_used && again.is_used {
            scope.spawn(|| again.pass_all(&passage, capture));
        }
        if there.is_used {
            there.pass_all(&passage, capture);
        } else if again.is_used {
            again.pass_all(&passage, capture);
        }
    });
    passage.close(front, back);
}

/// A proxy between two sockets, with a thread for each direction: whoever receives does the I/O of the socket itself.
#[derive(Debug)]
pub(super) struct Passage {
    is_over: AtomicBool,
    sides: [Weak<Shared<SocketDriver>>; 2],
}

impl Passage {
    fn open(front: &Socket, back: &Socket) -> Arc<Self> {
        let sides = [front, back];
        let passage = Arc::new(Self {
            is_over: AtomicBool::new(false),
            sides: sides.map(|socket| Arc::downgrade(&socket.0.shared)),
        });
        for socket in sides {
            if let Ok(mut passages) = socket.0.passages.lock() {
                passages.push(Arc::clone(&passage));
            }
        }
        // One that was closed before tells nobody.
        if sides.iter().any(|socket| socket.is_closed()) {
            passage.end();
        }
        passage
    }

    fn close(&self, front: &Socket, back: &Socket) {
        for socket in [front, back] {
            if let Ok(mut passages) = socket.0.passages.lock() {
                passages.retain(|passage| !std::ptr::eq(&raw const **passage, self));
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Nothing more is passed on, and whoever waits for something to pass is told.
    pub(super) fn end(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            for side in &self.sides {
                if let Some(side) = side.upgrade() {
                    side.interrupt();
                }
            }
        }
    }
}

/// Ends a passage, also when the code of a socket panics.
struct End<'a>(&'a Passage);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The same on one thread, for sockets that do not always receive.
fn pass_in_turn([mut there, mut again]: [Way<'_>; 2], capture: Option<&Socket>) {
    let (front, back) = (there.from, there.to);
    while there.pass(capture) && again.pass(capture) {
        if there.more || again.more {
            continue;
        }
        let ((from_front, to_back), (from_back, to_front)) = (there.interest(), again.interest());
        poll(
            &[(front, from_front | to_front), (back, from_back | to_back)],
            None,
        );
    }
}

/// One direction.
struct Way<'a> {
    from: &'a Socket,
    to: &'a Socket,
    /// What there was no room for.
    waiting: Option<Frames>,
    /// There may be more right now.
    more: bool,
    /// Whether these types of sockets have anything to pass in this direction.
    is_used: bool,
}

impl<'a> Way<'a> {
    fn new(from: &'a Socket, to: &'a Socket) -> Self {
        let gives = !matches!(from.kind(), Kind::Push | Kind::Pub);
        let takes = !matches!(to.kind(), Kind::Pull | Kind::Sub);
        Self {
            from,
            to,
            waiting: None,
            more: false,
            is_used: gives && takes,
        }
    }

    /// Passes on what comes, until one of them is closed.
    fn pass_all(&self, passage: &Passage, capture: Option<&Socket>) {
        let _end = End(passage);
        let stopped = || passage.is_over();
        while !stopped() {
            let message = match self.from.receive_unless(None, stopped) {
                Ok(Some(message)) => message,
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%error, kind = %self.from.kind(), "it gives nothing more");
                    return;
                }
            };
            let patience = (self.to.kind() == Kind::Router).then_some(Duration::ZERO);
            match self.to.send_unless(&message, patience, stopped) {
                Ok(()) => captured(capture, message),
                Err(SendError::Closed) => return,
                Err(SendError::Full) if patience.is_none() => return,
                Err(error) => tracing::debug!(%error, "not passed on"),
            }
        }
    }

    /// Passes on what there is; `false` when one of them is closed.
    fn pass(&mut self, capture: Option<&Socket>) -> bool {
        self.more = false;
        if self.from.is_closed() || self.to.is_closed() {
            return false;
        }
        if !self.is_used {
            return true;
        }
        for _ in 0..TURN {
            let message = match self.waiting.take() {
                Some(message) => message,
                None => match self.from.try_recv() {
                    Ok(Some(message)) => message,
                    Ok(None) | Err(RecvError::OutOfTurn) => return true,
                    Err(RecvError::Closed) => return false,
                    Err(RecvError::PeerLost) => continue,
                    Err(error) => {
                        tracing::debug!(%error, kind = %self.from.kind(), "it gives nothing");
                        self.is_used = false;
                        return true;
                    }
                },
            };
            match self.to.try_send(message.clone()) {
                Ok(()) => captured(capture, message),
                Err(SendError::Full | SendError::OutOfTurn) => {
                    self.waiting = Some(message);
                    return true;
                }
                Err(SendError::Closed) => return false,
                Err(error) => tracing::debug!(%error, "not passed on"),
            }
        }
        self.more = true;
        true
    }

    /// What is waited for of where it comes from, and of where it goes to.
    fn interest(&self) -> (Interest, Interest) {
        match (&self.waiting, self.is_used) {
            (Some(_), _) => (Interest::NONE, Interest::SEND),
            (None, true) => (Interest::RECV, Interest::NONE),
            (None, false) => (Interest::NONE, Interest::NONE),
        }
    }
}

fn captured(capture: Option<&Socket>, message: Frames) {
    if let Some(capture) = capture
        && let Err(error) = capture.try_send(message)
    {
        tracing::debug!(%error, "not captured");
    }
}
