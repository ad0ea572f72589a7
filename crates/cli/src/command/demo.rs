//! `demo`: three nodes on loopback in one process over real sockets.
//!
//! Nothing is staged: each step waits for what the nodes themselves tell, within a deadline, and whatever happens beyond
//! that, or twice, fails the demonstration.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use atonce::wire::Text;
use atonce::zre::Event;
use atonce::{Frames, PeerId};
use atonce_std::Node;
use clap::Args;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::paint::{self, painted};

/// How long each step may take. On an idle machine each takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two beacons: nobody else is on the port, and nobody wants to wait.
const INTERVAL: Duration = Duration::from_millis(100);
/// How many events may wait to be looked at.
const WAITING: usize = 64;
/// The names of the nodes.
const NAMES: [&str; 3] = ["alice", "bob", "carol"];
/// Their places in all lists.
const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
/// The group that they join.
const GROUP: &str = "DEMO";

/// Said below the help.
const AFTER_HELP: &str = "\
It uses loopback only, on a UDP port of its own, and disturbs no other node.

Examples:
  atonce demo
  atonce demo --json";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Demo {
    /// Write one JSON object a line, which says whose event it is.
    #[arg(long)]
    json: bool,
}

/// What is expected to happen, and what did.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fact {
    /// A peer is there.
    Enter(PeerId),
    /// A peer joined the group.
    Join(PeerId),
    /// A peer left the group.
    Leave(PeerId),
    /// A peer whispered.
    Whisper(PeerId, Frames),
    /// A peer shouted to the group.
    Shout(PeerId, Frames),
    /// A peer said goodbye.
    Left(PeerId),
}

/// The nodes, and what was not looked at yet.
struct Stage {
    /// In the order of [`NAMES`].
    nodes: Vec<Node>,
    /// Their events, with their places.
    events: Receiver<(usize, Event)>,
    /// What happened and was not expected yet.
    seen: Vec<(usize, Fact)>,
    /// Where to say it.
    output: Output,
    /// Whether the user wants to end.
    interrupt: Interrupt,
}

impl Demo {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut stage = Stage::set(Output::new(self.json).timed())?;
        let [alice, bob, carol] = stage.ids()?;
        let everyone = [(ALICE, alice), (BOB, bob), (CAROL, carol)];
        let others = move |fact: fn(PeerId) -> Fact| -> Vec<(usize, Fact)> {
            let pairs = everyone
                .into_iter()
                .flat_map(move |(at, _)| everyone.map(|(of, id)| (at, of, id)));
            pairs
                .filter(|(at, of, _)| at != of)
                .map(|(at, _, id)| (at, fact(id)))
                .collect()
        };

        stage.heading(
            "Three nodes start. Nobody tells them of each other; they beacon and listen.",
        )?;
        stage.expect("each of the three finds the other two", others(Fact::Enter))?;

        stage.heading("All of them join the group DEMO.")?;
        let group = Text::try_from(GROUP).map_err(|error| Failure::failed(error.to_string()))?;
        for place in [ALICE, BOB, CAROL] {
            stage
                .node(place)?
                .join(group.clone())
                .map_err(|error| Failure::failed(error.to_string()))?;
        }
        stage.expect("each sees the other two join", others(Fact::Join))?;

        stage.heading("alice shouts to the group: both others hear it, she does not.")?;
        let hello = Frames::from("hello, everybody");
        let reached = stage.node(ALICE)?.shout(group.clone(), hello.clone());
        let reached = reached
            .map_err(|error| Failure::failed(format!("alice cannot shout: {error}")))?
            .reached;
        if reached != 2 {
            return Err(Failure::failed(format!(
                "alice reached {reached} members instead of 2"
            )));
        }
        let heard = Fact::Shout(alice, hello);
        stage.expect(
            "bob and carol hear alice",
            vec![(BOB, heard.clone()), (CAROL, heard)],
        )?;

