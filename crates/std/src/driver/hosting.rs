//! What the links of a node and its [`Stack`] have to do with each other: the stack is the machine that speaks over them, and the
//! driver does what it asks for.

use std::net::SocketAddr;

use atonce::{Action, Cut, Instant, InterfaceId, LinkId, Stack};
use bytes::BytesMut;
use bytes::buf::Limit;

use super::Driver;
use super::links::{Address, Host, Links, Machine};

impl Machine for Stack {
    type Listener = InterfaceId;

    fn handle_accepted(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        remote: Option<SocketAddr>,
    ) -> Option<LinkId> {
        // A mailbox is on TCP.
        Self::handle_accepted(self, now, interface, remote?)
    }

    fn handle_connected(&mut self, now: Instant, link: LinkId, local: Option<SocketAddr>) {
        if let Some(local) = local {
            Self::handle_connected(self, now, link, local);
        }
    }

    fn handle_disconnected(&mut self, now: Instant, link: LinkId, cut: Cut) {
        Self::handle_disconnected(self, now, link, cut);
    }

    fn receive_buffer(&mut self, link: LinkId) -> Option<Limit<&mut BytesMut>> {
        Self::receive_buffer(self, link)
    }

    fn handle_filled(&mut self, now: Instant, link: LinkId) {
        Self::handle_filled(self, now, link);
    }

    fn handle_received(&mut self, now: Instant, link: LinkId, octets: &[u8]) {
        Self::handle_received(self, now, link, octets);
    }

    fn poll_transmit(&self, link: LinkId) -> impl Iterator<Item = &[u8]> {
        Self::poll_transmit(self, link)
    }

    fn handle_transmitted(&mut self, now: Instant, link: LinkId, octets: usize) {
        Self::handle_transmitted(self, now, link, octets);
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }

    fn has_event(&self) -> bool {
        Self::has_event(self)
    }
}

impl Host for Driver {
    type Machine = Stack;

    #[inline]
    fn links(&mut self) -> &mut Links<Stack> {
        &mut self.links
    }

    /// Before something that others can see all that was said before it is sent: a goodbye must not come before that.
    fn act(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.links.machine.poll_action() {
            any = true;
            if matches!(
                action,
                Action::Broadcast { .. } | Action::Beacon { .. } | Action::Close { .. }
            ) {
                self.links.flush_all();
            }
            match action {
                Action::Transmit { link } => self.links.transmit(link),
                Action::Broadcast {
                    interface,
                    datagram,
                } => self.broadcast(interface, &datagram),
                Action::Beacon {
                    interface,
                    to,
                    datagram,
                } => self.direct(interface, to, &datagram),
                Action::Dial { link, address } => self.links.dial(link, &Address::Tcp(address)),
                Action::Authenticate { link, key, remote } => self.authenticate(link, &key, remote),
                Action::Pause { link } => self.links.pause(link),
                Action::Resume { link } => self.links.resume(link),
                Action::Close { link } => self.links.close(link),
                Action::Resolve { query, host, port } => {
                    self.resolver.ask(query, host.as_str().to_owned(), port);
                }
                other => tracing::error!(?other, "this adapter is older than the core"),
            }
        }
        any
    }

    fn note_datagrams(&mut self) {
        self.note_beacons();
    }

    fn note_changes(&mut self) {
        self.heed_changes();
    }

    fn note_aside(&mut self, key: usize) {
        self.note_socket_aside(key);
    }

    fn read_datagrams(&mut self) -> usize {
        self.read_beacons()
    }
}
