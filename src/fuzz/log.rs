//! Logging: any octets as a record, and a logger among peers that say anything of themselves.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::values;
use crate::log::collector::{self, Collector, NoRecord};
use crate::log::logger::{Action, CollectorId, Config, Limits, Logger, Met};
use crate::log::{HEADER, logger};
use crate::wire::log::{Level, NodeTag, Record};
use crate::wire::{Frames, LongText, Text};
use crate::zre::{Event, ExitReason};
use crate::{Instant, Peer, PeerId};

const START: Instant = Instant::from_millis(1_000);

/// A frame: what decodes encodes to the same octets; with an octet more or less it is none; frames behind it change nothing; a
/// collector counts it as what it is.
pub fn log(octets: &[u8]) {
    let frame = Bytes::copy_from_slice(octets);
    let mut collector = Collector::new(collector::Config::default());
    let surplus = Frames::from_iter([frame.clone(), frame.clone()]);
    let heard = collector.handle_message(START, &surplus);
    let counters = collector.counters();
    let counted = [counters.records, counters.malformed, counters.foreign];
    match Record::decode(&frame) {
        Ok(record) => {
            assert!(Record::is_ours(octets) && octets.len() <= Record::LIMIT);
            assert_eq!(record.encode(), frame, "{record:?}");
            assert!(Record::decode(&frame.slice(..octets.len() - 1)).is_err());
            let longer = [octets, &[0]].concat();
            assert!(Record::decode(&longer.into()).is_err());
            values::shown(octets.len(), format_args!("{record:?}"));
            let named = format!("{} {} {}", record.level, record.event, record.node);
            assert!(named.len() < 30 && record.since_1970() <= Duration::from_secs(u64::MAX));
            assert_eq!(collector.sources().count(), 1);
            assert_eq!((heard, counted), (Ok(record), [1, 0, 0]));
        }
        Err(error) => {
            let ours = Record::is_ours(octets);
            assert_eq!(ours, !["signature", "id"].contains(&error.field), "{error}");
            values::shown(octets.len(), format_args!("{error} {error:?}"));
            if ours {
                let expected = Err(NoRecord::Malformed(error));
                assert_eq!((heard, counted), (expected, [0, 1, 0]));
            } else {
                assert_eq!((heard, counted), (Err(NoRecord::Foreign), [0, 0, 1]));
            }
        }
    }
}

/// Small, so that they are reached.
fn limits() -> Limits {
    Limits {
        collectors: 3,
        records: 8,
        recent: Duration::from_secs(2),
        rate: 10,
        burst: 5,
    }
}

/// A collector that is connected.
struct Connected {
    wishes: usize,
    /// The number of the last record of the application that it was told.
    last: Option<u64>,
}

struct World {
    now: Instant,
    logger: Logger,
    config: Config,
    own: BTreeMap<String, Text>,
    /// Where each peer that is here speaks from.
    here: BTreeMap<PeerId, SocketAddr>,
    connected: BTreeMap<CollectorId, Connected>,
    /// The latest that was ever connected: names are not used again.
    newest: Option<CollectorId>,
    number: u64,
    /// One that hears all that is said, and meets whom the logger meets.
    collector: Collector,
    /// Whom it met, and when that one exited.
    met: BTreeMap<(NodeTag, PeerId), (Text, Option<Instant>)>,
}

/// How many peers the collector knows by name at most.
const NAMES: usize = 8;

/// A logger among peers with any headers at any addresses, that come and go, and collectors that listen or not: nobody is connected
/// who may not be, or twice; what is said is a record, in order and once, and not above its level; what is held is bounded; when all
/// are gone nobody is connected.
pub fn log_logger(octets: &[u8]) {
    let mut u = Unstructured::new(octets);
    let Ok(mut world) = World::new(&mut u) else {
        return;
    };
    while !u.is_empty() && world.step(&mut u).is_ok() {
        world.check();
    }
    world.end();
}

