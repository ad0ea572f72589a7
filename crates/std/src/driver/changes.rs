//! Word from the system that an interface or an address may have changed.
//!
//! On Linux the kernel says so at once, over netlink. What it says is not read: the list of interfaces tells what there is now, and so
//! nothing of a message has to be understood. Elsewhere, and where a process may not ask, the list is read every other second alone.

use std::io;

use mio::Registry;

use super::links::Source;

/// Messages that are thrown away in one turn. What is left then is thrown away when the list is read again.
#[cfg(any(target_os = "android", target_os = "linux"))]
const MESSAGES: usize = 256;

/// Where the kernel says it.
#[derive(Debug)]
pub(super) struct Changes {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket: std::os::fd::OwnedFd,
}

#[cfg(any(target_os = "android", target_os = "linux"))]
impl Changes {
    /// Asks to be told; the poller that the registry belongs to reports it as [`Source::Changes`].
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use mio::Interest;
        use mio::unix::SourceFd;
        use nix::libc::{RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK};
        use nix::sys::socket::{
            AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket,
        };

        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkRoute;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
        let groups = u32::try_from(groups).unwrap_or_default();
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        let descriptor = socket.as_raw_fd();
        let token = Source::Changes.token();
        registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
        Ok(Self { socket })
    }

    /// Throws away what was said.
    pub(super) fn clear(&self) {
        use std::os::fd::AsRawFd;

        use nix::errno::Errno;
        use nix::sys::socket::{MsgFlags, recv};

        let mut octets = [0; 64];
        for _ in 0..MESSAGES {
            match recv(self.socket.as_raw_fd(), &mut octets, MsgFlags::MSG_DONTWAIT) {
                // More was said than could be kept: that, too, is a change.
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(_) => break,
            }
        }
    }
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
impl Changes {
    /// This system is not asked.
    pub(super) fn new(_: &Registry) -> io::Result<Self> {
        let _ = Source::Changes.token();
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn clear(&self) {}
}
