//! One file for each command.

pub(crate) mod announce;
pub(crate) mod bridge;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod find;
pub(crate) mod keygen;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod peers;
pub(crate) mod perf;
pub(crate) mod ping;
pub(crate) mod run;
pub(crate) mod send;
pub(crate) mod server;
pub(crate) mod sim;
pub(crate) mod sockets;
pub(crate) mod top;
