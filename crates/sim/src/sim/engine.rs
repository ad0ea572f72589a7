//! What runs in a process: a node, a relay of @Once, a ZMTP socket, or a socket of UDP. All take the same from the network, and want nearly the same of it.

use std::net::SocketAddr;

use atonce::once::{Relay, relay};
use atonce::socket::{self, ListenerId, Socket};
use atonce::zmtp::Verdict;
use atonce::{Action, Cut, Event, Instant, Interface, InterfaceId, LinkId, Stack};

use super::udp::Udp;

/// See [the module](self). What only a node is ever given does nothing to the others.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are nodes, and each is in a box with its process"
)]
pub(super) enum Engine {
    Node(Stack),
    Relay(Relay),
    Socket(Socket),
    Udp(Udp),
}

impl Engine {
    pub(super) const fn stack(&self) -> Option<&Stack> {
        match self {
            Self::Node(stack) => Some(stack),
            Self::Relay(_) | Self::Socket(_) | Self::Udp(_) => None,
        }
    }

    pub(super) const fn stack_mut(&mut self) -> Option<&mut Stack> {
        match self {
            Self::Node(stack) => Some(stack),
            Self::Relay(_) | Self::Socket(_) | Self::Udp(_) => None,
        }
    }

    pub(super) const fn relay(&self) -> Option<&Relay> {
        match self {
            Self::Node(_) | Self::Socket(_) | Self::Udp(_) => None,
            Self::Relay(relay) => Some(relay),
        }
    }

    pub(super) const fn relay_mut(&mut self) -> Option<&mut Relay> {
        match self {
            Self::Node(_) | Self::Socket(_) | Self::Udp(_) => None,
            Self::Relay(relay) => Some(relay),
        }
    }

