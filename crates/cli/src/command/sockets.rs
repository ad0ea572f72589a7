//! `req`, `rep`, `pub`, `sub`, `push`, `pull`, `dealer`, `router` and `pair`: a ZMTP socket in a shell.

use std::thread;
use std::time::{Duration, Instant};

use atonce_std::socket::{Kind, SocketBuilder};
use clap::Args;

use crate::failure::Failure;
use crate::socket::{Session, SocketOptions};

/// How often `pub` looks whether somebody is there.
const LOOK: Duration = Duration::from_millis(10);

/// How long a peer has to say what it subscribes to, once it is there: it does so at once.
const SUBSCRIBING: Duration = Duration::from_millis(100);

/// Said below the help of `req`.
const REQ_HELP: &str = "\
Each line of standard input is asked, and its answer written before the next; or TEXT is asked, its words joined by one space.

Examples:
  atonce req --connect tcp://localhost:5555 what time is it
  atonce req --connect tcp://localhost:5555 --timeout 2 < questions";

/// Asks, and writes the answers.
#[derive(Debug, Args)]
#[command(after_help = REQ_HELP)]
pub(crate) struct Req {
    /// What to ask.
    text: Vec<String>,

    /// The socket.
    #[command(flatten)]
    socket: SocketOptions,
}

/// Said below the help of `rep`.
const REP_HELP: &str = "\
Each request is written, and then answered: with TEXT, with itself (--echo), or with the next line of standard input.

Examples:
  atonce rep --bind 'tcp://*:5555' --echo
  atonce rep --bind 'tcp://*:5555' --json      a line of JSON for each request, and one in for each answer";

/// Answers.
#[derive(Debug, Args)]
#[command(after_help = REP_HELP)]
pub(crate) struct Rep {
    /// What to answer to everything.
    #[arg(conflicts_with = "echo")]
    text: Vec<String>,

    /// Answer with the request.
    #[arg(long)]
    echo: bool,

    /// The socket.
    #[command(flatten)]
    socket: SocketOptions,
}

/// Said below the help of `pub`.
const PUB_HELP: &str = "\
Each line of standard input is published, or TEXT, its words joined by one space. What nobody subscribed to is dropped, and so is what
a subscriber takes too slowly; so the first message waits until a peer is there.

Examples:
  atonce pub --bind 'tcp://*:5556' news.de it rains
  tail -f log | atonce pub --bind 'tcp://*:5556' --peers 0";

/// Publishes.
#[derive(Debug, Args)]
#[command(after_help = PUB_HELP)]
pub(crate) struct Pub {
    /// What to publish.
    text: Vec<String>,

    /// Wait with the first message until so many peers are there.
    #[arg(long, value_name = "N", default_value_t = 1)]
    peers: usize,

    /// The socket.
    #[command(flatten)]
    socket: SocketOptions,
}

/// Said below the help of `sub`.
const SUB_HELP: &str = "\
Examples:
  atonce sub --connect tcp://localhost:5556                        everything
  atonce sub --connect tcp://localhost:5556 --subscribe news. --subscribe weather. --json
  atonce sub --connect tcp://localhost:5556 --count 1 --timeout 10  the next message, or exit code 1";

/// Writes what is published.
#[derive(Debug, Args)]
#[command(after_help = SUB_HELP)]
pub(crate) struct Sub {
    /// Only messages whose first frame begins with this; repeatable [default: all].
    #[arg(long, value_name = "PREFIX")]
    subscribe: Vec<String>,

    /// The socket.
    #[command(flatten)]
    socket: SocketOptions,
}

/// Said below the help of `push`.
const PUSH_HELP: &str = "\
Each line of standard input is sent to one of the peers in turn, or TEXT, its words joined by one space. Who reads slowly is waited for.

Examples:
  atonce push --connect tcp://localhost:5557 resize photo.jpg
  find . -name '*.jpg' | atonce push --bind 'tcp://*:5557'";

/// Hands out work.
#[derive(Debug, Args)]
#[command(after_help = PUSH_HELP)]
pub(crate) struct Push {
    /// What to send.
    text: Vec<String>,

    /// The socket.
    #[command(flatten)]
    socket: SocketOptions,
}

