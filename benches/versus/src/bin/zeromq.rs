//! Bare sockets of the crate `zeromq` (zmq.rs).

use atonce_versus::bare::{Dealer, Router, play};
use atonce_versus::patterns::{self, Kind};
use atonce_versus::{Role, role};
use bytes::Bytes;
use zeromq::{
    DealerSocket, PubSocket, PullSocket, PushSocket, RepSocket, ReqSocket, RouterSocket, Socket,
    SocketRecv, SocketSend, SubSocket, ZmqMessage,
};

struct Ours<S>(S);

impl Dealer for Ours<DealerSocket> {
    async fn connect(address: &str) -> Self {
        let mut socket = DealerSocket::new();
        socket.connect(address).await.expect("connects");
        Self(socket)
    }

    async fn send(&mut self, content: Bytes) {
        self.0.send(content.into()).await.expect("sends");
    }

    async fn recv(&mut self) -> Bytes {
        let message = self.0.recv().await.expect("receives");
        message.get(0).expect("a frame").clone()
    }
}

impl Router for Ours<RouterSocket> {
    type Name = Bytes;

    async fn bind() -> (Self, String) {
        let mut socket = RouterSocket::new();
        let endpoint = socket.bind("tcp://127.0.0.1:0").await.expect("binds");
        (Self(socket), endpoint.to_string())
    }

    async fn recv(&mut self) -> (Bytes, Bytes) {
        let message = self.0.recv().await.expect("receives");
        let frame = |n| message.get(n).cloned().expect("a frame");
        (frame(0), frame(1))
    }

    async fn send(&mut self, to: Bytes, content: Bytes) {
        let mut message = ZmqMessage::from(content);
        message.push_front(to);
        self.0.send(message).await.expect("sends");
    }
}

/// Each is a type of its own there.
enum Plain {
    Push(PushSocket),
    Pull(PullSocket),
    Publisher(PubSocket),
    Subscriber(SubSocket),
    Requester(ReqSocket),
    Replier(RepSocket),
}

async fn connected<S: Socket>(address: &str) -> S {
    let mut socket = S::new();
    socket.connect(address).await.expect("connects");
    socket
}

async fn bound<S: Socket>() -> (S, String) {
    let mut socket = S::new();
    let endpoint = socket.bind("tcp://127.0.0.1:0").await.expect("binds");
    (socket, endpoint.to_string())
}

impl patterns::Socket for Plain {
    async fn connect(kind: Kind, address: &str) -> Self {
        match kind {
            Kind::Push => Self::Push(connected(address).await),
            Kind::Requester => Self::Requester(connected(address).await),
            Kind::Subscriber => {
                let mut socket: SubSocket = connected(address).await;
                socket.subscribe("").await.expect("subscribes");
                Self::Subscriber(socket)
            }
            other => panic!("no {other:?} connects"),
        }
    }

    async fn bind(kind: Kind) -> (Self, String) {
        match kind {
            Kind::Pull => {
                let (socket, address) = bound().await;
                (Self::Pull(socket), address)
            }
            Kind::Publisher => {
                let (socket, address) = bound().await;
                (Self::Publisher(socket), address)
            }
            Kind::Replier => {
                let (socket, address) = bound().await;
                (Self::Replier(socket), address)
            }
            other => panic!("no {other:?} binds"),
        }
    }

    async fn send(&mut self, content: Bytes) {
        let message = content.into();
        let sent = match self {
            Self::Push(socket) => socket.send(message).await,
            Self::Publisher(socket) => socket.send(message).await,
            Self::Requester(socket) => socket.send(message).await,
            Self::Replier(socket) => socket.send(message).await,
            Self::Pull(_) | Self::Subscriber(_) => panic!("it does not send"),
        };
        sent.expect("sends");
    }

    async fn recv(&mut self) -> Bytes {
        let message = match self {
            Self::Pull(socket) => socket.recv().await,
            Self::Subscriber(socket) => socket.recv().await,
            Self::Requester(socket) => socket.recv().await,
            Self::Replier(socket) => socket.recv().await,
            Self::Push(_) | Self::Publisher(_) => panic!("it does not receive"),
        };
        let message = message.expect("receives");
        message.get(0).expect("a frame").clone()
    }
}

fn main() {
    match role() {
        Role::Pattern(it) => patterns::play::<Plain>(it),
        role => play::<Ours<DealerSocket>, Ours<RouterSocket>>(role),
    }
}
