//! Who leads a group: `spec/election.md`.

mod budget;
mod suspects;
#[cfg(test)]
mod tests;
mod wave;

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use tracing::debug;

use self::budget::Budget;
use self::suspects::Suspects;
use self::wave::Wave;
use crate::{Instant, PeerId};

/// How long a contestant waits for the voters to answer its challenge: 2 s, for what is on its way in a bad network.
const ANSWERS: Duration = Duration::from_secs(2);

/// How long the wave of another may run without its LEADER: 5 s, longer than it waits itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the answer to whoever brought a wave waits for the others: 300 ms.
const ECHO: Duration = Duration::from_millis(300);

/// Our own wave begins at most once in this time: 500 ms.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a voter may say that another leads than us, who say that we do: 3 s, doubled each time.
const DISSENT: Duration = Duration::from_secs(3);

/// As long as that goes on: up to a minute.
const LONGEST_DISSENT: Duration = Duration::from_secs(60);

/// Who has not answered a wave for so long when it is won is mute: 1 s.
const MUTE: Duration = Duration::from_secs(1);

/// Who leads when the one who does would rather not: no UUID of anybody.
const NOBODY: PeerId = PeerId::from_bytes([0; 16]);

/// What members say to each other.
///
/// ```
/// use atonce::PeerId;
/// use atonce::zre::Word;
///
/// let id = PeerId::from_bytes([7; 16]);
/// assert_ne!(Word::Elect(id), Word::Leader(id));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// ELECT: this one wants to lead.
    Elect(PeerId),
    /// LEADER: this one leads.
    Leader(PeerId),
}

/// The election in one group, as one member takes part in it: a machine that knows nothing of links and messages.
///
/// The member says who the voters are (peers in the group that speak of elections), what they say, and what time it is. After
/// each call take what is to be said from [`poll_word`](Election::poll_word), who leads from
/// [`poll_leader`](Election::poll_leader), and come back at [`poll_timeout`](Election::poll_timeout).
///
/// ```
/// use atonce::zre::{Election, Word};
/// use atonce::{Instant, PeerId};
///
/// let (now, low, high) = (Instant::ZERO, PeerId::from_bytes([1; 16]), PeerId::from_bytes([2; 16]));
/// let mut election = Election::new(high);
/// election.contest(now);
/// assert_eq!(election.poll_leader(), Some(high), "nobody else is here");
///
/// election.voter_came(Instant::from_millis(600), low, false);
/// assert_eq!(election.poll_word(), Some((low, Word::Elect(high))));
/// // It is lower, and opposes; it has our support.
/// election.hear(Instant::from_millis(601), low, Word::Elect(low));
/// assert_eq!(election.poll_word(), Some((low, Word::Elect(low))));
/// election.hear(Instant::from_millis(602), low, Word::Leader(low));
/// assert_eq!(election.poll_leader(), Some(low));
/// ```
#[derive(Debug)]
pub struct Election {
    own: PeerId,
    contests: bool,
    voters: BTreeMap<PeerId, Voter>,
    wave: Option<Wave>,
    /// When our own wave began last.
    began: Option<Instant>,
    /// Our own wave is to begin, whoever leads.
    wants: bool,
    /// Somebody came whom the leader is to tell: since when it says nothing.
    watched: Option<Instant>,
    /// A challenger whose challenge we answered without following it: it is owed a LEADER.
    answered: Option<PeerId>,
    /// Who leads, as we said last.
    word: Option<PeerId>,
    /// We did not say so yet.
    word_owed: bool,
    /// We lead, and are to say that we would rather not.
    offer_owed: bool,
    /// When we said last that we lead.
    claimed: Instant,
    /// How long we bear that somebody says that another does.
    dissent: Duration,
    leader: Option<PeerId>,
    /// Who leads, as the application was told last, if that one is still here.
    told: Option<PeerId>,
    news: Option<PeerId>,
    suspects: Suspects,
    budget: Budget,
    words: VecDeque<(PeerId, Word)>,
}

