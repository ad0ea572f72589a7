//! What is read of the vectors of the specification, of captures, and of anything.

mod anything;
mod captures;
mod forge;
mod vectors;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::report::Report;

/// What a report wrote.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        let octets = self.0.lock().unwrap().clone();
        let text = anstream::adapter::strip_str(str::from_utf8(&octets).unwrap()).to_string();
        text.lines().map(ToOwned::to_owned).collect()
    }
}

/// The lines of a report that somebody fills.
fn lines(json: bool, fill: impl FnOnce(&mut Report)) -> Vec<String> {
    let written = Written::default();
    let mut report = Report::new(json, Box::new(written.clone()));
    fill(&mut report);
    written.lines()
}

/// The same as JSON.
fn objects(fill: impl FnOnce(&mut Report)) -> Vec<Value> {
    let lines = lines(true, fill);
    let objects = lines.iter();
    objects
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
