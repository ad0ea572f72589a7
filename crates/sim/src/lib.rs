//! A virtual network for [`atonce`] nodes: thousands of them in one process, in virtual time, with every fault on demand, and each
//! run repeatable from its seed.
//!
//! A [`Sim`] drives the very [`Stack`](atonce::Stack) that the adapters for real sockets drive. Only the sockets, the clock and the
//! entropy are its own, so what a program does here it does there. Use it to test
//!
//! * an application: how it behaves when peers come and go, networks part, and machines die;
//! * `atonce` itself, with the [`tester`] that `atonce sim` runs.
//!
//! # A test of an application
//!
//! Here is one that counts who else is there, and a test that it counts right after a partition:
//!
//! ```
//! use atonce::Event;
//! use atonce_sim::{Application, Context, Sim};
//! use std::time::Duration;
//!
//! /// What is to be tested. It has its own state, and is told what happens.
//! #[derive(Default)]
//! struct Counter {
//!     others: usize,
//! }
//!
//! impl Application for Counter {
//!     fn on_event(&mut self, _context: &mut Context<'_>, event: Event) {
//!         match event {
//!             Event::Enter { .. } => self.others += 1,
//!             Event::Exit { .. } => self.others -= 1,
//!             _ => {}
//!         }
//!     }
//! }
//!
//! // Three hosts on one LAN, a node on each.
//! let mut sim = Sim::new(1);
//! let lan = sim.segment();
//! let hosts = [1, 2, 3].map(|n| sim.host(lan, [10, 0, 0, n]));
//! let nodes = hosts.map(|host| sim.start_named(host, "counter", Counter::default()));
//! sim.run_for(Duration::from_secs(1));
//! assert!(nodes.iter().all(|node| sim.application(*node).others == 2));
//!
//! // The cable of the third is pulled for a minute: longer than the others wait for it.
//! sim.partition(&[hosts[2]]);
//! sim.run_for(Duration::from_secs(60));
//! assert_eq!(nodes.map(|node| sim.application(node).others), [1, 1, 0]);
//!
//! // And put back.
//! sim.heal();
//! let back = sim.run_until_true(Duration::from_secs(10), |sim| {
//!     nodes.iter().all(|node| sim.application(*node).others == 2)
//! });
//! assert!(back.is_some());
//! ```
//!
//! # Sockets
//!
//! A process may have [ZMTP sockets](atonce::socket) as well, which listen and dial over the same TCP. A test can use one itself, with
//! [`start_socket`](Sim::start_socket) and [`with_socket`](Sim::with_socket); what is more than that is a [`Program`], which starts its sockets with
//! [`Nodes::start_socket`] and is told when something happened at one, by [`Program::on_socket`]:
//!
//! ```
//! use atonce::socket::{Config, Kind};
//! use atonce_sim::{NodeId, Nodes, Program, Sim};
//! use std::time::Duration;
//!
//! /// Answers every question with its own words.
//! struct Echo;
//!
//! impl Program for Echo {
//!     fn on_start(&mut self, nodes: &mut Nodes<'_>) {
//!         let socket = nodes.start_socket(Kind::Rep, Config::default());
//!         nodes.with_socket(socket, |socket| socket.bind(&"tcp://*:5555".parse().expect("an endpoint")));
//!     }
//!
//!     fn on_socket(&mut self, nodes: &mut Nodes<'_>, socket: NodeId) {
//!         nodes.with_socket(socket, |socket| {
//!             while let Ok(Some(question)) = socket.recv() {
//!                 socket.send(&question).expect("whoever asked is there");
//!             }
//!         });
//!     }
//! }
//!
//! let mut sim: Sim<()> = Sim::new(1);
//! let lan = sim.segment();
//! let [server, client] = [1, 2].map(|n| sim.host(lan, [10, 0, 0, n]));
//! sim.start_program(server, Echo);
//! let req = sim.start_socket(client, Kind::Req, Config::default());
//! sim.with_socket(req, |req| {
//!     req.connect(&"tcp://10.0.0.1:5555".parse().expect("an endpoint")).expect("it can be dialled");
//!     req.send(&"hello".into()).expect("there is room");
//! });
//! let took = sim.run_until_true(Duration::from_secs(1), |sim| sim.socket(req).is_some_and(|req| req.can_recv()));
//! assert!(took.is_some_and(|took| took < Duration::from_millis(5)));
//! assert_eq!(sim.with_socket(req, |req| req.recv()), Some(Ok(Some("hello".into()))));
//! ```
//!
//! # What there is
//!
//! | | |
//! |---|---|
//! | the network | [`segment`](Sim::segment)s of some [`Quality`], [`host`](Sim::host)s with one or several interfaces, [`router`](Sim::router)s, [`nat`](Sim::nat)s, names |
//! | UDP | broadcast on a segment; loss, duplication, delay and reordering; buffers that overflow; [datagrams of other programs](Sim::send_datagram) to one host, to all, or to a [multicast group](Sim::join_multicast); [sockets of UDP](Nodes::start_udp) of programs |
//! | TCP | bandwidth, delay and bounded buffers ([`Tcp`]): a reader that stops is felt by the writer; refusals, time-outs, backlogs; orderly ends and resets as Linux does them |
//! | @Once | [servers, bridges](once) and [relays](Nodes::start_relay) as programs, over the same TCP |
//! | autoconfiguration | [servers that announce themselves, and clients](autoconf) that find them and say hello, as programs, over the same UDP and TCP |
//! | gossip | [participants](gossip), hubs and clients, as programs, over the same TCP |
//! | sockets | [all types](atonce::socket::Kind) in [programs](Nodes::start_socket) or [used by the test](Sim::start_socket), over the same TCP; there are no Unix sockets, and no loopback |
//! | faults of the network | [`partition`](Sim::partition), [`cut_one_way`](Sim::cut_one_way), [`reset`](Sim::reset), [`blackhole_some`](Sim::blackhole_some), [`swallow`](Sim::swallow), [`change_address`](Sim::change_address) |
//! | faults of processes | [`kill`](Sim::kill), [`suspend`](Sim::suspend), [`set_deaf`](Sim::set_deaf) (the application takes no events), [`set_stalled`](Sim::set_stalled) (the process reads no sockets), a port given to another one ([`start_on`](Sim::start_on)) |
//! | faults of machines | [`power_off`](Sim::power_off), clocks that jump ([`advance_clock`](Sim::advance_clock)) |
//! | to see | [`application`](Sim::application), [`stack`](Sim::stack), an [`Observer`] of events and octets, a trace of everything as lines ([`trace_to`](Sim::trace_to)) and as a hash ([`trace_hash`](Sim::trace_hash)) |
//!
//! # Every run the same
//!
//! Nothing in it asks a clock, the operating system or a randomly seeded map. What happens by chance comes from one [`Chance`] made from
//! the seed, and what is due at the same time happens in the order in which it was scheduled. So the same program with the same seed gives
//! the same trace to the octet, and a failure that was seen once is seen each time.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod alarm;
mod application;
pub mod autoconf;
mod chance;
pub mod gossip;
pub mod once;
mod program;
mod schedule;
mod sim;
mod socket;
mod tcp;
pub mod tester;
mod topology;
mod trace;

pub use application::{Application, Context, NodeId, Observer, Wire};
pub use chance::{Chance, InvalidOdds, Odds};
pub use program::{Nodes, Place, Program, ProgramId};
pub use sim::{Counters, Sim};
pub use socket::SocketContext;
pub use tcp::Tcp;
pub use topology::{HostId, Quality, RouterId, SegmentId};
