//! A node for programs with threads.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use atonce::PeerId;
use atonce::curve::PublicKey;
use atonce::wire::log::Level;
use atonce::wire::{Frames, Text, TooLong};
use atonce::zre::{Counters, Event, PeerView, SendError, Shouted, Usage};

use crate::driver::Driver;
use crate::shared::{Core, Shared};
use crate::{Builder, ConnectError, Contact, HubError, Options, PeerInfo, Start, StartError};

/// How much longer than [`Limits::linger`](atonce::zre::Limits::linger) a stop may take. The core keeps to its linger; this
/// is for a machine so busy that the node's thread has no turn.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// A node, running.
///
/// Every method can be called from any thread. A clone is another handle of the same node; when the last one is dropped the
/// node says goodbye, as by [`stop`](Node::stop).
///
/// ```no_run
/// use atonce_std::{Event, Node};
///
/// let node = Node::builder().name("alice").group("CHAT").start()?;
/// for event in node.events() {
///     match event {
///         Event::Join { peer, group } => {
///             println!("{} is in {group}", peer.name);
///             node.whisper(peer.id, "welcome")?;
///         }
///         Event::Shout { peer, content, .. } => println!("{}: {content:?}", peer.name),
///         _ => {}
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Node(Arc<Handle>);

/// All clones share it; its end is the end of the node.
struct Handle {
    shared: Arc<Shared<Driver>>,
    id: PeerId,
    name: Text,
    linger: Duration,
}

impl Node {
    /// A node that is still to be made.
    pub fn builder() -> Builder<Self> {
        Builder::default()
    }

    /// The node's identity.
    pub fn id(&self) -> PeerId {
        self.0.id
    }

    /// The node's public name.
    pub fn name(&self) -> &Text {
        &self.0.name
    }

    /// Where the node can be reached, as peers are told: an endpoint for each interface in use.
    pub fn endpoints(&self) -> Vec<String> {
        let core = self.0.shared.lock();
        let endpoints = core.driver.stack().endpoints();
        endpoints.map(|endpoint| endpoint.to_string()).collect()
    }

    /// Joins a group: what is shouted to it arrives, and peers are told.
    pub fn join(&self, group: impl TryInto<Text, Error: Into<TooLong>>) -> Result<(), TooLong> {
        let group = group.try_into().map_err(Into::into)?;
        self.command(|driver| driver.join(&group));
        Ok(())
    }

    /// Leaves a group.
    pub fn leave(&self, group: impl TryInto<Text, Error: Into<TooLong>>) -> Result<(), TooLong> {
        let group = group.try_into().map_err(Into::into)?;
        self.command(|driver| driver.leave(&group));
        Ok(())
    }

    /// Stands for leader of a group, now or once this node joins it, until [`withdraw`](Node::withdraw). Who leads is told by
    /// [`Event::Leader`]; of all that stand it is the one with the lowest UUID, as a rule.
    pub fn contest(&self, group: impl TryInto<Text, Error: Into<TooLong>>) -> Result<(), TooLong> {
        let group = group.try_into().map_err(Into::into)?;
        self.command(|driver| driver.contest(&group));
        Ok(())
    }

    /// Does not stand for leader of a group any more. If this node leads it, it does until another is elected.
    pub fn withdraw(&self, group: impl TryInto<Text, Error: Into<TooLong>>) -> Result<(), TooLong> {
        let group = group.try_into().map_err(Into::into)?;
        self.command(|driver| driver.withdraw(&group));
        Ok(())
    }

    /// Says something to one peer. Never waits: when more is queued for the peer than the limits allow, it says
    /// [`Full`](SendError::Full) and has done nothing.
    pub fn whisper(&self, peer: PeerId, content: impl Into<Frames>) -> Result<(), SendError> {
        let content = content.into();
        self.command(|driver| driver.whisper(peer, &content))
    }

