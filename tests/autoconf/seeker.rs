//! What a client knows of servers: what it is told, when it asks, and when it forgets.

use std::sync::Arc;
use std::time::Duration;

use atonce::Instant;
use atonce::autoconf::seeker::{Config, Event, Limits, Reason, Seeker, Server, ServerId, Timer};
use atonce::wire::autoconf::Datagram;

use crate::{ENDPOINT, SERVER, START, STRANGER, address, after, announced, goodbye, offer};

pub(crate) fn seeking(services: &[&str]) -> Seeker {
    let services = services.iter().map(|service| service.parse().unwrap());
    let config = Config {
        services: services.collect(),
        ..Config::default()
    };
    Seeker::new(START, [7; 32], config)
}

pub(crate) fn events(seeker: &mut Seeker) -> Vec<Event> {
    std::iter::from_fn(|| seeker.poll_event()).collect()
}

/// Events in a word each.
pub(crate) fn told(seeker: &mut Seeker) -> Vec<String> {
    let events = events(seeker).into_iter();
    let words = events.map(|event| match event {
        Event::Found { .. } => "found".to_owned(),
        Event::Changed { .. } => "changed".to_owned(),
        Event::Contested { by, .. } => format!("contested by {}", by.ip()),
        Event::Doubted { .. } => "doubted".to_owned(),
        Event::Trusted { .. } => "trusted".to_owned(),
        Event::Lost { reason, .. } => reason.to_string(),
        other => panic!("{other:?}"),
    });
    words.collect()
}

/// Runs until this time; when it asked for what. What it was to ask before is not among it.
pub(crate) fn run(seeker: &mut Seeker, until: Instant) -> Vec<(Instant, String)> {
    while seeker.poll_datagram().is_some() {}
    let mut asked = Vec::new();
    while let Some((at, _)) = seeker.poll_timeout().filter(|(at, _)| *at <= until) {
        seeker.handle_timeout(at);
        while let Some(datagram) = seeker.poll_datagram() {
            let Datagram::Query(service) = Datagram::decode(&datagram).unwrap() else {
                panic!("{datagram:?}");
            };
            let service = service.map_or(String::new(), |service| service.to_string());
            asked.push((at, service));
        }
    }
    asked
}

fn questions(seeker: &mut Seeker, until: Instant) -> Vec<Duration> {
    let asked = run(seeker, until);
    asked.into_iter().map(|(at, _)| at - START).collect()
}

pub(crate) fn hear(seeker: &mut Seeker, now: Instant, datagram: &[u8]) {
    seeker.handle_datagram(now, address(SERVER), datagram);
}

fn known(seeker: &Seeker) -> Vec<Arc<Server>> {
    seeker.servers().cloned().collect()
}

/// A client that was told of one server at the beginning.
pub(crate) fn with_one() -> (Seeker, ServerId) {
    let mut seeker = seeking(&["printing"]);
    assert!(seeker.poll_datagram().is_some());
    hear(
        &mut seeker,
        START,
        &announced(1, 45_000, offer(&[ENDPOINT])),
    );
    let Some(Event::Found { server }) = seeker.poll_event() else {
        panic!();
    };
    assert_eq!(seeker.poll_event(), None);
    (seeker, server.id)
}

fn millis(range: std::ops::RangeInclusive<u64>) -> impl Fn(&Duration) -> bool {
    move |time| range.contains(&u64::try_from(time.as_millis()).unwrap())
}

#[test]
fn a_server_is_found_with_all_that_it_says() {
    // AUTO-30
    let text = |text: &str| text.try_into().unwrap();
    let said = offer(&[ENDPOINT, "10.9.9.9:1"]).with_key([9; 32]).unwrap();
    let said = said.with_property(text("colour"), text("yes")).unwrap();
    let mut seeker = seeking(&["printing"]);
    for datagram in [
        &announced(1, 45_000, said.clone()),
        &announced(1, 45_000, said.clone()),
    ] {
        hear(&mut seeker, after(5), datagram);
    }
    let [Event::Found { server }] = &events(&mut seeker)[..] else {
        panic!();
    };
    assert_eq!(server.offer, said);
    assert_eq!(server.endpoints, [address(ENDPOINT), address("10.9.9.9:1")]);
    assert_eq!((server.source, server.found), (address(SERVER), after(5)));
    assert_eq!(server.instance.as_bytes(), &[1; 16]);
    assert_eq!(known(&seeker), [Arc::clone(server)]);
    assert_eq!(seeker.server(server.id), Some(server));
    assert!(seeker.is_in_order(server.id));
}

