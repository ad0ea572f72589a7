//! The roles over bare DEALER and ROUTER sockets of an async crate.
#![allow(async_fn_in_trait)] // nobody else implements them

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::{Knocks, Load, Role, RoundTrips, Watch, announced, announcement, reached_at};

/// The side that connects.
pub trait Dealer: Sized {
    /// Connects to `tcp://ADDRESS:PORT`.
    async fn connect(address: &str) -> Self;
    /// Sends a message of one frame; waits for room.
    async fn send(&mut self, content: Bytes);
    /// The next message.
    async fn recv(&mut self) -> Bytes;
}

/// The side that is connected to.
pub trait Router: Sized {
    /// How it knows who said something.
    type Name;
    /// Binds to a free port of the loopback and says to which.
    async fn bind() -> (Self, String);
    /// The next message and who sent it.
    async fn recv(&mut self) -> (Self::Name, Bytes);
    /// Answers.
    async fn send(&mut self, to: Self::Name, content: Bytes);
}

/// Who makes connections for their own sake.
pub trait Knocker: Sized {
    /// One that can make one connection after the other.
    async fn new() -> Self;
    /// Makes a connection; when both sides are ready, ends it.
    async fn knock(&mut self, address: &str);
}

/// A runtime of one thread: it suits each of the crates best, in messages a second and in what one costs, also where there are
/// more processors.
pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// Plays a role.
///
/// # Panics
///
/// Something fails.
pub fn play<D: Dealer, R: Router>(role: Role) {
    let runtime = runtime();
    runtime.block_on(async {
        match role {
            Role::Sink => sink::<R>().await,
            Role::Source(load) => source::<D>(&load).await,
            Role::Echo => echo::<R>().await,
            Role::Ping(load) => ping::<D>(&load).await,
            other => panic!("no {other:?} with bare sockets"),
        }
    });
    // Some crates have tasks that do not end.
    runtime.shutdown_background();
}

/// Makes connections.
///
/// # Panics
///
/// Something fails.
pub fn knock<K: Knocker + 'static>(it: &Knocks) {
    let runtime = runtime();
    let knockers = LocalSet::new();
    let left = Rc::new(Cell::new(it.count));
    let knocking = async {
        let mut ready = Vec::new();
        for _ in 0..it.at_once {
            ready.push(K::new().await);
        }
        let watch = Watch::start();
        let tasks = ready.into_iter().map(|mut knocker| {
            let (left, address) = (Rc::clone(&left), it.address.clone());
            tokio::task::spawn_local(async move {
                while left.get() > 0 {
                    left.set(left.get() - 1);
                    knocker.knock(&address).await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("it knocks");
        }
        watch.report(it.count);
    };
    knockers.block_on(&runtime, knocking);
    drop(knockers);
    runtime.shutdown_background();
}

pub(crate) async fn sink<R: Router>() {
    let (mut router, address) = R::bind().await;
    reached_at(address);
    let (name, first) = router.recv().await;
    let count = announced(&first);
    let watch = Watch::start();
    for _ in 0..count {
        router.recv().await;
    }
    watch.report(count);
    router.send(name, Bytes::from_static(b"done")).await;
    linger().await;
}

/// What was said last may still be on its way.
pub(crate) async fn linger() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

pub(crate) async fn source<D: Dealer>(load: &Load) {
    let mut dealer = D::connect(&load.address).await;
    let content = Bytes::from(vec![7; load.size]);
    dealer.send(announcement(load.count).into()).await;
    let watch = Watch::start();
    for _ in 0..load.count {
        dealer.send(content.clone()).await;
    }
    dealer.recv().await;
    watch.report(load.count);
}

pub(crate) async fn echo<R: Router>() {
    let (mut router, address) = R::bind().await;
    reached_at(address);
    loop {
        let (name, content) = router.recv().await;
        // An empty message ends it.
        if content.is_empty() {
            return;
        }
        router.send(name, content).await;
    }
}

pub(crate) async fn ping<D: Dealer>(load: &Load) {
    let mut dealer = D::connect(&load.address).await;
    let content = Bytes::from(vec![7; load.size]);
    let mut trips = RoundTrips::new(load.count);
    while trips.lacks(load.count) {
        let begun = Instant::now();
        dealer.send(content.clone()).await;
        dealer.recv().await;
        trips.note(begun);
    }
    trips.report();
    dealer.send(Bytes::new()).await;
    linger().await;
}
