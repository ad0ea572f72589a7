//! `perf run`: the sender.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use atonce::Frames;
use atonce::wire::Text;
use atonce::zre::{Event, Peer};
use atonce_std::SendError;
use clap::{Args, ValueEnum};

use super::control::{Control, nanos};
use crate::failure::Failure;
use crate::find::Target;
use crate::json::{Line, Measured, Who};
use crate::options::NodeOptions;
use crate::session::{Next, Session};
use crate::stats::Summary;
use crate::{value, words};

/// How long the receiver may take to answer that it counts.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before a SHOUT that found a full queue is tried again.
const FULL: Duration = Duration::from_micros(200);
/// After how many messages events are looked at.
const BATCH: u64 = 256;

/// See the module.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Name or UUID of the peer.
    #[arg(value_name = "PEER")]
    target: Target,

    /// Octets of each message.
    #[arg(long, value_name = "B", default_value_t = 100)]
    size: usize,

    /// How many messages.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// What to measure.
    #[arg(long, value_enum, default_value_t = Mode::Whisper)]
    mode: Mode,

    /// How long to wait for the peer, and in the mode `echo` for each answer.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = value::seconds)]
    wait: Duration,

    /// The node.
    #[command(flatten)]
    node: NodeOptions,
}

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Throughput of WHISPER.
    Whisper,
    /// Throughput of SHOUT, to a group of its own with one member.
    Shout,
    /// Latency: WHISPER there and back, one after the other.
    Echo,
}

impl Mode {
    /// As it is given.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Whisper => "whisper",
            Self::Shout => "shout",
            Self::Echo => "echo",
        }
    }
}

impl Run {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut session = Session::start(&self.node)?;
        let peer = session.meet(&self.target, self.wait)?;
        let measured = match self.mode {
            Mode::Echo => self.echo(&mut session, &peer)?,
            Mode::Whisper | Mode::Shout => self.throughput(&mut session, &peer)?,
        };
        say(&mut session, &measured)?;
        if measured.received != self.count {
            let (received, count) = (measured.received, self.count);
            return Err(Failure::failed(format!(
                "{received} messages arrived, not {count}"
            )));
        }
        session.finish_sending()
    }

    /// Sends all messages as fast as they are taken, and lets the receiver count.
    fn throughput<'a>(
        &self,
        session: &mut Session,
        peer: &'a Arc<Peer>,
    ) -> Result<Measured<'a>, Failure> {
        let run = number();
        let group = (self.mode == Mode::Shout).then(|| format!("atonce-perf-{run:016x}"));
        let to = group
            .as_deref()
            .map(value::text)
            .transpose()
            .map_err(Failure::Failed)?;
        let begin = Control::Begin {
            run,
            size: self.size,
            group,
        };
        session.whisper(peer, &begin.to_frames())?;
        ready(session, peer, run, to.as_ref())?;

        let content = Frames::from(vec![b'x'; self.size]);
        let begun = Instant::now();
        let mut waits = 0;
        for number in 0..self.count {
            waits += u64::from(match &to {
                None => session.whisper(peer, &content)?,
                Some(group) => shout(session, peer, group, &content)?,
            });
            if number % BATCH == 0 {
                drain(session, peer)?;
            }
        }
        let sent = begun.elapsed();
        session.whisper(peer, &Control::End { run }.to_frames())?;
        let (received, took) = report(session, peer, run)?;
        Ok(self.measured(peer, received, sent, took, waits))
    }

    /// Sends each message once the one before came back.
    fn echo<'a>(
        &self,
        session: &mut Session,
        peer: &'a Arc<Peer>,
    ) -> Result<Measured<'a>, Failure> {
        let mut times = Vec::new();
        let mut waits = 0;
        let begun = Instant::now();
        for number in 0..self.count {
            let content = self.numbered(number);
            let sent = Instant::now();
            waits += u64::from(session.whisper(peer, &content)?);
            loop {
                match session.next(Some(sent + self.wait)) {
                    Next::Event(Event::Whisper {
                        peer: from,
                        content: answer,
                    }) if from.id == peer.id && answer == content => {
                        break;
                    }
                    Next::Event(event) => gone(peer, &event)?,
                    Next::Deadline => {
                        return Err(mute(peer, "`atonce perf serve` or `atonce listen --echo`"));
                    }
                    Next::Over => return Err(session.ended()),
                }
            }
            times.push(sent.elapsed());
        }
        let took = begun.elapsed();
        let mut measured = self.measured(peer, self.count, took, took, waits);
        measured.micros = Summary::of(times);
        Ok(measured)
    }

    /// A message that differs from the one before and the one after, if it has an octet at all.
    fn numbered(&self, number: u64) -> Frames {
        let mut octets = vec![0; self.size];
        for (octet, digit) in octets.iter_mut().zip(number.to_le_bytes()) {
            *octet = digit;
        }
        Frames::from(octets)
    }

    /// The rates.
    fn measured<'a>(
        &self,
        peer: &'a Peer,
        received: u64,
        sent: Duration,
        took: Duration,
        waits: u64,
    ) -> Measured<'a> {
        // Between n messages there are n - 1 intervals; a round trip is an interval of its own.
        let intervals = if self.mode == Mode::Echo {
            received
        } else {
            received.saturating_sub(1)
        };
        let rate = if took.is_zero() {
            0.0
        } else {
            as_f64(intervals) / took.as_secs_f64()
        };
        Measured {
            who: Who::from(peer),
            mode: self.mode.as_str(),
            size: self.size,
            sent: self.count,
            received,
            send_seconds: sent.as_secs_f64(),
            receive_seconds: took.as_secs_f64(),
            messages_per_second: rate,
            megabytes_per_second: rate * as_f64(self.size as u64) / 1e6,
            waits,
            micros: None,
        }
    }
}