        stage.heading("bob whispers to carol, and carol answers with two frames.")?;
        let question = Frames::from("just between us: is this a real network?");
        stage.whisper(BOB, carol, &question)?;
        stage.expect(
            "carol hears bob",
            vec![(CAROL, Fact::Whisper(bob, question))],
        )?;
        let answer = Frames::from_iter(["real sockets", "on loopback"]);
        stage.whisper(CAROL, bob, &answer)?;
        stage.expect("bob hears carol", vec![(BOB, Fact::Whisper(carol, answer))])?;

        stage.heading("carol leaves the group, and hears no more of it.")?;
        stage
            .node(CAROL)?
            .leave(group.clone())
            .map_err(|error| Failure::failed(error.to_string()))?;
        let left = Fact::Leave(carol);
        stage.expect(
            "alice and bob see carol leave",
            vec![(ALICE, left.clone()), (BOB, left)],
        )?;
        let secret = Frames::from("only bob hears this");
        let reached = stage.node(ALICE)?.shout(group.clone(), secret.clone());
        let reached = reached
            .map_err(|error| Failure::failed(format!("alice cannot shout: {error}")))?
            .reached;
        if reached != 1 {
            return Err(Failure::failed(format!(
                "alice reached {reached} members instead of 1"
            )));
        }
        stage.expect("bob hears alice", vec![(BOB, Fact::Shout(alice, secret))])?;

        stage.heading("carol says goodbye.")?;
        stage.node(CAROL)?.stop();
        let gone = Fact::Left(carol);
        stage.expect(
            "alice and bob see carol go",
            vec![(ALICE, gone.clone()), (BOB, gone)],
        )?;
        stage.end(begun)
    }
}

impl Stage {
    /// Starts the nodes, on a UDP port that nobody else has.
    fn set(output: Output) -> Result<Self, Failure> {
        let port =
            free_port().map_err(|error| Failure::failed(format!("no free UDP port: {error}")))?;
        let (to_stage, events) = sync_channel(WAITING);
        let start = |name: &str| {
            let builder = Node::builder()
                .name(name)
                .interface("lo")
                .port(port)
                .interval(INTERVAL);
            let node = builder
                .start()
                .map_err(|error| Failure::failed(format!("{name} does not start: {error}")))?;
            Ok(node)
        };
        let interrupt = Interrupt::watch()?;
        let nodes = NAMES
            .into_iter()
            .map(start)
            .collect::<Result<Vec<_>, Failure>>()?;
        for (place, node) in nodes.iter().enumerate() {
            interrupt.stops(node);
            follow(place, node.clone(), to_stage.clone());
        }
        Ok(Self {
            nodes,
            events,
            seen: Vec::new(),
            output,
            interrupt,
        })
    }

    /// A node by its place.
    fn node(&self, place: usize) -> Result<&Node, Failure> {
        self.nodes
            .get(place)
            .ok_or_else(|| Failure::failed("a node is missing"))
    }

    /// The identities of all.
    fn ids(&self) -> Result<[PeerId; 3], Failure> {
        Ok([
            self.node(ALICE)?.id(),
            self.node(BOB)?.id(),
            self.node(CAROL)?.id(),
        ])
    }

    /// Whispers.
    fn whisper(&self, from: usize, to: PeerId, content: &Frames) -> Result<(), Failure> {
        let sent = self.node(from)?.whisper(to, content.clone());
        sent.map_err(|error| Failure::failed(format!("{} cannot whisper: {error}", name(from))))
    }

    /// Says what comes next.
    fn heading(&mut self, words: &str) -> Result<(), Failure> {
        self.output.remark(&painted(paint::HEAD, words))
    }

