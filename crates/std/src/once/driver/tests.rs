//! The loop with a machine that does what the test says, and ordinary nodes beside it on the loopback.

use atonce::curve::PublicKey;
use atonce::once::bridge::{Action, StandIn};
use atonce::wire::{Frames, Headers};
use atonce::zre::{self, SendError};

use super::machine::Work;
use super::*;
use crate::loopback::{PATIENCE, free_port};
use crate::once::{Bridge as RunningBridge, BridgeBuilder};
use crate::{ExitReason, Node as Peer};

/// A machine that wants done what it was given, and remembers what it was told.
#[derive(Debug, Default)]
struct Script {
    works: VecDeque<Work>,
    heard: Vec<(Which, zre::Event)>,
    unsent: Vec<(Which, SendError)>,
    not_started: Vec<PeerId>,
    unwanted: BTreeSet<Which>,
}

impl Machine for Script {
    type Event = ();
    type Status = ();

    fn handle_event(&mut self, _: Instant, node: Which, event: zre::Event, _: Option<PublicKey>) {
        self.heard.push((node, event));
    }

    fn handle_unsent(&mut self, _: Instant, node: Which, _: PeerId, _: Frames, error: SendError) {
        self.unsent.push((node, error));
    }

    fn handle_not_started(&mut self, _: Instant, stand_in: PeerId) {
        self.not_started.push(stand_in);
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn stop(&mut self, _: Instant) {}

    fn wants(&self, node: Which) -> bool {
        !self.unwanted.contains(&node)
    }

    fn poll_work(&mut self) -> Option<Work> {
        self.works.pop_front()
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn note(_: &mut Driver<Self>, (): &()) {}

    fn status(_: &Driver<Self>) {}
}

/// A bridge's nodes on a LAN of their own.
struct Lan {
    driver: Driver<Script>,
    poller: Poller,
    port: u16,
}

impl Lan {
    fn new() -> Self {
        let port = free_port();
        let builder = BridgeBuilder::<RunningBridge>::new("lo")
            .lan_port(port)
            .open();
        let options = builder
            .port(0)
            .interval(Duration::from_millis(100))
            .options()
            .unwrap();
        let id = options.machine.id;
        let made = Driver::new(Script::default(), Clock::start(), id);
        let (mut driver, poller) = made.unwrap();
        driver.stand_ins = Some(options.stand_ins);
        driver.add(Which::Local, options.local).unwrap();
        Self {
            driver,
            poller,
            port,
        }
    }

    /// An ordinary node on the LAN.
    fn peer(&self, name: &str) -> Peer {
        let builder = Peer::builder().name(name).interface("lo").port(self.port);
        builder
            .interval(Duration::from_millis(100))
            .start()
            .unwrap()
    }

    /// Has it done with the next turn.
    fn want(&mut self, action: Action) {
        self.driver.machine.works.push_back(Work::Node(action));
        self.driver.more = true;
    }

    fn stand_in(&mut self, octet: u8) -> PeerId {
        let id = PeerId::from_bytes([octet; 16]);
        self.want(Action::Start(StandIn {
            id,
            name: "far".try_into().unwrap(),
            headers: Headers::default(),
            groups: BTreeSet::from(["CHAT".try_into().unwrap()]),
        }));
        id
    }

    fn turn(&mut self) {
        let wait = Duration::from_millis(10);
        let wait = self
            .driver
            .timeout()
            .map_or(wait, |timeout| timeout.min(wait));
        self.poller.wait(Some(wait)).unwrap();
        self.driver.turn(&mut self.poller);
    }

    /// Takes turns until this finds something.
    fn until<T>(&mut self, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
        let begun = std::time::Instant::now();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.driver.machine);
            self.turn();
        }
    }

    /// Takes turns until a peer is told something like this.
    fn tells<T>(&mut self, peer: &Peer, mut found: impl FnMut(&zre::Event) -> Option<T>) -> T {
        self.until(|_| std::iter::from_fn(|| peer.try_recv()).find_map(|event| found(&event)))
    }

