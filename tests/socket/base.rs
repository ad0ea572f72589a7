//! What all patterns have in common: endpoints, links, how they are made anew.

use std::time::Duration;

use atonce::socket::{
    Backoff, BindError, Config, ConnectError, Endpoint, Event, InvalidEndpoint, Kind, RecvError,
    SendError, SubscribeError, Timer, Why,
};
use atonce::wire::zmtp::{Command, SocketType};
use atonce::zmtp::{Error, Heartbeat};
use atonce::{Cut, Frames, Instant};

use crate::network::{HostId, Net};
use crate::{HERE, ms};

/// When each dial began, in milliseconds since the first one.
fn dials(net: &mut Net, host: HostId, steps: u64) -> Vec<u64> {
    let start = net.now;
    let mut dials = Vec::new();
    for _ in 0..steps {
        for event in net.events(host) {
            if matches!(event, Event::Connecting { .. }) {
                dials.push(net.now.as_millis() - start.as_millis());
            }
        }
        net.run_for(ms(1));
    }
    dials
}

fn ready(events: &[Event]) -> usize {
    let ready = |event: &&Event| matches!(event, Event::Ready { .. });
    events.iter().filter(ready).count()
}

#[test]
fn endpoints_are_read_as_they_are_written() {
    // SOCK-1, SOCK-2, SOCK-3
    for (text, written, dialled) in [
        ("tcp://127.0.0.1:5555", "", true),
        ("tcp://[::1]:5555", "", true),
        ("tcp://::1:5555", "tcp://[::1]:5555", true),
        ("tcp://eth0:1", "", true),
        ("tcp://example.org:65535", "", true),
        ("tcp://*:5555", "", false),
        ("tcp://*:*", "tcp://*:0", false),
        ("tcp://127.0.0.1:0", "", false),
        ("ipc:///tmp/feed", "", true),
        ("ipc://feed", "", true),
        ("ipc://@feed", "", true),
    ] {
        let endpoint: Endpoint = text.parse().unwrap();
        let written = if written.is_empty() { text } else { written };
        assert_eq!(endpoint.to_string(), written);
        assert_eq!(endpoint.can_be_dialled(), dialled, "{text}");
        assert_eq!(written.parse(), Ok(endpoint));
    }
    let long = format!("ipc:///{}", "a".repeat(107));
    for (text, error) in [
        ("", InvalidEndpoint::Scheme),
        ("udp://*:1", InvalidEndpoint::Scheme),
        ("tcp://host", InvalidEndpoint::NoPort),
        ("tcp://[::1]", InvalidEndpoint::NoPort),
        ("tcp://host:", InvalidEndpoint::Port),
        ("tcp://host:+1", InvalidEndpoint::Port),
        ("tcp://host:65536", InvalidEndpoint::Port),
        ("ipc://", InvalidEndpoint::Path),
        ("ipc://*", InvalidEndpoint::Path),
        ("ipc://@", InvalidEndpoint::Path),
        ("ipc://a\0b", InvalidEndpoint::Path),
        (
            long.as_str(),
            InvalidEndpoint::TooLong {
                octets: 108,
                limit: 107,
            },
        ),
    ] {
        assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
    }
    for text in [
        "tcp://:1",
        "tcp://a b:1",
        "tcp://*a:1",
        "tcp://127.0.0.300:1",
    ] {
        let error = text.parse::<Endpoint>();
        assert!(matches!(error, Err(InvalidEndpoint::Host(_))), "{text}");
    }
    assert!(
        format!("ipc:///{}", "a".repeat(106))
            .parse::<Endpoint>()
            .is_ok()
    );
}

#[test]
fn what_is_sent_before_anybody_listens_arrives() {
    // SOCK-10, SOCK-17
    for (from, to) in [
        (Kind::Push, Kind::Pull),
        (Kind::Dealer, Kind::Dealer),
        (Kind::Pair, Kind::Pair),
    ] {
        let mut net = Net::new();
        let (from, to) = (net.socket(from), net.socket(to));
        net.connect(from, HERE);
        net.send(from, "one");
        net.send(from, ["two".into(), "".into(), "three".into()]);
        net.run_for(ms(500));
        net.bind(to, HERE);
        net.run_for(ms(2_000));
        assert_eq!(net.recv_all(to), ["one", "two||three"]);
    }
}