#[test]
fn what_is_not_sought_and_who_has_not_the_key_is_passed_over() {
    // AUTO-30
    let mut seeker = seeking(&["scanning"]);
    hear(
        &mut seeker,
        START,
        &announced(1, 45_000, offer(&[ENDPOINT])),
    );
    assert_eq!((told(&mut seeker), seeker.counters().unsought), (vec![], 1));
    let config = Config {
        keys: Some([[9; 32]].into()),
        ..Config::default()
    };
    let mut seeker = Seeker::new(START, [7; 32], config);
    let with = |key: u8| offer(&[ENDPOINT]).with_key([key; 32]).unwrap();
    hear(
        &mut seeker,
        START,
        &announced(1, 45_000, offer(&[ENDPOINT])),
    );
    hear(&mut seeker, START, &announced(2, 45_000, with(8)));
    assert_eq!(
        (told(&mut seeker), seeker.counters().untrusted),
        (vec![], 2)
    );
    hear(&mut seeker, START, &announced(3, 45_000, with(9)));
    assert_eq!(told(&mut seeker), ["found"]);
}

#[test]
fn datagrams_of_others_and_malformed_ones_change_nothing() {
    // AUTO-1, AUTO-2, AUTO-3
    let (mut seeker, server) = with_one();
    let before = (seeker.poll_timeout(), known(&seeker));
    let announcement = announced(2, 45_000, offer(&["192.168.1.3:1"]));
    let mut later = announcement.clone();
    later[2] = 2;
    let long = vec![0; 2_000];
    for (datagram, foreign) in [
        (&b""[..], true),
        (b"ZRE\x01", true),
        (&later, true),
        (&long, true),
        (&announcement[..60.min(announcement.len() - 1)], false),
        (&[&announcement[..], &long].concat(), false),
        (&[&announcement[..], b"!"].concat(), false),
    ] {
        let counters = seeker.counters();
        hear(&mut seeker, after(10), datagram);
        let after = seeker.counters();
        assert_eq!(after.foreign - counters.foreign, u64::from(foreign));
        assert_eq!(after.malformed - counters.malformed, u64::from(!foreign));
        assert_eq!((seeker.poll_timeout(), known(&seeker)), before);
    }
    hear(&mut seeker, after(10), &crate::query("printing"));
    assert_eq!((seeker.poll_timeout(), known(&seeker)), before);
    assert!(seeker.is_in_order(server));
}

#[test]
fn a_server_is_lost_when_its_time_is_over_and_asked_for_before() {
    // AUTO-31, AUTO-32, AUTO-33
    let (mut seeker, server) = with_one();
    let asked = questions(&mut seeker, after(44_999));
    // Once more at the beginning is what its first question planned; it found that all is in order.
    assert!(asked.iter().all(millis(30_000..=45_000)), "{asked:?}");
    assert!((4..=5).contains(&asked.len()), "{asked:?}");
    assert_eq!(asked[0], Duration::from_secs(30));
    assert!(!seeker.is_in_order(server) && seeker.server(server).is_some());
    assert_eq!(told(&mut seeker), [""; 0]);
    seeker.handle_timeout(after(45_000));
    assert_eq!(told(&mut seeker), ["expired"]);
    assert_eq!(known(&seeker), []);
}

#[test]
fn a_late_server_that_is_heard_is_in_order_again() {
    // AUTO-33
    let (mut seeker, server) = with_one();
    run(&mut seeker, after(40_000));
    assert!(!seeker.is_in_order(server));
    hear(
        &mut seeker,
        after(40_000),
        &announced(1, 45_000, offer(&[ENDPOINT])),
    );
    assert!(seeker.is_in_order(server));
    let asked = questions(&mut seeker, after(69_999));
    assert!(asked.is_empty(), "{asked:?}");
    run(&mut seeker, after(85_000));
    assert_eq!(told(&mut seeker), ["expired"]);
}

#[test]
fn nobody_is_kept_for_more_than_five_minutes() {
    // AUTO-31
    for (ttl, kept) in [
        (1, 1),
        (1_000, 1_000),
        (300_001, 300_000),
        (u32::MAX, 300_000),
    ] {
        let mut seeker = seeking(&["printing"]);
        hear(&mut seeker, START, &announced(1, ttl, offer(&[ENDPOINT])));
        assert_eq!(told(&mut seeker), ["found"]);
        run(&mut seeker, after(kept - 1));
        assert_eq!(told(&mut seeker), [""; 0], "{ttl}");
        run(&mut seeker, after(kept));
        assert_eq!(told(&mut seeker), ["expired"], "{ttl}");
    }
}

