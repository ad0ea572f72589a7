//! Lies about endpoints, and what they cost.

use std::collections::BTreeSet;

use atonce::PeerId;
use atonce::curve::KeyPair;
use atonce::wire::zre::Command;

use crate::support::{Guard, Lan, names, text};
use crate::{NOTHING, alice, enter, keys, listed, ms, public, say_hello_as, secure, tell, two};

#[test]
fn a_wrong_key_for_a_true_endpoint_keeps_nobody_out() {
    // ZRE-119. The lie comes first, and again and again; Bob greets nobody by himself.
    for kinds in [1, 200] {
        let mut lan = Lan::new();
        let (alice, liar) = (alice(&mut lan), lan.puppet(66));
        let puppet = lan.secure_puppet(9, &keys(9));
        let everyone = (0..250).map(|octet| *KeyPair::generate([octet; 32]).public());
        let mut everyone: BTreeSet<_> = everyone.collect();
        everyone.extend([1, 2, 9, 66].map(public));
        lan.host(alice).guard = Guard::Listed(everyone);
        let (id, source) = (lan.id(puppet), lan.address_of(puppet));
        for n in 0..500_u32 {
            let octet = 100 + u8::try_from(n % kinds).unwrap() / 2;
            let uuid = if n % 3 == 0 {
                id
            } else {
                PeerId::from_bytes([octet; 16])
            };
            let key = *KeyPair::generate([octet; 32]).public();
            tell(&mut lan, liar, source, uuid, Some(key));
            if n % 10 == 9 {
                lan.puppet_beacons(puppet, id, source.port());
            }
            lan.run_for(ms(100));
        }
        let heard = lan.the_puppet(puppet).heard.len();
        assert!(heard > 0, "{kinds} lies");
        // Whoever is there is not made to suffer for it.
        let dials = lan.dials(alice);
        assert!(dials <= 300, "{dials} tries in 50 s");
        enter(&mut lan, puppet, alice);
        assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    }
}

#[test]
fn lies_about_one_who_is_here_cost_nothing() {
    // ZRE-119, ZRE-120
    let (mut lan, alice, bob) = two();
    let liar = lan.puppet(66);
    let (bobs, source) = (lan.id(bob), lan.address_of(bob));
    let mut elsewhere = lan.address_of(liar);
    let dials = lan.dials(alice);
    let received = lan.stack(bob).counters().messages_received;
    for n in 0..40 {
        // Wrong keys, under its identity and another; true keys, elsewhere; goodbyes.
        let other = PeerId::from_bytes([66; 16]);
        tell(&mut lan, liar, source, bobs, Some(public(66)));
        tell(&mut lan, liar, source, other, Some(public(66)));
        elsewhere.set_port(40_000 + n);
        tell(&mut lan, liar, elsewhere, bobs, Some(public(2)));
        let mut nowhere = source;
        nowhere.set_port(0);
        tell(&mut lan, liar, nowhere, bobs, Some(public(66)));
        lan.run_for(ms(100));
    }
    assert_eq!(lan.dials(alice), dials);
    assert_eq!(lan.stack(alice).counters().beacons_refused, 120);
    // Nobody even asked.
    let asked = lan.stack(bob).counters().messages_received - received;
    assert!(asked <= 2, "{asked}");
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
    // A beacon with another key does not keep one alive that is gone.
    lan.isolate(bob, true);
    for _ in 0..40 {
        tell(&mut lan, liar, source, bobs, Some(public(66)));
        lan.run_for(ms(1_000));
    }
    assert_eq!(
        names(&lan.events(alice)),
        ["evasive bob", "silent bob", "exit bob expired"]
    );
}

#[test]
fn a_true_key_for_a_wrong_endpoint_keeps_nobody_out() {
    // ZRE-11, ZRE-119. There somebody else answers, nobody, or nothing comes back.
    for there in 0..3 {
        let mut lan = Lan::new();
        let (alice, liar) = (alice(&mut lan), lan.secure_puppet(66, &keys(66)));
        let puppet = lan.secure_puppet(9, &keys(9));
        let (id, source, wrong) = (lan.id(puppet), lan.address_of(puppet), lan.address_of(liar));
        lan.host(liar).refuses = there == 1;
        if there == 2 {
            lan.cut.insert((alice, liar));
        }
        for _ in 0..30 {
            for _ in 0..10 {
                tell(&mut lan, puppet, wrong, id, Some(public(9)));
                lan.run_for(ms(100));
            }
            lan.puppet_beacons(puppet, id, source.port());
        }
        assert!(!lan.the_puppet(puppet).heard.is_empty(), "{there}");
        assert!(lan.the_puppet(liar).heard.is_empty());
        enter(&mut lan, puppet, alice);
        assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    }
}

