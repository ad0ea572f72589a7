//! Bridges on small networks in virtual time: who sees whom, what arrives, and what is told when it does not.
#![cfg(feature = "curve")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // clippy.toml allows them in tests, not in helpers
#![allow(clippy::cast_possible_truncation, dead_code)] // octets of numbers; not each file uses all

mod duel;
mod election;
mod hostile;
mod net;
mod random;
mod relaying;
mod roster;
mod talk;

use std::collections::BTreeSet;

use atonce::once::bridge::Event as Told;
use net::{Net, id, text};

/// Two LANs with a bridge each (0xB0 and 0xB1), and clients: 1 and 2 on the first, 3 and 4 on the second.
fn two_lans() -> (Net, [usize; 4]) {
    let mut net = Net::new(7);
    let clients = [
        net.client(0, 1, "one", &["CHAT"]),
        net.client(0, 2, "two", &[]),
        net.client(1, 3, "three", &["CHAT", "MORE"]),
        net.client(1, 4, "four", &["CHAT"]),
    ];
    for lan in [0, 1] {
        net.bridge(lan, 0xB0 + lan as u8);
    }
    net.run_secs(6);
    (net, clients)
}

/// What a bridge told, but for those that are met.
fn told(net: &mut Net, host: usize) -> Vec<Told> {
    let mut told = std::mem::take(&mut net.hosts[host].told);
    told.retain(|event| !matches!(event, Told::Met { .. }));
    told
}

#[test]
fn clients_of_two_lans_see_each_other_with_names_headers_and_groups() {
    // ONCE-80, ONCE-85, ONCE-90, ONCE-91, ONCE-94
    let (net, [one, ..]) = two_lans();
    net.everybody_sees_everybody();
    let three = net.seen(one, id(3)).unwrap();
    assert_eq!(three.name, "three");
    let headers: Vec<_> = three.headers.iter().collect();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.to_str_lossy(), value.to_str_lossy()))
        .collect();
    let via = id(0xB1).to_string();
    let wanted = [("X-ONCE-VIA", via.as_str()), ("X-WHO", "three")];
    assert_eq!(headers, wanted.map(|(a, b)| (a.into(), b.into())));
    for host in [0, 1] {
        let usage = net.hosts[host].bridge.usage();
        assert_eq!((usage.met, usage.roster, usage.far_peers), (1, 2, 2));
        assert_eq!((usage.stand_ins, usage.without_stand_in), (2, 0));
    }
}

#[test]
fn it_is_told_who_is_met_and_who_is_there() {
    let (net, _) = two_lans();
    let told = &net.hosts[0].told;
    let shape: Vec<String> = told.iter().map(|event| format!("{event:?}")).collect();
    assert!(shape[0].starts_with("Met"), "{shape:?}");
    let rest: BTreeSet<&String> = shape[1..].iter().collect();
    let wanted = [
        "Active".to_owned(),
        format!(
            "Enter {{ peer: {}, name: \"three\", bridge: {} }}",
            id(3),
            id(0xB1)
        ),
        format!(
            "Enter {{ peer: {}, name: \"four\", bridge: {} }}",
            id(4),
            id(0xB1)
        ),
    ];
    assert_eq!(rest, wanted.iter().collect(), "{shape:?}");
    assert_eq!(text("CHAT"), "CHAT");
}
