//! Bare DEALER→ROUTER of the crate `zeromq` (zmq.rs).

use atonce_versus::bare::{Dealer, Router, play};
use atonce_versus::role;
use bytes::Bytes;
use zeromq::{DealerSocket, RouterSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

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

fn main() {
    play::<Ours<DealerSocket>, Ours<RouterSocket>>(role());
}
