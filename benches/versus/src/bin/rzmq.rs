//! Bare sockets of the crate `rzmq`, as it is without io_uring.

use atonce_versus::bare::{Dealer, Knocker, Router, knock, play};
use atonce_versus::patterns::{self, Kind};
use atonce_versus::{Role, keys, role};
use bytes::Bytes;
use rzmq::socket::options::{
    CURVE_PUBLIC_KEY, CURVE_SECRET_KEY, CURVE_SERVER, CURVE_SERVER_KEY, LAST_ENDPOINT, SUBSCRIBE,
};
use rzmq::socket::{MonitorReceiver, SocketEvent};
use rzmq::{Context, Msg, MsgFlags, Socket, SocketType};

/// The context has to live as long as the socket.
struct Ours(#[allow(dead_code)] Context, Socket);

impl Ours {
    async fn new(socket_type: SocketType) -> Self {
        let context = Context::new().expect("a context");
        let socket = context.socket(socket_type).expect("a socket");
        let ours = Self(context, socket);
        if keys::are_used() {
            ours.secure(socket_type == SocketType::Router).await;
        }
        ours
    }

    async fn secure(&self, called: bool) {
        let (public, secret) = if called { keys::CALLED } else { keys::CALLER };
        let set = async |option: i32, value: &[u8]| {
            let done = self.1.set_option_raw(option, value).await;
            done.expect("it can CURVE");
        };
        set(CURVE_PUBLIC_KEY, public.as_bytes()).await;
        set(CURVE_SECRET_KEY, secret.as_bytes()).await;
        if called {
            let done = self.1.set_option(CURVE_SERVER, true).await;
            done.expect("it can CURVE");
        } else {
            set(CURVE_SERVER_KEY, keys::CALLED.0.as_bytes()).await;
        }
    }
}

impl Ours {
    async fn bound(socket_type: SocketType) -> (Self, String) {
        let ours = Self::new(socket_type).await;
        ours.1.bind("tcp://127.0.0.1:0").await.expect("binds");
        let endpoint = ours.1.get_option(LAST_ENDPOINT).await.expect("an endpoint");
        (ours, String::from_utf8(endpoint).expect("a text"))
    }

    async fn connected(socket_type: SocketType, address: &str) -> Self {
        let ours = Self::new(socket_type).await;
        ours.1.connect(address).await.expect("connects");
        ours
    }

    /// Waits for room.
    async fn say(&self, content: Bytes) {
        self.1.send(Msg::from_bytes(content)).await.expect("sends");
    }

    /// The last frame of the next message.
    async fn hear(&self) -> Bytes {
        let message = self.1.recv_multipart().await.expect("receives");
        octets(message.last().expect("a frame"))
    }
}

fn octets(frame: &Msg) -> Bytes {
    frame.data_bytes().unwrap_or_default()
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
        let message = self.1.recv_multipart().await.expect("receives");
        (
            octets(&message[0]),
            octets(message.last().expect("a frame")),
        )
    }

    async fn send(&mut self, to: Bytes, content: Bytes) {
        let mut name = Msg::from_bytes(to);
        name.set_flags(MsgFlags::MORE);
        let message = vec![name, Msg::from_bytes(content)];
        self.1.send_multipart(message).await.expect("sends");
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
            let done = ours.1.set_option_raw(SUBSCRIBE, b"").await;
            done.expect("subscribes");
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
struct Watched(Ours, MonitorReceiver);

impl Knocker for Watched {
    async fn new() -> Self {
        let ours = Ours::new(SocketType::Dealer).await;
        let monitor = ours.1.monitor_default().await.expect("a monitor");
        Self(ours, monitor)
    }

    async fn knock(&mut self, address: &str) {
        let socket = &self.0.1;
        socket.connect(address).await.expect("connects");
        while !matches!(
            self.1.recv().await.expect("it is told"),
            SocketEvent::HandshakeSucceeded { .. }
        ) {}
        socket.disconnect(address).await.expect("disconnects");
    }
}

fn main() {
    match role() {
        Role::Knocks(it) => knock::<Watched>(&it),
        Role::Pattern(it) => patterns::play::<Ours>(it),
        role => play::<Ours, Ours>(role),
    }
}
