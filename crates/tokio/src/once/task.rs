//! The task that does the I/O of all nodes, and what it shares with the handles.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use atonce_std::once::Event;
use atonce_std::once::driver::{Driver, Machine, Poller};
use tokio::io::unix::AsyncFd;

use crate::task::{Alarm, Waiters, look, register};

/// What is said when its own code panicked: everything it held is suspect.
const PANICKED: &str =
    "atonce: the task of the nodes panicked earlier; this is a bug, please report it";

/// What the handles and the task share. The lock is never held across an `await`.
pub(super) struct Shared<M: Machine>(Mutex<Core<M>>);

pub(super) struct Core<M: Machine> {
    pub(super) driver: Driver<M>,
    /// Wakes the task.
    task: Option<Waker>,
    /// Who waits for an event, or for the end.
    waiters: Waiters,
    /// The task is gone.
    ended: bool,
    /// It panicked outside of this lock (within it, the lock is poisoned).
    panicked: bool,
}

/// The future that is spawned.
pub(super) struct Task<M: Machine> {
    shared: Arc<Shared<M>>,
    poller: AsyncFd<Poller>,
    alarm: Alarm,
}

impl<M: Machine> Shared<M> {
    pub(super) fn new(driver: Driver<M>) -> Self {
        Self(Mutex::new(Core {
            driver,
            task: None,
            waiters: Waiters::default(),
            ended: false,
            panicked: false,
        }))
    }

    /// A panic of its code is told to everybody who uses it: nobody waits for what will not come.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core<M>> {
        self.try_lock_sound().expect(PANICKED)
    }

    fn try_lock_sound(&self) -> Option<MutexGuard<'_, Core<M>>> {
        self.0.lock().ok().filter(|core| !core.panicked)
    }

    /// The task does the rest. After a panic there is nothing to stop.
    pub(super) fn begin_stop(&self) {
        if let Some(mut core) = self.try_lock_sound()
            && !core.ended
        {
            core.driver.stop();
            if let Some(task) = &core.task {
                task.wake_by_ref();
            }
        }
    }

    pub(super) async fn receive(&self) -> Option<Event<M::Event>> {
        self.wait(|core| match core.driver.poll_event() {
            Some(event) => Poll::Ready(Some(event)),
            None if core.ended => Poll::Ready(None),
            None => Poll::Pending,
        })
        .await
    }

    pub(super) async fn ended(&self) {
        self.wait(|core| match core.ended {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    /// Waits until this finds something. What it finds is given to nobody else, also when this is dropped.
    async fn wait<T>(&self, mut look: impl FnMut(&mut Core<M>) -> Poll<T>) -> T {
        let mut place = Place {
            shared: self,
            key: None,
        };
        poll_fn(move |cx| {
            let mut core = self.lock();
            let found = look(&mut core);
            if found.is_pending() {
                core.waiters.wait(&mut place.key, cx);
            }
            found
        })
        .await
    }
}

/// A place among those who wait; given back when it is dropped.
struct Place<'a, M: Machine> {
    shared: &'a Shared<M>,
    key: Option<usize>,
}

impl<M: Machine> Drop for Place<'_, M> {
    fn drop(&mut self) {
        if self.key.is_some()
            && let Some(mut core) = self.shared.try_lock_sound()
        {
            core.waiters.forget(self.key);
        }
    }
}

impl<M: Machine> Task<M> {
    /// To be called within a runtime that has I/O and time enabled.
    pub(super) fn new(shared: Arc<Shared<M>>, poller: Poller) -> io::Result<Self> {
        Ok(Self {
            shared,
            poller: register(poller)?,
            alarm: Alarm::new(),
        })
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let looked = look(&mut self.poller, cx)?;
        let mut core = self.shared.lock();
        let same = core.task.as_ref();
        if !same.is_some_and(|waker| waker.will_wake(cx.waker())) {
            core.task = Some(cx.waker().clone());
        }
        core.driver.turn(self.poller.get_mut());
        if core.driver.has_event() {
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

impl<M: Machine> Future for Task<M> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.turn(cx).unwrap_or_else(|error| {
            tracing::error!(%error, "the nodes cannot wait for their sockets");
            Poll::Ready(())
        })
    }
}

impl<M: Machine> Drop for Task<M> {
    /// It ended, it panicked, or the runtime shuts down: everybody is told.
    fn drop(&mut self) {
        let mut core = match self.shared.0.lock() {
            Ok(core) => core,
            Err(poisoned) => poisoned.into_inner(), // only what is not the nodes' own code is touched
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