/// What a voter said last.
#[derive(Clone, Copy, Debug, Default)]
struct Voter {
    /// Whom it supports in the contest that goes on.
    elect: Option<PeerId>,
    /// Who leads.
    leader: Option<PeerId>,
    /// When it said anything.
    spoke: Option<Instant>,
    /// It challenged or led by itself.
    contests: bool,
    /// It leads and would rather not.
    offers: bool,
    /// It counts messages, as C Zyre does, and its waves may hang though it lives.
    hangs: bool,
}

impl Election {
    /// The election of a member with this identity that does not contest, in a group without voters.
    pub fn new(own: PeerId) -> Self {
        Self {
            own,
            contests: false,
            voters: BTreeMap::new(),
            wave: None,
            began: None,
            wants: false,
            watched: None,
            answered: None,
            word: None,
            word_owed: false,
            offer_owed: false,
            claimed: Instant::ZERO,
            dissent: DISSENT,
            leader: None,
            told: None,
            news: None,
            suspects: Suspects::default(),
            budget: Budget::new(),
            words: VecDeque::new(),
        }
    }

    /// The member stands for leader.
    pub fn contest(&mut self, now: Instant) {
        // ELEC-10
        self.contests = true;
        self.offer_owed = false;
        self.advance(now);
    }

    /// The member does not stand any more. If it leads, it does so until another is elected.
    pub fn withdraw(&mut self, now: Instant) {
        self.contests = false;
        let leads = self.leader == Some(self.own);
        // It may be that somebody is to be told.
        self.wants &= leads;
        let ours = self.has_own_wave();
        self.offer_owed = leads;
        self.say_offer(now);
        let contestants = self.voters.iter().filter(|(_, voter)| voter.contests);
        // ELEC-25
        match contestants.map(|(id, _)| *id).next() {
            Some(other) if leads || ours => self.follow(now, other, None),
            _ if ours && !leads => self.wave = None,
            _ => {}
        }
        self.advance(now);
    }

    /// A peer is in the group and speaks of elections, from now on or as is known now; or it begins anew, and what it said does not
    /// count any more. `hangs`: it counts messages, as C Zyre does, so that its waves may come to nothing though it lives.
    pub fn voter_came(&mut self, now: Instant, peer: PeerId, hangs: bool) {
        let voter = Voter {
            hangs,
            ..Voter::default()
        };
        self.voters.insert(peer, voter);
        self.suspects.came(peer);
        if self.leader == Some(peer) {
            // It will say so again.
            self.leader = None;
        }
        self.dissent = DISSENT;
        self.tell_again(peer);
        // ELEC-16
        self.watched = self.watched.or(Some(now));
        self.advance(now);
    }

    /// A voter is gone, or not in the group any more.
    pub fn voter_gone(&mut self, now: Instant, peer: PeerId) {
        if self.voters.remove(&peer).is_none() {
            return;
        }
        for who in [&mut self.leader, &mut self.told, &mut self.word] {
            if *who == Some(peer) {
                *who = None;
            }
        }
        if self.news == Some(peer) {
            self.news = None;
        }
        // ELEC-15
        if let Some(wave) = &mut self.wave {
            wave.forget(peer);
        }
        self.wave = self.wave.take().filter(|wave| wave.challenger != peer);
        self.words.retain(|(to, _)| *to != peer);
        self.suspects.gone(now, peer);
        self.dissent = DISSENT;
        self.advance(now);
    }

    /// The application is told that a voter exited and entered again, though it stayed. Whether it is to be told as well that this
    /// one leads; if not, it is as soon as that is known again.
    pub(crate) fn is_led_anew_by(&mut self, peer: PeerId) -> bool {
        // ELEC-23
        let leads = self.leader == Some(peer);
        if !leads && self.told == Some(peer) {
            self.told = None;
        }
        leads
    }

