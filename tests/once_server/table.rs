//! State × event: what either side of a session does. A change of the table is a change of the protocol that we speak: read
//! it, then say yes to it with `UPDATE_EXPECT=1 cargo test -p atonce --test once_server`.

use std::time::Duration;

use atonce::once::{Limits, Mechanism, Role};
use atonce::wire::once::{Message, Nope, Side as Which, Unknown, V2};
use atonce::{Frames, Instant, Peer};
use expect_test::expect_file;

use crate::pair::Side;
use crate::{
    Authenticate, Challenge, Code, Exchange, ZEROS, content, hmac, listed, party, peer, secret,
    secs, text,
};

/// The other side, by hand, and what it knows.
struct World {
    now: Instant,
    me: Side,
    other: Peer,
    which: Which,
    /// What was said last of each, by whomever.
    challenge: Challenge,
    answer: Authenticate,
    /// Both, of what was proved last.
    agreed: Option<(Challenge, Authenticate)>,
    said: Vec<String>,
}

fn challenge(name: &str) -> Challenge {
    Challenge {
        mechanisms: vec![text(name)],
        nonce: [7; 32],
    }
}

impl World {
    /// Of one side, to which the other entered.
    fn new(which: Which, mechanisms: Vec<Mechanism>) -> Self {
        let (role, other) = match which {
            Which::Challenger => (Role::Server, peer(2, Role::Bridge)),
            Which::Answerer => (Role::Bridge, peer(1, Role::Server)),
        };
        let octet = if role == Role::Server { 1 } else { 2 };
        let mut world = Self {
            now: Instant::ZERO,
            me: Side::with(octet, role, None, mechanisms, Limits::default()),
            other,
            which,
            challenge: challenge("SECRET"),
            answer: Authenticate {
                mechanism: text("SECRET"),
                nonce: [9; 32],
                proof: ZEROS,
            },
            agreed: None,
            said: Vec::new(),
        };
        world.me.enters(world.now, &world.other, None);
        world.look();
        world
    }

    fn exchange(&self) -> Exchange<'_> {
        Exchange {
            challenger: party(1, None),
            answerer: party(2, None),
            challenge: &self.challenge,
            mechanism: &self.answer.mechanism,
            nonce: &self.answer.nonce,
        }
    }

    /// What is said and told.
    fn look(&mut self) {
        for message in self.me.says() {
            self.said.push(format!("say {}", crate::short(&message)));
            match message {
                V2::Challenge(said) => self.challenge = said,
                V2::Authenticate(said) => self.answer = said,
                _ => {}
            }
        }
        let told = self.me.told();
        self.said.extend(told.iter().map(|it| format!("tell {it}")));
    }

    fn hear(&mut self, message: impl Into<Message>) {
        self.hear_octets(content(message));
    }

    fn hear_octets(&mut self, octets: Frames) {
        let heard = self.me.hears_octets(self.now, &self.other, octets);
        self.look();
        match heard {
            atonce::once::session::Heard::Nothing => {}
            _ => self.said.push("pass it on".into()),
        }
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.me.sessions.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.me.sessions.handle_timeout(at);
            self.look();
        }
        self.now = end;
    }

    /// The other side does what it should, so that both have proved it.
    fn prove(mut self) -> Self {
        if self.which == Which::Challenger {
            right_answer(&mut self);
        } else {
            let said = self.challenge.clone();
            self.hear(V2::Challenge(said));
            right_ok(&mut self);
        }
        assert!(self.me.sessions.mechanism(self.other.id).is_some());
        self.agreed = Some((self.challenge.clone(), self.answer.clone()));
        self
    }

    fn then(mut self, act: impl FnOnce(&mut Self)) -> Self {
        act(&mut self);
        self
    }

    /// What came of an event.
    fn outcome(mut self, act: fn(&mut Self)) -> String {
        self.said.clear();
        act(&mut self);
        let proved = match self.me.sessions.mechanism(self.other.id) {
            Some(_) => "proved",
            None if self.me.sessions.is_empty() => "nothing is kept",
            None => "not proved",
        };
        let said = match self.said.len() {
            0 => "-".into(),
            1..=12 => self.said.join("; "),
            // An hour of asking.
            _ => format!(
                "{}; … ; {}",
                self.said[..4].join("; "),
                self.said[self.said.len() - 2..].join("; ")
            ),
        };
        format!("{said} [{proved}]")
    }
}

