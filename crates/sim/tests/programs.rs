//! Programs with several nodes, and what happens to all of them at once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test that is wrong may stop

use std::time::Duration;

use atonce::{Config, Event, Frames, PeerId};
use atonce_sim::{HostId, NodeId, Nodes, Place, Program, ProgramId, SegmentId, Sim};

type Net = Sim<Vec<Event>>;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A node on each segment of its host; notes what happens, and takes only so much of it.
#[derive(Default)]
struct Notes {
    nodes: Vec<NodeId>,
    events: Vec<(NodeId, Event)>,
    /// How many whispers it takes of one node.
    most: Option<usize>,
    timers: Vec<u64>,
}

impl Program for Notes {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        for segment in nodes.segments() {
            let place = on(segment);
            self.nodes.push(nodes.start(&place, Config::default()));
        }
        nodes.set_timer(s(1), 1);
        nodes.set_timer(s(10), 2);
    }

    fn on_event(&mut self, _: &mut Nodes<'_>, node: NodeId, event: Event) {
        self.events.push((node, event));
    }

    fn on_timer(&mut self, _: &mut Nodes<'_>, token: u64) {
        self.timers.push(token);
    }

    fn wants(&self, node: NodeId) -> bool {
        self.most.is_none_or(|most| self.whispers(node) < most)
    }
}

impl Notes {
    fn whispers(&self, node: NodeId) -> usize {
        let is_whisper = |event: &Event| matches!(event, Event::Whisper { .. });
        let of_node = self.events.iter().filter(|(of, _)| *of == node);
        of_node.filter(|(_, event)| is_whisper(event)).count()
    }
}

fn on(segment: SegmentId) -> Place {
    Place {
        segments: Some(vec![segment]),
        ..Place::default()
    }
}

struct Two {
    sim: Net,
    program: ProgramId,
    middle: HostId,
    /// The two nodes of the program.
    own: [NodeId; 2],
    /// One on each LAN.
    peers: [NodeId; 2],
}

/// A program on two LANs, and a node on each.
fn two_lans() -> Two {
    let mut sim: Net = Sim::new(1);
    let lans = [sim.segment(), sim.segment()];
    let middle = sim.host(lans[0], [10, 0, 0, 9]);
    sim.attach(middle, lans[1], [10, 0, 1, 9]);
    let program = sim.start_program(middle, Notes::default());
    let peers = [0, 1].map(|n| {
        let host = sim.host(lans[usize::from(n)], [10, 0, n, 1]);
        sim.start_named(host, "peer", Vec::new())
    });
    sim.run_for(s(2));
    let own = sim.nodes_of(program).try_into().unwrap();
    Two {
        sim,
        program,
        middle,
        own,
        peers,
    }
}

impl Two {
    fn notes(&self) -> &Notes {
        self.sim.program(self.program).unwrap()
    }

    fn id(&self, node: NodeId) -> PeerId {
        self.sim.stack(node).unwrap().id()
    }

    fn seen(&self) -> [usize; 2] {
        self.peers
            .map(|node| self.sim.stack(node).unwrap().peers().count())
    }

    fn whisper(&mut self, from: NodeId, to: NodeId, content: impl Into<Frames>) -> bool {
        let to = self.id(to);
        let said = self
            .sim
            .with(from, |_, context| context.whisper(to, content));
        said.unwrap().is_ok()
    }
}

#[test]
fn its_nodes_are_each_on_the_segment_that_was_chosen() {
    let two = two_lans();
    assert_eq!(two.seen(), [1, 1]);
    let enters: Vec<_> = two
        .notes()
        .events
        .iter()
        .filter_map(|(node, event)| match event {
            Event::Enter { peer } => Some((*node, peer.id)),
            _ => None,
        })
        .collect();
    let expected = [0, 1].map(|n| (two.own[n], two.id(two.peers[n])));
    assert_eq!(enters.len(), 2);
    assert!(expected.iter().all(|it| enters.contains(it)), "{enters:?}");
    assert_eq!(two.notes().timers, [1]);
}

