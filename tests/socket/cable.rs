//! REQ and REP on a wire that is cut after any octet: neither is ever stuck, and no answer is taken for one to another question.

use std::collections::VecDeque;

use atonce::socket::{Action, Config, Kind, ListenerId, RecvError, SendError, Socket};
use atonce::{Cut, Frames, Instant, LinkId};
use proptest::prelude::*;

/// Who asks, who answers, and the one wire between them. Octets arrive one by one.
struct Cable {
    now: Instant,
    /// The one who asks first.
    ends: [Socket; 2],
    dials: usize,
    listener: ListenerId,
    /// What both call the wire that is there now.
    wire: Option<[LinkId; 2]>,
    /// What is on its way to each of them. A cut loses it.
    on_the_way: [VecDeque<u8>; 2],
    /// After how many octets more the wire is cut, again and again.
    fuses: VecDeque<usize>,
    cuts: usize,
    /// Octets that arrived.
    arrived: usize,
    /// Whose octet arrives next, if both have one.
    next: usize,
}

impl Cable {
    fn new(req_dials: bool, correlate: bool, fuses: impl IntoIterator<Item = usize>) -> Self {
        let now = Instant::from_millis(1_000);
        let config = Config {
            correlate,
            ..Config::default()
        };
        let req = Socket::new(now, [1; 32], Kind::Req, config);
        let rep = Socket::new(now, [2; 32], Kind::Rep, Config::default());
        let mut ends = [req, rep];
        let dials = usize::from(!req_dials);
        let endpoint = "tcp://10.0.0.1:5555".parse().unwrap();
        let listener = ends[1 - dials].bind(now, &endpoint).unwrap();
        ends[dials].connect(now, &endpoint).unwrap();
        Self {
            now,
            ends,
            dials,
            listener,
            wire: None,
            on_the_way: Default::default(),
            fuses: fuses.into_iter().collect(),
            cuts: 0,
            arrived: 0,
            next: 0,
        }
    }

    /// Does what both want, and lets one octet arrive; whether there was any.
    fn step(&mut self) -> bool {
        self.act();
        for end in [self.next, 1 - self.next] {
            let Some(octet) = self.on_the_way[end].pop_front() else {
                continue;
            };
            let link = self.wire.unwrap()[end];
            self.ends[end].handle_received(self.now, link, &[octet]);
            self.arrived += 1;
            self.next = 1 - end;
            self.act();
            if let Some(fuse) = self.fuses.front_mut() {
                *fuse = fuse.saturating_sub(1);
                if *fuse == 0 {
                    self.fuses.pop_front();
                    self.cut();
                }
            }
            return true;
        }
        false
    }

    fn cut(&mut self) {
        self.cuts += 1;
        if let Some(wire) = self.wire.take() {
            self.on_the_way = Default::default();
            for (end, link) in wire.into_iter().enumerate() {
                self.ends[end].handle_disconnected(self.now, link, Cut::Reset);
            }
            self.act();
        }
    }

    fn act(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            quiet += 1;
            for end in 0..2 {
                while let Some(action) = self.ends[end].poll_action() {
                    quiet = 0;
                    match action {
                        Action::Dial { link, .. } => {
                            assert_eq!((end, self.wire), (self.dials, None));
                            let accepted =
                                self.ends[1 - end].handle_accepted(self.now, self.listener, None);
                            let mut wire = [link; 2];
                            wire[1 - end] = accepted.unwrap();
                            self.wire = Some(wire);
                            self.ends[end].handle_connected(self.now, link);
                        }
                        Action::Close { link } => {
                            if let Some(wire) = self.wire.take_if(|wire| wire[end] == link) {
                                // What was said before still arrives.
                                let there = 1 - end;
                                let last = std::mem::take(&mut self.on_the_way[there]);
                                let last = Vec::from(last);
                                self.on_the_way = Default::default();
                                self.ends[there].handle_received(self.now, wire[there], &last);
                                let cut = Cut::Closed;
                                self.ends[there].handle_disconnected(self.now, wire[there], cut);
                            }
                        }
                        Action::Pause { .. } => panic!("little is said"),
                        _ => {}
                    }
                }
                while self.ends[end].poll_event().is_some() {}
            }
            for end in 0..2 {
                let Some(wire) = self.wire else {
                    break;
                };
                let octets: Vec<u8> = self.ends[end]
                    .poll_transmit(wire[end])
                    .flatten()
                    .copied()
                    .collect();
                if !octets.is_empty() {
                    quiet = 0;
                    self.ends[end].handle_transmitted(self.now, wire[end], octets.len());
                    self.on_the_way[1 - end].extend(octets);
                }
            }
        }
    }

    /// Lets time pass until something is due; whether anything will be.
    fn wait(&mut self) -> bool {
        let deadlines = self.ends.iter().filter_map(Socket::deadline);
        let Some(at) = deadlines.min() else {
            return false;
        };
        self.now = self.now.max(at);
        for end in &mut self.ends {
            end.handle_timeout(self.now);
        }
        true
    }
}

/// What the two applications do besides.
#[derive(Clone, Debug, Default)]
struct Moods {
    /// How many octets arrive before a question is answered.
    thinks: usize,
    /// At which numbers of octets the question is given up.
    resets: Vec<usize>,
    /// At which of them the answer is.
    rep_resets: Vec<usize>,
}

