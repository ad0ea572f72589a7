//! `decode`: says what octets of the network say.

mod capture;
mod codec;
mod connections;
mod hex;
mod packet;
mod place;
mod report;
mod stream;
#[cfg(test)]
mod tests;
mod told;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use atonce::{Bytes, Frames};
use clap::Args;

use self::codec::{Codec, Kind};
use self::report::{Place, Report};
use self::stream::{Heard, Said, Stream};
use self::told::Fault;
use crate::escape::escaped;
use crate::failure::Failure;

/// Said below the help.
const AFTER_HELP: &str = "\
INPUT is hexadecimal digits, as people, xxd and hexdump -C write them, in which | begins another frame of a message; or the name of a
file: a capture of pcap or pcapng, or octets as they are (./cafe, where the name could be digits). Without INPUT standard input is read: a
capture, or digits.

Of a capture all beacons are told, on whatever port, and all connections of ZMTP, each side put in order: Ethernet with or without
VLAN, Linux cooked, loopback and raw IP, of version 4 and 6. What CURVE has encrypted is said to be so.

Exit code 1 when something was not understood, or lacks.

Examples:
  atonce decode 5a524501dba16fe048938d0de40f480fe9efa5bac000
  atonce decode 'AAA10200 02 | 68656c6c6f'
  xxd message.bin | atonce decode
  atonce decode network.pcap
  tcpdump -i lo -w - 'udp port 5670 or tcp' | atonce decode --json
  atonce decode --kind zmtp stream.bin";

/// The largest file that is no capture: 256 MiB, as the largest frame.
const LARGEST: u64 = 256 << 20;

/// See the module.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Decode {
    /// Hexadecimal digits, or files.
    #[arg(value_name = "INPUT")]
    input: Vec<String>,

    /// What it is [default: what it begins as].
    #[arg(long, value_enum)]
    kind: Option<Kind>,

    /// Write one JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Decode {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let sink: Box<dyn io::Write> = if self.json {
            Box::new(io::stdout())
        } else {
            Box::new(anstream::stdout())
        };
        let mut report = Report::new(self.json, sink);
        self.read_all(&mut report)?;
        if report.is_good() {
            return Ok(());
        }
        let tally = report.tally;
        Err(Failure::failed(match (tally.faults, tally.gaps) {
            (faults, 0) => format!("{faults} not understood"),
            (0, gaps) => format!("octets lack in {gaps} places"),
            (faults, gaps) => format!("{faults} not understood, and octets lack in {gaps} places"),
        }))
    }

    fn read_all(&self, report: &mut Report) -> Result<(), Failure> {
        if self.input.is_empty() {
            return self.read_stdin(report);
        }
        let joined = self.input.join(" ");
        let digits = hex::read(&joined);
        if let Ok(frames) = digits {
            return self.frames(&frames, report);
        }
        for name in &self.input {
            let path = Path::new(name);
            if !path.exists() {
                let wrong = digits
                    .as_ref()
                    .err()
                    .map(|wrong| wrong.what.as_str())
                    .unwrap_or_default();
                return Err(Failure::Usage(format!(
                    "{}: there is no such file, and it is not in hexadecimal digits: {wrong}",
                    escaped(name)
                )));
            }
        }
        for name in &self.input {
            let failed = |error: io::Error| Failure::failed(format!("{}: {error}", escaped(name)));
            let mut file = File::open(name).map_err(failed)?;
            let head = beginning(&mut file).map_err(failed)?;
            self.octets(head, file, report)
                .map_err(|failure| match failure {
                    Failure::Failed(message) => {
                        Failure::failed(format!("{}: {message}", escaped(name)))
                    }
                    other => other,
                })?;
        }
        Ok(())
    }

    fn read_stdin(&self, report: &mut Report) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::failed(format!("standard input: {error}"));
        let mut stdin = io::stdin();
        let head = beginning(&mut stdin).map_err(failed)?;
        if capture::begins(&head) {
            return capture::read(head, stdin, report);
        }
        let octets = rest(head, stdin).map_err(failed)?;
        let text = str::from_utf8(&octets).map_err(|_| {
            Failure::Usage(
                "standard input is neither a capture nor text; octets as they are go into a file"
                    .into(),
            )
        })?;
        let frames = hex::read(text).map_err(|wrong| {
            Failure::Usage(format!(
                "standard input, line {}: {}",
                wrong.line, wrong.what
            ))
        })?;
        self.frames(&frames, report)
    }

    /// Octets as they are, or a capture.
    fn octets(
        &self,
        head: Vec<u8>,
        file: impl Read + Send,
        report: &mut Report,
    ) -> Result<(), Failure> {
        if self.kind.is_none() && capture::begins(&head) {
            return capture::read(head, file, report);
        }
        let octets = rest(head, file).map_err(|error| Failure::failed(error.to_string()))?;
        self.frames(&Frames::from(octets), report)
    }

    /// The frames of a message, or octets that may be anything.
    fn frames(&self, frames: &Frames, report: &mut Report) -> Result<(), Failure> {
        let only = if let [only] = &frames[..] {
            Some(only.clone())
        } else {
            None
        };
        if self.kind.is_none()
            && let Some(only) = &only
            && capture::begins(only)
        {
            return capture::read(only.to_vec(), io::empty(), report);
        }
        let heard = frames_say(frames, only.as_ref(), self.kind);
        report.say_all(Place::default(), &heard)
    }
}

