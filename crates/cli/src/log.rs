//! What the program says about its own work: `-v`, on stderr.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::filter::LevelFilter;

use crate::terminal;

/// How many lines are kept for a live view.
const HELD: usize = 256;

/// What was said while a live view had the terminal.
static LINES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Starts the log. Without `-v` only warnings and errors are said.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let colours = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colours)
        .with_writer(|| Sink)
        .init();
}

/// Takes what was said while a live view had the terminal, without colours.
pub(crate) fn held() -> Vec<String> {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.drain(..).collect()
}

/// Stderr, or a live view, on which nothing else may be written. Each write is a line.
struct Sink;

impl Write for Sink {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if !terminal::is_screen() {
            return io::stderr().write(octets);
        }
        let line = String::from_utf8_lossy(octets);
        let line = anstream::adapter::strip_str(line.trim_end()).to_string();
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= HELD {
            lines.pop_front();
        }
        lines.push_back(crate::escape::escaped(&line));
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
