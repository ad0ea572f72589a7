//! `run`: a node for programs in any language, driven by lines of JSON.
//!
//! Three sources feed one loop: the events of the node, the lines of stdin, and, through the node, the signals. The
//! channel between them is bounded: who does not read the output is not read from, and the network waits with it.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use atonce::wire::Text;
use atonce::zre::Event;
use atonce::{Frames, PeerId};
use atonce_std::{Node, SendError};
use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::find::Target;
use crate::json::{Line, PeerLine};
use crate::options::NodeOptions;
use crate::output::Output;
use crate::request::{self, Request};
use crate::session::Session;

/// How many events and lines may wait to be looked at.
const WAITING: usize = 64;

/// Said below the help.
const AFTER_HELP: &str = "\
One JSON object a line on stdin, as
  {\"do\":\"join\",\"group\":\"CHAT\"}             {\"do\":\"leave\",\"group\":\"CHAT\"}
  {\"do\":\"contest\",\"group\":\"CHAT\"}          {\"do\":\"withdraw\",\"group\":\"CHAT\"}
  {\"do\":\"whisper\",\"peer\":\"bob\",\"content\":[\"text\", {\"base64\":\"AAEC\"}]}
  {\"do\":\"shout\",\"group\":\"CHAT\",\"content\":[\"text\"]}
  {\"do\":\"peers\",\"id\":1}                    {\"do\":\"groups\",\"id\":2}
  {\"do\":\"connect\",\"endpoint\":\"tcp://10.0.0.2:49152\"}
  {\"do\":\"gossip-connect\",\"endpoint\":\"tcp://10.0.0.1:5680\"}, and gossip-disconnect
  {\"do\":\"gossip-unpublish\",\"peer\":\"UUID\"}
  {\"do\":\"stop\"}
Every line may have an `id`, any JSON value; its answer or its error carries it. Events come on stdout, one JSON
object a line, with and without --json. A line that is not understood yields an `error` and changes nothing. End of input is `stop`.

Examples:
  atonce run --name sensor --group LOBBY
  (echo '{\"do\":\"join\",\"group\":\"LOBBY\"}'; cat) | atonce run";

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Run {
    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

/// What comes to the loop.
enum Input {
    /// An event of the node.
    Event(Event),
    /// A line of stdin.
    Line(Vec<u8>),
    /// There are no more lines.
    End,
}

impl Run {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut session = Session::start_with(&self.node, Output::new(true), |builder| builder)?;
        session.introduce()?;
        for input in inputs(&session.node) {
            match input {
                Input::Event(event) => {
                    session.tell(&event)?;
                    if matches!(event, Event::Stopped) {
                        break;
                    }
                }
                Input::Line(line) if line.trim_ascii().is_empty() => {}
                Input::Line(line) => obey(&mut session, &line, self.node.log.is_some())?,
                Input::End => session.node.stop(),
            }
        }
        Ok(())
    }
}

/// All that comes, in one channel. It ends after the last event of the node.
fn inputs(node: &Node) -> Receiver<Input> {
    let (to_loop, inputs) = sync_channel(WAITING);
    let lines = to_loop.clone();
    thread::spawn(move || read_lines(&lines));
    let node = node.clone();
    thread::spawn(move || {
        while let Some(event) = node.recv() {
            if to_loop.send(Input::Event(event)).is_err() {
                return;
            }
        }
    });
    inputs
}

/// Sends every line of stdin. What cannot be read is the end.
fn read_lines(to_loop: &SyncSender<Input>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let input = match stdin.read_until(b'\n', &mut line) {
            Ok(1..) => Input::Line(line),
            Ok(0) | Err(_) => Input::End,
        };
        let ended = matches!(input, Input::End);
        if to_loop.send(input).is_err() || ended {
            return;
        }
    }
}

/// Does what a line asks for, of a node that logs or not.
fn obey(session: &mut Session, line: &[u8], logs: bool) -> Result<(), Failure> {
    let request::Line { id, request } = request::Line::read(line);
    let id = id.as_ref();
    let done = match request {
        Ok(Request::Join(group)) => session.node.join(group).map_err(|error| error.to_string()),
        Ok(Request::Leave(group)) => session.node.leave(group).map_err(|error| error.to_string()),
        Ok(Request::Contest(group)) => {
            let contested = session.node.contest(group);
            contested.map_err(|error| error.to_string())
        }
        Ok(Request::Withdraw(group)) => {
            let withdrawn = session.node.withdraw(group);
            withdrawn.map_err(|error| error.to_string())
        }
        Ok(Request::Whisper(target, content)) => whisper(&session.node, &target, content),
        Ok(Request::Shout(group, content)) => shout(&session.node, &group, content),
        Ok(Request::Connect(endpoint)) => session
            .node
            .connect(endpoint.to_string())
            .map_err(|error| error.to_string()),
        Ok(Request::GossipConnect(hub)) => {
            let connected = session.node.gossip_connect(&hub);
            connected.map_err(|error| format!("gossip-connect: {error}"))
        }
        Ok(Request::GossipDisconnect(hub)) => {
            let left = session.node.gossip_disconnect(&hub);
            left.map_err(|error| format!("gossip-disconnect: {error}"))
        }
        Ok(Request::GossipUnpublish(peer)) if session.node.gossip_unpublish(peer) => Ok(()),
        Ok(Request::GossipUnpublish(peer)) => Err(format!(
            "gossip-unpublish: there is no tuple of {peer}, or it is here"
        )),
        Ok(Request::Peers) => return peers(session, id),
        Ok(Request::Groups) => return groups(session, id),
        Ok(Request::Log(level, text)) if logs => {
            session.node.log(level, text);
            Ok(())
        }
        Ok(Request::Log(..)) => Err("log: this node does not log; start it with --log".into()),
        Ok(Request::Stop) => {
            session.node.stop();
            Ok(())
        }
        Err(message) => Err(message),
    };
    match done {
        Ok(()) => Ok(()),
        Err(message) => session.output.line(
            &Line::Error {
                id,
                message: message.into(),
            },
            String::new,
        ),
    }
}

/// Whispers; the error names the peer.
fn whisper(node: &Node, target: &Target, content: Frames) -> Result<(), String> {
    let peer = target
        .find(node)
        .map_err(|error| format!("whisper: {error}"))?;
    let who: (PeerId, &Text) = (peer.id, &peer.name);
    node.whisper(peer.id, content)
        .map_err(|error| format!("whisper to {} ({}): {error}", who.1, who.0))
}

/// Shouts; that nobody is in the group is no error.
fn shout(node: &Node, group: &Text, content: Frames) -> Result<(), String> {
    match node.shout(group.clone(), content) {
        Ok(shouted) if shouted.full == 0 => Ok(()),
        Ok(shouted) => Err(format!(
            "shout to {group}: not sent to {} of {} members: {}",
            shouted.full,
            shouted.full + shouted.reached,
            SendError::Full
        )),
        Err(error) => Err(format!("shout to {group}: {error}")),
    }
}

/// Answers who is here.
fn peers(session: &mut Session, id: Option<&Value>) -> Result<(), Failure> {
    let peers = session.node.peers();
    let line = Line::Peers {
        id,
        peers: peers.iter().map(PeerLine::from).collect(),
    };
    session.output.line(&line, String::new)
}

/// Answers which groups this node is in.
fn groups(session: &mut Session, id: Option<&Value>) -> Result<(), Failure> {
    let groups = session.node.groups();
    let line = Line::Groups {
        id,
        groups: groups.iter().map(Text::to_str_lossy).collect(),
    };
    session.output.line(&line, String::new)
}
