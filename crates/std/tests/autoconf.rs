//! Servers that announce themselves and clients that find them, over real sockets. On the loopback, or in a network of its own:
//! `cargo test -p atonce-std --test autoconf -- --ignored`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

#[path = "common/loopback.rs"]
mod loopback;
#[path = "common/namespace.rs"]
mod namespace;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use atonce::wire::autoconf::Datagram;
use atonce_std::autoconf::hello::{ClientEvent, ServerEvent};
use atonce_std::autoconf::{
    Announcer, AnnouncerBuilder, Answerer, AutoconfError, Event, Hello, InvalidOffer, Reason,
    Seeker, SeekerBuilder, Server,
};
use atonce_std::socket::Kind;
use atonce_std::{Certificate, Socket, Trust};
use loopback::{PATIENCE, free_endpoint, free_port};
use namespace::{ip, within};

fn announcer(port: u16) -> AnnouncerBuilder {
    Announcer::builder("printing").interface("lo").port(port)
}

fn seeker(port: u16) -> SeekerBuilder {
    let seeker = Seeker::builder().service("printing");
    seeker.interface("lo").port(port)
}

fn found(seeker: &Seeker) -> Arc<Server> {
    match seeker.recv_timeout(PATIENCE) {
        Some(Event::Found { server }) => server,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_is_found_whoever_starts_first_and_lost_when_it_stops() {
    // AUTO-10, AUTO-21, AUTO-24, AUTO-32
    let port = free_port();
    let first = seeker(port).start().unwrap();
    let endpoint = "127.0.0.1:50053";
    let announcer = announcer(port)
        .endpoint(format!("tcp://{endpoint}"))
        .property("colour", "yes")
        .start()
        .unwrap();
    let late = seeker(port).start().unwrap();
    for seeker in [&first, &late] {
        let server = found(seeker);
        assert_eq!(server.endpoints, [endpoint.parse().unwrap()]);
        assert_eq!(server.offer, announcer.offer().unwrap());
        assert_eq!(Some(server.instance), announcer.instance());
        assert!(server.source.ip().is_loopback() && seeker.is_in_order(server.id));
        assert_eq!(seeker.servers(), [server]);
    }
    announcer.stop();
    assert_eq!(announcer.counters().goodbyes, 2);
    for seeker in [first, late] {
        let mut lost = seeker.recv_timeout(PATIENCE);
        // It is told of who looks in time.
        if let Some(Event::Doubted { .. }) = lost {
            lost = seeker.recv_timeout(PATIENCE);
        }
        let Some(Event::Lost { reason, .. }) = lost else {
            panic!("{lost:?}");
        };
        assert_eq!((reason, seeker.find(Duration::ZERO)), (Reason::Left, None));
        assert_eq!(seeker.try_recv(), None);
        seeker.stop();
        assert_eq!(seeker.recv(), None);
        assert_eq!(seeker.events().count(), 0);
    }
}

#[test]
fn each_way_of_ipv4_suffices() {
    // AUTO-10
    for (ipv4, broadcast) in [(true, false), (false, true)] {
        let port = free_port();
        let announcer = announcer(port).ipv4(ipv4).broadcast(broadcast);
        let _announcer = announcer.endpoint("tcp://127.0.0.1:1").start().unwrap();
        let seeker = seeker(port).ipv4(ipv4).broadcast(broadcast).ipv6(false);
        let seeker = seeker.start().unwrap();
        assert!(seeker.find(PATIENCE).is_some(), "{ipv4} {broadcast}");
    }
    let none = seeker(free_port()).ipv4(false).ipv6(false).broadcast(false);
    assert!(matches!(none.start(), Err(AutoconfError::NoWay)));
}

#[test]
fn everywhere_is_what_the_interface_has() {
    // AUTO-14
    let port = free_port();
    for (said, expected) in [
        ("tcp://*:50053", &["127.0.0.1:50053", "[::1]:50053"][..]),
        ("tcp://0.0.0.0:50053", &["127.0.0.1:50053"]),
        ("tcp://[::]:50053", &["[::1]:50053"]),
    ] {
        let announcer = announcer(port).endpoint(said).start().unwrap();
        let expected = expected.iter().map(|expected| expected.parse().unwrap());
        let expected: Vec<SocketAddr> = expected.collect();
        assert_eq!(announcer.offer().unwrap().endpoints(), expected, "{said}");
    }
}

#[test]
fn services_and_servers_share_a_network() {
    // AUTO-30
    let port = free_port();
    let key = *Certificate::generate().unwrap().public_key();
    let announce = |service: &str, at: u16| {
        let builder = Announcer::builder(service).interface("lo").port(port);
        builder.endpoint(format!("tcp://127.0.0.1:{at}"))
    };
    let _servers = [
        announce("printing", 1).start().unwrap(),
        announce("printing", 2).key(key).start().unwrap(),
        announce("scanning", 3).start().unwrap(),
    ];
    let ports = |seeker: &Seeker, many: usize| {
        let mut ports: Vec<u16> = (0..many)
            .map(|_| found(seeker).endpoints[0].port())
            .collect();
        assert_eq!(seeker.recv_timeout(Duration::from_millis(300)), None);
        ports.sort_unstable();
        ports
    };
    assert_eq!(ports(&seeker(port).start().unwrap(), 2), [1, 2]);
    assert_eq!(ports(&seeker(port).key(key).start().unwrap(), 1), [2]);
    let all = Seeker::builder().interface("lo").port(port);
    assert_eq!(ports(&all.start().unwrap(), 3), [1, 2, 3]);
}

#[test]
fn who_does_not_answer_is_doubted_and_who_announces_is_trusted() {
    // AUTO-34, AUTO-35
    let port = free_port();
    let announcer = announcer(port)
        .endpoint("tcp://127.0.0.1:1")
        .start()
        .unwrap();
    let seeker = seeker(port).start().unwrap();
    let server = found(&seeker);
    seeker.doubt(server.id);
    assert!(matches!(
        seeker.recv_timeout(PATIENCE),
        Some(Event::Doubted { .. })
    ));
    assert!(matches!(
        seeker.recv_timeout(PATIENCE),
        Some(Event::Trusted { .. })
    ));
    seeker.doubt(server.id);
    seeker.confirm(server.id);
    assert!(seeker.is_in_order(server.id));
    drop(announcer);
    let gone = std::iter::from_fn(|| seeker.recv_timeout(PATIENCE))
        .find(|event| matches!(event, Event::Lost { .. }));
    assert!(gone.is_some() && seeker.find(Duration::ZERO).is_none());
}

#[test]
fn a_datagram_of_anybody_is_answered_or_passed_over() {
    // AUTO-1, AUTO-23
    let port = free_port();
    let announcer = announcer(port)
        .endpoint("tcp://127.0.0.1:1")
        .start()
        .unwrap();
    let anybody = UdpSocket::bind("127.0.0.1:0").unwrap();
    anybody.set_broadcast(true).unwrap();
    let query = Datagram::Query(None).encode();
    let long = vec![0xAA; 9_000];
    for datagram in [&b""[..], b"hello", &long, &query] {
        anybody
            .send_to(datagram, ("127.255.255.255", port))
            .unwrap();
    }
    let until = Instant::now() + PATIENCE;
    while announcer.counters().announcements < 2 && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    let counters = announcer.counters();
    assert_eq!((counters.announcements, counters.queries), (2, 1));
    assert_eq!(counters.malformed, 3);
}

#[test]
fn what_cannot_be_announced_or_sought_is_told() {
    // AUTO-4, AUTO-5, AUTO-12, AUTO-20
    let port = free_port();
    let error = |builder: AnnouncerBuilder| builder.start().unwrap_err().to_string();
    assert_eq!(
        error(announcer(port)),
        "this cannot be announced: a server has at least one endpoint"
    );
    assert_eq!(
        error(announcer(port).endpoint("tcp://127.0.0.1:0")),
        "this cannot be announced: port 0 is no port that can be dialled: bind first"
    );
    assert_eq!(
        error(announcer(port).endpoint("tcp://*:0")),
        "this cannot be announced: port 0 is no port that can be dialled: bind first"
    );
    for endpoint in [
        "tcp://example.org:1",
        "127.0.0.1:1",
        "ipc:///tmp/x",
        "tcp://127.0.0.1",
    ] {
        let error = announcer(port).endpoint(endpoint).start().unwrap_err();
        assert!(
            matches!(error, AutoconfError::Endpoint { .. }),
            "{endpoint}: {error}"
        );
    }
    let nine = (1..=9).fold(announcer(port), |builder, n| {
        builder.endpoint(format!("tcp://127.0.0.1:{n}"))
    });
    let error = nine.start().unwrap_err();
    assert!(matches!(
        error,
        AutoconfError::Offer(InvalidOffer::TooManyEndpoints)
    ));
    let here = || announcer(port).endpoint("tcp://127.0.0.1:1");
    let error = here().property("x", "y".repeat(256)).start().unwrap_err();
    assert!(matches!(error, AutoconfError::Property { .. }));
    let error = here().interface("eth99").start().unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("there is no interface \"eth99\" on this machine; there is: "),
        "{told}"
    );
    assert!(told.contains("lo (127.0.0.1"), "{told}");
    let error = seeker(port).service("").start().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the service \"\": the name of a service has at least one octet"
    );
    let taken = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    let error = seeker(port).start().unwrap_err();
    assert!(matches!(error, AutoconfError::Port { .. }), "{error}");
    drop(taken);
}

