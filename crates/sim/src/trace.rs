//! What happened, in order: always as a hash, as lines when somebody wants to read them.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use atonce::{Cut, Event, ExitReason, Instant, PeerId, SendError};

use crate::NodeId;

/// Lines that are remembered to be shown when something breaks. They are written all the time, so that more of them would
/// take the place of what is simulated in the processor's cache.
const REMEMBERED: usize = 4_096;

/// One thing that happened, packed: it is hashed and remembered a million times for each time it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    at: Instant,
    node: u32,
    kind: Kind,
    words: [u64; 3],
}

/// What happened, and what the three words of a [`Line`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A process was started.
    Start,
    /// The application told the node to stop.
    Stop,
    /// The process ended, as it wanted.
    Ended,
    /// The process was killed.
    Killed,
    /// The machine lost its power.
    PowerOff,
    PowerOn,
    /// The process was stopped, and goes on.
    Suspended,
    Continued,
    /// 1: the application takes no events; 0: it does again.
    Deaf,
    /// 1: the process reads no socket; 0: it does again.
    Stalled,
    /// The clock went forward by so many microseconds.
    Clock,
    /// An address.
    InterfaceUp,
    InterfaceDown,
    /// Octets, checksum.
    Broadcast,
    /// Octets, checksum, source host.
    Datagram,
    DatagramLost,
    DatagramDropped,
    /// Link; then an address follows.
    Dial,
    /// Link.
    Connected,
    Accepted,
    Refused,
    /// Link, octets, checksum.
    Sent,
    Received,
    /// Link.
    Close,
    /// Link, how.
    Cut,
    Pause,
    Resume,
    Resolve,
    /// The stack was woken.
    Timeout,
    /// A timer of the application; its token.
    Timer,
    /// Peer, what, checksum of group and content.
    Event,
    /// What the application did: checksum, how it went.
    Join,
    Leave,
    /// Peer, checksum, how it went.
    Whisper,
    /// Group, checksum, how many.
    Shout,
    Connect,
    /// Of the network: hosts.
    Partition,
    Healed,
    OneWay,
    Mended,
    Reset,
    Blackhole,
    Swallowed,
    GaveUp,
    /// Of another program: host, octets, checksum.
    Program,
    /// Words of an address that belongs to the line before.
    Address,
    /// Link, whether the owner of the key may come in.
    Asked,
    /// Octets, checksum; then an address follows.
    Beacon,
    /// Router.
    Forgets,
    /// What else applications do with their nodes: checksum.
    Disconnect,
    /// An address.
    Seek,
    Unseek,
    Ignore,
    Heed,
    /// Peer.
    Introduce,
    /// Peer, checksum, how it went.
    ShoutTo,
    Retire,
    /// A relay was started: host.
    StartRelay,
    /// Peer; then the address of the relay follows.
    DialRelayed,
    /// A relay expects two; 1: it does, 0: there are too many.
    Expect,
    /// A socket was started: host.
    StartSocket,
    /// What a program does with a socket: checksum of an endpoint, or the name of a listener.
    Bind,
    Unbind,
    /// An address.
    Listen,
    NotListening,
    /// Listener.
    Unlisten,
    /// Checksum of a message, and of the error.
    Send,
    Take,
    /// Checksum.
    Subscribe,
    Unsubscribe,
    /// A question, or an answer, is given up.
    GiveUp,
    /// Checksum.
    SocketEvent,
    /// A socket of UDP was opened: host, port.
    StartUdp,
    CloseUdp,
    /// Host; then an address of the group follows.
    JoinGroup,
    /// Checksum of a group; 1: it stands for leader, 0: it does not any more.
    Contest,
    /// Nothing gets to this host or from it: host, for how many microseconds.
    Held,
}

