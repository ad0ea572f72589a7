//! A server: a REP that is bound, who announces it, and who answers there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atonce::autoconf::hello::{self, ServerAction, ServerEvent};
use atonce::autoconf::{Announcer, announcer};
use atonce::curve::KeyPair;
use atonce::socket::{self, Config, Endpoint, Host, Kind, RecvError, Security, SendError};
use atonce::wire::autoconf::{InvalidOffer, Offer, ServiceName};
use atonce::{Instant, Text};
use bytes::Bytes;

use super::Ways;
use crate::alarm::Alarm;
use crate::{NodeId, Nodes, Program};

/// How often the addresses of the host are looked at.
// AUTO-12
const RESCAN: Duration = Duration::from_secs(2);

/// What a [`Server`] is made of.
#[derive(Clone, Debug)]
pub struct ServerSetup {
    /// What it offers.
    pub service: ServiceName,
    /// The port of its REP, on all addresses of its host: 0, which is a free one.
    pub port: u16,
    /// What makes it secure: it is spoken to over CURVE, by whoever has any key. It is not.
    pub keys: Option<Arc<KeyPair>>,
    /// What else it says of itself: nothing.
    pub properties: Vec<(Text, Text)>,
    /// How it announces itself.
    pub announcer: announcer::Config,
    /// By which ways.
    pub ways: Ways,
}

impl ServerSetup {
    /// A server of this service, as usual.
    pub fn new(service: ServiceName) -> Self {
        Self {
            service,
            port: 0,
            keys: None,
            properties: Vec::new(),
            announcer: announcer::Config::default(),
            ways: Ways::default(),
        }
    }

    /// What it says of itself when it is there.
    fn offer(
        &self,
        endpoints: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Offer, InvalidOffer> {
        let mut offer = Offer::new(self.service.clone(), endpoints)?;
        if let Some(keys) = &self.keys {
            offer = offer.with_key(*keys.public().as_bytes())?;
        }
        for (name, value) in &self.properties {
            offer = offer.with_property(name.clone(), value.clone())?;
        }
        Ok(offer)
    }
}

/// A server that announces itself and answers hellos, as a program: [`Sim::start_program`](crate::Sim::start_program) starts it.
///
/// It is announced as soon as it is bound. When an address of its host changes it follows within 2 s. If it cannot be bound, or what it says of
/// itself is more than fits a datagram, it ends, and [`failure`](Self::failure) says why. [The module](super) has an example.
#[derive(Debug)]
pub struct Server {
    setup: ServerSetup,
    running: Option<Running>,
    announcer: Option<Announcer>,
    answers: hello::Server,
    told: Vec<(Instant, ServerEvent)>,
    failure: Option<String>,
    alarm: Alarm,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    udp: NodeId,
    rep: NodeId,
    rescan_at: Instant,
}

impl Server {
    /// One that is not started yet.
    pub fn new(setup: ServerSetup) -> Self {
        Self {
            setup,
            running: None,
            announcer: None,
            answers: hello::Server::new(),
            told: Vec::new(),
            failure: None,
            alarm: Alarm::default(),
        }
    }

    /// Who announces it, once it is bound.
    pub const fn announcer(&self) -> Option<&Announcer> {
        self.announcer.as_ref()
    }

    /// Where it is, as it is announced; nowhere before it is bound.
    pub fn endpoints(&self) -> &[SocketAddr] {
        let announcer = self.announcer.as_ref();
        announcer.map_or(&[], |announcer| announcer.offer().endpoints())
    }

    /// Who said hello, or what else was said, and when.
    pub fn told(&self) -> &[(Instant, ServerEvent)] {
        &self.told
    }

    /// What was answered so far, in numbers.
    pub const fn counters(&self) -> hello::ServerCounters {
        self.answers.counters()
    }

    /// Why it ended before it was announced, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Says goodbye, for a tenth of a second, and ends. Nothing happens when it has ended.
    pub fn stop(&mut self, nodes: &mut Nodes<'_>) {
        match &mut self.announcer {
            Some(announcer) => announcer.stop(nodes.now()),
            None => self.end(nodes),
        }
        self.pump(nodes);
    }

    fn fail(&mut self, nodes: &mut Nodes<'_>, why: String) {
        self.failure = Some(why);
        self.end(nodes);
    }

    fn end(&mut self, nodes: &mut Nodes<'_>) {
        if let Some(running) = self.running.take() {
            nodes.with_socket(running.rep, |rep| {
                rep.close();
            });
            nodes.close_udp(running.udp);
        }
    }

    /// What it says of itself where its host is now.
    // AUTO-14
    fn offer(&self, nodes: &Nodes<'_>, port: u16) -> Result<Offer, InvalidOffer> {
        let addresses = nodes.addresses().into_iter();
        let places = addresses.map(|address| SocketAddr::new(address, port));
        self.setup.offer(places.take(Offer::ENDPOINTS))
    }