// ---- hello

fn at(endpoint: &str) -> Arc<Server> {
    let port = free_port();
    let _announcer = announcer(port).endpoint(endpoint).start().unwrap();
    let seeker = seeker(port).start().unwrap();
    seeker.find(PATIENCE).unwrap()
}

#[test]
fn whoever_says_hello_is_answered_and_told_of() {
    // AUTO-50, AUTO-51, AUTO-52
    let answerer = Answerer::bind("tcp://127.0.0.1:0").unwrap();
    let server = at(answerer.endpoint());
    thread::scope(|scope| {
        for n in 0..5 {
            let (server, name) = (&server, format!("client{n}"));
            scope.spawn(move || {
                let answer = Hello::new(&name).unwrap().say(server).unwrap();
                let endpoint = server.endpoints[0];
                assert_eq!(answer, ClientEvent::Welcome { endpoint });
            });
        }
        let mut names: Vec<String> = (0..5)
            .map(|_| match answerer.recv_timeout(PATIENCE) {
                Some(ServerEvent::Hello { name }) => name.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["client0", "client1", "client2", "client3", "client4"]
        );
    });
    assert_eq!(answerer.recv_timeout(Duration::ZERO), None);
    answerer.close();
    assert_eq!(answerer.recv(), None);
}

#[test]
fn a_server_that_says_something_else_is_told_with_its_text() {
    // AUTO-52
    let rep = Socket::new(Kind::Rep).unwrap();
    let endpoint = rep.bind("tcp://127.0.0.1:0").unwrap();
    let server = at(&endpoint);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(rep.recv().unwrap()[0], "alice HI");
            rep.send("go away").unwrap();
        });
        let answer = Hello::new("alice").unwrap().say(&server).unwrap();
        let (endpoint, text) = (server.endpoints[0], "go away".into());
        assert_eq!(answer, ClientEvent::Answered { endpoint, text });
    });
}

