//! What is said on a link, right and wrong.

use atonce::Frames;
use atonce::wire::zre::{Command, UnknownCommand};

use crate::support::{Lan, frames, names, text, two};
use crate::{NOTHING, alice_and_puppet, ms};

#[test]
fn a_gap_costs_one_exit_and_the_peer_may_come_back() {
    // ZRE-71
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_says(puppet, link, 3, Command::Ping);
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["exit puppet lost: a gap: expected message 2, found 3"]
    );
    let link = lan.puppet_greets(puppet, alice);
    lan.puppet_speaks(puppet, alice, link, 2);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn a_malformed_message_costs_only_its_sender() {
    // ZRE-73, ZRE-92
    let (mut lan, alice, bob) = two();
    let puppet = lan.puppet(9);
    let link = lan.puppet_greets(puppet, alice);
    lan.run_for(ms(50));
    // JOIN whose group is cut.
    lan.puppet_sends(puppet, link, Frames::from(b"\xaa\xa1\x04\x02\x00\x02\x05G"));
    lan.run_for(ms(50));
    let events = names(&lan.events(alice));
    assert_eq!(events[0], "enter puppet");
    assert!(events[1].starts_with("exit puppet lost: a malformed message"));
    assert_eq!(events.len(), 2);
    lan.still_talk(alice, bob);
}

#[test]
fn a_link_that_breaks_the_rules_of_zmtp_costs_its_peer_only() {
    // ZRE-84
    for octets in [
        &b"\x08\x01x"[..],
        b"\x04\x05\x04PING",
        b"\x02\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let bob = lan.node("bob");
        lan.run_for(ms(100));
        lan.events(alice);
        lan.events(bob);
        lan.puppet_sends_octets(puppet, link, octets);
        lan.run_for(ms(50));
        let lost = ["exit puppet lost: its link broke the rules of ZMTP"];
        assert_eq!(names(&lan.events(alice)), lost, "{octets:02x?}");
        assert!(lan.the_puppet(puppet).closed.contains(&link));
        lan.still_talk(alice, bob);
    }
}

#[test]
fn what_is_no_zre_message_is_discarded_without_a_word() {
    // ZRE-73, ZRE-91
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    for junk in [
        &b""[..],
        b"x",
        b"\xaa\xa0\x01\x01",
        b"\xaa\xa1\x02\x03\x00\x02",
    ] {
        lan.puppet_sends(puppet, link, Frames::from(junk.to_vec()));
    }
    lan.puppet_says(
        puppet,
        link,
        2,
        Command::Whisper {
            content: frames("fine"),
        },
    );
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), [r#"whisper puppet [b"fine"]"#]);
}

#[test]
fn whatever_precedes_the_greeting_has_no_meaning() {
    // ZRE-15
    let mut lan = Lan::new();
    let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
    let link = lan.puppet_dials(puppet, alice);
    lan.puppet_says(puppet, link, 1, Command::Ping);
    lan.puppet_says(
        puppet,
        link,
        2,
        Command::Whisper {
            content: frames("?"),
        },
    );
    let hello = lan.hello_of(puppet, "puppet");
    lan.puppet_says(puppet, link, 1, Command::Hello(hello));
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), ["enter puppet"]);
}

#[test]
fn commands_of_elections_and_of_the_future_do_not_break_a_link() {
    // ZRE-73, ZRE-98
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    let commands = [
        Command::Elect {
            group: text("G"),
            challenger_id: text("not a uuid"),
        },
        Command::Leader {
            group: text("G"),
            leader_id: text(""),
        },
        Command::Unknown(UnknownCommand::new(99).unwrap()),
        Command::Whisper {
            content: frames("still here"),
        },
    ];
    for (sequence, command) in (2..).zip(commands) {
        lan.puppet_says(puppet, link, sequence, command);
    }
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        [r#"whisper puppet [b"still here"]"#]
    );
}

#[test]
fn a_message_without_content_is_delivered_as_such() {
    // ZRE-74
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.with(alice, |stack, now| stack.join(now, &text("G")));
    for sequence in 2..500 {
        let content = Frames::new();
        let command = if sequence % 2 == 0 {
            Command::Whisper { content }
        } else {
            Command::Shout {
                group: text("G"),
                content,
            }
        };
        lan.puppet_says(puppet, link, sequence, command);
    }
    lan.run_for(ms(50));
    assert_eq!(lan.events(alice).len(), 498);
}

#[test]
fn a_wrong_status_is_no_crime() {
    // ZRE-72
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    lan.puppet_says(
        puppet,
        link,
        2,
        Command::Join {
            group: text("G"),
            status: 77,
        },
    );
    lan.puppet_says(
        puppet,
        link,
        3,
        Command::Join {
            group: text("G"),
            status: 77,
        },
    );
    lan.puppet_says(
        puppet,
        link,
        4,
        Command::Leave {
            group: text("G"),
            status: 1,
        },
    );
    lan.puppet_says(
        puppet,
        link,
        5,
        Command::Leave {
            group: text("H"),
            status: 0,
        },
    );
    lan.run_for(ms(50));
    assert_eq!(
        names(&lan.events(alice)),
        ["join puppet G", "leave puppet G"]
    );
}

#[test]
fn a_shout_to_a_group_we_are_not_in_is_not_delivered() {
    // ZRE-75
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    let command = Command::Shout {
        group: text("G"),
        content: frames("?"),
    };
    lan.puppet_says(puppet, link, 2, command);
    lan.run_for(ms(50));
    assert_eq!(names(&lan.events(alice)), NOTHING);
}

