//! What one side of a TCP connection says: greeting, commands and messages of ZMTP.

use std::mem;

use atonce::wire::once::Prelude;
use atonce::wire::zmtp::{
    Decoded, FrameHeader, FrameKind, Greeting, GreetingError, MechanismName, SocketType,
};
use atonce::{Bytes, Frames};

use super::codec::zmtp::{self, PROTOCOL, SEALED};
use super::codec::{Carried, Codec};
use super::place;
use super::told::{Fault, Field, Told};

/// How much of a message is kept: a first frame of the largest size that any protocol allows (2 MiB, @Once), and a little. What
/// comes behind is counted.
const KEPT: usize = (2 << 20) + (64 << 10);

/// How many frames of a message are kept: as many as a node takes.
const KEPT_FRAMES: usize = 1_024;

/// Something that was heard, and where in the octets.
#[derive(Debug)]
pub(super) struct Heard {
    /// The offset of its first octet.
    pub(super) offset: u64,
    /// How many octets it is of.
    pub(super) octets: u64,
    /// What it is.
    pub(super) said: Said,
}

/// What octets are.
#[derive(Debug)]
pub(super) enum Said {
    /// They say something.
    Told(Box<Told>),
    /// They were not understood.
    Fault(Fault),
    /// They lack.
    Gap,
    /// Something is to be known about them.
    Note(String),
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The greeting is to come.
    Beginning,
    /// Frames come.
    Frames,
    /// What comes is somewhere within, and the beginning of a frame is sought.
    Within,
    /// It is no ZMTP, or none any more.
    Over,
}