    /// Waits until all of this happened.
    fn expect(&mut self, what: &str, mut expected: Vec<(usize, Fact)>) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.seen
                .retain(|seen| match expected.iter().position(|fact| fact == seen) {
                    Some(found) => {
                        expected.swap_remove(found);
                        false
                    }
                    None => true,
                });
            if expected.is_empty() {
                return Ok(());
            }
            match self
                .events
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok((place, event)) => self.take(place, &event)?,
                Err(RecvTimeoutError::Timeout) => {
                    let missing: Vec<_> = expected
                        .iter()
                        .map(|(at, fact)| self.words(*at, fact))
                        .collect();
                    let missing = missing.join(", ");
                    return Err(Failure::failed(format!(
                        "within {} s it did not happen that {what}; missing: {missing}",
                        PATIENCE.as_secs()
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::failed("all nodes stopped"));
                }
            }
        }
    }

    /// Takes note of an event and says it.
    fn take(&mut self, place: usize, event: &Event) -> Result<(), Failure> {
        if self.interrupt.came() {
            return Err(Failure::Interrupted);
        }
        self.output.event_of(Some(name(place)), event)?;
        if let Some(fact) = Fact::of(event) {
            self.seen.push((place, fact));
        } else if let Event::Exit { peer, reason } = event {
            let peer = peer.name.to_string();
            return Err(Failure::failed(format!(
                "{} lost {peer}, {reason}",
                name(place)
            )));
        }
        Ok(())
    }

    /// Stops all nodes, checks that nothing happened that was not expected, and says how long it took.
    fn end(mut self, begun: Instant) -> Result<(), Failure> {
        self.nodes.iter().for_each(Node::stop);
        while let Ok((place, event)) = self.events.recv() {
            // alice and bob may see each other go, or not: both leave at once.
            if !matches!(event, Event::Exit { .. }) {
                self.take(place, &event)?;
            }
        }
        if let Some((place, fact)) = self.seen.first() {
            return Err(Failure::failed(format!(
                "not expected: {}",
                self.words(*place, fact)
            )));
        }
        let took = begun.elapsed().as_secs_f64();
        self.output.remark(&painted(
            paint::GOOD,
            &format!("All of it happened as it should, in {took:.3} s."),
        ))
    }

    /// A fact in words, for who wants to know what is missing.
    fn words(&self, place: usize, fact: &Fact) -> String {
        let (who, what) = match fact {
            Fact::Enter(id) => (id, "here"),
            Fact::Join(id) => (id, "join"),
            Fact::Leave(id) => (id, "leave"),
            Fact::Whisper(id, _) => (id, "whisper"),
            Fact::Shout(id, _) => (id, "shout"),
            Fact::Left(id) => (id, "go"),
        };
        let who = self
            .nodes
            .iter()
            .position(|node| node.id() == *who)
            .map_or("somebody else", name);
        format!("{} sees {who} {what}", name(place))
    }
}

impl Fact {
    /// What an event says; `None` for those that a demonstration does not wait for.
    fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Enter { peer } => Self::Enter(peer.id),
            Event::Join { peer, group } if *group == GROUP => Self::Join(peer.id),
            Event::Leave { peer, group } if *group == GROUP => Self::Leave(peer.id),
            Event::Whisper { peer, content } => Self::Whisper(peer.id, content.clone()),
            Event::Shout {
                peer,
                group,
                content,
            } if *group == GROUP => Self::Shout(peer.id, content.clone()),
            Event::Exit {
                peer,
                reason: atonce::zre::ExitReason::Left,
            } => Self::Left(peer.id),
            _ => return None,
        })
    }
}

/// The name of the node at a place.
fn name(place: usize) -> &'static str {
    NAMES.get(place).copied().unwrap_or("?")
}

/// Hands the events of a node on, on a thread of its own.
fn follow(place: usize, node: Node, to_stage: SyncSender<(usize, Event)>) {
    thread::spawn(move || {
        while let Some(event) = node.recv() {
            if to_stage.send((place, event)).is_err() {
                return;
            }
        }
    });
}

/// A UDP port that is free now. (It could be taken until the nodes bind it; then they say so.)
fn free_port() -> std::io::Result<u16> {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?
        .local_addr()
        .map(|address| address.port())
}
