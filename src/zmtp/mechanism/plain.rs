//! PLAIN (RFC 24): a name and a password, for everybody on the way to read.

use alloc::vec::Vec;
use core::mem;

use super::{Done, Step, ready};
use crate::wire::Text;
use crate::wire::zmtp::{Command, Metadata, PlainCommand};
use crate::zmtp::error::unexpected;
use crate::zmtp::{Credentials, Error, Password};

/// How far it has come.
#[derive(Debug)]
pub(super) enum Plain {
    // The client's side.
    Start {
        username: Text,
        password: Password,
    },
    AwaitsWelcome,
    AwaitsReady,
    // The server's side.
    AwaitsHello,
    Asks,
    AwaitsInitiate,
    /// It is over.
    Spent,
}

impl Plain {
    pub(super) fn client(username: Text, password: Password) -> Self {
        Self::Start { username, password }
    }

    pub(super) fn server() -> Self {
        Self::AwaitsHello
    }

    pub(super) fn is_server(&self) -> bool {
        matches!(self, Self::AwaitsHello | Self::Asks | Self::AwaitsInitiate)
    }

    pub(super) fn is_asking(&self) -> bool {
        matches!(self, Self::Asks)
    }

    pub(super) fn start(&mut self) -> Option<Vec<u8>> {
        match mem::replace(self, Self::AwaitsWelcome) {
            Self::Start { username, password } => {
                let password = password.expose().clone();
                Some(PlainCommand::Hello { username, password }.encode())
            }
            other => {
                *self = other;
                None
            }
        }
    }

    pub(super) fn handle_command(&mut self, body: &[u8], ours: &Metadata) -> Result<Step, Error> {
        match self {
            // ZMTP-90
            Self::AwaitsWelcome => match PlainCommand::decode(body)? {
                PlainCommand::Welcome => {
                    *self = Self::AwaitsReady;
                    let initiate = PlainCommand::Initiate(ours.clone());
                    Ok(Step::Say(initiate.encode()))
                }
                _ => Err(unexpected("command before WELCOME")),
            },
            Self::AwaitsReady => match Command::decode(body)? {
                Command::Ready(theirs) => {
                    *self = Self::Spent;
                    Ok(Step::Done(Done::keyless(theirs, None)))
                }
                _ => Err(unexpected("command before READY")),
            },
            Self::AwaitsHello => match PlainCommand::decode(body)? {
                PlainCommand::Hello { username, password } => {
                    // ZMTP-91
                    *self = Self::Asks;
                    let password = password.into();
                    Ok(Step::Ask(Credentials::Plain { username, password }))
                }
                _ => Err(unexpected("command before HELLO")),
            },
            Self::AwaitsInitiate => match PlainCommand::decode(body)? {
                PlainCommand::Initiate(theirs) => {
                    *self = Self::Spent;
                    Ok(Step::Done(Done::keyless(theirs, Some(ready(ours)))))
                }
                _ => Err(unexpected("command before INITIATE")),
            },
            Self::Start { .. } | Self::Asks | Self::Spent => Err(unexpected("command out of turn")),
        }
    }

    pub(super) fn allow(&mut self) -> Option<Step> {
        if !self.is_asking() {
            return None;
        }
        *self = Self::AwaitsInitiate;
        Some(Step::Say(PlainCommand::Welcome.encode()))
    }
}