    /// Takes turns until the machine was told something like this.
    fn hears<T>(&mut self, mut found: impl FnMut(&(Which, zre::Event)) -> Option<T>) -> T {
        self.until(|lan| lan.driver.machine.heard.iter().find_map(&mut found))
    }
}

fn entered(event: &zre::Event) -> Option<Arc<zre::Peer>> {
    match event {
        zre::Event::Enter { peer } => Some(Arc::clone(peer)),
        _ => None,
    }
}

fn whispered(event: &zre::Event) -> Option<Frames> {
    match event {
        zre::Event::Whisper { content, .. } => Some(content.clone()),
        _ => None,
    }
}

#[test]
fn a_stand_in_is_a_peer_like_any_other_but_for_its_own_bridge() {
    let mut lan = Lan::new();
    let alice = lan.peer("alice");
    let known = lan.hears(|(_, event)| entered(event));
    assert_eq!(known.id, alice.id());
    let far = lan.stand_in(0x22);
    lan.want(Action::Introduce {
        stand_in: far,
        peer: known,
        key: None,
    });
    let seen = lan.tells(&alice, |event| entered(event).filter(|peer| peer.id == far));
    assert_eq!(seen.name, "far");
    let node = Which::StandIn(far);
    lan.hears(|(which, event)| entered(event).filter(|_| *which == node));

    alice.whisper(far, "to far").unwrap();
    let heard = lan.hears(|(which, event)| whispered(event).filter(|_| *which == node));
    assert_eq!(heard, Frames::from("to far"));
    lan.want(Action::Whisper {
        node,
        peer: alice.id(),
        content: "from far".into(),
    });
    assert_eq!(lan.tells(&alice, whispered), Frames::from("from far"));

    alice.join("CHAT").unwrap();
    lan.hears(|(which, event)| {
        (*which == node && matches!(event, zre::Event::Join { .. })).then_some(())
    });
    lan.want(Action::ShoutTo {
        stand_in: far,
        peer: alice.id(),
        group: "CHAT".try_into().unwrap(),
        content: "to all".into(),
    });
    lan.tells(&alice, |event| {
        matches!(event, zre::Event::Shout { .. }).then_some(())
    });
    // Many of its beacons were there to be heard.
    let locally = lan.driver.machine.heard.iter();
    let mut locally = locally.filter(|(which, _)| *which == Which::Local);
    assert!(!locally.any(|(_, event)| entered(event).is_some_and(|peer| peer.id == far)));

    lan.want(Action::Retire {
        stand_in: far,
        goodbye: true,
    });
    lan.tells(&alice, |event| match event {
        zre::Event::Exit { peer, reason } if peer.id == far => {
            assert_eq!(*reason, ExitReason::Left);
            Some(())
        }
        _ => None,
    });
    lan.until(|lan| (lan.driver.nodes.len() == 1).then_some(()));
    assert!(lan.driver.machine.unsent.is_empty());
}

#[test]
fn who_takes_over_from_a_stand_in_that_says_nothing_is_the_same_peer() {
    let mut lan = Lan::new();
    let alice = lan.peer("alice");
    let known = lan.hears(|(_, event)| entered(event));
    let far = lan.stand_in(0x33);
    lan.want(Action::Introduce {
        stand_in: far,
        peer: known,
        key: None,
    });
    lan.tells(&alice, |event| entered(event).filter(|peer| peer.id == far));
    lan.want(Action::Retire {
        stand_in: far,
        goodbye: false,
    });
    lan.until(|lan| (lan.driver.nodes.len() == 1).then_some(()));
    // Nobody ignores its mailbox any more, nor that of the real one.
    let builder = Peer::builder()
        .name("real")
        .uuid(far)
        .interface("lo")
        .port(lan.port);
    let real = builder.start().unwrap();
    let here = |event: &zre::Event| entered(event).filter(|peer| peer.name == "real");
    lan.tells(&alice, here);
    lan.hears(|(which, event)| here(event).filter(|_| *which == Which::Local));
    real.stop();
}

