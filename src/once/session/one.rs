//! The session with one peer.

use alloc::vec::Vec;
use core::time::Duration;

use super::allowance::Allowance;
use super::{Heard, Output, Turn, id, party};
use crate::curve::PublicKey;
use crate::once::Mechanism;
use crate::wire::Text;
use crate::wire::once::{
    Authenticate, Challenge, Code, Exchange, Limits, Message, Nope, Proof, Side, Unknown, V2,
};
use crate::{Frames, Instant};

/// What passes between two deadlines at the least.
pub(super) const LEAST: Duration = Duration::from_millis(1);
/// How long after a try that failed the next one begins.
const RETRY: Duration = Duration::from_secs(1);
/// How long nobody is challenged who failed in all tries; how often an answerer asks for a CHALLENGE.
const PAUSE: Duration = Duration::from_secs(60);
/// What a message of sessions may hold at most; a CHALLENGE with 16 mechanisms has less than 5 KiB.
const SESSION_OCTETS: usize = 8 << 10;

/// What is kept of a peer.
#[derive(Debug)]
pub(super) struct Session {
    /// Which it is of all that there were.
    number: u64,
    /// Ours. `None` for a peer with which there is nothing to prove: it is only answered.
    side: Option<Side>,
    /// What the link proved.
    key: Option<PublicKey>,
    proved: Option<Proved>,
    under_way: Option<UnderWay>,
    /// Tries that failed in a row.
    tries: u32,
    /// When to begin a try, or to ask for one, unless something comes before.
    act_at: Option<Instant>,
    /// Why nothing begins before `act_at`, whatever the peer says.
    pause: Option<Pause>,
    /// The peer exited, and is not to have new tries when it comes back at once.
    gone: bool,
    answers: Allowance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// All tries failed.
    Failed,
    /// The peer said STOP.
    Stopped,
    /// There is nothing that the peer could prove over this link.
    Hopeless,
}

/// What was said on the way to a proof, or is proved.
#[derive(Clone, Debug)]
struct Agreed {
    challenge: Challenge,
    /// Which of ours.
    mechanism: usize,
    name: Text,
    nonce: [u8; 32],
}

#[derive(Debug)]
struct Proved {
    agreed: Agreed,
    until: Instant,
}

/// Which of the messages a proof is in.
#[derive(Clone, Copy, Debug)]
enum What {
    Authenticate,
    Ok(u32),
    Stop(Side),
}

#[derive(Debug)]
enum UnderWay {
    /// We said CHALLENGE.
    Challenged {
        challenge: Challenge,
        until: Instant,
    },
    /// We said AUTHENTICATE.
    Answered { agreed: Agreed, until: Instant },
}

impl Session {
    pub(super) const fn new(
        now: Instant,
        number: u64,
        side: Option<Side>,
        key: Option<PublicKey>,
    ) -> Self {
        Self {
            number,
            side,
            key,
            proved: None,
            under_way: None,
            tries: 0,
            act_at: None,
            pause: None,
            gone: false,
            answers: Allowance::new(now),
        }
    }

    // ---- what the table asks

    pub(super) const fn is_proved(&self) -> bool {
        self.proved.is_some()
    }

    /// Whether there is somebody with whom something is to be proved.
    pub(super) const fn has_begun(&self) -> bool {
        self.side.is_some() && !self.gone
    }

    /// Who gives way first: those who are gone, those who are only answered, the oldest.
    pub(super) const fn worth(&self) -> (bool, bool, u64) {
        (!self.gone, self.side.is_some(), self.number)
    }

