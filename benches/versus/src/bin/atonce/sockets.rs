//! The other patterns: sockets on threads.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use atonce_std::Socket;
use atonce_std::socket::Kind;
use atonce_versus::patterns::{AGAIN, Hearing, PATIENCE, Tally, content};
use atonce_versus::{
    Load, Pattern, Publish, RoundTrips, Subscribe, Watch, announced, announcement, reached_at,
    until_told,
};
use bytes::Bytes;

/// Plays a role.
pub(crate) fn play(pattern: Pattern) {
    match pattern {
        Pattern::Pull => pull(),
        Pattern::Push(load) => push(&load),
        Pattern::Reply => reply(),
        Pattern::Request(load) => request(&load),
        Pattern::Publish(it) => publish(&it),
        Pattern::Subscribe(it) => subscribe(&it),
    }
}

/// A socket on a free port of the loopback, and where that is.
fn bound(kind: Kind) -> (Socket, String) {
    let socket = Socket::builder(kind).open().expect("it opens");
    let endpoint = socket.bind("tcp://127.0.0.1:0").expect("a free port");
    (socket, endpoint)
}

fn connected(kind: Kind, address: &str) -> Socket {
    let socket = Socket::builder(kind).connect(address).open();
    socket.expect("it opens")
}

/// The first frame of the next message.
fn hear(socket: &Socket) -> Bytes {
    let message = socket.recv().expect("it receives");
    message.into_iter().next().expect("it has a frame")
}

fn pull() {
    let (socket, address) = bound(Kind::Pull);
    reached_at(address);
    let count = announced(&hear(&socket));
    let watch = Watch::start();
    for _ in 0..count {
        hear(&socket);
    }
    watch.report(count);
}

fn push(load: &Load) {
    let socket = connected(Kind::Push, &load.address);
    let content = content(load.size);
    socket.send(announcement(load.count)).expect("it sends");
    let watch = Watch::start();
    for _ in 0..load.count {
        socket.send(content.clone()).expect("it sends");
    }
    until_told();
    watch.report(load.count);
}

fn reply() {
    let (socket, address) = bound(Kind::Rep);
    reached_at(address);
    loop {
        let message = socket.recv().expect("it receives");
        // An empty message ends it.
        if message.octets() == 0 {
            return;
        }
        socket.send(message).expect("who asked is there");
    }
}

fn request(load: &Load) {
    let socket = connected(Kind::Req, &load.address);
    let content = content(load.size);
    let mut trips = RoundTrips::new(load.count);
    while trips.lacks(load.count) {
        let begun = Instant::now();
        socket.send(content.clone()).expect("it sends");
        hear(&socket);
        trips.note(begun);
    }
    trips.report();
    socket.send(Bytes::new()).expect("it sends");
    socket.close();
}

fn publish(it: &Publish) {
    let (publisher, address) = bound(Kind::Pub);
    let (answers, back) = bound(Kind::Pull);
    reached_at(format!("{address} {back}"));
    let announcement = Bytes::from(it.shouting.announcement());
    let mut here = 0;
    while here < it.processes {
        publisher.send(announcement.clone()).expect("it sends");
        let answer = answers.recv_timeout(AGAIN).expect("it receives");
        here += usize::from(answer.is_some());
    }
    let answered = |count: usize| {
        for _ in 0..count {
            let answer = answers.recv_timeout(PATIENCE).expect("it receives");
            answer.expect("all have heard it");
        }
    };
    let content = content(it.size);
    let watch = Watch::start();
    let mut owed = 0;
    for said in 1..=it.shouting.count {
        publisher.send(content.clone()).expect("it sends");
        if it.shouting.is_answered(said) {
            answered(owed);
            owed = it.processes;
        }
    }
    answered(owed);
    watch.report(it.shouting.count);
}

fn subscribe(it: &Subscribe) {
    let push = &connected(Kind::Push, &it.back);
    let tally = &Mutex::new(Tally::new(it.sockets));
    let heard = thread::scope(|scope| {
        let subscriber = || {
            scope.spawn(|| {
                let socket = Socket::builder(Kind::Sub)
                    .subscribe("")
                    .connect(&it.address)
                    .open();
                let socket = socket.expect("it opens");
                let mut hearing = Hearing::default();
                loop {
                    let message = hear(&socket);
                    if let Some(answer) = hearing.handle(&message)
                        && tally.lock().expect("it counts").note(answer)
                    {
                        push.send("heard").expect("it sends");
                    }
                    if let Some(heard) = hearing.is_done() {
                        return heard;
                    }
                }
            })
        };
        let those: Vec<_> = (0..it.sockets).map(|_| subscriber()).collect();
        let heard = those.into_iter().map(|it| it.join().expect("it hears"));
        heard.sum()
    });
    tally.lock().expect("it counts").report(heard);
    push.close();
}