#[test]
fn sequences_wrap_as_each_side_does() {
    // ZRE-70
    for early in [false, true] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let id = lan.id(puppet);
        let mut sequence = 2_u16;
        for round in 0..70_000_u32 {
            lan.puppet_says(puppet, link, sequence, Command::PingOk);
            sequence = match sequence {
                65_534 if early => 0,
                other => other.wrapping_add(1),
            };
            if round % 1_000 == 0 {
                lan.run_for(ms(5));
            }
        }
        lan.run_for(ms(5));
        lan.puppet_speaks(puppet, alice, link, sequence);
        for _ in 0..70_000 {
            lan.with(alice, |stack, now| {
                stack.whisper(now, id, &frames("x")).unwrap();
            });
        }
        lan.run_for(ms(50));
        assert_eq!(names(&lan.events(alice)), NOTHING);
        let sent: Vec<u16> = lan
            .the_puppet(puppet)
            .heard
            .iter()
            .map(|(_, m)| m.sequence)
            .collect();
        assert!(sent.len() > 70_000);
        assert_eq!(sent.contains(&65_535), !early);
    }
}

#[test]
fn a_wrap_costs_no_message_even_with_one_who_wraps_early() {
    // ZRE-70
    for greets_before_its_link_ends in [false, true] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let id = lan.id(puppet);
        let whisper = |lan: &mut Lan, content: &'static str, times: usize| {
            for _ in 0..times {
                lan.with(alice, |stack, now| {
                    stack.whisper(now, id, &frames(content)).unwrap();
                });
            }
            lan.run_for(ms(20));
        };
        let heard = |lan: &mut Lan| {
            let heard = std::mem::take(&mut lan.the_puppet(puppet).heard);
            let heard = heard.into_iter().map(|(_, message)| message);
            heard.collect::<Vec<_>>()
        };
        lan.the_puppet(puppet).answers_pings = false;
        whisper(&mut lan, "x", 65_533);
        assert_eq!(heard(&mut lan).last().unwrap().sequence, 65_534);
        // The number on which they disagree is spent on a question, and what follows waits.
        whisper(&mut lan, "held", 3);
        let asked = heard(&mut lan);
        assert_eq!(asked.len(), 1);
        assert_eq!(
            (asked[0].sequence, &asked[0].command),
            (65_535, &Command::Ping)
        );
        // Its answer: it hangs up, and greets anew.
        lan.the_puppet(puppet).answers_pings = true;
        if !greets_before_its_link_ends {
            lan.puppet_closes(puppet, link);
            lan.run_for(ms(10));
        }
        let again = lan.puppet_greets(puppet, alice);
        lan.puppet_speaks(puppet, alice, again, 2);
        lan.run_for(ms(20));
        lan.puppet_closes(puppet, link);
        lan.run_for(ms(20));
        let said = heard(&mut lan);
        let words: Vec<_> = said
            .iter()
            .map(|m| (m.sequence, m.command.name()))
            .collect();
        assert_eq!(words[0], (1, "HELLO"));
        let held = said
            .iter()
            .filter(|m| matches!(m.command, Command::Whisper { .. }));
        assert_eq!(held.count(), 3, "{words:?}");
        assert_eq!(names(&lan.events(alice)), NOTHING);
        if greets_before_its_link_ends {
            continue;
        }
        // It is remembered.
        whisper(&mut lan, "y", 70_000);
        let said = heard(&mut lan);
        assert_eq!(said.len(), 70_000);
        assert!(said.iter().all(|message| message.sequence != 65_535));
        assert_eq!(names(&lan.events(alice)), NOTHING);
    }
}

#[test]
fn one_who_does_not_say_how_it_wraps_is_not_waited_for_when_its_queue_is_full() {
    // ZRE-70
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.the_puppet(puppet).answers_pings = false;
    let id = lan.id(puppet);
    let mut said = 0;
    let full = |lan: &mut Lan| {
        lan.with(alice, |stack, now| stack.whisper(now, id, &frames("x")))
            .is_err()
    };
    while !full(&mut lan) {
        said += 1;
    }
    lan.run_for(ms(20));
    assert!(lan.the_puppet(puppet).heard.len() < said);
    lan.run_for(ms(10_500));
    let whispers = lan.the_puppet(puppet).heard.iter();
    let whispers = whispers.filter(|(_, m)| matches!(m.command, Command::Whisper { .. }));
    assert_eq!(whispers.count(), said);
    assert_eq!(
        names(&lan.events(alice)),
        ["evasive puppet", "silent puppet"]
    );
}

#[test]
fn the_status_wraps_at_256() {
    // ZRE-72
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    for _ in 0..150 {
        lan.with(alice, |stack, now| {
            stack.join(now, &text("G"));
            stack.leave(now, &text("G"));
        });
    }
    lan.run_for(ms(50));
    let statuses: Vec<u8> = lan
        .the_puppet(puppet)
        .heard
        .iter()
        .filter_map(|(_, message)| match message.command {
            Command::Join { status, .. } | Command::Leave { status, .. } => Some(status),
            _ => None,
        })
        .collect();
    let expected: Vec<u8> = (1..=300_u16).map(|n| n.to_le_bytes()[0]).collect();
    assert_eq!(statuses, expected);
}
