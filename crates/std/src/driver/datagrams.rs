//! Datagrams, read several with one system call where the system can.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use socket2::Domain;

/// Datagrams read with one system call.
const AT_ONCE: usize = 32;

/// What is kept of a datagram, in octets. A beacon has at most 54: whatever is longer is none, also when it is cut off.
const KEPT_OCTETS: usize = 128;

/// Whether there may be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Perhaps,
}

/// Gives `each` what the socket of this family has, with one system call; an error when it has nothing.
///
/// `scratch` holds what is read meanwhile, and has room for [`AT_ONCE`] times [`KEPT_OCTETS`].
#[cfg(any(
    target_os = "android",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "netbsd"
))]
pub(super) fn receive(
    family: Domain,
    socket: &UdpSocket,
    scratch: &mut [u8],
    mut each: impl FnMut(SocketAddr, &[u8]),
) -> io::Result<Left> {
    use std::cell::RefCell;
    use std::net::{SocketAddrV4, SocketAddrV6};

    use nix::sys::socket::{MultiHeaders, SockaddrIn, SockaddrIn6};

    thread_local! {
        // Made once: what comes and goes all the time keeps an allocator from giving back what lies below it.
        static V4: RefCell<MultiHeaders<SockaddrIn>> =
            RefCell::new(MultiHeaders::preallocate(AT_ONCE, None));
        static V6: RefCell<MultiHeaders<SockaddrIn6>> =
            RefCell::new(MultiHeaders::preallocate(AT_ONCE, None));
    }

    match family {
        Domain::IPV6 => V6.with_borrow_mut(|headers| {
            receive_with(headers, socket, scratch, |source, octets| {
                each(SocketAddrV6::from(source).into(), octets);
            })
        }),
        _ => V4.with_borrow_mut(|headers| {
            receive_with(headers, socket, scratch, |source, octets| {
                each(SocketAddrV4::from(source).into(), octets);
            })
        }),
    }
}

#[cfg(any(
    target_os = "android",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "netbsd"
))]
fn receive_with<S: nix::sys::socket::SockaddrLike + Copy>(
    headers: &mut nix::sys::socket::MultiHeaders<S>,
    socket: &UdpSocket,
    scratch: &mut [u8],
    mut each: impl FnMut(S, &[u8]),
) -> io::Result<Left> {
    use std::io::IoSliceMut;
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{MsgFlags, recvmmsg};

    let mut chunks = scratch.chunks_mut(KEPT_OCTETS);
    let mut slices: [_; AT_ONCE] =
        std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
    let came = recvmmsg(
        socket.as_raw_fd(),
        headers,
        &mut slices,
        MsgFlags::MSG_DONTWAIT,
        None,
    )?;
    let mut count = 0;
    for datagram in came {
        count += 1;
        if let Some(source) = datagram.address {
            let octets = datagram.iovs().next().unwrap_or_default();
            each(source, octets);
        }
    }
    // Fewer than asked for: the socket is empty, and something new will be reported.
    Ok(if count < AT_ONCE {
        Left::Nothing
    } else {
        Left::Perhaps
    })
}

/// The same, one datagram a call.
#[cfg(not(any(
    target_os = "android",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "netbsd"
)))]
pub(super) fn receive(
    _family: Domain,
    socket: &UdpSocket,
    scratch: &mut [u8],
    mut each: impl FnMut(SocketAddr, &[u8]),
) -> io::Result<Left> {
    let kept = scratch.len().min(KEPT_OCTETS);
    let scratch = scratch.get_mut(..kept).unwrap_or_default();
    let (length, source) = socket.recv_from(scratch)?;
    each(source, scratch.get(..length).unwrap_or_default());
    Ok(Left::Perhaps)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn datagrams_come_in_their_order_and_the_long_ones_are_cut_off() {
        come_in_order(Domain::IPV4, "127.0.0.1:0");
    }

    #[test]
    fn so_do_those_of_the_other_family() {
        come_in_order(Domain::IPV6, "[::1]:0");
    }

    fn come_in_order(family: Domain, at: &str) {
        let here = UdpSocket::bind(at.parse().unwrap()).unwrap();
        let there = std::net::UdpSocket::bind(at).unwrap();
        let mut scratch = vec![0; 64 * 1024];
        let error = receive(family, &here, &mut scratch, |_, _| panic!()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);

        let sent: Vec<Vec<u8>> = (0..2 * AT_ONCE + 3)
            .map(|n| vec![u8::try_from(n).unwrap(); [0, 22, 54, 128, 129, 900][n % 6]])
            .collect();
        for datagram in &sent {
            there.send_to(datagram, here.local_addr().unwrap()).unwrap();
        }
        let mut came = Vec::new();
        loop {
            let left = receive(family, &here, &mut scratch, |source, octets| {
                assert_eq!(source, there.local_addr().unwrap());
                came.push(octets.to_vec());
            });
            match left {
                Ok(Left::Perhaps) => {}
                Ok(Left::Nothing) => break,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        let kept = sent
            .iter()
            .map(|datagram| &datagram[..datagram.len().min(KEPT_OCTETS)]);
        assert!(kept.eq(came.iter().map(Vec::as_slice)), "{came:?}");
    }
}
