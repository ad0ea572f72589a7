//! One ZMTP connection as a machine: it is fed octets and time, and asked for octets, events and deadlines.
//!
//! The source is [RFC 37](https://rfc.zeromq.org/spec/37/) (3.1); peers of version 3.0 are served as well, older ones
//! are told apart and refused. The octets themselves are in [`wire::zmtp`](crate::wire::zmtp).
//!
//! ```text
//!      new ── greeting goes out, all 64 octets
//!       │
//!       ▼          the peer's greeting is in,
//!   ┌──────────┐   READY goes out               ┌───────────┐  the peer's READY is in   ┌─────────┐
//!   │ greeting ├───────────────────────────────►│ handshake ├──────────────────────────►│ traffic │
//!   └────┬─────┘                                └─────┬─────┘  Event::Ready             └────┬────┘
//!        │ older revision, other mechanism            │ ERROR, socket types,                │ malformed, limits,
//!        │ deadline, refuse                           │ deadline, refuse                    │ silence, ERROR, refuse
//!        └────────────────────────────┬───────────────┴─────────────────────────────────────┘
//!                                     ▼
//!                                ┌────────┐   Event::Closed, unless this side refused;
//!                                │ closed │   takes nothing, lends what is left to send
//!                                └────────┘
//! ```
//!
//! # Octets and copies
//!
//! Small reads go through a buffer that the embedder shares between connections: [`Connection::handle_input`] copies a
//! frame out of it once. What a large frame lacks is read into memory of its own, which the application gets:
//! [`Connection::receive_buffer`]. What is sent is lent: [`Connection::poll_transmit`]. A connection with nothing under
//! way owns no memory but itself.
//!
//! # Trust
//!
//! Lengths are compared with [`Limits`] before anything is allocated. Whatever a peer does, its own connection ends and
//! says why, see [`Error`]. What this side generates by itself is bounded: at most one PING and one PONG wait to be
//! sent. What an input brings waits in [`Connection::poll_event`]; take it after each input, and stop reading when the
//! application does not keep up ([`Connection::pause`]).

mod config;
mod connection;
mod error;
mod event;
mod heartbeat;
mod inbox;
mod input;
mod mechanism;
mod outbox;
mod timer;

pub use crate::verdict::{Denial, Verdict};
pub use config::{Config, Heartbeat, Limits, Password, Security};
pub use connection::Connection;
pub use error::{Error, Incompatible, Misbehaving, SendError};
pub use event::{Credentials, Event};
pub(crate) use input::Input;
pub use timer::Timer;
