//! Records of ZRE/LOG: what nodes say to collectors.

use atonce::wire::Malformed;
use atonce::wire::log::Record;
use atonce::{Bytes, Frames};

use super::super::told::{Field, Told};

/// The signature is that of @Once as well, and so is the number of the one message that there is: only a whole record is one for
/// sure.
pub(super) fn begins(frames: &Frames) -> bool {
    frames.len() == 1
        && frames
            .first()
            .is_some_and(|frame| Record::decode(frame).is_ok())
}

pub(super) fn read(frames: &Frames) -> Result<Told, Malformed> {
    let first = frames.first().cloned().unwrap_or_else(Bytes::new);
    let record = Record::decode(&first)?;
    let millis = u64::try_from(record.since_1970().as_millis()).unwrap_or(u64::MAX);
    let fields = vec![
        ("level", Field::number(record.level.0)),
        ("event", Field::number(record.event.0)),
        ("node", Field::word(record.node)),
        ("peer", Field::word(record.peer)),
        ("time", Field::number(record.time)),
        ("since_1970", Field::number(millis)),
        ("data", Field::text(&record.data)),
    ];
    let said = match record.event.name() {
        Some(event) => format!("{}: {event}", record.level),
        None => record.level.to_string(),
    };
    Ok(Told::new("ZRE/LOG", "LOG", fields).with_remark(said))
}
