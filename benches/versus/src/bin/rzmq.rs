//! Bare DEALER→ROUTER of the crate `rzmq`, as it is without io_uring.

use atonce_versus::bare::{Dealer, Router, play};
use atonce_versus::role;
use bytes::Bytes;
use rzmq::socket::options::LAST_ENDPOINT;
use rzmq::{Context, Msg, MsgFlags, Socket, SocketType};

/// The context has to live as long as the socket.
struct Ours(#[allow(dead_code)] Context, Socket);

impl Ours {
    fn new(socket_type: SocketType) -> Self {
        let context = Context::new().expect("a context");
        let socket = context.socket(socket_type).expect("a socket");
        Self(context, socket)
    }
}

fn octets(frame: &Msg) -> Bytes {
    frame.data_bytes().unwrap_or_default()
}

impl Dealer for Ours {
    async fn connect(address: &str) -> Self {
        let ours = Self::new(SocketType::Dealer);
        ours.1.connect(address).await.expect("connects");
        ours
    }

    async fn send(&mut self, content: Bytes) {
        self.1.send(Msg::from_bytes(content)).await.expect("sends");
    }

    async fn recv(&mut self) -> Bytes {
        let message = self.1.recv_multipart().await.expect("receives");
        octets(message.last().expect("a frame"))
    }
}

impl Router for Ours {
    type Name = Bytes;

    async fn bind() -> (Self, String) {
        let ours = Self::new(SocketType::Router);
        ours.1.bind("tcp://127.0.0.1:0").await.expect("binds");
        let endpoint = ours.1.get_option(LAST_ENDPOINT).await.expect("an endpoint");
        (ours, String::from_utf8(endpoint).expect("a text"))
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

fn main() {
    play::<Ours, Ours>(role());
}
