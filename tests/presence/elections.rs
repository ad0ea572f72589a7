//! Elections in whole nodes, with others like them and with peers by hand: who is spoken to, and what becomes of it.

use atonce::wire::zre::{Command, Hello, Message};
use atonce::zre::Config;
use atonce::{PeerId, Stack};

use crate::support::{Lan, frames, names, text};
use crate::{NOTHING, ms};

const GROUP: &str = "G";

/// A node whose identity is all of one octet.
fn node(lan: &mut Lan, name: &str, octet: u8) -> usize {
    lan.node_with(Config {
        uuid: Some(PeerId::from_bytes([octet; 16])),
        name: Some(text(name)),
        ..Config::default()
    })
}

fn join(lan: &mut Lan, host: usize, contest: bool) {
    lan.with(host, |stack, now| {
        if contest {
            stack.contest(now, &text(GROUP));
        }
        stack.join(now, &text(GROUP));
    });
}

fn digits(octet: u8) -> String {
    format!("{octet:02X}").repeat(16)
}

fn elect(octet: u8) -> Command {
    Command::Elect {
        group: text(GROUP),
        challenger_id: text(&digits(octet)),
    }
}

fn leader(octet: u8) -> Command {
    Command::Leader {
        group: text(GROUP),
        leader_id: text(&digits(octet)),
    }
}

/// The words of elections that a puppet has heard since it was asked last.
fn words(lan: &mut Lan, puppet: usize) -> Vec<Command> {
    let heard = std::mem::take(&mut lan.the_puppet(puppet).heard);
    let commands = heard
        .into_iter()
        .map(|(_, Message { command, .. })| command);
    commands
        .filter(|command| matches!(command, Command::Elect { .. } | Command::Leader { .. }))
        .collect()
}

/// A node 5 that contests, and a puppet 9 in its group with these abilities.
fn with_puppet(abilities: Option<&str>) -> (Lan, usize, usize) {
    let mut lan = Lan::new();
    let (alice, puppet) = (node(&mut lan, "alice", 5), lan.puppet(9));
    join(&mut lan, alice, true);
    let mut hello = lan.hello_of(puppet, "puppet");
    hello.groups.insert(text(GROUP));
    if let Some(abilities) = abilities {
        let value = abilities.try_into().unwrap();
        hello.headers.insert(text("X-ATONCE"), value);
    }
    let link = lan.puppet_dials(puppet, alice);
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(1_000));
    let events = names(&lan.events(alice));
    assert_eq!(events, ["leader alice G", "enter puppet", "join puppet G"]);
    (lan, alice, puppet)
}

fn say(lan: &mut Lan, puppet: usize, node: usize, command: Command) {
    let link = lan.puppet_link(puppet, node);
    let sequence = lan.puppet_next(puppet, node);
    lan.puppet_says(puppet, link, sequence, command);
    lan.run_for(ms(20));
}

#[test]
fn nobody_is_told_who_is_not_known_to_understand() {
    // ELEC-2
    let (mut lan, alice, puppet) = with_puppet(None);
    assert_eq!(words(&mut lan, puppet), []);
    say(&mut lan, puppet, alice, Command::Ping);
    assert_eq!(words(&mut lan, puppet), []);
    // One that speaks of elections is told at once, also if what it says means nothing.
    let wrong = Command::Leader {
        group: text(GROUP),
        leader_id: text("nobody"),
    };
    say(&mut lan, puppet, alice, wrong);
    assert_eq!(words(&mut lan, puppet), [elect(5)]);
    say(&mut lan, puppet, alice, elect(5));
    assert_eq!(words(&mut lan, puppet), [leader(5)]);
    assert_eq!(names(&lan.events(alice)), NOTHING, "it led before");
}