#[test]
fn what_is_not_wanted_waits_in_its_node() {
    let mut lan = Lan::new();
    let alice = lan.peer("alice");
    let known = lan.hears(|(_, event)| entered(event));
    let far = lan.stand_in(0x44);
    let node = Which::StandIn(far);
    lan.want(Action::Introduce {
        stand_in: far,
        peer: known,
        key: None,
    });
    lan.hears(|(which, event)| entered(event).filter(|_| *which == node));
    lan.until(|_| alice.peer(far));
    lan.driver.machine.unwanted.insert(node);
    for number in 0..100 {
        alice.whisper(far, format!("{number}")).unwrap();
    }
    // Said later, and heard: so what was said before was there to be heard.
    alice.whisper(lan.driver.id(), "local").unwrap();
    lan.hears(|(which, event)| whispered(event).filter(|_| *which == Which::Local));
    for _ in 0..10 {
        lan.turn();
    }
    let far_whispers = |lan: &Lan| {
        let heard = lan.driver.machine.heard.iter();
        let of_far = heard.filter(|(which, _)| *which == node);
        of_far
            .filter_map(|(_, event)| whispered(event))
            .collect::<Vec<_>>()
    };
    assert!(far_whispers(&lan).is_empty());
    lan.driver.machine.unwanted.clear();
    let whispers = lan.until(|lan| Some(far_whispers(lan)).filter(|all| all.len() == 100));
    assert!(
        (0..100)
            .map(|number| Frames::from(number.to_string()))
            .eq(whispers)
    );
}

#[test]
fn without_descriptors_there_is_no_stand_in_and_it_is_told_once() {
    let mut lan = Lan::new();
    lan.driver.descriptors = lan.driver.taken_descriptors() + 3;
    let ids = [lan.stand_in(1), lan.stand_in(2)];
    lan.turn();
    assert_eq!(lan.driver.machine.not_started, ids);
    let events: Vec<_> = std::iter::from_fn(|| lan.driver.poll_event()).collect();
    let troubles = events.iter().filter(|event| match event {
        Event::Trouble(trouble) => trouble.contains("ulimit -n"),
        _ => false,
    });
    assert_eq!(troubles.count(), 1, "{events:?}");
    lan.driver.descriptors = usize::MAX;
    lan.stand_in(3);
    lan.until(|lan| (lan.driver.nodes.len() == 2).then_some(()));
    assert_eq!(lan.driver.machine.not_started, ids);
}

#[test]
fn what_a_node_that_is_gone_should_say_is_told_to_be_unsent() {
    let mut lan = Lan::new();
    let node = Which::StandIn(PeerId::from_bytes([9; 16]));
    lan.want(Action::Whisper {
        node,
        peer: PeerId::from_bytes([1; 16]),
        content: "nobody says it".into(),
    });
    lan.want(Action::Whisper {
        node: Which::Local,
        peer: PeerId::from_bytes([1; 16]),
        content: "nobody hears it".into(),
    });
    lan.turn();
    let unsent = [
        (node, SendError::Stopped),
        (Which::Local, SendError::UnknownPeer),
    ];
    assert_eq!(lan.driver.machine.unsent, unsent);
}

#[test]
fn all_nodes_end_and_then_it_is_over() {
    let mut lan = Lan::new();
    let alice = lan.peer("alice");
    let known = lan.hears(|(_, event)| entered(event));
    let far = lan.stand_in(0x55);
    lan.want(Action::Introduce {
        stand_in: far,
        peer: known,
        key: None,
    });
    lan.tells(&alice, |event| entered(event).filter(|peer| peer.id == far));
    lan.driver.stop();
    lan.until(|lan| lan.driver.is_ended().then_some(()));
    let events: Vec<_> = std::iter::from_fn(|| lan.driver.poll_event()).collect();
    assert_eq!(events.last(), Some(&Event::Stopped));
    assert_eq!(lan.driver.timeout(), None);
    let gone = |id: PeerId| alice.peer(id).is_none().then_some(());
    lan.until(|_| gone(far));
}
