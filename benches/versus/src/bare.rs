//! The roles over bare DEALER and ROUTER sockets of an async crate.
#![allow(async_fn_in_trait)] // nobody else implements them

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{Load, Role, RoundTrips, Watch, announced, announcement, reached_at};

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

/// Plays a role on a runtime of one thread: it suits each of the crates best, in messages a second and in what one costs, also
/// where there are more processors.
///
/// # Panics
///
/// Something fails.
pub fn play<D: Dealer, R: Router>(role: Role) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match role {
            Role::Sink => sink::<R>().await,
            Role::Source(load) => source::<D>(&load).await,
            Role::Echo => echo::<R>().await,
            Role::Ping(load) => ping::<D>(&load).await,
            Role::Ears(_) | Role::Shouter(_) | Role::Mesh(_) => {
                panic!("bare sockets have no peers")
            }
        }
    });
    // Some crates have tasks that do not end.
    runtime.shutdown_background();
}

async fn sink<R: Router>() {
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
async fn linger() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn source<D: Dealer>(load: &Load) {
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

async fn echo<R: Router>() {
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

async fn ping<D: Dealer>(load: &Load) {
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