    /// Like [`whisper`](Node::whisper), and waits for room as long as `timeout` when the peer's queue is full.
    pub fn whisper_timeout(
        &self,
        peer: PeerId,
        content: impl Into<Frames>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        let content = content.into();
        let shared = &self.0.shared;
        let mut core = shared.lock();
        let mut end = None;
        loop {
            let result = core.driver.whisper(peer, &content);
            let end = *end.get_or_insert_with(|| core.after(Some(timeout)));
            if result != Err(SendError::Full) || core.left_until(end) == Some(Duration::ZERO) {
                shared.settle(&mut core);
                return result;
            }
            core = shared.wait_for_room(core, end);
            if core.has_ended() {
                return Err(SendError::Stopped);
            }
        }
    }

    /// Says something to everybody in a group. Never waits: peers whose queues are full do not get it, and are
    /// counted. The group need not be joined.
    pub fn shout(
        &self,
        group: impl TryInto<Text, Error: Into<TooLong>>,
        content: impl Into<Frames>,
    ) -> Result<Shouted, SendError> {
        let group = group.try_into().map_err(Into::into)?;
        let content = content.into();
        self.command(|driver| driver.shout(&group, &content))
    }

    /// Says something to one member of a group, as a SHOUT that the others do not get. Never waits. Refused when the peer is not in
    /// the group, as far as it said.
    pub fn shout_to(
        &self,
        peer: PeerId,
        group: impl TryInto<Text, Error: Into<TooLong>>,
        content: impl Into<Frames>,
    ) -> Result<(), SendError> {
        let group = group.try_into().map_err(Into::into)?;
        let content = content.into();
        self.command(|driver| driver.shout_to(peer, &group, &content))
    }

    /// Asks a peer with a PING of ZRE, only to know how long its answer takes: [`PeerInfo::round_trip`] tells it when it is there.
    /// Never waits, and says nothing while such an answer is awaited.
    pub fn ping(&self, peer: PeerId) -> Result<(), SendError> {
        self.command(|driver| driver.ping(peer))
    }

    /// Says something to the collectors of log records, if the node [logs](Builder::log). Text beyond 255 octets is cut. Never waits.
    pub fn log(&self, level: Level, text: impl AsRef<str>) {
        self.command(|driver| driver.log(level, text.as_ref()));
    }

    /// Contacts the node at `tcp://HOST:PORT`, in a secure network at `tcp://HOST:PORT|KEY`, again and again until it answers. A name is looked up.
    pub fn connect(&self, endpoint: impl AsRef<str>) -> Result<(), ConnectError> {
        let contact = endpoint.as_ref().parse()?;
        self.command(|driver| driver.connect(&contact))
    }

    /// Forgets what [`connect`](Node::connect) or the [builder](Builder::peer) asked for: it is tried no more. A peer that is here
    /// stays; when it goes, it is not sought there.
    pub fn disconnect(&self, endpoint: impl AsRef<str>) -> Result<(), ConnectError> {
        let contact: Contact = endpoint.as_ref().parse()?;
        self.command(|driver| driver.disconnect(&contact.endpoint));
        Ok(())
    }

    /// Sends this node's beacon to one address, a UDP port on which another hears, again and again with growing pauses (1 s to
    /// 30 s), and quietly while the peer that it led to is here. Refused when the node does without beacons.
    pub fn beacon(&self, address: SocketAddr) -> Result<(), ConnectError> {
        self.command(|driver| driver.beacon(address))
    }

    /// Sends no more beacons to this address. Whoever was met there stays.
    pub fn unbeacon(&self, address: SocketAddr) {
        self.command(|driver| driver.unbeacon(address));
    }

    /// The UDP port on which the node hears beacons; `None` when it hears none, or cannot at the moment.
    pub fn beacon_port(&self) -> Option<u16> {
        self.0.shared.lock().driver.beacon_port()
    }

    /// Where others come for gossip, with the ports that the system chose; none when the node is no hub. See
    /// [`Builder::gossip_bind`].
    pub fn gossip_endpoints(&self) -> Vec<String> {
        let endpoints = self.command(Driver::gossip_endpoints);
        endpoints.iter().map(ToString::to_string).collect()
    }