#[test]
fn an_insider_who_names_the_endpoint_of_another_keeps_it_out_for_a_moment() {
    // ZRE-115, ZRE-119
    let mut lan = Lan::new();
    let (alice, mallory) = (alice(&mut lan), lan.secure_puppet(66, &keys(66)));
    let puppet = lan.secure_puppet(9, &keys(9));
    let address = lan.address_of(puppet);
    let mut hello = lan.hello_of(mallory, "mallory");
    hello.endpoint = text(&format!("tcp://{address}"));
    let first = lan.puppet_dials(mallory, alice);
    lan.puppet_says(mallory, first, 1, Command::Hello(hello.clone()));
    lan.run_for(ms(150));
    assert!(lan.the_puppet(puppet).heard.is_empty());
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    assert!(lan.the_puppet(mallory).closed.contains(&first));
    // Who is here and answers keeps it.
    let second = lan.puppet_dials(mallory, alice);
    lan.puppet_says(mallory, second, 1, Command::Hello(hello));
    lan.run_for(ms(3_000));
    assert!(lan.the_puppet(mallory).closed.contains(&second));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn another_key_on_the_port_of_one_who_died_takes_its_place() {
    // ZRE-16, ZRE-119
    let (mut lan, alice, bob) = two();
    let address = lan.address_of(bob);
    lan.kill(bob);
    let carol = lan.node_at(secure("carol", 66), address);
    lan.host(carol).guard = listed();
    lan.run_for(ms(3_000));
    let told = names(&lan.events(alice));
    assert!(told[0].starts_with("exit bob lost"), "{told:?}");
    assert_eq!(told[1..], ["enter carol"]);
}

#[test]
fn an_insider_that_greets_again_and_again_shuts_nobody_out() {
    // ZRE-119, ZRE-121. Neither from an endpoint that the application gave, nor from its identity.
    let mut lan = Lan::new();
    let (alice, mallory) = (alice(&mut lan), lan.secure_puppet(66, &keys(66)));
    let puppet = lan.secure_puppet(9, &keys(9));
    let (id, address) = (lan.id(puppet), lan.address_of(puppet));
    lan.host(puppet).refuses = true;
    let endpoint = format!("tcp://{address}").parse().unwrap();
    lan.with(alice, |stack, now| {
        stack.connect_with_key(now, &endpoint, public(9)).unwrap();
    });
    for second in 0..90 {
        lan.host(puppet).refuses = second < 20;
        for uuid in [id, PeerId::from_bytes([66; 16])] {
            let link = lan.puppet_dials_as(mallory, alice, &uuid.identity());
            let mut hello = lan.hello_of(mallory, "mallory");
            hello.endpoint = text(&format!("tcp://{address}"));
            lan.puppet_says(mallory, link, 1, Command::Hello(hello));
        }
        lan.run_for(ms(1_000));
    }
    assert!(!lan.the_puppet(puppet).heard.is_empty());
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn an_insider_cuts_no_link_to_one_who_did_not_enter_yet() {
    // ZRE-119. It is reached and did not greet, and another says that it is it.
    let mut lan = Lan::new();
    let (alice, mallory) = (alice(&mut lan), lan.secure_puppet(66, &keys(66)));
    let puppet = lan.secure_puppet(9, &keys(9));
    let (id, port) = (lan.id(puppet), lan.address_of(puppet).port());
    lan.puppet_beacons(puppet, id, port);
    lan.run_for(ms(50));
    let (ours, _) = lan.the_puppet(puppet).heard[0];
    lan.host(mallory).refuses = true;
    say_hello_as(&mut lan, mallory, alice, id);
    lan.run_for(ms(50));
    assert!(!lan.the_puppet(puppet).closed.contains(&ours));
    enter(&mut lan, puppet, alice);
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
    assert!(!lan.the_puppet(puppet).closed.contains(&ours));
}
