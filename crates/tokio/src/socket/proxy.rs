//! Passes messages from one socket to another.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::{RecvError, SendError, Socket};

/// Passes what comes from `front` on to `back`, and what comes from `back` on to `front`, until one of them is closed. What is passed on
/// is sent to `capture` as well, if it is there; who takes that too slowly misses some.
///
/// | front | back | |
/// |---|---|---|
/// | ROUTER | DEALER | a queue: requests of many for the next free of several REP |
/// | XSUB | XPUB | a forwarder: publishers and subscribers that do not know each other |
/// | PULL | PUSH | a streamer: work from several to several |
///
/// A message that one side has no room for is waited with, and nothing more is taken of the other: so a slow side holds the other
/// back, and nothing is dropped here. What cannot be delivered at all, such as an answer to somebody who is gone, is dropped. A REQ or
/// REP, whose turns nobody else can keep, passes nothing.
///
/// Dropped before it is done, the message on its way in each direction is lost.
///
/// ```
/// use atonce_tokio::Socket;
/// use atonce_tokio::socket::{Kind, proxy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (front, back) = (Socket::new(Kind::Pull)?, Socket::new(Kind::Push)?);
/// let (inward, outward) = (front.bind("tcp://127.0.0.1:0")?, back.bind("tcp://127.0.0.1:0")?);
/// let streamer = {
///     let (front, back) = (front.clone(), back.clone());
///     tokio::spawn(async move { proxy(&front, &back, None).await })
/// };
/// let push = Socket::builder(Kind::Push).connect(inward).open()?;
/// let pull = Socket::builder(Kind::Pull).connect(outward).open()?;
/// push.send("work").await?;
/// assert_eq!(pull.recv().await?[0], "work");
///
/// front.close().await;
/// streamer.await?;
/// # Ok(())
/// # }
/// ```
pub async fn proxy(front: &Socket, back: &Socket, capture: Option<&Socket>) {
    let mut there = pin!(pass(front, back, capture));
    let mut again = pin!(pass(back, front, capture));
    // A side that only waits does not notice that the other one is closed.
    let mut ended = [pin!(front.closed()), pin!(back.closed())];
    poll_fn(|cx| {
        let over = there.as_mut().poll(cx).is_ready()
            || again.as_mut().poll(cx).is_ready()
            || ended.iter_mut().any(|end| end.as_mut().poll(cx).is_ready());
        if over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// One direction, until one of the sockets is closed.
async fn pass(from: &Socket, to: &Socket, capture: Option<&Socket>) {
    loop {
        let message = match from.recv().await {
            Ok(message) => message,
            Err(RecvError::Closed) => return,
            Err(RecvError::PeerLost) => continue,
            Err(error) => {
                tracing::debug!(%error, kind = %from.kind(), "it gives nothing");
                return pending().await;
            }
        };
        match to.send(message.clone()).await {
            Ok(()) => {
                if let Some(capture) = capture
                    && let Err(error) = capture.try_send(message)
                {
                    tracing::debug!(%error, "not captured");
                }
            }
            Err(SendError::Closed) => return,
            Err(error) => tracing::debug!(%error, "not passed on"),
        }
    }
}
