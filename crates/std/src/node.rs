//! A node for programs with threads.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use atonce::PeerId;
use atonce::endpoint::{Endpoint, InvalidEndpoint};
use atonce::wire::{Frames, Text, TooLong};
use atonce::zre::{Counters, Event, PeerView, SendError, Shouted};

use crate::driver::{Driver, Inbox, Poller};
use crate::{Builder, Options, PeerInfo, Start, StartError};

/// How much longer than [`Limits::linger`](atonce::zre::Limits::linger) a stop may take. The core keeps to its linger; this
/// is for a machine so busy that the node's thread has no turn.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// What is said when the node's own code panicked: everything it held is suspect.
const PANICKED: &str = "atonce: the node panicked earlier; this is a bug, please report it";

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
    shared: Arc<Shared>,
    id: PeerId,
    name: Text,
    linger: Duration,
}

/// What the handles and the thread share. Locks are taken in the order of the fields.
struct Shared {
    inbox: Mutex<Inbox>,
    core: Mutex<Core>,
    /// There is an event, or the thread ended.
    events: Condvar,
    /// Something was sent, so that a full queue may have room.
    room: Condvar,
    /// The thread ended.
    end: Condvar,
}

struct Core {
    driver: Driver,
    /// How many wait in `events`.
    receivers: usize,
    /// How many wait in `room`.
    senders: usize,
    /// The thread is gone.
    ended: bool,
    /// The thread panicked outside of this lock (within it, the lock is poisoned).
    panicked: bool,
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

    /// Says something to one peer. Never waits: when more is queued for the peer than the limits allow, it says
    /// [`Full`](SendError::Full) and has done nothing.
    pub fn whisper(&self, peer: PeerId, content: impl Into<Frames>) -> Result<(), SendError> {
        let content = content.into();
        self.command(|driver| driver.whisper(peer, content))
    }

