//! Datagrams of autoconfiguration.

use atonce::Frames;
use atonce::wire::Malformed;
use atonce::wire::autoconf::Datagram;

use super::super::told::{Field, Told};
use super::first_begins;

pub(super) fn begins(frames: &Frames) -> bool {
    frames.len() == 1 && first_begins(frames, b"\xAA\xAC")
}

pub(super) fn read(frames: &Frames) -> Result<Told, Malformed> {
    let datagram = frames.first().map(|frame| &frame[..]).unwrap_or_default();
    Ok(match Datagram::decode(datagram)? {
        Datagram::Query(service) => {
            let service = service.map(Field::word);
            Told::new(
                "autoconf",
                "QUERY",
                vec![("service", Field::or_nothing(service))],
            )
        }
        Datagram::Announcement(announcement) => {
            let offer = &announcement.offer;
            let endpoints = offer.endpoints().iter().map(Field::word);
            let properties = offer.properties().iter();
            let fields = vec![
                ("instance", Field::word(announcement.instance)),
                ("ttl", Field::number(announcement.ttl.get())),
                ("service", Field::word(offer.service())),
                ("endpoints", Field::List(endpoints.collect())),
                (
                    "key",
                    Field::or_nothing(offer.key().map(|key| Field::key(key))),
                ),
                (
                    "properties",
                    Field::List(
                        properties
                            .map(|(name, value)| {
                                Field::List(vec![Field::text(name), Field::text(value)])
                            })
                            .collect(),
                    ),
                ),
            ];
            Told::new("autoconf", "ANNOUNCE", fields)
        }
        Datagram::Goodbye(instance) => Told::new(
            "autoconf",
            "GOODBYE",
            vec![("instance", Field::word(instance))],
        ),
    })
}
