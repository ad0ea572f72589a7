//! What the handles of a node or a socket and its thread share, and who takes the turns.
//!
//! Somebody has to wait for the sockets and take a turn whenever one is ready. That is its own thread, or a thread of the
//! application that waits for an event, or for room in a queue: then the octets are read, and the event told, on the very thread
//! that wants it. To hand it over would cost two switches of threads for each message, several times of what the message itself
//! costs.
//!
//! ```text
//!              there is what the application waits for            it waits again
//!   ┌────────┐ ─────────────────────────────────────▶ ┌────────┐ ────────────────▶ ┌─────────────┐
//!   │ Thread │                                         │ Nobody │                   │ Application │
//!   └────────┘ ◀───────────────────────────────────── └────────┘ ◀──────────────── └─────────────┘
//!              nobody came for GRACE                              it has what it wanted
//! ```
//!
//! Nothing waits for the application: when it does not come back within [`GRACE`], the thread goes on without it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use atonce::Instant as Moment;
use slab::Slab;

use crate::driver::{Drive, Empty, Inbox, Poller};
use crate::held::{self, Holder};

/// What is said when the code of a node or a socket panicked: everything it held is suspect.
const PANICKED: &str = "atonce: its code panicked earlier; this is a bug, please report it";

/// How long the sockets may be left alone while the application has an event in hand and may come back for the next one.
/// Short beside every time limit of the protocol, long beside what most applications do with a message; and so long that to
/// look whether it is over costs nothing to speak of, also where there are hundreds of nodes.
const GRACE: Duration = Duration::from_millis(10);

/// How long the last messages of a stream may wait for more to come. A turn needs its thread to be woken.
const HOLD: Duration = Duration::from_millis(1);

/// The driver's clock counts whole microseconds, and so does what is added to it: what is waited for is not over before.
const ROUNDING: Duration = Duration::from_micros(2);

/// Locks are taken in the order of the fields.
pub(crate) struct Shared<D: Drive> {
    inbox: Mutex<Inbox<D>>,
    /// Held by whoever takes the turns, also while waiting.
    poller: Mutex<Poller>,
    core: Mutex<Core<D>>,
    /// There is an event, or somebody who waits for one shall take the turns, or all ended.
    events: Condvar,
    /// Something was sent, so that a full queue may have room; or all ended.
    room: Condvar,
    /// There is something to tell those who watch; or all ended.
    news: Condvar,
    /// All ended.
    end: Condvar,
    /// How many wait in `events`, for who has no lock. Changed under that of the core.
    waiting: AtomicUsize,
    /// For the thread, while it does not take the turns.
    bell: Bell,
    me: Weak<Self>,
}

pub(crate) struct Core<D> {
    pub(crate) driver: D,
    turns: Turns,
    /// When the last one was taken.
    turned: Moment,
    /// Changes whenever the application begins or ends to take the turns, or takes one.
    shift: u64,
    /// The thread sleeps until it is woken: the application takes the turns and has nothing to do itself.
    sleeps: bool,
    /// The thread looks before the grace is over, since something is held back.
    hurry: bool,
    /// How many wait in `events`.
    receivers: usize,
    /// How many wait in `room`.
    senders: usize,
    /// How many wait in `news`.
    monitors: usize,
    /// Who waits for this and others at once.
    watchers: Slab<Arc<Bell>>,
    /// Nobody takes turns any more.
    ended: bool,
    /// Its code panicked without this lock (with it, the lock is poisoned).
    panicked: bool,
}

/// Wakes a thread that need not have the lock for it.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().expect(PANICKED) = true;
        self.condition.notify_one();
    }

    /// Until it rings, or rang since the last time, or the time is over. Whether it rang.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut rung = self.rung.lock().expect(PANICKED);
        if !*rung {
            rung = match timeout {
                Some(timeout) => {
                    let woken = self.condition.wait_timeout(rung, timeout);
                    woken.expect(PANICKED).0
                }
                None => self.condition.wait(rung).expect(PANICKED),
            };
        }
        std::mem::take(&mut *rung)
    }
}

/// Who takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turns {
    Thread,
    Application,
    Nobody,
}

impl<D: Drive> Shared<D> {
    pub(crate) fn new(mut driver: D, poller: Poller) -> Arc<Self> {
        driver.hold_back(HOLD);
        Arc::new_cyclic(|me| Self {
            inbox: Mutex::default(),
            poller: Mutex::new(poller),
            core: Mutex::new(Core {
                driver,
                turns: Turns::Thread,
                turned: Moment::ZERO,
                shift: 0,
                sleeps: false,
                hurry: false,
                receivers: 0,
                senders: 0,
                monitors: 0,
                watchers: Slab::new(),
                ended: false,
                panicked: false,
            }),
            events: Condvar::new(),
            room: Condvar::new(),
            news: Condvar::new(),
            end: Condvar::new(),
            waiting: AtomicUsize::new(0),
            bell: Bell::default(),
            me: Weak::clone(me),
        })
    }