#[test]
fn who_is_silent_or_gone_is_given_up_and_who_comes_back_is_reached() {
    // AUTO-53, AUTO-54
    let hello = Hello::new("alice").unwrap();
    let hello = hello.timeout(Duration::from_millis(300)).tries(2);
    let rep = Socket::new(Kind::Rep).unwrap();
    let endpoint = rep.bind(free_endpoint()).unwrap();
    let server = at(&endpoint);
    let gone = ClientEvent::Unanswered { tries: 2 };
    // It takes the question, and does not answer.
    assert_eq!(hello.say(&server).unwrap(), gone);
    // It dies between the question and the answer: the next try reaches who came in its place.
    let answer = thread::scope(|scope| {
        let again = hello.clone().timeout(PATIENCE).tries(20);
        let asked = scope.spawn(move || again.say(&server).unwrap());
        while rep.recv().unwrap()[0] != "alice HI" {}
        rep.close();
        let answerer = Answerer::bind(&endpoint).unwrap();
        while !asked.is_finished() {
            answerer.recv_timeout(Duration::from_millis(20));
        }
        asked.join().unwrap()
    });
    assert!(matches!(answer, ClientEvent::Welcome { .. }), "{answer:?}");
    // Nobody listens there: it is refused, and not waited for.
    let begun = Instant::now();
    let slow = hello.timeout(PATIENCE);
    assert_eq!(slow.say(&at(&endpoint)).unwrap(), gone);
    assert!(begun.elapsed() < PATIENCE);
}

