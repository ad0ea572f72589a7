//! The sockets by which datagrams of autoconfiguration go out and come in.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use atonce::autoconf::{GROUP_V4, GROUP_V6};
use mio::{Interest, Registry, Token};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::Ways;
use super::faces::{Face, Faces};
use crate::driver::is_network_change;

/// One more than the longest datagram: what does not fit is too long.
const BUFFER: usize = atonce::wire::autoconf::Datagram::LIMIT + 1;
/// Datagrams of one socket before others have their turn.
const SHARE: usize = 128;
/// Datagrams leave the link neither by IPv4 nor by IPv6.
// AUTO-11
const HOPS: u32 = 1;

/// The ear of IPv4. That of IPv6 on an interface has the index of the interface, which is never 0, plus one.
const EAR_V4: Token = Token(1);

/// All sockets on the interfaces in use.
#[derive(Debug)]
pub(super) struct Radio {
    wanted: Vec<String>,
    ways: Ways,
    port: u16,
    registry: Registry,
    faces: Vec<Face>,
    /// Hears multicast and broadcast of IPv4, of all interfaces.
    ear_v4: Option<mio::net::UdpSocket>,
    /// The interfaces on which it is in the group, by index.
    joined: BTreeSet<u32>,
    /// Hear multicast of IPv6, of one interface each, by its index.
    ears_v6: BTreeMap<u32, mio::net::UdpSocket>,
    voices: Vec<Voice>,
    /// Complaints that were logged and still hold.
    complaints: BTreeSet<String>,
}

/// Says datagrams on one interface.
#[derive(Debug)]
struct Voice {
    index: u32,
    /// The address that it speaks from; of IPv6 the system chooses.
    from: IpAddr,
    socket: UdpSocket,
    to: Vec<SocketAddr>,
}

impl Radio {
    /// Opens what can be opened.
    ///
    /// # Errors
    ///
    /// The port cannot be listened at.
    pub(super) fn open(
        wanted: Vec<String>,
        ways: Ways,
        port: u16,
        registry: Registry,
        faces: &Faces,
    ) -> io::Result<Self> {
        let mut radio = Self {
            faces: Vec::new(),
            wanted,
            ways,
            port,
            registry,
            ear_v4: None,
            joined: BTreeSet::new(),
            ears_v6: BTreeMap::new(),
            voices: Vec::new(),
            complaints: BTreeSet::new(),
        };
        if radio.ways.ipv4 || radio.ways.broadcast {
            radio.ear_v4 = Some(radio.listen_v4()?);
        }
        radio.follow(faces);
        Ok(radio)
    }

    /// Closes everything.
    pub(super) fn close(&mut self) {
        self.ear_v4 = None;
        self.joined.clear();
        self.ears_v6.clear();
        self.voices.clear();
    }

    /// The interfaces in use.
    pub(super) fn faces(&self) -> &[Face] {
        &self.faces
    }

    /// Has the sockets follow what there is; whether there is anything else than before.
    // AUTO-12
    pub(super) fn follow(&mut self, faces: &Faces) -> bool {
        let selected = faces.select(&self.wanted);
        let changed = selected != self.faces;
        self.faces = selected;
        if changed {
            tracing::debug!(interfaces = ?self.faces, "in use");
        }
        if (self.ways.ipv4 || self.ways.broadcast) && self.ear_v4.is_none() {
            match self.listen_v4() {
                Ok(ear) => self.ear_v4 = Some(ear),
                Err(error) => self.complain("IPv4", &error),
            }
        }
        let faces = self.faces.clone();
        let here = |index: u32, from: Option<IpAddr>| {
            faces.iter().any(|face| {
                face.index == index
                    && from.is_none_or(|from| face.addresses().any(|own| own == from))
            })
        };
        self.voices.retain(|voice| {
            let from = Some(voice.from).filter(|from| !from.is_unspecified());
            here(voice.index, from)
        });
        // Membership ends with the interface.
        self.joined.retain(|index| here(*index, None));
        let gone: Vec<u32> = self.ears_v6.keys().copied().collect();
        for index in gone.into_iter().filter(|index| !here(*index, None)) {
            self.drop_ear_v6(index);
        }
        for face in &faces {
            self.add(face);
        }
        changed
    }