    /// Something could not be said to a voter, and now there is room.
    pub fn voter_missed(&mut self, now: Instant, peer: PeerId) {
        if self.voters.contains_key(&peer) {
            // ELEC-4
            self.tell_again(peer);
            if self.wave.is_none()
                && let Some(word) = self.word.filter(|word| *word != self.own)
            {
                self.words.push_back((peer, Word::Leader(word)));
            }
            self.advance(now);
        }
    }

    /// A voter is to know what goes on.
    fn tell_again(&mut self, peer: PeerId) {
        match &self.wave {
            // ELEC-15
            Some(wave) if wave.was_said() && wave.challenger != peer => {
                self.words.push_back((peer, Word::Elect(wave.challenger)));
            }
            Some(_) => {}
            // ELEC-16
            None => self.wants = self.leader == Some(self.own),
        }
    }

    /// A peer said something. It means nothing unless the peer is a voter.
    pub fn hear(&mut self, now: Instant, from: PeerId, word: Word) {
        if self.leader == Some(from) {
            self.watched = None;
        }
        match word {
            Word::Elect(challenger) => self.challenged(now, from, challenger),
            Word::Leader(leader) => self.told_leader(now, from, leader),
        }
        self.advance(now);
    }

    fn challenged(&mut self, now: Instant, from: PeerId, challenger: PeerId) {
        let Some(voter) = self.voters.get_mut(&from) else {
            return;
        };
        let before = voter.elect.replace(challenger);
        voter.offers = false;
        voter.spoke = Some(now);
        if challenger == from {
            voter.contests = true;
        } else if voter.leader == Some(from) {
            // ELEC-22
            voter.leader = None;
        }
        if let Some(wave) = &self.wave {
            let running = wave.challenger;
            if running == from && challenger != from {
                // ELEC-14
                self.wave = None;
            } else if before == Some(running) && challenger > running {
                // ELEC-14
                self.words.push_back((from, Word::Elect(running)));
            }
        }
        self.consider(now, from, challenger);
    }

    /// Whether a challenge is to be followed.
    fn consider(&mut self, now: Instant, from: PeerId, challenger: PeerId) {
        let running = self.wave.as_ref().map(|wave| wave.challenger);
        if challenger == self.own {
            // An answer; or we are asked to stand.
            let asked =
                self.leader == Some(from) || self.leader.is_none_or(|leader| leader > self.own);
            self.wants |= running.is_none() && self.contests && asked;
            return;
        }
        // ELEC-13
        let stands = match self.voters.get(&challenger) {
            Some(voter) => voter.elect == Some(challenger),
            None => running != Some(challenger) && !self.suspects.is_ghost(now, challenger),
        };
        let again = running == Some(challenger) && from == challenger;
        // ELEC-11
        if !stands || running.is_some_and(|running| challenger >= running && !again) {
            return;
        }
        if self.contests && self.own < challenger {
            self.wants = true;
        } else if self.contests && self.suspects.is_distrusted(now, self.suspect(challenger)) {
            // ELEC-31
            if self.budget.take(now) {
                self.say_to_all(Word::Elect(challenger), None);
                self.answered = Some(challenger);
            }
        } else {
            let brought_by = if self.voters.contains_key(&challenger) {
                challenger
            } else {
                from
            };
            self.follow(now, challenger, Some(brought_by));
        }
    }

