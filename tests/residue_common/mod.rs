//! Looks at all memory that is given back for secrets that were left in it.
#![allow(unsafe_code)] // a global allocator cannot be had without
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that is wrong may stop

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What is looked for.
pub(crate) struct Secret {
    pub(crate) name: &'static str,
    pub(crate) octets: Vec<u8>,
}

/// How many may be looked for at once.
const MOST: usize = 8;

thread_local! {
    /// Nothing, unless [`found`] has something done.
    static WANTED: Cell<&'static [Secret]> = const { Cell::new(&[]) };
    /// How often each was found, and in a block of how many octets at last.
    static FOUND: Cell<[(usize, usize); MOST]> = const { Cell::new([(0, 0); MOST]) };
}

struct Watching;

// SAFETY: every call is handed on to the system's allocator as it is; what is allocated is zeroed besides, so that all of it may be
// read when it is given back.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if let Ok(wanted @ [_, ..]) = WANTED.try_with(Cell::get) {
            // SAFETY: the block is the caller's until it is given back below, of this size, and was zeroed.
            let octets = unsafe { std::slice::from_raw_parts(memory, layout.size()) };
            look(wanted, octets);
        }
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Half of a secret is half too much.
fn look(wanted: &[Secret], octets: &[u8]) {
    let mut found = FOUND.get();
    for (secret, found) in wanted.iter().zip(&mut found) {
        let (one, other) = secret.octets.split_at(secret.octets.len() / 2);
        let has = |half: &[u8]| octets.windows(half.len()).any(|window| window == half);
        if has(one) || has(other) {
            *found = (found.0 + 1, octets.len());
        }
    }
    FOUND.set(found);
}

/// What is found of it in what this thread gives back while `work` is done.
pub(crate) fn found(wanted: &'static [Secret], work: impl FnOnce()) -> Vec<String> {
    assert!((1..=MOST).contains(&wanted.len()));
    FOUND.set([(0, 0); MOST]);
    WANTED.set(wanted);
    work();
    WANTED.set(&[]);
    let found = wanted.iter().zip(FOUND.get());
    found
        .filter(|(_, (times, _))| *times > 0)
        .map(|(secret, (times, size))| {
            format!("{}: {times} times, last in {size} octets", secret.name)
        })
        .collect()
}
