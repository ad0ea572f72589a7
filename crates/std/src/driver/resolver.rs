//! Looks names up where it stops nobody: `getaddrinfo` may take half a minute.

use std::collections::VecDeque;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Look-ups under way at once, each on a thread of its own. With a resolver that answers nothing they are all taken, and
/// further ones wait.
const THREADS: usize = 4;

/// Look-ups that wait for a thread. What comes beyond is answered with nothing; the core asks again when it tries the
/// endpoint again.
const WAITING: usize = 64;

/// The core waits no longer for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Query {
    number: u64,
    host: String,
    port: u16,
    asked: Instant,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    /// Empty when there are none.
    pub(crate) addresses: Vec<SocketAddr>,
}

#[derive(Debug)]
pub(crate) struct Resolver {
    /// Threads at work, and answers that wait to be taken.
    running: usize,
    waiting: VecDeque<Query>,
    answers: Receiver<Answer>,
    sender: Sender<Answer>,
    waker: Arc<mio::Waker>,
}

impl Resolver {
    pub(crate) fn new(waker: Arc<mio::Waker>) -> Self {
        let (sender, answers) = channel();
        Self {
            running: 0,
            waiting: VecDeque::new(),
            answers,
            sender,
            waker,
        }
    }

    pub(crate) fn ask(&mut self, number: u64, host: String, port: u16) {
        if self.waiting.len() >= WAITING {
            tracing::debug!(host, "too many names are being looked up");
            self.nothing(number);
            return;
        }
        let asked = Instant::now();
        self.waiting.push_back(Query {
            number,
            host,
            port,
            asked,
        });
        self.start();
    }

    /// An answer that came, if any. To be asked after each wake-up until there is none.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.try_recv().ok()?;
        self.running = self.running.saturating_sub(1);
        self.start();
        Some(answer)
    }

    fn start(&mut self) {
        while self.running < THREADS
            && let Some(query) = self.waiting.pop_front()
        {
            if query.asked.elapsed() > PATIENCE {
                continue;
            }
            let number = query.number;
            let answers = self.sender.clone();
            let waker = Arc::clone(&self.waker);
            let spawned = thread::Builder::new()
                .name("atonce-resolver".to_owned())
                .spawn(move || {
                    let addresses = look_up(&query);
                    // Nobody takes it when the node is gone meanwhile.
                    if answers.send(Answer { number, addresses }).is_ok() {
                        let _ = waker.wake();
                    }
                });
            match spawned {
                Ok(_) => self.running += 1,
                Err(error) => {
                    tracing::warn!(%error, "cannot look names up: no thread");
                    self.nothing(number);
                }
            }
        }
    }

    fn nothing(&mut self, number: u64) {
        self.running += 1; // as if a thread had answered
        let _ = self.sender.send(Answer {
            number,
            addresses: Vec::new(),
        });
        let _ = self.waker.wake();
    }
}

fn look_up(query: &Query) -> Vec<SocketAddr> {
    match (query.host.as_str(), query.port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            tracing::debug!(host = query.host, %error, "no address");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_answered() {
        let mut poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let mut resolver = Resolver::new(waker);
        let questions = u64::try_from(THREADS + WAITING + 10).unwrap();
        for number in 0..questions {
            resolver.ask(number, "127.0.0.1".into(), 80);
        }
        let mut answered = 0;
        let mut with_address = 0;
        let mut events = mio::Events::with_capacity(8);
        while answered < questions {
            poll.poll(&mut events, Some(Duration::from_secs(5)))
                .unwrap();
            while let Some(answer) = resolver.answer() {
                answered += 1;
                if answer.addresses == [SocketAddr::from(([127, 0, 0, 1], 80))] {
                    with_address += 1;
                }
            }
        }
        assert!(with_address >= THREADS + WAITING);
        assert_eq!(resolver.running, 0);
        assert!(resolver.waiting.is_empty());
    }
}
