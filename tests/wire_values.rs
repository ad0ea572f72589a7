//! Strings, frames and errors: the values that the grammars are about.

use atonce::wire::{Expected, Found, LongText, Malformed, Text, TooLong};
use atonce::{Bytes, Frames};
use proptest::prelude::*;

#[test]
fn a_text_has_at_most_255_octets_not_characters() {
    // ZRE-94
    assert_eq!(Text::try_from("x".repeat(255)).unwrap().len(), 255);
    let error = TooLong {
        octets: 256,
        limit: 255,
    };
    // 128 characters of two octets each.
    let umlauts = "\u{fc}".repeat(128);
    assert_eq!(Text::try_from(umlauts.as_str()), Err(error));
    assert_eq!(Text::try_from(&umlauts), Err(error));
    assert_eq!(Text::try_from(umlauts.as_bytes()), Err(error));
    assert_eq!(Text::try_from(Bytes::from(umlauts.clone())), Err(error));
    assert_eq!(umlauts.parse::<Text>(), Err(error));
    assert_eq!(
        Text::try_from(umlauts.clone()).unwrap_err().to_string(),
        "256 octets do not fit: at most 255 octets are allowed"
    );
    assert!(LongText::try_from(umlauts).is_ok());
}

#[test]
fn a_text_keeps_and_compares_octets_and_shows_them_lossily() {
    // ZRE-94
    let cut = Text::try_from(&b"M\xc3"[..]).unwrap();
    let other = Text::try_from(&b"M\xc4"[..]).unwrap();
    assert_eq!(cut.as_bytes(), b"M\xc3");
    assert_eq!(cut.to_string(), other.to_string());
    assert_ne!(cut, other);
    assert!(cut < other);
    assert_eq!(format!("{cut:?} {cut:>4}"), "\"M\u{fffd}\"   M\u{fffd}");
}

#[test]
fn a_text_that_is_cloned_shares_its_octets() {
    let text = Text::try_from("a name".to_string()).unwrap();
    assert_eq!(text.as_bytes().as_ptr(), text.clone().as_bytes().as_ptr());
}

#[test]
fn frames_are_made_of_whatever_turns_into_octets() {
    let one = Frames::from(Bytes::from_static(b"a"));
    for same in [
        Frames::from("a"),
        Frames::from(b"a"),
        Frames::from(&b"a"[..]),
        Frames::from(String::from("a")),
        Frames::from(vec![b'a']),
        Frames::from(vec![Bytes::from("a")]),
        Frames::from([Bytes::from("a")]),
        Frames::from(std::borrow::Cow::Borrowed(&b"a"[..])),
        Frames::from(std::borrow::Cow::<[u8]>::Owned(b"a".to_vec())),
        Frames::from_iter(["a"]),
    ] {
        assert_eq!(same, one);
    }
    assert_ne!(Frames::from(""), Frames::new());
}

#[test]
fn an_error_reads_as_a_sentence() {
    for (expected, found, sentence) in [
        (
            Expected::Octets(4),
            Found::Octets(3),
            "f: expected 4 octets, found 3 octets",
        ),
        (
            Expected::Value(2),
            Found::Value(3),
            "f: expected 2, found 3",
        ),
        (
            Expected::End,
            Found::Octets(1),
            "f: expected the end, found 1 octet",
        ),
        (
            Expected::What("\"ZRE\""),
            Found::What("other octets"),
            "f: expected \"ZRE\", found other octets",
        ),
    ] {
        assert_eq!(Malformed::new("f", expected, found).to_string(), sentence);
    }
}

proptest! {
    #[test]
    fn frames_are_a_queue(frames: Vec<Vec<u8>>, front: Vec<u8>, back: Vec<u8>) {
        let mut message = Frames::from_iter(frames.clone());
        prop_assert_eq!(message.octets(), frames.iter().map(Vec::len).sum::<usize>());
        message.push_front(front.clone());
        message.push(back.clone());
        prop_assert_eq!(message.len(), frames.len() + 2);
        prop_assert_eq!(message.pop_front(), Some(Bytes::from(front)));
        let rest: Vec<_> = frames.into_iter().chain([back]).map(Bytes::from).collect();
        prop_assert_eq!(&message[..], &rest[..]);
        prop_assert!(message.clone().into_iter().rev().eq(rest.iter().rev().cloned()));
        prop_assert_eq!(message.into_iter().collect::<Vec<_>>(), rest);
    }
}

#[test]
fn nothing_comes_out_of_no_frames() {
    assert_eq!(Frames::new().pop_front(), None);
    assert_eq!(Frames::default().octets(), 0);
}
