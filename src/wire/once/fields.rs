//! The fields of which messages of version 2 are made, over the primitives of all grammars.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes};
use nom::Parser;

use super::Proof;
use crate::PeerId;
use crate::wire::primitive::{
    Parsed, array, bounded, claimed, longstr_len, longstr_octets, number1, put_count, put_longstr,
    refused, share,
};
use crate::wire::{Expected, Found, Headers, LongText, Malformed, Text};

/// The octets of a UUID.
pub(super) const UUID_OCTETS: usize = 16;
/// The octets of a nonce, a proof and a key.
pub(super) const SECRET_OCTETS: usize = 32;
/// The octets of a count and of a length.
pub(super) const COUNT_OCTETS: usize = size_of::<u32>();
/// The octet that says whether there is an optional field.
pub(super) const FLAG_OCTETS: usize = size_of::<u8>();

/// Entries for which memory is taken at once when they are claimed.
const FEW: usize = 4;

// ---- reading

pub(super) fn uuid<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Parsed<'a, PeerId> + Copy {
    move |input| array(field).map(PeerId::from_bytes).parse(input)
}

pub(super) fn proof<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Parsed<'a, Proof> + Copy {
    move |input| array(field).map(Proof::from_bytes).parse(input)
}

/// A text of at most 255 octets behind a length of four.
pub(super) fn text<'a>(
    field: &'static str,
    frame: &'a Bytes,
) -> impl Fn(&'a [u8]) -> Parsed<'a, Text> + Copy {
    move |input| {
        // ONCE-8, ONCE-12
        let (input, octets) = longstr_octets(field, Text::LIMIT)(input)?;
        Ok((input, bounded(field, share(frame, octets))?))
    }
}

/// 00, or 01 and a value.
pub(super) fn option<'a, T>(
    field: &'static str,
    value: impl Fn(&'a [u8]) -> Parsed<'a, T> + Copy,
) -> impl Fn(&'a [u8]) -> Parsed<'a, Option<T>> + Copy {
    move |input| match number1(field)(input)? {
        (input, 0) => Ok((input, None)),
        (input, 1) => value(input).map(|(input, value)| (input, Some(value))),
        // ONCE-7
        (_, flag) => refused(Malformed::new(
            field,
            Expected::AtMost(1),
            Found::Value(flag.into()),
        )),
    }
}

/// A count of four octets and that many entries, each of `least` octets or more, in their order.
pub(super) fn list<'a, T>(
    field: &'static str,
    limit: usize,
    least: usize,
    entry: impl Fn(&'a [u8]) -> Parsed<'a, T> + Copy,
) -> impl Fn(&'a [u8]) -> Parsed<'a, Vec<T>> + Copy {
    move |input| {
        // ONCE-11
        let (mut input, count) = claimed(field, limit, least)(input)?;
        // ONCE-32
        let mut entries = Vec::with_capacity(count.min(FEW));
        for _ in 0..count {
            let (rest, value) = entry(input)?;
            entries.push(value);
            input = rest;
        }
        Ok((input, entries))
    }
}

/// A count, and that many names and values.
pub(super) fn headers<'a>(
    field: &'static str,
    frame: &'a Bytes,
    limit: usize,
    value_limit: usize,
) -> impl Fn(&'a [u8]) -> Parsed<'a, Headers> + Copy {
    let value = move |input: &'a [u8]| -> Parsed<'a, LongText> {
        // ONCE-12
        let (input, octets) = longstr_octets(field, value_limit)(input)?;
        Ok((input, bounded(field, share(frame, octets))?))
    };
    let entry = move |input: &'a [u8]| (text(field, frame), value).parse(input);
    let entries = list(field, limit, 2 * COUNT_OCTETS, entry);
    // ONCE-31
    move |input| entries(input).map(|(input, headers)| (input, Headers::from_vec(headers)))
}

// ---- writing

pub(super) fn text_len(text: &Text) -> usize {
    longstr_len(text.as_bytes())
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &Text) {
    put_longstr(out, text.as_bytes());
}

pub(super) fn put_uuid(out: &mut Vec<u8>, uuid: &PeerId) {
    out.put_slice(uuid.as_bytes());
}

/// The octets of an optional field whose value has so many.
pub(super) fn option_len<T>(value: Option<&T>, octets: impl FnOnce(&T) -> usize) -> usize {
    FLAG_OCTETS + value.map_or(0, octets)
}

pub(super) fn put_option<T>(
    out: &mut Vec<u8>,
    value: Option<&T>,
    put: impl FnOnce(&mut Vec<u8>, &T),
) {
    out.put_u8(value.is_some().into());
    if let Some(value) = value {
        put(out, value);
    }
}

pub(super) fn key_len(key: Option<&[u8; SECRET_OCTETS]>) -> usize {
    option_len(key, |key| key.len())
}

pub(super) fn put_key(out: &mut Vec<u8>, key: Option<&[u8; SECRET_OCTETS]>) {
    put_option(out, key, |out, key| out.put_slice(key));
}

pub(super) fn list_len<T>(entries: &[T], octets: impl Fn(&T) -> usize) -> usize {
    COUNT_OCTETS + entries.iter().map(octets).sum::<usize>()
}

pub(super) fn put_list<T>(out: &mut Vec<u8>, entries: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_count(out, entries.len());
    for entry in entries {
        put(out, entry);
    }
}

pub(super) fn headers_len(headers: &Headers) -> usize {
    let entries = headers
        .iter()
        .map(|(name, value)| text_len(name) + longstr_len(value.as_bytes()));
    COUNT_OCTETS + entries.sum::<usize>()
}

/// Sorted by name, as they are kept.
pub(super) fn put_headers(out: &mut Vec<u8>, headers: &Headers) {
    put_count(out, headers.len());
    for (name, value) in headers {
        put_text(out, name);
        put_longstr(out, value.as_bytes());
    }
}
