//! `perf serve`: the receiver.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use atonce::zre::{Event, Peer};
use atonce::{Frames, PeerId};
use clap::Args;

use super::control::{Control, nanos};
use crate::failure::Failure;
use crate::json::Line;
use crate::options::NodeOptions;
use crate::output::Output;
use crate::session::{Next, Session};
use crate::words;

/// See the module.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

/// A run that lasts.
#[derive(Debug)]
struct Counted {
    /// Which run of the sender.
    run: u64,
    /// The octets of each message.
    size: usize,
    /// The group that was joined for it.
    group: Option<String>,
    /// How many messages came.
    messages: u64,
    /// When the first and the last came.
    times: Option<(Instant, Instant)>,
}

impl Serve {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut session =
            Session::start_with(&self.node, Output::new(self.node.json).timed(), |builder| {
                builder
            })?;
        session.introduce()?;
        let mut runs: BTreeMap<PeerId, Counted> = BTreeMap::new();
        loop {
            match session.next(None) {
                Next::Event(Event::Whisper { peer, content }) => {
                    whispered(&mut session, &mut runs, &peer, &content)?;
                }
                Next::Event(Event::Shout { peer, content, .. }) => {
                    if let Some(counted) = runs.get_mut(&peer.id) {
                        counted.count(&content);
                    }
                }
                Next::Event(event) => {
                    if let Event::Exit { peer, .. } = &event
                        && let Some(counted) = runs.remove(&peer.id)
                    {
                        counted.over(&session);
                    }
                    session.tell(&event)?;
                }
                Next::Deadline => {}
                Next::Over => return Ok(()),
            }
        }
    }
}

/// A WHISPER: of the protocol, to be counted, or to be echoed.
fn whispered(
    session: &mut Session,
    runs: &mut BTreeMap<PeerId, Counted>,
    peer: &Peer,
    content: &Frames,
) -> Result<(), Failure> {
    let answer = match Control::from_frames(content) {
        Some(Control::Begin { run, size, group }) => {
            let counted = Counted::begin(session, run, size, group);
            if let Some(earlier) = runs.insert(peer.id, counted) {
                earlier.over(session);
            }
            Control::Ready { run }.to_frames()
        }
        Some(Control::End { run }) => match runs.remove(&peer.id) {
            Some(counted) if counted.run == run => {
                say(session, peer, &counted)?;
                let answer = counted.report().to_frames();
                counted.over(session);
                answer
            }
            _ => return Ok(()),
        },
        Some(Control::Ready { .. } | Control::Report { .. }) => return Ok(()),
        None => match runs.get_mut(&peer.id) {
            Some(counted) => {
                counted.count(content);
                return Ok(());
            }
            None => content.clone(),
        },
    };
    // A peer that is gone gets no answer; that it is gone is the next event.
    let _ = session.whisper(peer, &answer);
    Ok(())
}

/// Says what came in a run.
fn say(session: &mut Session, peer: &Peer, counted: &Counted) -> Result<(), Failure> {
    let (received, size, seconds) = (counted.messages, counted.size, counted.took().as_secs_f64());
    let line = Line::Counted {
        who: peer.into(),
        size,
        received,
        receive_seconds: seconds,
    };
    session.output.line(&line, || {
        format!(
            "{received} messages of {size} octets from {} in {seconds:.3} s",
            words::name(peer)
        )
    })
}

impl Counted {
    /// Joins the group, if there is one, and counts from zero.
    fn begin(session: &Session, run: u64, size: usize, group: Option<String>) -> Self {
        if let Some(group) = &group {
            // A name that is too long is the sender's mistake: it will miss this node in the group.
            let _ = session.node.join(group.as_str());
        }
        Self {
            run,
            size,
            group,
            messages: 0,
            times: None,
        }
    }

    /// Leaves the group.
    fn over(self, session: &Session) {
        if let Some(group) = &self.group {
            let _ = session.node.leave(group.as_str());
        }
    }

    /// A message that came.
    fn count(&mut self, content: &Frames) {
        if content.len() != 1 || content.octets() != self.size {
            return;
        }
        let now = Instant::now();
        self.messages += 1;
        self.times = Some((self.times.map_or(now, |(first, _)| first), now));
    }

    /// From the first message to the last.
    fn took(&self) -> Duration {
        self.times
            .map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// What came, for the sender.
    fn report(&self) -> Control {
        Control::Report {
            run: self.run,
            messages: self.messages,
            nanos: nanos(self.took()),
        }
    }
}