/// Waits until the receiver counts, and is in the group.
fn ready(
    session: &mut Session,
    peer: &Peer,
    run: u64,
    group: Option<&Text>,
) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    let mut ready = false;
    let mut member = group.is_none();
    while !(ready && member) {
        match session.next(Some(until)) {
            Next::Event(Event::Whisper {
                peer: from,
                content,
            }) if from.id == peer.id => match Control::from_frames(&content) {
                Some(Control::Ready { run: of }) if of == run => ready = true,
                Some(Control::Begin { run: of, .. }) if of == run => {
                    return Err(Failure::failed(format!(
                        "{} only echoes what it is told: use --mode echo, or let it run `atonce perf serve`",
                        words::plain_name(peer)
                    )));
                }
                _ => {}
            },
            Next::Event(Event::Join {
                peer: from,
                group: joined,
            }) if from.id == peer.id => {
                member |= group.is_some_and(|group| joined == *group);
            }
            Next::Event(event) => gone(peer, &event)?,
            Next::Deadline => return Err(mute(peer, "`atonce perf serve`")),
            Next::Over => return Err(session.ended()),
        }
    }
    Ok(())
}

/// Shouts to the group of the run, which has one member, and waits as long as the queue is full.
fn shout(session: &Session, peer: &Peer, group: &Text, content: &Frames) -> Result<bool, Failure> {
    let mut waited = false;
    loop {
        match session.node.shout(group.clone(), content.clone()) {
            Ok(shouted) if shouted.reached > 0 => return Ok(waited),
            Ok(shouted) if shouted.full > 0 => std::thread::sleep(FULL),
            Ok(_) => return Err(session.not_sent(peer, SendError::UnknownPeer)),
            Err(error) => return Err(session.not_sent(peer, error)),
        }
        waited = true;
    }
}

/// Looks at the events that came while messages were sent.
fn drain(session: &mut Session, peer: &Peer) -> Result<(), Failure> {
    loop {
        match session.next(Some(Instant::now())) {
            Next::Event(event) => gone(peer, &event)?,
            Next::Deadline => return Ok(()),
            Next::Over => return Err(session.ended()),
        }
    }
}

/// Waits for what the receiver counted: as long as the receiver is there, since messages that are still under way may
/// take their time.
fn report(session: &mut Session, peer: &Peer, run: u64) -> Result<(u64, Duration), Failure> {
    loop {
        match session.next(None) {
            Next::Event(Event::Whisper {
                peer: from,
                content,
            }) if from.id == peer.id => {
                if let Some(Control::Report {
                    run: of,
                    messages,
                    nanos,
                }) = Control::from_frames(&content)
                    && of == run
                {
                    return Ok((messages, Duration::from_nanos(nanos)));
                }
            }
            Next::Event(event) => gone(peer, &event)?,
            Next::Deadline => {}
            Next::Over => return Err(session.ended()),
        }
    }
}

/// Fails when the receiver is gone.
fn gone(peer: &Peer, event: &Event) -> Result<(), Failure> {
    match event {
        Event::Exit { peer: gone, reason } if gone.id == peer.id => Err(Failure::failed(format!(
            "{} is gone, {reason}",
            words::plain_name(peer)
        ))),
        _ => Ok(()),
    }
}

/// The peer does not answer: it may not run what it should.
fn mute(peer: &Peer, what: &str) -> Failure {
    Failure::failed(format!(
        "{} does not answer; does it run {what}?",
        words::plain_name(peer)
    ))
}

/// Says what was measured.
fn say(session: &mut Session, measured: &Measured<'_>) -> Result<(), Failure> {
    session.output.line(&Line::Perf(measured), || {
        let Measured { mode, size, sent, received, receive_seconds, waits, .. } = measured;
        let mut words = format!(
            "{mode}: {sent} messages of {size} octets to {}\n  received  {received} in {receive_seconds:.3} s\n  \
             rate      {:.0} msgs/s, {:.2} MB/s",
            words::who(&measured.who),
            measured.messages_per_second,
            measured.megabytes_per_second,
        );
        // Writing to a String cannot fail.
        let _ = match &measured.micros {
            Some(micros) => write!(words, "\n  latency   {micros}"),
            None => write!(words, "\n  sent      in {:.3} s, the queue was full {waits} times", measured.send_seconds),
        };
        words
    })
}

/// A number that no earlier run has.
fn number() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, nanos)
}

/// Counts and sizes here are far below 2⁵³.
fn as_f64(number: u64) -> f64 {
    number as f64
}
