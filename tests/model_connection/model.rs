//! ZMTP 3.x read the slow way: all octets that ever came are kept, and read from the beginning after each piece.
//!
//! Nothing here is shared with the machine but the names of fields and limits in its errors. What the sections of
//! RFC 37 say is written down once more, as plainly as possible.

/// What this side may take, and what it does by itself. Times are in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) ours: &'static str,
    pub(crate) identity: &'static [u8],
    pub(crate) handshake: u64,
    /// Interval, timeout, and the time to live that the peer is told.
    pub(crate) heartbeat: Option<(u64, u64, Option<u64>)>,
    pub(crate) frame_octets: usize,
    pub(crate) message_octets: usize,
    pub(crate) message_frames: usize,
    pub(crate) command_octets: usize,
}

/// What the embedder is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Ready {
        version: (u8, u8),
        socket_type: String,
        identity: Vec<u8>,
        properties: Vec<(Vec<u8>, Vec<u8>)>,
    },
    Message(Vec<Vec<u8>>),
    Subscribe(Vec<u8>),
    Cancel(Vec<u8>),
    Closed(String),
}

/// What the octets say, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Greeting((u8, u8)),
    Ready {
        socket_type: String,
        identity: Vec<u8>,
        properties: Vec<(Vec<u8>, Vec<u8>)>,
    },
    Message(Vec<Vec<u8>>),
    Ping(u16, Vec<u8>),
    Subscribe(Vec<u8>),
    Cancel(Vec<u8>),
    /// A frame of which nothing comes.
    Nothing,
    /// From here on it is no ZMTP, or not what may come.
    Wrong(String),
}

/// A whole stream, read.
#[derive(Debug)]
struct Reading {
    /// With the number of octets after which each is known.
    said: Vec<(usize, Said)>,
    /// Octets of a message or command that is not whole.
    partial: usize,
    /// Octets that certainly belong to what is under way.
    lacking: usize,
}

/// Which patterns may talk to which (RFC 37 "The Socket-Type Property"), each pair once.
const PAIRS: [(&str, &str); 17] = [
    ("REQ", "REP"),
    ("REQ", "ROUTER"),
    ("REP", "DEALER"),
    ("DEALER", "DEALER"),
    ("DEALER", "ROUTER"),
    ("ROUTER", "ROUTER"),
    ("PUB", "SUB"),
    ("PUB", "XSUB"),
    ("XPUB", "SUB"),
    ("XPUB", "XSUB"),
    ("PUSH", "PULL"),
    ("PAIR", "PAIR"),
    ("CLIENT", "SERVER"),
    ("RADIO", "DISH"),
    ("SCATTER", "GATHER"),
    ("PEER", "PEER"),
    ("CHANNEL", "CHANNEL"),
];

fn may_talk(one: &str, other: &str) -> bool {
    PAIRS.contains(&(one, other)) || PAIRS.contains(&(other, one))
}

fn is_type(name: &str) -> bool {
    PAIRS
        .iter()
        .any(|(one, other)| name == *one || name == *other)
}

fn malformed(field: &str) -> Said {
    Said::Wrong(format!("malformed {field}"))
}

fn over(limit: &str, found: usize) -> Said {
    Said::Wrong(format!("over {limit}: {found}"))
}

fn unexpected(what: &str) -> Said {
    Said::Wrong(format!("unexpected {what}"))
}

