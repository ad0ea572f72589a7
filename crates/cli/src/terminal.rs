//! The terminal's own settings, which the line editor changes while a line is typed, and a live view as long as it is there.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(unix)]
use std::sync::OnceLock;

/// How the terminal was before a line editor had it.
#[cfg(unix)]
static BEFORE: OnceLock<rustix::termios::Termios> = OnceLock::new();

/// Whether a line is typed now.
static EDITING: AtomicBool = AtomicBool::new(false);

/// Whether a live view has the terminal.
static SCREEN: AtomicBool = AtomicBool::new(false);

/// Remembers how the terminal is.
pub(crate) fn remember() {
    #[cfg(unix)]
    if let Ok(settings) = rustix::termios::tcgetattr(io::stdin()) {
        let _ = BEFORE.set(settings);
    }
}

/// Takes note whether a line is typed now.
pub(crate) fn editing(now: bool) {
    EDITING.store(now, Ordering::SeqCst);
}

/// Takes note whether a live view has the terminal.
pub(crate) fn screen(now: bool) {
    SCREEN.store(now, Ordering::SeqCst);
}

/// Whether a live view has the terminal, so that nothing else is to be written on it.
pub(crate) fn is_screen() -> bool {
    SCREEN.load(Ordering::SeqCst)
}

/// Makes the terminal what it was: a process that ends while a line is typed must not leave it without echo, or in the middle
/// of that line; and one with a live view must not leave that behind.
pub(crate) fn restore() {
    if SCREEN.swap(false, Ordering::SeqCst) {
        // There is nothing else to do if the terminal is gone.
        let _ = ratatui::try_restore();
    }
    if !EDITING.swap(false, Ordering::SeqCst) {
        return;
    }
    // There is nothing else to do if the terminal is gone. The sequence ends the bracketing of what is pasted.
    let _ = io::stdout().write_all(b"\x1b[?2004l\r\n");
    let _ = io::stdout().flush();
    #[cfg(unix)]
    if let Some(settings) = BEFORE.get() {
        let _ = rustix::termios::tcsetattr(
            io::stdin(),
            rustix::termios::OptionalActions::Now,
            settings,
        );
    }
}