#[test]
fn killed_it_is_gone_with_all_its_nodes_and_timers() {
    let mut two = two_lans();
    two.sim.kill(two.own[0]);
    assert!(!two.sim.is_program_running(two.program));
    assert!(two.own.iter().all(|node| !two.sim.is_running(*node)));
    two.sim.run_for(s(12));
    assert_eq!((two.seen(), &two.notes().timers[..]), ([0, 0], &[1][..]));
    assert!(
        two.sim
            .with_program(two.program, |_: &mut Notes, _| ())
            .is_none()
    );
}

#[test]
fn without_power_it_is_missed_on_both_sides_when_it_expires() {
    let mut two = two_lans();
    two.sim.power_off(two.middle);
    two.sim.run_for(s(20));
    assert_eq!(two.seen(), [1, 1]);
    two.sim.run_for(s(20));
    assert_eq!(two.seen(), [0, 0]);
    assert!(!two.sim.is_program_running(two.program));
    assert_eq!(two.notes().timers, [1]);
}

#[test]
fn suspended_none_of_its_nodes_runs_and_no_timer_comes() {
    let mut two = two_lans();
    two.sim.suspend(two.own[1]);
    for n in [0, 1] {
        assert!(two.whisper(two.peers[n], two.own[n], "hello"));
    }
    two.sim.run_for(s(10));
    let before = (two.notes().whispers(two.own[0]), two.notes().timers.len());
    assert_eq!(before, (0, 1));
    two.sim.resume(two.own[0]);
    assert_eq!(two.notes().timers, [1, 2]);
    let whispers = two.own.map(|node| two.notes().whispers(node));
    assert_eq!(whispers, [1, 1]);
}

#[test]
fn what_it_does_not_want_stays_where_it_is_and_holds_the_sender_back() {
    let mut two = two_lans();
    let (from, to) = (two.peers[0], two.own[0]);
    two.sim
        .with_program(two.program, |notes: &mut Notes, _| notes.most = Some(3))
        .unwrap();
    let mut sent = 0;
    while two.whisper(from, to, vec![7; 1 << 20]) && sent < 100 {
        sent += 1;
        two.sim.run_for(Duration::from_millis(10));
    }
    // Eight MiB wait at the receiver, eight at the sender, and what the kernels hold.
    assert!((16..25).contains(&sent), "{sent}");
    assert_eq!(two.notes().whispers(to), 3);
    // The other node is not held back.
    assert!(two.whisper(two.peers[1], two.own[1], "hello"));
    two.sim.run_for(s(1));
    assert_eq!(two.notes().whispers(two.own[1]), 1);
    assert_eq!(two.notes().whispers(to), 3);
    two.sim
        .with_program(two.program, |notes: &mut Notes, _| notes.most = None)
        .unwrap();
    two.sim.run_for(s(5));
    assert_eq!(two.notes().whispers(to), sent);
}

#[test]
fn nodes_come_and_go_while_it_runs_and_it_ends_with_the_last() {
    let mut two = two_lans();
    let lan = two
        .sim
        .with_program(two.program, |_: &mut Notes, nodes| nodes.segments()[0]);
    let lan = lan.unwrap();
    let third = two
        .sim
        .with_program(two.program, |_: &mut Notes, nodes| {
            nodes.start(&on(lan), Config::default())
        })
        .unwrap();
    two.sim.run_for(s(2));
    // The one on that LAN sees it, and so does the program's own.
    assert_eq!(two.seen(), [2, 1]);
    let stop = |two: &mut Two, node| {
        two.sim.with_program(two.program, |_: &mut Notes, nodes| {
            nodes
                .with(node, |context| {
                    context.stop();
                })
                .unwrap();
        });
        two.sim.run_for(s(2));
    };
    stop(&mut two, third);
    assert_eq!(two.seen(), [1, 1]);
    for node in two.own {
        assert!(two.sim.is_program_running(two.program));
        stop(&mut two, node);
    }
    assert!(!two.sim.is_program_running(two.program));
    assert_eq!(
        (two.seen(), two.sim.nodes_of(two.program).len()),
        ([0, 0], 0)
    );
}

#[test]
fn it_cannot_touch_the_nodes_of_others() {
    let mut two = two_lans();
    let other = two.peers[0];
    let touched = two.sim.with_program(two.program, |_: &mut Notes, nodes| {
        (
            nodes.stack(other).is_some(),
            nodes.with(other, |context| context.name().clone()),
        )
    });
    assert_eq!(touched, Some((false, None)));
}