    pub(super) const fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Node(_) | Self::Relay(_) | Self::Udp(_) => None,
            Self::Socket(socket) => Some(socket),
        }
    }

    pub(super) const fn socket_mut(&mut self) -> Option<&mut Socket> {
        match self {
            Self::Node(_) | Self::Relay(_) | Self::Udp(_) => None,
            Self::Socket(socket) => Some(socket),
        }
    }

    pub(super) const fn udp_mut(&mut self) -> Option<&mut Udp> {
        match self {
            Self::Node(_) | Self::Relay(_) | Self::Socket(_) => None,
            Self::Udp(udp) => Some(udp),
        }
    }

    pub(super) const fn is_udp(&self) -> bool {
        matches!(self, Self::Udp(_))
    }

    // ---- inputs

    /// How a node calls the interface; a relay has no name for it.
    pub(super) fn handle_interface_up(
        &mut self,
        now: Instant,
        interface: Interface,
    ) -> Option<InterfaceId> {
        let stack = self.stack_mut()?;
        Some(stack.handle_interface_up(now, interface))
    }

    pub(super) fn handle_interface_down(
        &mut self,
        now: Instant,
        interface: Option<InterfaceId>,
        reason: &'static str,
    ) {
        if let (Some(stack), Some(interface)) = (self.stack_mut(), interface) {
            stack.handle_interface_down(now, interface, reason);
        }
    }

    pub(super) fn handle_datagram(&mut self, now: Instant, source: SocketAddr, octets: &[u8]) {
        match self {
            Self::Node(stack) => stack.handle_datagram(now, source, octets),
            Self::Relay(_) | Self::Socket(_) => {}
            Self::Udp(udp) => udp.keep(source, octets),
        }
    }

    pub(super) fn handle_accepted(
        &mut self,
        now: Instant,
        interface: Option<InterfaceId>,
        listener: Option<ListenerId>,
        remote: SocketAddr,
    ) -> Option<LinkId> {
        match self {
            Self::Node(stack) => stack.handle_accepted(now, interface?, remote),
            Self::Relay(relay) => Some(relay.handle_accepted(now)),
            Self::Socket(socket) => socket.handle_accepted(now, listener?, Some(remote)),
            Self::Udp(_) => None,
        }
    }

    pub(super) fn handle_connected(&mut self, now: Instant, link: LinkId, local: SocketAddr) {
        match self {
            Self::Node(stack) => stack.handle_connected(now, link, local),
            Self::Relay(_) | Self::Udp(_) => {}
            Self::Socket(socket) => socket.handle_connected(now, link),
        }
    }

    pub(super) fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]) {
        match self {
            Self::Node(stack) => stack.handle_received(now, link, octets),
            Self::Relay(relay) => relay.handle_received(now, link, octets),
            Self::Socket(socket) => socket.handle_received(now, link, octets),
            Self::Udp(_) => {}
        }
    }

    pub(super) fn handle_transmitted(&mut self, now: Instant, link: LinkId, octets: usize) {
        match self {
            Self::Node(stack) => stack.handle_transmitted(now, link, octets),
            Self::Relay(relay) => relay.handle_transmitted(now, link, octets),
            Self::Socket(socket) => socket.handle_transmitted(now, link, octets),
            Self::Udp(_) => {}
        }
    }

    pub(super) fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        match self {
            Self::Node(stack) => stack.handle_disconnected(now, link, cut),
            Self::Relay(relay) => relay.handle_disconnected(now, link, cut),
            Self::Socket(socket) => socket.handle_disconnected(now, link, cut),
            Self::Udp(_) => {}
        }
    }

    pub(super) fn handle_verdict(&mut self, now: Instant, link: LinkId, verdict: Verdict) {
        match self {
            Self::Node(stack) => stack.handle_verdict(now, link, verdict),
            Self::Relay(_) | Self::Udp(_) => {}
            Self::Socket(socket) => socket.handle_verdict(now, link, verdict),
        }
    }

    pub(super) fn handle_resolved(&mut self, now: Instant, query: u64, found: &[SocketAddr]) {
        if let Some(stack) = self.stack_mut() {
            stack.handle_resolved(now, query, found);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Node(stack) => stack.handle_timeout(now),
            Self::Relay(relay) => relay.handle_timeout(now),
            Self::Socket(socket) => socket.handle_timeout(now),
            Self::Udp(_) => {}
        }
    }

    // ---- outputs

    /// What is to be done next; what a relay wants is something that nodes want as well.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        let relay = match self {
            Self::Node(stack) => return stack.poll_action(),
            Self::Relay(relay) => relay,
            Self::Socket(_) | Self::Udp(_) => return None,
        };
        match relay.poll_action()? {
            relay::Action::Transmit { link } => Some(Action::Transmit { link }),
            relay::Action::Pause { link } => Some(Action::Pause { link }),
            relay::Action::Resume { link } => Some(Action::Resume { link }),
            relay::Action::Close { link } => Some(Action::Close { link }),
            // An action that this crate does not know of: it is a part of the same workspace.
            action => {
                debug_assert!(false, "{action:?}");
                self.poll_action()
            }
        }
    }

    /// What a socket wants to be done next.
    pub(super) fn poll_socket_action(&mut self) -> Option<socket::Action> {
        self.socket_mut()?.poll_action()
    }

    pub(super) fn poll_transmit(&self, link: LinkId) -> impl Iterator<Item = &[u8]> {
        let node = self.stack().map(|stack| stack.poll_transmit(link));
        let relay = self.relay().map(|relay| relay.poll_transmit(link));
        let socket = self.socket().map(|socket| socket.poll_transmit(link));
        node.into_iter()
            .flatten()
            .chain(relay.into_iter().flatten())
            .chain(socket.into_iter().flatten())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Node(stack) => stack.poll_timeout().map(|(at, _)| at),
            Self::Relay(relay) => relay.poll_timeout().map(|(at, _)| at),
            Self::Socket(socket) => socket.deadline(),
            Self::Udp(_) => None,
        }
    }

    pub(super) fn has_event(&self) -> bool {
        self.stack().is_some_and(Stack::has_event)
    }

    pub(super) fn poll_event(&mut self, now: Instant) -> Option<Event> {
        self.stack_mut()?.poll_event(now)
    }

    /// Whether it ended by itself. A relay ends with the nodes of its program.
    pub(super) fn is_stopped(&self) -> bool {
        match self {
            Self::Node(stack) => stack.is_stopped(),
            Self::Relay(_) => false,
            Self::Socket(socket) => socket.is_closed(),
            Self::Udp(udp) => udp.closed,
        }
    }
}
