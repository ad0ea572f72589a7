extern crate std;

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn text(octets: impl AsRef<[u8]>) -> Text {
    Text::try_from(octets.as_ref()).unwrap()
}

fn long(octets: impl AsRef<[u8]>) -> LongText {
    LongText::try_from(octets.as_ref()).unwrap()
}

fn parse<'a, T>(
    parser: impl Fn(&'a [u8]) -> Parsed<'a, T>,
    input: &'a [u8],
) -> Result<T, Malformed> {
    whole("test", parser, input)
}

#[test]
fn numbers_are_in_network_order() {
    let octets = [1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(number1("n")(&octets).unwrap(), (&octets[1..], 0x01));
    assert_eq!(number2("n")(&octets).unwrap(), (&octets[2..], 0x0102));
    assert_eq!(number4("n")(&octets).unwrap(), (&octets[4..], 0x0102_0304));
    assert_eq!(parse(number8("n"), &octets).unwrap(), 0x0102_0304_0506_0708);
}

#[test]
fn a_number_that_is_cut_names_its_field_and_what_is_missing() {
    assert_eq!(
        parse(number4("HELLO.groups"), &[0, 0, 0]),
        Err(Malformed::new(
            "HELLO.groups",
            Expected::Octets(4),
            Found::Octets(3)
        ))
    );
}

#[test]
fn a_fixed_number_is_refused_when_it_is_another() {
    assert_eq!(
        parse(exactly("v", number1("v"), 2), &[3]),
        Err(Malformed::new("v", Expected::Value(2), Found::Value(3)))
    );
    assert_eq!(parse(exactly("v", number1("v"), 2), &[2]), Ok(()));
}

#[test]
fn octets_after_the_end_are_an_error() {
    assert_eq!(
        parse(number1("n"), &[1, 2, 3]),
        Err(Malformed::new("test", Expected::End, Found::Octets(2)))
    );
}

#[test]
fn combinators_of_nom_keep_the_error_of_the_primitive() {
    let frame = Bytes::from_static(b"\x02ab\x00");
    let parser = (number1("a"), octets("b", 2), number4("c"));
    assert_eq!(
        whole("test", parser, &frame).unwrap_err(),
        Malformed::new("c", Expected::Octets(4), Found::Octets(1))
    );
    let parser = nom::combinator::verify(number1("a"), |n| *n > 2);
    assert_eq!(whole("test", parser, &frame).unwrap_err().field, "message");
}

#[test]
fn a_string_of_a_small_frame_shares_its_memory() {
    let frame = Bytes::from(b"\x03abcd".to_vec());
    let (rest, text) = string("s", &frame)(&frame).unwrap();
    assert_eq!(rest, b"d");
    assert_eq!(text.as_bytes(), b"abc");
    assert_eq!(text.as_bytes().as_ptr(), frame[1..].as_ptr());
}

#[test]
fn a_small_string_does_not_keep_a_large_frame_alive() {
    let mut octets = vec![0; PINNED_OCTETS + 1];
    octets[..4].copy_from_slice(b"\x03abc");
    let frame = Bytes::from(octets);
    let (_, text) = string("s", &frame)(&frame).unwrap();
    assert_eq!(text.as_bytes(), b"abc");
    assert!(!frame.as_ptr_range().contains(&text.as_bytes().as_ptr()));
    assert!(frame.is_unique(), "the string holds on to the frame");
}

#[test]
fn a_value_that_fills_its_frame_is_not_copied() {
    let mut octets = vec![7; 1 << 20];
    let length = u32::try_from(octets.len() - 4).unwrap();
    octets[..4].copy_from_slice(&length.to_be_bytes());
    let frame = Bytes::from(octets);
    let (rest, value) = longstr("s", &frame)(&frame).unwrap();
    assert_eq!(rest, b"");
    assert_eq!(value.as_bytes().as_ptr(), frame[4..].as_ptr());
}

#[test]
fn octets_from_elsewhere_are_copied_not_a_panic() {
    let frame = Bytes::from(b"frame".to_vec());
    assert_eq!(share(&frame, b"other"), Bytes::from_static(b"other"));
    assert_eq!(share(&frame, b""), Bytes::new());
}

#[test]
fn a_count_that_the_octets_cannot_hold_is_refused_before_the_first_entry() {
    let mut octets = vec![0xff; 4];
    octets.extend([0; 1000]);
    let frame = Bytes::from(octets);
    assert_eq!(
        parse(strings("g", &frame, usize::MAX), &frame).unwrap_err(),
        Malformed::new(
            "g",
            Expected::Octets(u64::from(u32::MAX) * 4),
            Found::Octets(1000)
        )
    );
    assert_eq!(
        parse(hash("h", &frame, usize::MAX), &frame).unwrap_err(),
        Malformed::new(
            "h",
            Expected::Octets(u64::from(u32::MAX) * 5),
            Found::Octets(1000)
        )
    );
}

#[test]
fn a_count_over_the_limit_is_refused_though_the_octets_are_there() {
    let mut octets = vec![0, 0, 0, 3];
    octets.extend([0; 15]);
    let frame = Bytes::from(octets);
    let over = Malformed::new("n", Expected::AtMost(2), Found::Value(3));
    assert_eq!(parse(strings("n", &frame, 2), &frame).unwrap_err(), over);
    assert_eq!(parse(hash("n", &frame, 2), &frame).unwrap_err(), over);
    // Fifteen zeros are three pairs of empty strings.
    assert_eq!(parse(hash("n", &frame, 3), &frame).unwrap().len(), 1);
}

#[test]
fn a_group_of_more_than_255_octets_is_refused() {
    let mut octets = vec![0, 0, 0, 1, 0, 0, 1, 0];
    octets.extend([b'x'; 256]);
    let frame = Bytes::from(octets);
    assert_eq!(
        parse(strings("g", &frame, 1), &frame).unwrap_err(),
        Malformed::new("g", Expected::AtMost(255), Found::Value(256))
    );
}

#[test]
fn of_a_header_that_stands_twice_the_last_counts() {
    let frame = Bytes::from_static(b"\0\0\0\x02\x01k\0\0\0\x01a\x01k\0\0\0\x01b");
    let headers = parse(hash("h", &frame, 2), &frame).unwrap();
    assert_eq!(headers, Headers::from_iter([(text("k"), long("b"))]));
}

fn any_text() -> impl Strategy<Value = Text> {
    prop::collection::vec(any::<u8>(), 0..=255).prop_map(text)
}

fn any_long() -> impl Strategy<Value = LongText> {
    prop::collection::vec(any::<u8>(), 0..2000).prop_map(long)
}

proptest! {
    #[test]
    fn every_string_comes_back(text in any_text(), long in any_long()) {
        let mut out = Vec::new();
        put_string(&mut out, &text);
        prop_assert_eq!(out.len(), string_len(&text));
        put_longstr(&mut out, long.as_bytes());
        prop_assert_eq!(out.len(), string_len(&text) + longstr_len(long.as_bytes()));
        let frame = Bytes::from(out);
        let (rest, found) = string("s", &frame)(&frame).unwrap();
        prop_assert_eq!(found, text);
        prop_assert_eq!(parse(longstr("l", &frame), rest).unwrap(), long);
    }

    #[test]
    fn every_set_of_strings_comes_back_and_no_cut_one_does(
        strings_in in prop::collection::btree_set(any_text(), 0..8),
    ) {
        let mut out = Vec::new();
        put_strings(&mut out, &strings_in);
        prop_assert_eq!(out.len(), strings_len(&strings_in));
        let frame = Bytes::from(out);
        for cut in 0..frame.len() {
            prop_assert!(parse(strings("g", &frame, 8), &frame[..cut]).is_err());
        }
        prop_assert_eq!(parse(strings("g", &frame, 8), &frame).unwrap(), strings_in);
    }

    #[test]
    fn every_dictionary_comes_back_and_no_cut_one_does(
        headers in prop::collection::btree_map(any_text(), any_long(), 0..4),
    ) {
        let headers = Headers::from_iter(headers);
        let mut out = Vec::new();
        put_hash(&mut out, &headers);
        prop_assert_eq!(out.len(), hash_len(&headers));
        let frame = Bytes::from(out);
        for cut in 0..frame.len() {
            prop_assert!(parse(hash("h", &frame, 4), &frame[..cut]).is_err());
        }
        prop_assert_eq!(parse(hash("h", &frame, 4), &frame).unwrap(), headers);
    }

    #[test]
    fn no_octets_make_a_primitive_panic(octets in prop::collection::vec(any::<u8>(), 0..64)) {
        let frame = Bytes::from(octets);
        let _ = string("s", &frame)(&frame);
        let _ = longstr("s", &frame)(&frame);
        let _ = strings("s", &frame, 16)(&frame);
        let _ = hash("s", &frame, 16)(&frame);
    }
}
