//! Reads octets into memory that was never written: the only `unsafe` of this project.
//!
//! A large frame is read right into the buffer that was reserved for it, and zeroing that buffer first would
//! touch all of its memory once more. Two obligations come from it, both met in the one function below.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;

use bytes::BufMut;
use mio::net::TcpStream;
use socket2::SockRef;

/// Appends what the socket has, at most `buffer.remaining_mut()` octets in one system call, and returns how many came
/// and how many could have come.
pub(crate) fn fill(stream: &TcpStream, buffer: &mut impl BufMut) -> io::Result<(usize, usize)> {
    let room = buffer.chunk_mut();
    // SAFETY: whoever has this slice must not write uninitialised octets into it. It goes to `recv` and nowhere else,
    // and `recv` promises that of every octet it writes.
    let room: &mut [MaybeUninit<u8>] = unsafe { room.as_uninit_slice_mut() };
    let asked = room.len();
    let came = SockRef::from(stream).recv(room)?;
    debug_assert!(came <= asked);
    // SAFETY: `recv` returned that it wrote the first `came` octets of the slice, which begins where the buffer ends;
    // `came` is at most the length of the slice.
    unsafe { buffer.advance_mut(came.min(asked)) };
    Ok((came, asked))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use bytes::BytesMut;

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
        let mut read = 0;
        while read < 60 {
            let (came, asked) = fill(&here, &mut (&mut buffer).limit(60 - read)).unwrap();
            assert!(came > 0 && asked == 60 - read);
            read += came;
        }
        assert_eq!(buffer.len(), 63);
        assert_eq!(&buffer[..3], b"abc");
        assert!(buffer[3..].iter().all(|octet| *octet == 7));
        while fill(&here, &mut buffer).unwrap().0 > 0 {}
        assert_eq!(buffer.len(), 103);
    }
}
