//! How a server leads two bridges to each other over its relay.

use alloc::collections::VecDeque;
use core::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::wire::Text;
use crate::wire::once::{Code, Ticket};
use crate::{Instant, PeerId};

/// For so long a ticket is good.
const TICKET: Duration = Duration::from_secs(30);
/// So long after it asked, the same bridge is not led to the same other one.
const APART: Duration = Duration::from_secs(10);
/// The most pairs that are made within the life of a ticket: as many as a relay takes.
const MOST: usize = 256;
/// How many of them one bridge may ask for.
const MOST_OF_ONE: usize = 32;

/// What a server knows of its relay, and whom it led there a moment ago.
#[derive(Debug)]
pub(super) struct Leading {
    /// Where bridges reach the relay; `None` when there is none.
    endpoint: Option<Text>,
    rng: ChaCha20Rng,
    /// Who asked for whom, and when; the oldest first.
    led: VecDeque<(Instant, PeerId, PeerId)>,
}

/// What two bridges need to come to each other.
pub(super) struct Way {
    pub(super) endpoint: Text,
    /// Of the one that asked.
    pub(super) dialler: Ticket,
    pub(super) acceptor: Ticket,
}

impl Leading {
    /// `seed` may have other uses.
    pub(super) fn new(seed: [u8; 32], endpoint: Option<Text>) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        // A stream of its own: nothing that is said of the others tells anything of it.
        rng.set_stream(1);
        Self {
            endpoint,
            rng,
            led: VecDeque::new(),
        }
    }

    /// A way for a bridge to another one, which is there (`is_there`) and can be led to; or why there is none.
    // ONCE-126
    pub(super) fn way(
        &mut self,
        now: Instant,
        asker: PeerId,
        to: PeerId,
        is_there: bool,
    ) -> Result<Way, Code> {
        let endpoint = self.endpoint.clone().ok_or(Code::REFUSED)?;
        if !is_there {
            return Err(Code::UNEXPECTED);
        }
        let old = |(at, ..): &mut (Instant, _, _)| now - *at >= TICKET;
        while self.led.front_mut().is_some_and(old) {
            self.led.pop_front();
        }
        let of_one = || self.led.iter().filter(|(_, by, _)| *by == asker);
        let again = of_one().any(|(at, _, whom)| *whom == to && now - *at < APART);
        if again || self.led.len() >= MOST || of_one().count() >= MOST_OF_ONE {
            return Err(Code::BUSY);
        }
        self.led.push_back((now, asker, to));
        let [dialler, acceptor] = [(); 2].map(|()| self.ticket());
        Ok(Way {
            endpoint,
            dialler,
            acceptor,
        })
    }

    fn ticket(&mut self) -> Ticket {
        let mut octets = [0; 32];
        self.rng.fill_bytes(&mut octets);
        Ticket::from_bytes(octets)
    }
}