/// An endpoint where the system takes connections and nobody speaks, as of a program that hangs.
fn silent() -> (std::net::TcpListener, String) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", silent.local_addr().unwrap());
    (silent, endpoint)
}

#[test]
fn behind_four_endpoints_at_which_nobody_speaks_the_fifth_is_reached() {
    // AUTO-53
    let answerer = Answerer::bind("tcp://127.0.0.1:0").unwrap();
    let dead: Vec<_> = (0..4).map(|_| silent()).collect();
    let port = free_port();
    let builder = dead.iter().fold(announcer(port), |builder, (_, endpoint)| {
        builder.endpoint(endpoint)
    });
    let _announcer = builder.endpoint(answerer.endpoint()).start().unwrap();
    let seeker = seeker(port).start().unwrap();
    let server = seeker.find(PATIENCE).unwrap();
    // One after the other they would take all of that, each.
    let hello = Hello::new("alice").unwrap().timeout(PATIENCE);
    let begun = Instant::now();
    thread::scope(|scope| {
        let asked = scope.spawn(|| hello.say(&server).unwrap());
        while !asked.is_finished() {
            answerer.recv_timeout(Duration::from_millis(20));
        }
        let endpoint = server.endpoints[4];
        assert_eq!(asked.join().unwrap(), ClientEvent::Welcome { endpoint });
        assert!(begun.elapsed() < PATIENCE);
    });
}

#[test]
fn a_hello_is_given_up_when_its_server_is_doubted() {
    // AUTO-54
    let (_silent, endpoint) = silent();
    let port = free_port();
    let _announcer = announcer(port).endpoint(endpoint).start().unwrap();
    let seeker = seeker(port).start().unwrap();
    let server = seeker.find(PATIENCE).unwrap();
    let hello = Hello::new("alice").unwrap().timeout(PATIENCE).tries(1);
    thread::scope(|scope| {
        let said = scope.spawn(|| {
            hello
                .say_while(&server, |is_reached| {
                    assert!(!is_reached);
                    seeker.is_in_order(server.id)
                })
                .unwrap()
        });
        // Doubts end as soon as it is heard: until one of them is seen.
        let until = Instant::now() + PATIENCE / 2;
        while !said.is_finished() && Instant::now() < until {
            seeker.doubt(server.id);
            thread::sleep(Duration::from_millis(10));
        }
        assert!(said.is_finished());
        assert_eq!(said.join().unwrap(), None);
    });
}