/// Asks and answers until no more cuts are to come and three questions in a row got their answers. How many octets that took, and how
/// many questions were lost.
fn converse(cable: &mut Cable, moods: &Moods) -> (usize, usize) {
    let (mut question, mut waits) = (0_u32, false);
    let mut at_hand: Option<(String, usize)> = None;
    let (mut in_a_row, mut lost) = (0, 0);
    let (mut resets, mut rep_resets) = (moods.resets.clone(), moods.rep_resets.clone());
    resets.sort_by(|a, b| b.cmp(a));
    rep_resets.sort_by(|a, b| b.cmp(a));
    for _ in 0..100_000 {
        let now = cable.now;
        let arrived = cable.arrived;
        // The one who asks.
        let mut gives_up = false;
        if rep_resets.pop_if(|at| *at <= arrived).is_some() {
            cable.ends[1].reset(now);
            // Nobody answers this one: it has to have patience of its own.
            gives_up = at_hand.take().is_some();
        }
        gives_up |= resets.pop_if(|at| *at <= arrived).is_some();
        let req = &mut cable.ends[0];
        if gives_up {
            req.reset(now);
            waits = false;
            in_a_row = 0;
        }
        if waits {
            let could = req.can_recv();
            match req.recv(now) {
                Ok(None) => assert!(!could),
                Ok(Some(answer)) => {
                    assert_eq!(
                        answer,
                        Frames::from(format!("a{question}")),
                        "the answer to another question"
                    );
                    assert!(could);
                    waits = false;
                    in_a_row += 1;
                }
                Err(RecvError::PeerLost) => {
                    assert!(could);
                    waits = false;
                    in_a_row = 0;
                    lost += 1;
                }
                Err(error) => panic!("{error}"),
            }
            if !waits {
                assert_eq!(req.recv(now), Err(RecvError::OutOfTurn), "told once");
            }
        }
        if in_a_row >= 3 && cable.fuses.is_empty() {
            return (cable.arrived, lost);
        }
        if !waits && req.can_send() {
            question += 1;
            req.send(now, &Frames::from(format!("q{question}")))
                .unwrap();
            waits = true;
        }
        // The one who answers.
        let rep = &mut cable.ends[1];
        if at_hand.is_none()
            && let Some(asked) = rep.recv(now).unwrap()
        {
            let asked = String::from_utf8(asked[0].to_vec()).unwrap();
            at_hand = Some((asked.replace('q', "a"), arrived + moods.thinks));
        }
        let is_due = |(_, due): &mut (String, usize)| *due <= arrived;
        if let Some((answer, _)) = at_hand.take_if(is_due) {
            let sent = rep.send(now, &Frames::from(answer));
            assert!(
                matches!(sent, Ok(()) | Err(SendError::PeerLost)),
                "{sent:?}"
            );
            assert_eq!(
                rep.send(now, &Frames::from("again")),
                Err(SendError::OutOfTurn)
            );
        }
        if !cable.step() && !cable.wait() {
            // Nothing is on its way: who thinks does so no longer.
            match &mut at_hand {
                Some((_, due)) => *due = 0,
                None => panic!("stuck after {} octets", cable.arrived),
            }
        }
    }
    panic!("no end of it");
}

#[test]
fn a_cut_after_any_octet_loses_one_question_at_most() {
    // SOCK-45, SOCK-54, SOCK-57
    for (req_dials, correlate) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut cable = Cable::new(req_dials, correlate, []);
        let (whole, lost) = converse(&mut cable, &Moods::default());
        assert_eq!(lost, 0);
        assert!(whole > 200, "{whole}");
        let mut told = 0;
        for fuse in 1..=whole {
            let mut cable = Cable::new(req_dials, correlate, [fuse]);
            let (_, lost) = converse(&mut cable, &Moods::default());
            assert!(lost <= 1, "{fuse}");
            told += lost;
        }
        assert!(told > 10, "{told} of {whole}");
    }
}

#[test]
fn a_question_that_is_given_up_after_any_octet_is_never_answered_later() {
    // SOCK-47, SOCK-48, SOCK-56
    for (req_dials, correlate) in [(true, false), (true, true), (false, false), (false, true)] {
        for at in 0..300 {
            let mut cable = Cable::new(req_dials, correlate, []);
            let moods = Moods {
                thinks: at % 7,
                resets: vec![at],
                ..Moods::default()
            };
            assert_eq!(converse(&mut cable, &moods).1, 0, "{at}");
            let mut cable = Cable::new(req_dials, correlate, []);
            let moods = Moods {
                thinks: at % 7,
                rep_resets: vec![at],
                ..Moods::default()
            };
            assert_eq!(converse(&mut cable, &moods).1, 0, "{at}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_cut_and_given_up_the_next_question_gets_its_answer(
        req_dials: bool,
        correlate: bool,
        fuses in prop::collection::vec(1..400_usize, 0..8),
        thinks in 0..40_usize,
        resets in prop::collection::vec(0..1_500_usize, 0..4),
        rep_resets in prop::collection::vec(0..1_500_usize, 0..4),
    ) {
        // SOCK-45, SOCK-47, SOCK-54, SOCK-56
        let mut cable = Cable::new(req_dials, correlate, fuses.clone());
        let (_, lost) = converse(&mut cable, &Moods { thinks, resets, rep_resets });
        prop_assert_eq!(cable.cuts, fuses.len());
        prop_assert!(lost <= fuses.len(), "{} of {} cuts", lost, fuses.len());
    }
}
