//! Asks somebody else who may come in, where it stops nobody: the application, or an authentication handler.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use atonce::LinkId;
use atonce::zmtp::{Credentials, Denial, Verdict};

use super::zap;
use crate::trust::Decider;

/// Questions under way. As many as there are strangers that a node bears at once; what comes beyond is answered with "not now",
/// so that who floods us with keys costs no more than this.
// ZAP-21
pub(super) const MOST: usize = 256;

/// After this the answer is "not now". It is half of what a node gives a stranger.
// ZAP-23
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// May whoever says or proves this come in?
#[derive(Debug)]
pub(super) struct Question {
    pub(super) link: LinkId,
    pub(super) credentials: Credentials,
    pub(super) remote: SocketAddr,
    pub(super) asked: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) link: LinkId,
    pub(super) verdict: Verdict,
}

/// Where answers are given.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    sender: Sender<Answer>,
    waker: Arc<mio::Waker>,
}

#[derive(Debug)]
pub(super) struct Asker {
    decider: Decider,
    /// Started when the first question comes.
    thread: Option<Thread>,
    /// Questions whose answers were not taken.
    under_way: usize,
    taken: Receiver<Answer>,
    answers: Answers,
}

#[derive(Debug)]
enum Thread {
    Application(Sender<Question>),
    Handler(zap::Client),
}

impl Question {
    pub(super) fn deadline(&self) -> Instant {
        self.asked + PATIENCE
    }
}

impl Answers {
    pub(super) fn give(&self, link: LinkId, verdict: Verdict) {
        // Nobody takes it when the node is gone meanwhile.
        if self.sender.send(Answer { link, verdict }).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake the node");
        }
    }
}

impl Asker {
    pub(super) fn new(decider: Decider, waker: Arc<mio::Waker>) -> Self {
        let (sender, taken) = channel();
        Self {
            decider,
            thread: None,
            under_way: 0,
            taken,
            answers: Answers { sender, waker },
        }
    }

    /// Every question is answered once, in whatever order.
    pub(super) fn ask(&mut self, link: LinkId, credentials: Credentials, remote: SocketAddr) {
        let is_full = self.under_way >= MOST;
        self.under_way += 1;
        if is_full {
            tracing::debug!(%remote, "too many are being asked about");
            return self.not_now(link);
        }
        let question = Question {
            link,
            credentials,
            remote,
            asked: Instant::now(),
        };
        if self.thread.is_none() {
            match Thread::start(&self.decider, self.answers.clone()) {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => {
                    tracing::error!(%error, "nobody new is let in: no thread that could ask");
                    return self.not_now(link);
                }
            }
        }
        let asked = self
            .thread
            .as_ref()
            .is_some_and(|thread| thread.ask(question));
        if !asked {
            // It ended by itself, which it should not; the next question starts another.
            self.thread = None;
            self.under_way = 1;
            self.not_now(link);
        }
    }

    /// An answer that came, if any. To be asked after each wake-up until there is none.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let answer = self.taken.try_recv().ok()?;
        self.under_way = self.under_way.saturating_sub(1);
        Some(answer)
    }

    fn not_now(&self, link: LinkId) {
        self.answers.give(link, Verdict::Deny(Denial::Temporary));
    }
}

impl Thread {
    fn start(decider: &Decider, answers: Answers) -> std::io::Result<Self> {
        match decider {
            Decider::Application(decide) => {
                let decide = Arc::clone(decide);
                Self::application(answers, move |question| match &question.credentials {
                    Credentials::Curve(key) => decide(key, question.remote),
                    _ => Verdict::Deny(Denial::Refused),
                })
            }
            Decider::Passwords(decide) => {
                let decide = Arc::clone(decide);
                Self::application(answers, move |question| match &question.credentials {
                    Credentials::Plain { username, password } => {
                        decide(username, password.expose(), question.remote)
                    }
                    _ => Verdict::Deny(Denial::Refused),
                })
            }
            Decider::Handler { address, domain } => {
                zap::Client::start(*address, domain.clone(), answers).map(Self::Handler)
            }
        }
    }

    fn application(
        answers: Answers,
        decide: impl Fn(&Question) -> Verdict + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, questions) = channel();
        thread::Builder::new()
            .name("atonce-trust".to_owned())
            .spawn(move || decide_each(decide, &questions, &answers))?;
        Ok(Self::Application(sender))
    }

    /// Whether the thread is there to take it.
    fn ask(&self, question: Question) -> bool {
        match self {
            Self::Application(sender) => sender.send(question).is_ok(),
            Self::Handler(client) => client.ask(question),
        }
    }
}

/// Has the application decide, until the node is gone.
fn decide_each(
    decide: impl Fn(&Question) -> Verdict,
    questions: &Receiver<Question>,
    answers: &Answers,
) {
    for question in questions {
        let verdict = if question.deadline() <= Instant::now() {
            Verdict::Deny(Denial::Temporary)
        } else {
            // What it broke is its own; the node asks it again all the same.
            catch_unwind(AssertUnwindSafe(|| decide(&question))).unwrap_or_else(|_| {
                tracing::error!(asked = ?question.credentials, "the application panicked and did not decide");
                Verdict::Deny(Denial::Internal)
            })
        };
        tracing::debug!(asked = ?question.credentials, remote = %question.remote, %verdict, "the application decided");
        answers.give(question.link, verdict);
    }
}
