//! A node from its start to its end, as a command has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atonce::Frames;
use atonce::wire::Text;
use atonce::zre::{Event, ExitReason, Peer};
use atonce_std::{Builder, Node, SendError};

use crate::failure::Failure;
use crate::find::{NotFound, Target};
use crate::interrupt::Interrupt;
use crate::json::Line;
use crate::options::NodeOptions;
use crate::output::Output;
use crate::words;

/// How long to wait for room in a full queue before looking whether the peer is still there.
const ROOM: Duration = Duration::from_secs(1);

/// A running node and where to say what happens. Dropped, it leaves the network politely.
pub(crate) struct Session {
    /// The node.
    pub(crate) node: Node,
    /// Where to say what happens.
    pub(crate) output: Output,
    /// Whether the user wants to end.
    pub(crate) interrupt: Interrupt,
    /// Whether events are said that come while the command waits for something.
    follows: bool,
    /// The endpoint that the line `start` told, until its interface is told to be up.
    told: Option<String>,
    /// Whether the last event came.
    over: bool,
}

/// What came next.
#[derive(Debug)]
pub(crate) enum Next {
    /// An event.
    Event(Event),
    /// Nothing until the deadline.
    Deadline,
    /// Nothing will come any more: the node is stopped.
    Over,
}

impl Session {
    /// Starts the node that the options describe.
    pub(crate) fn start(options: &NodeOptions) -> Result<Self, Failure> {
        Self::start_with(options, Output::new(options.json), |builder| builder)
    }

    /// Starts the node that the options describe, with something of the command's own.
    pub(crate) fn start_with(
        options: &NodeOptions,
        output: Output,
        more: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, Failure> {
        let builder = more(options.builder()?);
        let interrupt = Interrupt::watch()?;
        let node = builder.start()?;
        interrupt.stops(&node);
        Ok(Self {
            node,
            output,
            interrupt,
            follows: false,
            told: None,
            over: false,
        })
    }

    /// Says who this node is.
    pub(crate) fn introduce(&mut self) -> Result<(), Failure> {
        let (uuid, name) = (self.node.id(), self.node.name());
        let endpoint = self.node.endpoints().into_iter().next().unwrap_or_default();
        self.told = Some(endpoint.clone());
        self.output.line(
            &Line::Start {
                uuid,
                name: name.to_str_lossy(),
                endpoint: endpoint.clone(),
            },
            || words::start(uuid, name, &endpoint),
        )
    }

    /// From now on events are said also while the command waits for something.
    pub(crate) fn follow(&mut self) -> Result<(), Failure> {
        self.follows = true;
        self.introduce()
    }

    /// Says that something happened while the command waited for something else.
    pub(crate) fn pass(&mut self, event: &Event) -> Result<(), Failure> {
        if self.follows {
            self.tell(event)?;
        }
        Ok(())
    }

    /// Waits for what comes next; `until` `None` waits for ever.
    pub(crate) fn next(&mut self, until: Option<Instant>) -> Next {
        if self.over {
            return Next::Over;
        }
        let event = match until {
            None => self.node.recv(),
            Some(until) => match self
                .node
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                None if Instant::now() >= until => return Next::Deadline,
                event => event,
            },
        };
        match event {
            Some(event) => {
                self.over = matches!(event, Event::Stopped);
                Next::Event(event)
            }
            None => {
                self.over = true;
                Next::Over
            }
        }
    }

    /// Says that something happened. `false` for what was said already.
    pub(crate) fn tell(&mut self, event: &Event) -> Result<bool, Failure> {
        if let Event::InterfaceUp { endpoint, .. } = event
            && self
                .told
                .take_if(|told| endpoint == told.as_str())
                .is_some()
        {
            return Ok(false);
        }
        self.output.event(event)?;
        Ok(true)
    }

    /// Waits until the peer that is meant is here.
    pub(crate) fn meet(&mut self, target: &Target, wait: Duration) -> Result<Arc<Peer>, Failure> {
        let until = Instant::now() + wait;
        loop {
            match target.find(&self.node) {
                Ok(peer) => return Ok(peer),
                Err(NotFound::Unknown(_)) => {}
                Err(ambiguous) => return Err(Failure::failed(ambiguous.to_string())),
            }
            match self.next(Some(until)) {
                Next::Event(event) => self.pass(&event)?,
                Next::Deadline => {
                    let unknown = NotFound::Unknown(target.clone());
                    return Err(Failure::failed(format!(
                        "{unknown}, waited {} s",
                        wait.as_secs_f64()
                    )));
                }
                Next::Over => return Err(self.ended()),
            }
        }
    }

    /// Whispers, and waits as long as the queue is full. Tells whether it had to wait.
    pub(crate) fn whisper(&self, peer: &Peer, content: &Frames) -> Result<bool, Failure> {
        let mut waited = false;
        let mut sent = self.node.whisper(peer.id, content.clone());
        while sent == Err(SendError::Full) {
            waited = true;
            sent = self.node.whisper_timeout(peer.id, content.clone(), ROOM);
        }
        sent.map(|()| waited)
            .map_err(|error| self.not_sent(peer, error))
    }

    /// Why nothing could be sent to a peer.
    pub(crate) fn not_sent(&self, peer: &Peer, error: SendError) -> Failure {
        if self.interrupt.came() {
            return Failure::Interrupted;
        }
        Failure::failed(format!("{}: {error}", words::plain_name(peer)))
    }

    /// Why the events came to an end before the command had done its work.
    pub(crate) fn ended(&self) -> Failure {
        if self.interrupt.came() {
            Failure::Interrupted
        } else {
            Failure::failed("the node was stopped")
        }
    }

    /// Leaves the network politely and says what still happens.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.node.stop();
        loop {
            match self.next(None) {
                Next::Event(event) => self.tell(&event)?,
                Next::Deadline | Next::Over => return Ok(()),
            };
        }
    }

    /// Leaves the network politely once everything is sent. The error says to whom something could not be sent.
    pub(crate) fn finish_sending(mut self) -> Result<(), Failure> {
        self.node.stop();
        let mut lost = Vec::new();
        loop {
            let Next::Event(event) = self.next(None) else {
                break;
            };
            self.pass(&event)?;
            if let Event::Exit { peer, reason } = &event
                && *reason != ExitReason::Left
            {
                lost.push(format!("{} is gone ({reason})", words::plain_name(peer)));
            }
        }
        if lost.is_empty() {
            Ok(())
        } else {
            Err(Failure::failed(format!(
                "it may not have arrived: {}",
                lost.join(", ")
            )))
        }
    }

    /// Leaves the network politely after a failure; who reads JSON reads of it there as well.
    pub(crate) fn fail(mut self, failure: Failure) -> Result<(), Failure> {
        if self.follows {
            if let Failure::Failed(message) = &failure {
                self.output.line(&Line::error(message), String::new)?;
            }
            self.finish()?;
        }
        Err(failure)
    }

    /// The members of a group that are here.
    pub(crate) fn members(&self, group: &Text) -> usize {
        self.node.peers_in(group).len()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.node.stop();
        while let Next::Event(_) = self.next(None) {}
    }
}