#[test]
fn who_knows_nobody_asks_at_once_and_then_more_seldom() {
    // AUTO-32
    let mut seeker = seeking(&["printing"]);
    let first = Datagram::decode(&seeker.poll_datagram().unwrap());
    assert_eq!(
        first,
        Ok(Datagram::Query(Some("printing".parse().unwrap())))
    );
    let asked = questions(&mut seeker, after(90_000));
    let pauses: Vec<Duration> = std::iter::once(asked[0])
        .chain(asked.windows(2).map(|pair| pair[1] - pair[0]))
        .collect();
    for (pause, most) in pauses.iter().zip([1, 2, 4, 8, 15, 15, 15, 15]) {
        assert!(millis(900 * most..=1_000 * most)(pause), "{pauses:?}");
    }
    assert!((8..=9).contains(&pauses.len()), "{pauses:?}");
    assert_eq!(seeker.poll_timeout().unwrap().1, Timer::Query);
}

#[test]
fn who_seeks_every_service_asks_three_times() {
    // AUTO-32
    let mut seeker = seeking(&[]);
    let first = Datagram::decode(&seeker.poll_datagram().unwrap());
    assert_eq!(first, Ok(Datagram::Query(None)));
    hear(
        &mut seeker,
        START,
        &announced(1, 300_000, offer(&[ENDPOINT])),
    );
    assert_eq!(questions(&mut seeker, after(100_000)).len(), 2);
    // And as long as somebody is late.
    let late = questions(&mut seeker, after(300_000));
    assert!(
        late.len() > 5 && late[0] == Duration::from_secs(200),
        "{late:?}"
    );
}

#[test]
fn each_service_is_asked_for_by_itself() {
    // AUTO-32
    let mut seeker = seeking(&["printing", "scanning"]);
    hear(
        &mut seeker,
        START,
        &announced(1, 45_000, offer(&[ENDPOINT])),
    );
    let mut asked = std::collections::BTreeSet::new();
    while let Some(datagram) = seeker.poll_datagram() {
        asked.insert(datagram);
    }
    assert_eq!(asked.len(), 2);
    let later = run(&mut seeker, after(20_000));
    assert!(later.len() >= 4 && later.iter().all(|(_, service)| service == "scanning"));
}

#[test]
fn an_embedder_that_takes_nothing_does_not_make_it_grow() {
    // AUTO-32, AUTO-40
    let mut seeker = seeking(&["printing", "scanning"]);
    for n in 0..200_u64 {
        seeker.handle_timeout(after(n * 20_000));
    }
    let owed = std::iter::from_fn(|| seeker.poll_datagram()).count();
    assert_eq!(owed, 2);
}

#[test]
fn a_goodbye_is_believed_when_nobody_says_otherwise() {
    // AUTO-34
    let (mut seeker, server) = with_one();
    run(&mut seeker, after(5_000));
    hear(&mut seeker, after(5_000), &goodbye(1));
    assert_eq!(told(&mut seeker), ["doubted"]);
    assert!(!seeker.is_in_order(server));
    let asked = questions(&mut seeker, after(6_999));
    assert_eq!(asked[0], Duration::from_millis(5_100));
    assert!(
        asked.len() == 2 && millis(6_000..=6_100)(&asked[1]),
        "{asked:?}"
    );
    // Once more changes nothing.
    hear(&mut seeker, after(6_900), &goodbye(1));
    seeker.handle_timeout(after(7_000));
    assert_eq!(told(&mut seeker), ["left"]);
    hear(&mut seeker, after(7_000), &goodbye(1));
    hear(&mut seeker, after(7_000), &goodbye(2));
    assert_eq!((told(&mut seeker), seeker.counters().goodbyes), (vec![], 2));
}

#[test]
fn an_announcement_of_another_way_does_not_undo_a_goodbye() {
    // AUTO-34
    let (mut seeker, server) = with_one();
    hear(&mut seeker, after(5_000), &goodbye(1));
    for late in [0, 50, 100] {
        hear(
            &mut seeker,
            after(5_000 + late),
            &announced(1, 45_000, offer(&[ENDPOINT])),
        );
        assert!(!seeker.is_in_order(server));
    }
    run(&mut seeker, after(7_000));
    // That it was doubted does not matter any more.
    assert_eq!(told(&mut seeker), ["left"]);
}

