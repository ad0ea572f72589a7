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
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<Shared>);

/// What the thread that takes signals shares with the others.
#[derive(Debug, Default)]
struct Shared {
    /// Whether a signal came.
    came: AtomicBool,
    /// What it stops.
    nodes: Mutex<Vec<Node>>,
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
        self.0
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(node.clone());
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
        let nodes = self
            .0
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        thread::spawn(move || nodes.iter().for_each(Node::stop));
    }
}
