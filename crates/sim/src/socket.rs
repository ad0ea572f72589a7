//! A ZMTP socket of a process, as its program has it.

use std::time::Duration;

use atonce::Frames;
use atonce::Instant;
use atonce::socket::{
    BindError, ConnectError, ConnectId, Endpoint, ListenerId, RecvError, SendError, Socket,
    SubscribeError,
};

use crate::application::NodeId;
use crate::topology::HostId;
use crate::trace::{self, Kind, Trace};

/// A socket, as its program has it: the commands of [`Socket`] without the time. [`Nodes::with_socket`](crate::Nodes::with_socket) and
/// [`Sim::with_socket`](crate::Sim::with_socket) lend it.
///
/// ```
/// use atonce::Frames;
/// use atonce::socket::{Config, Kind};
/// use atonce_sim::Sim;
/// use std::time::Duration;
///
/// let mut sim: Sim<()> = Sim::new(1);
/// let lan = sim.segment();
/// let [alice, bob] = [1, 2].map(|n| sim.host(lan, [10, 0, 0, n]));
/// let pull = sim.start_socket(bob, Kind::Pull, Config::default());
/// let push = sim.start_socket(alice, Kind::Push, Config::default());
/// sim.with_socket(pull, |pull| pull.bind(&"tcp://*:5555".parse().expect("an endpoint")));
/// sim.with_socket(push, |push| {
///     push.connect(&"tcp://10.0.0.2:5555".parse().expect("an endpoint")).expect("it can be dialled");
///     push.send(&Frames::from("work"))
/// });
/// sim.run_for(Duration::from_secs(1));
/// let received = sim.with_socket(pull, |pull| pull.recv());
/// assert_eq!(received, Some(Ok(Some(Frames::from("work")))));
/// ```
#[derive(Debug)]
pub struct SocketContext<'a> {
    pub(crate) node: NodeId,
    pub(crate) host: HostId,
    /// The simulation's time, and how far the host's clock is ahead of it.
    pub(crate) now: Instant,
    pub(crate) ahead: Duration,
    pub(crate) socket: &'a mut Socket,
    pub(crate) trace: &'a mut Trace,
}

impl SocketContext<'_> {
    /// Which socket of the simulation this is.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// On which host it is.
    pub const fn host(&self) -> HostId {
        self.host
    }

    /// What the clock of the host says.
    pub fn now(&self) -> Instant {
        self.now + self.ahead
    }

    /// What time it really is.
    pub const fn true_now(&self) -> Instant {
        self.now
    }

    /// The socket, to ask it.
    pub const fn socket(&self) -> &Socket {
        self.socket
    }

    /// See [`Socket::bind`]. An endpoint is an address or interface of the host, such as `tcp://eth0:5555`, or all of them, `tcp://*:5555`;
    /// port 0 is one that is free. There are no Unix sockets, and no loopback.
    ///
    /// # Errors
    ///
    /// As there. What is not here or taken is told by [`Event::ListenFailed`](atonce::socket::Event::ListenFailed).
    pub fn bind(&mut self, endpoint: &Endpoint) -> Result<ListenerId, BindError> {
        self.say(Kind::Bind, [sum_of(endpoint), 0, 0]);
        self.socket.bind(self.now + self.ahead, endpoint)
    }

    /// See [`Socket::unbind`].
    pub fn unbind(&mut self, listener: ListenerId) {
        self.say(Kind::Unbind, [u64::from(listener.as_u32()), 0, 0]);
        self.socket.unbind(self.now + self.ahead, listener);
    }

    /// See [`Socket::connect`]. An endpoint is the address of a host, or a [name](crate::Sim::name).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn connect(&mut self, endpoint: &Endpoint) -> Result<ConnectId, ConnectError> {
        self.say(Kind::Connect, [sum_of(endpoint), 0, 0]);
        self.socket.connect(self.now + self.ahead, endpoint)
    }

    /// See [`Socket::disconnect`].
    pub fn disconnect(&mut self, connect: ConnectId) {
        self.say(Kind::Disconnect, [u64::from(connect.as_u32()), 0, 0]);
        self.socket.disconnect(self.now + self.ahead, connect);
    }

    /// See [`Socket::send`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send(&mut self, message: &Frames) -> Result<(), SendError> {
        let sent = self.socket.send(self.now + self.ahead, message);
        let how = sent
            .as_ref()
            .err()
            .map_or(0, |error| trace::checksum(error.to_string().as_bytes()));
        self.say(Kind::Send, [sum(message), how, 0]);
        sent
    }

    /// See [`Socket::recv`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv(&mut self) -> Result<Option<Frames>, RecvError> {
        let received = self.socket.recv(self.now + self.ahead);
        match &received {
            Ok(Some(message)) => self.say(Kind::Take, [sum(message), 0, 0]),
            Ok(None) => {}
            Err(error) => {
                let how = trace::checksum(error.to_string().as_bytes());
                self.say(Kind::Take, [0, how, 0]);
            }
        }
        received
    }

    /// See [`Socket::subscribe`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn subscribe(&mut self, prefix: &[u8]) -> Result<(), SubscribeError> {
        self.say(Kind::Subscribe, [trace::checksum(prefix), 0, 0]);
        let prefix = prefix.to_vec();
        self.socket.subscribe(self.now + self.ahead, prefix)
    }

    /// See [`Socket::unsubscribe`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SubscribeError> {
        self.say(Kind::Unsubscribe, [trace::checksum(prefix), 0, 0]);
        self.socket.unsubscribe(self.now + self.ahead, prefix)
    }

    /// See [`Socket::reset`].
    pub fn reset(&mut self) {
        self.say(Kind::GiveUp, [0; 3]);
        self.socket.reset(self.now + self.ahead);
    }

    /// See [`Socket::close`]. The process ends when it is closed, unless its program has others.
    pub fn close(&mut self) {
        self.say(Kind::Stop, [0; 3]);
        self.socket.close(self.now + self.ahead);
    }

    fn say(&mut self, kind: Kind, words: [u64; 3]) {
        self.trace.say(self.now, Some(self.node), kind, words);
    }
}

fn sum_of(endpoint: &Endpoint) -> u64 {
    trace::checksum(endpoint.to_string().as_bytes())
}

/// A number that changes with every octet and every border between frames.
fn sum(message: &Frames) -> u64 {
    let sums: Vec<u8> = message
        .iter()
        .flat_map(|frame| trace::checksum(frame).to_be_bytes())
        .collect();
    trace::checksum(&sums)
}
