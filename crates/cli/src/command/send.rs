//! `whisper` and `shout`: say one thing and leave.

use std::io::Read;
use std::time::{Duration, Instant};

use atonce::Frames;
use atonce::wire::Text;
use atonce::zre::{Event, Limits};
use clap::Args;

use crate::failure::Failure;
use crate::find::Target;
use crate::options::NodeOptions;
use crate::output::Output;
use crate::session::{Next, Session};
use crate::{value, words};

/// How long no new member must have come before a group is taken to be complete: all members answer the first beacon of
/// this node at about the same time.
const SETTLED: Duration = Duration::from_millis(250);

/// Said below the help of `whisper`.
const WHISPER_HELP: &str = "\
All of TEXT is one frame, its words joined by one space; a single - sends standard input as one frame.

Examples:
  atonce whisper bob dinner is ready
  atonce whisper 0123456789ABCDEF0123456789ABCDEF 'spaces   stay   in quotes'
  atonce whisper bob - < photo.jpg
  atonce whisper bob -- --text that begins with dashes";

/// Says something to one peer.
#[derive(Debug, Args)]
#[command(after_help = WHISPER_HELP)]
pub(crate) struct Whisper {
    /// Name or UUID of the peer.
    #[arg(value_name = "PEER")]
    target: Target,

    /// What to say, and how.
    #[command(flatten)]
    message: Message,
}

/// Said below the help of `shout`.
const SHOUT_HELP: &str = "\
All of TEXT is one frame, its words joined by one space; a single - sends standard input as one frame.
It goes to the members that are found within a moment of the first; this node need not be a member.

Examples:
  atonce shout LOBBY dinner is ready
  date | atonce shout LOBBY -
  atonce shout LOBBY hello --wait 60    exit code 1 when no member comes within a minute";

/// Says something to the members of a group.
#[derive(Debug, Args)]
#[command(after_help = SHOUT_HELP)]
pub(crate) struct Shout {
    /// The group to say it to.
    #[arg(value_name = "GROUP", value_parser = value::text)]
    to: Text,

    /// What to say, and how.
    #[command(flatten)]
    message: Message,
}

/// What to say, and how.
#[derive(Debug, Args)]
struct Message {
    /// What to say.
    #[arg(required = true)]
    text: Vec<String>,

    /// How long to wait for somebody to say it to.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = value::seconds)]
    wait: Duration,

    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

impl Message {
    /// The content: one frame.
    fn content(&self) -> Result<Frames, Failure> {
        if self.text != ["-"] {
            return Ok(Frames::from(self.text.join(" ")));
        }
        let mut octets = Vec::new();
        std::io::stdin()
            .read_to_end(&mut octets)
            .map_err(|error| Failure::failed(format!("standard input cannot be read: {error}")))?;
        Ok(Frames::from(octets))
    }

    /// A node that takes the time for its goodbye that sending a large message needs.
    fn start(&self) -> Result<Session, Failure> {
        let limits = Limits {
            linger: self.wait.max(Limits::default().linger),
            ..Limits::default()
        };
        let output = Output::new(self.node.json);
        let mut session =
            Session::start_with(&self.node, output, |builder| builder.limits(limits))?;
        if self.node.json {
            session.follow()?;
        }
        Ok(session)
    }
}

impl Whisper {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let content = self.message.content()?;
        let mut session = self.message.start()?;
        match self.say(&mut session, &content) {
            Ok(()) => session.finish_sending(),
            Err(failure) => session.fail(failure),
        }
    }

    /// Waits for the peer and whispers.
    fn say(&self, session: &mut Session, content: &Frames) -> Result<(), Failure> {
        let peer = session.meet(&self.target, self.message.wait)?;
        session.whisper(&peer, content)?;
        let octets = content.octets();
        session.output.remark(&format!(
            "whispered {octets} octets to {}",
            words::name(&peer)
        ))
    }
}

impl Shout {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let content = self.message.content()?;
        let mut session = self.message.start()?;
        match self.say(&mut session, content) {
            Ok(()) => session.finish_sending(),
            Err(failure) => session.fail(failure),
        }
    }

    /// Waits for members and shouts.
    fn say(&self, session: &mut Session, content: Frames) -> Result<(), Failure> {
        let octets = content.octets();
        self.gather(session)?;
        let shouted = match session.node.shout(self.to.clone(), content) {
            Ok(shouted) if shouted.reached > 0 => shouted,
            Ok(_) => {
                return Err(Failure::failed(format!(
                    "every member of {} is gone again",
                    self.to
                )));
            }
            Err(error) => return Err(Failure::failed(error.to_string())),
        };
        let members = if shouted.reached == 1 {
            "member"
        } else {
            "members"
        };
        session.output.remark(&format!(
            "shouted {octets} octets to {} {members} of {}",
            shouted.reached,
            words::group(&self.to)
        ))
    }

    /// Waits until the first members of the group are here.
    fn gather(&self, session: &mut Session) -> Result<(), Failure> {
        let mut until = Instant::now() + self.message.wait;
        loop {
            match session.next(Some(until)) {
                Next::Event(event) => {
                    session.pass(&event)?;
                    if let Event::Join { group, .. } = event
                        && group == self.to
                    {
                        until = Instant::now() + SETTLED;
                    }
                }
                Next::Deadline if session.members(&self.to) > 0 => return Ok(()),
                Next::Deadline => {
                    return Err(Failure::failed(format!(
                        "no member of {} is here, waited {} s",
                        self.to,
                        self.message.wait.as_secs_f64()
                    )));
                }
                Next::Over => return Err(session.ended()),
            }
        }
    }
}
