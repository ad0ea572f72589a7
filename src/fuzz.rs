//! Bodies of the fuzz targets, and [`Arbitrary`] for the wire values. Not part of the stable interface.
//!
//! A body takes any octets and panics when a promise is broken. It also runs under `cargo test`.
#![allow(clippy::panic, clippy::indexing_slicing)] // a panic is how a fuzzer is told

mod autoconf;
mod between;
#[cfg(test)]
mod corpora;
#[cfg(feature = "curve")]
mod curve;
mod gossip;
#[cfg(feature = "curve")]
mod insider;
#[cfg(feature = "curve")]
mod key;
mod log;
mod node;
mod once;
#[cfg(feature = "curve")]
mod once_bridge;
#[cfg(feature = "curve")]
mod once_session;
mod plain;
#[cfg(feature = "curve")]
mod relay;
mod socket_pair;
mod socket_peer;
mod sockets;
mod values;
mod witness;
mod zap;
mod zmtp;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;

use crate::endpoint::{Endpoint, Host};
use crate::wire::zre::{Command, Limits, Message, UnknownCommand};
use crate::wire::{Beacon, Frames, Headers, LongText, Text};
use crate::{Instant, PeerId};

pub use autoconf::{autoconf, autoconf_seeker};
pub use between::between;
#[cfg(feature = "curve")]
pub use curve::zmtp_curve;
pub use gossip::{gossip, gossip_peer};
#[cfg(feature = "curve")]
pub use insider::zmtp_insider;
#[cfg(feature = "curve")]
pub use key::key;
pub use log::{log, log_logger};
pub use node::node;
pub use once::once;
#[cfg(feature = "curve")]
pub use once_bridge::once_bridge;
#[cfg(feature = "curve")]
pub use once_session::once_session;
pub use plain::zmtp_plain;
#[cfg(feature = "curve")]
pub use relay::relay;
pub use socket_pair::socket_pair;
pub use socket_peer::socket_peer;
pub use zap::zap;
pub use zmtp::{zmtp_grammar, zmtp_greeting, zmtp_handshake, zmtp_pair, zmtp_steps, zmtp_traffic};

/// A datagram: what decodes is, octet by octet, what its value encodes to.
pub fn beacon(datagram: &[u8]) {
    match Beacon::decode(datagram) {
        Ok(beacon) => {
            assert_eq!(beacon.encode(), datagram, "{beacon:?}");
            assert_eq!(beacon.is_goodbye(), beacon.port == 0);
            values::shown(datagram.len(), format_args!("{beacon:?}"));
        }
        Err(error) => values::shown(datagram.len(), format_args!("{error} {error:?}")),
    }
}

/// The first frame of a message: what decodes encodes to something that decodes to the same, surplus frames change
/// nothing, and what is kept is bounded by the octets that came.
pub fn zre(frame: &[u8]) {
    let limits = Limits {
        groups: 64,
        headers: 64,
    };
    let frame = Bytes::copy_from_slice(frame);
    let decoded = Message::decode(frame.clone().into(), &limits);
    let surplus = Frames::from([frame.clone(), frame.clone(), Bytes::new()]);
    let with_surplus = Message::decode(surplus.clone(), &limits);

    let message = match decoded {
        Ok(message) => message,
        Err(error) => {
            assert_eq!(with_surplus, Err(error));
            return values::shown(frame.len(), format_args!("{error} {error:?}"));
        }
    };
    assert!(Message::is_zre(&surplus));
    let Ok(with_surplus) = with_surplus else {
        panic!("refused because of frames that do not matter: {message:?}");
    };
    match (&message.command, &with_surplus.command) {
        (Command::Whisper { .. } | Command::Shout { .. }, with_content) => {
            let (Command::Whisper { content } | Command::Shout { content, .. }) = with_content
            else {
                panic!("{message:?} became {with_surplus:?}");
            };
            assert_eq!(content[..], surplus[1..]);
        }
        _ => assert_eq!(message, with_surplus),
    }
    for message in [&message, &with_surplus] {
        values::message(3 * frame.len(), message);
        let encoded = message.encode();
        assert!(
            encoded[0].len() <= frame.len(),
            "{message:?} grew out of nothing"
        );
        assert_eq!(
            Message::decode(encoded, &limits).as_ref(),
            Ok(message),
            "changed on the way"
        );
    }
    if let Command::Hello(hello) = &message.command {
        assert!(hello.groups.len() <= limits.groups && hello.headers.len() <= limits.headers);
        if let Ok(endpoint) = Endpoint::try_from(&hello.endpoint) {
            let written = Text::from(&endpoint);
            assert_eq!(Endpoint::try_from(&written), Ok(endpoint));
        }
    }
}