/// A frame that is under way.
#[derive(Debug)]
struct Body {
    kind: FrameKind,
    /// Where the header began, and where the body does.
    begun: u64,
    at: u64,
    /// The size that the header says, and how much of it lacks.
    octets: u64,
    left: u64,
    kept: Vec<u8>,
    /// Some of it is missing or was not kept.
    holed: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Stream {
    phase: Phase,
    /// Nobody said that it is ZMTP: what begins as something else is somebody else's, and no fault.
    guessed: bool,
    /// The offset of what comes next.
    at: u64,
    /// The beginning of a greeting or of a header.
    pending: Vec<u8>,
    body: Option<Body>,
    message: Message,
    mechanism: Option<MechanismName>,
    socket_type: Option<SocketType>,
    /// The sequence of the next message of ZRE.
    expected: Option<u64>,
    /// It was found to be ZMTP.
    known: bool,
    /// Octets that were passed over in search of a frame.
    passed: u64,
    heard: Vec<Heard>,
}

/// The message that is under way.
#[derive(Debug, Default)]
struct Message {
    frames: Frames,
    /// Where each of the frames lies.
    places: Vec<u64>,
    begun: u64,
    /// All of its octets and frames, and the octets that are kept.
    octets: u64,
    count: usize,
    kept: usize,
    /// Its first frame, or another, is not whole.
    head_holed: bool,
    holed: bool,
}

impl Stream {
    /// The first octets of a connection come, or of what is said to be one.
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Beginning,
            guessed: false,
            at: 0,
            pending: Vec::new(),
            body: None,
            message: Message::default(),
            mechanism: None,
            socket_type: None,
            expected: None,
            known: false,
            passed: 0,
            heard: Vec::new(),
        }
    }

    /// The first octets of a connection of whatever.
    pub(super) fn of_a_capture() -> Self {
        Self {
            guessed: true,
            ..Self::new()
        }
    }

    /// A connection of which the beginning was not seen.
    pub(super) fn within() -> Self {
        Self {
            phase: Phase::Within,
            ..Self::of_a_capture()
        }
    }

    /// Frames come, without a greeting.
    pub(super) fn of_frames() -> Self {
        Self {
            phase: Phase::Frames,
            known: true,
            ..Self::new()
        }
    }

    /// The offset of what comes next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Whether it was found to be ZMTP.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// How many octets it keeps.
    pub(super) fn held(&self) -> usize {
        let body = self.body.as_ref().map_or(0, |body| body.kept.len());
        self.pending.len() + self.message.kept + body
    }

    /// What was heard since this was asked.
    pub(super) fn heard(&mut self) -> Vec<Heard> {
        mem::take(&mut self.heard)
    }

    /// Octets come. Each call begins where the sender began a write, as far as anybody knows.
    pub(super) fn push(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            match self.phase {
                Phase::Beginning => self.begin(&mut octets),
                Phase::Frames => self.frames(&mut octets),
                Phase::Within => self.seek(&mut octets),
                Phase::Over => {
                    self.at += wide(octets.len());
                    return;
                }
            }
        }
    }

    /// So many octets lack here.
    pub(super) fn gap(&mut self, octets: u64) {
        if self.phase == Phase::Within && self.known {
            self.tell_passed();
        }
        if self.known {
            self.hear(self.at, octets, Said::Gap);
        }
        self.at += octets;
        match (&mut self.body, self.phase) {
            (Some(body), Phase::Frames) if octets <= body.left => {
                body.left -= octets;
                body.holed = true;
                if body.left == 0 {
                    self.finish();
                }
            }
            (_, Phase::Over) => {}
            _ => {
                self.abandon();
                self.phase = Phase::Within;
            }
        }
    }

    /// Nothing more comes. `closed`: since the sender ended it, so that nothing may lack.
    pub(super) fn end(&mut self, closed: bool) {
        if self.phase == Phase::Within && self.known {
            self.tell_passed();
        }
        let under_way = self.body.as_ref().map(|body| (body.begun, Some(body.left)));
        let begun = match (self.phase, under_way) {
            (Phase::Frames, Some(body)) => body,
            (Phase::Frames, None) if !self.pending.is_empty() => {
                (self.at - wide(self.pending.len()), None)
            }
            (Phase::Frames, None) if self.message.count > 0 => (self.message.begun, None),
            (Phase::Beginning, _) if self.pending.is_empty() && self.known => return,
            (Phase::Beginning, _) if !self.guessed || self.pending.first() == Some(&0xff) => (
                self.at - wide(self.pending.len()),
                Some(wide(Greeting::OCTETS) - wide(self.pending.len()).min(64)),
            ),
            _ => return,
        };
        let (begun, lacking) = begun;
        let octets = self.at - begun;
        let what = if self.phase == Phase::Beginning {
            "greeting"
        } else {
            "frame"
        };
        if closed || !self.guessed {
            let expected = match lacking {
                Some(1) => "1 more octet".to_owned(),
                Some(lacking) => format!("{lacking} more octets"),
                None => "more".to_owned(),
            };
            let fault = Fault::new(PROTOCOL, what, expected, "the end");
            self.hear(begun, octets, Said::Fault(fault));
        } else {
            self.hear(
                begun,
                octets,
                Said::Note(format!("the last {what} was not seen to its end")),
            );
        }
        self.abandon();
        self.phase = Phase::Over;
    }

    fn hear(&mut self, offset: u64, octets: u64, said: Said) {
        self.heard.push(Heard {
            offset,
            octets,
            said,
        });
    }

    fn tell(&mut self, offset: u64, octets: u64, told: Told) {
        self.hear(offset, octets, Said::Told(Box::new(told)));
    }

    /// It breaks the rules: what follows means nothing.
    fn fail(&mut self, offset: u64, octets: u64, fault: Fault) {
        self.hear(offset, octets, Said::Fault(fault));
        self.abandon();
        self.phase = Phase::Over;
    }

    /// Forgets what is under way.
    fn abandon(&mut self) {
        self.pending.clear();
        self.body = None;
        self.message = Message::default();
    }

    // ---- the beginning

    fn begin(&mut self, octets: &mut &[u8]) {
        let first = self.pending.first().or(octets.first());
        // What stands before the greeting on a link to a relay.
        let relayed = first == Some(&0xaa);
        let begun = self.at - wide(self.pending.len());
        // One by one, so that it makes no difference how they come.
        let taken = take(octets, 1);
        self.pending.extend_from_slice(taken);
        self.at += wide(taken.len());
        let came = wide(self.pending.len());
        if relayed {
            match Prelude::read(&self.pending) {
                Ok(None) => {}
                Ok(Some(prelude)) => {
                    self.known = true;
                    self.pending.clear();
                    let fields = vec![("ticket", Field::key(prelude.ticket.as_bytes()))];
                    self.tell(begun, came, Told::new("@Once", "prelude", fields));
                }
                Err(malformed) => self.no_greeting(begun, &Fault::of("@Once", &malformed)),
            }
            return;
        }
        match Greeting::decode(&self.pending) {
            Ok(Decoded::Partial { .. }) => {}
            Ok(Decoded::Complete { value, .. }) => {
                self.known = true;
                self.pending.clear();
                self.mechanism = Some(value.mechanism);
                self.phase = Phase::Frames;
                self.tell(begun, came, zmtp::greeting(&value));
            }
            Err(GreetingError::Malformed(malformed)) => {
                self.no_greeting(begun, &Fault::of(PROTOCOL, &malformed));
            }
            Err(GreetingError::Outdated(revision)) => {
                let fault = Fault::new(
                    PROTOCOL,
                    "greeting",
                    "version 3.0 or later",
                    revision.to_string(),
                );
                self.no_greeting(begun, &fault);
            }
        }
    }

    fn no_greeting(&mut self, begun: u64, fault: &Fault) {
        let signature = (self.pending.first(), self.pending.get(9));
        // As that of an old revision.
        let ours = signature == (Some(&0xff), Some(&0x7f)) || self.known;
        if self.guessed && !ours {
            self.abandon();
            self.phase = Phase::Over;
        } else {
            let octets = self.at - begun;
            self.fail(begun, octets, fault.clone());
        }
    }

    // ---- in the middle

    fn seek(&mut self, octets: &mut &[u8]) {
        let greeting = octets.first() == Some(&0xff) && octets.get(9) == Some(&0x7f);
        if greeting || looks_like_frames(octets) {
            if self.known {
                self.tell_passed();
            } else if !greeting {
                let note = "the beginning of this connection was not seen";
                self.hear(self.at, 0, Said::Note(note.into()));
            }
            self.passed = 0;
            self.phase = if greeting {
                Phase::Beginning
            } else {
                Phase::Frames
            };
            self.known = true;
            return;
        }
        self.passed += wide(octets.len());
        self.at += wide(octets.len());
        *octets = &[];
    }

    /// Says what was passed over since something lacked.
    fn tell_passed(&mut self) {
        let passed = mem::take(&mut self.passed);
        if passed > 0 {
            let note = "what came since belongs to no frame that can be told";
            self.hear(self.at - passed, passed, Said::Note(note.into()));
        }
    }

    // ---- frames

    fn frames(&mut self, octets: &mut &[u8]) {
        if let Some(body) = &mut self.body {
            let left = usize::try_from(body.left).unwrap_or(usize::MAX);
            let taken = take(octets, left);
            let room = KEPT.saturating_sub(self.message.kept + body.kept.len());
            body.kept.extend(taken.iter().take(room));
            body.holed |= taken.len() > room;
            body.left -= wide(taken.len());
            self.at += wide(taken.len());
        } else {
            self.pending.extend(take(octets, 1));
            self.at += 1;
            let begun = self.at - wide(self.pending.len());
            match FrameHeader::decode(&self.pending) {
                Ok(Decoded::Partial { .. }) => return,
                Ok(Decoded::Complete { value, .. }) => {
                    self.pending.clear();
                    self.body = Some(Body {
                        kind: value.kind(),
                        begun,
                        at: self.at,
                        octets: value.octets(),
                        left: value.octets(),
                        kept: Vec::new(),
                        holed: false,
                    });
                }
                Err(malformed) => {
                    let octets = self.at - begun;
                    return self.fail(begun, octets, Fault::of(PROTOCOL, &malformed));
                }
            }
        }
        if self.body.as_ref().is_some_and(|body| body.left == 0) {
            self.finish();
        }
    }

    /// The frame under way is there.
    fn finish(&mut self) {
        let Some(body) = self.body.take() else { return };
        let octets = self.at - body.begun;
        let whole = !body.holed;
        let sealed = match self.mechanism {
            Some(mechanism) => mechanism == MechanismName::CURVE && body.kept.starts_with(SEALED),
            None => body.kept.starts_with(SEALED) && body.octets >= 33,
        };
        if body.kind == FrameKind::Command || sealed {
            if !whole {
                let note = "a command that is not whole";
                return self.hear(body.begun, octets, Said::Note(note.into()));
            }
            let mechanism = self.mechanism;
            let read = |octets: &[u8]| {
                if sealed {
                    zmtp::sealed(octets)
                } else {
                    zmtp::command(mechanism, octets)
                }
            };
            match read(&body.kept) {
                Ok(told) => {
                    self.note_socket_type(&told);
                    self.tell(body.begun, octets, told);
                }
                Err(malformed) => {
                    let frames = Frames::from(body.kept);
                    let first =
                        |frames: &Frames| read(frames.first().map_or(&[], |frame| &frame[..]));
                    let at = body.at + wide(place::of(&frames, &malformed, first));
                    self.hear(at, octets, Said::Fault(Fault::of(PROTOCOL, &malformed)));
                }
            }
            return;
        }
        let message = &mut self.message;
        if message.count == 0 {
            message.begun = body.begun;
            message.head_holed = !whole;
        }
        message.holed |= !whole;
        message.octets += body.octets;
        message.count += 1;
        if message.frames.len() < KEPT_FRAMES {
            message.kept += body.kept.len();
            message.places.push(body.at);
            message.frames.push(Bytes::from(body.kept));
        } else {
            message.holed = true;
        }
        if body.kind == FrameKind::Last {
            self.message_ends();
        }
    }

    fn message_ends(&mut self) {
        let message = mem::take(&mut self.message);
        let octets = self.at - message.begun;
        let codec = Codec::seek(&message.frames, Some(Carried::Messages));
        let read = match codec {
            _ if message.head_holed => Ok(Told::new(PROTOCOL, "message", Vec::new())),
            Some(codec) => codec.read(&message.frames),
            None => Ok(self.plain(&message.frames)),
        };
        match read {
            Ok(mut told) => {
                if message.holed {
                    let (all, count) = (message.octets, message.count);
                    told.remark = Some(format!(
                        "{all} octets in {count} frames, not all of which are here"
                    ));
                }
                if told.protocol == "ZRE" {
                    self.check_sequence(&mut told);
                }
                self.tell(message.begun, octets, told);
            }
            Err((at, fault)) => {
                let offset = message.offset_of(at);
                // One that is not whole is no fault of who said it.
                let said = if message.holed {
                    Said::Note(format!("a message that is not whole: {fault}"))
                } else {
                    Said::Fault(fault)
                };
                self.hear(offset, octets, said);
            }
        }
    }

    /// A message of no protocol that is known.
    fn plain(&self, frames: &Frames) -> Told {
        if let (Some(SocketType::Sub | SocketType::XSub), [frame]) = (self.socket_type, &frames[..])
            && let Some((first @ (0 | 1), prefix)) = frame.split_first()
        {
            // As ZMTP 3.0 has it.
            let name = if *first == 1 { "SUBSCRIBE" } else { "CANCEL" };
            return Told::new(PROTOCOL, name, vec![("prefix", Field::octets_of(prefix))]);
        }
        Told::new(PROTOCOL, "message", Vec::new()).with_content(Some(frames))
    }

    fn note_socket_type(&mut self, told: &Told) {
        let properties = told.fields.iter().find(|(name, _)| *name == "properties");
        let Some((_, Field::List(pairs))) = properties else {
            return;
        };
        for pair in pairs {
            if let Field::List(pair) = pair
                && let [Field::Text(name), Field::Text(value)] = &pair[..]
                && name.eq_ignore_ascii_case(b"Socket-Type")
            {
                self.socket_type = SocketType::decode(value).ok();
            }
        }
    }

    /// Says so when messages lack before this one.
    fn check_sequence(&mut self, told: &mut Told) {
        let Some(sequence) = told.number("sequence") else {
            return;
        };
        if let Some(expected) = self.expected
            && sequence != expected
            // C Zyre leaves 65,535 out.
            && !(expected == 65_535 && sequence == 0)
            && told.message != Field::word("HELLO")
        {
            told.remark = Some(format!("the sequence should be {expected}"));
        }
        self.expected = Some(if sequence == 65_535 { 0 } else { sequence + 1 });
    }
}

