//! The line editor of a terminal. What comes in while a line is typed is printed above it.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread;

use anstream::adapter::strip_str;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};

use super::Input;
use crate::failure::Failure;
use crate::terminal;

/// What stands before the line that is typed.
const PROMPT: &str = "> ";

/// A line editor that waits to be asked for a line.
pub(super) struct Lines {
    /// What prints above the line that is typed.
    pub(super) printer: Box<dyn Write + Send>,
    /// Asks for one line.
    pub(super) ask: Sender<()>,
}

/// Starts the editor. What it is asked for, it sends.
pub(super) fn start(to_loop: SyncSender<Input>) -> Result<Lines, Failure> {
    let broken = |error| Failure::failed(format!("the terminal cannot be used: {error}"));
    let config = Config::builder().auto_add_history(true).build();
    let mut editor = Editor::<(), _>::with_history(config, MemHistory::new()).map_err(broken)?;
    let printer = editor.create_external_printer().map_err(broken)?;
    let colours = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    let (ask, asked) = channel();
    terminal::remember();
    thread::spawn(move || read(&mut editor, &asked, &to_loop));
    Ok(Lines {
        printer: Box::new(Above { printer, colours }),
        ask,
    })
}

/// Reads a line whenever it is asked for one: there is no prompt behind a `/quit`.
fn read(editor: &mut Editor<(), MemHistory>, asked: &Receiver<()>, to_loop: &SyncSender<Input>) {
    while asked.recv().is_ok() {
        let input = loop {
            terminal::editing(true);
            let line = editor.readline(PROMPT);
            terminal::editing(false);
            match line {
                Ok(line) => break Input::Line(line),
                // The size of the window changed, or the process was stopped and goes on.
                Err(ReadlineError::Signal(_)) => {}
                Err(_) => break Input::End,
            }
        };
        if to_loop.send(input).is_err() {
            return;
        }
    }
}

/// Prints above the line that is typed. Every write must be whole lines.
struct Above<P> {
    /// The editor's printer.
    printer: P,
    /// Whether colours may be printed.
    colours: bool,
}

impl<P: ExternalPrinter> Write for Above<P> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let words = String::from_utf8_lossy(text);
        let words = if self.colours {
            words.into_owned()
        } else {
            strip_str(&words).to_string()
        };
        self.printer.print(words).map_err(io::Error::other)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<P> Drop for Above<P> {
    fn drop(&mut self) {
        terminal::restore();
    }
}
