//! What the operating system's errors mean for a link.

use std::io::{self, ErrorKind};

use atonce::Cut;
use nix::errno::Errno;

/// What a TCP connection died of. An error that nobody thought of counts as a reset: the link is gone either way.
pub(crate) fn cut(error: &io::Error) -> Cut {
    match error.kind() {
        // Where a socket would be that is a file there may be none.
        ErrorKind::ConnectionRefused | ErrorKind::NotFound => Cut::Refused,
        ErrorKind::UnexpectedEof => Cut::Closed,
        ErrorKind::TimedOut
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::PermissionDenied => Cut::Unreachable,
        // `connect` has no ephemeral port left; an address that went away shows as a reset or a timeout.
        ErrorKind::AddrNotAvailable | ErrorKind::OutOfMemory => Cut::Resources,
        _ if is_shortage(error) => Cut::Resources,
        _ => Cut::Reset,
    }
}

/// No descriptor, buffer or memory is left. It passes when something is closed, and not sooner by trying again at
/// once.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    matches!(
        errno(error),
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    )
}

/// The interface or its address is not what it was when the socket was made.
pub(crate) fn is_network_change(error: &io::Error) -> bool {
    matches!(
        errno(error),
        Some(
            Errno::ENETUNREACH
                | Errno::ENETDOWN
                | Errno::EHOSTUNREACH
                | Errno::EADDRNOTAVAIL
                | Errno::ENODEV
                | Errno::ENXIO
                | Errno::EINVAL
                | Errno::EBADF
        )
    )
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_of_sockets_are_told_apart() {
        for (errno, expected) in [
            (Errno::ECONNREFUSED, Cut::Refused),
            (Errno::ENOENT, Cut::Refused),
            (Errno::ECONNRESET, Cut::Reset),
            (Errno::EPIPE, Cut::Reset),
            (Errno::ENETUNREACH, Cut::Unreachable),
            (Errno::EHOSTUNREACH, Cut::Unreachable),
            (Errno::ETIMEDOUT, Cut::Unreachable),
            (Errno::EMFILE, Cut::Resources),
            (Errno::ENFILE, Cut::Resources),
            (Errno::ENOBUFS, Cut::Resources),
            (Errno::EADDRNOTAVAIL, Cut::Resources),
        ] {
            assert_eq!(cut(&errno.into()), expected, "{errno}");
        }
    }
}
