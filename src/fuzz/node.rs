//! A whole [`Stack`] among puppets that say and do whatever the fuzzer likes.

#[cfg(feature = "curve")]
mod keys;
mod kin;
mod network;
mod puppet;
mod steps;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use core::hash::Hasher;
use core::time::Duration;
use std::hash::DefaultHasher;

use arbitrary::{Result, Unstructured};

use self::kin::Kin;
use self::puppet::{Far, PUPPETS, Puppet, Reaction};
use super::witness::Witness;
use crate::wire::zre::Command;
use crate::wire::{LongText, Text};
use crate::zre::Beacons;
use crate::{Config, Cut, Event, Instant, InterfaceId, LinkId, Stack};

/// More than that happens in no schedule: a fuzzer learns more from many short ones.
const STEPS: usize = 400;
/// What puppets do by themselves after each step: they could go on for ever.
const REACTIONS: usize = 64;

/// A schedule: what the network, the peers, the application and the clock do, in any order, and what must hold all
/// the while.
///
/// - Nothing panics, and the tables never contradict each other or go over their limits.
/// - Actions name links that are open, in an order that makes sense.
/// - ENTER comes before everything else of a peer, then exactly one EXIT; what the events say is what the queries say.
/// - Once the time is handled no deadline is in the past.
/// - The same schedule twice gives the same actions, octets and events.
/// - When all links close and time passes everything is let go, and a node that is stopped ends.
/// - Who is here in a secure node proved a key; it is that of its identity, when the embedder knows which that is; and the
///   embedder is asked about no key that was not proved.
pub fn node(schedule: &[u8]) {
    let first = run(schedule, true);
    let again = run(schedule, false);
    assert_eq!(first, again, "it is not always the same");
}

/// Runs a schedule, and looks all the while whether all is well, if asked to; what comes back stands for all that the
/// stack did.
fn run(schedule: &[u8], watched: bool) -> u64 {
    let (kin, schedule) = Kin::read(schedule);
    let mut u = Unstructured::new(schedule);
    // A schedule that is too short ends early.
    let Ok(mut world) = World::new(&mut u, kin, watched) else {
        return 0;
    };
    for _ in 0..STEPS {
        if u.is_empty() || world.step(&mut u).is_err() {
            break;
        }
        world.settle();
    }
    world.end();
    world.trace.finish()
}

struct World {
    stack: Stack,
    now: Instant,
    interfaces: VecDeque<InterfaceId>,
    puppets: Vec<Puppet>,
    links: BTreeMap<LinkId, Far>,
    /// Every link that ever was.
    known: BTreeSet<LinkId>,
    queries: VecDeque<u64>,
    reactions: VecDeque<Reaction>,
    reading: bool,
    /// Look whether all is well.
    watched: bool,
    /// How often it was waited until nothing happened by itself.
    settled: usize,
    /// Events that were taken and not looked at yet.
    taken: VecDeque<Event>,
    /// Everybody is gone: dials are refused.
    deserted: bool,
    stopping: bool,
    /// How many octets are handed in at once.
    chunk: usize,
    /// Hand in octets through lent buffers.
    fills: bool,
    /// What is different in schedules that know more.
    kin: Option<Kin>,
    /// The node and the puppets have keys.
    #[cfg(feature = "curve")]
    security: Option<keys::Security>,
    /// What the application is told.
    witness: Witness,
    trace: DefaultHasher,
    /// Tell what happens, for people.
    aloud: bool,
}

fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let mut config = Config {
        interval: Duration::from_secs(*u.choose(&[1, 5])?),
        beacons: match u.arbitrary::<u8>()? {
            off if off % 10 == 9 => Beacons::Off,
            220.. => Beacons::Directed,
            200.. => Beacons::Say,
            _ => Beacons::Both,
        },
        ..Config::default()
    };
    if u.arbitrary()? {
        let (name, value) = (Text::try_from("X-ROOM"), LongText::try_from("kitchen"));
        config.headers.extend(name.into_iter().zip(value));
    }
    if u.ratio(3_u8, 4)? {
        // So small that they are reached.
        let limits = &mut config.limits;
        limits.frame_octets = 50_000;
        limits.message_octets = 50_000;
        limits.message_frames = 5;
        limits.unproved_octets = 4_000;
        limits.unproved_links = 4;
        limits.peers = 4;
        limits.contacts = 5;
        limits.contacts_per_address = 2;
        limits.dial_attempts = 3;
        limits.groups_per_peer = 3;
        limits.headers_per_peer = 4;
        limits.send_octets = 10_000;
        limits.send_messages = 6;
        limits.receive_octets = 10_000;
        limits.receive_octets_total = 25_000;
        limits.changes_per_peer = 3;
    }
    Ok(config)
}

impl World {
    fn new(u: &mut Unstructured<'_>, kin: Option<Kin>, watched: bool) -> Result<Self> {
        let mut config = config(u)?;
        if let Some(kin) = &kin {
            kin.configure(&mut config);
        }
        let now = Instant::from_millis(1_000);
        let mut puppets = Vec::new();
        for who in 0..PUPPETS {
            let traits: u8 = u.arbitrary()?;
            puppets.push(Puppet {
                listens: traits & 1 == 0,
                answers_pings: traits & 2 == 0,
                greets_back: traits & 4 == 0,
                states: match traits >> 3 & 7 {
                    0..=3 => None,
                    4..=6 => Some(who),
                    _ => Some(usize::from(traits >> 6)),
                },
            });
        }
        let chunk = *u.choose(&[usize::MAX, 1_000, 64, 7, 1])?;
        // Lends buffers: 1. Secure: 128.
        let flags: u8 = u.arbitrary()?;
        #[cfg(feature = "curve")]
        let security = match flags & 128 {
            0 => None,
            _ => Some(keys::Security::new(u)?),
        };
        #[cfg(feature = "curve")]
        if let Some(security) = &security {
            security.configure(&mut config);
        }
        let stack = Stack::new(now, [7; 32], config);
        let mut world = Self {
            stack,
            now,
            interfaces: VecDeque::new(),
            puppets,
            links: BTreeMap::new(),
            known: BTreeSet::new(),
            queries: VecDeque::new(),
            reactions: VecDeque::new(),
            reading: true,
            watched,
            settled: 0,
            taken: VecDeque::new(),
            deserted: false,
            stopping: false,
            chunk,
            fills: flags & 1 != 0,
            kin,
            #[cfg(feature = "curve")]
            security,
            witness: Witness::default(),
            trace: DefaultHasher::new(),
            aloud: std::env::var_os("ATONCE_FUZZ_ALOUD").is_some(),
        };
        if world.kin.as_ref().is_some_and(Kin::copies) {
            world.stack.copy_events();
        }
        world.interface_up();
        world.settle();
        if world.kin.as_ref().is_some_and(Kin::is_crowd) {
            world.crowd();
        }
        Ok(world)
    }

    fn interface_up(&mut self) {
        let interface = self.next_interface();
        let id = self.stack.handle_interface_up(self.now, interface);
        self.interfaces.push_back(id);
    }

    // ---- time

    fn handle_timeout(&mut self) {
        self.stack.handle_timeout(self.now);
        let next = self.stack.poll_timeout();
        assert!(
            next.is_none_or(|(at, _)| at > self.now),
            "{next:?} is due at {}",
            self.now
        );
        self.note(&format!("{next:?}"));
    }

    fn run_until(&mut self, to: Instant) {
        while let Some((at, _)) = self.stack.poll_timeout()
            && at <= to
        {
            self.now = self.now.max(at);
            self.handle_timeout();
            self.settle();
        }
        self.now = to;
    }

    // ---- what the stack does

