//! Who is said to leave, by itself or by another.

use atonce::wire::zre::Command;

use crate::support::{Lan, names, two};
use crate::{NOTHING, alice_and_puppet, hellos, ms};

#[test]
fn a_forged_goodbye_changes_nothing() {
    // ZRE-40
    let (mut lan, alice, bob) = two();
    let mallory = lan.puppet(66);
    let bobs = lan.id(bob);
    for _ in 0..30 {
        lan.puppet_beacons(mallory, bobs, 0);
        lan.run_for(ms(200));
    }
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.still_talk(alice, bob);
}

#[test]
fn a_goodbye_of_one_who_does_not_answer_is_believed_after_a_second() {
    // ZRE-40
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    lan.the_puppet(puppet).answers_pings = false;
    let id = lan.id(puppet);
    lan.puppet_beacons(puppet, id, 0);
    lan.run_for(ms(900));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.run_for(ms(200));
    assert_eq!(names(&lan.events(alice)), ["exit puppet left"]);
}

#[test]
fn a_goodbye_is_believed_at_once_when_the_link_closes_before_or_after_it() {
    // ZRE-40
    for beacon_first in [true, false] {
        let (mut lan, alice, puppet, link) = alice_and_puppet();
        let id = lan.id(puppet);
        if beacon_first {
            lan.puppet_beacons(puppet, id, 0);
            lan.run_for(ms(10));
            lan.puppet_closes(puppet, link);
        } else {
            lan.puppet_closes(puppet, link);
            lan.run_for(ms(10));
            lan.puppet_beacons(puppet, id, 0);
        }
        lan.run_for(ms(10));
        let left = names(&lan.events(alice));
        assert_eq!(left, ["exit puppet left"], "beacon first: {beacon_first}");
    }
}

#[test]
fn who_answers_and_then_closes_has_left_all_the_same() {
    // ZRE-41
    let (mut lan, alice, puppet, _) = alice_and_puppet();
    let id = lan.id(puppet);
    lan.puppet_beacons(puppet, id, 0);
    lan.run_for(ms(100));
    lan.kill(puppet);
    lan.run_for(ms(100));
    assert_eq!(names(&lan.events(alice)), ["exit puppet left"]);
}

#[test]
fn goodbye_over_the_link_is_a_suspicion_as_well() {
    // ZRE-40
    let (mut lan, alice, puppet, link) = alice_and_puppet();
    let sequence = lan.puppet_next(puppet, alice);
    lan.puppet_says(puppet, link, sequence, Command::Goodbye);
    lan.run_for(ms(2_000));
    assert_eq!(names(&lan.events(alice)), NOTHING);
    lan.kill(puppet);
    lan.run_for(ms(10));
    assert_eq!(names(&lan.events(alice)), ["exit puppet left"]);
}

/// A puppet that does as C Zyre: it forgets the node when anybody says goodbye in its name, and leaves alone what the node says
/// then. It greets at the node's next beacon, or when the node greets it, and hears it when the node greeted it since.
struct Forgetful {
    alice: usize,
    puppet: usize,
    link: Option<u64>,
    /// HELLOs that it had heard when it forgot.
    before: usize,
}

impl Forgetful {
    /// Ten milliseconds.
    fn live(&mut self, lan: &mut Lan, forged: bool, beacon: bool) {
        let heard = hellos(lan, self.puppet);
        if forged {
            if let Some(link) = self.link.take() {
                lan.puppet_closes(self.puppet, link);
            }
            self.before = heard;
        }
        let knows = heard > self.before;
        if self.link.is_none() && !forged && (beacon || knows) {
            let link = lan.puppet_greets(self.puppet, self.alice);
            lan.puppet_speaks(self.puppet, self.alice, link, 2);
            self.link = Some(link);
        }
        lan.the_puppet(self.puppet).answers_pings = knows;
        lan.run_for(ms(10));
    }

    /// Each knows the other.
    fn is_met(&self, lan: &mut Lan) -> bool {
        let id = lan.id(self.puppet);
        let here = lan.stack(self.alice).peer(id).is_some();
        here && self.link.is_some() && hellos(lan, self.puppet) > self.before
    }
}

#[test]
fn one_who_is_made_to_forget_us_by_datagrams_is_kept_out_no_longer_than_they_come() {
    // ZRE-24, ZRE-64
    for (period, both) in [
        (1, false),
        (10, false),
        (33, false),
        (100, false),
        (1, true),
        (33, true),
        (100, true),
    ] {
        let mut lan = Lan::new();
        let (alice, puppet) = (lan.node("alice"), lan.puppet(9));
        let (id, mallory) = (lan.id(puppet), lan.puppet(66));
        let link = lan.puppet_greets(puppet, alice);
        lan.puppet_speaks(puppet, alice, link, 2);
        lan.run_for(ms(50));
        let mut c = Forgetful {
            alice,
            puppet,
            link: Some(link),
            before: 0,
        };
        let (mut met, mut last) = (0, 0);
        for step in 0..4_500 {
            let forged = step < 3_000 && step % period == period - 1;
            if forged && both {
                lan.puppet_beacons(mallory, id, 0);
            }
            c.live(&mut lan, forged, step % 100 == 50);
            if c.is_met(&mut lan) {
                met += usize::from(step < 3_000);
            } else {
                last = step;
            }
        }
        // At our next beacon, and three seconds later at the latest.
        assert!(last < 3_000 + 410, "{period} {both}: out until {last}");
        assert_eq!(
            lan.stack(alice).peers().count(),
            1,
            "{period} {both}: at the end"
        );
        // They may come so often that nobody could be met between two of them; a second apart it is met for some of each.
        if period == 100 {
            assert!(met > 700, "{both}: met for {met} of 3,000");
        }
    }
}
