//! Sockets as tasks, over real TCP and Unix sockets. Everything stays on the loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use atonce_tokio::socket::{
    Event, Kind, QueueLimit, RecvError, SendError, SocketError, Why, proxy,
};
use atonce_tokio::{Frames, Socket};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Longer than anything here takes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const ANYWHERE: &str = "tcp://127.0.0.1:0";

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

fn bound(kind: Kind) -> (Socket, String) {
    let socket = Socket::new(kind).unwrap();
    let endpoint = socket.bind(ANYWHERE).unwrap();
    (socket, endpoint)
}

fn connected(kind: Kind, endpoint: &str) -> Socket {
    Socket::builder(kind).connect(endpoint).open().unwrap()
}

fn number(message: &Frames) -> u32 {
    u32::from_be_bytes(message[0].as_ref().try_into().unwrap())
}

#[tokio::test]
async fn work_comes_whole_and_in_order() {
    let (pull, endpoint) = bound(Kind::Pull);
    let push = connected(Kind::Push, &endpoint);
    let sender = tokio::spawn(async move {
        for n in 0..50_000_u32 {
            push.send(n.to_be_bytes().to_vec()).await.unwrap();
        }
        push.close().await;
    });
    for n in 0..50_000 {
        assert_eq!(number(&soon(pull.recv()).await.unwrap()), n);
    }
    soon(sender).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_ask_one_over_a_queue() {
    let (front, asked) = bound(Kind::Router);
    let (back, answering) = bound(Kind::Dealer);
    let (capture, seen) = bound(Kind::Push);
    let watcher = connected(Kind::Pull, &seen);
    let queue = {
        let (front, back) = (front.clone(), back.clone());
        tokio::spawn(async move { proxy(&front, &back, Some(&capture)).await })
    };
    let mut all = JoinSet::new();
    for _ in 0..3 {
        let rep = connected(Kind::Rep, &answering);
        all.spawn(async move {
            while let Ok(question) = rep.recv().await {
                rep.send(question).await.unwrap();
            }
        });
    }
    let mut clients = JoinSet::new();
    for client in 0..10_u32 {
        let req = connected(Kind::Req, &asked);
        clients.spawn(async move {
            for n in 0..100_u32 {
                let question = (client * 1_000 + n).to_be_bytes().to_vec();
                req.send(question.clone()).await.unwrap();
                assert_eq!(soon(req.recv()).await.unwrap()[0], question);
            }
        });
    }
    while let Some(done) = soon(clients.join_next()).await {
        done.unwrap();
    }
    assert!(soon(watcher.recv()).await.is_ok());
    front.close().await;
    soon(queue).await.unwrap();
    all.abort_all();
}

#[tokio::test]
async fn a_proxy_that_only_waits_ends_with_either_side() {
    for closes_back in [false, true] {
        let (front, back) = (
            Socket::new(Kind::Pull).unwrap(),
            Socket::new(Kind::Push).unwrap(),
        );
        let closed = if closes_back { &back } else { &front }.clone();
        let streamer = tokio::spawn(async move { proxy(&front, &back, None).await });
        sleep(Duration::from_millis(20)).await;
        closed.close().await;
        soon(streamer).await.unwrap();
    }
}

#[tokio::test]
async fn a_subscriber_gets_what_it_wants() {
    let (publisher, endpoint) = bound(Kind::XPub);
    let sub = connected(Kind::Sub, &endpoint);
    sub.subscribe("wanted").unwrap();
    assert_eq!(soon(publisher.recv()).await.unwrap()[0], "\u{1}wanted");
    publisher.send("other").await.unwrap();
    publisher.send("wanted 1").await.unwrap();
    assert_eq!(soon(sub.recv()).await.unwrap()[0], "wanted 1");
    sub.unsubscribe("wanted").unwrap();
    assert_eq!(soon(publisher.recv()).await.unwrap()[0], "\u{0}wanted");
    assert!(matches!(
        sub.unsubscribe("wanted"),
        Err(SocketError::Subscribe(_))
    ));
}

#[tokio::test]
async fn what_is_cancelled_loses_nothing_and_sends_nothing() {
    let (pull, endpoint) = bound(Kind::Pull);
    let push = Socket::builder(Kind::Push)
        .send_limit(QueueLimit {
            messages: 1,
            ..QueueLimit::default()
        })
        .open()
        .unwrap();
    // Nobody is there: it waits for room, and is dropped.
    assert!(
        timeout(Duration::from_millis(50), push.send("never"))
            .await
            .is_err()
    );
    assert_eq!(push.try_send("never"), Err(SendError::Full));
    push.connect(&endpoint).unwrap();
    // Each is dropped as soon as it waits.
    let sender = tokio::spawn(async move {
        for n in 0..1_000_u32 {
            push.send(n.to_be_bytes().to_vec()).await.unwrap();
        }
        push.close().await;
    });
    let mut come = Vec::new();
    while come.len() < 1_000 {
        tokio::select! {
            biased;
            message = pull.recv() => come.push(number(&message.unwrap())),
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(come.into_iter().eq(0..1_000));
    soon(sender).await.unwrap();
}

#[tokio::test]
async fn a_stream_and_a_sink_are_the_two_directions() {
    let (one, endpoint) = bound(Kind::Pair);
    let other = connected(Kind::Pair, &endpoint);
    let (mut incoming, mut outgoing) = (one.incoming(), other.outgoing());
    let sender = tokio::spawn(async move {
        for n in 0..5_000_u32 {
            poll_fn(|cx| Pin::new(&mut outgoing).poll_ready(cx))
                .await
                .unwrap();
            let message = Frames::from(n.to_be_bytes().to_vec());
            Pin::new(&mut outgoing).start_send(message).unwrap();
        }
        poll_fn(|cx| Pin::new(&mut outgoing).poll_close(cx))
            .await
            .unwrap();
        outgoing
    });
    for n in 0..5_000 {
        let next = soon(poll_fn(|cx| Pin::new(&mut incoming).poll_next(cx))).await;
        assert_eq!(number(&next.unwrap().unwrap()), n);
    }
    drop(soon(sender).await.unwrap());
    one.close().await;
    let next = soon(poll_fn(|cx| Pin::new(&mut incoming).poll_next(cx))).await;
    assert_eq!(next, None);
}

#[tokio::test]
async fn a_monitor_is_told_who_comes_and_goes() {
    let (rep, endpoint) = bound(Kind::Rep);
    let mut monitor = rep.monitor();
    let mut next = async || soon(monitor.recv()).await;
    assert!(matches!(next().await, Some(Event::Listening { .. })));
    let req = connected(Kind::Req, &endpoint);
    assert!(matches!(next().await, Some(Event::Accepted { .. })));
    assert!(matches!(next().await, Some(Event::Ready { .. })));
    assert_eq!(rep.peers().len(), 1);
    req.close().await;
    let gone = next().await;
    assert!(
        matches!(
            &gone,
            Some(Event::Disconnected {
                why: Why::Cut(_),
                ..
            })
        ),
        "{gone:?}"
    );
    rep.close().await;
    while let Some(event) = next().await {
        if matches!(event, Event::Closed { .. }) {
            return;
        }
    }
    panic!("the end was not told");
}

#[tokio::test]
async fn what_was_sent_leaves_after_the_last_handle_is_dropped() {
    let (pull, endpoint) = bound(Kind::Pull);
    let push = connected(Kind::Push, &endpoint);
    let large = vec![7; 4 << 20];
    for _ in 0..4 {
        push.send(large.clone()).await.unwrap();
    }
    drop(push);
    for _ in 0..4 {
        assert_eq!(soon(pull.recv()).await.unwrap()[0].len(), large.len());
    }
}

#[tokio::test]
async fn a_closed_socket_says_so_to_all_who_wait() {
    let (pull, _) = bound(Kind::Pull);
    let waiting = {
        let pull = pull.clone();
        tokio::spawn(async move { pull.recv().await })
    };
    tokio::task::yield_now().await;
    pull.close().await;
    assert_eq!(soon(waiting).await.unwrap(), Err(RecvError::Closed));
    assert_eq!(pull.try_recv(), Err(RecvError::Closed));
    assert!(pull.is_closed());
    soon(pull.closed()).await;
}

#[tokio::test]
async fn it_goes_over_files_as_well() {
    let folder = std::env::temp_dir().join(format!("atonce-tokio-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let endpoint = format!("ipc://{}", folder.join("pair").display());
    let one = Socket::new(Kind::Pair).unwrap();
    one.bind(&endpoint).unwrap();
    let other = connected(Kind::Pair, &endpoint);
    other.send("over a file").await.unwrap();
    assert_eq!(soon(one.recv()).await.unwrap()[0], "over a file");
    one.close().await;
    std::fs::remove_dir(&folder).unwrap(); // the file went with the socket
}

#[test]
fn it_needs_a_runtime() {
    assert!(matches!(
        Socket::new(Kind::Pair),
        Err(SocketError::NoRuntime)
    ));
}

#[test]
fn a_runtime_that_ends_takes_the_socket_with_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pull = runtime.block_on(async { bound(Kind::Pull).0 });
    drop(runtime);
    assert_eq!(pull.try_recv(), Err(RecvError::Closed));
}
