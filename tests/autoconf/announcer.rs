//! What a server says, and when.

use std::time::Duration;

use atonce::Instant;
use atonce::autoconf::announcer::{Announcer, Config, Timer};
use atonce::wire::autoconf::{Datagram, InvalidOffer, Offer};

use crate::{ENDPOINT, START, STRANGER, address, after, announced, goodbye, offer, query};

fn announcer() -> Announcer {
    Announcer::new(START, [7; 32], offer(&[ENDPOINT]), Config::default())
}

fn said(announcer: &mut Announcer) -> Vec<Datagram> {
    let datagrams = std::iter::from_fn(|| announcer.poll_datagram());
    datagrams
        .map(|datagram| Datagram::decode(&datagram).unwrap())
        .collect()
}

/// Runs until this time; when something was said.
fn run(announcer: &mut Announcer, until: Instant) -> Vec<(Instant, Datagram)> {
    let mut all = Vec::new();
    while let Some((at, _)) = announcer.poll_timeout().filter(|(at, _)| *at <= until) {
        announcer.handle_timeout(at);
        all.extend(said(announcer).into_iter().map(|datagram| (at, datagram)));
    }
    all
}

#[test]
fn the_first_is_said_at_once_and_then_one_in_about_15_s() {
    // AUTO-21
    let mut announcer = announcer();
    let first = said(&mut announcer);
    let [Datagram::Announcement(announcement)] = &first[..] else {
        panic!("{first:?}");
    };
    assert_eq!(announcement.ttl.get(), 45_000);
    assert_eq!(announcement.offer, offer(&[ENDPOINT]));
    assert_eq!(announcement.instance, announcer.instance());
    let mut last = START;
    let mut pauses = Vec::new();
    for (at, datagram) in run(&mut announcer, after(600_000)) {
        assert_eq!(datagram, first[0]);
        pauses.push(at - last);
        last = at;
    }
    assert!((40..=45).contains(&pauses.len()), "{}", pauses.len());
    let [least, most] = [13_500, 15_000].map(Duration::from_millis);
    assert!(
        pauses.iter().all(|pause| (least..=most).contains(pause)),
        "{pauses:?}"
    );
    pauses.sort();
    pauses.dedup();
    assert!(pauses.len() > 30, "they are drawn");
    let next = announcer.poll_timeout().unwrap();
    assert_eq!(next.1, Timer::Announce);
}

#[test]
fn an_interval_is_neither_a_flood_nor_longer_than_clients_remember() {
    // AUTO-21
    for (interval, ttl) in [(0, 300), (50, 300), (1_000, 3_000), (1_000_000, 300_000)] {
        let config = Config {
            interval: Duration::from_millis(interval),
        };
        let mut announcer = Announcer::new(START, [7; 32], offer(&[ENDPOINT]), config);
        let Some(Datagram::Announcement(announcement)) = said(&mut announcer).pop() else {
            panic!();
        };
        assert_eq!(announcement.ttl.get(), ttl);
    }
}

#[test]
fn who_asks_is_answered_soon_and_all_of_them_together() {
    // AUTO-23
    let mut announcer = announcer();
    assert_eq!(said(&mut announcer).len(), 1);
    for n in 0..100 {
        announcer.handle_datagram(after(2_000 + n / 2), address(STRANGER), &query("printing"));
    }
    announcer.handle_datagram(after(2_050), address(STRANGER), &query(""));
    let (at, timer) = announcer.poll_timeout().unwrap();
    assert_eq!(timer, Timer::Answer);
    assert!(at >= after(2_000) && at <= after(2_100), "{at}");
    let answers = run(&mut announcer, after(15_000));
    assert_eq!(answers.len(), 1, "{answers:?}");
    // The regular one is due 15 s after the answer.
    let (next, timer) = announcer.poll_timeout().unwrap();
    assert!(next >= at + Duration::from_millis(13_500) && timer == Timer::Announce);
    assert_eq!(announcer.counters().queries, 101);
}

