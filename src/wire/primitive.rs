//! The primitives of the grammars: numbers, strings, lists and dictionaries.
//!
//! ZRE, ZMTP and the gossip protocol are all made of these (RFC 36 and 43 "TCP Protocol Grammar", RFC 23 "Formal
//! Grammar"). Numbers are unsigned and in network order.
//!
//! Reading: each function takes the name of the field, for the error, and gives a nom parser over octets. A parser
//! that makes a string also takes the frame in which the octets lie, so that the string may share the frame's memory;
//! see [`share`]. A count or a length is compared with its limit and with the octets that are left before anything is
//! allocated. A parser never waits for more: a frame is there as a whole or not at all.
//!
//! Writing: `put_*` appends, and `*_len` says exactly how much it will append, so that a frame is allocated once.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes};
use nom::error::{ErrorKind, FromExternalError, ParseError};
use nom::multi::fold_many_m_n;
use nom::{IResult, Parser};

use super::{Expected, Found, Headers, LongText, Malformed, Text};

/// What a parser makes of octets: what is left, and the value.
pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Malformed>;

/// A frame up to this many octets may be kept in memory by any string in it.
///
/// Sharing saves an allocation, but a group of four octets must not keep a HELLO of a megabyte alive. All messages
/// but HELLO and the content of WHISPER and SHOUT are shorter than this.
const PINNED_OCTETS: usize = 1024;

/// Entries for which memory is taken at once when they are claimed.
const FEW: usize = 4;

// ---- errors

impl<I> ParseError<I> for Malformed {
    /// What nom's own combinators report, for want of a field. The primitives below always name theirs.
    fn from_error_kind(_: I, _: ErrorKind) -> Self {
        Self::new(
            "message",
            Expected::What("what the grammar allows"),
            Found::What("something else"),
        )
    }

    /// The innermost error knows best what is wrong.
    fn append(_: I, _: ErrorKind, inner: Self) -> Self {
        inner
    }
}

impl<I> FromExternalError<I, Malformed> for Malformed {
    fn from_external_error(_: I, _: ErrorKind, inner: Malformed) -> Self {
        inner
    }
}

/// A count of octets, of entries or a length, as errors have it.
pub(crate) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// An error that no other parser is tried after.
pub(crate) fn refused<T>(error: Malformed) -> Result<T, nom::Err<Malformed>> {
    Err(nom::Err::Failure(error))
}

// ---- reading

/// Reads all of `input` with `parser`: octets that are left over are an error about `field`.
pub(crate) fn whole<'a, T>(
    field: &'static str,
    mut parser: impl Parser<&'a [u8], Output = T, Error = Malformed>,
    input: &'a [u8],
) -> Result<T, Malformed> {
    match parser.parse(input) {
        Ok(([], value)) => Ok(value),
        // ZRE-92
        Ok((rest, _)) => Err(Malformed::new(
            field,
            Expected::End,
            Found::Octets(wide(rest.len())),
        )),
        Err(nom::Err::Error(error) | nom::Err::Failure(error)) => Err(error),
        // Only parsers of streams say so; there are none here.
        Err(nom::Err::Incomplete(_)) => Err(Malformed::new(
            field,
            Expected::Octets(wide(input.len()).saturating_add(1)),
            Found::Octets(wide(input.len())),
        )),
    }
}

/// `n` octets as they are.
pub(crate) fn octets(field: &'static str, n: usize) -> impl Fn(&[u8]) -> Parsed<'_, &[u8]> + Copy {
    move |input| {
        nom::bytes::complete::take(n)
            .parse(input)
            .map_err(|_: nom::Err<Malformed>| short(field, n, input))
    }
}

/// `N` octets as an array.
pub(crate) fn array<const N: usize>(
    field: &'static str,
) -> impl Fn(&[u8]) -> Parsed<'_, [u8; N]> + Copy {
    move |input| match input.split_first_chunk() {
        Some((array, rest)) => Ok((rest, *array)),
        None => Err(short(field, N, input)),
    }
}

fn short(field: &'static str, wanted: usize, input: &[u8]) -> nom::Err<Malformed> {
    nom::Err::Failure(Malformed::new(
        field,
        Expected::Octets(wide(wanted)),
        Found::Octets(wide(input.len())),
    ))
}