    /// Goes to one more hub of gossip, `tcp://HOST:PORT`, in a secure network `tcp://HOST:PORT|KEY`, whether the node took part in gossip
    /// before or not. It is dialled until it answers; nothing happens when the node goes there already. See
    /// [`Builder::gossip_connect`].
    ///
    /// ```no_run
    /// let node = atonce_std::Node::builder().name("alice").port(0).start()?;
    /// // Later, when it is known where one is:
    /// node.gossip_connect("tcp://hub.example.org:5680")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn gossip_connect(&self, hub: impl AsRef<str>) -> Result<(), HubError> {
        self.command(|driver| driver.gossip_connect(hub.as_ref()))
    }

    /// Goes to the hub at this endpoint no more, whatever its key is. Peers that are here stay; others of whom only that hub told are sought
    /// for about a minute more. A node that leaves its last hub, and is none itself, takes its own tuple back there.
    pub fn gossip_disconnect(&self, hub: impl AsRef<str>) -> Result<(), HubError> {
        self.command(|driver| driver.gossip_disconnect(hub.as_ref()))
    }

    /// Says of a peer that it will not come back, as when its machine was taken away: its tuple ends here, the node does not look for it
    /// any more, and tells nobody of it, as a hub neither those who come later. Whether there was a tuple. Nothing happens when the
    /// peer is here, whose own word counts more, nor to the node's own tuple. A peer that comes back after all publishes anew. Hubs of
    /// ours forget who is not found within a minute by themselves.
    pub fn gossip_unpublish(&self, peer: PeerId) -> bool {
        self.command(|driver| driver.gossip_unpublish(peer))
    }

    /// What gossip says of who is where: UUIDs and endpoints, those of peers that are here or not, and our own, in the order of the
    /// UUIDs.
    pub fn tuples(&self) -> Vec<(String, String)> {
        let tuples = self.command(Driver::tuples);
        let tuples = tuples.iter();
        tuples
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    /// Tells the node of another whose mailbox is at this address, as if its beacon had been heard: in a secure network with its
    /// key. It is tried a few times, and forgotten when nobody answers.
    pub fn introduce(&self, peer: PeerId, address: SocketAddr, key: Option<PublicKey>) {
        self.command(|driver| driver.introduce(peer, address, key));
    }

    /// What happened next; waits for it. `None` when the node is stopped and everything was told.
    pub fn recv(&self) -> Option<Event> {
        self.0.shared.receive(None).ok()
    }

    /// What happened next, if anything did.
    pub fn try_recv(&self) -> Option<Event> {
        self.0.shared.receive(Some(Duration::ZERO)).ok()
    }

    /// What happened next; waits for it as long as `timeout`. `None` when nothing did in all that time, or the node is stopped.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.0.shared.receive(Some(timeout)).ok()
    }

    /// What happens, one after the other, until the node is stopped.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }

    /// The peers that are here.
    pub fn peers(&self) -> Vec<PeerInfo> {
        let core = self.0.shared.lock();
        collect(core.driver.stack().peers())
    }

    /// The peer of this identity, if it is here.
    pub fn peer(&self, peer: PeerId) -> Option<PeerInfo> {
        let core = self.0.shared.lock();
        core.driver.stack().peer(peer).map(PeerInfo::from)
    }

    /// The peers of this name. Names need not be unique.
    pub fn peers_by_name(&self, name: &str) -> Vec<PeerInfo> {
        let core = self.0.shared.lock();
        collect(core.driver.stack().peers_by_name(name))
    }

    /// The peers in this group.
    pub fn peers_in(&self, group: impl AsRef<[u8]>) -> Vec<PeerInfo> {
        let core = self.0.shared.lock();
        collect(core.driver.stack().peers_in(group.as_ref()))
    }

    /// The peers that have this header with this value.
    pub fn peers_by_header(&self, name: &str, value: &str) -> Vec<PeerInfo> {
        let core = self.0.shared.lock();
        collect(core.driver.stack().peers_by_header(name, value))
    }

    /// The groups that this node is in, sorted.
    pub fn groups(&self) -> Vec<Text> {
        let core = self.0.shared.lock();
        core.driver.stack().groups().cloned().collect()
    }

    /// Who leads a group that this node is in, as far as it knows: a peer that is here, or the node itself.
    pub fn leader(&self, group: impl AsRef<[u8]>) -> Option<PeerId> {
        self.0.shared.lock().driver.stack().leader(group.as_ref())
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        *self.0.shared.lock().driver.stack().counters()
    }

    /// What the node holds now, each within its limit. Takes time in proportion to its links.
    pub fn usage(&self) -> Usage {
        self.0.shared.lock().driver.stack().usage()
    }

    /// Says goodbye to all, sends what is queued as far as peers take it within the linger, closes everything, and returns
    /// when that is done. The events of it, [`Stopped`](Event::Stopped) last, can be received afterwards.
    pub fn stop(&self) {
        let core = self.0.shared.lock();
        self.0.stop(core);
    }

    fn command<R>(&self, give: impl FnOnce(&mut Driver) -> R) -> R {
        let mut core = self.0.shared.lock();
        let result = give(&mut core.driver);
        self.0.shared.settle(&mut core);
        result
    }
}

