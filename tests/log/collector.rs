//! What a collector makes of messages, and whom it can name.

use atonce::log::Collector;
use atonce::log::collector::{Config, NoRecord};
use atonce::wire::log::{Event as Happened, Level, NodeTag, Record};
use atonce::{Bytes, Event, ExitReason, Frames, Text};

use crate::{START, after, peer};

fn record(node: u16, level: Level) -> Record {
    Record {
        level,
        event: Happened::NONE,
        node: NodeTag(node),
        peer: NodeTag::NONE,
        time: 0,
        data: Text::default(),
    }
}

#[test]
fn what_is_no_record_is_counted_and_what_comes_next_is_read() {
    let mut collector = Collector::new(Config::default());
    let good = record(1, Level::INFO);
    let mut handle = |frames: Frames| collector.handle_message(START, &frames);
    // LOG-1: a message of ZRE, one of a later version, plain text, and nothing at all.
    for foreign in [
        &b"\xAA\xA1\x01\x02\0\x01"[..],
        b"\xAA\xA2\x02",
        b"12:00 hello",
        b"",
    ] {
        let message = Frames::from(Bytes::from_static(foreign));
        assert_eq!(handle(message), Err(NoRecord::Foreign));
    }
    assert_eq!(handle(Frames::default()), Err(NoRecord::Foreign));
    // LOG-32
    let cut = good.encode().slice(..10);
    let Err(NoRecord::Malformed(malformed)) = handle(cut.into()) else {
        panic!("it is cut");
    };
    assert_eq!(malformed.field, "LOG.time");
    // LOG-3
    let frames = [good.encode(), Bytes::from_static(b"and what not")];
    assert_eq!(handle(frames.into_iter().collect()), Ok(good));
    let counters = collector.counters();
    assert_eq!(
        (counters.records, counters.malformed, counters.foreign),
        (1, 1, 5)
    );
}

#[test]
fn it_is_counted_who_says_how_much_as_long_as_there_is_room() {
    // LOG-31
    let mut collector = Collector::new(Config {
        sources: 2,
        ..Config::default()
    });
    let said = [(7, 3), (7, 1), (3, 2), (9, 3), (9, 3), (7, 200)];
    for (at, (node, level)) in (0..).zip(said) {
        let message = record(node, Level(level)).encode();
        let read = collector.handle_message(after(at), &message.into());
        assert!(read.is_ok(), "it is told whoever says it");
    }
    let sources: Vec<_> = collector
        .sources()
        .map(|(node, it)| (node.0, it.records, it.errors, it.warnings, it.last))
        .collect();
    assert_eq!(sources, [(3, 1, 0, 1, after(2)), (7, 3, 1, 0, after(5))]);
    let counters = collector.counters();
    assert_eq!((counters.records, counters.uncounted), (6, 2));
}

#[test]
fn a_peer_is_named_until_a_minute_after_it_is_gone_unless_two_have_its_number() {
    // LOG-33
    let mut collector = Collector::new(Config::default());
    let seven = NodeTag::of("tcp://10.0.0.7:49152");
    assert_eq!(collector.name(START, seven), None);
    let enters = |octet| Event::Enter {
        peer: peer(octet, None),
    };
    collector.handle_event(START, &enters(7));
    collector.handle_event(START, &enters(8));
    assert_eq!(collector.name(START, seven).unwrap(), "peer7");
    let exits = Event::Exit {
        peer: peer(7, None),
        reason: ExitReason::Left,
    };
    collector.handle_event(after(0), &exits);
    assert_eq!(collector.name(after(59_999), seven).unwrap(), "peer7");
    assert_eq!(collector.name(after(60_000), seven), None);
    collector.handle_event(after(60_000), &enters(7));
    assert_eq!(collector.name(after(200_000), seven).unwrap(), "peer7");
    // Another with the same endpoint is another with the same number.
    let mut other = (*peer(9, None)).clone();
    other.endpoint = peer(7, None).endpoint.clone();
    collector.handle_event(after(200_000), &Event::Enter { peer: other.into() });
    assert_eq!(collector.name(after(200_000), seven), None);
}

#[test]
fn names_that_nobody_has_any_more_give_way_and_others_do_not() {
    // LOG-33
    let mut collector = Collector::new(Config {
        names: 2,
        ..Config::default()
    });
    let tag = |octet| NodeTag::of(peer(octet, None).endpoint.as_bytes());
    for octet in [1, 2, 3] {
        let peer = peer(octet, None);
        collector.handle_event(START, &Event::Enter { peer });
    }
    assert!(collector.name(START, tag(2)).is_some());
    assert_eq!(collector.name(START, tag(3)), None);
    let exits = Event::Exit {
        peer: peer(1, None),
        reason: ExitReason::Expired,
    };
    collector.handle_event(START, &exits);
    for (at, known) in [(1_000, false), (60_000, true)] {
        let peer = peer(3, None);
        collector.handle_event(after(at), &Event::Enter { peer });
        assert_eq!(collector.name(after(at), tag(3)).is_some(), known);
    }
}
