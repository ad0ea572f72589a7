//! Ctrl-C and SIGTERM.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use atonce_std::Node;

use crate::failure::Failure;
use crate::terminal;

/// What a signal does: the first stops the nodes, so that whoever waits for their events comes to an end in order; the second
/// ends the process.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<Shared>);

/// Stops something that runs, and returns when it is stopped.
type Stop = Arc<dyn Fn() + Send + Sync>;

/// What the thread that takes signals shares with the others.
#[derive(Default)]
struct Shared {
    /// Whether a signal came.
    came: AtomicBool,
    /// What it stops.
    stops: Mutex<Vec<Stop>>,
}

impl Interrupt {
    /// Takes signals from now on. Before this is called, a signal ends the process at once. Once in a process.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let interrupt = Self::default();
        let handler = interrupt.clone();
        ctrlc::set_handler(move || {
            if handler.0.came.swap(true, Ordering::SeqCst) {
                terminal::restore();
                process::exit(i32::from(Failure::INTERRUPTED));
            }
            handler.stop();
        })
        .map_err(|error| Failure::failed(format!("signals cannot be caught: {error}")))?;
        Ok(interrupt)
    }

    /// A signal stops this node, also one that came already.
    pub(crate) fn stops(&self, node: &Node) {
        let node = node.clone();
        self.does(move || node.stop());
    }

    /// A signal does this, also one that came already. It may take its time.
    pub(crate) fn does(&self, stop: impl Fn() + Send + Sync + 'static) {
        self.0
            .stops
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::new(stop));
        if self.came() {
            self.stop();
        }
    }

    /// Whether a signal came.
    pub(crate) fn came(&self) -> bool {
        self.0.came.load(Ordering::SeqCst)
    }

    /// Stops the nodes, on a thread of its own: a goodbye takes its time, and a second signal must be heard meanwhile.
    fn stop(&self) {
        let stops = self
            .0
            .stops
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        thread::spawn(move || stops.iter().for_each(|stop| stop()));
    }
}
