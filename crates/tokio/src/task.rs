//! The task that does the I/O of a node or a socket, and what it shares with the handles.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use std::thread;
use std::time::Duration;

use atonce_std::driver::{Drive, Empty, Inbox, Poller};
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::coop;
use tokio::time::{Instant, Sleep};

/// What is said when the code of a node or a socket panicked: everything it held is suspect.
const PANICKED: &str = "atonce: its code panicked earlier; this is a bug, please report it";

/// How much too early a timer may fire. Setting it anew at each turn would cost more than the turn that is in vain.
const TIMER_SLACK: Duration = Duration::from_millis(1);

/// How long the last messages of a stream may wait for more to come, where a turn needs the task to be woken on another
/// thread. As long as a timer of the runtime takes at least. A runtime of one thread needs no timer for it: there the task comes after
/// whoever says something, and sends when it comes the second time and nothing was said in between.
const HOLD: Duration = Duration::from_millis(1);

/// The longest sleep: who is without a deadline has nothing against looking around once a day.
const MAX_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// What the handles and the task share. Locks are taken in the order of the fields, and never across an `await`.
pub(crate) struct Shared<D: Drive> {
    inbox: Mutex<Inbox<D>>,
    core: Mutex<Core<D>>,
}

pub(crate) struct Core<D> {
    pub(crate) driver: D,
    /// Wakes the task.
    task: Option<Waker>,
    /// Everything is on one thread: to wake the task costs next to nothing, and it does not run while somebody says something.
    one_thread: bool,
    /// The task was woken for what is held back, and did not come yet.
    called: bool,
    /// How many messages were held back when it came the last time.
    held: usize,
    /// Who waits for an event.
    pub(crate) receivers: Waiters,
    /// Who waits for room in a queue.
    pub(crate) senders: Waiters,
    /// Who waits for the end.
    pub(crate) stoppers: Waiters,
    /// Who waits for something to be told that is nothing to take.
    pub(crate) watchers: Waiters,
    /// The task is gone.
    pub(crate) ended: bool,
    /// The task panicked outside of this lock (within it, the lock is poisoned).
    panicked: bool,
}

/// Futures that wait for the same thing. Each has a place of its own, so that it can be forgotten when it is dropped.
#[derive(Default)]
pub(crate) struct Waiters(Slab<Option<Waker>>);

/// The future that is spawned.
pub(crate) struct Task<D: Drive> {
    shared: Arc<Shared<D>>,
    poller: AsyncFd<Poller>,
    alarm: Alarm,
}

/// Wakes a task in time.
pub(crate) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    pub(crate) fn new() -> Self {
        Self(Box::pin(tokio::time::sleep(Duration::ZERO)))
    }

    /// Waits until then. `true` when it is time already.
    pub(crate) fn set(&mut self, timeout: Duration, cx: &mut Context<'_>) -> bool {
        let at = Instant::now() + timeout.min(MAX_SLEEP);
        let before = self.0.deadline();
        if before > at || at - before > TIMER_SLACK || self.0.is_elapsed() {
            self.0.as_mut().reset(at);
        }
        self.0.as_mut().poll(cx).is_ready()
    }
}

/// Whether the runtime has one thread.
fn is_of_one_thread() -> bool {
    let runtime = Handle::try_current();
    runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread)
}

/// Has the runtime wait for a poller. To be called within a runtime that has I/O enabled.
pub(crate) fn register(poller: Poller) -> io::Result<AsyncFd<Poller>> {
    // The poller owns its descriptor and never changes it, which is what the successor of this has its caller promise with
    // `unsafe`. Not `expect`: with the oldest tokio that will do it is not deprecated.
    #[allow(
        deprecated,
        reason = "its successor is unsafe, and newer than the tokio that we ask for"
    )]
    AsyncFd::with_interest(poller, Interest::READABLE)
}