/// An endpoint, of a node or of a socket: what is read is written so that it reads the same, and that of a node fits the field of HELLO.
pub fn endpoint(octets: &[u8]) {
    let text = Text::try_from(octets);
    let read = core::str::from_utf8(octets).map(str::parse::<Endpoint>);
    values::text(octets);
    if let (Ok(text), Ok(read)) = (&text, &read) {
        assert_eq!(Endpoint::try_from(text), *read);
    }
    if let Ok(text) = core::str::from_utf8(octets) {
        sockets::written(text);
    }
    if let Ok(Ok(endpoint)) = &read {
        let written = endpoint.to_string();
        assert_eq!(written.parse(), Ok(endpoint.clone()));
        assert_eq!(Text::from(endpoint), *written);
        assert_ne!(endpoint.port, 0);
        values::shown(octets.len(), format_args!("{endpoint} {endpoint:?}"));
        if let Host::Name(name) = &endpoint.host {
            assert_eq!(name.as_str().parse(), Ok(name.clone()));
            let text = name.as_str();
            assert!(*name == *text && *name == text && AsRef::<str>::as_ref(name) == text);
            assert_eq!(String::from(name.clone()), text);
        }
    } else if let Ok(Err(error)) = read {
        values::shown(octets.len(), format_args!("{error} {error:?}"));
    }
}

/// At most `limit` octets.
fn octets(u: &mut Unstructured<'_>, limit: usize) -> Result<Bytes> {
    let octets = <&[u8]>::arbitrary(u)?;
    Ok(Bytes::copy_from_slice(
        octets.get(..limit).unwrap_or(octets),
    ))
}

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Self::try_from(octets(u, Self::LIMIT)?).map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for LongText {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Self::try_from(octets(u, Self::LIMIT)?).map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for Headers {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.arbitrary_iter()?.collect()
    }
}

impl<'a> Arbitrary<'a> for Frames {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.arbitrary_iter::<Vec<u8>>()?.collect()
    }
}

impl<'a> Arbitrary<'a> for PeerId {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.arbitrary().map(Self::from_bytes)
    }
}

impl<'a> Arbitrary<'a> for Instant {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.arbitrary().map(Self::from_micros)
    }
}

impl<'a> Arbitrary<'a> for UnknownCommand {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Self::new(u.int_in_range(11..=u8::MAX)?).ok_or(arbitrary::Error::IncorrectFormat)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use arbitrary::Arbitrary; // proptest has one too

    /// A value made of random octets, as the fuzzer makes them.
    fn value<T: for<'a> Arbitrary<'a> + core::fmt::Debug>() -> impl Strategy<Value = T> {
        prop::collection::vec(any::<u8>(), 0..2_000)
            .prop_map(|octets| T::arbitrary(&mut Unstructured::new(&octets)).unwrap())
    }