#[test]
fn a_flood_of_queries_makes_two_announcements_a_second() {
    // AUTO-23
    let mut announcer = announcer();
    let mut all = said(&mut announcer).len();
    for millis in 0..10_000 {
        let now = after(millis);
        announcer.handle_datagram(now, address(STRANGER), &query("printing"));
        announcer.handle_timeout(now);
        all += said(&mut announcer).len();
    }
    assert!((17..=21).contains(&all), "{all}");
}

#[test]
fn what_is_no_query_for_it_is_not_answered() {
    // AUTO-1, AUTO-23
    let mut announcer = announcer();
    said(&mut announcer);
    let before = announcer.poll_timeout();
    for datagram in [
        &query("scanning")[..],
        &query("printin"),
        &announced(1, 45_000, offer(&[ENDPOINT])),
        &goodbye(1),
        b"",
        b"hello",
        b"\xAA\xAC\x02\x01\x00",
        &[&query("printing")[..], b"!"].concat(),
    ] {
        announcer.handle_datagram(after(5_000), address(STRANGER), datagram);
        assert_eq!(announcer.poll_timeout(), before, "{datagram:?}");
    }
    let counters = announcer.counters();
    assert_eq!((counters.queries, counters.malformed), (0, 4));
}

#[test]
fn who_stops_says_goodbye_twice_and_nothing_more() {
    // AUTO-24
    let mut announcer = announcer();
    said(&mut announcer);
    let leaves = Datagram::Goodbye(announcer.instance());
    announcer.handle_datagram(after(4_000), address(STRANGER), &query("printing"));
    announcer.stop(after(4_000));
    assert_eq!(said(&mut announcer), std::slice::from_ref(&leaves));
    assert!(!announcer.is_over());
    assert_eq!(
        announcer.poll_timeout(),
        Some((after(4_100), Timer::Goodbye))
    );
    announcer.stop(after(4_050));
    announcer.handle_datagram(after(4_050), address(STRANGER), &query("printing"));
    announcer.change(after(4_050), offer(&["192.168.1.3:1"]));
    assert_eq!(run(&mut announcer, after(9_000)), [(after(4_100), leaves)]);
    assert!(announcer.is_over());
    announcer.handle_datagram(after(9_000), address(STRANGER), &query("printing"));
    assert_eq!(announcer.poll_timeout(), None);
}

#[test]
fn who_was_never_announced_leaves_without_a_word() {
    // AUTO-24
    let mut announcer = announcer();
    announcer.stop(START);
    assert_eq!(said(&mut announcer), []);
    assert!(announcer.is_over());
}

#[test]
fn who_has_something_else_to_say_is_another_instance() {
    // AUTO-22
    let mut announcer = announcer();
    said(&mut announcer);
    let first = announcer.instance();
    announcer.change(after(1_000), offer(&[ENDPOINT]));
    assert_eq!(
        (said(&mut announcer), announcer.instance()),
        (vec![], first)
    );
    let moved = offer(&["192.168.1.9:50053"]);
    announcer.change(after(2_000), moved.clone());
    assert_ne!(announcer.instance(), first);
    let said = said(&mut announcer);
    assert_eq!(said[0], Datagram::Goodbye(first));
    let Datagram::Announcement(announcement) = &said[1] else {
        panic!("{said:?}");
    };
    assert_eq!(announcement.instance, announcer.instance());
    assert_eq!((&announcement.offer, said.len()), (&moved, 2));
    assert_eq!(announcer.offer(), &moved);
}

#[test]
fn an_embedder_that_takes_nothing_does_not_make_it_grow() {
    // AUTO-25
    let mut announcer = announcer();
    for n in 1..200 {
        announcer.change(after(n), offer(&[&format!("192.168.1.9:{n}")]));
        run_without_taking(&mut announcer, after(n));
    }
    assert_eq!(said(&mut announcer).len(), 1, "nobody knew of the others");
    for n in 1..200 {
        announcer.change(after(n), offer(&[&format!("192.168.1.9:{n}")]));
        if n % 2 == 0 {
            let _ = announcer.poll_datagram();
        }
    }
    assert!(said(&mut announcer).len() <= 9);
}

