//! Servers that announce themselves and clients that find them, as tasks, over real sockets. On the loopback, or in a network of its own:
//! `cargo test -p atonce-tokio --test autoconf -- --ignored`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

#[path = "../../std/tests/common/loopback.rs"]
mod loopback;
#[path = "../../std/tests/common/namespace.rs"]
mod namespace;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use atonce_tokio::autoconf::hello::{ClientEvent, ServerEvent};
use atonce_tokio::autoconf::{
    Announcer, AnnouncerBuilder, Answerer, AutoconfError, Event, Hello, Reason, Seeker,
    SeekerBuilder, Server,
};
use atonce_tokio::socket::Kind;
use atonce_tokio::{Certificate, Socket, Trust};
use futures_core::Stream;
use loopback::{PATIENCE, free_endpoint, free_port};
use namespace::{ip, within};
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout};

fn announcer(port: u16) -> AnnouncerBuilder<Announcer> {
    Announcer::builder("printing").interface("lo").port(port)
}

fn seeker(port: u16) -> SeekerBuilder<Seeker> {
    let seeker = Seeker::builder().service("printing");
    seeker.interface("lo").port(port)
}

/// Within patience.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.unwrap()
}

async fn found(seeker: &Seeker) -> Arc<Server> {
    match soon(seeker.recv()).await {
        Some(Event::Found { server }) => server,
        other => panic!("{other:?}"),
    }
}

/// One look, as `select!` takes before it drops it.
fn looked_at(future: impl Future) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    pin!(future).poll(&mut cx).is_ready()
}

