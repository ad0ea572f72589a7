//! What std and libc would bring: an allocator, what happens at a panic, the first and the last instruction, and the
//! four functions of memory that the compiler calls by itself.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

const HEAP_OCTETS: usize = 8 << 20;

/// Hands memory out and never takes it back.
struct Heap {
    memory: UnsafeCell<[u8; HEAP_OCTETS]>,
    used: AtomicUsize,
}

// SAFETY: each octet of `memory` is handed out once, which `used` sees to.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap {
    memory: UnsafeCell::new([0; HEAP_OCTETS]),
    used: AtomicUsize::new(0),
};

// SAFETY: what is handed out lies within `memory`, is aligned and belongs to nobody else.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let memory = self.memory.get().cast::<u8>();
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let padding = memory.wrapping_add(used).align_offset(layout.align());
            let Some(end) = used
                .checked_add(padding)
                .and_then(|start| start.checked_add(layout.size()))
                .filter(|end| *end <= HEAP_OCTETS)
            else {
                return core::ptr::null_mut();
            };
            match self
                .used
                .compare_exchange(used, end, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return memory.wrapping_add(end - layout.size()),
                Err(now) => used = now,
            }
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}

/// Named in the tables of the libraries that come with the compiler; nothing calls them, since nothing unwinds.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(102)
}

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {main}",
    main = sym main,
);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "bl {main}", main = sym main);

extern "C" fn main() -> ! {
    exit(if crate::nodes_meet() { 0 } else { 1 })
}

fn exit(status: i32) -> ! {
    // SAFETY: the call `exit` of Linux takes a number and does not come back.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("syscall", in("rax") 60, in("rdi") status, options(noreturn));
        #[cfg(target_arch = "aarch64")]
        asm!("svc 0", in("x8") 93, in("x0") status, options(noreturn));
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, octets: usize) -> *mut u8 {
    for at in 0..octets {
        // SAFETY: the caller says that both have so many octets.
        unsafe { *to.wrapping_add(at) = *from.wrapping_add(at) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, octets: usize) -> *mut u8 {
    if to.cast_const() <= from {
        // SAFETY: as the caller says; forwards, nothing is overwritten before it is read.
        return unsafe { memcpy(to, from, octets) };
    }
    for at in (0..octets).rev() {
        // SAFETY: the caller says that both have so many octets.
        unsafe { *to.wrapping_add(at) = *from.wrapping_add(at) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, octet: i32, octets: usize) -> *mut u8 {
    for at in 0..octets {
        // SAFETY: the caller says that it has so many octets.
        unsafe { *to.wrapping_add(at) = octet as u8 };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, octets: usize) -> i32 {
    for at in 0..octets {
        // SAFETY: the caller says that both have so many octets.
        let (one, other) = unsafe { (*one.wrapping_add(at), *other.wrapping_add(at)) };
        if one != other {
            return i32::from(one) - i32::from(other);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, octets: usize) -> i32 {
    // SAFETY: the same promise.
    unsafe { memcmp(one, other, octets) }
}