macro_rules! number {
    ($name:ident, $kind:ty, $parser:ident, $what:literal) => {
        #[doc = concat!("A number of ", $what, " in network order.")]
        pub(crate) fn $name(field: &'static str) -> impl Fn(&[u8]) -> Parsed<'_, $kind> + Copy {
            move |input| {
                nom::number::complete::$parser(input)
                    .map_err(|_: nom::Err<Malformed>| short(field, size_of::<$kind>(), input))
            }
        }
    };
}

number!(number1, u8, be_u8, "one octet");
number!(number2, u16, be_u16, "two octets");
number!(number4, u32, be_u32, "four octets");
number!(number8, u64, be_u64, "eight octets");

/// A number that can only be `value`.
pub(crate) fn exactly<N: Copy + PartialEq + Into<u64>>(
    field: &'static str,
    number: impl Fn(&[u8]) -> Parsed<'_, N> + Copy,
    value: N,
) -> impl Fn(&[u8]) -> Parsed<'_, ()> + Copy {
    move |input| match number(input)? {
        (rest, found) if found == value => Ok((rest, ())),
        (_, found) => refused(Malformed::new(
            field,
            Expected::Value(value.into()),
            Found::Value(found.into()),
        )),
    }
}

/// The `string` of the grammar: a length of one octet, and that many octets.
pub(crate) fn string<'a>(
    field: &'static str,
    frame: &'a Bytes,
) -> impl Fn(&'a [u8]) -> Parsed<'a, Text> + Copy {
    move |input| {
        let (input, length) = number1(field)(input)?;
        let (input, octets) = octets(field, usize::from(length))(input)?;
        Ok((input, bounded(field, share(frame, octets))?))
    }
}

/// The `longstr` of the grammar: a length of four octets, and that many octets. It is bounded by its frame.
pub(crate) fn longstr<'a>(
    field: &'static str,
    frame: &'a Bytes,
) -> impl Fn(&'a [u8]) -> Parsed<'a, LongText> + Copy {
    move |input| {
        let (input, octets) = longstr_octets(field, LongText::LIMIT)(input)?;
        Ok((input, bounded(field, share(frame, octets))?))
    }
}

/// The octets of a `longstr` of at most `limit` octets.
pub(crate) fn longstr_octets(
    field: &'static str,
    limit: usize,
) -> impl Fn(&[u8]) -> Parsed<'_, &[u8]> + Copy {
    move |input| {
        let (input, length) = number4(field)(input)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limit {
            return refused(too_many(field, limit, length));
        }
        octets(field, length)(input)
    }
}