    /// # Panics
    ///
    /// When its code panicked: nobody is to wait for what will not come.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core<D>> {
        sound(self.core.lock().ok()).expect(PANICKED)
    }

    /// Unless its code panicked.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Core<D>>> {
        sound(self.core.lock().ok())
    }

    /// The thread.
    pub(crate) fn run(&self) {
        let _end = End {
            shared: self,
            always: true,
        };
        let mut timeout = Some(Duration::ZERO);
        loop {
            let until = |core: &Core<D>| {
                core.senders > 0 || (core.receivers > 0 && core.driver.has_event())
            };
            match self.take_turns(timeout, None, until) {
                Ok(core) if core.driver.is_ended() => return,
                Ok(mut core) => {
                    core.turns = Turns::Nobody;
                    drop(core); // whoever is woken wants it
                    self.events.notify_one();
                }
                Err(_) => return,
            }
            if !self.park() {
                return;
            }
            timeout = Some(Duration::ZERO);
        }
    }

    /// Waits until the thread is to take the turns; `false` when nobody is to take them any more.
    ///
    /// While the application comes and goes, it looks once in a while whether it still does; while it waits, not even that.
    fn park(&self) -> bool {
        let mut shift = None;
        let mut since = Instant::now();
        let mut pause = Some(GRACE);
        loop {
            let rang = self.bell.wait(pause);
            pause = Some(if rang { HOLD } else { GRACE });
            let now = Instant::now();
            // To wait for the lock would make everybody who gives it back wake this thread, message by message. Somebody has
            // it, so that the application is there. What it rang for is looked at soon: nobody rings for it again.
            let Some(mut core) = self.lock_if_free() else {
                since = now;
                continue;
            };
            pause = Some(GRACE);
            if core.ended {
                return false;
            }
            core.sleeps = false;
            if shift.replace(core.shift) != Some(core.shift) {
                since = now;
            }
            let quiet = now - since;
            let grace = match core.hurry {
                _ if core.is_watched() => Duration::ZERO,
                true => HOLD,
                false => GRACE,
            };
            core.hurry = false;
            match core.turns {
                Turns::Nobody if quiet >= grace => {
                    core.turns = Turns::Thread;
                    return true;
                }
                Turns::Nobody if core.driver.holds_back() => {
                    // Who goes on sending need not say anew that it holds something back.
                    core.hurry = true;
                    pause = Some(HOLD);
                }
                Turns::Application if quiet >= GRACE => {
                    core.sleeps = true;
                    pause = None;
                }
                Turns::Nobody | Turns::Application | Turns::Thread => {}
            }
        }
    }

    /// The lock, unless somebody has it.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    fn lock_if_free(&self) -> Option<MutexGuard<'_, Core<D>>> {
        match self.core.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            core => Some(sound(core.ok()).expect(PANICKED)),
        }
    }

    /// The lock, unless somebody has it or its code panicked.
    fn lock_if_free_and_sound(&self) -> Option<MutexGuard<'_, Core<D>>> {
        sound(self.core.try_lock().ok())
    }

    /// Takes turns `until` somebody has what they wait for, or all or the time ended.
    fn take_turns(
        &self,
        mut timeout: Option<Duration>,
        deadline: Option<Moment>,
        until: impl Fn(&Core<D>) -> bool,
    ) -> io::Result<MutexGuard<'_, Core<D>>> {
        let mut poller = self.poller.lock().expect(PANICKED);
        loop {
            poller.wait(timeout).inspect_err(|error| {
                tracing::error!(%error, "cannot wait for the sockets");
            })?;
            let mut core = self.lock();
            self.turn(&mut core, &mut poller);
            if core.driver.is_ended() || until(&core) {
                return Ok(core);
            }
            // The turn looked at the clock.
            let left = deadline.map(|end| end - core.driver.recent());
            if left == Some(Duration::ZERO) {
                return Ok(core);
            }
            timeout = sooner(core.driver.sleep(), left);
        }
    }

    fn turn(&self, core: &mut Core<D>, poller: &mut Poller) {
        core.driver.turn(poller);
        core.turned = core.driver.recent();
        if core.senders > 0 {
            self.room.notify_all();
        }
        if core.receivers > 0 && core.driver.has_event() {
            self.events.notify_one();
        }
        self.tell_watchers(core);
    }

    /// Something happened, perhaps what somebody watches for.
    #[inline]
    fn tell_watchers(&self, core: &Core<D>) {
        if core.monitors > 0 && core.driver.has_news() {
            self.news.notify_all();
        }
        for (_, bell) in &core.watchers {
            bell.ring();
        }
    }

    /// The next event; waits for it as long as `timeout`.
    pub(crate) fn receive(&self, timeout: Option<Duration>) -> Result<D::Item, Empty<D::Refusal>> {
        self.receive_unless(timeout, || false)
    }

    /// The same; it is [`Late`](Empty::Late) as well when it is `stopped`, which [`interrupt`](Self::interrupt) has it look at.
    pub(crate) fn receive_unless(
        &self,
        timeout: Option<Duration>,
        stopped: impl Fn() -> bool,
    ) -> Result<D::Item, Empty<D::Refusal>> {
        let mut deadline = None;
        let mut turned = false;
        loop {
            let mut inbox = self.inbox.lock().expect(PANICKED);
            if let Some(event) = inbox.pop() {
                // Whoever filled the inbox woke one of those who wait; that one wakes the next.
                if self.waiting.load(Ordering::Relaxed) > 0 && !inbox.is_empty() {
                    self.events.notify_one();
                }
                return Ok(event);
            }
            if inbox.is_over() {
                return Err(Empty::Over);
            }
            let mut core = self.lock();
            if core.driver.has_event() || D::REFUSES {
                // To look at the clock costs as much as a small part of the message does: a turn of our own just did.
                let now = if turned {
                    core.driver.recent()
                } else {
                    core.driver.now()
                };
                let filled = inbox.fill(&mut core.driver, now);
                if let Err(refusal) = filled {
                    self.settle(&mut core);
                    return Err(Empty::Refused(refusal));
                }
            }
            self.settle(&mut core);
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
                return Err(Empty::Over);
            }
            core.driver.flush();
            if core.driver.has_event() {
                // It came with a turn that was taken just now: the sockets will not report it again.
                continue;
            }
            drop(inbox); // others may look meanwhile
            // Who only looks may go on saying something.
            if timeout != Some(Duration::ZERO) && held::is_any() {
                drop(core);
                held::let_go();
                continue;
            }
            let left = match deadline {
                Some(end) => core.left_until(end),
                None => {
                    let end = core.after(timeout);
                    deadline = Some(end);
                    end.map(|end| end - core.driver.recent())
                }
            };
            if left == Some(Duration::ZERO) || stopped() {
                return Err(Empty::Late);
            }
            turned = core.turns == Turns::Nobody;
            if turned {
                self.drive(core, left, deadline.flatten(), |core| {
                    core.driver.has_event() || stopped()
                });
            } else {
                core.receivers += 1;
                self.waiting.fetch_add(1, Ordering::Relaxed);
                let mut core = wait(&self.events, core, left);
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                core.receivers -= 1;
            }
        }
    }

    /// Takes the turns on a thread of the application, `until` it has what it waits for, or until `deadline`, to which
    /// there is so much `left`.
    fn drive(
        &self,
        mut core: MutexGuard<'_, Core<D>>,
        left: Option<Duration>,
        deadline: Option<Moment>,
        until: impl Fn(&Core<D>) -> bool,
    ) {
        let mut end = End {
            shared: self,
            always: false,
        };
        core.turns = Turns::Application;
        core.shift += 1;
        let timeout = sooner(core.driver.sleep(), left);
        drop(core);
        match self.take_turns(timeout, deadline, until) {
            Ok(mut core) => {
                core.turns = Turns::Nobody;
                core.shift += 1;
                end.always = core.driver.is_ended();
                let (receivers, senders) = (core.receivers, core.senders);
                let thread_is_wanted = core.sleeps || core.is_watched();
                drop(core);
                if thread_is_wanted {
                    self.bell.ring();
                }
                // Another one that waits takes the next turn.
                if receivers > 0 {
                    self.events.notify_one();
                } else if senders > 0 {
                    self.room.notify_one();
                }
            }
            Err(_) => end.always = true,
        }
    }

    /// After whatever may have given the driver something to do.
    pub(crate) fn settle(&self, core: &mut Core<D>) {
        if core.turns != Turns::Nobody {
            if core.driver.wants_turn() {
                core.driver.wake();
            }
        } else if (core.driver.is_blocked() || core.driver.recent() - core.turned >= HOLD)
            && let Ok(mut poller) = self.poller.try_lock()
            && poller.wait(Some(Duration::ZERO)).is_ok()
        {
            // Who goes on sending looks after the sockets as well: the thread would be in the way.
            core.shift += 1;
            self.turn(core, &mut poller);
        } else if core.driver.holds_back() && !core.hurry {
            // Somebody will take the next turn in a moment, or else the thread.
            core.hurry = true;
            self.bell.ring();
        }
        if core.driver.holds_back() {
            held::note(&self.me);
        }
        self.tell_watchers(core);
    }

    /// Has the thread take the turns, if nobody does.
    fn call_thread(&self, core: &Core<D>) {
        if core.turns == Turns::Nobody {
            self.bell.ring();
        }
    }

    /// Waits until there may be something to tell somebody who watches, at the latest until `deadline`. Whoever takes the turns goes on:
    /// to be watched makes nothing slower.
    pub(crate) fn wait_for_news<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core<D>>,
        deadline: Option<Moment>,
    ) -> MutexGuard<'a, Core<D>> {
        core.monitors += 1;
        let left = core.left_until(deadline);
        core = wait(&self.news, core, left);
        core.monitors -= 1;
        core
    }

    /// From now on the bell is rung when anything happens, and the thread takes the turns, until this is dropped.
    pub(crate) fn watch(&self, bell: &Arc<Bell>) -> Watch<'_, D> {
        let mut core = self.lock();
        let key = core.watchers.insert(Arc::clone(bell));
        self.call_thread(&core);
        Watch { shared: self, key }
    }

    /// Has everybody who waits look again whether it is worth it.
    pub(crate) fn interrupt(&self) {
        if let Some(core) = self.try_lock() {
            core.driver.wake();
            self.events.notify_all();
            self.room.notify_all();
        }
    }

    /// Looks at what there is now. Whoever looks has nothing more to say for the moment.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Inbox<D>, &Core<D>) -> R) -> R {
        let inbox = self.inbox.lock().expect(PANICKED);
        let mut core = self.lock();
        core.driver.flush();
        self.settle(&mut core);
        look(&inbox, &core)
    }

    /// Waits for room in a queue, at the latest until `deadline`: there may be some now.
    pub(crate) fn wait_for_room<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core<D>>,
        deadline: Option<Moment>,
    ) -> MutexGuard<'a, Core<D>> {
        if core.driver.holds_back() {
            core.driver.flush();
            return core;
        }
        if held::is_any() {
            drop(core);
            held::let_go();
            return self.lock();
        }
        // No turn was taken since there was no room: what makes room is still to be reported.
        if core.turns == Turns::Nobody && !core.ended {
            let left = core.left_until(deadline);
            self.drive(core, left, deadline, |_| true);
            return self.lock();
        }
        self.settle(&mut core);
        core.senders += 1;
        let left = core.left_until(deadline);
        core = wait(&self.room, core, left);
        core.senders -= 1;
        core
    }

    /// Begins the end; the thread does the rest.
    pub(crate) fn begin_stop<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core<D>>,
    ) -> MutexGuard<'a, Core<D>> {
        if !core.ended {
            core.driver.stop();
            core.driver.wake();
            self.bell.ring();
            self.tell_watchers(&core);
        }
        core
    }

    /// Begins the end, and waits until all ended, at most until `deadline`. Whether it did.
    pub(crate) fn stop<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core<D>>,
        deadline: Option<Instant>,
    ) -> bool {
        core = self.begin_stop(core);
        while !core.ended {
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            if core.turns == Turns::Nobody {
                let until = core.after(left);
                self.drive(core, left, until, |_| false);
                core = self.lock();
            } else {
                core = wait(&self.end, core, left);
            }
        }
        true
    }
}

