//! `chat`: what is typed is shouted to a group, and who comes and goes is shown.

mod editor;
mod typed;

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::thread;

use atonce::Frames;
use atonce::wire::Text;
use atonce::zre::Event;
use atonce_std::PeerInfo;
use clap::Args;

use self::typed::Typed;
use crate::escape::escaped;
use crate::failure::Failure;
use crate::find::Target;
use crate::json::{Line, PeerLine};
use crate::options::NodeOptions;
use crate::output::Output;
use crate::paint::{self, painted};
use crate::session::Session;
use crate::{value, words};

/// How many events and lines may wait to be looked at.
const WAITING: usize = 64;

/// What `/help` says.
const HELP: &str = "\
What you type is shouted to the group. A line that begins with / is a command:
  /w NAME text   whisper to one peer, by its name or UUID
  /peers         who is here
  /groups        the groups of this node, and those of the peers
  /quit          leave (so does the end of input)
  /help          this
  //text         shout a text that begins with /";

/// Said below the help.
const AFTER_HELP: &str = "\
Commands while it runs: /w NAME text, /peers, /groups, /quit, /help.

Examples:
  atonce chat LOBBY
  atonce chat LOBBY --name alice --interface eth0";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Chat {
    /// The group to talk to.
    #[arg(value_name = "GROUP", value_parser = value::text)]
    to: Text,

    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

/// What comes to the loop.
enum Input {
    /// An event of the node.
    Event(Event),
    /// A line that was typed.
    Line(String),
    /// There are no more lines.
    End,
}

impl Chat {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (to_loop, inputs) = sync_channel(WAITING);
        let mut output = Output::new(self.node.json);
        let mut ask = None;
        // Where there is a terminal, a line that is being typed is kept apart from what comes in meanwhile.
        if !self.node.json && io::stdin().is_terminal() && io::stdout().is_terminal() {
            let lines = editor::start(to_loop.clone())?;
            output = output.into_sink(lines.printer);
            ask = Some(lines.ask);
        } else {
            let lines = to_loop.clone();
            thread::spawn(move || read_lines(&lines));
        }
        let mut session = Session::start_with(&self.node, output, |builder| {
            builder.group(self.to.to_string())
        })?;
        session.introduce()?;
        let hint = format!(
            "talking to {}, /help says what else there is",
            words::group(&self.to)
        );
        session.output.remark(&painted(paint::FAINT, &hint))?;
        let node = session.node.clone();
        thread::spawn(move || {
            while let Some(event) = node.recv() {
                if to_loop.send(Input::Event(event)).is_err() {
                    return;
                }
            }
        });
        let mut talking = true;
        ask_for_line(ask.as_ref());
        for input in inputs {
            match input {
                Input::Event(event) => {
                    session.tell(&event)?;
                    if matches!(event, Event::Stopped) {
                        break;
                    }
                }
                Input::Line(line) if talking && self.obey(&mut session, &line)? => {
                    ask_for_line(ask.as_ref());
                }
                Input::Line(_) | Input::End => {
                    talking = false;
                    session.node.stop();
                }
            }
        }
        Ok(())
    }

    /// Does what a line asks for. `false` when it is to leave.
    fn obey(&self, session: &mut Session, line: &str) -> Result<bool, Failure> {
        let peers = session.node.peers();
        let names = peers.iter().map(|info| info.peer.name.to_str_lossy());
        match typed::read(line, names) {
            Typed::Nothing => {}
            Typed::Shout(text) => self.shout(session, text)?,
            Typed::Whisper(target, text) => whisper(session, &target, text)?,
            Typed::Peers if peers.is_empty() && !session.output.is_json() => {
                session.output.remark("nobody else is here")?;
            }
            Typed::Peers => {
                let line = Line::Peers {
                    id: None,
                    peers: peers.iter().map(PeerLine::from).collect(),
                };
                session.output.line(&line, || words::peers(&peers))?;
            }
            Typed::Groups => groups(session, &peers)?,
            Typed::Help => session.output.remark(HELP)?,
            Typed::Quit => return Ok(false),
            Typed::Wrong(message) => complain(session, &message)?,
        }
        Ok(true)
    }

    /// Shouts to the group.
    fn shout(&self, session: &mut Session, text: String) -> Result<(), Failure> {
        match session.node.shout(self.to.clone(), text) {
            Ok(shouted) if shouted.full > 0 => complain(
                session,
                &format!(
                    "{} members did not get it: they do not read fast enough",
                    shouted.full
                ),
            ),
            Ok(shouted) if shouted.reached == 0 => session.output.remark(&painted(
                paint::FAINT,
                "nobody heard it: the group has no other member yet",
            )),
            Ok(_) => Ok(()),
            Err(error) => complain(session, &error.to_string()),
        }
    }
}

/// Lets the line editor, if there is one, read the next line.
fn ask_for_line(ask: Option<&Sender<()>>) {
    if let Some(ask) = ask {
        // An editor that is gone said so itself.
        let _ = ask.send(());
    }
}

/// Whispers to one peer.
fn whisper(session: &mut Session, target: &Target, text: String) -> Result<(), Failure> {
    let sent = match target.find(&session.node) {
        Ok(peer) => session
            .node
            .whisper(peer.id, Frames::from(text))
            .map_err(|error| format!("{}: {error}", words::plain_name(&peer))),
        Err(error) => Err(error.to_string()),
    };
    match sent {
        Ok(()) => Ok(()),
        Err(message) => complain(session, &message),
    }
}

/// Says in which groups this node and the others are.
fn groups(session: &mut Session, peers: &[PeerInfo]) -> Result<(), Failure> {
    let own = session.node.groups();
    let line = Line::Groups {
        id: None,
        groups: own.iter().map(Text::to_str_lossy).collect(),
    };
    session.output.line(&line, || {
        let mut all: Vec<_> = own
            .iter()
            .chain(peers.iter().flat_map(|info| &info.groups))
            .collect();
        all.sort_unstable();
        all.dedup();
        let described = all.into_iter().map(|group| {
            let members = peers
                .iter()
                .filter(|info| info.groups.contains(group))
                .count();
            let peers = if members == 1 { "peer" } else { "peers" };
            let own = if own.contains(group) {
                ", and this node"
            } else {
                ""
            };
            format!("{}: {members} {peers}{own}", words::group(group))
        });
        described.collect::<Vec<_>>().join("\n")
    })
}

/// Says what went wrong; the chat goes on.
fn complain(session: &mut Session, message: &str) -> Result<(), Failure> {
    session.output.line(&Line::error(message), || {
        painted(paint::WARN, &escaped(message))
    })
}

/// Sends every line of stdin. What cannot be read is the end.
fn read_lines(to_loop: &SyncSender<Input>) {
    for line in io::stdin().lines() {
        let Ok(line) = line else {
            break;
        };
        if to_loop.send(Input::Line(line)).is_err() {
            return;
        }
    }
    // The loop may have ended already.
    let _ = to_loop.send(Input::End);
}