#[test]
fn who_answers_is_not_doubted_any_more() {
    // AUTO-34, AUTO-35
    let (mut seeker, server) = with_one();
    hear(&mut seeker, after(5_000), &goodbye(1));
    hear(
        &mut seeker,
        after(5_101),
        &announced(1, 45_000, offer(&[ENDPOINT])),
    );
    assert!(seeker.is_in_order(server));
    // What it was told of together is told as it is now.
    assert_eq!(told(&mut seeker), [""; 0]);
    seeker.doubt(after(5_200), server);
    assert_eq!(told(&mut seeker), ["doubted"]);
    hear(
        &mut seeker,
        after(6_000),
        &announced(1, 45_000, offer(&[ENDPOINT])),
    );
    assert_eq!(told(&mut seeker), ["trusted"]);
    seeker.doubt(after(7_000), server);
    seeker.confirm(after(7_001), server);
    assert!(seeker.is_in_order(server));
    run(&mut seeker, after(20_000));
    assert_eq!(told(&mut seeker), [""; 0]);
    seeker.doubt(after(20_000), server);
    assert_eq!(told(&mut seeker), ["doubted"]);
    run(&mut seeker, after(22_000));
    assert_eq!(told(&mut seeker), ["silent"]);
    seeker.doubt(after(23_000), server);
    seeker.confirm(after(23_000), server);
    assert_eq!((told(&mut seeker), known(&seeker)), (vec![], vec![]));
}

#[test]
fn who_was_started_again_on_its_port_takes_the_place_of_what_it_was() {
    // AUTO-35, AUTO-39
    let (mut seeker, first) = with_one();
    hear(
        &mut seeker,
        after(9_000),
        &announced(2, 45_000, offer(&[ENDPOINT])),
    );
    let [
        Event::Doubted { server: doubted },
        Event::Found { server: second },
    ] = &events(&mut seeker)[..]
    else {
        panic!();
    };
    assert_eq!(doubted.id, first);
    // Who is in order comes first.
    let order: Vec<ServerId> = seeker.servers().map(|server| server.id).collect();
    assert_eq!(order, [second.id, first]);
    run(&mut seeker, after(11_000));
    assert_eq!(told(&mut seeker), ["silent"]);
    // Another service there, or another port, is nobody's place.
    let (mut seeker, _) = with_one();
    hear(
        &mut seeker,
        after(9_000),
        &announced(2, 45_000, offer(&["192.168.1.2:50054"])),
    );
    assert_eq!(told(&mut seeker), ["found"]);
}