/// Takes what the poller has, without waiting. `true`: it had something, or could not be asked for lack of budget.
pub(crate) fn look(poller: &mut AsyncFd<Poller>, cx: &mut Context<'_>) -> io::Result<bool> {
    let Poll::Ready(guard) = poller.poll_read_ready_mut(cx) else {
        return Ok(false);
    };
    let mut guard = guard?;
    let poller = guard.get_inner_mut();
    poller.wait(Some(Duration::ZERO))?;
    // The runtime reports the poller's descriptor once per change, so the readiness is given back only when
    // everything was taken. What comes between the taking and the giving back is a new change, and giving back the
    // old one does not touch it. On Linux a change is each new event; where that is not as certain, only a look that
    // finds nothing will do.
    if if cfg!(target_os = "linux") {
        poller.took_all()
    } else {
        poller.is_idle()
    } {
        guard.clear_ready();
    }
    Ok(true)
}

impl Waiters {
    /// Waits (again) with this waker. The key is kept for the next time and for [`forget`](Waiters::forget).
    pub(crate) fn wait(&mut self, key: &mut Option<usize>, cx: &Context<'_>) {
        let key = *key.get_or_insert_with(|| self.0.insert(None));
        if let Some(place) = self.0.get_mut(key)
            && !place
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *place = Some(cx.waker().clone());
        }
    }

    pub(crate) fn forget(&mut self, key: Option<usize>) {
        if let Some(key) = key {
            self.0.try_remove(key);
        }
    }

    fn is_waited_for(&self) -> bool {
        self.0.iter().any(|(_, waker)| waker.is_some())
    }

    pub(crate) fn wake_all(&mut self) {
        for (_, waker) in &mut self.0 {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

impl<D: Drive> Shared<D> {
    pub(crate) fn new(mut driver: D) -> Self {
        driver.hold_back(HOLD);
        Self {
            inbox: Mutex::default(),
            core: Mutex::new(Core {
                driver,
                task: None,
                one_thread: is_of_one_thread(),
                called: false,
                held: 0,
                receivers: Waiters::default(),
                senders: Waiters::default(),
                stoppers: Waiters::default(),
                watchers: Waiters::default(),
                ended: false,
                panicked: false,
            }),
        }
    }

    /// A panic of its code is told to everybody who uses it: nobody waits for what will not come.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core<D>> {
        let core = self.core.lock().ok();
        core.filter(|core| !core.panicked).expect(PANICKED)
    }

    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox<D>> {
        self.inbox.lock().expect(PANICKED)
    }

    /// Unless its code panicked.
    pub(crate) fn try_lock_sound(&self) -> Option<MutexGuard<'_, Core<D>>> {
        self.core.lock().ok().filter(|core| !core.panicked)
    }
}

