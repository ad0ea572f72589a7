//! Messages of gossip: who is where, where no broadcast goes.

use atonce::wire::Malformed;
use atonce::wire::gossip::{Message, Publish};
use atonce::{Bytes, Frames};

use super::super::told::{Field, Fields, Told};

pub(super) fn begins(frames: &Frames) -> bool {
    frames.len() == 1
        && frames
            .first()
            .is_some_and(|frame| Message::is_gossip(frame))
}

pub(super) fn read(frames: &Frames) -> Result<Told, Malformed> {
    let (first, more) = match frames.split_first() {
        Some((first, more)) => (first.clone(), more.iter().cloned().collect()),
        None => (Bytes::new(), Frames::new()),
    };
    let (name, fields) = match Message::decode(&first)? {
        Message::Hello(participant) => ("HELLO", of_participant(participant)),
        Message::Publish(publish) => ("PUBLISH", of_publish(&publish)),
        Message::Ping => ("PING", Fields::new()),
        Message::Pong(participant) => ("PONG", of_participant(participant)),
        Message::Invalid => ("INVALID", Fields::new()),
    };
    // Others take no notice of what is behind the first frame.
    let more = Some(more).filter(|more: &Frames| !more.is_empty());
    Ok(Told::new("gossip", name, fields).with_content(more.as_ref()))
}

fn of_participant(participant: Option<impl ToString>) -> Fields {
    let participant = Field::or_nothing(participant.map(Field::word));
    vec![("participant", participant)]
}

fn of_publish(publish: &Publish) -> Fields {
    let stamp = publish.stamp.map(|stamp| {
        Field::fields([
            ("generation", Field::number(stamp.generation)),
            ("origin", Field::word(stamp.origin)),
            ("published", Field::Flag(stamp.published)),
        ])
    });
    vec![
        ("key", Field::octets_of(publish.key.as_bytes())),
        ("value", Field::octets_of(publish.value.as_bytes())),
        ("void", Field::Flag(publish.value.is_void())),
        ("ttl", Field::number(publish.ttl)),
        ("stamp", Field::or_nothing(stamp)),
    ]
}
