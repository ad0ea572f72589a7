//! A node for asynchronous programs.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use atonce::PeerId;
use atonce::curve::PublicKey;
use atonce::wire::log::Level;
use atonce::wire::{Frames, Text, TooLong};
use atonce::zre::{Counters, Event, PeerView, SendError, Shouted, Usage};
use atonce_std::driver::Driver;
use atonce_std::{Builder, ConnectError, Contact, HubError, Options, PeerInfo, Start, StartError};
use futures_core::Stream;
use tokio::runtime::Handle as Runtime;
use tokio::task::coop;

use crate::task::{Shared, Task};

/// A node, running as a task of the runtime in which it was started.
///
/// A clone is another handle of the same node; when the last one is dropped the node says goodbye and the task ends, soon
/// afterwards. When the runtime shuts down first, the node is gone without a goodbye.
///
/// ```no_run
/// use atonce_tokio::{Event, Node};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::builder().name("alice").group("CHAT").start()?;
/// while let Some(event) = node.recv().await {
///     if let Event::Shout { peer, content, .. } = event {
///         println!("{}: {content:?}", peer.name);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Node(Arc<Handle>);

/// All clones share it; its end is the end of the node.
struct Handle {
    shared: Arc<Shared<Driver>>,
    id: PeerId,
    name: Text,
}

impl Node {
    /// A node that is still to be made. [`start`](Builder::start) must be called within a runtime.
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

    /// Like [`whisper`](Node::whisper), and waits for room when the peer's queue is full. Nothing is sent when it is
    /// dropped before it is done.
    pub async fn whisper_wait(
        &self,
        peer: PeerId,
        content: impl Into<Frames>,
    ) -> Result<(), SendError> {
        WhisperWait {
            node: self,
            key: None,
            peer,
            content: content.into(),
        }
        .await
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
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = atonce_tokio::Node::builder().name("alice").port(0).start()?;
    /// // Later, when it is known where one is:
    /// node.gossip_connect("tcp://hub.example.org:5680")?;
    /// # Ok(())
    /// # }
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

    /// What happened next. `None` when the node is stopped and everything was told. Dropped before it is done, it has
    /// taken nothing.
    pub async fn recv(&self) -> Option<Event> {
        let mut events = self.events();
        std::future::poll_fn(|cx| events.poll_event(cx)).await
    }

    /// What happened next, if anything did.
    pub fn try_recv(&self) -> Option<Event> {
        let shared = &self.0.shared;
        shared.next(&mut shared.inbox(), None).ok()
    }

    /// What happens, one after the other, until the node is stopped.
    pub fn events(&self) -> Events<'_> {
        Events {
            node: self,
            key: None,
        }
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

    /// Says goodbye to all, sends what is queued as far as peers take it within the linger, closes everything, and is
    /// done when that is. The events of it, [`Stopped`](Event::Stopped) last, can be received afterwards. The goodbye is
    /// said by the first poll; dropped before it is done, the node stops all the same.
    pub async fn stop(&self) {
        self.0.stop();
        Stop {
            node: self,
            key: None,
        }
        .await;
    }

    fn command<R>(&self, give: impl FnOnce(&mut Driver) -> R) -> R {
        let mut core = self.0.shared.lock();
        let result = give(&mut core.driver);
        core.settle();
        result
    }
}

fn collect<'a>(views: impl Iterator<Item = PeerView<'a>>) -> Vec<PeerInfo> {
    views.map(PeerInfo::from).collect()
}

impl Start for Node {
    fn start(options: Options) -> Result<Self, StartError> {
        let runtime = Runtime::try_current().map_err(|_| StartError::NoRuntime)?;
        let (driver, poller) = Driver::new(options)?;
        let id = driver.stack().id();
        let name = driver.stack().name().clone();
        let shared = Arc::new(Shared::new(driver));
        let task = Task::new(Arc::clone(&shared), poller).map_err(|source| StartError::System {
            what: "a place in the runtime",
            source,
        })?;
        runtime.spawn(task);
        Ok(Self(Arc::new(Handle { shared, id, name })))
    }
}

impl Handle {
    /// Begins it; the task does the rest.
    fn stop(&self) {
        // After a panic there is nothing to stop.
        if let Some(mut core) = self.shared.try_lock_sound()
            && !core.ended
        {
            core.driver.stop();
            core.wake_task();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What happens at a node, as a stream. See [`Node::events`].
pub struct Events<'a> {
    node: &'a Node,
    /// Its place among those who wait.
    key: Option<usize>,
}

impl Events<'_> {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let next = ready!(self.node.0.shared.poll_next(&mut self.key, cx));
        Poll::Ready(next.ok())
    }
}

impl Stream for Events<'_> {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_event(cx)
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        if self.key.is_some()
            && let Some(mut core) = self.node.0.shared.try_lock_sound()
        {
            core.receivers.forget(self.key);
        }
    }
}

impl fmt::Debug for Events<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(self.node).finish()
    }
}

struct WhisperWait<'a> {
    node: &'a Node,
    key: Option<usize>,
    peer: PeerId,
    content: Frames,
}

impl Future for WhisperWait<'_> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Else a sender that always finds room would never let the node's task run.
        let progress = ready!(coop::poll_proceed(cx));
        let this = self.get_mut();
        let mut core = this.node.0.shared.lock();
        let result = core.driver.whisper(this.peer, &this.content);
        core.settle();
        if result == Err(SendError::Full) && !core.ended {
            core.senders.wait(&mut this.key, cx);
            return Poll::Pending;
        }
        progress.made_progress();
        Poll::Ready(result)
    }
}

impl Drop for WhisperWait<'_> {
    fn drop(&mut self) {
        if self.key.is_some()
            && let Some(mut core) = self.node.0.shared.try_lock_sound()
        {
            core.senders.forget(self.key);
        }
    }
}

struct Stop<'a> {
    node: &'a Node,
    key: Option<usize>,
}

impl Future for Stop<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut core = this.node.0.shared.lock();
        if core.ended {
            return Poll::Ready(());
        }
        core.stoppers.wait(&mut this.key, cx);
        Poll::Pending
    }
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        if self.key.is_some()
            && let Some(mut core) = self.node.0.shared.try_lock_sound()
        {
            core.stoppers.forget(self.key);
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
