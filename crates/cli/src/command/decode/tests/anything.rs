//! Whatever comes, something is told and nothing panics.

use atonce::Frames;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::codec::Kind;
use super::super::stream::{Heard, Said, Stream};
use super::super::{capture, frames_say, hex};
use super::forge::{Link, addresses, beacon, datagram, dealer, pcap, pcapng, segment};
use super::lines;

/// Octets that begin as something does, so that more than the first of them is looked at.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let begun = prop_oneof![
        Just(Vec::new()),
        Just(b"ZRE\x01".to_vec()),
        Just(b"\xAA\xAC\x01\x02".to_vec()),
        Just(b"\xAA\xA1\x01\x02\x00\x01".to_vec()),
        Just(b"\xAA\xA2\x31\x02".to_vec()),
        Just(b"\xAA\xA2\x53\x02".to_vec()),
        Just(dealer()[0].clone()),
        Just(dealer()[..2].concat()),
        Just(dealer().concat()),
        Just(b"\x04\x19\x05READY".to_vec()),
    ];
    (begun, vec(any::<u8>(), 0..200)).prop_map(|(begun, more)| [begun, more].concat())
}

fn kind() -> impl Strategy<Value = Option<Kind>> {
    prop_oneof![
        Just(None),
        Just(Some(Kind::Beacon)),
        Just(Some(Kind::Autoconf)),
        Just(Some(Kind::Zre)),
        Just(Some(Kind::Once)),
        Just(Some(Kind::Gossip)),
        Just(Some(Kind::Log)),
        Just(Some(Kind::Zap)),
        Just(Some(Kind::Zmtp)),
    ]
}

/// What a stream says of octets that come in pieces.
fn stream(octets: &[u8], piece: usize) -> Vec<String> {
    let mut stream = Stream::new();
    octets.chunks(piece).for_each(|piece| stream.push(piece));
    stream.end(true);
    stream
        .heard()
        .iter()
        .map(|heard| format!("{heard:?}"))
        .collect()
}

/// A capture with something of everything.
fn file(of: u8) -> Vec<u8> {
    let (alice, bob) = addresses(of & 1 == 1);
    let mut packets = vec![datagram(alice, bob, &beacon())];
    let mut next = 0_u32;
    for write in dealer() {
        packets.push(segment(alice, bob, next, Default::default(), &write));
        next += u32::try_from(write.len()).unwrap();
    }
    let link = Link::ALL[usize::from(of >> 2) % Link::ALL.len()];
    if of & 2 == 2 {
        pcapng(link, &packets)
    } else {
        pcap(link, &packets, usize::MAX)
    }
}

#[test]
fn what_is_passed_over_behind_a_gap_is_told() {
    let mut stream = Stream::of_a_capture();
    stream.push(&dealer()[0]);
    stream.gap(10);
    stream.push(b"nothing that begins a frame");
    stream.end(false);
    let heard = stream.heard();
    let Some(Heard {
        offset: 74,
        octets: 27,
        said: Said::Note(note),
    }) = heard.last()
    else {
        panic!("{heard:?}");
    };
    assert!(note.contains("belongs to no frame"), "{note}");
}

proptest! {
    #[test]
    fn no_octets_are_too_strange(octets in octets(), kind in kind(), second in vec(any::<u8>(), 0..20)) {
        let one = Frames::from(octets.clone());
        let heard = frames_say(&one, Some(&one[0]), kind);
        prop_assert!(!heard.is_empty());
        let end = u64::try_from(octets.len()).unwrap();
        for Heard { offset, octets, .. } in &heard {
            prop_assert!(*offset <= end && *octets <= end);
        }
        let two = Frames::from_iter([octets, second]);
        prop_assert!(!frames_say(&two, None, kind).is_empty());
    }

    #[test]
    fn how_octets_are_cut_makes_no_difference(octets in octets(), piece in 1_usize..40) {
        prop_assert_eq!(stream(&octets, piece), stream(&octets, usize::MAX));
    }

    #[test]
    fn gaps_anywhere_are_survived(octets in octets(), cuts in vec((0_usize..300, 0_u64..600), 0..6)) {
        let mut stream = Stream::of_a_capture();
        let mut rest = &octets[..];
        for (at, gap) in cuts {
            let (some, more) = rest.split_at(at.min(rest.len()));
            stream.push(some);
            stream.gap(gap);
            rest = more;
        }
        stream.push(rest);
        stream.end(false);
        prop_assert!(stream.heard().iter().all(|heard| !matches!(heard.said, Said::Told(_)) || heard.octets > 0));
    }

    #[test]
    fn no_digits_are_too_strange(text in ".{0,80}", dump in "([0-9a-f]{0,8}:? {0,2}[0-9a-f ]{0,50}[|*]?\n){0,4}") {
        let _ = hex::read(&text);
        let _ = hex::read(&dump);
    }

    #[test]
    fn no_capture_is_too_strange(of in any::<u8>(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..12), keep in any::<prop::sample::Index>()) {
        let mut file = file(of);
        for (at, octet) in changes {
            let at = at.index(file.len());
            file[at] = octet;
        }
        file.truncate(keep.index(file.len()) + 1);
        let lines = lines(false, |report| {
            // What the parser of captures has not seen to its end is told, and no failure of the program.
            capture::read(file, std::io::empty(), report).unwrap();
        });
        prop_assert!(!lines.is_empty());
    }
}
