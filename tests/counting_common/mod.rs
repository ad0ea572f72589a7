//! Counts what is allocated: a test that has this module has every allocation go through it.
#![allow(unsafe_code)] // a global allocator cannot be had without
#![allow(dead_code)] // no suite needs all of it

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use atonce::Bytes;

// Of this thread: other tests run beside it.
thread_local! {
    /// Allocations so far.
    pub(crate) static COUNT: Cell<usize> = const { Cell::new(0) };
    /// Their octets so far.
    pub(crate) static OCTETS: Cell<usize> = const { Cell::new(0) };
    /// Octets that are allocated now.
    pub(crate) static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The most that there were since this was set.
    pub(crate) static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn note(allocations: usize, more: usize, less: usize) {
    // Nothing is counted while the thread ends.
    let _ = COUNT.try_with(|count| count.set(count.get() + allocations));
    let _ = OCTETS.try_with(|sum| sum.set(sum.get() + more));
    let _ = LIVE.try_with(|live| {
        let now = live.get().wrapping_add_unsigned(more);
        let now = now.wrapping_sub_unsigned(less);
        live.set(now);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size(), 0);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        note(0, 0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// How many allocations of how many octets in all `work` made, and its result.
pub(crate) fn allocations<T>(work: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = (COUNT.get(), OCTETS.get());
    let result = work();
    (COUNT.get() - before.0, OCTETS.get() - before.1, result)
}

/// Shared memory, as it comes from a connection: the first clone of it is not counted here.
pub(crate) fn shared(octets: &[u8]) -> Bytes {
    let octets = Bytes::copy_from_slice(octets);
    drop(octets.clone());
    octets
}