    fn add(&mut self, face: &Face) {
        if self.ways.ipv4 && face.multicast && !face.v4.is_empty() {
            self.join_v4(face);
        }
        for (place, own) in face.v4.iter().enumerate() {
            let group = (self.ways.ipv4 && face.multicast && place == 0).then_some(GROUP_V4);
            let subnet = own.broadcast.filter(|_| self.ways.broadcast);
            let to: Vec<SocketAddr> = group
                .into_iter()
                .chain(subnet)
                .map(|to| SocketAddr::from((to, self.port)))
                .collect();
            let from = IpAddr::V4(own.address);
            if !to.is_empty() && !self.has_voice(face.index, from) {
                match speak_v4(own.address) {
                    Ok(socket) => self.voices.push(Voice {
                        index: face.index,
                        from,
                        socket,
                        to,
                    }),
                    Err(error) => self.complain(&format!("{}, {from}", face.name), &error),
                }
            }
        }
        // The loopback of Linux carries no multicast of IPv6.
        if !self.ways.ipv6 || !face.multicast || face.loopback || face.v6.is_empty() {
            return;
        }
        let group = SocketAddrV6::new(GROUP_V6, self.port, 0, face.index);
        if !self.ears_v6.contains_key(&face.index) {
            match self.listen_v6(face.index, group) {
                Ok(ear) => {
                    self.ears_v6.insert(face.index, ear);
                }
                Err(error) => self.complain(&format!("{}, IPv6", face.name), &error),
            }
        }
        let from = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        if !self.has_voice(face.index, from) {
            match speak_v6(face.index) {
                Ok(socket) => self.voices.push(Voice {
                    index: face.index,
                    from,
                    socket,
                    to: vec![group.into()],
                }),
                Err(error) => self.complain(&format!("{}, IPv6", face.name), &error),
            }
        }
    }

    fn has_voice(&self, index: u32, from: IpAddr) -> bool {
        let mut voices = self.voices.iter();
        voices.any(|voice| (voice.index, voice.from) == (index, from))
    }

    /// Says a datagram to all, by all ways. Whether a socket failed so that the interfaces are to be looked at again.
    // AUTO-10, AUTO-25
    pub(super) fn send(&mut self, datagram: &[u8]) -> bool {
        let before = self.voices.len();
        self.voices.retain(|voice| {
            voice
                .to
                .iter()
                .all(|to| match voice.socket.send_to(datagram, to) {
                    Ok(octets) => {
                        tracing::trace!(%to, from = %voice.from, octets, "said");
                        true
                    }
                    Err(error) => {
                        tracing::debug!(%to, from = %voice.from, %error, "not said");
                        !is_network_change(&error)
                    }
                })
        });
        before != self.voices.len()
    }

