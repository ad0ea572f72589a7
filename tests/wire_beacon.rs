//! Beacons, octet by octet.

use atonce::PeerId;
use atonce::wire::{Beacon, Expected, Found, Malformed};
use proptest::prelude::*;

const UUID: [u8; 16] = [
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
];

const PLAIN: &[u8] = b"ZRE\x01\
    \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\
    \xc0\x01";

const CURVE: &[u8] = b"ZRE\x03\
    \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\
    \xc0\x01\
    \x00\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\
    \x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22";

fn plain() -> Beacon {
    Beacon {
        uuid: PeerId::from_bytes(UUID),
        port: 0xc001,
        key: None,
    }
}

fn curve() -> Beacon {
    let mut key = [0x22; 32];
    key[0] = 0;
    Beacon {
        key: Some(key),
        ..plain()
    }
}

#[test]
fn a_beacon_of_version_1_has_22_octets() {
    // ZRE-5
    assert_eq!(plain().encode(), PLAIN);
    assert_eq!(Beacon::decode(PLAIN), Ok(plain()));
    assert_eq!(PLAIN.len(), Beacon::PLAIN_OCTETS);
}

#[test]
fn a_beacon_of_version_3_has_54_octets_and_any_key() {
    // ZRE-5, ZRE-6
    assert_eq!(curve().encode(), CURVE);
    assert_eq!(Beacon::decode(CURVE), Ok(curve()));
    assert_eq!(CURVE.len(), Beacon::CURVE_OCTETS);
}

#[test]
fn port_0_says_goodbye() {
    let goodbye = Beacon { port: 0, ..plain() };
    assert!(goodbye.is_goodbye() && !plain().is_goodbye());
    assert!(goodbye.encode().ends_with(&[0, 0]));
    assert_eq!(Beacon::decode(&goodbye.encode()), Ok(goodbye));
}

#[test]
fn no_size_but_the_one_of_its_version_is_taken() {
    // ZRE-5
    for valid in [PLAIN, CURVE] {
        let mut octets = valid.to_vec();
        octets.resize(1_400, 0);
        for size in 0..octets.len() {
            assert_eq!(
                Beacon::decode(&octets[..size]).is_ok(),
                size == valid.len(),
                "{size} octets of version {}",
                valid[3]
            );
        }
    }
}

#[test]
fn a_version_in_the_size_of_another_is_refused() {
    // ZRE-5
    let mut octets = CURVE.to_vec();
    octets[3] = 1;
    assert_eq!(
        Beacon::decode(&octets),
        Err(Malformed::new("beacon", Expected::End, Found::Octets(32)))
    );
    let mut octets = PLAIN.to_vec();
    octets[3] = 3;
    assert_eq!(
        Beacon::decode(&octets),
        Err(Malformed::new(
            "beacon.key",
            Expected::Octets(32),
            Found::Octets(0)
        ))
    );
}

#[test]
fn other_versions_are_refused() {
    // ZRE-5
    for version in (0..=255).filter(|version| ![1, 3].contains(version)) {
        for valid in [PLAIN, CURVE] {
            let mut octets = valid.to_vec();
            octets[3] = version;
            assert_eq!(
                Beacon::decode(&octets),
                Err(Malformed::new(
                    "beacon.version",
                    Expected::What("1 or 3"),
                    Found::Value(version.into())
                ))
            );
        }
    }
}

#[test]
fn other_letters_are_refused() {
    // ZRE-5
    for at in 0..3 {
        let mut octets = PLAIN.to_vec();
        octets[at] ^= 0x20;
        assert_eq!(Beacon::decode(&octets).unwrap_err().field, "beacon.magic");
    }
}

proptest! {
    #[test]
    fn every_beacon_comes_back(
        uuid: [u8; 16],
        port: u16,
        key: Option<[u8; 32]>,
    ) {
        let beacon = Beacon { uuid: PeerId::from_bytes(uuid), port, key };
        prop_assert_eq!(Beacon::decode(&beacon.encode()), Ok(beacon));
    }
}