#[tokio::test]
async fn a_server_is_found_whoever_starts_first_and_lost_when_it_stops() {
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
        let server = found(seeker).await;
        assert_eq!(server.endpoints, [endpoint.parse().unwrap()]);
        assert_eq!(server.offer, announcer.offer().unwrap());
        assert_eq!(Some(server.instance), announcer.instance());
        assert!(server.source.ip().is_loopback() && seeker.is_in_order(server.id));
        assert_eq!(seeker.servers(), [server]);
        assert!(seeker.counters().announcements > 0);
    }
    soon(announcer.stop()).await;
    assert_eq!(announcer.counters().goodbyes, 2);
    for seeker in [first, late] {
        let mut lost = soon(seeker.recv()).await;
        // It is told of who looks in time.
        if let Some(Event::Doubted { .. }) = lost {
            lost = soon(seeker.recv()).await;
        }
        let Some(Event::Lost { reason, .. }) = lost else {
            panic!("{lost:?}");
        };
        assert_eq!(reason, Reason::Left);
        assert!(!looked_at(seeker.find()));
        assert_eq!(seeker.try_recv(), None);
        soon(seeker.stop()).await;
        assert_eq!(soon(seeker.recv()).await, None);
        let mut events = seeker.events();
        assert_eq!(
            poll_fn(|cx| Pin::new(&mut events).poll_next(cx)).await,
            None
        );
        assert_eq!(soon(seeker.find()).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_dropped_while_it_waits_takes_nothing_from_who_goes_on() {
    let port = free_port();
    let seeker = seeker(port).start().unwrap();
    let dropped: Vec<_> = (0..8)
        .map(|_| {
            let seeker = seeker.clone();
            tokio::spawn(async move { seeker.recv().await })
        })
        .collect();
    for task in dropped {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let _announcer = announcer(port)
        .endpoint("tcp://127.0.0.1:1")
        .start()
        .unwrap();
    // What is looked at often, and dropped each time, finds it in the end.
    let server = soon(async {
        loop {
            tokio::select! {
                event = seeker.recv() => break event,
                () = tokio::task::yield_now() => {}
            }
        }
    });
    assert!(matches!(server.await, Some(Event::Found { .. })));
}

#[tokio::test]
async fn events_are_a_stream() {
    // AUTO-34, AUTO-35
    let port = free_port();
    let announcer = announcer(port)
        .endpoint("tcp://127.0.0.1:1")
        .start()
        .unwrap();
    let seeker = seeker(port).start().unwrap();
    let mut events = seeker.events();
    let mut next = async || soon(poll_fn(|cx| Pin::new(&mut events).poll_next(cx))).await;
    let Some(Event::Found { server }) = next().await else {
        panic!();
    };
    seeker.confirm(server.id);
    assert!(!looked_at(seeker.not_in_order(server.id)));
    seeker.doubt(server.id);
    soon(seeker.not_in_order(server.id)).await;
    assert!(matches!(next().await, Some(Event::Doubted { .. })));
    // It is asked for, and is there.
    assert!(matches!(next().await, Some(Event::Trusted { .. })));
    let gone = seeker.not_in_order(server.id);
    drop(announcer); // says goodbye
    soon(gone).await;
    while !matches!(next().await, Some(Event::Lost { .. })) {}
    drop(events);
    // Who waits for a doubt is told of the end.
    let ((), ()) = tokio::join!(soon(seeker.not_in_order(server.id)), soon(seeker.stop()));
}

#[tokio::test]
async fn a_command_is_heard_by_who_waits() {
    // AUTO-35
    let port = free_port();
    let _announcer = announcer(port)
        .endpoint("tcp://127.0.0.1:1")
        .start()
        .unwrap();
    let seeker = seeker(port).start().unwrap();
    let server = soon(seeker.find()).await.unwrap().id;
    let waits = tokio::spawn({
        let seeker = seeker.clone();
        async move { seeker.not_in_order(server).await }
    });
    tokio::task::yield_now().await; // it waits
    seeker.doubt(server);
    soon(waits).await.unwrap();
}

#[tokio::test]
async fn an_announcer_tells_where_it_is_announced_now() {
    // AUTO-14, AUTO-22
    let announcer = announcer(free_port())
        .endpoint("tcp://*:50053")
        .start()
        .unwrap();
    let (instance, offer) = soon(announcer.next_instance(None)).await.unwrap();
    assert_eq!(Some(instance), announcer.instance());
    assert_eq!(Some(&offer), announcer.offer().as_ref());
    let here: Vec<SocketAddr> = ["127.0.0.1:50053", "[::1]:50053"]
        .map(|at| at.parse().unwrap())
        .into();
    assert_eq!(offer.endpoints(), here);
    let (moved, ()) = tokio::join!(
        soon(announcer.next_instance(Some(instance))),
        soon(announcer.stop())
    );
    assert_eq!(moved, None);
}

#[tokio::test]
async fn what_cannot_be_announced_or_sought_is_told() {
    // AUTO-12, AUTO-20
    let port = free_port();
    let here = || announcer(port).endpoint("tcp://127.0.0.1:1");
    let error = announcer(port)
        .endpoint("tcp://127.0.0.1:0")
        .start()
        .unwrap_err();
    assert!(matches!(error, AutoconfError::Offer(_)), "{error}");
    let error = here().interface("eth99").start().unwrap_err();
    assert!(
        matches!(error, AutoconfError::UnknownInterface { .. }),
        "{error}"
    );
    let error = seeker(port).service("").start().unwrap_err();
    assert!(matches!(error, AutoconfError::Service { .. }), "{error}");
    let taken = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    let error = here().start().unwrap_err();
    assert!(matches!(error, AutoconfError::Port { .. }), "{error}");
    drop(taken);
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn it_needs_a_runtime_and_ends_with_it() {
    let port = free_port();
    let announced = || announcer(port).endpoint("tcp://127.0.0.1:1").start();
    assert!(matches!(announced(), Err(AutoconfError::NoRuntime)));
    assert!(matches!(
        seeker(port).start(),
        Err(AutoconfError::NoRuntime)
    ));
    assert!(Answerer::bind("tcp://127.0.0.1:0").is_err());
    let first = runtime();
    let (announcer, seeker) = first.block_on(async {
        let pair = (announced().unwrap(), seeker(port).start().unwrap());
        soon(pair.1.find()).await.unwrap();
        pair
    });
    drop(first);
    // The port is free: nothing of it is left.
    drop(UdpSocket::bind(("0.0.0.0", port)).unwrap());
    runtime().block_on(async {
        soon(announcer.stop()).await;
        soon(seeker.stop()).await;
        assert_eq!(announcer.counters().goodbyes, 0);
        assert!(matches!(seeker.try_recv(), Some(Event::Found { .. })));
        assert_eq!(seeker.recv().await, None);
    });
}

// ---- hello

async fn at(endpoints: &[&str]) -> Arc<Server> {
    let port = free_port();
    let announcer = endpoints.iter().fold(announcer(port), |builder, endpoint| {
        builder.endpoint(*endpoint)
    });
    let _announcer = announcer.start().unwrap();
    soon(seeker(port).start().unwrap().find()).await.unwrap()
}

#[tokio::test]
async fn whoever_says_hello_is_answered_and_told_of() {
    // AUTO-50, AUTO-51, AUTO-52
    let answerer = Answerer::bind("tcp://127.0.0.1:0").unwrap();
    let server = at(&[answerer.endpoint()]).await;
    let clients: Vec<_> = (0..5)
        .map(|n| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let hello = Hello::new(&format!("client{n}")).unwrap();
                hello.say(&server).await.unwrap()
            })
        })
        .collect();
    let mut names = Vec::new();
    while names.len() < 5 {
        // What is dropped answers nobody without telling.
        let event = tokio::select! {
            event = answerer.recv() => event,
            () = tokio::task::yield_now() => continue,
        };
        match event {
            Some(ServerEvent::Hello { name }) => names.push(name.to_string()),
            other => panic!("{other:?}"),
        }
    }
    names.sort();
    assert_eq!(
        names,
        ["client0", "client1", "client2", "client3", "client4"]
    );
    for client in clients {
        let endpoint = server.endpoints[0];
        assert_eq!(
            soon(client).await.unwrap(),
            ClientEvent::Welcome { endpoint }
        );
    }
    assert!(!looked_at(answerer.recv()));
    let (last, ()) = tokio::join!(soon(answerer.recv()), soon(answerer.close()));
    assert_eq!(last, None);
}

#[tokio::test]
async fn a_server_that_says_something_else_is_told_with_its_text() {
    // AUTO-52
    let rep = Socket::new(Kind::Rep).unwrap();
    let endpoint = rep.bind("tcp://127.0.0.1:0").unwrap();
    let server = at(&[&endpoint]).await;
    let answers = async {
        assert_eq!(rep.recv().await.unwrap()[0], "alice HI");
        rep.send("go away").await.unwrap();
    };
    let hello = Hello::new("alice").unwrap();
    let (answer, ()) = soon(async { tokio::join!(hello.say(&server), answers) }).await;
    let (endpoint, text) = (server.endpoints[0], "go away".into());
    assert_eq!(answer.unwrap(), ClientEvent::Answered { endpoint, text });
}

#[tokio::test]
async fn who_is_silent_or_gone_is_given_up() {
    // AUTO-53, AUTO-54
    let hello = Hello::new("alice").unwrap().tries(2);
    let rep = Socket::new(Kind::Rep).unwrap();
    let endpoint = rep.bind(free_endpoint()).unwrap();
    let server = at(&[&endpoint]).await;
    let gone = ClientEvent::Unanswered { tries: 2 };
    // It takes the question, and does not answer.
    let impatient = hello.clone().timeout(Duration::from_millis(200));
    assert_eq!(soon(impatient.say(&server)).await.unwrap(), gone);
    // Nobody listens there: it is refused, and not waited for.
    rep.close().await;
    let begun = Instant::now();
    let patient = hello.timeout(PATIENCE);
    assert_eq!(soon(patient.say(&server)).await.unwrap(), gone);
    assert!(begun.elapsed() < PATIENCE);
}

/// Where the system takes connections and nobody speaks, as of a program that hangs.
fn silent() -> (TcpListener, String) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", silent.local_addr().unwrap());
    (silent, endpoint)
}