#[test]
fn a_node_says_that_it_understands_and_believes_those_who_do() {
    // ELEC-2, ELEC-3
    let (mut lan, _, puppet) = with_puppet(Some("goodbye elect"));
    let heard = &lan.the_puppet(puppet).heard;
    let header = heard
        .iter()
        .find_map(|(_, message)| match &message.command {
            Command::Hello(Hello { headers, .. }) => headers.get("X-ATONCE").cloned(),
            _ => None,
        });
    let header = header.unwrap().to_str_lossy().into_owned();
    assert!(header.split(' ').any(|word| word == "elect"), "{header}");
    assert_eq!(words(&mut lan, puppet), [elect(5)]);
}

#[test]
fn digits_in_either_case_and_nothing_else_are_a_name() {
    // ELEC-1
    let (mut lan, alice, puppet) = with_puppet(Some("elect"));
    words(&mut lan, puppet);
    for wrong in [
        "",
        "0",
        "zz",
        &"0".repeat(31),
        &"g".repeat(32),
        &"0".repeat(33),
    ] {
        let group = text(GROUP);
        let challenger_id = text(wrong);
        let command = Command::Elect {
            group,
            challenger_id,
        };
        say(&mut lan, puppet, alice, command);
    }
    let elsewhere = Command::Elect {
        group: text("ELSEWHERE"),
        challenger_id: text(&digits(1)),
    };
    say(&mut lan, puppet, alice, elsewhere);
    assert_eq!(words(&mut lan, puppet), []);
    let small = Command::Elect {
        group: text(GROUP),
        challenger_id: text(&"0a".repeat(16)),
    };
    say(&mut lan, puppet, alice, small);
    assert_eq!(words(&mut lan, puppet), [], "0A is higher than 05");
    say(&mut lan, puppet, alice, elect(1));
    // The challenge of one that was not met.
    assert_eq!(words(&mut lan, puppet), [elect(1)]);
}

#[test]
fn who_is_not_in_the_group_has_no_say() {
    // ELEC-1
    let (mut lan, alice, puppet) = with_puppet(Some("elect"));
    let group = text(GROUP);
    say(&mut lan, puppet, alice, Command::Leave { group, status: 1 });
    words(&mut lan, puppet);
    say(&mut lan, puppet, alice, elect(1));
    say(&mut lan, puppet, alice, leader(9));
    assert_eq!(words(&mut lan, puppet), []);
    let leads = lan.with(alice, |stack, _| stack.leader(GROUP.as_bytes()));
    assert_eq!(leads, Some(PeerId::from_bytes([5; 16])));
}

#[test]
fn each_member_is_told_once_for_each_change() {
    // ELEC-15, ELEC-23
    let mut lan = Lan::new();
    let (alice, bob) = (node(&mut lan, "alice", 5), node(&mut lan, "bob", 7));
    let carol = node(&mut lan, "carol", 3);
    join(&mut lan, alice, true);
    join(&mut lan, bob, true);
    join(&mut lan, carol, false);
    lan.run_for(ms(4_000));
    let told = |lan: &mut Lan, host| {
        let events = names(&lan.events(host));
        let leaders = events
            .into_iter()
            .filter(|event| event.starts_with("leader"));
        leaders.collect::<Vec<_>>()
    };
    assert_eq!(told(&mut lan, alice), ["leader alice G"]);
    assert_eq!(told(&mut lan, bob), ["leader bob G", "leader alice G"]);
    assert_eq!(told(&mut lan, carol).last().unwrap(), "leader alice G");
    lan.run_for(ms(60_000));
    for host in [alice, bob, carol] {
        assert_eq!(told(&mut lan, host), NOTHING, "nothing changed");
    }
    lan.with(alice, Stack::stop);
    lan.run_for(ms(4_000));
    for host in [bob, carol] {
        assert_eq!(told(&mut lan, host), ["leader bob G"]);
    }
    // Nobody leads a group in which nobody stands.
    lan.with(bob, |stack, now| stack.leave(now, &text(GROUP)));
    lan.run_for(ms(10_000));
    assert_eq!(told(&mut lan, carol), NOTHING);
    let leads = lan.with(carol, |stack, _| stack.leader(GROUP.as_bytes()));
    assert_eq!(leads, None);
}