/// The running trace.
pub(crate) struct Trace {
    hash: u64,
    lines: u64,
    recent: VecDeque<Line>,
    writer: Option<Box<dyn Write>>,
    failed: Option<io::Error>,
    names: Vec<String>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: 0,
            recent: VecDeque::new(),
            writer: None,
            failed: None,
            names: Vec::new(),
        }
    }

    pub(crate) fn write_to(&mut self, writer: Box<dyn Write>) {
        self.writer = Some(writer);
    }

    /// Writes what is buffered; says what went wrong with writing since the beginning.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match self.writer.as_mut() {
            Some(writer) => writer.flush(),
            None => Ok(()),
        }
    }

    pub(crate) fn name(&mut self, name: String) {
        self.names.push(name);
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn lines(&self) -> u64 {
        self.lines
    }

    pub(crate) fn say(&mut self, at: Instant, node: Option<NodeId>, kind: Kind, words: [u64; 3]) {
        let line = Line {
            at,
            node: node.map_or(u32::MAX, |node| node.0),
            kind,
            words,
        };
        self.lines += 1;
        self.mix(at.as_micros());
        self.mix(u64::from(line.node) << 8 | kind as u64);
        for word in words {
            self.mix(word);
        }
        if let Some(writer) = &mut self.writer
            && self.failed.is_none()
        {
            let shown = Shown {
                line: &line,
                names: &self.names,
            };
            if let Err(error) = writeln!(writer, "{shown}") {
                self.failed = Some(error);
            }
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(line);
    }

    fn mix(&mut self, word: u64) {
        self.hash = mix(self.hash, word);
    }

    /// The last lines about these nodes, oldest first.
    pub(crate) fn last(&self, nodes: &[NodeId], count: usize) -> Vec<String> {
        let mut lines: Vec<String> = self
            .recent
            .iter()
            .rev()
            .filter(|line| line.node == u32::MAX || nodes.iter().any(|node| node.0 == line.node))
            .take(count)
            .map(|line| {
                let names = &self.names;
                Shown { line, names }.to_string()
            })
            .collect();
        lines.reverse();
        lines
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({:016x}, {} lines)", self.hash, self.lines)
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    const ODD: u128 = 0x9E37_79B9_7F4A_7C15;
    let product = u128::from((hash.rotate_left(23) ^ word) | 1 << 63) * ODD;
    low(product) ^ low(product >> 64) ^ word
}

/// The lower 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "that is the meaning")]
const fn low(wide: u128) -> u64 {
    wide as u64
}

/// A number that changes with every octet.
pub(crate) fn checksum(octets: &[u8]) -> u64 {
    let mut hash = octets.len() as u64;
    let mut chunks = octets.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk
            .first_chunk()
            .map_or(0, |word| u64::from_le_bytes(*word));
        hash = mix(hash, word);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(chunks.remainder()) {
        *to = *from;
    }
    mix(hash, u64::from_le_bytes(last))
}

/// The first eight octets of an identity: enough to tell.
pub(crate) fn short(id: PeerId) -> u64 {
    let octets = id.as_bytes();
    octets
        .first_chunk()
        .map_or(0, |word| u64::from_be_bytes(*word))
}

pub(crate) fn address(address: SocketAddr) -> [u64; 3] {
    let bits = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    [u64::from(address.port()), low(bits >> 64), low(bits)]
}

fn address_of(words: [u64; 3]) -> SocketAddr {
    let [port, high, low] = words;
    let ip = Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low));
    SocketAddr::new(ip.to_canonical(), u16::try_from(port).unwrap_or_default())
}

/// What an event is, and a checksum of its group and content.
pub(crate) fn event(event: &Event) -> [u64; 3] {
    let content = |frames: &atonce::Frames| {
        frames.iter().fold(frames.len() as u64, |hash, frame| {
            mix(hash, checksum(frame))
        })
    };
    match event {
        Event::Enter { peer } => [short(peer.id), 1, 0],
        Event::Evasive { peer } => [short(peer.id), 2, 0],
        Event::Silent { peer } => [short(peer.id), 3, 0],
        Event::Recovered { peer } => [short(peer.id), 4, 0],
        Event::Join { peer, group } => [short(peer.id), 5, checksum(group.as_bytes())],
        Event::Leave { peer, group } => [short(peer.id), 6, checksum(group.as_bytes())],
        Event::Whisper {
            peer,
            content: said,
        } => [short(peer.id), 7, content(said)],
        Event::Shout {
            peer,
            group,
            content: said,
        } => {
            let sum = mix(checksum(group.as_bytes()), content(said));
            [short(peer.id), 8, sum]
        }
        Event::Exit { peer, reason } => [short(peer.id), 9, exit(reason)],
        Event::InterfaceUp { .. } => [0, 10, 0],
        Event::InterfaceDown { .. } => [0, 11, 0],
        Event::Stopped => [0, 12, 0],
        Event::Leader { peer, group } => [short(peer.id), 14, checksum(group.as_bytes())],
        _ => [0, 13, 0],
    }
}