    proptest! {
        #[test]
        fn beacons_of_any_octets(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            beacon(&octets);
        }

        #[test]
        fn beacons_that_are_nearly_right(
            valid in value::<Beacon>(),
            at in any::<prop::sample::Index>(),
            octet in any::<u8>(),
        ) {
            let mut datagram = Vec::from(valid.encode());
            beacon(&datagram);
            let at = at.index(datagram.len());
            datagram[at] = octet;
            beacon(&datagram);
            beacon(&datagram[..at]);
        }

        #[test]
        fn messages_of_any_octets(
            id in 0..13_u8,
            octets in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            zre(&octets);
            let mut signed = alloc::vec![0xAA, 0xA1, id, 2];
            signed.extend(octets);
            zre(&signed);
        }

        #[test]
        fn messages_that_are_nearly_right(
            valid in value::<Message>(),
            at in any::<prop::sample::Index>(),
            octet in any::<u8>(),
        ) {
            let mut frame = Vec::from(&valid.encode()[0][..]);
            zre(&frame);
            let at = at.index(frame.len());
            frame[at] = octet;
            zre(&frame);
            zre(&frame[..at]);
        }

        #[test]
        fn datagrams_of_any_octets(kind in 0..5_u8, octets in prop::collection::vec(any::<u8>(), 0..300)) {
            autoconf(&octets);
            let mut signed = alloc::vec![0xAA, 0xAC, 1, kind];
            signed.extend(octets);
            autoconf(&signed);
        }

        #[test]
        fn messages_of_gossip_of_any_octets(id in 0..7_u8, octets in prop::collection::vec(any::<u8>(), 0..300)) {
            gossip(&octets);
            let mut signed = alloc::vec![0xAA, 0xA0, id, 1];
            signed.extend(octets);
            gossip(&signed);
        }

        #[test]
        fn endpoints(text in "(tcp://)?[a-z0-9.:%\\[\\]_-]{0,40}(:[0-9]{1,6})?", octets in prop::collection::vec(any::<u8>(), 0..300)) {
            endpoint(text.as_bytes());
            endpoint(&octets);
        }
    }

    // The same schedules in each run: whoever only wants to know whether all is well is not to find what a fuzzer looks for.
    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        #[test]
        fn nodes(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut octets = octets;
            if let Some(flags) = octets.get_mut(11) {
                *flags &= 127;
            }
            node(&octets);
        }

        #[cfg(feature = "curve")]
        #[test]
        fn secure_nodes(octets in prop::collection::vec(any::<u8>(), 0..1_000)) {
            let mut octets = octets;
            if let Some(flags) = octets.get_mut(11) {
                *flags |= 128;
            }
            node(&octets);
        }

        #[cfg(feature = "curve")]
        #[test]
        fn relays(octets in prop::collection::vec(any::<u8>(), 0..1_000)) {
            relay(&octets);
        }

        #[test]
        fn servers_and_strangers(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
            autoconf_seeker(&octets);
        }

        #[test]
        fn a_participant_of_gossip_among_neighbours(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
            gossip_peer(&octets);
        }

        #[test]
        fn two_nodes_and_a_middle(octets in prop::collection::vec(any::<u8>(), 0..1_000)) {
            between(&octets);
        }

        #[cfg(feature = "curve")]
        #[test]
        fn two_secure_nodes_and_a_middle(octets in prop::collection::vec(any::<u8>(), 0..1_000)) {
            let mut octets = octets;
            if let Some(flags) = octets.first_mut() {
                *flags |= 128;
            }
            between(&octets);
        }

        #[cfg(feature = "curve")]
        #[test]
        fn bridges_among_liars(octets in prop::collection::vec(any::<u8>(), 0..3_000)) {
            once_bridge(&octets);
        }

        #[cfg(feature = "curve")]
        #[test]
        fn sessions_and_mallory(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
            once_session(&octets);
        }

        #[test]
        fn a_socket_among_peers(octets in prop::collection::vec(any::<u8>(), 0..1_000)) {
            socket_peer(&octets);
        }

        #[test]
        fn sockets_and_a_network(octets in prop::collection::vec(any::<u8>(), 0..600)) {
            socket_pair(&octets);
        }

        #[test]
        fn two_of_whom_one_cannot_be_dialled(way: u8, octets in prop::collection::vec(any::<u8>(), 0..1_000)) {
            let mut schedule = Vec::from([b'N', b'A', b'T', way | 1]);
            schedule.extend(octets);
            between(&schedule);
        }

        #[test]
        fn every_message_comes_back(message in value::<Message>()) {
            let limits = Limits { groups: usize::MAX, headers: usize::MAX };
            prop_assert_eq!(Message::decode(message.encode(), &limits), Ok(message));
        }
    }
}