#[test]
fn endpoints_count_where_they_can_be_reached() {
    // AUTO-38
    let endpoints = |elsewhere: bool, source: &str, said: &[&str]| -> Vec<String> {
        let config = Config {
            elsewhere,
            ..Config::default()
        };
        let mut seeker = Seeker::new(START, [7; 32], config);
        seeker.handle_datagram(START, address(source), &announced(1, 45_000, offer(said)));
        let known = known(&seeker);
        assert_eq!(
            known.len() + usize::try_from(seeker.counters().unreachable).unwrap(),
            1
        );
        known
            .first()
            .map(|server| server.endpoints.iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    };
    let all = [
        "10.0.0.9:1",
        "127.0.0.1:1",
        "192.168.1.2:1",
        "[::1]:1",
        "[fe80::1]:1",
        "[2001:db8::1]:1",
    ];
    assert_eq!(
        endpoints(true, SERVER, &all),
        ["192.168.1.2:1", "10.0.0.9:1", "[2001:db8::1]:1"]
    );
    assert_eq!(endpoints(false, SERVER, &all), ["192.168.1.2:1"]);
    assert_eq!(
        endpoints(true, "[fe80::1%7]:5674", &all),
        [
            "[fe80::1%7]:1",
            "10.0.0.9:1",
            "192.168.1.2:1",
            "[2001:db8::1]:1"
        ]
    );
    assert_eq!(
        endpoints(false, "[fe80::1%7]:5674", &all),
        ["[fe80::1%7]:1"]
    );
    assert_eq!(
        endpoints(true, "127.0.0.1:5674", &all),
        [
            "127.0.0.1:1",
            "10.0.0.9:1",
            "192.168.1.2:1",
            "[::1]:1",
            "[2001:db8::1]:1"
        ]
    );
    assert_eq!(
        endpoints(true, SERVER, &["127.0.0.1:1", "[fe80::1]:1"]),
        [""; 0]
    );
    assert_eq!(endpoints(false, STRANGER, &[ENDPOINT]), [""; 0]);
}

#[test]
fn a_link_that_is_heard_later_adds_what_is_on_it() {
    // AUTO-38
    let said = announced(1, 45_000, offer(&[ENDPOINT, "[fe80::1]:50053"]));
    let mut seeker = seeking(&["printing"]);
    hear(&mut seeker, START, &said);
    assert_eq!(told(&mut seeker), ["found"]);
    assert_eq!(known(&seeker)[0].endpoints, [address(ENDPOINT)]);
    seeker.handle_datagram(after(1), address("[2001:db8::9]:5674"), &said);
    assert_eq!(told(&mut seeker), [""; 0]);
    for zone in [7, 8] {
        let source = address(&format!("[fe80::1%{zone}]:5674"));
        seeker.handle_datagram(after(2), source, &said);
    }
    assert_eq!(told(&mut seeker), ["changed"]);
    let expected = [address(ENDPOINT), address("[fe80::1%7]:50053")];
    assert_eq!(known(&seeker)[0].endpoints, expected);
}

#[test]
fn of_who_was_lost_before_it_was_told_nothing_is_told() {
    // AUTO-40
    let mut seeker = seeking(&["printing"]);
    hear(&mut seeker, START, &announced(1, 1_000, offer(&[ENDPOINT])));
    run(&mut seeker, after(1_000));
    assert_eq!(told(&mut seeker), [""; 0]);
    hear(
        &mut seeker,
        after(2_000),
        &announced(1, 1_000, offer(&[ENDPOINT])),
    );
    assert_eq!(told(&mut seeker), ["found"]);
    run(&mut seeker, after(3_000));
    hear(
        &mut seeker,
        after(3_000),
        &announced(1, 1_000, offer(&[ENDPOINT])),
    );
    assert_eq!(told(&mut seeker), ["expired", "found"]);
}

#[test]
fn there_is_room_for_so_many_and_who_is_established_stays() {
    // AUTO-37
    let config = Config {
        limits: Limits {
            servers: 4,
            of_one_source: 2,
            ..Limits::default()
        },
        ..Config::default()
    };
    let mut seeker = Seeker::new(START, [7; 32], config);
    let comes = |seeker: &mut Seeker, now: Instant, n: u8, from: u8| {
        let endpoint = format!("10.0.0.{n}:1");
        let said = announced(n, 45_000, offer(&[&endpoint]));
        seeker.handle_datagram(now, address(&format!("10.0.0.{from}:5674")), &said);
    };
    let here = |seeker: &Seeker| -> Vec<u8> {
        let servers = seeker.servers();
        servers
            .map(|server| server.instance.as_bytes()[0])
            .collect()
    };
    for n in 1..=5 {
        comes(&mut seeker, START, n, n);
    }
    assert_eq!(here(&seeker), [2, 3, 4, 5]);
    // Heard again too soon, it is not established; later it is, and so is who answered.
    comes(&mut seeker, after(7_000), 2, 2);
    comes(&mut seeker, after(7_500), 3, 3);
    let fifth = seeker.servers().last().unwrap().id;
    seeker.confirm(after(7_500), fifth);
    comes(&mut seeker, after(8_000), 6, 6);
    comes(&mut seeker, after(8_000), 7, 7);
    assert_eq!(here(&seeker), [3, 5, 6, 7]);
    // One source has two, of which one gives way to a third one.
    comes(&mut seeker, after(9_000), 8, 6);
    assert_eq!(here(&seeker), [3, 5, 7, 8]);
    comes(&mut seeker, after(9_000), 9, 8);
    comes(&mut seeker, after(9_000), 10, 8);
    comes(&mut seeker, after(9_000), 11, 8);
    let now = here(&seeker);
    assert!(now.starts_with(&[3, 5]) && now.len() == 4, "{now:?}");
    let of_8 = seeker
        .servers()
        .filter(|server| server.source.ip() == address("10.0.0.8:1").ip());
    assert_eq!(of_8.count(), 2);
    // All are established: who comes is passed over.
    let all: Vec<ServerId> = seeker.servers().map(|server| server.id).collect();
    for id in all {
        seeker.confirm(after(9_000), id);
    }
    comes(&mut seeker, after(9_000), 12, 12);
    assert_eq!((here(&seeker), seeker.counters().refused), (now, 1));
}

#[test]
fn reasons_are_words() {
    let reasons = [
        Reason::Expired,
        Reason::Left,
        Reason::Silent,
        Reason::Displaced,
    ];
    let words = reasons.map(|reason| reason.to_string());
    assert_eq!(words, ["expired", "left", "silent", "displaced"]);
}
