//! What a thread of the application said and is still held back, in whatever socket or node: it is sent when that thread begins to
//! wait for another one.
//!
//! A socket knows when somebody waits for itself. Who publishes on one and waits for the answers on another has nothing more to
//! say either, and what was held back for more to come would make the answers late by as much.

use std::cell::RefCell;
use std::sync::Weak;

/// What may hold something back.
pub(crate) trait Holder {
    /// Sends what is held back, unless somebody is at it just now.
    fn let_go(&self);
}

/// Beyond so many it is looked which of them are still there.
const MANY: usize = 16;

thread_local! {
    static HELD: RefCell<Vec<Weak<dyn Holder>>> = const { RefCell::new(Vec::new()) };
}

/// This one holds something back that this thread said.
#[inline]
pub(crate) fn note<H: Holder + 'static>(holder: &Weak<H>) {
    HELD.with_borrow_mut(|held| {
        let is_this =
            |other: &Weak<dyn Holder>| std::ptr::addr_eq(Weak::as_ptr(other), Weak::as_ptr(holder));
        // Mostly it is the only one.
        if !held.iter().any(is_this) {
            if held.len() >= MANY {
                held.retain(|other| other.strong_count() > 0);
            }
            held.push(Weak::clone(holder) as Weak<dyn Holder>);
        }
    });
}

/// Whether there may be any; without one, that is all it costs to wait.
#[inline]
pub(crate) fn is_any() -> bool {
    HELD.with_borrow(|held| !held.is_empty())
}

#[cfg(test)]
pub(crate) fn len() -> usize {
    HELD.with_borrow(Vec::len)
}

/// This thread has nothing more to say for now. To be called without any lock of a socket or node.
pub(crate) fn let_go() {
    // A holder may come to note itself anew: the list is not borrowed meanwhile.
    let held = HELD.take();
    for holder in held.iter().filter_map(Weak::upgrade) {
        holder.let_go();
    }
}