#[test]
fn who_leads_is_told_again_after_each_exit_also_when_it_has_to_say_so_first() {
    // ELEC-23
    let mut lan = Lan::new();
    let (alice, puppet) = (node(&mut lan, "alice", 5), lan.puppet(3));
    join(&mut lan, alice, false);
    let mut hello = lan.hello_of(puppet, "puppet");
    hello.groups.insert(text(GROUP));
    let link = lan.puppet_dials(puppet, alice);
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(1_000));
    say(&mut lan, puppet, alice, elect(3));
    say(&mut lan, puppet, alice, leader(3));
    let entered = ["enter puppet", "join puppet G", "leader puppet G"];
    assert_eq!(names(&lan.events(alice)), entered);
    // What may be lost is told twice before the puppet says that it leads again.
    let id = lan.id(puppet);
    for told in [3, 2] {
        lan.with(alice, |stack, now| {
            stack.whisper(now, id, &frames("lost?")).unwrap();
        });
        lan.reset_dialled(alice, puppet);
        lan.run_for(ms(100));
        let events = names(&lan.events(alice));
        assert!(events[0].starts_with("exit puppet lost"), "{events:?}");
        assert_eq!(events[1..], entered[..told]);
    }
    say(&mut lan, puppet, alice, leader(3));
    assert_eq!(names(&lan.events(alice)), ["leader puppet G"]);
    say(&mut lan, puppet, alice, leader(3));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn whether_a_node_stands_is_remembered_and_who_leads_is_not() {
    // ELEC-26
    let mut lan = Lan::new();
    let alice = node(&mut lan, "alice", 5);
    join(&mut lan, alice, true);
    assert_eq!(names(&lan.events(alice)), ["leader alice G"]);
    lan.with(alice, |stack, now| stack.leave(now, &text(GROUP)));
    let leads = lan.with(alice, |stack, _| stack.leader(GROUP.as_bytes()));
    assert_eq!(leads, None);
    join(&mut lan, alice, false);
    assert_eq!(names(&lan.events(alice)), ["leader alice G"]);
    lan.with(alice, |stack, now| {
        stack.withdraw(now, &text(GROUP));
        stack.leave(now, &text(GROUP));
        stack.join(now, &text(GROUP));
    });
    lan.run_for(ms(10_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn words_wait_for_a_link_that_is_cut() {
    // ELEC-4
    let mut lan = Lan::new();
    let (alice, bob) = (node(&mut lan, "alice", 5), node(&mut lan, "bob", 7));
    join(&mut lan, alice, false);
    join(&mut lan, bob, false);
    lan.run_for(ms(2_000));
    lan.events(bob);
    lan.reset_dialled(alice, bob);
    lan.with(alice, |stack, now| stack.contest(now, &text(GROUP)));
    lan.run_for(ms(5_000));
    let leads = lan.with(bob, |stack, _| stack.leader(GROUP.as_bytes()));
    assert_eq!(leads, Some(PeerId::from_bytes([5; 16])));
}

#[test]
fn whoever_missed_words_for_lack_of_room_is_told() {
    // ELEC-4
    let mut lan = Lan::new();
    let mut config = Config {
        uuid: Some(PeerId::from_bytes([5; 16])),
        name: Some(text("alice")),
        ..Config::default()
    };
    config.limits.send_messages = 3;
    let (alice, bob) = (lan.node_with(config), node(&mut lan, "bob", 7));
    join(&mut lan, alice, false);
    join(&mut lan, bob, false);
    lan.run_for(ms(2_000));
    lan.freeze(bob, true);
    lan.with(alice, |stack, now| {
        let bob = PeerId::from_bytes([7; 16]);
        // Each fills a buffer on the way.
        let large = atonce::Frames::from(vec![0; 1 << 20]);
        while stack.whisper(now, bob, &large).is_ok() {}
        stack.contest(now, &text(GROUP));
    });
    lan.run_for(ms(3_000));
    lan.freeze(bob, false);
    lan.run_for(ms(6_000));
    let leads = lan.with(bob, |stack, _| stack.leader(GROUP.as_bytes()));
    assert_eq!(leads, Some(PeerId::from_bytes([5; 16])));
}
