//! Bare DEALER→ROUTER of the crate `omq-tokio`.

use std::net::TcpListener;

use atonce_versus::bare::{Dealer, Router, play};
use atonce_versus::role;
use bytes::Bytes;
use omq_tokio::{Endpoint, Message, Options, Socket, SocketType};

struct Ours(Socket);

impl Ours {
    fn new(socket_type: SocketType) -> Self {
        Self(Socket::new(socket_type, Options::default()))
    }
}

impl Dealer for Ours {
    async fn connect(address: &str) -> Self {
        let ours = Self::new(SocketType::Dealer);
        let endpoint: Endpoint = address.parse().expect("an endpoint");
        ours.0.connect(endpoint).await.expect("connects");
        ours
    }

    async fn send(&mut self, content: Bytes) {
        self.0.send(Message::single(content)).await.expect("sends");
    }

    async fn recv(&mut self) -> Bytes {
        let message = self.0.recv().await.expect("receives");
        message.part_bytes(message.len() - 1).expect("a frame")
    }
}

impl Router for Ours {
    type Name = Bytes;

    async fn bind() -> (Self, String) {
        let ours = Self::new(SocketType::Router);
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("tcp://{}", free.local_addr().expect("an address"));
        drop(free);
        let endpoint: Endpoint = address.parse().expect("an endpoint");
        ours.0.bind(endpoint).await.expect("binds");
        (ours, address)
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

fn main() {
    play::<Ours, Ours>(role());
}
