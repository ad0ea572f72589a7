//! Many LANs that @Once makes one: ordinary nodes that talk across, bridges and a server that suffer, and what must hold all the while.
//!
//! Each LAN has nodes that know nothing of @Once, and one or two bridges; there is one server, with a relay for those LANs that cannot
//! dial each other. Nodes join and leave groups, shout to
//! them, and whisper to whom they see, near or far. Everything is numbered by its sender.
//!
//! Checked at every event:
//!
//! * ENTER comes first, exactly one EXIT last, nothing of a peer outside of them, JOIN and LEAVE take turns;
//! * whoever is on one's own LAN is met as itself, whoever is on another through a stand-in: nothing crosses a boundary twice;
//! * what arrives was said, octet for octet, in the order in which its sender said it and never twice, by one who is here; a whisper to the one it
//!   was for, a shout to a member of its group;
//! * nothing is broadcast by a server or the remote node of a bridge; and the relay keeps no more than it may.
//!
//! And once the faults are over: within [`Options::settling_time`] every node sees every other on all LANs, with its name, its headers
//! and the groups that it really is in, and nobody else; one bridge of each LAN makes all stand-ins and the others none; a whisper
//! gets through from each to each, and a shout to each member.
//!
//! ```
//! use atonce_sim::tester::once::{Options, Tester};
//! use std::time::Duration;
//!
//! let options = Options {
//!     lans: 2,
//!     peers: 2,
//!     duration: Duration::from_secs(10),
//!     faults: "bridge-kill".parse()?,
//!     ..Options::default()
//! };
//! let report = Tester::new(options).run(|_| ());
//! assert!(report.broken.is_none(), "{report}");
//! # Ok::<(), atonce_sim::tester::InvalidFault>(())
//! ```

mod findings;
mod guest;
mod options;
mod plan;
mod report;

pub use options::{Admission, Fault, Faults, Options};
pub use plan::Tester;
pub use report::{Relayed, Report};