impl Message {
    /// Where in the stream this offset of all frames together is.
    fn offset_of(&self, mut at: usize) -> u64 {
        for (frame, place) in self.frames.iter().zip(&self.places) {
            if at <= frame.len() {
                return place + wide(at);
            }
            at -= frame.len();
        }
        self.begun
    }
}

/// Takes up to so many octets.
fn take<'a>(octets: &mut &'a [u8], at_most: usize) -> &'a [u8] {
    let (taken, rest) = octets.split_at_checked(at_most).unwrap_or((octets, &[]));
    *octets = rest;
    taken
}

/// Whether octets begin as frames do of which at least the first is of something that is known. Right for what is ZMTP, and hardly ever
/// for what is not.
pub(super) fn looks_like_frames(octets: &[u8]) -> bool {
    let Ok(Decoded::Complete {
        value,
        octets: head,
    }) = FrameHeader::decode(octets)
    else {
        return false;
    };
    let Some(rest) = octets.get(head..) else {
        return false;
    };
    let size = usize::try_from(value.octets()).unwrap_or(usize::MAX);
    let body = rest.get(..size).unwrap_or(rest);
    let known = if value.kind() == FrameKind::Command {
        matches!(body.split_first(), Some((length, name))
            if (4..=16).contains(length) && name.len() >= usize::from(*length)
                && name.iter().take(usize::from(*length)).all(u8::is_ascii_uppercase))
    } else {
        let frames = Frames::from(body.to_vec());
        body.starts_with(SEALED)
            || body.len() >= 4 && Codec::seek(&frames, Some(Carried::Messages)).is_some()
    };
    let next = rest.get(size..).unwrap_or_default();
    known && FrameHeader::decode(next).is_ok()
}

/// A count of octets.
fn wide(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}