fn collect<'a>(views: impl Iterator<Item = PeerView<'a>>) -> Vec<PeerInfo> {
    views.map(PeerInfo::from).collect()
}

impl Start for Node {
    fn start(options: Options) -> Result<Self, StartError> {
        let linger = options.config.limits.linger;
        let (driver, poller) = Driver::new(options)?;
        let id = driver.stack().id();
        let name = driver.stack().name().clone();
        let shared = Shared::new(driver, poller);
        let thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("atonce".to_owned())
            .spawn(move || thread.run())
            .map_err(|source| StartError::System {
                what: "a thread",
                source,
            })?;
        Ok(Self(Arc::new(Handle {
            shared,
            id,
            name,
            linger,
        })))
    }
}

impl Handle {
    fn stop(&self, core: MutexGuard<'_, Core<Driver>>) {
        let deadline = Instant::now().checked_add(self.linger.saturating_add(STOP_MARGIN));
        if !self.shared.stop(core, deadline) {
            tracing::warn!(node = %self.id, "did not stop in time");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // After a panic of the node there is nothing to stop, and during one of the application it is not waited for.
        if let Some(mut core) = self.shared.try_lock() {
            if thread::panicking() {
                core.driver.stop();
                core.driver.wake();
            } else {
                self.stop(core);
            }
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.0.id)
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

/// What happens at a node; waits for each. See [`Node::events`].
#[derive(Clone, Debug)]
pub struct Events<'a>(&'a Node);

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0.recv()
    }
}

impl<'a> IntoIterator for &'a Node {
    type Item = Event;
    type IntoIter = Events<'a>;

    fn into_iter(self) -> Events<'a> {
        self.events()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_panic_of_the_nodes_code_is_told_to_whoever_waits() {
        let node = Node::builder().interface("lo").port(0).start().unwrap();
        while node.try_recv().is_some() {}
        let waiting = {
            let node = node.clone();
            thread::spawn(move || node.recv())
        };
        thread::sleep(Duration::from_millis(20));
        // The node's thread finds out at its next turn.
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _core = node.0.shared.lock();
            panic!("as a bug would");
        }));
        assert!(panicked.is_err());
        assert!(waiting.join().is_err());
        for use_it in [
            |node: &Node| node.peers().len(),
            |node: &Node| usize::from(node.recv().is_some()),
        ] {
            let used = catch_unwind(AssertUnwindSafe(|| use_it(&node)));
            let message = *used.unwrap_err().downcast::<String>().unwrap();
            assert!(message.contains("this is a bug"), "{message}");
        }
        drop(node); // does not panic again, and does not wait
    }
}