    fn told_leader(&mut self, now: Instant, from: PeerId, leader: PeerId) {
        let known = self.voters.contains_key(&leader);
        let Some(voter) = self.voters.get_mut(&from) else {
            return;
        };
        if leader == NOBODY && from != NOBODY {
            // ELEC-25
            voter.offers = true;
            return;
        }
        voter.offers = false;
        voter.spoke = Some(now);
        voter.leader = Some(leader);
        voter.contests |= leader == from;
        if leader == from && self.answered == Some(from) {
            // ELEC-31
            self.answered = None;
            self.word = Some(from);
            self.word_owed = true;
        }
        let Some(wave) = &mut self.wave else {
            return;
        };
        if leader == wave.challenger && leader != self.own && (leader == from || !known) {
            // ELEC-21
            if self.word != Some(leader) || !wave.led {
                self.word = Some(leader);
                self.word_owed = true;
            }
            wave.led = true;
            if known {
                let since = wave.since;
                if now >= since + MUTE {
                    self.depose_the_mute(since);
                }
                self.end_wave();
            }
        } else if from == wave.challenger && leader != from {
            // ELEC-14
            self.wave = None;
        }
        debug!(%now, %from, %leader, "leader");
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(wave) = &self.wave
            && wave.challenger != self.own
            && now >= wave.since + PATIENCE
        {
            // ELEC-30
            let challenger = wave.challenger;
            debug!(%challenger, "a wave that came to nothing");
            let stands = |(id, voter): (&PeerId, &Voter)| {
                (voter.elect == Some(*id) && *id != challenger).then_some(*id)
            };
            let next = self.voters.iter().find_map(stands);
            let suspect = self.suspect(challenger);
            let leads = self.leader == Some(challenger);
            // Its LEADER may still come.
            self.answered = Some(challenger);
            if let Some(voter) = self.voters.get_mut(&challenger)
                && !voter.hangs
            {
                self.wants |= self.contests;
                // ELEC-22: it is mute.
                voter.leader = None;
                self.suspects.distrust(now, suspect);
            } else if !leads {
                self.suspects.distrust(now, suspect);
            }
            self.end_wave();
            if let Some(next) = next.filter(|next| !self.contests || *next < self.own) {
                self.follow(now, next, Some(next));
            }
        }
        if self.has_dissent() && now >= self.claimed + self.dissent {
            // ELEC-24
            self.dissent = (self.dissent * 2).min(LONGEST_DISSENT);
            self.wants = true;
        }
        if self.is_watching() && self.watched.is_some_and(|since| now >= since + ANSWERS) {
            // ELEC-16
            self.watched = None;
            self.wants = true;
        }
        self.advance(now);
    }