    /// Like [`whisper`](Node::whisper), and waits for room as long as `timeout` when the peer's queue is full.
    pub fn whisper_timeout(
        &self,
        peer: PeerId,
        content: impl Into<Frames>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        let content = content.into();
        let end = Instant::now().checked_add(timeout);
        let shared = &self.0.shared;
        let mut core = shared.lock();
        loop {
            let result = core.driver.whisper(peer, content.clone());
            core.settle();
            if result != Err(SendError::Full) {
                return result;
            }
            let left = left_until(end);
            if left == Some(Duration::ZERO) {
                return result;
            }
            core.senders += 1;
            core = wait(&shared.room, core, left);
            core.senders -= 1;
            if core.ended {
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
        let group = group.try_into().map_err(too_long)?;
        let content = content.into();
        self.command(|driver| driver.shout(&group, content))
    }

    /// Contacts the node at `tcp://HOST:PORT`, again and again until it answers. A name is looked up.
    pub fn connect(&self, endpoint: impl AsRef<str>) -> Result<(), InvalidEndpoint> {
        let endpoint: Endpoint = endpoint.as_ref().parse()?;
        self.command(|driver| driver.connect(&endpoint));
        Ok(())
    }

    /// What happened next; waits for it. `None` when the node is stopped and everything was told.
    pub fn recv(&self) -> Option<Event> {
        self.0.shared.receive(None).ok()
    }

    /// What happened next, if anything did.
    pub fn try_recv(&self) -> Option<Event> {
        self.0.shared.receive(Some(Instant::now())).ok()
    }

    /// What happened next; waits for it as long as `timeout`. `None` when nothing did, or the node is stopped.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        let deadline = Instant::now().checked_add(timeout);
        self.0.shared.receive(deadline).ok()
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

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        *self.0.shared.lock().driver.stack().counters()
    }

    /// Says goodbye to all, sends what is queued as far as peers take it within the linger, closes everything, and returns
    /// when that is done. The events of it, [`Stopped`](Event::Stopped) last, can be received afterwards.
    pub fn stop(&self) {
        self.0.stop();
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

/// A name that no group can have: the length limit of the message's field is what stands in the way.
fn too_long(error: impl Into<TooLong>) -> SendError {
    let TooLong { limit, .. } = error.into();
    SendError::TooLarge { limit }
}

impl Start for Node {
    fn start(options: Options) -> Result<Self, StartError> {
        let linger = options.config.limits.linger;
        let (driver, poller) = Driver::new(options)?;
        let id = driver.stack().id();
        let name = driver.stack().name().clone();
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            core: Mutex::new(Core {
                driver,
                receivers: 0,
                senders: 0,
                ended: false,
                panicked: false,
            }),
            events: Condvar::new(),
            room: Condvar::new(),
            end: Condvar::new(),
        });
        let thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("atonce".to_owned())
            .spawn(move || thread.run(poller))
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
    fn stop(&self) {
        let end = Instant::now().checked_add(self.linger.saturating_add(STOP_MARGIN));
        let mut core = self.shared.lock();
        if !core.ended {
            core.driver.stop();
            core.settle();
            if core.driver.is_ended() {
                core.driver.wake();
            }
        }
        while !core.ended {
            let left = left_until(end);
            if left == Some(Duration::ZERO) {
                tracing::warn!(node = %self.id, "did not stop in time");
                return;
            }
            core = wait(&self.shared.end, core, left);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // After a panic the lock is of no use, and to panic again would end the process.
        if !self.shared.core.is_poisoned() {
            self.stop();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        checked(self.core.lock().ok())
    }

    /// The node's thread.
    fn run(&self, mut poller: Poller) {
        let _end = AtEnd(self);
        let mut timeout = Some(Duration::ZERO);
        loop {
            if let Err(error) = poller.wait(timeout) {
                tracing::error!(%error, "the node cannot wait for its sockets");
                return;
            }
            let mut core = self.lock();
            core.driver.turn(&mut poller);
            let event = core.receivers > 0 && core.driver.has_event();
            let room = core.senders > 0;
            if core.driver.is_ended() {
                return;
            }
            timeout = core.driver.sleep();
            // Whoever is woken wants the lock.
            drop(core);
            if event {
                self.events.notify_one();
            }
            if room {
                self.room.notify_all();
            }
        }
    }

    /// The next event, at the latest at `deadline`.
    fn receive(&self, deadline: Option<Instant>) -> Result<Event, NoEvent> {
        loop {
            let mut inbox = self.inbox.lock().expect(PANICKED);
            if let Some(event) = inbox.pop() {
                return Ok(event);
            }
            if inbox.is_over() {
                return Err(NoEvent);
            }
            let mut core = self.lock();
            inbox.fill(&mut core.driver);
            core.settle();
            if let Some(event) = inbox.pop() {
                // Another receiver may wait while there is more.
                let more = core.receivers > 0 && (!inbox.is_empty() || core.driver.has_event());
                drop((core, inbox));
                if more {
                    self.events.notify_one();
                }
                return Ok(event);
            }
            if core.ended {
                inbox.close();
                return Err(NoEvent);
            }
            drop(inbox); // others may look meanwhile
            let left = left_until(deadline);
            if left == Some(Duration::ZERO) {
                return Err(NoEvent);
            }
            core.receivers += 1;
            let mut core = wait(&self.events, core, left);
            core.receivers -= 1;
        }
    }
}

/// Nothing happened in time, or nothing will.
struct NoEvent;

impl Core {
    /// After whatever may have given the thread something to do.
    fn settle(&mut self) {
        if self.driver.wants_turn() {
            self.driver.wake();
        }
    }
}

/// Tells everybody that the thread ended, also when it panicked.
struct AtEnd<'a>(&'a Shared);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        let mut core = match self.0.core.lock() {
            Ok(core) => core,
            Err(poisoned) => poisoned.into_inner(), // only flags are touched
        };
        core.ended = true;
        core.panicked = thread::panicking();
        drop(core);
        self.0.events.notify_all();
        self.0.room.notify_all();
        self.0.end.notify_all();
    }
}

/// How long there is until then; `None` without an end.
fn left_until(end: Option<Instant>) -> Option<Duration> {
    end.map(|end| end.saturating_duration_since(Instant::now()))
}

fn wait<'a>(
    condition: &Condvar,
    core: MutexGuard<'a, Core>,
    left: Option<Duration>,
) -> MutexGuard<'a, Core> {
    checked(match left {
        Some(left) => condition.wait_timeout(core, left).ok().map(|woken| woken.0),
        None => condition.wait(core).ok(),
    })
}

/// A panic of the node's code is told to everybody who uses the node: nobody waits for what will not come.
fn checked(core: Option<MutexGuard<'_, Core>>) -> MutexGuard<'_, Core> {
    core.filter(|core| !core.panicked).expect(PANICKED)
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
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _core = node.0.shared.lock();
            panic!("as a bug would");
        }));
        assert!(panicked.is_err());
        node.0.shared.events.notify_all(); // as the thread does when it finds out
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