fn exit(reason: &ExitReason) -> u64 {
    checksum(reason.to_string().as_bytes()) << 8
        | match reason {
            ExitReason::Left => 0,
            ExitReason::Expired => 1,
            ExitReason::Replaced => 2,
            ExitReason::Lost(lost) => 8 | lost_number(lost),
            ExitReason::Overrun => 4,
            ExitReason::Refused => 5,
            _ => 6,
        }
}

fn lost_number(lost: &atonce::zre::Lost) -> u64 {
    use atonce::zre::Lost;
    match lost {
        Lost::Unreachable => 0,
        Lost::LinkCut { .. } => 1,
        Lost::Gap { .. } => 2,
        Lost::Garbled => 3,
        Lost::Malformed(_) => 4,
        Lost::Displaced => 5,
        Lost::Limit(_) => 6,
        _ => 7,
    }
}

fn exit_text(word: u64) -> &'static str {
    match word & 0xff {
        0 => "left",
        1 => "expired",
        2 => "replaced",
        4 => "overrun",
        5 => "refused",
        8 => "lost: its mailbox is gone",
        9 => "lost: its link was cut",
        10 => "lost: a gap",
        11 => "lost: garbled",
        12 => "lost: malformed",
        13 => "lost: displaced",
        14 => "lost: a limit",
        _ => "?",
    }
}

pub(crate) fn outcome(result: Result<u64, &SendError>) -> u64 {
    match result {
        Ok(count) => count,
        Err(SendError::UnknownPeer) => u64::MAX,
        Err(SendError::Full) => u64::MAX - 1,
        Err(SendError::TooLarge { .. }) => u64::MAX - 2,
        Err(SendError::Stopped) => u64::MAX - 3,
        Err(_) => u64::MAX - 4,
    }
}

fn outcome_text(word: u64) -> String {
    match word {
        u64::MAX => "no such peer".into(),
        n if n == u64::MAX - 1 => "full".into(),
        n if n == u64::MAX - 2 => "too large".into(),
        n if n == u64::MAX - 3 => "stopped".into(),
        n if n == u64::MAX - 4 => "refused".into(),
        n => format!("to {n}"),
    }
}

pub(crate) const fn cut(cut: Cut) -> u64 {
    match cut {
        Cut::Refused => 0,
        Cut::Closed => 1,
        Cut::Reset => 2,
        Cut::Unreachable => 3,
        Cut::Resources => 4,
    }
}

const CUTS: [&str; 5] = ["refused", "closed", "reset", "unreachable", "no resources"];