/// Said below the help of `pull`.
const PULL_HELP: &str = "\
Examples:
  atonce pull --bind 'tcp://*:5558'
  atonce pull --connect tcp://localhost:5557 --json | jq -r '.content[0]'";

/// Writes the work that comes.
#[derive(Debug, Args)]
#[command(after_help = PULL_HELP)]
pub(crate) struct Pull {
    /// The socket.
    #[command(flatten)]
    socket: SocketOptions,
}

/// Said below the help of `dealer`.
const DEALER_HELP: &str = "\
Lines of standard input go to the peers in turn, or TEXT does, and what comes is written meanwhile. When the input ends it goes on until
--count, --timeout or Ctrl-C. A REP wants an empty frame before the question.

Examples:
  atonce dealer --connect tcp://localhost:5559 --identity anna hello
  echo '[\"\",\"what time is it\"]' | atonce dealer --connect tcp://localhost:5555 --json --count 1";

/// Sends and receives, in any order.
#[derive(Debug, Args)]
#[command(after_help = DEALER_HELP)]
pub(crate) struct Dealer {
    /// What to send.
    text: Vec<String>,

    /// The socket.
    #[command(flatten)]
    socket: SocketOptions,
}

/// Said below the help of `router`.
const ROUTER_HELP: &str = "\
The first frame of each message is the identity of the peer that it comes from, or goes to. So messages are lines of --hex or --json.

Examples:
  atonce router --bind 'tcp://*:5559' --json
  atonce router --bind 'tcp://*:5559' --hex";

/// Sends to and receives from peers by their identity.
#[derive(Debug, Args)]
#[command(after_help = ROUTER_HELP)]
pub(crate) struct Router {
    /// The socket.
    #[command(flatten)]
    socket: SocketOptions,
}

/// Said below the help of `pair`.
const PAIR_HELP: &str = "\
Lines of standard input go to the partner, or TEXT does, and what comes is written meanwhile. When the input ends it goes on until --count,
--timeout or Ctrl-C.

Examples:
  atonce pair --bind 'tcp://*:5560'
  atonce pair --connect tcp://localhost:5560";

/// Talks to one partner.
#[derive(Debug, Args)]
#[command(after_help = PAIR_HELP)]
pub(crate) struct Pair {
    /// What to send.
    text: Vec<String>,

    /// The socket.
    #[command(flatten)]
    socket: SocketOptions,
}

impl Req {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        Session::open(Kind::Req, &self.socket, |builder| builder)?.ask_all(&self.text)
    }
}

impl Rep {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        Session::open(Kind::Rep, &self.socket, |builder| builder)?.answer_all(self.echo, &self.text)
    }
}

impl Pub {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let session = Session::open(Kind::Pub, &self.socket, |builder| builder)?;
        if self.peers > 0 {
            let until = self.socket.deadline();
            while session.goes_on() && session.socket.peers().len() < self.peers {
                if until.is_some_and(|until| Instant::now() > until) {
                    let failure = format!("nobody came to hear it{}", session.waited());
                    return Err(Failure::failed(failure));
                }
                thread::sleep(LOOK);
            }
            thread::sleep(SUBSCRIBING);
        }
        session.send_all(&self.text)
    }
}

impl Sub {
    /// Does it.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        if self.subscribe.is_empty() {
            self.subscribe.push(String::new());
        }
        let prefixes = self.subscribe;
        let subscribed = |builder| prefixes.into_iter().fold(builder, SocketBuilder::subscribe);
        Session::open(Kind::Sub, &self.socket, subscribed)?.listen()
    }
}

impl Push {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        Session::open(Kind::Push, &self.socket, |builder| builder)?.send_all(&self.text)
    }
}

impl Pull {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        Session::open(Kind::Pull, &self.socket, |builder| builder)?.listen()
    }
}

impl Dealer {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        Session::open(Kind::Dealer, &self.socket, |builder| builder)?.talk(&self.text)
    }
}

impl Router {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        if !self.socket.has_frames() {
            let wrong =
                "router needs --hex or --json: its messages have the identity of a peer in front";
            return Err(Failure::Usage(wrong.into()));
        }
        Session::open(Kind::Router, &self.socket, |builder| builder)?.talk(&[])
    }
}

impl Pair {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        Session::open(Kind::Pair, &self.socket, |builder| builder)?.talk(&self.text)
    }
}
