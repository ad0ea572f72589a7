//! What proofs are over.

use atonce::PeerId;
use atonce::wire::Text;
use atonce::wire::once::{Challenge, Exchange, Party, Side};
use proptest::prelude::*;

use crate::text;

/// All that an exchange is about, owned.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    challenger: Party,
    answerer: Party,
    challenge: Challenge,
    mechanism: Text,
    nonce: [u8; 32],
    seconds: u32,
}

impl Said {
    /// The four texts, each with which one it is.
    fn texts(&self) -> [(u8, Vec<u8>); 4] {
        let exchange = Exchange {
            challenger: self.challenger,
            answerer: self.answerer,
            challenge: &self.challenge,
            mechanism: &self.mechanism,
            nonce: &self.nonce,
        };
        [
            (0, exchange.authenticate()),
            (1, exchange.ok(self.seconds)),
            (2, exchange.stop(Side::Challenger)),
            (3, exchange.stop(Side::Answerer)),
        ]
    }
}

/// Few values, so that two are often the same but for one thing.
fn any_party() -> impl Strategy<Value = Party> {
    (0..2_u8, prop::option::of(0..2_u8)).prop_map(|(uuid, key)| Party {
        uuid: PeerId::from_bytes([uuid; 16]),
        key: key.map(|key| [key; 32]),
    })
}

fn any_said() -> impl Strategy<Value = Said> {
    let mechanisms = prop::collection::vec("[AB]{0,2}", 0..3);
    (
        any_party(),
        any_party(),
        mechanisms,
        0..2_u8,
        "[AB]{0,2}",
        0..2_u8,
        0..2_u32,
    )
        .prop_map(
            |(challenger, answerer, mechanisms, offered, mechanism, chosen, seconds)| Said {
                challenger,
                answerer,
                challenge: Challenge {
                    mechanisms: mechanisms.iter().map(text).collect(),
                    nonce: [offered; 32],
                },
                mechanism: text(mechanism),
                nonce: [chosen; 32],
                seconds,
            },
        )
}

proptest! {
    /// A proof is good for one occasion, one pair, one direction and one message.
    #[test]
    fn no_two_exchanges_have_one_text(one in any_said(), other in any_said()) {
        // ONCE-40, ONCE-41, ONCE-42
        for (which, text) in one.texts() {
            for (which_other, text_of_other) in other.texts() {
                let expected = which == which_other && {
                    let of_ok = which == 1;
                    let alike = Said { seconds: one.seconds, ..other.clone() } == one;
                    alike && (!of_ok || one.seconds == other.seconds)
                };
                prop_assert_eq!(text == text_of_other, expected, "{} {}", which, which_other);
            }
        }
    }
}