    /// It is bound: it can be announced.
    // AUTO-20
    fn announce(&mut self, nodes: &mut Nodes<'_>, port: u16) {
        match self.offer(nodes, port) {
            Ok(offer) => {
                let seed = nodes.chance().seed();
                let config = self.setup.announcer.clone();
                self.announcer = Some(Announcer::new(nodes.now(), seed, offer, config));
            }
            Err(error) => self.fail(nodes, error.to_string()),
        }
    }

    /// Follows the addresses of its host.
    fn rescan(&mut self, nodes: &Nodes<'_>) {
        let now = nodes.now();
        let Some(port) = self.endpoints().first().map(SocketAddr::port) else {
            return;
        };
        if let (Ok(offer), Some(announcer)) = (self.offer(nodes, port), &mut self.announcer)
            && *announcer.offer() != offer
        {
            announcer.change(now, offer);
            announcer.refresh(now);
        }
    }

    /// Does what the machines want, until there is nothing more to do.
    fn pump(&mut self, nodes: &mut Nodes<'_>) {
        let now = nodes.now();
        if let Some(running) = &mut self.running
            && running.rescan_at <= now
        {
            running.rescan_at = now + RESCAN;
            self.rescan(nodes);
        }
        let Some(Running {
            udp,
            rep,
            rescan_at,
        }) = self.running
        else {
            return;
        };
        if let Some(announcer) = &mut self.announcer {
            announcer.handle_timeout(now);
            while let Some(datagram) = announcer.poll_datagram() {
                self.setup.ways.send(nodes, udp, &datagram);
            }
            if announcer.is_over() {
                return self.end(nodes);
            }
        }
        self.answers.handle_timeout(now);
        self.answer(nodes, rep);
        while let Some(event) = self.answers.poll_event() {
            self.told.push((now, event));
        }
        let said = self.announcer.as_ref().and_then(Announcer::poll_timeout);
        let reset = self.answers.poll_timeout();
        let due = [said.map(|(at, _)| at), reset.map(|(at, _)| at)];
        let due = due.into_iter().flatten().fold(rescan_at, Instant::min);
        self.alarm.arm(nodes, Some(due));
    }

    /// Receives requests and answers them, as long as there are any.
    // AUTO-51, AUTO-55
    fn answer(&mut self, nodes: &mut Nodes<'_>, rep: NodeId) {
        let now = nodes.now();
        let answers = &mut self.answers;
        nodes.with_socket(rep, |rep| {
            loop {
                while let Some(action) = answers.poll_action() {
                    match action {
                        ServerAction::Answer { message } => match rep.send(&message) {
                            // Who asked is gone: the next one can be received.
                            Ok(()) | Err(SendError::PeerLost | SendError::Closed) => {}
                            Err(_) => answers.handle_failed(now),
                        },
                        ServerAction::Reset => rep.reset(),
                        // An action that this crate does not know of: it is a part of the same workspace.
                        _ => debug_assert!(false, "{action:?}"),
                    }
                }
                if answers.poll_timeout().is_some() {
                    return; // it would fail again at once
                }
                match rep.recv() {
                    Ok(Some(request)) => answers.handle_request(now, &request),
                    Ok(None) | Err(RecvError::Closed) => return,
                    Err(_) => answers.handle_failed(now),
                }
            }
        });
    }
}

impl Program for Server {
    fn on_start(&mut self, nodes: &mut Nodes<'_>) {
        let security = match &self.setup.keys {
            None => Security::Null,
            Some(keys) => Security::CurveServer {
                keys: Arc::clone(keys),
            },
        };
        let config = Config {
            security,
            ..Config::default()
        };
        let rep = nodes.start_socket(Kind::Rep, config);
        let udp = self.setup.ways.open(nodes);
        let rescan_at = nodes.now() + RESCAN;
        self.running = Some(Running {
            udp,
            rep,
            rescan_at,
        });
        let endpoint = Endpoint::Tcp {
            host: Host::Any,
            port: self.setup.port,
        };
        let bound = nodes.with_socket(rep, |rep| rep.bind(&endpoint));
        if let Some(Err(error)) = bound {
            self.fail(nodes, error.to_string());
        }
        self.pump(nodes);
    }

    fn on_datagram(
        &mut self,
        nodes: &mut Nodes<'_>,
        _: NodeId,
        source: SocketAddr,
        datagram: Bytes,
    ) {
        if let Some(announcer) = &mut self.announcer {
            announcer.handle_datagram(nodes.now(), source, &datagram);
        }
        self.pump(nodes);
    }

    fn on_socket(&mut self, nodes: &mut Nodes<'_>, _: NodeId) {
        self.pump(nodes);
    }

    fn on_socket_event(&mut self, nodes: &mut Nodes<'_>, _: NodeId, event: socket::Event) {
        match event {
            socket::Event::Listening {
                endpoint: Endpoint::Tcp { port, .. },
                ..
            } if self.running.is_some() => self.announce(nodes, port),
            socket::Event::ListenFailed { detail, .. } => self.fail(nodes, detail.into()),
            _ => {}
        }
        self.pump(nodes);
    }

    fn on_timer(&mut self, nodes: &mut Nodes<'_>, token: u64) {
        if self.alarm.rings(token) {
            self.pump(nodes);
        }
    }
}
