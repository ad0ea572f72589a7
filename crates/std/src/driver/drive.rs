//! What a thread or a task needs of a driver.

use std::collections::VecDeque;
use std::time::Duration;

use atonce::Instant;

use super::Poller;

/// A driver, to an adapter: whoever drives one kind of them drives all. The verbs are those of [`Driver`](super::Driver), which tells
/// about them.
pub trait Drive: 'static {
    /// What the application takes, one after the other.
    type Item;

    /// Why there is nothing to take, when to wait for it would be in vain.
    type Refusal;

    /// Whether [`fill`](Drive::fill) may refuse, so that it is to be called also when there is nothing.
    const REFUSES: bool = false;

    /// Takes in what the poller found and what became due, and sends what there is to send.
    fn turn(&mut self, poller: &mut Poller);

    /// How long there is until the next turn; from now on [`wants_turn`](Drive::wants_turn) tells whether that changed.
    fn sleep(&mut self) -> Option<Duration>;

    /// Whether something became due before the end of the present sleep. Says so once a sleep.
    #[must_use]
    fn wants_turn(&mut self) -> bool;

    /// How long the last messages of a stream may wait for more.
    fn hold_back(&mut self, hold: Duration);

    /// Whether something is to be sent for which a turn has to look whether it can be.
    #[must_use]
    fn is_blocked(&self) -> bool;

    /// Whether anything is held back.
    #[must_use]
    fn holds_back(&self) -> bool;

    /// How many messages are held back: it grows as long as somebody goes on sending.
    #[must_use]
    fn held(&self) -> usize;

    /// Sends what is held back.
    fn flush(&mut self);

    /// The present.
    fn now(&self) -> Instant;

    /// The present, as it was seen last.
    fn recent(&self) -> Instant;

    /// Ends the poller's wait.
    fn wake(&self);

    /// Whether [`fill`](Drive::fill) has something.
    #[must_use]
    fn has_event(&self) -> bool;

    /// Hands over some of what there is to take.
    ///
    /// # Errors
    ///
    /// There is nothing, and will be nothing by waiting.
    fn fill(&mut self, now: Instant, items: &mut VecDeque<Self::Item>)
    -> Result<(), Self::Refusal>;

    /// Whether nothing comes after this.
    #[must_use]
    fn is_last(item: &Self::Item) -> bool;

    /// Whether there is something to tell somebody who watches, apart from what the application takes.
    #[must_use]
    fn has_news(&self) -> bool {
        false
    }

    /// Whether everything is closed.
    #[must_use]
    fn is_ended(&self) -> bool;

    /// Begins the end.
    fn stop(&mut self);

    /// Closes everything at once.
    fn abandon(&mut self);
}