fn run_without_taking(announcer: &mut Announcer, now: Instant) {
    for n in 0..10 {
        announcer.handle_timeout(now + Duration::from_secs(100 * n));
    }
}

#[test]
fn two_servers_are_two_instances_that_fall_out_of_step() {
    // AUTO-21, AUTO-22
    let made = |seed: u8| {
        let mut announcer =
            Announcer::new(START, [seed; 32], offer(&[ENDPOINT]), Config::default());
        let times = run(&mut announcer, after(60_000));
        let times: Vec<Instant> = times.into_iter().map(|(at, _)| at).collect();
        (announcer.instance(), times)
    };
    assert_eq!(made(1), made(1));
    let [one, other] = [1, 2].map(made);
    assert!(one.0 != other.0 && one.1.iter().all(|at| !other.1.contains(at)));
}

#[test]
fn what_cannot_be_announced_is_refused_before() {
    // AUTO-2, AUTO-5, AUTO-7, AUTO-20
    let made = |endpoints: &[&str]| {
        let endpoints = endpoints.iter().map(|endpoint| address(endpoint));
        Offer::new("printing".parse().unwrap(), endpoints)
    };
    assert_eq!(made(&[]), Err(InvalidOffer::NoEndpoint));
    assert_eq!(made(&[ENDPOINT; 9]), Err(InvalidOffer::TooManyEndpoints));
    assert_eq!(made(&["192.168.1.2:0"]), Err(InvalidOffer::Port));
    for nobody in [
        "0.0.0.0:1",
        "255.255.255.255:1",
        "239.1.2.3:1",
        "[::]:1",
        "[ff02::1]:1",
        "[::ffff:10.0.0.1]:1",
    ] {
        let error = InvalidOffer::Address(address(nobody).ip());
        assert_eq!(made(&[nobody]), Err(error));
    }
    // A zone means nothing to others.
    let zoned = made(&["[fe80::1%7]:1"]).unwrap();
    assert_eq!(zoned.endpoints(), [address("[fe80::1]:1")]);

    let text = |text: &str| text.try_into().unwrap();
    let offer = || offer(&[ENDPOINT]);
    let nameless = offer().with_property(text(""), text("x"));
    assert_eq!(nameless, Err(InvalidOffer::PropertyName));
    let one = offer().with_property(text("b"), text("1")).unwrap();
    let twice = one.clone().with_property(text("b"), text("2"));
    assert_eq!(twice, Err(InvalidOffer::PropertyTwice(text("b"))));
    let two = one.with_property(text("a"), text("2")).unwrap();
    let names: Vec<_> = two.properties().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        (two.property("a"), two.property("c")),
        (Some(&text("2")), None)
    );
    let long = |many: usize| {
        (0..many).try_fold(offer(), |offer, n| {
            offer.with_property(text(&n.to_string()), text(&"x".repeat(250)))
        })
    };
    assert!(long(4).is_ok());
    assert_eq!(long(5), Err(InvalidOffer::TooLong { octets: 1_308 }));
    let full = (0..16).try_fold(offer(), |offer, n| {
        offer.with_property(text(&n.to_string()), text(""))
    });
    let over = full.unwrap().with_property(text("x"), text(""));
    assert_eq!(over, Err(InvalidOffer::TooManyProperties));
    // What was accepted is announced, to the last octet.
    let longest = long(4)
        .unwrap()
        .with_property(text("9"), text(&"x".repeat(142)));
    let longest = longest.unwrap();
    assert!(longest.clone().with_key([7; 32]).is_err());
    assert_eq!(announced(1, 1, longest).len(), 1_200);
}
