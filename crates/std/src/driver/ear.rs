//! The sockets on which beacons are heard, one for each family.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry};
use socket2::Domain;

use super::interfaces::Found;
use super::links::Source;
use super::lull::Lull;
use super::sockets::{beacon_receiver, directed_receiver, join};

/// Both sockets are read together, and are left alone together.
#[derive(Debug)]
pub(super) struct Ear {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    /// It shares its port with nobody.
    directed: bool,
    /// The UDP port.
    port: u16,
    /// While it lasts, the poller does not look at the sockets.
    pub(super) lull: Lull,
    /// It stands in `unread`.
    pub(super) in_unread: bool,
    /// The groups that it is in, with the interface.
    joined: BTreeSet<(u32, IpAddr)>,
}

impl Ear {
    /// One that hears nothing yet.
    pub(super) fn new(directed: bool, port: u16) -> Self {
        Self {
            v4: None,
            v6: None,
            directed,
            port,
            lull: Lull::default(),
            in_unread: false,
            joined: BTreeSet::new(),
        }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// The descriptors that it takes.
    pub(super) fn descriptors(&self) -> usize {
        usize::from(self.v4.is_some()) + usize::from(self.v6.is_some())
    }

    pub(super) fn hears(&self, family: Domain) -> bool {
        self.socket(family).is_some()
    }

    /// The socket of a family.
    pub(super) const fn socket(&self, family: Domain) -> Option<&UdpSocket> {
        match family {
            Domain::IPV6 => self.v6.as_ref(),
            _ => self.v4.as_ref(),
        }
    }

    /// Hears one more family.
    pub(super) fn open(&mut self, registry: &Registry, family: Domain) -> io::Result<()> {
        let mut socket = match self.directed {
            true => directed_receiver(family, self.port)?,
            false => beacon_receiver(family, self.port)?,
        };
        // Others know it by this one: if it has to be made again it is to have the same.
        self.port = socket.local_addr()?.port();
        if self.lull.until().is_none() {
            registry.register(&mut socket, Source::Datagrams.token(), Interest::READABLE)?;
        }
        match family {
            Domain::IPV6 => self.v6 = Some(socket),
            _ => self.v4 = Some(socket),
        }
        Ok(())
    }

    /// Has the poller look at the sockets, or leave them alone.
    pub(super) fn watch(&mut self, registry: &Registry, watched: bool) -> io::Result<()> {
        let token = Source::Datagrams.token();
        for socket in [&mut self.v4, &mut self.v6].into_iter().flatten() {
            match watched {
                true => registry.register(socket, token, Interest::READABLE)?,
                false => registry.deregister(socket)?,
            }
        }
        Ok(())
    }

    /// Hears the groups in which beacons may come by this interface, as far as it is not in them. The first that it cannot be in.
    // ZRE-162
    pub(super) fn join(
        &mut self,
        found: &Found,
        asked: &[IpAddr],
    ) -> Result<(), (IpAddr, io::Error)> {
        let family = Domain::for_address(SocketAddr::new(found.address, 0));
        let mut failed = Ok(());
        for group in found.groups(asked) {
            let Some(socket) = self.socket(family) else {
                return Ok(());
            };
            if self.directed || self.joined.contains(&(found.index, group)) {
                continue;
            }
            match join(socket, group, found.index) {
                Ok(()) => {
                    self.joined.insert((found.index, group));
                }
                Err(error) if failed.is_ok() => failed = Err((group, error)),
                Err(_) => {}
            }
        }
        failed
    }

    /// An interface, or its address, went away: it is joined anew when it is back.
    pub(super) fn forget(&mut self, index: u32) {
        self.joined.retain(|(of, _)| *of != index);
    }
}