#[test]
fn a_socket_listens_and_dials_as_often_as_it_likes() {
    // SOCK-4
    let mut net = Net::new();
    let (one, two, three) = (
        net.socket(Kind::Pull),
        net.socket(Kind::Pull),
        net.socket(Kind::Push),
    );
    net.bind(one, HERE);
    net.bind(one, "ipc:///tmp/feed");
    net.bind(two, "tcp://10.0.0.2:0");
    net.bind(three, "tcp://10.0.0.3:1");
    let real: Vec<Endpoint> = net.the(two).endpoints().map(|(_, at)| at.clone()).collect();
    assert_eq!(real[0].to_string(), "tcp://10.0.0.2:50000");
    net.connect(three, HERE);
    net.connect(three, HERE);
    net.connect(three, "ipc:///tmp/feed");
    net.connect(three, "tcp://10.0.0.2:50000");
    net.connect(two, "tcp://10.0.0.3:1");
    net.run_for(ms(10));
    assert_eq!(net.the(three).peers().count(), 5);
    assert_eq!(net.the(three).connects().count(), 4);
    assert_eq!(net.the(one).peers().count(), 3);
    let ipc = net.the(one).peers().last().unwrap().remote.to_string();
    assert_eq!(ipc, "ipc:///tmp/feed");
    for n in 0..10 {
        net.send(three, format!("{n}"));
    }
    net.run_for(ms(10));
    assert_eq!((net.recv_all(one).len(), net.recv_all(two).len()), (6, 4));
    // A place that is taken.
    let events = net.events(one);
    assert_eq!(
        events
            .iter()
            .filter(|it| matches!(it, Event::Listening { .. }))
            .count(),
        2
    );
    net.bind(two, HERE);
    let failed = |event: &Event| matches!(event, Event::ListenFailed { detail, .. } if **detail == *"address in use");
    assert!(net.events(two).iter().any(failed));
    assert_eq!(net.the(two).endpoints().count(), 1);
}

#[test]
fn a_listener_that_ends_leaves_its_links() {
    // SOCK-30
    let mut net = Net::new();
    let (push, pull) = (net.socket(Kind::Push), net.socket(Kind::Pull));
    let listener = net.bind(pull, HERE);
    net.connect(push, HERE);
    net.run_for(ms(10));
    let now = net.now;
    net.the(pull).unbind(now, listener);
    net.the(pull).unbind(now, listener);
    net.send(push, "still");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pull), ["still"]);
    let unbound = |event: &&Event| matches!(event, Event::Unbound { .. });
    assert_eq!(net.events(pull).iter().filter(unbound).count(), 1);
    // Nobody else comes in.
    let late = net.socket(Kind::Push);
    net.connect(late, HERE);
    net.run_for(ms(1_000));
    assert_eq!(net.the(pull).peers().count(), 1);
}

#[test]
fn pauses_between_dials_double_up_to_the_longest() {
    // SOCK-5
    let mut net = Net::new();
    let config = Config {
        reconnect: Backoff {
            first: ms(10),
            longest: ms(80),
            jitter: 0,
        },
        ..Config::default()
    };
    let push = net.socket_with(Kind::Push, config);
    net.connect(push, HERE);
    assert_eq!(
        dials(&mut net, push, 400),
        [0, 10, 30, 70, 150, 230, 310, 390]
    );
    // After a peer the first pause is due again.
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    net.run_for(ms(200));
    assert_eq!(net.the(push).peers().count(), 1);
    net.events(push);
    net.kill(pull);
    assert_eq!(dials(&mut net, push, 60)[..2], [11, 31]);
    // Not after one that lets us in and is gone again.
    net.run_for(ms(200));
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    net.run_for(ms(80));
    assert_eq!(net.the(push).peers().count(), 1);
    net.events(push);
    net.kill(pull);
    let [next, ..] = dials(&mut net, push, 200)[..] else {
        panic!("it is dialled again");
    };
    assert!((80..=81).contains(&next), "{next}");
}

#[test]
fn pauses_are_shortened_at_random_and_differ_from_socket_to_socket() {
    // SOCK-5
    let mut net = Net::new();
    let pushes: Vec<HostId> = (0..20).map(|_| net.socket(Kind::Push)).collect();
    let mut pauses = Vec::new();
    for push in pushes {
        net.connect(push, HERE);
        let dials = dials(&mut net, push, 110);
        assert!((50..=100).contains(&dials[1]), "{dials:?}");
        pauses.push(dials[1]);
    }
    pauses.sort_unstable();
    pauses.dedup();
    assert!(pauses.len() > 8, "{pauses:?}");
}