/// A line as a person reads it.
struct Shown<'a> {
    line: &'a Line,
    names: &'a [String],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Line {
            at,
            node,
            kind,
            words,
        } = self.line;
        let [a, b, c] = words;
        let name = usize::try_from(node)
            .ok()
            .and_then(|node| self.names.get(node))
            .map_or("*", String::as_str);
        let seconds = at.as_micros() / 1_000_000;
        let micros = at.as_micros() % 1_000_000;
        write!(f, "{seconds:>4}.{micros:06} {name:<8} ")?;
        match kind {
            Kind::Start => write!(f, "started on host {a}, uuid {b:016X}"),
            Kind::Stop => f.write_str("is told to stop"),
            Kind::Ended => f.write_str("has ended"),
            Kind::Killed => f.write_str("is killed"),
            Kind::PowerOff => write!(f, "host {a} loses its power"),
            Kind::PowerOn => write!(f, "host {a} has power again"),
            Kind::Suspended => f.write_str("is suspended"),
            Kind::Continued => f.write_str("continues"),
            Kind::Deaf if a == 1 => f.write_str("takes no events"),
            Kind::Deaf => f.write_str("takes events again"),
            Kind::Stalled if a == 1 => f.write_str("reads no socket"),
            Kind::Stalled => f.write_str("reads its sockets again"),
            Kind::Clock => write!(f, "clock of host {a} goes forward {b} µs"),
            Kind::InterfaceUp => write!(f, "interface up: {}", address_of(words)),
            Kind::InterfaceDown => write!(f, "interface down: {}", address_of(words)),
            Kind::Broadcast => write!(f, "broadcasts {a} octets, sum {b:016x}"),
            Kind::Datagram => write!(f, "hears {a} octets, sum {b:016x}, of host {c}"),
            Kind::DatagramLost => write!(f, "a datagram of host {a} to host {b} is lost"),
            Kind::DatagramDropped => f.write_str("has no room for a datagram"),
            Kind::Beacon => write!(f, "sends a beacon of {a} octets, sum {b:016x}"),
            Kind::Forgets => write!(f, "router {a} forgets for whom it translates"),
            Kind::Dial => write!(f, "dials on link {a}"),
            Kind::Connected => write!(f, "link {a} is connected"),
            Kind::Accepted => write!(f, "link {a} is accepted"),
            Kind::Refused => f.write_str("refuses a connection"),
            Kind::Sent => write!(f, "link {a} sends {b} octets, sum {c:016x}"),
            Kind::Received => write!(f, "link {a} receives {b} octets, sum {c:016x}"),
            Kind::Close => write!(f, "closes link {a}"),
            Kind::Cut => {
                let how = usize::try_from(b).ok().and_then(|b| CUTS.get(b));
                write!(f, "link {a} ended: {}", how.unwrap_or(&"?"))
            }
            Kind::Asked if b == 1 => write!(f, "lets the owner of a key in, link {a}"),
            Kind::Asked => write!(f, "does not let the owner of a key in, link {a}"),
            Kind::Pause => write!(f, "pauses link {a}"),
            Kind::Resume => write!(f, "resumes link {a}"),
            Kind::Resolve => write!(f, "looks up a name, query {a}"),
            Kind::Timeout => f.write_str("wakes"),
            Kind::Timer => write!(f, "timer {a}"),
            Kind::Event => match b {
                1 => write!(f, "EVENT enter {a:016X}"),
                2 => write!(f, "EVENT evasive {a:016X}"),
                3 => write!(f, "EVENT silent {a:016X}"),
                4 => write!(f, "EVENT recovered {a:016X}"),
                5 => write!(f, "EVENT join {a:016X}, group {c:016x}"),
                6 => write!(f, "EVENT leave {a:016X}, group {c:016x}"),
                7 => write!(f, "EVENT whisper {a:016X}, sum {c:016x}"),
                8 => write!(f, "EVENT shout {a:016X}, sum {c:016x}"),
                9 => write!(f, "EVENT exit {a:016X}, {}", exit_text(c)),
                10 => f.write_str("EVENT interface up"),
                11 => f.write_str("EVENT interface down"),
                12 => f.write_str("EVENT stopped"),
                14 => write!(f, "EVENT leader {a:016X}, group {c:016x}"),
                _ => f.write_str("EVENT ?"),
            },
            Kind::Join => write!(f, "join, group {a:016x}"),
            Kind::Leave => write!(f, "leave, group {a:016x}"),
            Kind::Contest if b == 1 => write!(f, "contests in group {a:016x}"),
            Kind::Contest => write!(f, "does not contest in group {a:016x}"),
            Kind::Whisper => {
                write!(f, "whisper {a:016X}, sum {b:016x}: {}", outcome_text(c))
            }
            Kind::Shout => write!(
                f,
                "shout, group {a:016x}, sum {b:016x}: {}",
                outcome_text(c)
            ),
            Kind::Disconnect => write!(f, "disconnect, sum {a:016x}"),
            Kind::Seek => write!(f, "seeks {}", address_of(words)),
            Kind::Unseek => write!(f, "does not seek {} any more", address_of(words)),
            Kind::Ignore => write!(f, "ignores {}", address_of(words)),
            Kind::Heed => write!(f, "heeds {} again", address_of(words)),
            Kind::Introduce => write!(f, "is told of {a:016X}"),
            Kind::ShoutTo => {
                write!(
                    f,
                    "shout to {a:016X} alone, sum {b:016x}: {}",
                    outcome_text(c)
                )
            }
            Kind::Retire => f.write_str("is told to stop without a goodbye"),
            Kind::Connect => write!(f, "connect, sum {a:016x}"),
            Kind::Partition => write!(f, "partition: host {a} is on side {b}"),
            Kind::Healed => f.write_str("the partition is over"),
            Kind::OneWay => write!(f, "nothing gets from host {a} to host {b}"),
            Kind::Mended => write!(f, "host {a} reaches host {b} again"),
            Kind::Reset => write!(f, "its link {a} is reset on the way"),
            Kind::Blackhole => write!(f, "its link {a} is forgotten on the way"),
            Kind::Swallowed => write!(f, "link {a}: {b} octets are swallowed on the way"),
            Kind::GaveUp => write!(f, "link {a}: nobody acknowledges"),
            Kind::Program => {
                write!(f, "a program on host {a} sends {b} octets, sum {c:016x}")
            }
            Kind::StartRelay => write!(f, "started as a relay on host {a}"),
            Kind::DialRelayed => write!(f, "contacts {a:016X} over a relay"),
            Kind::Expect if a == 1 => f.write_str("expects two"),
            Kind::Expect => f.write_str("has no room for two more"),
            Kind::StartSocket => write!(f, "started as a socket on host {a}"),
            Kind::Bind => write!(f, "bind, sum {a:016x}"),
            Kind::Unbind => write!(f, "unbind, listener {a}"),
            Kind::Listen => write!(f, "listens at {}", address_of(words)),
            Kind::NotListening => f.write_str("cannot listen"),
            Kind::Unlisten => write!(f, "listener {a} listens no more"),
            Kind::Send if b == 0 => write!(f, "sends a message, sum {a:016x}"),
            Kind::Send => write!(f, "cannot send a message, sum {a:016x}, because {b:016x}"),
            Kind::Take if b == 0 => write!(f, "takes a message, sum {a:016x}"),
            Kind::Take => write!(f, "takes no message, because {b:016x}"),
            Kind::Subscribe => write!(f, "subscribe, sum {a:016x}"),
            Kind::Unsubscribe => write!(f, "unsubscribe, sum {a:016x}"),
            Kind::GiveUp => f.write_str("gives up what is under way"),
            Kind::SocketEvent => write!(f, "tells its monitor something, sum {a:016x}"),
            Kind::StartUdp => write!(f, "opened port {b} of UDP on host {a}"),
            Kind::CloseUdp => f.write_str("closes its port of UDP"),
            Kind::JoinGroup => write!(f, "host {a} joins a group"),
            Kind::Held => write!(f, "the radio of host {a} stands still for {b} µs"),
            Kind::Address => write!(f, "  at {}", address_of(words)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_packed_and_unpacked() {
        for text in ["10.0.0.1:49152", "[fd00::1]:5670", "0.0.0.0:0"] {
            let expected: SocketAddr = text.parse().unwrap();
            assert_eq!(address_of(address(expected)), expected);
        }
    }

    #[test]
    fn every_octet_counts() {
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..40 {
            for changed in 0..length {
                let mut octets = vec![7; length];
                octets[changed] = 8;
                assert!(seen.insert(checksum(&octets)));
            }
        }
    }

    #[test]
    fn the_last_lines_are_those_of_the_nodes_asked_for() {
        let mut trace = Trace::new();
        for name in ["alice", "bob"] {
            trace.name(name.into());
        }
        for n in 0..5 {
            trace.say(
                Instant::from_millis(n),
                Some(NodeId(0)),
                Kind::Timer,
                [n, 0, 0],
            );
            trace.say(
                Instant::from_millis(n),
                Some(NodeId(1)),
                Kind::Timer,
                [n, 0, 0],
            );
        }
        let lines = trace.last(&[NodeId(1)], 2);
        assert_eq!(
            lines,
            [
                "   0.003000 bob      timer 3",
                "   0.004000 bob      timer 4"
            ]
        );
    }
}