fn right_answer(world: &mut World) {
    world.answer.nonce = [9; 32];
    world.answer.proof = hmac(b"s", &world.exchange().authenticate());
    let said = world.answer.clone();
    world.hear(V2::Authenticate(said));
}

fn wrong_answer(world: &mut World) {
    world.hear(V2::Authenticate(Authenticate {
        mechanism: text("SECRET"),
        nonce: [9; 32],
        proof: ZEROS,
    }));
}

fn right_ok(world: &mut World) {
    let proof = hmac(b"s", &world.exchange().ok(3_600));
    world.hear(V2::Ok {
        proof,
        seconds: 3_600,
    });
}

fn right_stop(world: &mut World) {
    let side = match world.which {
        Which::Challenger => Which::Answerer,
        Which::Answerer => Which::Challenger,
    };
    if let Some((challenge, answer)) = world.agreed.clone() {
        (world.challenge, world.answer) = (challenge, answer);
    }
    let proof = hmac(b"s", &world.exchange().stop(side));
    world.hear(V2::Stop { proof });
}

fn nope(world: &mut World, about: u8, code: Code) {
    world.hear(V2::Nope(Nope {
        about,
        code,
        text: text(""),
    }));
}

/// Something that happens, by its name.
type Happening = (&'static str, fn(&mut World));
/// How a world comes about, by its name.
type State = (&'static str, fn(Which) -> World);

const EVENTS: [Happening; 31] = [
    ("(nothing happens)", |_| ()),
    ("CHALLENGE", |it| {
        it.hear(V2::Challenge(challenge("SECRET")));
    }),
    ("CHALLENGE with nothing that we have", |it| {
        it.hear(V2::Challenge(challenge("CURVE")));
    }),
    ("AUTHENTICATE", right_answer),
    ("AUTHENTICATE, with a wrong proof", wrong_answer),
    ("AUTHENTICATE, under another mechanism", |it| {
        let said = Authenticate {
            mechanism: text("OPEN"),
            nonce: [9; 32],
            proof: ZEROS,
        };
        it.hear(V2::Authenticate(said));
    }),
    ("OK", right_ok),
    ("OK, with a wrong proof", |it| {
        it.hear(V2::Ok {
            proof: ZEROS,
            seconds: 60,
        });
    }),
    ("OK for 0 s", |it| {
        let proof = hmac(b"s", &it.exchange().ok(0));
        it.hear(V2::Ok { proof, seconds: 0 });
    }),
    ("NOPE 3 about 00", |it| {
        nope(it, 0x00, Code::UNAUTHENTICATED);
    }),
    ("NOPE 7 about 00", |it| nope(it, 0x00, Code::BUSY)),
    ("NOPE 5 about CHALLENGE", |it| {
        nope(it, 0x10, Code::MECHANISM);
    }),
    ("NOPE 4 about AUTHENTICATE", |it| {
        nope(it, 0x11, Code::WRONG_PROOF);
    }),
    ("NOPE 3 about OK", |it| {
        nope(it, 0x12, Code::UNAUTHENTICATED);
    }),
    ("NOPE 4 about OK", |it| nope(it, 0x12, Code::WRONG_PROOF)),
    ("NOPE 4 about STOP", |it| nope(it, 0x14, Code::WRONG_PROOF)),
    ("NOPE 3 about GET-ENDPOINTS", |it| {
        nope(it, 0x20, Code::UNAUTHENTICATED);
    }),
    ("NOPE 8 about GET-ENDPOINTS", |it| {
        nope(it, 0x20, Code::UNEXPECTED);
    }),
    ("STOP", right_stop),
    ("STOP, with a wrong proof", |it| {
        it.hear(V2::Stop { proof: ZEROS });
    }),
    ("GET-ENDPOINTS", |it| it.hear(V2::GetEndpoints)),
    ("a malformed OK", |it| {
        it.hear_octets(Frames::from(b"\xAA\xA2\x12\x02"));
    }),
    ("a malformed GET-ENDPOINTS", |it| {
        it.hear_octets(Frames::from(b"\xAA\xA2\x20\x02!"));
    }),
    ("what nobody knows", |it| {
        it.hear(Message::Unknown(Unknown::new(2, 0x7F).unwrap()));
    }),
    ("1 s passes", |it| it.pass(secs(1))),
    ("12 s pass", |it| it.pass(secs(12))),
    ("1 min passes", |it| it.pass(secs(60))),
    ("1 h passes", |it| it.pass(secs(3_600))),
    ("our last word is not sent", |it| {
        let last = match it.which {
            Which::Challenger if it.me.sessions.mechanism(it.other.id).is_some() => V2::Ok {
                proof: ZEROS,
                seconds: 1,
            },
            Which::Challenger => V2::Challenge(it.challenge.clone()),
            Which::Answerer => V2::Authenticate(it.answer.clone()),
        };
        let (now, other) = (it.now, it.other.id);
        it.me.sessions.handle_unsent(now, other, &content(last));
        it.look();
    }),
    ("it exits", |it| {
        it.me.sessions.handle_exited(it.now, it.other.id);
        it.look();
    }),
    ("it exits and enters", |it| {
        it.me.sessions.handle_exited(it.now, it.other.id);
        it.me.enters(it.now, &it.other, None);
        it.look();
    }),
];

fn table(which: Which, states: &[State]) -> String {
    let mut table = String::new();
    for (name, state) in states {
        table.push_str(&format!("== {name}\n\n"));
        let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
        for (event, act) in EVENTS {
            let outcome = state(which).outcome(act);
            match groups.iter_mut().find(|(found, _)| *found == outcome) {
                Some((_, events)) => events.push(event),
                None => groups.push((outcome, vec![event])),
            }
        }
        for (outcome, events) in groups {
            table.push_str(&format!("{outcome}\n"));
            for event in events {
                table.push_str(&format!("      at: {event}\n"));
            }
        }
        table.push('\n');
    }
    table
}

fn begun(which: Which) -> World {
    World::new(which, vec![secret("s")])
}

fn proved(which: Which) -> World {
    begun(which).prove()
}

#[test]
fn a_session() {
    let challenger = table(
        Which::Challenger,
        &[
            ("CHALLENGE was said", begun),
            ("it failed once", |it| begun(it).then(wrong_answer)),
            ("it failed three times", |it| {
                begun(it).then(|world| {
                    for _ in 0..3 {
                        wrong_answer(world);
                        world.pass(secs(1));
                    }
                })
            }),
            ("it has proved it", proved),
            ("it is to prove it again", |it| {
                proved(it).then(|world| world.pass(secs(2_700)))
            }),
            ("it said STOP", |it| proved(it).then(right_stop)),
            ("there is nothing that it could prove", |it| {
                World::new(it, vec![listed([2])])
            }),
        ],
    );
    let answerer = table(
        Which::Answerer,
        &[
            ("nothing was said", begun),
            ("AUTHENTICATE was said", |it| {
                begun(it).then(|world| world.hear(V2::Challenge(challenge("SECRET"))))
            }),
            ("it has proved it", proved),
            ("AUTHENTICATE was said again", |it| {
                proved(it).then(|world| {
                    world.pass(secs(2_700));
                    world.hear(V2::Challenge(challenge("SECRET")));
                })
            }),
            ("it said STOP", |it| proved(it).then(right_stop)),
        ],
    );
    let table = format!(
        "What each side of a session does under SECRET in each state at each event, which comes from the other side unless it \
         says otherwise. What is said stands before what is told.\n\n# The challenger\n\n{challenger}# The answerer\n\n{}\n",
        answerer.trim_end()
    );
    expect_file!["../snapshots/session.txt"].assert_eq(&table);
}
