//! What a link to a relay begins with, and the ticket in it.

use atonce::wire::once::{Limits, Message, Prelude, Ticket, V2};
use atonce::wire::{Expected, Found, Malformed};
use proptest::prelude::*;

use crate::every;

const TICKET: Ticket = Ticket::from_bytes([0xAB; 32]);

#[test]
fn a_prelude_is_read_as_soon_as_it_is_there() {
    // ONCE-120
    let octets = Prelude { ticket: TICKET }.encode();
    assert_eq!(octets.len(), Prelude::OCTETS);
    for come in 0..Prelude::OCTETS {
        assert_eq!(Prelude::read(&octets[..come]), Ok(None), "{come} octets");
    }
    let whole = Ok(Some(Prelude { ticket: TICKET }));
    assert_eq!(Prelude::read(&octets), whole);
    assert_eq!(Prelude::read(&[&octets[..], &[0xFF; 100]].concat()), whole);
}

#[test]
fn what_is_no_prelude_is_refused_at_its_first_wrong_octet() {
    // ONCE-120
    let octets = Prelude { ticket: TICKET }.encode();
    for (at, field) in ["signature", "signature", "id", "version"]
        .into_iter()
        .enumerate()
    {
        for wrong in (0..=255).filter(|wrong| *wrong != octets[at]) {
            let mut octets = octets;
            octets[at] = wrong;
            let expected = Expected::Value([0xAA, 0xA2, 0x53, 2][at]);
            let error = Malformed::new(field, expected, Found::Value(wrong.into()));
            // Nothing that comes behind it makes a difference.
            assert_eq!(Prelude::read(&octets[..=at]), Err(error));
            assert_eq!(Prelude::read(&octets), Err(error));
        }
    }
}

#[test]
fn a_ticket_is_compared_and_not_shown() {
    // ONCE-121
    for at in 0..32 {
        let mut other = [0xAB; 32];
        other[at] ^= 1;
        assert_ne!(Ticket::from_bytes(other), TICKET);
    }
    assert_eq!(Ticket::from_bytes([0xAB; 32]), TICKET);
    let shown = format!("{:?}", Prelude { ticket: TICKET });
    assert_eq!(shown, "Prelude { ticket: Ticket(..) }");
    let is_ticket = |message: &Message| matches!(message, Message::V2(V2::Ticket(_)));
    for message in every().iter().filter(|message| is_ticket(message)) {
        assert!(!format!("{message:?}").contains("3, 3, 3"), "{message:?}");
    }
}

#[test]
fn a_prelude_is_no_message() {
    // ONCE-5, ONCE-120
    let octets = Prelude { ticket: TICKET }.encode();
    let decoded = Message::decode(octets.to_vec().into(), &Limits::default());
    assert_eq!(
        decoded.map(|message| (message.name(), message.id())),
        Ok(("UNKNOWN", 0x53))
    );
    for message in every() {
        assert!(Prelude::read(&message.encode()[0]).is_err(), "{message:?}");
    }
}

proptest! {
    #[test]
    fn what_any_octets_begin_with(octets in prop::collection::vec(any::<u8>(), 0..80), sound in 0..5_usize) {
        // ONCE-120
        let mut octets = octets;
        for (octet, right) in octets.iter_mut().zip([0xAA, 0xA2, 0x53, 2]).take(sound) {
            *octet = right;
        }
        match Prelude::read(&octets) {
            Ok(Some(prelude)) => prop_assert!(octets.starts_with(&prelude.encode())),
            Ok(None) => prop_assert!(octets.len() < Prelude::OCTETS),
            Err(error) => prop_assert!(["signature", "id", "version"].contains(&error.field)),
        }
    }
}