fn read(stream: &[u8], rules: &Rules) -> Reading {
    let mut reading = Reading {
        said: Vec::new(),
        partial: 0,
        lacking: 64usize.saturating_sub(stream.len()),
    };
    // The greeting, judged as soon as an octet tells.
    let wrong = |at: usize, why: Said| Reading {
        said: vec![(at, why)],
        partial: 0,
        lacking: 0,
    };
    if stream.first().is_some_and(|octet| *octet != 0xff) {
        return wrong(1, Said::Wrong("no ZMTP".into()));
    }
    if let Some(octet) = stream.get(9)
        && *octet != 0x7f
    {
        let why = if octet % 2 == 0 {
            Said::Wrong("no ZMTP".into())
        } else {
            malformed("greeting.signature")
        };
        return wrong(10, why);
    }
    if let Some(major) = stream.get(10)
        && *major < 3
    {
        return wrong(11, Said::Wrong(format!("revision {major}")));
    }
    if stream.len() < 64 {
        return reading;
    }
    if stream[12..32] != *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" {
        return wrong(64, Said::Wrong("mechanism".into()));
    }
    let version = (stream[10], stream[11]);
    reading.said.push((64, Said::Greeting(version)));

    // Frames, to the end.
    let mut at = 64;
    let mut ready = false;
    let mut parts: Vec<Vec<u8>> = Vec::new();
    loop {
        let kept: usize = parts.iter().map(Vec::len).sum();
        let rest = &stream[at..];
        reading.partial = kept + rest.len();
        reading.lacking = 2;
        let Some(&flags) = rest.first() else {
            return reading;
        };
        if ![0, 1, 2, 3, 4, 6].contains(&flags) {
            reading.said.push((at + 1, malformed("frame.flags")));
            return reading;
        }
        let (command, long, more) = (flags & 4 != 0, flags & 2 != 0, flags & 1 != 0);
        let header = if long { 9 } else { 2 };
        if rest.len() < header {
            reading.lacking = header - rest.len();
            return reading;
        }
        let size = rest[1..header]
            .iter()
            .fold(0_u64, |size, octet| size << 8 | u64::from(*octet));
        let mut fail = |why| reading.said.push((at + header, why));
        if size >= 1 << 63 {
            fail(malformed("frame.size"));
            return reading;
        }
        let size = usize::try_from(size).unwrap();
        // What may come, by the header alone.
        if command && size > rules.command_octets {
            fail(over("command_octets", size));
            return reading;
        }
        if !command {
            let all = kept + size;
            let refused = if !ready {
                Some(unexpected("message before the end of the handshake"))
            } else if size > rules.frame_octets {
                Some(over("frame_octets", size))
            } else if all > rules.message_octets {
                Some(over("message_octets", all))
            } else if parts.len() >= rules.message_frames {
                Some(over("message_frames", parts.len() + 1))
            } else {
                None
            };
            if let Some(why) = refused {
                fail(why);
                return reading;
            }
        }
        let came = rest.len() - header;
        if came < size {
            reading.partial = kept + came;
            reading.lacking = size - came;
            return reading;
        }
        let body = &rest[header..header + size];
        at += header + size;
        let said = match (command, more) {
            (true, _) if !ready => handshake(body, rules),
            (true, _) => traffic(body, rules),
            (false, true) => {
                parts.push(body.to_vec());
                Said::Nothing
            }
            (false, false) => {
                parts.push(body.to_vec());
                Said::Message(std::mem::take(&mut parts))
            }
        };
        ready |= matches!(said, Said::Ready { .. });
        let end = matches!(said, Said::Wrong(_));
        reading.said.push((at, said));
        if end {
            return reading;
        }
    }
}

/// The name and the data of a command.
fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first()?;
    let length = usize::from(*length);
    (length > 0 && rest.len() >= length).then(|| rest.split_at(length))
}

fn handshake(body: &[u8], rules: &Rules) -> Said {
    match traffic(body, rules) {
        wrong if wrong == unexpected("second READY") => {}
        // An ERROR means the same at any time, and what is malformed is malformed.
        Said::Wrong(why) => return Said::Wrong(why),
        _ => return unexpected("command before READY"),
    }
    let (_, data) = split(body).unwrap();
    let properties = properties(data).unwrap();
    let value = |name: &[u8]| {
        let mut found = properties.iter();
        found.find(|(found, _)| found.eq_ignore_ascii_case(name))
    };
    let socket_type = match value(b"Socket-Type").map(|(_, value)| String::from_utf8(value.clone()))
    {
        Some(Ok(name)) if is_type(&name) => name,
        _ => return malformed("READY.Socket-Type"),
    };
    if !may_talk(rules.ours, &socket_type) {
        return Said::Wrong(format!("{} does not talk to {socket_type}", rules.ours));
    }
    let identity = value(b"Identity").map_or_else(Vec::new, |(_, value)| value.clone());
    if identity.len() > 255 || identity.first() == Some(&0) {
        return malformed("READY.Identity");
    }
    Said::Ready {
        socket_type,
        identity,
        properties,
    }
}