    pub(super) fn mechanism(&self, own: &super::Config) -> Option<&'static str> {
        let mechanism = self.proved.as_ref()?.agreed.mechanism;
        own.mechanisms.get(mechanism).map(Mechanism::name)
    }

    pub(super) fn may_answer(&mut self, now: Instant) -> bool {
        self.answers.take(now)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let until = self.proved.as_ref().map(|proved| proved.until);
        let under_way = self.under_way.as_ref().map(|under_way| match under_way {
            UnderWay::Challenged { until, .. } | UnderWay::Answered { until, .. } => *until,
        });
        [until, under_way, self.act_at].into_iter().flatten().min()
    }

    // ---- coming and going

    /// The peer is there.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>) {
        match self.side {
            Some(Side::Challenger) => self.challenge(turn),
            // ONCE-64
            Some(Side::Answerer) => self.act_at = Some(turn.now + turn.own.limits.proof_deadline),
            None => {}
        }
    }

    /// The peer exited. Whether it is to be remembered for a while.
    pub(super) fn exit(&mut self, now: Instant) -> bool {
        self.proved = None;
        self.under_way = None;
        // ONCE-69: whoever comes back is not to have three tries more.
        let failed = self.tries > 0 || self.pause == Some(Pause::Failed);
        self.gone = self.side == Some(Side::Challenger) && failed;
        if self.gone && self.pause.is_none() {
            self.act_at = Some(now + PAUSE);
        }
        self.gone
    }

    /// Whether a peer that enters is the one that is remembered.
    pub(super) fn is_remembered(&self, key: Option<PublicKey>) -> bool {
        self.gone && self.key == key
    }

    /// It is back, and goes on where it was.
    pub(super) fn come_back(&mut self, turn: &mut Turn<'_>) {
        // ONCE-69
        self.gone = false;
        if self.pause.is_none() {
            self.challenge(turn);
        } else if self.answers.take(turn.now) {
            turn.nope(id::NONE, Code::BUSY);
            turn.refused(Code::BUSY, false);
        }
    }

    /// We leave.
    pub(super) fn stop(&mut self, turn: &mut Turn<'_>) {
        let Some(Proved { agreed, .. }) = self.proved.take() else {
            return;
        };
        let Some(side) = self.side else { return };
        // ONCE-66: links are in order, so the other side has what we said last.
        let last = match self.under_way.take() {
            Some(UnderWay::Answered { agreed, .. }) => agreed,
            _ => agreed,
        };
        let proof = self.proof_of(turn, &last, last.mechanism, What::Stop(side));
        turn.send(V2::Stop { proof });
    }

    // ---- time

    /// Does what is due. Whether the peer may be forgotten.
    pub(super) fn is_due(&mut self, turn: &mut Turn<'_>) -> bool {
        let now = turn.now;
        if self.gone {
            return self.act_at.is_none_or(|at| at <= now);
        }
        self.lapse(turn);
        let late = match &self.under_way {
            Some(UnderWay::Challenged { until, .. } | UnderWay::Answered { until, .. }) => {
                *until <= now
            }
            None => false,
        };
        if late {
            // ONCE-64
            match self.side {
                Some(Side::Challenger) => self.failed(turn, Code::UNAUTHENTICATED, false),
                _ => {
                    self.under_way = None;
                    turn.refused(Code::UNAUTHENTICATED, false);
                    self.ask(turn, id::NONE);
                }
            }
        }
        if self.act_at.is_some_and(|at| at <= now) {
            self.act_at = None;
            match self.side {
                Some(Side::Challenger) => self.challenge(turn),
                Some(Side::Answerer) => {
                    if !self.is_proved() {
                        turn.refused(Code::UNAUTHENTICATED, false);
                    }
                    self.ask(turn, id::NONE);
                }
                None => {}
            }
        }
        false
    }

    /// What was proved is over when its time is.
    fn lapse(&mut self, turn: &mut Turn<'_>) {
        // ONCE-65
        if self.proved.as_ref().is_some_and(|it| it.until <= turn.now) {
            self.over(turn, false);
            if self.side == Some(Side::Answerer) {
                self.ask(turn, id::OK);
            }
        }
    }

    fn over(&mut self, turn: &mut Turn<'_>, stopped: bool) {
        if self.proved.take().is_some() {
            turn.output(Output::Over { stopped });
        }
    }

    /// Asks for a CHALLENGE, and will ask again.
    fn ask(&mut self, turn: &mut Turn<'_>, about: u8) {
        // ONCE-64
        turn.nope(about, Code::UNAUTHENTICATED);
        self.act_at = Some(turn.now + PAUSE);
    }

    // ---- the challenger

    fn challenge(&mut self, turn: &mut Turn<'_>) {
        let offered = match self.offered(turn) {
            Ok(offered) => offered,
            Err(code) => {
                // ONCE-62: that does not change while the link is there.
                self.pause = Some(Pause::Hopeless);
                self.act_at = None;
                turn.nope(id::NONE, code);
                return turn.refused(code, false);
            }
        };
        let challenge = Challenge {
            mechanisms: offered,
            nonce: turn.nonce(),
        };
        turn.send(V2::Challenge(challenge.clone()));
        self.pause = None;
        self.act_at = None;
        self.under_way = Some(UnderWay::Challenged {
            challenge,
            until: turn.now + turn.own.limits.proof_deadline,
        });
    }

    /// The names of what the peer could prove; or why there is nothing.
    fn offered(&self, turn: &Turn<'_>) -> Result<Vec<Text>, Code> {
        // ONCE-60
        let mut names = Vec::<Text>::new();
        for mechanism in self.usable(turn) {
            let name = Text::try_from(mechanism.name()).unwrap_or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if !names.is_empty() {
            return Ok(names);
        }
        Err(self.lacking(turn))
    }

    /// Our mechanisms under which the peer could come in, with its key.
    fn usable<'a>(&self, turn: &Turn<'a>) -> impl Iterator<Item = &'a Mechanism> {
        let (own, key) = (turn.own, self.key);
        let mechanisms = own.mechanisms.iter();
        mechanisms.filter(move |it| is_usable(own, it, key))
    }

    /// Why nothing can be proved.
    fn lacking(&self, turn: &Turn<'_>) -> Code {
        let listed = Mechanism::is_of_keys;
        let secure = self.key.is_some() && turn.own.key.is_some();
        if secure && turn.own.mechanisms.iter().any(listed) {
            Code::REFUSED
        } else {
            Code::MECHANISM
        }
    }

    /// A try failed.
    fn failed(&mut self, turn: &mut Turn<'_>, code: Code, us: bool) {
        // ONCE-64
        self.under_way = None;
        turn.refused(code, us);
        self.tries += 1;
        if self.tries < turn.own.limits.proof_tries {
            self.act_at = Some(turn.now + RETRY);
        } else {
            self.tries = 0;
            self.pause = Some(Pause::Failed);
            self.act_at = Some(turn.now + PAUSE);
        }
    }

    /// The peer asks for a CHALLENGE.
    fn asked(&mut self, turn: &mut Turn<'_>) {
        let idle = self.under_way.is_none() && self.pause.is_none();
        if idle && self.answers.take(turn.now) {
            self.challenge(turn);
        }
    }

    fn hear_authenticate(&mut self, turn: &mut Turn<'_>, said: Authenticate) {
        let Some(UnderWay::Challenged { challenge, .. }) = self
            .under_way
            .take_if(|under_way| matches!(under_way, UnderWay::Challenged { .. }))
        else {
            // ONCE-66: nobody asked, or it was answered already.
            return self.offence(turn, id::AUTHENTICATE, Code::UNEXPECTED);
        };
        let mut code = Code::MECHANISM;
        let mut agreed = Agreed {
            challenge,
            mechanism: 0,
            name: said.mechanism,
            nonce: said.nonce,
        };
        let mut right = None;
        if agreed.challenge.mechanisms.contains(&agreed.name) {
            code = Code::WRONG_PROOF;
            for (at, mechanism) in turn.own.mechanisms.iter().enumerate() {
                let named = agreed.name == *mechanism.name();
                if !named || !is_usable(turn.own, mechanism, self.key) {
                    continue;
                }
                let proof = self.proof_of(turn, &agreed, at, What::Authenticate);
                if proof == said.proof {
                    right = right.or(Some(at));
                }
            }
        }
        let Some(mechanism) = right else {
            turn.nope(id::AUTHENTICATE, code);
            return self.failed(turn, code, false);
        };
        agreed.mechanism = mechanism;
        // ONCE-65
        let good_for = turn.own.limits.proof_good_for.as_secs().max(1);
        let seconds = u32::try_from(good_for).unwrap_or(u32::MAX);
        let proof = self.proof_of(turn, &agreed, mechanism, What::Ok(seconds));
        turn.send(V2::Ok { proof, seconds });
        let good_for = Duration::from_secs(seconds.into());
        self.tries = 0;
        self.act_at = Some(turn.now + good_for * 3 / 4);
        self.prove(turn, agreed, good_for);
    }

    // ---- the answerer

    fn hear_challenge(&mut self, turn: &mut Turn<'_>, challenge: Challenge) {
        // ONCE-67: each costs an answer.
        if !self.answers.take(turn.now) {
            return;
        }
        let chosen = match self.chosen(turn, &challenge) {
            Ok(chosen) => chosen,
            Err(code) => {
                self.under_way = None;
                self.wait(turn);
                turn.nope(id::CHALLENGE, code);
                return turn.refused(code, false);
            }
        };
        let (mechanism, name) = chosen;
        let agreed = Agreed {
            challenge,
            mechanism,
            name,
            nonce: turn.nonce(),
        };
        let proof = self.proof_of(turn, &agreed, mechanism, What::Authenticate);
        turn.send(V2::Authenticate(Authenticate {
            mechanism: agreed.name.clone(),
            nonce: agreed.nonce,
            proof,
        }));
        self.act_at = None;
        self.under_way = Some(UnderWay::Answered {
            agreed,
            until: turn.now + turn.own.limits.proof_deadline,
        });
    }

    /// Of what is offered the first that we have as well.
    fn chosen(&self, turn: &Turn<'_>, challenge: &Challenge) -> Result<(usize, Text), Code> {
        // ONCE-60
        let own = &turn.own.mechanisms;
        let mut named = false;
        for name in &challenge.mechanisms {
            for (at, mechanism) in own.iter().enumerate() {
                if *name == *mechanism.name() {
                    if is_usable(turn.own, mechanism, self.key) {
                        return Ok((at, name.clone()));
                    }
                    named = true;
                }
            }
        }
        Err(if named {
            self.lacking(turn)
        } else {
            Code::MECHANISM
        })
    }

    fn hear_ok(&mut self, turn: &mut Turn<'_>, said: Proof, seconds: u32) {
        let Some(UnderWay::Answered { agreed, .. }) = self
            .under_way
            .take_if(|under_way| matches!(under_way, UnderWay::Answered { .. }))
        else {
            // ONCE-66
            return self.offence(turn, id::OK, Code::UNEXPECTED);
        };
        let proof = self.proof_of(turn, &agreed, agreed.mechanism, What::Ok(seconds));
        let code = if proof != said {
            Code::WRONG_PROOF
        } else if seconds == 0 {
            Code::MALFORMED
        } else {
            // ONCE-65: not for longer than we like, and we ask when it is not renewed.
            let said = Duration::from_secs(seconds.into());
            let good_for = said.min(turn.own.limits.proof_good_for);
            self.act_at = Some(turn.now + good_for * 7 / 8);
            return self.prove(turn, agreed, good_for);
        };
        self.wait(turn);
        turn.nope(id::OK, code);
        turn.refused(code, false);
    }

    /// Until the challenger tries again.
    fn wait(&mut self, turn: &Turn<'_>) {
        if !self.is_proved() {
            self.act_at = Some(turn.now + PAUSE);
        }
    }

    // ---- both

    /// Both have proved it.
    fn prove(&mut self, turn: &mut Turn<'_>, agreed: Agreed, good_for: Duration) {
        let mechanism = turn.own.mechanisms.get(agreed.mechanism);
        let mechanism = mechanism.map_or("", Mechanism::name);
        let until = turn.now + good_for;
        if self.proved.replace(Proved { agreed, until }).is_none() {
            turn.output(Output::Proved { mechanism });
        }
    }

    /// The proof of one of the texts of an exchange, under one of our mechanisms.
    fn proof_of(&self, turn: &Turn<'_>, agreed: &Agreed, mechanism: usize, what: What) -> Proof {
        // ONCE-61: who they are is what the link says.
        let (own, other) = (turn.own.party(), party(turn.peer, self.key));
        let (challenger, answerer) = match self.side {
            Some(Side::Answerer) => (other, own),
            _ => (own, other),
        };
        let exchange = Exchange {
            challenger,
            answerer,
            challenge: &agreed.challenge,
            mechanism: &agreed.name,
            nonce: &agreed.nonce,
        };
        let text = match what {
            What::Authenticate => exchange.authenticate(),
            What::Ok(seconds) => exchange.ok(seconds),
            What::Stop(side) => exchange.stop(side),
        };
        match turn.own.mechanisms.get(mechanism) {
            Some(mechanism) => mechanism.proof(&text),
            None => Proof::from_bytes([0; 32]),
        }
    }

    /// Refuses something, and tells so; nothing else happens. Not more often than is good.
    pub(super) fn offence(&mut self, turn: &mut Turn<'_>, about: u8, code: Code) {
        // ONCE-67
        if self.answers.take(turn.now) {
            turn.nope(about, code);
            turn.refused(code, false);
        }
    }

    /// What the peer said.
    pub(super) fn hear(&mut self, turn: &mut Turn<'_>, content: Frames) -> Heard {
        if self.gone {
            return Heard::Nothing;
        }
        self.lapse(turn);
        let (Some(&about), Some(&version)) = (
            content.first().and_then(|frame| frame.get(2)),
            content.first().and_then(|frame| frame.get(3)),
        ) else {
            return Heard::Nothing;
        };
        // ONCE-66: it means nothing, so it is nothing to be refused.
        if Unknown::new(version, about).is_some() {
            return Heard::Nothing;
        }
        let mut limits = Limits::default();
        if id::is_of_sessions(about) {
            limits.octets = SESSION_OCTETS;
        } else if version != 1 && !self.is_proved() {
            // ONCE-53: what is in it is not even looked at.
            self.offence(turn, about, Code::UNAUTHENTICATED);
            return Heard::Nothing;
        }
        match Message::decode(content, &limits) {
            Ok(Message::V1(message)) => Heard::V1(message),
            Ok(Message::V2(message)) => self.hear_v2(turn, message),
            Ok(Message::Unknown(_)) => Heard::Nothing,
            // What may be a record of ZRE/LOG: nobody answers that.
            Err(_) if version == 1 => Heard::Nothing,
            Err(_) => {
                // ONCE-66
                self.offence(turn, about, Code::MALFORMED);
                Heard::Nothing
            }
        }
    }

    fn hear_v2(&mut self, turn: &mut Turn<'_>, message: V2) -> Heard {
        let about = message.id();
        match (self.side, message) {
            (_, V2::Nope(nope)) => return self.hear_nope(turn, nope),
            (Some(_), V2::Stop { proof }) => self.hear_stop(turn, proof),
            (Some(Side::Answerer), V2::Challenge(said)) => self.hear_challenge(turn, said),
            (Some(Side::Challenger), V2::Authenticate(said)) => self.hear_authenticate(turn, said),
            (Some(Side::Answerer), V2::Ok { proof, seconds }) => self.hear_ok(turn, proof, seconds),
            // ONCE-66: of the other side, or of nobody.
            (_, V2::Challenge(_) | V2::Authenticate(_) | V2::Ok { .. } | V2::Stop { .. }) => {
                self.offence(turn, about, Code::UNEXPECTED);
            }
            (_, other) => return Heard::V2(other),
        }
        Heard::Nothing
    }

    fn hear_stop(&mut self, turn: &mut Turn<'_>, said: Proof) {
        // ONCE-66
        let side = match self.side {
            Some(Side::Challenger) => Side::Answerer,
            _ => Side::Challenger,
        };
        let Some(Proved { agreed, .. }) = &self.proved else {
            return self.offence(turn, id::STOP, Code::UNAUTHENTICATED);
        };
        if self.proof_of(turn, agreed, agreed.mechanism, What::Stop(side)) != said {
            return self.offence(turn, id::STOP, Code::WRONG_PROOF);
        }
        self.over(turn, true);
        self.under_way = None;
        self.pause = Some(Pause::Stopped);
        self.act_at = Some(turn.now + PAUSE);
    }

    fn hear_nope(&mut self, turn: &mut Turn<'_>, nope: Nope) -> Heard {
        let code = nope.code;
        let unproved = code == Code::UNAUTHENTICATED;
        match (self.side, nope.about) {
            (None, _) => {}
            (Some(Side::Challenger), id::CHALLENGE) => {
                if self.under_way.is_some() {
                    self.failed(turn, code, true);
                }
            }
            (Some(Side::Answerer), id::AUTHENTICATE) => {
                if self.under_way.take().is_some() {
                    self.wait(turn);
                    turn.refused(code, true);
                }
            }
            (Some(Side::Challenger), id::OK) => {
                if self.is_proved() {
                    // It does not believe us, or not any more.
                    self.over(turn, false);
                    if unproved {
                        self.asked(turn);
                    } else {
                        self.failed(turn, code, true);
                    }
                }
            }
            (Some(Side::Challenger), id::NONE) if unproved => self.asked(turn),
            (Some(_), id::NONE) => {
                if self.answers.take(turn.now) {
                    turn.refused(code, true);
                }
            }
            (Some(_), about) if id::is_of_sessions(about) => {}
            (Some(side), _) if unproved => {
                // To the other side there is no session.
                self.over(turn, false);
                match side {
                    Side::Challenger => self.asked(turn),
                    Side::Answerer => {
                        if self.under_way.is_none() {
                            self.act_at = Some(turn.now + turn.own.limits.proof_deadline);
                        }
                    }
                }
            }
            (Some(_), _) => {
                if self.is_proved() {
                    return Heard::V2(V2::Nope(nope));
                }
            }
        }
        Heard::Nothing
    }

    /// Something of ours was not sent.
    pub(super) fn unsent(&mut self, turn: &mut Turn<'_>, id: u8) {
        let again = Some(turn.now + RETRY);
        match (self.side, id) {
            (Some(Side::Challenger), id::CHALLENGE) => {
                self.under_way = None;
                self.act_at = again;
            }
            (Some(Side::Challenger), id::OK) => {
                self.over(turn, false);
                self.act_at = again;
            }
            (Some(Side::Answerer), id::AUTHENTICATE) => {
                self.under_way = None;
                self.wait(turn);
            }
            _ => {}
        }
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn check(&self) {
        assert!(self.side.is_some() || self.proved.is_none() && self.under_way.is_none());
        assert!(!self.gone || self.proved.is_none() && self.under_way.is_none());
        assert!(!self.gone || self.act_at.is_some());
        let side = self.under_way.as_ref().map(|under_way| match under_way {
            UnderWay::Challenged { .. } => Side::Challenger,
            UnderWay::Answered { .. } => Side::Answerer,
        });
        assert!(side.is_none() || side == self.side);
    }
}

/// Whether something can be proved under a mechanism to one with this key.
fn is_usable(own: &super::Config, mechanism: &Mechanism, key: Option<PublicKey>) -> bool {
    // ONCE-62
    let secure = own.key.is_some() && key.is_some();
    (secure || !mechanism.is_of_keys()) && mechanism.admits(key.as_ref())
}
