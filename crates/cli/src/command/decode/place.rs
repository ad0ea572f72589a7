//! Where in a message a field begins that does not follow the grammar.

use atonce::wire::{Expected, Found, Malformed};
use atonce::{Bytes, Frames};

/// Up to how many octets every beginning of a message is tried; beyond that beginnings are halved.
const TRIED: usize = 512;

/// The offset of the fault in all frames together.
///
/// A parser reads from the left, so that it finds fault with an earlier field in a beginning that ends before this one: the shortest
/// beginning in which it finds fault with this field ends where the field begins.
pub(super) fn of<T>(
    frames: &Frames,
    malformed: &Malformed,
    read: impl Fn(&Frames) -> Result<T, Malformed>,
) -> usize {
    let all = frames.octets();
    // It says how much is left there.
    if let (Expected::End | Expected::Octets(_), Found::Octets(left)) =
        (malformed.expected, malformed.found)
        && let ([_], Ok(left)) = (&frames[..], usize::try_from(left))
        && left <= all
    {
        return all - left;
    }
    let blames = |octets| {
        let error = read(&beginning(frames, octets)).err();
        error.is_some_and(|error| error.field == malformed.field)
    };
    if all <= TRIED {
        return (0..all).find(|octets| blames(*octets)).unwrap_or(0);
    }
    let (mut before, mut there) = (0, all);
    if blames(0) {
        return 0;
    }
    while there - before > 1 {
        let half = before + (there - before) / 2;
        if blames(half) {
            there = half;
        } else {
            before = half;
        }
    }
    there
}

/// The first octets of all frames together.
fn beginning(frames: &Frames, mut octets: usize) -> Frames {
    let mut some = Frames::new();
    for frame in frames {
        let taken: Bytes = frame.slice(..frame.len().min(octets));
        octets -= taken.len();
        let is_whole = taken.len() == frame.len();
        some.push(taken);
        if !is_whole || octets == 0 {
            break;
        }
    }
    some
}
