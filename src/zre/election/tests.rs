//! The machine by hand, against peers that do as C Zyre does; `network` has many of them.

mod network;

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Election, Word};
use crate::{Instant, PeerId};

fn id(n: u8) -> PeerId {
    PeerId::from_bytes([n; 16])
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A member with the middle of three identities among voters.
fn member(voters: &[u8]) -> Election {
    let mut election = Election::new(id(5));
    for voter in voters {
        election.voter_came(at(0), id(*voter), false);
    }
    election
}

fn said(election: &mut Election) -> Vec<(u8, Word)> {
    core::iter::from_fn(|| election.poll_word())
        .map(|(to, word)| (to.as_bytes()[0], word))
        .collect()
}

fn elect(n: u8) -> Word {
    Word::Elect(id(n))
}

fn leader(n: u8) -> Word {
    Word::Leader(id(n))
}

/// Does what is due, one deadline after the other.
fn run_until(election: &mut Election, end: Instant) -> Vec<(u8, Word)> {
    let mut words = said(election);
    while let Some(due) = election.poll_timeout().filter(|due| *due <= end) {
        election.handle_timeout(due);
        words.extend(said(election));
    }
    words
}

#[test]
fn who_stands_alone_leads_at_once() {
    // ELEC-10, ELEC-20
    let mut election = member(&[]);
    assert_eq!(election.leader(), None);
    election.contest(at(0));
    assert_eq!(election.poll_leader(), Some(id(5)));
    // ELEC-23
    assert_eq!(election.poll_leader(), None);
    assert_eq!(said(&mut election), []);
    assert_eq!(election.poll_timeout(), None);
}

#[test]
fn a_challenge_that_all_answer_is_won() {
    // ELEC-10, ELEC-20
    let mut election = member(&[7, 9]);
    election.contest(at(0));
    assert_eq!(said(&mut election), [(7, elect(5)), (9, elect(5))]);
    election.hear(at(1), id(7), elect(5));
    assert_eq!(election.leader(), None);
    election.hear(at(2), id(9), elect(5));
    assert_eq!(said(&mut election), [(7, leader(5)), (9, leader(5))]);
    assert_eq!(election.poll_leader(), Some(id(5)));
    // C Zyre's members say the same, which changes nothing.
    election.hear(at(3), id(7), leader(5));
    election.hear(at(3), id(9), leader(5));
    assert_eq!(said(&mut election), []);
    assert_eq!(election.poll_timeout(), None);
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    // ELEC-20
    let mut election = member(&[7, 9]);
    election.contest(at(0));
    said(&mut election);
    election.hear(at(1), id(7), elect(5));
    assert_eq!(run_until(&mut election, at(1_999)), []);
    let words = run_until(&mut election, at(2_000));
    assert_eq!(words, [(7, leader(5)), (9, leader(5))]);
    assert_eq!(election.leader(), Some(id(5)));
}

#[test]
fn a_member_that_does_not_contest_passes_the_wave_on_and_answers_it() {
    // ELEC-12
    let mut election = member(&[1, 7, 9]);
    election.hear(at(0), id(1), elect(1));
    assert_eq!(said(&mut election), [(7, elect(1)), (9, elect(1))]);
    election.hear(at(1), id(7), elect(1));
    assert_eq!(said(&mut election), []);
    election.hear(at(2), id(9), elect(1));
    assert_eq!(said(&mut election), [(1, elect(1))]);
    // ELEC-21
    election.hear(at(3), id(7), leader(1));
    assert_eq!(said(&mut election), [], "the challenger has not said it");
    election.hear(at(4), id(1), leader(1));
    let all = [(1, leader(1)), (7, leader(1)), (9, leader(1))];
    assert_eq!(said(&mut election), all);
    // ELEC-23
    assert_eq!(election.poll_leader(), Some(id(1)));
    election.hear(at(5), id(9), leader(1));
    election.hear(at(5), id(1), leader(1));
    assert_eq!(election.poll_leader(), None);
    assert_eq!(said(&mut election), []);
}

#[test]
fn the_answer_to_a_wave_does_not_wait_for_the_mute() {
    // ELEC-12
    let mut election = member(&[1, 7]);
    election.hear(at(0), id(1), elect(1));
    assert_eq!(run_until(&mut election, at(299)), [(7, elect(1))]);
    assert_eq!(run_until(&mut election, at(300)), [(1, elect(1))]);
}

#[test]
fn a_lower_challenge_takes_over_and_a_higher_one_is_left_alone() {
    // ELEC-11
    let mut election = member(&[1, 3, 9]);
    election.contest(at(0));
    said(&mut election);
    election.hear(at(1), id(9), elect(9));
    assert_eq!(said(&mut election), []);
    election.hear(at(2), id(3), elect(3));
    assert_eq!(said(&mut election), [(1, elect(3)), (9, elect(3))]);
    election.hear(at(3), id(1), elect(1));
    assert_eq!(said(&mut election), [(3, elect(1)), (9, elect(1))]);
    // ELEC-13: from others it is an answer.
    election.hear(at(4), id(9), elect(3));
    election.hear(at(5), id(3), elect(1));
    assert_eq!(said(&mut election), []);
}

#[test]
fn a_contestant_opposes_a_higher_challenger_and_a_higher_leader() {
    // ELEC-11
    let mut election = member(&[]);
    election.contest(at(0));
    election.poll_leader();
    election.voter_came(at(1_000), id(9), false);
    said(&mut election);
    election.hear(at(1_001), id(9), elect(5));
    assert_eq!(said(&mut election), [(9, leader(5))]);
    election.hear(at(3_000), id(9), elect(9));
    assert_eq!(said(&mut election), [(9, elect(5))]);
    let mut election = member(&[9]);
    election.hear(at(0), id(9), leader(9));
    assert_eq!(election.poll_leader(), Some(id(9)));
    said(&mut election);
    election.contest(at(1));
    assert_eq!(said(&mut election), [(9, elect(5))]);
}

#[test]
fn challenges_of_nodes_that_were_not_met_are_followed_and_they_do_not_lead() {
    // ELEC-13
    let mut election = member(&[7, 9]);
    election.hear(at(0), id(7), elect(1));
    assert_eq!(said(&mut election), [(9, elect(1))]);
    election.hear(at(1), id(9), elect(1));
    assert_eq!(said(&mut election), [(7, elect(1))]);
    // ELEC-21
    election.hear(at(2), id(9), leader(1));
    assert_eq!(said(&mut election), [(7, leader(1)), (9, leader(1))]);
    election.hear(at(3), id(7), leader(1));
    assert_eq!(said(&mut election), []);
    // ELEC-22
    assert_eq!(election.leader(), None);
    // Met now, it says so itself.
    election.voter_came(at(10), id(1), false);
    election.hear(at(11), id(1), elect(1));
    election.hear(at(12), id(1), leader(1));
    assert_eq!(election.poll_leader(), Some(id(1)));
}

#[test]
fn nobody_leads_because_others_say_so() {
    // ELEC-22
    let mut election = member(&[1, 7, 9]);
    election.hear(at(0), id(7), leader(1));
    election.hear(at(0), id(9), leader(1));
    election.hear(at(0), id(9), leader(2));
    assert_eq!(election.leader(), None);
    election.hear(at(1), id(7), leader(7));
    assert_eq!(election.poll_leader(), Some(id(7)));
    // Nor does anybody depose it so.
    election.hear(at(2), id(9), leader(9));
    election.hear(at(2), id(1), leader(9));
    assert_eq!(election.leader(), Some(id(7)));
    // Only one that is lower, or itself.
    election.hear(at(3), id(1), leader(1));
    assert_eq!(election.poll_leader(), Some(id(1)));
    election.hear(at(4), id(1), elect(9));
    assert_eq!(election.poll_leader(), Some(id(7)));
}

#[test]
fn a_leader_that_is_gone_is_succeeded() {
    // ELEC-15
    let mut election = member(&[1, 7]);
    election.contest(at(0));
    election.hear(at(1), id(1), elect(1));
    election.hear(at(1), id(7), elect(1));
    election.hear(at(2), id(1), leader(1));
    assert_eq!(election.poll_leader(), Some(id(1)));
    said(&mut election);
    election.voter_gone(at(9_000), id(1));
    assert_eq!(election.leader(), None);
    assert_eq!(said(&mut election), [(7, elect(5))]);
    election.voter_gone(at(9_001), id(7));
    assert_eq!(election.poll_leader(), Some(id(5)));
}

#[test]
fn the_end_of_a_challenger_ends_its_wave_and_the_end_of_another_does_not() {
    // ELEC-15
    let mut election = member(&[1, 2, 9]);
    election.contest(at(0));
    election.hear(at(1), id(1), elect(1));
    said(&mut election);
    election.voter_gone(at(2), id(2));
    assert_eq!(said(&mut election), []);
    election.hear(at(3), id(9), elect(1));
    assert_eq!(said(&mut election), [(1, elect(1))], "all that are left");
    election.voter_gone(at(600), id(1));
    assert_eq!(said(&mut election), [(9, elect(5))]);
}

#[test]
fn who_goes_back_on_a_wave_is_told_it_again() {
    // ELEC-14
    let mut election = member(&[1, 7]);
    election.hear(at(0), id(1), elect(1));
    election.hear(at(1), id(7), elect(1));
    assert_eq!(said(&mut election), [(7, elect(1)), (1, elect(1))]);
    election.hear(at(2), id(7), elect(7));
    assert_eq!(said(&mut election), [(7, elect(1))]);
    // The challenger itself gives up.
    election.hear(at(3), id(1), elect(7));
    assert_eq!(said(&mut election), [(1, elect(7)), (7, elect(7))]);
    election.hear(at(4), id(7), leader(7));
    assert_eq!(election.poll_leader(), Some(id(7)));
}

#[test]
fn who_comes_while_a_wave_runs_is_told_it_and_waited_for() {
    // ELEC-15
    let mut election = member(&[7]);
    election.contest(at(0));
    said(&mut election);
    election.voter_came(at(1), id(9), false);
    assert_eq!(said(&mut election), [(9, elect(5))]);
    election.hear(at(2), id(7), elect(5));
    assert_eq!(election.leader(), None);
    election.hear(at(3), id(9), elect(5));
    assert_eq!(election.leader(), Some(id(5)));
}

#[test]
fn only_the_leader_begins_anew_when_somebody_comes() {
    // ELEC-16
    let mut election = member(&[1]);
    election.contest(at(0));
    election.hear(at(1), id(1), elect(1));
    election.hear(at(2), id(1), leader(1));
    said(&mut election);
    election.voter_came(at(1_000), id(9), false);
    election.hear(at(1_500), id(1), elect(1));
    election.hear(at(1_501), id(9), elect(1));
    election.hear(at(1_502), id(1), leader(1));
    said(&mut election);
    assert_eq!(run_until(&mut election, at(60_000)), []);
    election.voter_gone(at(60_001), id(1));
    assert_eq!(said(&mut election), [(9, elect(5))]);
    election.hear(at(60_002), id(9), elect(5));
    assert_eq!(said(&mut election), [(9, leader(5))]);
    election.voter_came(at(61_000), id(1), false);
    assert_eq!(said(&mut election), [(1, elect(5)), (9, elect(5))]);
    // One that greeted anew may have forgotten it.
    election.hear(at(61_001), id(1), elect(5));
    election.hear(at(61_001), id(9), elect(5));
    said(&mut election);
    election.voter_came(at(62_000), id(9), false);
    assert_eq!(said(&mut election), [(1, elect(5)), (9, elect(5))]);
}

#[test]
fn a_leader_that_tells_nobody_who_comes_is_contested() {
    // ELEC-16
    let mut election = member(&[1]);
    election.contest(at(0));
    election.hear(at(1), id(1), elect(1));
    election.hear(at(2), id(1), leader(1));
    said(&mut election);
    election.voter_came(at(10_000), id(9), false);
    assert_eq!(run_until(&mut election, at(11_999)), []);
    let words = run_until(&mut election, at(12_000));
    assert_eq!(words, [(1, elect(5)), (9, elect(5))]);
    assert_eq!(election.leader(), Some(id(1)));
    run_until(&mut election, at(14_000));
    assert_eq!(election.leader(), Some(id(5)));
}

#[test]
fn a_leader_that_voters_do_not_believe_in_begins_anew_ever_more_seldom() {
    // ELEC-24
    let mut election = member(&[9]);
    election.contest(at(0));
    election.hear(at(1), id(9), elect(5));
    said(&mut election);
    let mut begun = Vec::new();
    let end = at(400_000);
    election.hear(at(2), id(9), leader(3));
    while let Some(due) = election.poll_timeout().filter(|due| *due <= end) {
        election.handle_timeout(due);
        for (_, word) in said(&mut election) {
            if word == elect(5) {
                begun.push(due.as_millis() / 1_000);
                election.hear(due, id(9), elect(5));
                said(&mut election);
            }
        }
    }
    assert_eq!(begun, [3, 9, 21, 45, 93, 153, 213, 273, 333, 393]);
    // As soon as it says the same there is nothing to do.
    election.hear(end, id(9), leader(5));
    assert_eq!(election.poll_timeout(), None);
}

#[test]
fn who_withdraws_leads_until_another_is_elected() {
    // ELEC-25
    let mut election = member(&[7, 9]);
    election.contest(at(0));
    election.hear(at(1), id(9), elect(9));
    election.hear(at(1), id(7), elect(5));
    election.hear(at(1), id(9), elect(5));
    assert_eq!(election.poll_leader(), Some(id(5)));
    said(&mut election);
    election.withdraw(at(2_000));
    let asked = [(7, leader(0)), (9, leader(0)), (7, elect(9)), (9, elect(9))];
    assert_eq!(said(&mut election), asked);
    assert_eq!(election.leader(), Some(id(5)));
    election.hear(at(2_001), id(9), elect(9));
    election.hear(at(2_002), id(7), elect(9));
    assert_eq!(said(&mut election), [(7, elect(9)), (9, elect(9))]);
    election.hear(at(2_003), id(9), leader(9));
    assert_eq!(election.poll_leader(), Some(id(9)));
    // It opposes nobody.
    said(&mut election);
    election.hear(at(9_000), id(7), elect(7));
    assert_eq!(said(&mut election), [(9, elect(7))]);
}

#[test]
fn who_withdraws_and_has_no_successor_leads_on() {
    // ELEC-25
    let mut election = member(&[9]);
    election.contest(at(0));
    election.hear(at(1), id(9), elect(5));
    said(&mut election);
    election.withdraw(at(1_000));
    assert_eq!(said(&mut election), [(9, leader(0))]);
    assert_eq!(election.leader(), Some(id(5)));
    // ELEC-16
    election.voter_came(at(2_000), id(7), false);
    assert_eq!(said(&mut election), [(7, elect(5)), (9, elect(5))]);
    election.hear(at(2_001), id(7), elect(5));
    election.hear(at(2_001), id(9), elect(5));
    let words = [
        (7, leader(5)),
        (9, leader(5)),
        (7, leader(0)),
        (9, leader(0)),
    ];
    assert_eq!(said(&mut election), words);
}

#[test]
fn a_contestant_succeeds_a_leader_that_would_rather_not_lead() {
    // ELEC-25
    let mut election = member(&[1]);
    election.contest(at(0));
    election.hear(at(1), id(1), elect(1));
    election.hear(at(2), id(1), leader(1));
    said(&mut election);
    election.hear(at(3_000), id(1), leader(0));
    assert_eq!(said(&mut election), [(1, elect(5))]);
    assert_eq!(election.leader(), Some(id(1)), "until another is elected");
    election.hear(at(3_001), id(1), elect(5));
    assert_eq!(said(&mut election), [(1, leader(5))]);
    assert_eq!(election.leader(), Some(id(5)));
}

#[test]
fn a_leader_that_is_mute_is_succeeded_when_a_wave_is_won_without_it() {
    // ELEC-22
    let mut election = member(&[1, 7, 9]);
    election.hear(at(0), id(1), leader(1));
    assert_eq!(election.leader(), Some(id(1)));
    election.hear(at(100), id(7), elect(7));
    // A claim alone does not depose it.
    let mut quick = member(&[1, 7]);
    quick.hear(at(0), id(1), leader(1));
    quick.hear(at(100), id(7), elect(7));
    quick.hear(at(200), id(7), leader(7));
    assert_eq!(quick.leader(), Some(id(1)));
    election.hear(at(2_100), id(7), leader(7));
    assert_eq!(election.leader(), Some(id(7)));
}

#[test]
fn one_that_is_asked_by_the_leader_stands() {
    // ELEC-25
    let mut election = member(&[1, 9]);
    election.contest(at(0));
    election.hear(at(1), id(1), elect(1));
    election.hear(at(2), id(1), leader(1));
    said(&mut election);
    election.hear(at(3_000), id(9), elect(5));
    assert_eq!(said(&mut election), [], "9 does not lead");
    election.hear(at(3_001), id(1), elect(5));
    assert_eq!(said(&mut election), [(1, elect(5)), (9, elect(5))]);
    election.hear(at(3_002), id(1), elect(5));
    election.hear(at(3_002), id(9), elect(5));
    assert_eq!(election.poll_leader(), Some(id(5)));
}

#[test]
fn a_wave_that_comes_to_nothing_is_not_waited_for_again() {
    // ELEC-30
    let mut election = member(&[1, 9]);
    election.contest(at(0));
    election.hear(at(1), id(1), elect(1));
    said(&mut election);
    let words = run_until(&mut election, at(5_001));
    assert_eq!(words, [(1, elect(1)), (1, elect(5)), (9, elect(5))]);
    // ELEC-31: answered, and no more.
    election.hear(at(5_002), id(1), elect(1));
    assert_eq!(said(&mut election), [(1, elect(1)), (9, elect(1))]);
    let words = run_until(&mut election, at(7_001));
    assert_eq!(words, [(1, leader(5)), (9, leader(5))]);
    assert_eq!(election.leader(), Some(id(5)));
    // Its own word still counts, and after a minute so does its wave.
    election.hear(at(70_000), id(1), elect(1));
    assert_eq!(said(&mut election), [(9, elect(1))]);
    election.hear(at(70_001), id(1), leader(1));
    assert_eq!(election.leader(), Some(id(1)));
}

#[test]
fn a_leader_of_c_zyre_whose_wave_hangs_leads_on() {
    // ELEC-30
    let mut election = Election::new(id(5));
    election.voter_came(at(0), id(1), true);
    election.voter_came(at(0), id(9), true);
    election.contest(at(0));
    election.hear(at(1), id(1), elect(1));
    election.hear(at(2), id(1), leader(1));
    said(&mut election);
    election.hear(at(1_000), id(1), elect(1));
    run_until(&mut election, at(60_000));
    assert_eq!(election.leader(), Some(id(1)));
    election.hear(at(61_000), id(1), elect(1));
    said(&mut election);
    election.hear(at(61_001), id(1), leader(1));
    assert_eq!(said(&mut election), [(1, leader(1)), (9, leader(1))]);
}

#[test]
fn who_was_answered_and_not_waited_for_is_owed_a_leader() {
    // ELEC-31
    let mut election = member(&[1]);
    election.contest(at(0));
    election.hear(at(1), id(1), elect(1));
    run_until(&mut election, at(8_000));
    assert_eq!(election.leader(), Some(id(5)));
    election.hear(at(9_000), id(1), elect(1));
    assert_eq!(said(&mut election), [(1, elect(1))]);
    election.hear(at(9_001), id(1), leader(1));
    assert_eq!(said(&mut election), [(1, leader(1))]);
    assert_eq!(election.leader(), Some(id(1)));
}

#[test]
fn a_wave_that_is_begun_again_and_again_is_not_waited_for_any_longer() {
    // ELEC-30
    let mut election = member(&[1]);
    election.contest(at(0));
    for second in 0..5 {
        election.hear(at(1 + 1_000 * second), id(1), elect(1));
    }
    said(&mut election);
    assert_eq!(run_until(&mut election, at(5_001)), [(1, elect(5))]);
}

#[test]
fn invented_challengers_hold_nobody_up_for_long() {
    // ELEC-31
    let mut election = Election::new(id(200));
    election.voter_came(at(0), id(201), false);
    election.contest(at(0));
    said(&mut election);
    let mut now = at(0);
    for n in (1..100).rev() {
        now += Duration::from_millis(100);
        election.handle_timeout(now);
        election.hear(now, id(201), elect(n));
        said(&mut election);
    }
    assert_eq!(election.leader(), Some(id(200)));
}

#[test]
fn challenges_of_those_who_are_gone_do_not_go_round_for_ever() {
    // ELEC-31
    let mut election = member(&[1, 7]);
    election.voter_gone(at(0), id(1));
    election.hear(at(1), id(7), elect(1));
    assert_eq!(said(&mut election), []);
    // Nor of one that never was there, after the first time.
    election.hear(at(2), id(7), elect(2));
    assert_eq!(said(&mut election), [(7, elect(2))]);
    run_until(&mut election, at(5_002));
    election.hear(at(5_003), id(7), elect(2));
    election.hear(at(5_003), id(7), elect(3));
    assert_eq!(said(&mut election), []);
}

#[test]
fn eight_challengers_are_not_waited_for() {
    // ELEC-32
    let mut election = Election::new(id(200));
    election.contest(at(0));
    let mut now = at(1_000);
    for n in (1..=20).rev() {
        election.voter_came(now, id(n), false);
        election.hear(now, id(n), elect(n));
        now += Duration::from_secs(6);
        run_until(&mut election, now);
        election.check();
    }
    assert_eq!(election.suspects.distrusted(), 8);
}

#[test]
fn a_flood_of_challenges_is_said_sixteen_times_and_then_twice_a_second() {
    // ELEC-33
    let mut election = Election::new(id(250));
    let voters: Vec<u8> = (200..=220).collect();
    for voter in &voters {
        election.voter_came(at(0), id(*voter), false);
    }
    let mut words = 0;
    for n in 0..2_000_u64 {
        let now = Instant::from_micros(n * 2_000);
        let mut octets = [0; 16];
        octets[8..].copy_from_slice(&(u64::MAX - n).to_be_bytes());
        election.hear(now, id(220), Word::Elect(PeerId::from_bytes(octets)));
        words += said(&mut election).len();
    }
    // Twenty others are told, and the one who says it is answered.
    assert!(words <= (16 + 8) * 21, "{words}");
    // The last one counts.
    let mut last = [0; 16];
    last[8..].copy_from_slice(&(u64::MAX - 1_999).to_be_bytes());
    let words = run_until(&mut election, at(4_600));
    assert!(words.contains(&(200, Word::Elect(PeerId::from_bytes(last)))));
}

#[test]
fn our_own_wave_begins_at_most_twice_a_second() {
    // ELEC-33
    let mut election = member(&[9]);
    election.contest(at(0));
    election.hear(at(1), id(9), elect(5));
    said(&mut election);
    let mut begun = 0;
    for n in 2..3_000 {
        election.hear(at(n), id(9), elect(9));
        election.handle_timeout(at(n));
        for (_, word) in said(&mut election) {
            if word == elect(5) {
                begun += 1;
                election.hear(at(n), id(9), elect(5));
            }
        }
    }
    assert!((4..=6).contains(&begun), "{begun}");
}

#[test]
fn a_voter_that_missed_a_word_is_told_it() {
    // ELEC-4
    let mut election = member(&[1, 9]);
    election.hear(at(0), id(1), elect(1));
    said(&mut election);
    election.voter_missed(at(1), id(9));
    assert_eq!(said(&mut election), [(9, elect(1))]);
    election.hear(at(2), id(1), leader(1));
    said(&mut election);
    election.voter_missed(at(3), id(9));
    assert_eq!(said(&mut election), [(9, leader(1))]);
    election.voter_missed(at(3), id(77));
    assert_eq!(said(&mut election), vec![]);
}

#[test]
fn who_is_no_voter_is_not_heard() {
    // ELEC-1
    let mut election = member(&[9]);
    election.hear(at(0), id(1), elect(1));
    election.hear(at(0), id(1), leader(1));
    assert_eq!(said(&mut election), []);
    assert_eq!(election.leader(), None);
    assert_eq!(election.poll_timeout(), None);
}
