//! The two directions of a socket as a stream and a sink.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use atonce::Frames;
use futures_core::Stream;
use futures_sink::Sink;

use super::{RecvError, SendError, Socket};

/// The messages that come to a socket, as a stream. See [`Socket::incoming`].
///
/// It ends when the socket is closed. An error is told in its place, and the stream goes on: with the next message of a REQ whose
/// question was lost, and with the same error again where the socket does not receive.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming {
    socket: Socket,
    /// Its place among those who wait.
    key: Option<usize>,
}

impl Incoming {
    pub(super) const fn new(socket: Socket) -> Self {
        Self { socket, key: None }
    }
}

impl Stream for Incoming {
    type Item = Result<Frames, RecvError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        match ready!(this.socket.poll_recv(&mut this.key, cx)) {
            Err(RecvError::Closed) => Poll::Ready(None),
            next => Poll::Ready(Some(next)),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.socket.forget_receiver(self.key);
    }
}

/// Takes messages and sends them, as a sink. See [`Socket::outgoing`].
///
/// One message waits here while there is no room for it; it is lost when this is dropped then. A sink that is flushed has handed
/// everything to the socket; one that is closed is flushed, and the socket stays open.
#[derive(Debug)]
#[must_use = "a sink does nothing unless it is given something"]
pub struct Outgoing {
    socket: Socket,
    /// Its place among those who wait.
    key: Option<usize>,
    /// What there was no room for.
    waiting: Option<Frames>,
}

impl Outgoing {
    pub(super) const fn new(socket: Socket) -> Self {
        Self {
            socket,
            key: None,
            waiting: None,
        }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(message) = &self.waiting else {
            return Poll::Ready(Ok(()));
        };
        let sent = ready!(self.socket.poll_send(message, &mut self.key, cx));
        self.waiting = None; // one that cannot be sent is told, and is not in the way of the next
        Poll::Ready(sent)
    }
}

impl Sink<Frames> for Outgoing {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_waiting(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Frames) -> Result<(), SendError> {
        let this = self.get_mut();
        if this.waiting.is_some() {
            return Err(SendError::Full); // it was not asked whether it is ready
        }
        match this.socket.command(|driver| driver.send(&message)) {
            Err(SendError::Full) => {
                this.waiting = Some(message);
                Ok(())
            }
            sent => sent,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_waiting(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_waiting(cx)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.socket.forget_sender(self.key);
    }
}