    /// What it tells next: taken one by one, or several at once.
    fn next_event(&mut self) -> Option<Event> {
        if let Some(event) = self.taken.pop_front() {
            return Some(event);
        }
        match self.settled % 3 {
            0 => self.stack.poll_event(self.now),
            few => {
                let octets = if few == 1 { 1_000 } else { usize::MAX };
                self.stack.poll_events(self.now, octets, &mut self.taken);
                self.taken.pop_front()
            }
        }
    }

    /// Lets everything happen that happens by itself, and looks whether all is well.
    fn settle(&mut self) {
        let mut reactions = REACTIONS;
        loop {
            self.take_copies();
            if let Some(action) = self.stack.poll_action() {
                self.act(&action);
            } else if self.reading
                && let Some(event) = self.next_event()
            {
                self.event(&event);
            } else if self.deliver() {
            } else if reactions > 0
                && let Some(reaction) = self.reactions.pop_front()
            {
                reactions -= 1;
                match reaction {
                    Reaction::Connected(link) => self.connected(link),
                    Reaction::Refused(link) => self.hang_up(link, Cut::Refused),
                    #[cfg(feature = "curve")]
                    Reaction::Ended(link) => self.hang_up(link, Cut::Closed),
                    Reaction::Greet(who) => {
                        // Nobody comes any more at the end.
                        if !self.deserted && self.speaking(who).is_none() {
                            let link = self.accept(who, who);
                            if let Some(link) = link {
                                let hello = self.hello_of(who);
                                self.tell(link, Some(1), Command::Hello(hello));
                            }
                        }
                    }
                    Reaction::PingOk(who) => {
                        if let Some(link) = self.speaking(who) {
                            self.tell(link, None, Command::PingOk);
                        }
                    }
                    Reaction::Support(who, command) => {
                        if let Some(link) = self.speaking(who) {
                            self.tell(link, None, command);
                        }
                    }
                }
            } else {
                break;
            }
        }
        self.reactions.clear();
        self.settled += 1;
        // Looking costs more than what happens while nobody is there.
        if !self.watched || (self.deserted && !self.settled.is_multiple_of(16)) {
            return;
        }
        self.stack.check_invariants();
        #[cfg(feature = "curve")]
        self.check_keys();
        if let Some(kin) = &self.kin {
            kin.check(self.stack.tuples());
        }
        if self.reading && !self.stopping {
            self.witness.compare(&self.stack);
            self.witness.count(&self.stack);
            assert_eq!(self.stack.endpoints().count(), self.interfaces.len());
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Whisper { peer, content } | Event::Shout { peer, content, .. } => {
                self.trace.write(peer.name.as_bytes());
                for frame in content {
                    self.trace.write(frame);
                }
            }
            other => self.note(&format!("{other:?}")),
        }
        if let Some(kin) = &mut self.kin {
            kin.compare(event);
        }
        self.witness.event(event);
    }

    fn note(&mut self, what: &str) {
        if self.aloud {
            std::eprintln!("{}   {what}", self.now);
        }
        self.trace.write(what.as_bytes());
    }

    // ---- the end

    /// Everybody goes, and time passes: nobody may be left. Then the node is stopped.
    fn end(&mut self) {
        self.reading = true;
        self.settle();
        for puppet in &mut self.puppets {
            puppet.listens = false;
        }
        self.deserted = true;
        #[cfg(feature = "curve")]
        {
            self.let_all_in();
            self.settle();
        }
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.hang_up(link, Cut::Closed);
            self.settle();
        }
        self.run_until(self.now + Duration::from_secs(200));
        self.settle();
        self.stack.check_invariants();
        if !self.stopping {
            self.stack.check_nobody_is_here();
            self.witness.check_nobody_is_here();
            self.stack.stop(self.now);
            self.stopping = true;
        }
        self.run_until(self.now + Duration::from_secs(2));
        self.settle();
        assert!(
            self.witness.is_told() && self.stack.is_stopped(),
            "it does not stop"
        );
        assert!(self.links.is_empty(), "links are left open");
        assert_eq!(self.stack.poll_timeout(), None, "it is stopped");
    }
}