#[tokio::test]
async fn behind_four_endpoints_at_which_nobody_speaks_the_fifth_is_reached() {
    // AUTO-53
    let answerer = Answerer::bind("tcp://127.0.0.1:0").unwrap();
    let dead: Vec<_> = (0..4).map(|_| silent()).collect();
    let mut endpoints: Vec<&str> = dead.iter().map(|(_, endpoint)| &**endpoint).collect();
    endpoints.push(answerer.endpoint());
    let server = at(&endpoints).await;
    // One after the other they would take all of that, each.
    let hello = Hello::new("alice").unwrap().timeout(PATIENCE);
    let (answer, _) = soon(async { tokio::join!(hello.say(&server), answerer.recv()) }).await;
    let endpoint = server.endpoints[4];
    assert_eq!(answer.unwrap(), ClientEvent::Welcome { endpoint });
}

#[tokio::test]
async fn a_hello_is_given_up_when_its_server_is_lost() {
    // AUTO-54
    let (_silent, endpoint) = silent();
    let port = free_port();
    let announcer = announcer(port).endpoint(endpoint).start().unwrap();
    let seeker = seeker(port).start().unwrap();
    let server = soon(seeker.find()).await.unwrap();
    let hello = Hello::new("alice").unwrap().timeout(2 * PATIENCE);
    drop(announcer);
    let answer = hello.say_unless(&server, seeker.not_in_order(server.id));
    assert_eq!(soon(answer).await.unwrap(), None);
}

