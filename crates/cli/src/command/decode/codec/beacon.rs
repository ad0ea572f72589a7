//! Beacons.

use atonce::Frames;
use atonce::wire::{Beacon, Malformed};

use super::super::told::{Field, Told};
use super::first_begins;

pub(super) fn begins(frames: &Frames) -> bool {
    frames.len() == 1 && first_begins(frames, b"ZRE")
}

pub(super) fn read(frames: &Frames) -> Result<Told, Malformed> {
    let datagram = frames.first().map(|frame| &frame[..]).unwrap_or_default();
    let beacon = Beacon::decode(datagram)?;
    let version = if beacon.key.is_some() { 3_u8 } else { 1 };
    let mut fields = vec![
        ("version", Field::number(version)),
        ("uuid", Field::id(beacon.uuid)),
        ("port", Field::number(beacon.port)),
    ];
    if let Some(key) = &beacon.key {
        fields.push(("key", Field::key(key)));
    }
    let told = Told::new("beacon", "BEACON", fields);
    Ok(if beacon.is_goodbye() {
        told.with_remark("goodbye")
    } else {
        told
    })
}