type Properties = Vec<(Vec<u8>, Vec<u8>)>;

/// Properties up to the end, or the field that is wrong.
fn properties(mut data: &[u8]) -> Result<Properties, &'static str> {
    let mut all = Vec::new();
    while let Some((name, rest)) = data.split_first() {
        let name = usize::from(*name);
        if name == 0 || rest.len() < name {
            return Err("metadata.name");
        }
        let (name, rest) = rest.split_at(name);
        let Some((size, rest)) = rest.split_first_chunk::<4>() else {
            return Err("metadata.value");
        };
        let size = u32::from_be_bytes(*size);
        if size >= 1 << 31 || rest.len() < size as usize {
            return Err("metadata.value");
        }
        let (value, rest) = rest.split_at(size as usize);
        all.push((name.to_vec(), value.to_vec()));
        data = rest;
    }
    Ok(all)
}

fn traffic(body: &[u8], rules: &Rules) -> Said {
    let Some((name, data)) = split(body) else {
        return malformed("command.name");
    };
    let publishes = rules.ours == "PUB" || rules.ours == "XPUB";
    match name {
        b"READY" => match properties(data) {
            Ok(_) => unexpected("second READY"),
            Err(field) => malformed(field),
        },
        b"ERROR" => match data.split_first() {
            Some((length, reason)) if usize::from(*length) == reason.len() => {
                Said::Wrong(format!("refused: {}", String::from_utf8_lossy(reason)))
            }
            Some((length, reason)) if usize::from(*length) < reason.len() => malformed("ERROR"),
            _ => malformed("ERROR.reason"),
        },
        b"PING" => match data.split_first_chunk::<2>() {
            None => malformed("PING.ttl"),
            Some((_, context)) if context.len() > 16 => malformed("PING.context"),
            Some((ttl, context)) => Said::Ping(u16::from_be_bytes(*ttl), context.to_vec()),
        },
        b"PONG" if data.len() > 16 => malformed("PONG.context"),
        b"SUBSCRIBE" if publishes => Said::Subscribe(data.to_vec()),
        b"CANCEL" if publishes => Said::Cancel(data.to_vec()),
        _ => Said::Nothing,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Other,
    Message,
    Ping,
    Pong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Greeting,
    Handshake,
    Traffic,
    Closed,
}

/// The reference: the same inputs as the machine, and everything that can be seen of it.
pub(crate) struct Model {
    rules: Rules,
    stream: Vec<u8>,
    /// How much of what the stream says was acted upon.
    acted: usize,
    pub(crate) phase: Phase,
    version: (u8, u8),
    pub(crate) told: Vec<Told>,
    /// What is not wholly sent, front first.
    queue: Vec<(Kind, Vec<u8>)>,
    waiting: Vec<Vec<Vec<u8>>>,
    /// The newest PING that came while a PONG was queued.
    answer: Option<Vec<u8>>,
    paused: bool,
    born: u64,
    heard: u64,
    pinged: u64,
    pong: Option<u64>,
    ttl: Option<u64>,
}

impl Model {
    pub(crate) fn new(now: u64, rules: Rules) -> Self {
        let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1];
        greeting.extend(b"NULL");
        greeting.resize(64, 0);
        Self {
            rules,
            stream: Vec::new(),
            acted: 0,
            phase: Phase::Greeting,
            version: (0, 0),
            told: Vec::new(),
            queue: vec![(Kind::Other, greeting)],
            waiting: Vec::new(),
            answer: None,
            paused: false,
            born: now,
            heard: now,
            pinged: now,
            pong: None,
            ttl: None,
        }
    }

    // ---- inputs

    pub(crate) fn octets(&mut self, now: u64, octets: &[u8]) {
        if octets.is_empty() || self.phase == Phase::Closed {
            return;
        }
        if self.phase == Phase::Traffic {
            self.hear(now);
        }
        self.stream.extend(octets);
        let said = read(&self.stream, &self.rules).said;
        for (end, said) in said.into_iter().skip(self.acted) {
            self.acted += 1;
            self.act(now, said, end == self.stream.len());
        }
    }

    fn act(&mut self, now: u64, said: Said, newest: bool) {
        match said {
            Said::Greeting(version) => {
                self.phase = Phase::Handshake;
                self.version = version;
                let mut ready = b"\x05READY".to_vec();
                ready.extend(property(b"Socket-Type", self.rules.ours.as_bytes()));
                if ["REQ", "DEALER", "ROUTER"].contains(&self.rules.ours) {
                    ready.extend(property(b"Identity", self.rules.identity));
                }
                self.queue.push((Kind::Other, frame(4, &ready)));
            }
            Said::Ready {
                socket_type,
                identity,
                properties,
            } => {
                self.phase = Phase::Traffic;
                (self.heard, self.pinged) = (now, now);
                self.told.push(Told::Ready {
                    version: self.version,
                    socket_type,
                    identity,
                    properties,
                });
                for message in std::mem::take(&mut self.waiting) {
                    self.queue.push((Kind::Message, encoded(&message)));
                }
            }
            Said::Message(frames) => self.told.push(Told::Message(frames)),
            Said::Ping(ttl, context) => {
                // Whoever sends more after its PING is not dead.
                if newest && ttl > 0 {
                    self.ttl = Some(now + u64::from(ttl) * 100);
                }
                self.pong(context);
            }
            Said::Subscribe(prefix) => self.told.push(Told::Subscribe(prefix)),
            Said::Cancel(prefix) => self.told.push(Told::Cancel(prefix)),
            Said::Nothing => {}
            Said::Wrong(why) => self.fail(why),
        }
    }

    pub(crate) fn send(&mut self, message: Vec<Vec<u8>>) -> bool {
        match self.phase {
            Phase::Closed => return false,
            Phase::Traffic => self.queue.push((Kind::Message, encoded(&message))),
            _ => self.waiting.push(message),
        }
        true
    }

    pub(crate) fn transmitted(&mut self, mut octets: usize) {
        while octets > 0
            && let Some((_, front)) = self.queue.first_mut()
        {
            let n = octets.min(front.len());
            front.drain(..n);
            octets -= n;
            if front.is_empty() {
                self.queue.remove(0);
            }
        }
        if !self.queued(Kind::Pong)
            && let Some(context) = self.answer.take()
        {
            self.pong(context);
        }
    }

    /// One call, which does one thing.
    pub(crate) fn timeout(&mut self, now: u64) {
        let Some((at, timer)) = self.deadline() else {
            return;
        };
        if at > now {
            return;
        }
        if timer != "Ping" {
            return self.fail(format!("timed out {timer}"));
        }
        let (_, timeout, ttl) = self.rules.heartbeat.unwrap();
        self.pinged = now;
        self.pong = self.pong.or(Some(now + timeout));
        if !self.queued(Kind::Ping) {
            let tenths = ttl.map_or(0, |ttl| ttl.div_ceil(100).min(655));
            let mut body = b"\x04PING".to_vec();
            body.extend(u16::try_from(tenths).unwrap().to_be_bytes());
            self.queue.push((Kind::Ping, frame(4, &body)));
        }
    }

    pub(crate) fn pause(&mut self, now: u64, paused: bool) {
        if self.paused && !paused && self.phase == Phase::Traffic {
            self.hear(now);
        }
        self.paused = paused;
    }

    pub(crate) fn refuse(&mut self, reason: &str) {
        if self.phase != Phase::Closed {
            self.error(reason);
            self.close();
        }
    }

    // ---- outputs

    pub(crate) fn to_send(&self) -> Vec<u8> {
        let octets = self.queue.iter().map(|(_, octets)| octets.clone());
        octets.collect::<Vec<_>>().concat()
    }

    pub(crate) fn queued_octets(&self) -> usize {
        let waiting = self.waiting.iter().map(|message| encoded(message).len());
        self.to_send().len() + waiting.sum::<usize>()
    }

    pub(crate) fn queued_messages(&self) -> usize {
        let messages = self.queue.iter().filter(|(kind, _)| *kind == Kind::Message);
        messages.count() + self.waiting.len()
    }

    /// Octets of what is not whole, and octets that it lacks for sure.
    pub(crate) fn under_way(&self) -> (usize, usize) {
        match self.phase {
            Phase::Closed => (0, 2),
            _ => {
                let reading = read(&self.stream, &self.rules);
                (reading.partial, reading.lacking)
            }
        }
    }

    /// The next deadline. At the same moment death comes first.
    pub(crate) fn deadline(&self) -> Option<(u64, &'static str)> {
        match self.phase {
            Phase::Greeting | Phase::Handshake => {
                return Some((self.born + self.rules.handshake, "Handshake"));
            }
            Phase::Closed => return None,
            Phase::Traffic => {}
        }
        let mut all = Vec::new();
        if !self.paused {
            all.extend(self.pong.map(|at| (at, "Pong")));
            all.extend(self.ttl.map(|at| (at, "TimeToLive")));
        }
        // Peers of 3.0 have no heartbeats.
        match self.rules.heartbeat.filter(|_| self.version >= (3, 1)) {
            Some((interval, _, Some(_))) => all.push((self.pinged + interval, "Ping")),
            Some((interval, _, None)) if !self.paused && self.pong.is_none() => {
                all.push((self.heard + interval, "Ping"));
            }
            _ => {}
        }
        all.into_iter().min_by_key(|(at, _)| *at)
    }

    // ---- within

    fn queued(&self, kind: Kind) -> bool {
        self.queue.iter().any(|(found, _)| *found == kind)
    }

    fn hear(&mut self, now: u64) {
        self.heard = now;
        self.pong = None;
        self.ttl = None;
    }

    /// There is never more than one PONG in the queue; the newest PING waits for its turn.
    fn pong(&mut self, context: Vec<u8>) {
        if self.queued(Kind::Pong) {
            self.answer = Some(context);
        } else {
            let body = [&b"\x04PONG"[..], &context].concat();
            self.queue.push((Kind::Pong, frame(4, &body)));
        }
    }

    fn error(&mut self, reason: &str) {
        let length = u8::try_from(reason.len()).unwrap();
        let body = [&b"\x05ERROR"[..], &[length], reason.as_bytes()].concat();
        self.queue.push((Kind::Other, frame(4, &body)));
    }

    fn fail(&mut self, why: String) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.phase == Phase::Traffic {
            self.queue.clear();
        } else if why.contains("does not talk to") {
            self.error("Invalid socket type");
        }
        self.close();
        self.told.push(Told::Closed(why));
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.waiting.clear();
        self.answer = None;
        for (kind, _) in &mut self.queue {
            // What is still to be sent is octets; nobody waits for an answer.
            if *kind != Kind::Message {
                *kind = Kind::Other;
            }
        }
    }
}

/// A frame in its shortest form.
pub(crate) fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = match u8::try_from(body.len()) {
        Ok(size) if flags & 2 == 0 => vec![flags, size],
        _ => {
            let mut octets = vec![flags | 2];
            octets.extend((body.len() as u64).to_be_bytes());
            octets
        }
    };
    octets.extend(body);
    octets
}

pub(crate) fn property(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut octets = vec![u8::try_from(name.len()).unwrap()];
    octets.extend(name);
    octets.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
    octets.extend(value);
    octets
}

fn encoded(message: &[Vec<u8>]) -> Vec<u8> {
    let last = message.len() - 1;
    let frames = message.iter().enumerate();
    frames
        .flat_map(|(at, body)| frame(u8::from(at < last), body))
        .collect()
}
