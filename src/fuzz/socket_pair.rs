//! Two to four sockets that go together, and a network between them that delays and cuts.

mod apps;
mod host;
mod network;
mod steps;
mod wire;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use self::host::Host;
use self::wire::Wire;
use super::sockets;
use crate::Instant;
use crate::net::Cut;
use crate::socket::{Config, Kind, Socket, SubscriptionLimit};
use crate::wire::Frames;

/// More than that happens in no schedule.
const STEPS: usize = 250;
/// What may follow from one step without any time passing, also when all comes octet by octet.
const ROUNDS: usize = 2_000_000;
/// In what time all find each other again once nothing is in their way: a heartbeat that fails, a handshake that hangs, and the longest
/// pause, one after the other and twice.
const HEALING: Duration = Duration::from_secs(30);
/// How long they are watched then.
const QUIET: Duration = Duration::from_secs(20);
/// What arrives at once on a network without delays.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Which go together: the first of them, and the second.
const TYPES: [(Kind, Kind); 13] = [
    (Kind::Push, Kind::Pull),
    (Kind::Dealer, Kind::Router),
    (Kind::Dealer, Kind::Dealer),
    (Kind::Req, Kind::Rep),
    (Kind::Req, Kind::Router),
    (Kind::Dealer, Kind::Rep),
    (Kind::Pub, Kind::Sub),
    (Kind::XPub, Kind::XSub),
    (Kind::Pub, Kind::XSub),
    (Kind::XPub, Kind::Sub),
    (Kind::Pair, Kind::Pair),
    (Kind::Router, Kind::Router),
    (Kind::Req, Kind::Rep),
];

/// A schedule of what the applications of some sockets do, and of what a network does to their connections.
///
/// All the while:
///
/// - Nothing panics, no table contradicts another or goes over its limit, and nothing goes on for ever without time passing.
/// - Nothing arrives but what was sent, whole, at most once, in order on each connection, and only where it was meant to.
/// - Of each socket: what it says that it sent was put on the network as a whole, or waits, or is counted as lost.
/// - A REQ gets answers to its newest question alone, a DEALER one for each of its questions; a SUB only what it wants.
/// - As long as no peer was lost nothing else is: what was put on the network arrives.
///
/// When the network has come to rest, whatever it did before: all are connected; a REQ has its answer, or knows that there will be none,
/// and the next question is answered; what is pushed, dealt, routed or said to a partner arrives; each SUB gets what it wants and nothing
/// else, once. Nothing happens then by itself, and who closes loses nothing.
pub fn socket_pair(schedule: &[u8]) {
    let mut u = Unstructured::new(schedule);
    // A schedule that is too short ends early.
    let Ok(mut world) = World::new(&mut u) else {
        return;
    };
    for _ in 0..STEPS {
        if u.is_empty() || world.step(&mut u).is_err() {
            break;
        }
        world.settle();
    }
    world.heal();
    world.end();
}

/// What becomes of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It is made if somebody listens there.
    Made,
    Cut(Cut),
    Never,
}

/// Something that an application said.
struct Said {
    from: usize,
    /// Under what it was published.
    topic: Option<Bytes>,
    /// From the frame that tells it from all others on.
    message: Frames,
    /// For whom alone it is, by seat.
    to: Option<usize>,
    /// To which question it is the answer.
    answers: Option<u64>,
}

struct World {
    now: Instant,
    config: Config,
    /// How many of the seats are of the first type.
    first: usize,
    types: (Kind, Kind),
    /// Those of the first type are bound, and the others dial.
    first_binds: bool,
    /// They tell who they are.
    named: bool,
    /// All that there were.
    hosts: Vec<Host>,
    /// Which of them is in which place now.
    seats: Vec<usize>,
    wires: BTreeMap<u32, Wire>,
    next_wire: u32,
    /// What is not held gets through by itself.
    flows: bool,
    answer: Answer,
    /// How many octets are under way at most in one direction of a connection.
    capacity: usize,
    /// How many octets are handed in at once.
    chunk: usize,
    /// Hand in octets through lent buffers.
    fills: bool,
    said: BTreeMap<u64, Said>,
    next_id: u64,
    /// On which connection, and as the how many-th, something went to whom.
    carried: BTreeMap<(u64, usize), (u32, usize)>,
    /// The last one of a connection that arrived.
    arrived: BTreeMap<(u32, usize), usize>,
    /// Questions that were answered (DEALER).
    answered: BTreeSet<u64>,
    /// A peer was lost, or something that waited for one.
    disturbed: bool,
    /// An application gave a question up that it was to answer.
    gave_up: bool,
    /// The network has come to rest.
    at_rest: bool,
    settled: usize,
    aloud: bool,
}

