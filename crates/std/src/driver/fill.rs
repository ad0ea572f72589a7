//! Reads octets into memory that was never written: the only `unsafe` of this project.
//!
//! A large frame is read right into the buffer that was reserved for it, and zeroing that buffer first would touch all
//! of its memory once more. The obligations that come from it are met in the one function below.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use bytes::BufMut;
use socket2::{MaybeUninitSlice, SockRef};

/// What came with one system call.
pub(crate) struct Filled {
    /// Octets that were appended to the buffer.
    pub(crate) within: usize,
    /// Octets that came after those, at the beginning of the other slice.
    pub(crate) beyond: usize,
    /// As many came as could have: there may be more.
    pub(crate) is_full: bool,
}

/// Appends what the socket has to `buffer`, at most what it has room for, and reads what follows into `beyond`.
pub(crate) fn fill(
    stream: &impl AsFd,
    buffer: &mut impl BufMut,
    beyond: &mut [u8],
) -> io::Result<Filled> {
    let room = buffer.chunk_mut();
    // SAFETY: whoever has this slice must not write uninitialised octets into it. It goes to `recv` and nowhere else,
    // which writes what came from the socket.
    let room: &mut [MaybeUninit<u8>] = unsafe { room.as_uninit_slice_mut() };
    let (wanted, beyond_wanted) = (room.len(), beyond.len());
    // SAFETY: `u8` and `MaybeUninit<u8>` are laid out alike, and the slice is borrowed for as long. That nobody writes
    // uninitialised octets into it holds as above.
    let beyond = unsafe {
        std::slice::from_raw_parts_mut(beyond.as_mut_ptr().cast::<MaybeUninit<u8>>(), beyond_wanted)
    };
    let mut slices = [MaybeUninitSlice::new(room), MaybeUninitSlice::new(beyond)];
    let (came, _) = SockRef::from(stream).recv_vectored(&mut slices)?;
    let within = came.min(wanted);
    // SAFETY: `recv` fills the slices one after the other and returned that it wrote `came` octets, so the first `within`
    // of `room`, which begins where the buffer ends, are written; `within` is at most the length of `room`.
    unsafe { buffer.advance_mut(within) };
    Ok(Filled {
        within,
        beyond: (came - within).min(beyond_wanted),
        is_full: came == wanted + beyond_wanted,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use bytes::BytesMut;
    use mio::net::TcpStream;

    use super::*;

    #[test]
    fn octets_are_appended_and_the_limit_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut there = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, _) = listener.accept().unwrap();
        there.write_all(&[7; 100]).unwrap();
        drop(there);
        let here = TcpStream::from_std(here); // still blocking: the test needs no poller
        let mut buffer = BytesMut::with_capacity(1_000);
        buffer.extend_from_slice(b"abc");
        let mut beyond = [0; 30];
        let filled = fill(&here, &mut (&mut buffer).limit(60), &mut beyond).unwrap();
        assert_eq!((filled.within, filled.beyond), (60, 30));
        assert!(filled.is_full);
        assert_eq!(beyond, [7; 30]);
        assert_eq!(buffer.len(), 63);
        assert_eq!(&buffer[..3], b"abc");
        assert!(buffer[3..].iter().all(|octet| *octet == 7));
        let filled = fill(&here, &mut buffer, &mut beyond).unwrap();
        assert_eq!((filled.within, filled.beyond), (10, 0));
        assert!(!filled.is_full);
        let filled = fill(&here, &mut buffer, &mut beyond).unwrap();
        assert_eq!(filled.within, 0); // the end
        assert_eq!(buffer.len(), 73);
    }
}