impl<D: Drive> Shared<D> {
    /// Takes the next item, or else, if somebody waits for it, has them woken when there is one.
    pub(crate) fn next(
        &self,
        inbox: &mut Inbox<D>,
        waits: Option<(&mut Option<usize>, &Context<'_>)>,
    ) -> Result<D::Item, Empty<D::Refusal>> {
        if let Some(item) = inbox.pop() {
            return Ok(item);
        }
        if inbox.is_over() {
            return Err(Empty::Over);
        }
        let mut core = self.lock();
        let mut filled = core.fill(inbox);
        if inbox.is_empty() && waits.is_some() && filled.is_ok() {
            core.driver.flush();
            filled = core.fill(inbox); // it may have found that somebody is gone
        }
        core.settle();
        if let Some(item) = inbox.pop() {
            return Ok(item);
        }
        if core.ended {
            inbox.close();
            return Err(Empty::Over);
        }
        filled.map_err(Empty::Refused)?;
        if let Some((key, cx)) = waits {
            core.receivers.wait(key, cx);
        }
        Err(Empty::Late)
    }

    /// The same for a stream or a future of one, whose place among those who wait is `key`; as polls go.
    pub(crate) fn poll_next(
        &self,
        key: &mut Option<usize>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<D::Item, Empty<D::Refusal>>> {
        // Else a receiver that always finds something would never let the task run. What was taken already is cheap.
        let mut inbox = self.inbox();
        if inbox.is_cheap()
            && let Some(item) = inbox.pop()
        {
            return Poll::Ready(Ok(item));
        }
        let progress = ready!(coop::poll_proceed(cx));
        let next = self.next(&mut inbox, Some((key, cx)));
        if matches!(next, Err(Empty::Late)) {
            return Poll::Pending;
        }
        progress.made_progress();
        Poll::Ready(next)
    }
}

impl<D: Drive> Core<D> {
    /// After whatever may have given the task something to do.
    pub(crate) fn settle(&mut self) {
        let holds_back = self.one_thread && !self.called && self.driver.holds_back();
        if self.driver.wants_turn() || holds_back {
            self.called |= holds_back;
            self.wake_task();
        }
        self.tell_watchers();
    }

    fn tell_watchers(&mut self) {
        if self.watchers.is_waited_for() && self.driver.has_news() {
            self.watchers.wake_all();
        }
    }

    /// Takes some of what there is to take.
    fn fill(&mut self, inbox: &mut Inbox<D>) -> Result<(), D::Refusal> {
        if !self.driver.has_event() && !D::REFUSES {
            return Ok(());
        }
        let now = self.driver.now();
        inbox.fill(&mut self.driver, now)
    }

    pub(crate) fn wake_task(&mut self) {
        if let Some(waker) = &self.task {
            waker.wake_by_ref();
        }
    }

    /// Sends what is held back when nobody said anything since the last turn. Others on this thread have theirs between two.
    fn let_go(&mut self) {
        if !self.one_thread {
            return;
        }
        if self.driver.holds_back() && self.driver.held() == self.held {
            self.driver.flush();
        }
        self.called = self.driver.holds_back();
        self.held = self.driver.held();
    }

    fn end(&mut self) {
        self.ended = true;
        self.receivers.wake_all();
        self.senders.wake_all();
        self.stoppers.wake_all();
        self.watchers.wake_all();
    }
}

impl<D: Drive> Task<D> {
    /// To be called within a runtime that has I/O and time enabled.
    pub(crate) fn new(shared: Arc<Shared<D>>, poller: Poller) -> io::Result<Self> {
        Ok(Self {
            shared,
            poller: register(poller)?,
            alarm: Alarm::new(),
        })
    }

    /// One turn.
    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let looked = look(&mut self.poller, cx)?;
        let mut core = self.shared.lock();
        if !core
            .task
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            core.task = Some(cx.waker().clone());
        }
        core.driver.turn(self.poller.get_mut());
        core.let_go();
        if core.receivers.is_waited_for() && core.driver.has_event() {
            core.receivers.wake_all();
        }
        core.senders.wake_all();
        core.tell_watchers();
        if core.driver.is_ended() {
            return Ok(Poll::Ready(()));
        }
        let timeout = core.driver.sleep();
        let called = core.called;
        drop(core);
        // The task's readiness was given back above: ask to be woken for the next.
        let again = looked && self.poller.poll_read_ready(cx).is_ready();
        let due = match timeout {
            Some(Duration::ZERO) => true, // a timer would round it up
            Some(timeout) => self.alarm.set(timeout, cx),
            None => false,
        };
        if again || due || called {
            cx.waker().wake_by_ref(); // others on this thread have their turn before
        }
        Ok(Poll::Pending)
    }
}

impl<D: Drive> Future for Task<D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.turn(cx).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot wait for the sockets");
            Poll::Ready(())
        })
    }
}

impl<D: Drive> Drop for Task<D> {
    /// All ended, it panicked, or the runtime shuts down: everybody is told.
    fn drop(&mut self) {
        let mut core = match self.shared.core.lock() {
            Ok(core) => core,
            Err(poisoned) => poisoned.into_inner(), // only what is not the driver's is touched
        };
        if thread::panicking() {
            core.panicked = true;
        } else {
            core.driver.abandon();
        }
        core.end();
    }
}