impl World {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let types = *u.choose(&TYPES)?;
        let config = Config {
            // Who wants more than it may is parted from for good.
            subscriptions: SubscriptionLimit::default(),
            ..sockets::config(u)?
        };
        let flags: u8 = u.arbitrary()?;
        let (seats, first) = match u.int_in_range(0..=5_u8)? {
            _ if types.0 == Kind::Pair => (2, 1),
            0 => (2, 1),
            1 => (3, 1),
            2 => (3, 2),
            3 => (4, 1),
            4 => (4, 3),
            _ => (4, 2),
        };
        let mut world = Self {
            now: Instant::from_millis(1_000),
            config,
            first,
            types,
            first_binds: flags & 1 == 0,
            named: flags & 2 != 0 || types == (Kind::Router, Kind::Router),
            hosts: Vec::new(),
            seats: Vec::new(),
            wires: BTreeMap::new(),
            next_wire: 0,
            flows: flags & 4 == 0,
            answer: Answer::Made,
            capacity: usize::MAX,
            chunk: *u.choose(&[usize::MAX, 7, 100, 1])?,
            fills: flags & 8 != 0,
            said: BTreeMap::new(),
            next_id: 0,
            carried: BTreeMap::new(),
            arrived: BTreeMap::new(),
            answered: BTreeSet::new(),
            disturbed: false,
            gave_up: false,
            at_rest: false,
            settled: 0,
            aloud: std::env::var_os("ATONCE_FUZZ_ALOUD").is_some(),
        };
        for seat in 0..seats {
            world.seats.push(usize::MAX);
            world.take_seat(seat);
        }
        for seat in 0..seats {
            // Some are bound before others connect, some after.
            if flags & 16 == 0 {
                world.bind(seat);
            }
        }
        world.settle();
        Ok(world)
    }

    fn note(&self, what: fmt::Arguments<'_>) {
        if self.aloud {
            std::eprintln!("{}   {what}", self.now);
        }
    }

    // ---- who is where

    const fn is_first(&self, seat: usize) -> bool {
        seat < self.first
    }

    const fn kind_of(&self, seat: usize) -> Kind {
        if self.is_first(seat) {
            self.types.0
        } else {
            self.types.1
        }
    }

    /// The type of those on the other side.
    const fn peer_kind_of(&self, seat: usize) -> Kind {
        if self.is_first(seat) {
            self.types.1
        } else {
            self.types.0
        }
    }

    const fn binds(&self, seat: usize) -> bool {
        self.is_first(seat) == self.first_binds
    }

    /// The seats on the other side.
    fn others(&self, seat: usize) -> Vec<usize> {
        let all = 0..self.seats.len();
        all.filter(|other| self.is_first(*other) != self.is_first(seat))
            .collect()
    }

    // ---- time

    fn next_deadline(&self) -> Option<Instant> {
        let sockets = self.hosts.iter().filter_map(|host| host.socket.as_ref());
        sockets.filter_map(Socket::deadline).min()
    }

    fn run_until(&mut self, to: Instant) {
        while let Some(at) = self.next_deadline()
            && at <= to
        {
            self.now = self.now.max(at);
            for host in 0..self.hosts.len() {
                if let Some(socket) = &mut self.hosts[host].socket {
                    socket.handle_timeout(self.now);
                    let next = socket.poll_timeout();
                    assert!(next.is_none_or(|(at, _)| at > self.now), "{next:?} is due");
                }
            }
            self.settle();
        }
        self.now = to;
    }

    // ---- what follows

    /// Lets everything happen that happens by itself, and looks whether all is well.
    fn settle(&mut self) {
        for round in 0.. {
            let mut any = false;
            for host in 0..self.hosts.len() {
                any |= self.obey(host);
                any |= self.live(host);
                self.obey(host);
            }
            any |= self.flow();
            if !any {
                break;
            }
            assert!(round < ROUNDS, "they never get quiet");
        }
        self.settled += 1;
        // Looking costs more than what happens while nobody disturbs them.
        if self.at_rest && !self.settled.is_multiple_of(16) {
            return;
        }
        for host in &self.hosts {
            host.check();
        }
    }

    // ---- the end

    /// The network comes to rest: all find each other again, and then nothing happens any more.
    fn heal(&mut self) {
        self.note(format_args!("-- healing"));
        self.flows = true;
        self.answer = Answer::Made;
        self.capacity = usize::MAX;
        self.chunk = usize::MAX;
        self.mend_wires();
        for seat in 0..self.seats.len() {
            self.take_seat(seat);
            self.bind(seat);
            self.connect_to_all(seat);
            self.host_mut(seat).eager = true;
        }
        self.settle();
        self.at_rest = true;
        self.run_until(self.now + HEALING);
        self.settle();
        for seat in 0..self.seats.len() {
            self.is_connected(seat);
        }
        if self.gave_up {
            self.give_up_questions();
        }
        self.is_whole();
        self.talk();
        let before = self.hosts.iter().map(|host| host.ended).sum::<usize>();
        self.run_until(self.now + QUIET);
        let after = self.hosts.iter().map(|host| host.ended).sum::<usize>();
        assert_eq!(before, after, "it did not last");
        self.talk();
    }

    /// Everybody on the other side is there.
    fn is_connected(&self, seat: usize) {
        let host = &self.hosts[self.seats[seat]];
        let socket = host.socket.as_ref().expect("it is there");
        let peers = socket.peers().count();
        assert!(peers >= self.others(seat).len(), "{seat} has {peers} peers");
    }

    /// All close: what is sent at last is not lost.
    fn end(&mut self) {
        for seat in 0..self.seats.len() {
            let (now, lingers) = (self.now, !self.config.linger.is_zero());
            let host = self.host_mut(seat);
            if let Some(socket) = &mut host.socket {
                let lost = socket.counters().messages_lost;
                let waits = socket.usage().queued_messages;
                host.lost_before = Some(lost).filter(|_| lingers || waits == 0);
                socket.close(now);
                host.closing = true;
            }
            self.settle();
        }
        let end = self.now + self.config.linger + Duration::from_secs(2);
        self.run_until(end);
        self.settle();
        for host in &self.hosts {
            assert!(host.socket.is_none(), "it does not close");
        }
        assert!(self.wires.is_empty(), "connections are left open");
    }
}
