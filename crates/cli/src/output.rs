//! What a command prints on stdout: words for people, or JSON for programs.

use std::io::{self, Write};
use std::time::Instant;

use atonce::zre::Event;
use serde::Serialize;

use crate::failure::Failure;
use crate::json::{Line, Stamped};
use crate::paint::{self, painted};
use crate::words;

/// Where lines go. Each is flushed, so that a program that reads them never waits for the next one.
pub(crate) struct Output {
    /// Whether JSON is written.
    json: bool,
    /// When the command began.
    started: Instant,
    /// Whether lines of words begin with the time.
    timed: bool,
    /// Stdout, without colours where they do not belong.
    sink: Box<dyn Write + Send>,
}

impl Output {
    /// To stdout.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            started: Instant::now(),
            timed: false,
            sink: if json {
                Box::new(io::stdout())
            } else {
                Box::new(anstream::stdout())
            },
        }
    }

    /// Lines of words begin with the seconds since the start.
    pub(crate) fn timed(mut self) -> Self {
        self.timed = true;
        self
    }

    /// Lines go to `sink` instead, which takes the colours off if it has to.
    pub(crate) fn into_sink(mut self, sink: Box<dyn Write + Send>) -> Self {
        self.sink = sink;
        self
    }

    /// Whether JSON is written.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// An event.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), Failure> {
        self.event_of(None, event)
    }

    /// An event of one of several nodes of this process.
    pub(crate) fn event_of(&mut self, node: Option<&str>, event: &Event) -> Result<(), Failure> {
        if self.json {
            return Line::of(event).map_or(Ok(()), |line| self.json_line(node, &line));
        }
        words::event(event).map_or(Ok(()), |words| {
            self.words(&match node {
                Some(node) => format!("{}: {words}", painted(paint::HEAD, node)),
                None => words,
            })
        })
    }

    /// A line of JSON, or the words for it.
    pub(crate) fn line(
        &mut self,
        line: &impl Serialize,
        words: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.json {
            self.json_line(None, line)
        } else {
            self.words(&words())
        }
    }

    /// A line of words; nothing where JSON is written.
    pub(crate) fn remark(&mut self, words: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.words(words) }
    }

    /// One line of JSON.
    fn json_line(&mut self, node: Option<&str>, line: &impl Serialize) -> Result<(), Failure> {
        let at = self.started.elapsed().as_millis();
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        let mut text = serde_json::to_vec(&Stamped { line, node, at }).map_err(io::Error::from)?;
        text.push(b'\n');
        self.write(&text)
    }

    /// One line of words.
    fn words(&mut self, words: &str) -> Result<(), Failure> {
        let text = if self.timed {
            let at = format!("{:8.3}", self.started.elapsed().as_secs_f64());
            format!("{} {words}\n", painted(paint::FAINT, &at))
        } else {
            format!("{words}\n")
        };
        self.write(text.as_bytes())
    }

    /// Writes and flushes.
    fn write(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.sink.write_all(text)?;
        self.sink.flush()?;
        Ok(())
    }
}
