//! The other patterns: sockets as tasks.

use atonce_tokio::{Socket, socket};
use atonce_versus::patterns::{self, Kind};
use bytes::Bytes;

/// One socket.
pub(crate) struct Plain(Socket);

fn kind_of(kind: Kind) -> socket::Kind {
    match kind {
        Kind::Push => socket::Kind::Push,
        Kind::Pull => socket::Kind::Pull,
        Kind::Publisher => socket::Kind::Pub,
        Kind::Subscriber => socket::Kind::Sub,
        Kind::Requester => socket::Kind::Req,
        Kind::Replier => socket::Kind::Rep,
    }
}

impl patterns::Socket for Plain {
    async fn connect(kind: Kind, address: &str) -> Self {
        let mut builder = Socket::builder(kind_of(kind)).connect(address);
        if kind == Kind::Subscriber {
            builder = builder.subscribe("");
        }
        Self(builder.open().expect("it opens"))
    }

    async fn bind(kind: Kind) -> (Self, String) {
        let it = Socket::builder(kind_of(kind)).open().expect("it opens");
        let endpoint = it.bind("tcp://127.0.0.1:0");
        (Self(it), endpoint.expect("a free port"))
    }

    async fn send(&mut self, content: Bytes) {
        self.0.send(content).await.expect("it sends");
    }

    async fn recv(&mut self) -> Bytes {
        let message = self.0.recv().await.expect("it receives");
        message.into_iter().next().expect("it has a frame")
    }
}
