//! A task that does the I/O of something whose handles take turns with it under one lock: of a server or a bridge of @Once, an announcer
//! or a seeker.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use atonce_std::driver::Poller;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle as Runtime;

use crate::task::{Alarm, Waiters, look, register};

/// What is said when its own code panicked: everything it held is suspect.
const PANICKED: &str = "atonce: its task panicked earlier; this is a bug, please report it";

/// What the task needs of a driver. The verbs are those of the drivers, which tell about them.
pub(crate) trait Turn: Send + 'static {
    fn turn(&mut self, poller: &mut Poller);
    fn timeout(&self) -> Option<Duration>;
    /// Whether somebody who waits may find something after this turn.
    fn has_news(&self) -> bool;
    fn is_ended(&self) -> bool;
    fn stop(&mut self);
    fn abandon(&mut self);
}

/// All handles share it: its end is the end of what the task does.
pub(crate) struct Running<D: Turn>(Arc<Shared<D>>);

/// What the handles and the task share. The lock is never held across an `await`.
struct Shared<D: Turn>(Mutex<Core<D>>);

pub(crate) struct Core<D: Turn> {
    pub(crate) driver: D,
    /// Wakes the task.
    task: Option<Waker>,
    /// Who waits for something, or for the end.
    waiters: Waiters,
    /// The task is gone.
    ended: bool,
    /// It panicked outside of this lock (within it, the lock is poisoned).
    panicked: bool,
}

/// The future that is spawned.
struct Task<D: Turn> {
    shared: Arc<Shared<D>>,
    poller: AsyncFd<Poller>,
    alarm: Alarm,
}

impl<D: Turn> Running<D> {
    /// Spawns the task. To be called within this runtime, which has I/O and time enabled.
    pub(crate) fn start((driver, poller): (D, Poller), runtime: &Runtime) -> io::Result<Self> {
        let shared = Arc::new(Shared(Mutex::new(Core {
            driver,
            task: None,
            waiters: Waiters::default(),
            ended: false,
            panicked: false,
        })));
        runtime.spawn(Task {
            shared: Arc::clone(&shared),
            poller: register(poller)?,
            alarm: Alarm::new(),
        });
        Ok(Self(shared))
    }

    /// A panic of its code is told to everybody who uses it: nobody waits for what will not come.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core<D>> {
        self.0.try_lock_sound().expect(PANICKED)
    }

    /// Does something that may have something to send, another deadline or an event as its consequence.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut D) -> T) -> T {
        let mut core = self.lock();
        let done = act(&mut core.driver);
        core.wake_task();
        core.waiters.wake_all();
        done
    }

    /// The task does the rest. After a panic there is nothing to stop.
    fn begin_stop(&self) {
        if let Some(mut core) = self.0.try_lock_sound()
            && !core.ended
        {
            core.driver.stop();
            core.wake_task();
        }
    }

    /// Begins the end, and waits for it.
    pub(crate) async fn stop(&self) {
        self.begin_stop();
        self.wait(|_| None::<Infallible>).await;
    }

    /// What this finds, as soon as it finds something; `None` when the task is gone before. What it finds is given to nobody else,
    /// also when this is dropped.
    pub(crate) async fn wait<T>(&self, mut look: impl FnMut(&mut D) -> Option<T>) -> Option<T> {
        let mut place = Place::new(self);
        poll_fn(move |cx| place.poll(cx, &mut look)).await
    }
}

impl<D: Turn> Drop for Running<D> {
    fn drop(&mut self) {
        self.begin_stop();
    }
}

impl<D: Turn> Shared<D> {
    fn try_lock_sound(&self) -> Option<MutexGuard<'_, Core<D>>> {
        self.0.lock().ok().filter(|core| !core.panicked)
    }
}

impl<D: Turn> Core<D> {
    fn wake_task(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}

/// A place among those who wait; given back when it is dropped.
pub(crate) struct Place<'a, D: Turn> {
    running: &'a Running<D>,
    key: Option<usize>,
}

impl<'a, D: Turn> Place<'a, D> {
    pub(crate) const fn new(running: &'a Running<D>) -> Self {
        Self { running, key: None }
    }

    /// As [`Running::wait`], as polls go.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        look: impl FnOnce(&mut D) -> Option<T>,
    ) -> Poll<Option<T>> {
        let mut core = self.running.lock();
        let found = look(&mut core.driver);
        if found.is_none() && !core.ended {
            core.waiters.wait(&mut self.key, cx);
            return Poll::Pending;
        }
        Poll::Ready(found)
    }
}

impl<D: Turn> Drop for Place<'_, D> {
    fn drop(&mut self) {
        if self.key.is_some()
            && let Some(mut core) = self.running.0.try_lock_sound()
        {
            core.waiters.forget(self.key);
        }
    }
}

impl<D: Turn> Task<D> {
    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let looked = look(&mut self.poller, cx)?;
        let mut core = self.shared.try_lock_sound().expect(PANICKED);
        let same = core.task.as_ref();
        if !same.is_some_and(|waker| waker.will_wake(cx.waker())) {
            core.task = Some(cx.waker().clone());
        }
        core.driver.turn(self.poller.get_mut());
        if core.driver.has_news() {
            core.waiters.wake_all();
        }
        if core.driver.is_ended() {
            return Ok(Poll::Ready(()));
        }
        let timeout = core.driver.timeout();
        drop(core);
        // The task's readiness was given back above: ask to be woken for the next.
        let again = looked && self.poller.poll_read_ready(cx).is_ready();
        let due = match timeout {
            Some(Duration::ZERO) => true, // a timer would round it up
            Some(timeout) => self.alarm.set(timeout, cx),
            None => false,
        };
        if again || due {
            cx.waker().wake_by_ref(); // others on this thread have their turn before
        }
        Ok(Poll::Pending)
    }
}

impl<D: Turn> Future for Task<D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.turn(cx).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot wait for the sockets");
            Poll::Ready(())
        })
    }
}

impl<D: Turn> Drop for Task<D> {
    /// It ended, it panicked, or the runtime shuts down: everybody is told.
    fn drop(&mut self) {
        let mut core = match self.shared.0.lock() {
            Ok(core) => core,
            Err(poisoned) => poisoned.into_inner(), // only what is not the driver's is touched
        };
        if thread::panicking() {
            core.panicked = true;
        } else {
            core.driver.abandon();
        }
        core.ended = true;
        core.waiters.wake_all();
    }
}