#[test]
fn who_will_not_talk_to_us_is_asked_again_after_the_longest_pause() {
    // SOCK-6
    let longest = Config {
        reconnect: Backoff {
            jitter: 0,
            ..Backoff::default()
        },
        ..Config::default()
    };
    // The wrong type.
    let mut net = Net::new();
    let (push, publisher) = (
        net.socket_with(Kind::Push, longest.clone()),
        net.socket(Kind::Pub),
    );
    net.bind(publisher, HERE);
    net.connect(push, HERE);
    let times = dials(&mut net, push, 31_000);
    assert!(times.len() == 2 && times[1] >= 30_000, "{times:?}");
    assert!(net.the(push).counters().failed > 0);
    // An ERROR.
    let mut net = Net::new();
    let push = net.socket_with(Kind::Push, longest);
    let puppet = net.puppet_at(SocketType::Pull, HERE);
    let reason = "go away".try_into().unwrap();
    net.the_puppet(puppet)
        .connection
        .as_mut()
        .unwrap()
        .refuse(&reason);
    net.connect(push, HERE);
    net.run_for(ms(100));
    let events = net.events(push);
    let why = |event: &Event| {
        matches!(
            event,
            Event::Disconnected {
                why: Why::Failed(Error::Refused { .. }),
                was_ready: false,
                lost: 0,
                ..
            }
        )
    };
    assert!(events.iter().any(why), "{events:?}");
    let after = events.iter().find_map(|event| match event {
        Event::Retrying { after, .. } => Some(*after),
        _ => None,
    });
    assert_eq!(after, Some(Duration::from_secs(30)));
}

#[test]
fn a_dial_and_its_handshake_have_their_time() {
    // SOCK-7
    let mut net = Net::new();
    let config = Config {
        handshake_timeout: ms(500),
        ..Config::default()
    };
    let push = net.socket_with(Kind::Push, config.clone());
    net.silence(HERE);
    net.connect(push, HERE);
    let timer = net.the(push).poll_timeout().unwrap().1;
    assert!(matches!(timer, Timer::Connection(_)), "{timer:?}");
    net.run_for(ms(499));
    assert_eq!(net.the(push).counters().failed, 0);
    net.run_for(ms(2));
    assert_eq!(net.the(push).counters().failed, 1);
    // Somebody who says nothing.
    let pull = net.socket_with(Kind::Pull, config);
    net.bind(pull, "tcp://10.0.0.2:1");
    let raw = net.raw("tcp://10.0.0.2:1");
    net.run_for(ms(490));
    assert!(!net.the_puppet(raw).ended);
    net.run_for(ms(1_200));
    assert!(net.the_puppet(raw).ended);
    assert_eq!(net.the(pull).usage().links, 0);
    // The dial is made when there is somebody.
    net.unsilence(HERE);
    net.bind(pull, HERE);
    net.run_for(ms(2_000));
    assert_eq!(net.the(push).peers().count(), 1);
}

#[test]
fn what_is_not_for_a_pattern_is_told() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(Kind::Push), net.socket(Kind::Pull));
    let now = net.now;
    assert_eq!(net.try_send(pull, "x"), Err(SendError::NotSending));
    assert_eq!(net.try_recv(push), Err(RecvError::NotReceiving));
    assert!(!net.the(pull).can_send() && !net.the(push).can_recv());
    let subscribed = net.the(push).subscribe(now, "x");
    assert_eq!(subscribed, Err(SubscribeError::NotSubscribing));
    let unsubscribed = net.the(push).unsubscribe(now, b"x");
    assert_eq!(unsubscribed, Err(SubscribeError::NotSubscribing));
    assert_eq!(net.try_send(push, Frames::new()), Err(SendError::NoFrames));
    // SOCK-3
    for text in ["tcp://*:1", "tcp://10.0.0.1:0"] {
        let connected = net.the(push).connect(now, &text.parse().unwrap());
        assert_eq!(connected, Err(ConnectError::NoAddress));
    }
    net.the(push).close(now);
    let here = HERE.parse().unwrap();
    assert_eq!(net.the(push).bind(now, &here), Err(BindError::Closed));
    assert_eq!(net.the(push).connect(now, &here), Err(ConnectError::Closed));
    assert_eq!(net.try_send(push, "x"), Err(SendError::Closed));
    assert_eq!(net.try_recv(push), Err(RecvError::Closed));
}