impl<D: Drive> Core<D> {
    /// Whether somebody waits for this and others at once, and takes no turns meanwhile.
    fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// When so much time has passed; `None`: never, and then the clock is not looked at.
    pub(crate) fn after(&self, timeout: Option<Duration>) -> Option<Moment> {
        let timeout = timeout?;
        let rounding = if timeout.is_zero() {
            Duration::ZERO
        } else {
            ROUNDING
        };
        Some(self.driver.now() + timeout + rounding)
    }

    /// How long there is until then; `None` without an end, and then the clock is not looked at.
    pub(crate) fn left_until(&self, end: Option<Moment>) -> Option<Duration> {
        let end = end?;
        Some(end - self.driver.now())
    }
}

impl<D: Drive> Holder for Shared<D> {
    fn let_go(&self) {
        if let Some(mut core) = self.lock_if_free_and_sound()
            && core.driver.holds_back()
        {
            core.driver.flush();
            self.settle(&mut core);
        }
    }
}

/// Tells everybody that nobody takes turns any more: `always`, or when the code panics.
struct End<'a, D: Drive> {
    shared: &'a Shared<D>,
    always: bool,
}

impl<D: Drive> Drop for End<'_, D> {
    fn drop(&mut self) {
        if !self.always && !thread::panicking() {
            return;
        }
        let mut core = match self.shared.core.lock() {
            Ok(core) => core,
            Err(poisoned) => poisoned.into_inner(), // only flags are touched
        };
        core.ended = true;
        core.panicked |= thread::panicking();
        let bells: Vec<_> = core
            .watchers
            .iter()
            .map(|(_, bell)| Arc::clone(bell))
            .collect();
        drop(core);
        let shared = self.shared;
        for condition in [&shared.events, &shared.room, &shared.news, &shared.end] {
            condition.notify_all();
        }
        for bell in bells {
            bell.ring();
        }
        self.shared.bell.ring();
    }
}

