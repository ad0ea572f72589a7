use std::any::Any;
use std::time::{Duration, Instant as Moment};

use atonce::socket::{Endpoint, Kind};
use atonce::zre::Event;
use atonce::{Frames, Instant};

use super::*;
use crate::Builder;
use crate::socket::SocketBuilder;

/// Tells all that it hears over a PUSH.
#[derive(Debug)]
struct Teller {
    push: SocketId,
    turns: usize,
    due: Option<Instant>,
}

impl Teller {
    fn begin(to: &Endpoint) -> Begin {
        let to = to.to_string();
        Box::new(move |now, around| {
            let options = SocketBuilder::<()>::new(Kind::Push)
                .linger(Duration::from_secs(2))
                .connect(to)
                .options();
            let beside = |source| StartError::Beside {
                what: "telling",
                source,
            };
            let options = options.map_err(beside)?;
            let push = around.open(options).map_err(beside)?;
            Ok(Box::new(Self {
                push,
                turns: 0,
                due: Some(now + Duration::from_millis(20)),
            }))
        })
    }

    fn tell(&self, around: &mut Around<'_>, what: &str) {
        let push = around.socket(self.push).unwrap();
        push.send(&Frames::from(what.to_owned())).unwrap();
    }
}

impl Companion for Teller {
    fn hear(&mut self, _now: Instant, event: &Event, around: &mut Around<'_>) {
        let what = match event {
            Event::InterfaceUp { .. } => "up".to_owned(),
            Event::Enter { peer } => format!("enter {}", peer.name),
            Event::Exit { peer, .. } => format!("exit {}", peer.name),
            _ => return,
        };
        self.tell(around, &what);
    }

    fn turn(&mut self, now: Instant, around: &mut Around<'_>) {
        self.turns += 1;
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.tell(around, "due");
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn stop(&mut self, _now: Instant, goodbye: bool, around: &mut Around<'_>) {
        self.tell(around, if goodbye { "stopped" } else { "retired" });
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

fn node(name: &str) -> crate::Options {
    let node = Builder::<()>::default().name(name).interface("lo").port(0);
    node.options().unwrap()
}

/// Gives the nodes and the socket turns until it is so.
fn until(
    nodes: &mut [&mut (Driver, Poller)],
    pull: &mut (SocketDriver, Poller),
    mut so: impl FnMut(&mut SocketDriver) -> bool,
) {
    let begin = Moment::now();
    while !so(&mut pull.0) {
        assert!(begin.elapsed() < Duration::from_secs(10), "in vain");
        for (driver, poller) in nodes.iter_mut().map(|node| &mut **node) {
            // What becomes due is done when it is: nobody waits longer than the driver says.
            let most = Duration::from_millis(1);
            let timeout = driver.timeout().map_or(most, |timeout| timeout.min(most));
            poller.wait(Some(timeout)).unwrap();
            driver.turn(poller);
        }
        pull.1.wait(Some(Duration::from_millis(1))).unwrap();
        pull.0.turn(&mut pull.1);
    }
}

fn expect(
    nodes: &mut [&mut (Driver, Poller)],
    pull: &mut (SocketDriver, Poller),
    expected: &[&str],
) {
    let mut heard = Vec::new();
    until(nodes, pull, |pull| {
        while let Some(frames) = pull.recv().unwrap() {
            heard.push(String::from_utf8(frames[0].to_vec()).unwrap());
        }
        heard.len() >= expected.len()
    });
    assert_eq!(heard, expected);
}

#[test]
fn a_companion_hears_what_happens_though_nobody_takes_events_and_has_the_last_word() {
    let pull = SocketBuilder::<()>::new(Kind::Pull).options().unwrap();
    let mut pull = SocketDriver::new(pull).unwrap();
    let to = pull.0.bind(&"tcp://127.0.0.1:0".parse().unwrap()).unwrap();
    let begins = vec![Teller::begin(&to)];
    let mut ann = Driver::with_companions(node("ann"), begins).unwrap();
    expect(&mut [&mut ann], &mut pull, &["up", "due"]);

    let mut bob = Driver::new(node("bob")).unwrap();
    let endpoint = bob.0.stack().endpoints().next().unwrap();
    let contact = endpoint.to_string().parse().unwrap();
    ann.0.connect(&contact).unwrap();
    expect(&mut [&mut ann, &mut bob], &mut pull, &["enter bob"]);
    bob.0.stop();
    expect(&mut [&mut ann, &mut bob], &mut pull, &["exit bob"]);

    // A command of the application comes out of turn, and what it asks for is done.
    let turns = ann.0.with_companion(|_, teller: &mut Teller, around| {
        teller.tell(around, "asked");
        teller.turns
    });
    assert!(turns.unwrap() < 1_000, "it is called for nothing");
    expect(&mut [&mut ann], &mut pull, &["asked"]);

    ann.0.stop();
    assert!(!ann.0.is_ended(), "its last word is on the way");
    expect(&mut [&mut ann], &mut pull, &["stopped"]);
    until(&mut [], &mut pull, |_| {
        ann.1.wait(ann.0.timeout()).unwrap();
        ann.0.turn(&mut ann.1);
        ann.0.is_ended()
    });
}

#[test]
fn what_nobody_takes_holds_the_end_up_for_no_longer_than_the_nodes_linger() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("tcp://{}", taken.local_addr().unwrap());
    let begins = vec![Teller::begin(&to.parse().unwrap())];
    let mut options = node("ann");
    options.config.limits.linger = Duration::from_millis(200);
    let (mut ann, mut poller) = Driver::with_companions(options, begins).unwrap();
    ann.retire();
    let begin = Moment::now();
    while !ann.is_ended() {
        // The socket alone would take two seconds, and two more for the other side to end.
        assert!(begin.elapsed() < Duration::from_secs(1), "it does not end");
        poller.wait(ann.timeout()).unwrap();
        ann.turn(&mut poller);
    }
}

#[test]
fn a_companion_that_cannot_begin_lets_no_node_start() {
    let begin: Begin = Box::new(|_, around| {
        let options = SocketBuilder::<()>::new(Kind::Pull).bind("tcp://203.0.113.1:1");
        let source = around.open(options.options().unwrap()).unwrap_err();
        Err(StartError::Beside {
            what: "a socket",
            source,
        })
    });
    let refused = Driver::with_companions(node("ann"), vec![begin]).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("a socket: cannot listen on"),
        "{refused}"
    );
}