#[test]
fn a_silent_peer_is_given_up_and_dialled_again() {
    let mut net = Net::new();
    let config = Config {
        heartbeat: Some(Heartbeat::every(ms(100))),
        ..Config::default()
    };
    let push = net.socket_with(Kind::Push, config);
    let silent = net.puppet_at(SocketType::Pull, HERE);
    net.connect(push, HERE);
    net.run_for(ms(10));
    assert_eq!(net.the(push).peers().count(), 1);
    net.the_puppet(silent).reads = false;
    net.send(push, "lost");
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    net.run_for(ms(1_000));
    let events = net.events(push);
    let timed_out = |event: &Event| {
        matches!(
            event,
            Event::Disconnected {
                why: Why::Failed(Error::TimedOut(_)),
                was_ready: true,
                ..
            }
        )
    };
    assert!(events.iter().any(timed_out), "{events:?}");
    assert_eq!(ready(&events), 2);
    net.send(push, "found");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pull), ["found"]);
    // One that answers stays.
    net.run_for(Duration::from_secs(60));
    assert_eq!(ready(&net.events(push)), 0);
    assert_eq!(net.the(push).peers().count(), 1);
}

#[test]
fn what_a_peer_that_speaks_garbage_sent_before_is_given() {
    // SOCK-22
    let mut net = Net::new();
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    let puppet = net.puppet(SocketType::Push, HERE);
    net.run_for(ms(10));
    net.puppet_sends(puppet, "good");
    net.run_for(ms(10));
    let connection = net.the_puppet(puppet).connection.take();
    assert!(connection.is_some());
    net.puppet_says(puppet, b"\xFF\xFF");
    net.run_for(ms(10));
    assert!(net.the_puppet(puppet).ended);
    assert_eq!(net.the(pull).peers().count(), 0);
    assert_eq!(net.recv_all(pull), ["good"]);
    assert_eq!(net.the(pull).usage(), atonce::socket::Usage::default());
}

#[test]
fn calls_about_links_that_are_gone_change_nothing() {
    let mut net = Net::new();
    let (push, pull) = (net.socket(Kind::Push), net.socket(Kind::Pull));
    net.bind(pull, HERE);
    net.connect(push, HERE);
    net.run_for(ms(10));
    let link = net.the(push).peers().next().unwrap().link;
    net.cut(push);
    net.run_for(ms(1_000));
    let again = net.the(push).peers().next().unwrap().link;
    assert_ne!(link, again, "a name is never used twice");
    let before = (*net.the(push).counters(), net.the(push).usage());
    let now = net.now;
    let socket = net.the(push);
    socket.handle_connected(now, link);
    socket.handle_received(now, link, b"\xFF\xFF");
    socket.handle_transmitted(now, link, 1_000);
    socket.handle_filled(now, link);
    socket.handle_verdict(now, link, atonce::Verdict::Allow);
    socket.handle_disconnected(now, link, Cut::Reset);
    assert!(socket.receive_buffer(link).is_none());
    assert_eq!(socket.poll_transmit(link).count(), 0);
    assert_eq!((*socket.counters(), socket.usage()), before);
    assert_eq!(socket.poll_action(), None);
    // Twice connected, more transmitted than there was.
    socket.handle_connected(now, again);
    socket.handle_transmitted(now, again, usize::MAX);
    net.send(push, "works");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pull), ["works"]);
}

#[test]
fn the_same_seed_and_inputs_give_the_same_outputs() {
    let run = || {
        let mut net = Net::new();
        let pull = net.socket(Kind::Pull);
        let pushes = [(); 5].map(|()| net.socket(Kind::Push));
        for push in pushes {
            net.connect(push, HERE);
            net.connect(push, "tcp://10.0.0.2:1");
        }
        net.run_for(ms(300));
        net.bind(pull, HERE);
        let mut told = Vec::new();
        for n in 0..200 {
            let push = pushes[n % 5];
            if n % 37 == 0 {
                net.cut(push);
            }
            let sent = net.try_send(push, format!("{n}"));
            told.push(format!("{sent:?}"));
            net.run_for(ms(20));
            told.push(format!("{:?}", net.recv_all(pull)));
            told.push(format!("{:?}{:?}", net.events(push), net.events(pull)));
        }
        told
    };
    assert_eq!(run(), run());
}

#[test]
fn commands_of_a_publisher_mean_nothing_to_others() {
    let mut net = Net::new();
    let pull = net.socket(Kind::Pull);
    net.bind(pull, HERE);
    let puppet = net.puppet(SocketType::Push, HERE);
    net.run_for(ms(10));
    net.the_puppet(puppet)
        .connection
        .as_mut()
        .unwrap()
        .subscribe(b"x");
    net.puppet_sends(puppet, "message");
    net.run_for(ms(10));
    assert_eq!(net.recv_all(pull), ["message"]);
    let command = Command::Subscribe("x".into());
    assert_eq!(command.name(), b"SUBSCRIBE");
    assert!(net.now > Instant::ZERO);
}