    /// Gives `each` what came. Whether there may be more.
    pub(super) fn receive(&mut self, mut each: impl FnMut(SocketAddr, &[u8])) -> bool {
        let mut buffer = [0; BUFFER];
        let mut more = false;
        let mut broken = Vec::new();
        let v4 = self.ear_v4.iter().map(|ear| (0, ear));
        let ears = v4.chain(self.ears_v6.iter().map(|(index, ear)| (*index, ear)));
        for (index, ear) in ears {
            let mut left = SHARE;
            loop {
                if left == 0 {
                    more = true;
                    break;
                }
                left -= 1;
                match ear.recv_from(&mut buffer) {
                    Ok((length, source)) => {
                        // AUTO-13
                        let heard = match source.ip() {
                            IpAddr::V4(source) => self.faces.iter().any(|face| face.hears(source)),
                            // The socket hears this interface only.
                            IpAddr::V6(_) => true,
                        };
                        tracing::trace!(%source, length, heard, "datagram");
                        if heard {
                            each(source, buffer.get(..length).unwrap_or_default());
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot hear announcements; trying again");
                        broken.push(index);
                        break;
                    }
                }
            }
        }
        for index in broken {
            if index == 0 {
                if let Some(mut ear) = self.ear_v4.take() {
                    let _ = self.registry.deregister(&mut ear);
                }
                self.joined.clear();
            } else {
                self.drop_ear_v6(index);
            }
        }
        more
    }

    fn drop_ear_v6(&mut self, index: u32) {
        if let Some(mut ear) = self.ears_v6.remove(&index) {
            let _ = self.registry.deregister(&mut ear);
        }
    }

    fn join_v4(&mut self, face: &Face) {
        let Some(ear) = self.ear_v4.as_ref() else {
            return;
        };
        if self.joined.contains(&face.index) {
            return;
        }
        let interface = InterfaceIndexOrAddress::Index(face.index);
        let joined = socket2::SockRef::from(ear).join_multicast_v4_n(&GROUP_V4, &interface);
        match joined {
            Ok(()) => {
                self.joined.insert(face.index);
            }
            // It is in it: the interface came back before that was noticed.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                self.joined.insert(face.index);
            }
            Err(error) => self.complain(&format!("{}, the group", face.name), &error),
        }
    }

    fn listen_v4(&self) -> io::Result<mio::net::UdpSocket> {
        let socket = shared(Domain::IPV4)?;
        // AUTO-13: without, it hears all groups that anybody on this machine is in, wherever.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_multicast_all_v4(false)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port)).into())?;
        self.register(socket, EAR_V4)
    }

    fn listen_v6(&self, index: u32, group: SocketAddrV6) -> io::Result<mio::net::UdpSocket> {
        let socket = shared(Domain::IPV6)?;
        socket.set_only_v6(true)?;
        socket.bind(&SocketAddr::V6(group).into())?;
        socket.join_multicast_v6(group.ip(), index)?;
        let place = usize::try_from(index).unwrap_or(usize::MAX - 1);
        self.register(socket, Token(place + 1))
    }

    fn register(&self, socket: Socket, token: Token) -> io::Result<mio::net::UdpSocket> {
        let mut ear = mio::net::UdpSocket::from_std(socket.into());
        self.registry
            .register(&mut ear, token, Interest::READABLE)?;
        Ok(ear)
    }

    fn complain(&mut self, what: &str, error: &io::Error) {
        if self.complaints.insert(what.to_owned()) {
            tracing::warn!(%error, "cannot use {what}; trying again");
        }
    }
}

/// All programs of a machine hear at the same port.
fn shared(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    Ok(socket)
}

fn speak_v4(from: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    socket.set_multicast_if_v4(&from)?;
    socket.set_multicast_ttl_v4(HOPS)?;
    socket.set_ttl_v4(HOPS)?;
    socket.set_multicast_loop_v4(true)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    Ok(socket.into())
}

fn speak_v6(index: u32) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_only_v6(true)?;
    socket.set_multicast_if_v6(index)?;
    socket.set_multicast_hops_v6(HOPS)?;
    socket.set_multicast_loop_v6(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_link() {
        // AUTO-11
        let voice = speak_v4(Ipv4Addr::LOCALHOST).unwrap();
        let socket = socket2::SockRef::from(&voice);
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 1);
        assert_eq!(socket.ttl_v4().unwrap(), 1);
        assert!(socket.multicast_loop_v4().unwrap());
        let index = nix::net::if_::if_nametoindex("lo").unwrap();
        let voice = speak_v6(index).unwrap();
        let socket = socket2::SockRef::from(&voice);
        assert_eq!(socket.multicast_hops_v6().unwrap(), 1);
        assert!(socket.multicast_loop_v6().unwrap());
    }
}