#[test]
fn the_answer_of_a_server_that_stops_is_waited_for() {
    // AUTO-54
    let rep = Socket::new(Kind::Rep).unwrap();
    let server = at(&rep.bind("tcp://127.0.0.1:0").unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let hello = Hello::new("alice").unwrap();
        let said = scope.spawn(move || {
            let mut is_there = true;
            hello.say_while(&server, |is_reached| {
                is_there &= told.try_recv().is_err();
                is_reached || is_there
            })
        });
        assert_eq!(rep.recv().unwrap()[0], "alice HI");
        tell.send(()).unwrap();
        thread::sleep(Duration::from_millis(100)); // that is seen meanwhile
        rep.send("OK").unwrap();
        let answer = said.join().unwrap().unwrap();
        assert!(
            matches!(answer, Some(ClientEvent::Welcome { .. })),
            "{answer:?}"
        );
    });
}

#[test]
fn an_announcer_tells_where_it_is_announced_now() {
    // AUTO-14, AUTO-22
    let announcer = announcer(free_port()).endpoint("tcp://127.0.0.1:1");
    let announcer = announcer.start().unwrap();
    let (instance, offer) = announcer.next_instance(None).unwrap();
    assert_eq!(Some(instance), announcer.instance());
    assert_eq!(Some(offer), announcer.offer());
    thread::scope(|scope| {
        let waits = scope.spawn(|| announcer.next_instance(Some(instance)));
        announcer.stop();
        assert_eq!(waits.join().unwrap(), None);
    });
}

#[test]
fn a_client_that_dies_does_not_stop_the_server() {
    // AUTO-55
    let answerer = Answerer::bind("tcp://127.0.0.1:0").unwrap();
    for n in 0..3 {
        let req = Socket::builder(Kind::Req).linger(PATIENCE);
        let req = req.connect(answerer.endpoint()).open().unwrap();
        req.send(format!("client{n} HI")).unwrap();
        // What it asked is there; it is gone before it is answered.
        thread::sleep(Duration::from_millis(100));
        drop(req);
        thread::sleep(Duration::from_millis(50));
    }
    let server = at(answerer.endpoint());
    thread::scope(|scope| {
        let asked = scope.spawn(|| Hello::new("last").unwrap().say(&server).unwrap());
        while !asked.is_finished() {
            answerer.recv_timeout(Duration::from_millis(20));
        }
        let answer = asked.join().unwrap();
        assert!(matches!(answer, ClientEvent::Welcome { .. }), "{answer:?}");
    });
}

#[test]
fn over_curve_the_owner_of_the_key_answers_or_nobody() {
    // AUTO-6
    let [own, other, client] = [(); 3].map(|()| Certificate::generate().unwrap());
    let trust = Trust::keys([*client.public_key()]);
    let answerer = Answerer::bind_secure("tcp://127.0.0.1:0", own.clone(), trust).unwrap();
    let port = free_port();
    let announced = |key: &Certificate| {
        let builder = announcer(port).endpoint(answerer.endpoint());
        builder.key(*key.public_key()).start().unwrap()
    };
    let sought = |key: &Certificate| {
        let seeker = seeker(port).key(*key.public_key()).start().unwrap();
        seeker.find(PATIENCE).unwrap()
    };
    let _announcers = [announced(&own), announced(&other)];
    let say = |server: &Server, certificate: Option<&Certificate>| {
        let hello = Hello::new("alice").unwrap();
        let hello = hello.timeout(Duration::from_secs(2)).tries(1);
        let hello = match certificate {
            Some(own) => hello.certificate(own.clone()),
            None => hello,
        };
        thread::scope(|scope| {
            let asked = scope.spawn(move || hello.say(server).unwrap());
            while !asked.is_finished() {
                answerer.recv_timeout(Duration::from_millis(20));
            }
            asked.join().unwrap()
        })
    };
    let (right, lie) = (sought(&own), sought(&other));
    let welcome = say(&right, Some(&client));
    assert!(
        matches!(welcome, ClientEvent::Welcome { .. }),
        "{welcome:?}"
    );
    // A stranger's key, and a client whom nobody knows.
    let gone = ClientEvent::Unanswered { tries: 1 };
    assert_eq!(say(&lie, Some(&client)), gone);
    assert_eq!(say(&right, None), gone);
}