    /// When [`handle_timeout`](Election::handle_timeout) is to be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let owed = self.word_owed
            || self.is_offering()
            || self.wave.as_ref().is_some_and(|wave| !wave.was_said());
        let budget = owed.then(|| self.budget.next());
        let wave = self.wave.as_ref().and_then(|wave| self.deadline_of(wave));
        let pause = self.began.map(|began| began + PAUSE);
        let start = self.is_to_begin().then_some(pause).flatten();
        let dissent = self.has_dissent().then(|| self.claimed + self.dissent);
        let watched = self.watched.filter(|_| self.is_watching());
        let watched = watched.map(|since| since + ANSWERS);
        [budget, wave, start, dissent, watched]
            .into_iter()
            .flatten()
            .min()
    }

    fn deadline_of(&self, wave: &Wave) -> Option<Instant> {
        if wave.challenger == self.own {
            return wave.said.map(|said| said + ANSWERS);
        }
        let patience = wave.since + PATIENCE;
        let echo = wave.said.filter(|_| wave.owes_answer());
        Some(echo.map_or(patience, |said| patience.min(said + ECHO)))
    }

    /// The next thing to say, and to which voter.
    pub fn poll_word(&mut self) -> Option<(PeerId, Word)> {
        let word = self.words.pop_front();
        if word.is_none() {
            self.words = VecDeque::new();
        }
        word
    }

    /// Who leads now, when that changed: a voter, or the member itself.
    pub const fn poll_leader(&mut self) -> Option<PeerId> {
        self.news.take()
    }

    /// Who leads now: a voter, or the member itself.
    pub const fn leader(&self) -> Option<PeerId> {
        self.leader
    }

    /// Whether the member stands for leader.
    pub const fn is_contesting(&self) -> bool {
        self.contests
    }

    // ---- what comes of it

    /// Goes on as far as it can.
    fn advance(&mut self, now: Instant) {
        self.decide();
        if self.is_to_begin() && self.began.is_none_or(|began| now >= began + PAUSE) {
            self.begin(now);
        }
        if self.wave.is_some() {
            self.wants = false;
            self.watched = None;
        }
        self.say_wave(now);
        self.answer_wave(now);
        if self.word_owed && (self.voters.is_empty() || self.budget.take(now)) {
            self.word_owed = false;
            if let Some(word) = self.word {
                self.say_to_all(Word::Leader(word), None);
            }
        }
        self.say_offer(now);
    }

    /// Says that we lead and would rather not, behind that we lead.
    fn say_offer(&mut self, now: Instant) {
        self.offer_owed &= self.leader == Some(self.own) && !self.contests;
        // ELEC-25
        if self.offer_owed && !self.word_owed && self.wave.is_none() && self.budget.take(now) {
            self.offer_owed = false;
            self.say_to_all(Word::Leader(NOBODY), None);
        }
    }

    /// Whether our own wave is to begin.
    fn is_to_begin(&self) -> bool {
        let without_leader = match self.leader {
            None => self.contests,
            Some(leader) if leader == self.own => self.word != Some(self.own),
            Some(leader) => self.contests && (self.own < leader || self.is_offered_by(leader)),
        };
        self.wave.is_none() && (self.wants || without_leader)
    }

    fn is_offering(&self) -> bool {
        self.offer_owed && self.wave.is_none()
    }

    /// Whether it is looked at what the leader does.
    fn is_watching(&self) -> bool {
        self.contests && self.leader.is_some_and(|leader| leader != self.own)
    }

    /// Whether the leader would rather not lead.
    fn is_offered_by(&self, leader: PeerId) -> bool {
        self.voters.get(&leader).is_some_and(|voter| voter.offers)
    }

    fn begin(&mut self, now: Instant) {
        debug!(%now, "contests");
        self.began = Some(now);
        // ELEC-20
        for voter in self.voters.values_mut() {
            voter.elect = None;
        }
        self.wave = Some(Wave::new(now, self.own, None));
    }

    fn follow(&mut self, now: Instant, challenger: PeerId, from: Option<PeerId>) {
        let before = self.wave.take();
        let mut wave = Wave::new(now, challenger, from);
        let suspect = self.suspect(challenger);
        if let Some(before) = before.filter(|before| self.suspect(before.challenger) == suspect) {
            // Whoever begins again and again is not waited for any longer.
            wave.since = before.since;
        }
        self.wave = Some(wave);
        if self.word == Some(self.own) {
            // ELEC-22: to support another is to take it back.
            self.word = None;
            self.word_owed = false;
        }
    }

    fn end_wave(&mut self) {
        self.wave = None;
        for voter in self.voters.values_mut() {
            voter.elect = None;
        }
    }

    fn say_wave(&mut self, now: Instant) {
        if let Some(wave) = &mut self.wave
            && !wave.was_said()
            && (self.voters.is_empty() || self.budget.take(now))
        {
            // ELEC-12
            wave.said = Some(now);
            let (challenger, from) = (wave.challenger, wave.from);
            self.say_to_all(Word::Elect(challenger), from);
        }
    }

    /// Answers the one who brought the wave; or leads, if it is our own.
    fn answer_wave(&mut self, now: Instant) {
        let Some(wave) = &mut self.wave else {
            return;
        };
        let Some(said) = wave.said else {
            return;
        };
        let challenger = wave.challenger;
        let mut voters = self.voters.values();
        let answered = voters.all(|voter| voter.elect == Some(challenger));
        if challenger == self.own {
            if answered || now >= said + ANSWERS {
                self.win(now);
            }
        } else if (answered || now >= said + ECHO)
            && let Some(from) = wave.take_answer()
        {
            // ELEC-12
            self.words.push_back((from, Word::Elect(challenger)));
        }
    }

    /// Our own wave is over.
    fn win(&mut self, now: Instant) {
        if let Some(wave) = &self.wave {
            let since = wave.since;
            self.depose_the_mute(since);
        }
        self.end_wave();
        // ELEC-20
        if self.lowest_claim().is_none_or(|claim| claim > self.own) {
            debug!(%now, "leads");
            self.word = Some(self.own);
            self.word_owed = true;
            self.claimed = now;
            self.offer_owed = !self.contests;
        }
        self.decide();
    }

    /// A wave is won: whoever said nothing since it began does not lead any more.
    fn depose_the_mute(&mut self, since: Instant) {
        for voter in self.voters.values_mut() {
            if voter.spoke.is_none_or(|spoke| spoke < since) {
                // ELEC-22
                voter.leader = None;
            }
        }
    }

    /// The lowest voter that says of itself that it leads.
    fn lowest_claim(&self) -> Option<PeerId> {
        let mut voters = self.voters.iter();
        voters
            .find(|(id, voter)| voter.leader == Some(**id))
            .map(|(id, _)| *id)
    }

    /// Finds out who leads.
    fn decide(&mut self) {
        let ours = self.word.filter(|word| *word == self.own);
        let claims = [self.lowest_claim(), ours];
        // ELEC-22
        let new = claims.into_iter().flatten().min();
        self.leader = new.or_else(|| self.leader.filter(|leader| self.holds_on(*leader)));
        let Some(leader) = self.leader else {
            return;
        };
        if self.told != self.leader {
            // ELEC-23
            self.told = self.leader;
            self.news = self.leader;
        }
        let opposed = self.contests && self.own < leader;
        let other = self.word.is_some_and(|word| word != leader);
        if new == Some(leader) && other && !opposed && self.wave.is_none() {
            // ELEC-21
            self.word = new;
            self.word_owed = true;
        }
    }

    /// Whether one that led is still here, and does not say that another does.
    fn holds_on(&self, leader: PeerId) -> bool {
        let word = if leader == self.own {
            Some(self.word)
        } else {
            self.voters.get(&leader).map(|voter| voter.leader)
        };
        word.is_some_and(|word| word.is_none_or(|word| word == leader))
    }

    fn has_own_wave(&self) -> bool {
        self.wave
            .as_ref()
            .is_some_and(|wave| wave.challenger == self.own)
    }

    /// Whether we say that we lead, and a voter that another does.
    fn has_dissent(&self) -> bool {
        let mut voters = self.voters.values();
        self.wave.is_none()
            && self.word == Some(self.own)
            && voters.any(|voter| voter.leader.is_some_and(|leader| leader != self.own))
    }

    fn say_to_all(&mut self, word: Word, but: Option<PeerId>) {
        let voters = self.voters.keys().filter(|id| Some(**id) != but);
        self.words.extend(voters.map(|id| (*id, word)));
    }

    /// Under which name a challenger is suspected.
    fn suspect(&self, challenger: PeerId) -> Option<PeerId> {
        Some(challenger).filter(|id| self.voters.contains_key(id))
    }

    /// Panics when something contradicts itself.
    #[cfg(any(test, feature = "fuzz"))]
    #[allow(clippy::panic)] // that is how it is told
    pub(crate) fn check(&self) {
        assert!(!self.voters.contains_key(&self.own), "votes for itself");
        self.suspects.check();
        assert!(self.words.is_empty(), "words are left");
        if let Some(leader) = self.leader {
            let here = leader == self.own || self.voters.contains_key(&leader);
            assert!(here, "{leader} leads and is not here");
        }
        if self.wave.is_some() || self.word_owed || self.is_to_begin() {
            assert!(self.poll_timeout().is_some(), "it never ends: {self:?}");
        }
    }

    /// The voters.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn voters(&self) -> impl Iterator<Item = PeerId> {
        self.voters.keys().copied()
    }
}
