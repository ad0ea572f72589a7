//! A running `atonce`, its input and its output.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long anything may take. A machine that is busy with other tests is slow; none of this takes a second on an idle one.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module. It is killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Its output, when nobody reads it.
    stdout: Option<ChildStdout>,
    lines: Receiver<String>,
    /// Lines that were read while another one was awaited.
    passed: Vec<String>,
    stderr: Option<JoinHandle<String>>,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// The lines of stdout that nobody awaited.
    pub(crate) lines: Vec<String>,
    /// What it said on stderr.
    pub(crate) stderr: String,
}

impl Program {
    /// Starts it.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut program = Self::start_unread(args);
        let stdout = BufReader::new(program.stdout.take().unwrap());
        let (to_test, lines) = channel();
        program.lines = lines;
        thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { return };
                if to_test.send(line).is_err() {
                    return;
                }
            }
        });
        program
    }

    /// Starts it; nobody reads its output.
    pub(crate) fn start_unread(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_atonce"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            lines: channel().1,
            passed: Vec::new(),
            stderr: Some(stderr),
        }
    }

    /// Writes a line to its input.
    #[allow(clippy::needless_pass_by_value)] // so that both strings and values made on the spot will do
    pub(crate) fn say(&mut self, line: impl ToString) {
        let line = format!("{}\n", line.to_string());
        self.stdin
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
    }

    /// Writes to its input and ends it.
    pub(crate) fn feed(&mut self, octets: &[u8]) {
        self.stdin.take().unwrap().write_all(octets).unwrap();
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Reads the output that nobody else reads, up to this text and no further.
    pub(crate) fn read_until(&mut self, text: &str) {
        let mut read = Vec::new();
        let stdout = self.stdout.as_mut().unwrap();
        while !read.ends_with(text.as_bytes()) {
            let mut octet = [0];
            stdout.read_exact(&mut octet).unwrap();
            read.extend(octet);
        }
    }

    /// Closes the output that nobody reads.
    pub(crate) fn close_output(&mut self) {
        self.stdout.take().unwrap();
    }

    /// Waits for a line that holds this text.
    pub(crate) fn line(&mut self, text: &str) -> String {
        self.find(text, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// Waits for a line of JSON that has all these fields; gives it without its time.
    pub(crate) fn event(&mut self, fields: &Value) -> Value {
        self.find(&fields.to_string(), |line| {
            let mut event: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(
                event
                    .as_object_mut()
                    .unwrap()
                    .remove("at")
                    .unwrap()
                    .is_u64()
            );
            let wanted = fields.as_object().unwrap();
            wanted
                .iter()
                .all(|(key, value)| event.get(key) == Some(value))
                .then_some(event)
        })
    }

    /// The events of this kind that came while others were awaited, in order.
    pub(crate) fn passed(&mut self, event: &str) -> Vec<Value> {
        let (found, others) = std::mem::take(&mut self.passed)
            .into_iter()
            .partition(|line| line.contains(&format!("\"event\":\"{event}\"")));
        self.passed = others;
        let lines: Vec<String> = found;
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits for a line.
    fn find<T>(&mut self, what: &str, matches: impl Fn(&str) -> Option<T>) -> T {
        let passed = self.passed.iter().enumerate();
        if let Some((index, found)) = passed
            .filter_map(|(index, line)| Some((index, matches(line)?)))
            .next()
        {
            self.passed.remove(index);
            return found;
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let Ok(line) = self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            else {
                let passed = self.passed.join("\n");
                let _ = self.child.kill();
                let stderr = self.stderr.take().map(|thread| thread.join().unwrap());
                panic!("no line {what}; there were:\n{passed}\nstderr: {stderr:?}");
            };
            if let Some(found) = matches(&line) {
                return found;
            }
            self.passed.push(line);
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it ends.
    pub(crate) fn end(mut self) -> Ended {
        self.end_input();
        self.wait()
    }

    /// Waits until it ends by itself, with its input open.
    pub(crate) fn wait(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                let _ = self.child.kill();
                let passed = self.passed.join("\n");
                panic!("it does not end; there was:\n{passed}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        let mut lines = std::mem::take(&mut self.passed);
        lines.extend(self.lines.iter());
        Ended {
            code: status.code(),
            lines,
            stderr: self.stderr.take().unwrap().join().unwrap(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// It ended with this exit code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Stderr holds this text.
    #[track_caller]
    pub(crate) fn saying(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text} is missing: {self:?}");
        self
    }
}