impl World {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let config = Config {
            level: Level(u.int_in_range(0..=4)?),
            elsewhere: u.arbitrary()?,
            limits: limits(),
        };
        let since_1970 = Duration::from_secs(u.arbitrary()?);
        Ok(Self {
            now: START,
            logger: Logger::new(START, since_1970, config.clone()),
            config,
            own: BTreeMap::new(),
            here: BTreeMap::new(),
            connected: BTreeMap::new(),
            newest: None,
            number: 0,
            collector: Collector::new(collector::Config {
                names: NAMES,
                sources: 3,
            }),
            met: BTreeMap::new(),
        })
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=9_u8)? {
            0..=1 => self.enter(u)?,
            2 => self.happen(u)?,
            3 => {
                let (interface, up) = (u.int_in_range(0..=1_u8)?.to_string(), u.arbitrary()?);
                let endpoint: Text = self.endpoint(u)?;
                let event = if up {
                    self.own.insert(interface.clone(), endpoint.clone());
                    Event::InterfaceUp {
                        interface,
                        endpoint,
                    }
                } else {
                    self.own.remove(&interface);
                    let detail = "gone".to_string();
                    Event::InterfaceDown { interface, detail }
                };
                self.logger.handle_event(self.now, &event, None);
            }
            4 => {
                let some = u.choose_index(self.connected.len().max(1))?;
                let message = &u.arbitrary::<[u8; 2]>()?[..u.int_in_range(0..=2)?];
                let wish = message.first().copied();
                let lost = u.int_in_range(0..=2)?;
                if let Some((collector, known)) = self.connected.iter_mut().nth(some) {
                    self.logger.handle_lost(*collector, lost);
                    self.logger.handle_subscription(*collector, message);
                    match wish {
                        Some(1) => known.wishes += 1,
                        Some(0) => known.wishes = known.wishes.saturating_sub(1),
                        _ => {}
                    }
                }
            }
            5..=6 => {
                let level = Level(u.int_in_range(0..=4)?);
                let rest = "ü".repeat(u.int_in_range(0..=200)?);
                let text = format!("number {} {rest}", self.number);
                self.logger.log(self.now, level, &text);
                self.number += 1;
            }
            7 => {
                let group: Text = self.endpoint(u)?;
                match u.int_in_range(0..=2_u8)? {
                    0 => self.logger.handle_joined(self.now, &group),
                    1 => self.logger.handle_left(self.now, &group),
                    _ => self.logger.handle_stop(self.now),
                }
            }
            8 => {
                let since_1970 = Duration::from_secs(u.arbitrary()?);
                self.logger.set_time(self.now, since_1970);
            }
            _ => self.pass(Duration::from_millis(u.int_in_range(0..=3_000)?)),
        }
        self.act();
        if u.arbitrary()? {
            self.listen(u)?;
        }
        Ok(())
    }

    /// An endpoint, mostly.
    fn endpoint<T: for<'a> TryFrom<&'a [u8]> + Default>(
        &self,
        u: &mut Unstructured<'_>,
    ) -> Result<T> {
        let port: u8 = u.int_in_range(0..=3)?;
        let text = match u.int_in_range(0..=7_u8)? {
            0 => u.arbitrary::<String>()?,
            1 => format!("tcp://{}:{port}", u.arbitrary::<IpAddr>()?),
            2 => format!("tcp://name:{port}"),
            3 => format!("tcp://127.0.0.1:{port}"),
            host => format!("tcp://10.0.0.{host}:{port}"),
        };
        Ok(T::try_from(text.as_bytes()).unwrap_or_default())
    }

    fn peer(&self, u: &mut Unstructured<'_>) -> Result<Arc<Peer>> {
        let id = PeerId::from_bytes([u.int_in_range(0..=5)?; 16]);
        let header: LongText = self.endpoint(u)?;
        let name = Text::try_from(HEADER).unwrap_or_default();
        let headers = u.ratio(7, 8)?.then_some((name, header));
        Ok(Arc::new(Peer {
            id,
            name: self.endpoint(u)?,
            endpoint: self.endpoint(u)?,
            headers: headers.into_iter().collect(),
        }))
    }

    fn enter(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let peer = self.peer(u)?;
        let host = match u.int_in_range(0..=3_u8)? {
            0 => u.arbitrary()?,
            host => IpAddr::from([10, 0, 0, host + 3]),
        };
        let met = Met::at(SocketAddr::new(host, 40_000), self.endpoint(u)?);
        let known = u.ratio(7, 8)?;
        self.here.insert(peer.id, met.remote);
        let key = (NodeTag::of(peer.endpoint.as_bytes()), peer.id);
        self.met.insert(key, (peer.name.clone(), None));
        let event = Event::Enter { peer };
        self.collector.handle_event(self.now, &event);
        self.logger
            .handle_event(self.now, &event, known.then_some(&met));
        Ok(())
    }

    fn happen(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let peer = self.peer(u)?;
        let event = match u.int_in_range(0..=4_u8)? {
            0 => Event::Evasive { peer },
            1 => Event::Silent { peer },
            2 => Event::Recovered { peer },
            3 => {
                let group = self.endpoint(u)?;
                Event::Leader { group, peer }
            }
            _ => {
                self.here.remove(&peer.id);
                let key = (NodeTag::of(peer.endpoint.as_bytes()), peer.id);
                if let Some((_, gone)) = self.met.get_mut(&key) {
                    *gone = Some(self.now);
                }
                let reason = ExitReason::Expired;
                Event::Exit { peer, reason }
            }
        };
        self.collector.handle_event(self.now, &event);
        self.logger.handle_event(self.now, &event, None);
        Ok(())
    }

    fn act(&mut self) {
        while let Some(action) = self.logger.poll_action() {
            match action {
                Action::Connect {
                    collector, address, ..
                } => self.connect(collector, address),
                Action::Disconnect { collector } => {
                    let known = self.connected.remove(&collector);
                    assert!(known.is_some(), "{collector:?} is not connected");
                    assert_eq!(self.logger.poll_message(collector), None);
                }
            }
        }
    }

    fn connect(&mut self, collector: CollectorId, address: SocketAddr) {
        assert!(self.newest < Some(collector), "a name is used again");
        self.newest = Some(collector);
        assert_ne!(address.port(), 0);
        if !self.config.elsewhere {
            let mut remotes = self.here.values().map(|remote| remote.ip().to_canonical());
            assert!(remotes.any(|remote| remote == address.ip()), "{address}");
        }
        let known = Connected {
            wishes: 0,
            last: None,
        };
        self.connected.insert(collector, known);
    }

    /// Some of the collectors take what there is for them.
    fn listen(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Self {
            now,
            logger,
            config,
            connected,
            collector: ears,
            ..
        } = self;
        for (collector, known) in connected {
            if u.arbitrary()? {
                continue;
            }
            let mut many = 0;
            while let Some(message) = logger.poll_message(*collector) {
                many += 1;
                assert!(known.wishes > 0, "nobody listens");
                log(&message);
                let Ok(record) = Record::decode(&message) else {
                    panic!("{message:?}");
                };
                assert!(record.level <= config.level, "{record:?}");
                let heard = ears.handle_message(*now, &Frames::from(message));
                assert_eq!(heard.as_ref(), Ok(&record));
                let text = record.data.to_string();
                if let Some(rest) = text.strip_prefix("number ") {
                    let number = rest.split(' ').next().and_then(|it| it.parse().ok());
                    assert!(known.last < number, "{text} after {:?}", known.last);
                    known.last = number;
                }
            }
            assert!(many <= config.limits.records + 1, "{many} messages");
        }
        Ok(())
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((at, logger::Timer::LeftOut)) = self.logger.poll_timeout()
            && at <= until
        {
            self.now = at.max(self.now);
            self.logger.handle_timeout(self.now);
        }
        self.now = until;
    }

    fn check(&self) {
        let limits = &self.config.limits;
        assert!(self.logger.collectors().count() <= limits.collectors);
        let connected = self.logger.collectors().map(|(collector, _)| collector);
        assert!(connected.eq(self.connected.keys().copied()));
        let mut places: alloc::vec::Vec<_> = self.logger.collectors().map(|it| it.1).collect();
        places.sort_unstable();
        assert!(places.is_sorted_by(|one, other| one < other), "twice");
        self.check_names();
        let counters = self.collector.counters();
        let sources = self.collector.sources();
        let counted: u64 = sources.map(|(_, source)| source.records).sum();
        assert_eq!(counted + counters.uncounted, counters.records);
    }

    /// A number is given a name only when one alone has it: one that is here, or was a minute ago.
    fn check_names(&self) {
        for (node, _) in self.met.keys() {
            let lately = |gone: Option<Instant>| {
                gone.is_none_or(|gone| self.now - gone < Duration::from_secs(60))
            };
            let same = self.met.iter().filter(|((other, _), _)| other == node);
            let mut same = same.filter(|(_, (_, gone))| lately(*gone));
            let found = self.collector.name(self.now, *node);
            let (one, another) = (same.next(), same.next());
            let named = one.map(|(_, (name, _))| name);
            if self.met.len() <= NAMES {
                let alone = named.filter(|_| another.is_none());
                assert_eq!(found, alone, "the name of {node}");
            } else if let Some(found) = found {
                // There may have been no room for some.
                let known = self.met.values().any(|(name, _)| name == found);
                assert!(known, "nobody is called {found}");
            }
        }
    }

    fn end(&mut self) {
        for octet in 0..=5 {
            let peer = Arc::new(Peer {
                id: PeerId::from_bytes([octet; 16]),
                name: Text::default(),
                endpoint: Text::default(),
                headers: core::iter::empty::<(Text, LongText)>().collect(),
            });
            let reason = ExitReason::Left;
            self.logger
                .handle_event(self.now, &Event::Exit { peer, reason }, None);
        }
        self.act();
        assert!(self.connected.is_empty() && !self.logger.has_message());
        self.pass(Duration::from_secs(10));
        assert_eq!(self.logger.poll_timeout(), None);
        assert_eq!(NodeTag::of(""), NodeTag::NONE);
    }
}