/// Somebody who is told when anything happens.
pub(crate) struct Watch<'a, D: Drive> {
    shared: &'a Shared<D>,
    key: usize,
}

impl<D: Drive> Drop for Watch<'_, D> {
    fn drop(&mut self) {
        if let Some(mut core) = self.shared.try_lock() {
            core.watchers.try_remove(self.key);
        }
    }
}

fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    [one, other].into_iter().flatten().min()
}

fn wait<'a, D>(
    condition: &Condvar,
    core: MutexGuard<'a, Core<D>>,
    left: Option<Duration>,
) -> MutexGuard<'a, Core<D>> {
    let core = match left {
        Some(left) => condition.wait_timeout(core, left).ok().map(|woken| woken.0),
        None => condition.wait(core).ok(),
    };
    sound(core).expect(PANICKED)
}

fn sound<D>(core: Option<MutexGuard<'_, Core<D>>>) -> Option<MutexGuard<'_, Core<D>>> {
    core.filter(|core| !core.panicked)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::Shared;
    use crate::driver::{Drive, Empty, SocketDriver};
    use crate::socket::{Kind, SocketBuilder};
    use crate::{Socket, held};

    /// A socket whose turns nobody takes but who calls.
    fn without_thread(kind: Kind, endpoint: &str) -> Arc<Shared<SocketDriver>> {
        let options = SocketBuilder::<Socket>::new(kind)
            .connect(endpoint)
            .options()
            .expect("an endpoint");
        let (driver, poller) = SocketDriver::new(options).expect("a socket");
        Shared::new(driver, poller)
    }

    /// Has something held back that was said just now.
    fn gather(shared: &Shared<SocketDriver>) {
        for _ in 0..100_000 {
            let mut core = shared.lock();
            core.driver.send(&"more".into()).expect("there is room");
            shared.settle(&mut core);
            if core.driver.held() > 0 {
                return;
            }
        }
        panic!("nothing is ever held back");
    }

    #[test]
    fn who_waits_for_one_socket_has_nothing_more_to_say_on_another() {
        let pull = Socket::new(Kind::Pull).expect("a socket");
        let endpoint = pull.bind("tcp://127.0.0.1:0").expect("a port");
        let push = without_thread(Kind::Push, &endpoint);
        let mut poller = push.poller.lock().expect("nobody has it");
        while push.lock().driver.socket().peers().next().is_none() {
            poller
                .wait(Some(Duration::from_millis(100)))
                .expect("it polls");
            push.lock().driver.turn(&mut poller);
        }
        drop(poller);
        let other = without_thread(Kind::Pull, &endpoint);

        gather(&push);
        // Whoever only looks leaves it as it is, and so does another thread.
        assert!(matches!(
            other.receive(Some(Duration::ZERO)),
            Err(Empty::Late)
        ));
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(!held::is_any());
                let late = other.receive(Some(Duration::from_millis(1)));
                assert!(matches!(late, Err(Empty::Late)));
            });
        });
        assert!(push.lock().driver.held() > 0);

        let late = other.receive(Some(Duration::from_millis(1)));
        assert!(matches!(late, Err(Empty::Late)));
        assert_eq!(push.lock().driver.held(), 0);
        assert!(!held::is_any());
    }

    #[test]
    fn of_many_sockets_that_are_gone_few_are_remembered() {
        let pull = Socket::new(Kind::Pull).expect("a socket");
        let endpoint = pull.bind("tcp://127.0.0.1:0").expect("a port");
        for _ in 0..100 {
            held::note(&without_thread(Kind::Push, &endpoint).me);
        }
        assert!(held::len() <= 17);
    }
}