/// The `strings` of the grammar as a set: a count of four octets, and that many `longstr`.
///
/// What the set is for, groups, are `string` everywhere else: an entry of more than 255 octets is an error.
pub(crate) fn strings<'a>(
    field: &'static str,
    frame: &'a Bytes,
    limit: usize,
) -> impl Fn(&'a [u8]) -> Parsed<'a, BTreeSet<Text>> + Copy {
    let entry = move |input| {
        // ZRE-96
        let (input, octets) = longstr_octets(field, Text::LIMIT)(input)?;
        Ok((input, bounded(field, share(frame, octets))?))
    };
    move |input| {
        let (input, count) = claimed(field, limit, size_of::<u32>())(input)?;
        let add = |mut groups: BTreeSet<_>, group| {
            groups.insert(group);
            groups
        };
        fold_many_m_n(count, count, entry, BTreeSet::new, add).parse(input)
    }
}

/// The `hash` (`dictionary`) of the grammar: a count of four octets, and that many pairs of a `string` and a `longstr`.
pub(crate) fn hash<'a>(
    field: &'static str,
    frame: &'a Bytes,
    limit: usize,
) -> impl Fn(&'a [u8]) -> Parsed<'a, Headers> + Copy {
    let least = size_of::<u8>() + size_of::<u32>();
    let entry = move |input| (string(field, frame), longstr(field, frame)).parse(input);
    move |input| {
        let (input, count) = claimed(field, limit, least)(input)?;
        let some = || Vec::with_capacity(count.min(FEW)); // most have one or two, which are kept
        let add = |mut headers: Vec<_>, header| {
            headers.push(header);
            headers
        };
        let (input, headers) = fold_many_m_n(count, count, entry, some, add).parse(input)?;
        // All at once: to put them in order after each one would take a million steps for a thousand.
        Ok((input, Headers::from_vec(headers)))
    }
}

/// A count of four octets, of entries that follow and take `least` octets or more each.
///
/// A claim that cannot be true is refused before the first entry. Memory is taken for the entries that are there.
pub(crate) fn claimed<'a>(
    field: &'static str,
    limit: usize,
    least: usize,
) -> impl Fn(&'a [u8]) -> Parsed<'a, usize> {
    move |input| {
        let (input, count) = number4(field)(input)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        // ZRE-95
        if count > limit {
            return refused(too_many(field, limit, count));
        }
        let wanted = count.saturating_mul(least);
        if wanted > input.len() {
            return Err(short(field, wanted, input));
        }
        Ok((input, count))
    }
}

pub(crate) fn too_many(field: &'static str, limit: usize, found: usize) -> Malformed {
    Malformed::new(
        field,
        Expected::AtMost(wide(limit)),
        Found::Value(wide(found)),
    )
}

/// A string whose length was read and so fits; the error is for the sake of the type.
pub(crate) fn bounded<T: TryFrom<Bytes, Error = super::TooLong>>(
    field: &'static str,
    octets: Bytes,
) -> Result<T, nom::Err<Malformed>> {
    T::try_from(octets)
        .map_err(|error| nom::Err::Failure(too_many(field, error.limit, error.octets)))
}

/// `octets`, which lie in `frame`, as a value of their own.
///
/// They share the frame's memory when the frame is small, or when they are at least half of it; else they are copied,
/// because whoever keeps them would keep the frame.
pub(crate) fn share(frame: &Bytes, octets: &[u8]) -> Bytes {
    let pins_little = frame.len() <= PINNED_OCTETS || octets.len() >= frame.len() / 2;
    let within = frame.as_ptr_range();
    let octets_range = octets.as_ptr_range();
    if pins_little && within.start <= octets_range.start && octets_range.end <= within.end {
        frame.slice_ref(octets)
    } else {
        Bytes::copy_from_slice(octets)
    }
}

// ---- writing

/// The octets of a `string`.
pub(crate) fn string_len(text: &Text) -> usize {
    size_of::<u8>() + text.len()
}

/// The octets of a `longstr`.
pub(crate) fn longstr_len(octets: &[u8]) -> usize {
    size_of::<u32>() + octets.len()
}

/// The octets of a set of strings.
pub(crate) fn strings_len(strings: &BTreeSet<Text>) -> usize {
    let entries = strings.iter().map(|text| longstr_len(text.as_bytes()));
    size_of::<u32>() + entries.sum::<usize>()
}

/// The octets of a dictionary.
pub(crate) fn hash_len(headers: &Headers) -> usize {
    let entries = headers
        .iter()
        .map(|(name, value)| string_len(name) + longstr_len(value.as_bytes()));
    size_of::<u32>() + entries.sum::<usize>()
}

/// Appends a `string`.
pub(crate) fn put_string(out: &mut impl BufMut, text: &Text) {
    out.put_u8(u8::try_from(text.len()).expect("a Text has at most 255 octets"));
    out.put_slice(text.as_bytes());
}

/// Appends a `longstr`. The octets are a [`Text`], a [`LongText`] or as short as these.
pub(crate) fn put_longstr(out: &mut impl BufMut, octets: &[u8]) {
    put_count(out, octets.len());
    out.put_slice(octets);
}

/// Appends a set of strings, sorted.
pub(crate) fn put_strings(out: &mut impl BufMut, strings: &BTreeSet<Text>) {
    put_count(out, strings.len());
    // ZRE-97: sorted.
    for text in strings {
        put_longstr(out, text.as_bytes());
    }
}

/// Appends a dictionary, sorted by name.
pub(crate) fn put_hash(out: &mut impl BufMut, headers: &Headers) {
    put_count(out, headers.len());
    for (name, value) in headers {
        put_string(out, name);
        put_longstr(out, value.as_bytes());
    }
}

/// Appends a count or length of four octets.
pub(crate) fn put_count(out: &mut impl BufMut, count: usize) {
    out.put_u32(
        u32::try_from(count).expect("a LongText, and a collection of strings, is below 2^32"),
    );
}

#[cfg(test)]
mod tests;
