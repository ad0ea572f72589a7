//! A crowd of nodes that come, go, talk and suffer, and what must hold all the while.
//!
//! This is the tester of the ZeroMQ guide's chapter on Zyre, in virtual time. Nodes start and stop at random; each whispers to
//! who enters, answers a whisper half of the time, and a shout in a third of cases with a whisper and in a third with a shout;
//! each second it joins or leaves one of ten groups and shouts to one. What is said carries a generation, and what is of the
//! third generation is not answered: otherwise answers would multiply without end in a time that is only computed.
//!
//! Checked at every event, for every pair of nodes:
//!
//! * HELLO with sequence 1 is the first thing on the wire from a node to another, sequences grow by one, and only a conversation
//!   of which nothing was lost goes on over another connection;
//! * ENTER comes first, exactly one EXIT last, nothing of a peer outside of them, JOIN and LEAVE take turns;
//! * a peer that entered can be sent to, one that exited cannot;
//! * what arrives was meant for this very process, comes in the order in which it was said, and never twice;
//! * what is missing was told to the one who said it.
//!
//! And once the faults are over: within [`Options::settling_time`] every node sees every other with the groups that it really
//! is in, and nobody else; a message gets through from each to each; and it stays like that. When they
//! [contest](Options::contest), each group that somebody stands for has one leader within [`Options::ELECTING_TIME`] after that: one that
//! stands, and the same for all, as their applications were told.
//!
//! ```
//! use atonce_sim::tester::{Faults, Options, Tester};
//! use std::time::Duration;
//!
//! let options = Options {
//!     nodes: 4,
//!     duration: Duration::from_secs(10),
//!     seed: 1,
//!     faults: "kill, reset".parse::<Faults>()?,
//!     ..Options::default()
//! };
//! let report = Tester::new(options).run(|_| ());
//! assert!(report.broken.is_none(), "{report}");
//! # Ok::<(), atonce_sim::tester::InvalidFault>(())
//! ```

pub mod clusters;
mod faults;
mod findings;
mod guest;
mod leaders;
pub mod once;
mod options;
mod plan;
mod report;
mod tap;

use std::net::IpAddr;

use crate::{Application, HostId, Observer, SegmentId, Sim};

pub use faults::{FaultSet, InvalidFault, Kind};
pub use options::{Fault, Faults, Options};
pub use plan::{Progress, Tester};
pub use report::{Broken, Report, Times};

/// A host at this address of a LAN, and at the address of IPv6 with this number, if it has both versions of IP.
fn join<A: Application, O: Observer>(
    sim: &mut Sim<A, O>,
    lan: SegmentId,
    address: IpAddr,
    n: usize,
    dual_stack: bool,
) -> HostId {
    let host = sim.host(lan, address);
    if dual_stack {
        sim.attach(host, lan, address_v6(n));
    }
    host
}

/// The address of IPv6 with this number on a LAN.
fn address_v6(n: usize) -> IpAddr {
    let n = u16::try_from(n + 1).unwrap_or(u16::MAX);
    [0xfd00, 0, 0, 0, 0, 0, 0, n].into()
}