#[tokio::test]
async fn the_answer_of_a_server_that_stops_is_waited_for() {
    // AUTO-54
    let rep = Socket::new(Kind::Rep).unwrap();
    let endpoint = rep.bind("tcp://127.0.0.1:0").unwrap();
    let server = at(&[&endpoint]).await;
    let (is_gone, is_seen) = (Cell::new(false), Cell::new(false));
    let gone = poll_fn(|_| {
        is_seen.set(is_gone.get());
        match is_gone.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    let answers = async {
        assert_eq!(rep.recv().await.unwrap()[0], "alice HI");
        is_gone.set(true);
        while !is_seen.get() {
            tokio::task::yield_now().await;
        }
        rep.send("OK").await.unwrap();
    };
    let hello = Hello::new("alice").unwrap();
    let (answer, ()) = soon(async { tokio::join!(hello.say_unless(&server, gone), answers) }).await;
    let endpoint = server.endpoints[0];
    assert_eq!(answer.unwrap(), Some(ClientEvent::Welcome { endpoint }));
}

#[tokio::test]
async fn over_curve_the_owner_of_the_key_answers_or_nobody() {
    // AUTO-6
    let [own, other, client] = [(); 3].map(|()| Certificate::generate().unwrap());
    let trust = Trust::keys([*client.public_key()]);
    let answerer = Answerer::bind_secure("tcp://127.0.0.1:0", own.clone(), trust).unwrap();
    let port = free_port();
    let announced = |key: &Certificate| {
        let builder = announcer(port).endpoint(answerer.endpoint());
        builder.key(*key.public_key()).start().unwrap()
    };
    let sought = async |key: &Certificate| {
        let seeker = seeker(port).key(*key.public_key()).start().unwrap();
        soon(seeker.find()).await.unwrap()
    };
    let _announcers = [announced(&own), announced(&other)];
    let say = async |server: &Server, certificate: Option<&Certificate>| {
        let hello = Hello::new("alice").unwrap();
        let hello = hello.timeout(Duration::from_secs(2)).tries(1);
        let hello = match certificate {
            Some(own) => hello.certificate(own.clone()),
            None => hello,
        };
        let mut said = pin!(hello.say(server));
        loop {
            tokio::select! {
                answer = &mut said => return answer.unwrap(),
                _ = answerer.recv() => {}
            }
        }
    };
    let (right, lie) = (sought(&own).await, sought(&other).await);
    let welcome = say(&right, Some(&client)).await;
    assert!(
        matches!(welcome, ClientEvent::Welcome { .. }),
        "{welcome:?}"
    );
    // A stranger's key, and a client whom nobody knows.
    let gone = ClientEvent::Unanswered { tries: 1 };
    assert_eq!(say(&lie, Some(&client)).await, gone);
    assert_eq!(say(&right, None).await, gone);
}

// ---- in a network of its own

#[test]
#[ignore = "needs unshare(1), ip(8) and the right to make a network namespace"]
fn it_waits_for_a_network_and_follows_its_address() {
    // AUTO-10, AUTO-12, AUTO-14, AUTO-22
    within("it_waits_for_a_network_and_follows_its_address", || {
        runtime().block_on(follow());
    });
}

async fn follow() {
    ip("link set lo up");
    ip("link add eth7 type veth peer name eth8");
    ip("link set eth8 up");
    // No network: that is no error.
    let announcer = Announcer::builder("printing")
        .endpoint("tcp://*:50053")
        .start()
        .unwrap();
    assert_eq!(announcer.offer(), None);
    assert!(!looked_at(announcer.next_instance(None)));
    let seeker = Seeker::builder().service("printing").start().unwrap();

    ip("addr add 10.77.0.1/24 brd + dev eth7");
    ip("link set eth7 up");
    let (instance, offer) = soon(announcer.next_instance(None)).await.unwrap();
    assert_eq!(offer.endpoints()[0], "10.77.0.1:50053".parse().unwrap());
    assert_eq!(found(&seeker).await.instance, instance);

    // Another address is another instance, which is found at once.
    ip("addr del 10.77.0.1/24 dev eth7");
    ip("addr add 10.77.0.9/24 brd + dev eth7");
    let moved: SocketAddr = "10.77.0.9:50053".parse().unwrap();
    let mut before = instance;
    let offer = loop {
        let next = soon(announcer.next_instance(Some(before))).await.unwrap();
        if next.1.endpoints().contains(&moved) {
            break next.1;
        }
        before = next.0; // it had no address for a moment, but that of IPv6
    };
    let server = soon(async {
        loop {
            if let Some(Event::Found { server }) = seeker.recv().await
                && server.endpoints.contains(&moved)
            {
                break server;
            }
        }
    });
    assert_eq!(server.await.offer, offer);

    // IPv6 alone, over its multicast alone, and over TCP at an address of the link.
    let answerer = Answerer::bind("tcp://[::]:50066").unwrap();
    let six = Announcer::builder("six").ipv4(false).broadcast(false);
    let _six = six.endpoint("tcp://[::]:50066").start().unwrap();
    let seeker = Seeker::builder()
        .service("six")
        .ipv4(false)
        .broadcast(false);
    let server = soon(seeker.start().unwrap().find()).await.unwrap();
    assert!(server.source.is_ipv6());
    let hello = Hello::new("six").unwrap();
    let (answer, told) = soon(async { tokio::join!(hello.say(&server), answerer.recv()) }).await;
    let endpoint = server.endpoints[0];
    assert_eq!(answer.unwrap(), ClientEvent::Welcome { endpoint });
    assert!(matches!(told, Some(ServerEvent::Hello { .. })), "{told:?}");
}