// ---- in a network of its own

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn interfaces_come_and_go_and_ipv6_suffices() {
    // AUTO-10, AUTO-12, AUTO-13, AUTO-14, AUTO-22, AUTO-38
    within("interfaces_come_and_go_and_ipv6_suffices", follow);
}

fn follow() {
    ip("link set lo up");
    ip("link add eth7 type veth peer name eth8");
    ip("link set eth8 up");
    // No network: that is no error. One keeps to the loopback, and is not to be met over the network.
    let everywhere = || Announcer::builder("printing").endpoint("tcp://*:50053");
    let announcer = everywhere().start().unwrap();
    assert_eq!(announcer.offer(), None);
    let waits = announcer.clone();
    let first = thread::spawn(move || waits.next_instance(None));
    let _local = everywhere().interface("lo").start().unwrap();
    let seeker = Seeker::builder().service("printing").start().unwrap();
    let local = Seeker::builder().interface("lo").start().unwrap();

    ip("addr add 10.77.0.1/24 brd + dev eth7");
    ip("link set eth7 up");
    let server = found(&seeker);
    assert_eq!(server.endpoints[0], "10.77.0.1:50053".parse().unwrap());
    let (first, offer) = first.join().unwrap().unwrap();
    assert_eq!((first, offer), (server.instance, server.offer.clone()));
    assert_eq!(
        found(&local).endpoints,
        [
            "127.0.0.1:50053".parse().unwrap(),
            "[::1]:50053".parse().unwrap()
        ]
    );

    // Another address is another instance, which is found at once.
    ip("addr del 10.77.0.1/24 dev eth7");
    ip("addr add 10.77.0.9/24 brd + dev eth7");
    let until = Instant::now() + PATIENCE;
    let moved: SocketAddr = "10.77.0.9:50053".parse().unwrap();
    let moved = loop {
        let server = seeker.find(PATIENCE).unwrap();
        if server.endpoints.contains(&moved) {
            break server;
        }
        assert!(Instant::now() < until, "{server:?}");
        thread::sleep(Duration::from_millis(50));
    };
    assert_ne!(moved.instance, server.instance);
    let (now, _) = announcer.next_instance(Some(first)).unwrap();
    assert_eq!(Some(now), announcer.instance());

    // IPv6 alone, at an address of the link, over its multicast alone.
    let six = || {
        Seeker::builder()
            .service("six")
            .ipv4(false)
            .broadcast(false)
    };
    let first = six().start().unwrap();
    let builder = Announcer::builder("six").ipv4(false).broadcast(false);
    let six_only = builder.endpoint("tcp://[::]:50066").start().unwrap();
    let late = six().start().unwrap();
    for seeker in [&first, &late] {
        let server = found(seeker);
        let SocketAddr::V6(endpoint) = server.endpoints[0] else {
            panic!("{server:?}");
        };
        assert!(endpoint.ip().is_unicast_link_local() && endpoint.scope_id() != 0);
        assert!(server.source.is_ipv6());
    }
    // And over TCP, at that address.
    let answerer = Answerer::bind("tcp://[::]:50066").unwrap();
    let server = first.find(PATIENCE).unwrap();
    thread::scope(|scope| {
        let asked = scope.spawn(|| Hello::new("six").unwrap().say(&server).unwrap());
        while !asked.is_finished() {
            answerer.recv_timeout(Duration::from_millis(20));
        }
        let endpoint = server.endpoints[0];
        assert_eq!(asked.join().unwrap(), ClientEvent::Welcome { endpoint });
    });
    six_only.stop();
    // Those of the loopback met nobody else.
    assert_eq!(local.servers().len(), 1);
    let heard = seeker.servers();
    let local_ones = heard
        .iter()
        .filter(|server| server.source.ip().is_loopback());
    assert_eq!(local_ones.count(), 0);
}
