//! Bare sockets of the crate `omq-tokio`.

use std::net::TcpListener;

use atonce_versus::bare::{Dealer, Knocker, Router, knock, play};
use atonce_versus::patterns::{self, Kind};
use atonce_versus::{Role, keys, role};
use bytes::Bytes;
use omq_tokio::{
    CurveKeypair, CurveSecretKey, Endpoint, Message, MonitorEvent, MonitorStream, Options, Socket,
    SocketType,
};

struct Ours(Socket);

impl Ours {
    fn new(socket_type: SocketType) -> Self {
        let options = match socket_type {
            _ if !keys::are_used() => Options::default(),
            SocketType::Router => Options::default()
                // As many as go half the way of a handshake at once.
                .max_pending_handshakes(4_096)
                .curve_server(pair(keys::CALLED)),
            _ => Options::default().curve_client(pair(keys::CALLER), pair(keys::CALLED).public),
        };
        Self(Socket::new(socket_type, options))
    }

    async fn bound(socket_type: SocketType) -> (Self, String) {
        let ours = Self::new(socket_type);
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("tcp://{}", free.local_addr().expect("an address"));
        drop(free);
        let endpoint: Endpoint = address.parse().expect("an endpoint");
        ours.0.bind(endpoint).await.expect("binds");
        (ours, address)
    }

    async fn connected(socket_type: SocketType, address: &str) -> Self {
        let ours = Self::new(socket_type);
        let endpoint: Endpoint = address.parse().expect("an endpoint");
        ours.0.connect(endpoint).await.expect("connects");
        ours
    }

    /// Waits for room.
    async fn say(&self, content: Bytes) {
        self.0.send(Message::single(content)).await.expect("sends");
    }

    /// The last frame of the next message.
    async fn hear(&self) -> Bytes {
        let message = self.0.recv().await.expect("receives");
        message.part_bytes(message.len() - 1).expect("a frame")
    }
}

fn pair((_, secret): (&str, &str)) -> CurveKeypair {
    let secret = CurveSecretKey::from_z85(secret).expect("a key");
    let public = secret.derive_public();
    CurveKeypair { public, secret }
}

impl Dealer for Ours {
    async fn connect(address: &str) -> Self {
        Self::connected(SocketType::Dealer, address).await
    }

    async fn send(&mut self, content: Bytes) {
        self.say(content).await;
    }

    async fn recv(&mut self) -> Bytes {
        self.hear().await
    }
}

impl Router for Ours {
    type Name = Bytes;

    async fn bind() -> (Self, String) {
        Self::bound(SocketType::Router).await
    }

    async fn recv(&mut self) -> (Bytes, Bytes) {
        let message = self.0.recv().await.expect("receives");
        let frame = |n| message.part_bytes(n).expect("a frame");
        (frame(0), frame(1))
    }

    async fn send(&mut self, to: Bytes, content: Bytes) {
        let message = Message::multipart([to, content]);
        self.0.send(message).await.expect("sends");
    }
}

fn type_of(kind: Kind) -> SocketType {
    match kind {
        Kind::Push => SocketType::Push,
        Kind::Pull => SocketType::Pull,
        Kind::Publisher => SocketType::Pub,
        Kind::Subscriber => SocketType::Sub,
        Kind::Requester => SocketType::Req,
        Kind::Replier => SocketType::Rep,
    }
}

impl patterns::Socket for Ours {
    async fn connect(kind: Kind, address: &str) -> Self {
        let ours = Self::connected(type_of(kind), address).await;
        if kind == Kind::Subscriber {
            ours.0.subscribe("").await.expect("subscribes");
        }
        ours
    }

    async fn bind(kind: Kind) -> (Self, String) {
        Self::bound(type_of(kind)).await
    }

    async fn send(&mut self, content: Bytes) {
        self.say(content).await;
    }

    async fn recv(&mut self) -> Bytes {
        self.hear().await
    }
}

/// A dealer that is told when a handshake is over.
struct Watched(Ours, MonitorStream);

impl Knocker for Watched {
    async fn new() -> Self {
        let ours = Ours::new(SocketType::Dealer);
        let monitor = ours.0.monitor();
        Self(ours, monitor)
    }

    async fn knock(&mut self, address: &str) {
        let endpoint: Endpoint = address.parse().expect("an endpoint");
        let socket = &self.0.0;
        socket.connect(endpoint.clone()).await.expect("connects");
        while !matches!(
            self.1.recv().await.expect("it is told"),
            MonitorEvent::HandshakeSucceeded { .. }
        ) {}
        socket.disconnect(endpoint).await.expect("disconnects");
    }
}

fn main() {
    match role() {
        Role::Knocks(it) => knock::<Watched>(&it),
        Role::Pattern(it) => patterns::play::<Ours>(it),
        role => play::<Ours, Ours>(role),
    }
}