/// What octets say that somebody holds in his hands.
fn frames_say(frames: &Frames, only: Option<&Bytes>, kind: Option<Kind>) -> Vec<Heard> {
    let octets = u64::try_from(frames.octets()).unwrap_or(u64::MAX);
    let codec = match kind {
        Some(kind) => Codec::of(kind),
        None => Codec::seek(frames, None),
    };
    if let Some(only) = only
        && let Some(mut stream) = as_stream(only, kind)
    {
        stream.push(only);
        stream.end(true);
        return stream.heard();
    }
    let (offset, said) = match codec.map(|codec| codec.read(frames)) {
        Some(Ok(told)) => (0, Said::Told(Box::new(told))),
        Some(Err((at, fault))) => (at, Said::Fault(fault)),
        None => (0, Said::Fault(nothing_known(frames, kind))),
    };
    let offset = u64::try_from(offset).unwrap_or(u64::MAX);
    vec![Heard {
        offset,
        octets,
        said,
    }]
}

/// The octets as one side of a connection, if they are to be that, or begin so.
fn as_stream(octets: &Bytes, kind: Option<Kind>) -> Option<Stream> {
    let greeting =
        octets.first() == Some(&0xff) && octets.get(9).is_none_or(|signature| *signature == 0x7f);
    // What a link to a relay begins with: 0x53 in the place of an id.
    let relayed = octets.starts_with(b"\xAA\xA2\x53");
    match kind {
        Some(Kind::Zmtp) if stream::looks_like_frames(octets) => Some(Stream::of_frames()),
        Some(Kind::Zmtp) => Some(Stream::new()),
        Some(_) => None,
        None if greeting || relayed => Some(Stream::new()),
        None if stream::looks_like_frames(octets) => Some(Stream::of_frames()),
        None => None,
    }
}

fn nothing_known(frames: &Frames, kind: Option<Kind>) -> Fault {
    let found = match frames.first() {
        Some(frame) if !frame.is_empty() => {
            told::hex(frame.get(..frame.len().min(8)).unwrap_or_default())
        }
        _ => "nothing".into(),
    };
    if kind == Some(Kind::Zmtp) {
        return Fault::new(
            "ZMTP",
            "greeting",
            "octets of one connection, not divided",
            "several frames",
        );
    }
    let expected = "a beacon (5A5245), a message of ZRE (AAA1), gossip (AAA0), @Once or ZRE/LOG (AAA2) or ZAP, a datagram of autoconfiguration (AAAC), a greeting (FF) or frames of ZMTP";
    Fault::new("input", "first octets", expected, found)
}

/// The octets that tell whether it is a capture.
fn beginning(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let octets = u64::try_from(capture::MAGIC_OCTETS).unwrap_or(u64::MAX);
    source.take(octets).read_to_end(&mut head)?;
    Ok(head)
}

/// All octets.
fn rest(mut head: Vec<u8>, source: impl Read) -> io::Result<Vec<u8>> {
    source.take(LARGEST).read_to_end(&mut head)?;
    if u64::try_from(head.len()).is_ok_and(|octets| octets >= LARGEST) {
        return Err(io::Error::other(
            "it has more than 256 MiB, and is no capture",
        ));
    }
    Ok(head)
}
