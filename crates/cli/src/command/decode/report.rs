//! What is printed: a line for each thing that octets say, as words or as JSON.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::stream::{Heard, Said};
use super::told::{Fault, Told};
use crate::failure::Failure;
use crate::paint::{self, painted};

/// Where something was heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// In which packet of a capture, from 1.
    pub(super) packet: Option<u64>,
    /// When, since 1970.
    pub(super) time: Option<Duration>,
    pub(super) from: Option<SocketAddr>,
    pub(super) to: Option<SocketAddr>,
}

/// What was heard in all.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Tally {
    /// Packets of a capture.
    pub(super) packets: u64,
    /// Sides of connections of ZMTP.
    pub(super) sides: u64,
    /// Greetings, commands, messages and datagrams that were understood.
    pub(super) understood: u64,
    /// What was not.
    pub(super) faults: u64,
    /// How often octets lack.
    pub(super) gaps: u64,
    /// Packets that are of something else.
    pub(super) others: u64,
    /// Pieces of IP packets, which are not put together.
    pub(super) fragments: u64,
}

/// A line of JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    /// Octets say something.
    Message {
        #[serde(flatten)]
        place: At,
        #[serde(flatten)]
        told: &'a Told,
    },
    /// Octets were not understood.
    Error {
        #[serde(flatten)]
        place: At,
        #[serde(flatten)]
        fault: &'a Fault,
        message: String,
    },
    /// Octets lack.
    Gap {
        #[serde(flatten)]
        place: At,
    },
    /// Something is to be known.
    Note {
        #[serde(flatten)]
        place: At,
        message: &'a str,
    },
    /// All of it.
    Summary(Tally),
}

/// Where, as JSON has it.
#[derive(Debug, Serialize)]
struct At {
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<u64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<SocketAddr>,
    offset: u64,
    octets: u64,
}

/// See the module.
pub(super) struct Report {
    json: bool,
    /// The time of the first packet.
    begun: Option<Duration>,
    sink: Box<dyn Write>,
    /// What was heard.
    pub(super) tally: Tally,
}

impl Report {
    /// To `sink`, which takes the colours off if it has to.
    pub(super) fn new(json: bool, sink: Box<dyn Write>) -> Self {
        Self {
            json,
            begun: None,
            sink,
            tally: Tally::default(),
        }
    }

    /// Whether all of it was understood.
    pub(super) fn is_good(&self) -> bool {
        self.tally.faults == 0 && self.tally.gaps == 0
    }

    /// Says all of this.
    pub(super) fn say_all(&mut self, place: Place, heard: &[Heard]) -> Result<(), Failure> {
        heard.iter().try_for_each(|heard| self.say(place, heard))
    }

    /// Says what was heard at a place.
    pub(super) fn say(&mut self, place: Place, heard: &Heard) -> Result<(), Failure> {
        match &heard.said {
            Said::Told(_) => self.tally.understood += 1,
            Said::Fault(_) => self.tally.faults += 1,
            Said::Gap => self.tally.gaps += 1,
            Said::Note(_) => {}
        }
        if self.json {
            let place = At {
                packet: place.packet,
                time: place.time.map(|time| time.as_secs_f64()),
                from: place.from,
                to: place.to,
                offset: heard.offset,
                octets: heard.octets,
            };
            return self.json_line(&match &heard.said {
                Said::Told(told) => Line::Message { place, told },
                Said::Fault(fault) => Line::Error {
                    place,
                    fault,
                    message: fault.to_string(),
                },
                Said::Gap => Line::Gap { place },
                Said::Note(message) => Line::Note { place, message },
            });
        }
        let at = self.place_in_words(place, heard.offset);
        let (octets, plural) = (heard.octets, if heard.octets == 1 { "" } else { "s" });
        self.words(&match &heard.said {
            Said::Told(told) => format!("{at} {told}"),
            Said::Fault(fault) => {
                format!("{at} {} {fault}", painted(paint::BAD, "not understood:"))
            }
            Said::Gap => format!(
                "{at} {}",
                painted(paint::WARN, &format!("{octets} octet{plural} lack"))
            ),
            Said::Note(note) => format!("{at} {}", painted(paint::FAINT, note)),
        })
    }

    /// Says what was heard in all.
    pub(super) fn summary(&mut self) -> Result<(), Failure> {
        let tally = self.tally;
        if self.json {
            return self.json_line(&Line::Summary(tally));
        }
        let mut words = format!(
            "{} packets, {} sides of connections: {} understood, {} not understood, {} gaps, {} packets of something else",
            tally.packets, tally.sides, tally.understood, tally.faults, tally.gaps, tally.others
        );
        if tally.fragments > 0 {
            words.push_str(&format!(", {} fragments left out", tally.fragments));
        }
        self.words(&painted(paint::HEAD, &words))
    }

    fn place_in_words(&mut self, place: Place, offset: u64) -> String {
        let Some(packet) = place.packet else {
            return painted(paint::FAINT, &format!("{offset:>6}"));
        };
        let mut words = format!("#{packet}");
        if let Some(time) = place.time {
            let begun = *self.begun.get_or_insert(time);
            // A packet may be older than the one before it.
            let (sign, time) = match time.checked_sub(begun) {
                Some(time) => ("", time),
                None => ("-", begun - time),
            };
            words.push_str(&format!(" {sign}{:.6}", time.as_secs_f64()));
        }
        if let (Some(from), Some(to)) = (place.from, place.to) {
            words.push_str(&format!(" {from} > {to}"));
        }
        painted(paint::FAINT, &format!("{words} @{offset}"))
    }

    fn json_line(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(line).map_err(io::Error::from)?;
        text.push(b'\n');
        self.sink.write_all(&text)?;
        self.sink.flush()?;
        Ok(())
    }

    fn words(&mut self, words: &str) -> Result<(), Failure> {
        writeln!(self.sink, "{words}")?;
        self.sink.flush()?;
        Ok(())
    }
}
