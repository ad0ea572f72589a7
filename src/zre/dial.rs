//! One link that this node makes: to a mailbox it was told of.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smallvec::SmallVec;

use super::Limits;
use super::duplex::BACK_DEADLINE;
use super::keys::{Key, Proof};
use super::past::Place;
use super::rivals::Rival;
use super::sequence::Sender;
use crate::net::LinkId;
use crate::queue::Queue;
use crate::wire::Text;
use crate::wire::zre::{Command, Message};
use crate::{Instant, PeerId};

/// How long a connection and its ZMTP handshake may take.
const DIAL_DEADLINE: Duration = Duration::from_secs(5);

/// The pause between the first two tries to dial a peer that was ready: 250 ms, so that a killed peer is noticed
/// well within a second.
pub(super) const REDIAL_PAUSE: Duration = Duration::from_millis(250);

/// After how many refusals a mailbox that was up is gone.
const REFUSALS: u32 = 2;

/// The first pause before an endpoint is dialled again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A peer that greets again is greeted again, unless our last HELLO is younger than this: then theirs is the answer to
/// ours, and two honest nodes would greet each other for ever (C Zyre and Pyre answer within milliseconds, zyre.js only
/// at our next beacon, and then it wants another).
const GREETING_PAUSE: Duration = Duration::from_millis(400);

/// A HELLO that comes so long after our last one, and after a PING-OK, is of the peer's own accord. C Zyre forgets us when anybody
/// says goodbye in our name, and greets at our next beacon, a second later.
pub(super) const PACE: Duration = Duration::from_millis(900);

/// The most HELLOs to one endpoint within [`GREETINGS_WINDOW`], of those that may have answered each other.
const GREETINGS: usize = 4;

const GREETINGS_WINDOW: Duration = Duration::from_secs(10);

/// A hint that is not repeated is not tried anew after this: 15 s, for beacons that come seldom or are lost. (ZRE-11)
pub(super) const HINT: Duration = Duration::from_secs(15);

/// How often an endpoint is tried with the key of one who greets, when another key is told for it as well.
const DISPUTED: u32 = 3;

/// PINGs under way of which is remembered what their answers confirm.
const PINGS: usize = 16;

/// Whose link it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody greeted us from there yet.
    Nobody,
    /// A node greeted us over this accepted link and enters once our own link to it is up.
    Greeted { peer: PeerId, link: LinkId },
    /// A peer that is here.
    Peer(PeerId),
}

/// How far the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for its next try.
    Waiting,
    /// The connection or its handshake is under way, or before them the question whether its key may be spoken to.
    Dialling(LinkId),
    /// Messages can be sent.
    Up(LinkId),
}

/// One endpoint, dialled or to be dialled.
#[derive(Debug)]
// A node has thousands of these, and each message finds one outside the cache: what a message needs comes first.
#[repr(C)]
pub(super) struct Dial {
    pub(super) state: State,
    /// The peer was asked, by a PING with the number 65,535, what it makes of that number: after how many messages. What
    /// follows is held until it answers.
    pub(super) asked: Option<u64>,
    /// Instead of that it was asked whether it is still the one that was, since all links were cut: meanwhile PING and PING-OK are
    /// said.
    pub(super) resuming: bool,
    /// On the link that is up neither a HELLO of ours was said nor an answer given: whoever is there may not know us.
    pub(super) unknown: bool,
    /// An answer is wanted that confirms what was said, see [`Node::ask_for_confirmation`](super::Node::ask_for_confirmation).
    unsure: bool,
    /// Messages handed to the link since HELLO.
    sent: u64,
    /// What waits in the link's queue.
    pub(super) queued_octets: usize,
    pub(super) queued_messages: usize,
    /// When the network last took something of it.
    pub(super) taken_at: Option<Instant>,
    /// Groups of ours of which the other side believes the opposite: there was no room to say so (ZRE-81).
    pub(super) unsaid: BTreeSet<Text>,
    pub(super) sender: Sender,
    /// The status of our groups as the other side was told it last.
    pub(super) status: u8,
    /// The queue was found full and is watched.
    pub(super) full: bool,
    /// The application asked for it: it is tried for ever.
    pub(super) persistent: bool,
    /// It asked for this address itself, not only for a name that led here.
    pub(super) by_address: bool,
    pub(super) owner: Owner,
    /// What is to be said as soon as the link is up again, or the PING is answered.
    pub(super) held: VecDeque<Command>,
    /// After how many messages each PING under way was sent, and how many PINGs that stands for.
    pings: Queue<(u64, u32)>,
    /// How long answers take, of those who are asked for it.
    latency: Option<Box<Latency>>,
    /// Answers to PINGs of earlier conversations that did not come before those ended, and still may.
    owed: u32,
    /// How many of those that were sent are known to have arrived.
    confirmed: u64,
    /// How many were sent with the last one that somebody could miss: neither PING nor PING-OK.
    last_word: u64,
    /// When the link was cut last.
    cut_at: Option<Instant>,
    /// Messages that may have been lost when the link was cut.
    pub(super) lost: u64,
    /// When the last HELLO was said on the link, and the ones before it.
    pub(super) greeted_at: Option<Instant>,
    greetings: SmallVec<[Instant; 2]>,
    /// Who should be there: from a beacon, or proved by the mailbox's own Identity.
    pub(super) expect: Option<PeerId>,
    /// One who greeted us is to be there who can be spoken to on its own link: nobody else is to hear anything of us.
    pub(super) wary: bool,
    /// Who is there, as the mailbox itself says on the link that is up.
    pub(super) proved: Option<PeerId>,
    /// The host name it was looked up from, as an index into the node's targets.
    pub(super) target: Option<usize>,
    /// Nothing but a tuple leads there.
    pub(super) hinted_by_tuple: bool,
    /// Where the hint came from; hints are limited per source.
    pub(super) source: IpAddr,
    /// Our own address on the link, once it is connected.
    pub(super) local: Option<IpAddr>,
    /// When somebody last said that there is one here.
    pub(super) hinted: Instant,
    /// Since when the link is up, or was up last.
    pub(super) up_since: Option<Instant>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Of these, how many were refusals of a link that had been up.
    pub(super) refusals: u32,
    /// In a secure network, the keys that are told for the endpoint. Boxed: elsewhere there are none.
    pub(super) keyring: Option<Box<Keyring>>,
}

/// How long the answer to a PING takes.
#[derive(Debug, Default)]
struct Latency {
    /// The PING whose answer is awaited: after how many messages it was sent, and when.
    asked: Option<(u64, Instant)>,
    /// How long the last answer took.
    took: Option<Duration>,
}

/// Keys that are told for an endpoint.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    /// The one that whoever is there has to prove.
    pub(super) key: Option<Key>,
    /// The one that the application gave with the endpoint.
    pub(super) wanted: Option<Key>,
    /// Others, in the order of their turns.
    pub(super) rivals: Vec<Rival>,
    /// As whom the embedder said that the owner of the key may be spoken to.
    #[cfg(feature = "curve")]
    pub(super) user_id: Option<Text>,
}

impl Dial {
    pub(super) fn new(now: Instant, source: IpAddr, key: Option<Key>) -> Self {
        Self {
            keyring: key.map(|key| {
                Box::new(Keyring {
                    key: Some(key),
                    ..Keyring::default()
                })
            }),
            state: State::Waiting,
            owner: Owner::Nobody,
            expect: None,
            proved: None,
            wary: false,
            source,
            hinted: now,
            hinted_by_tuple: false,
            persistent: false,
            by_address: false,
            target: None,
            failures: 0,
            refusals: 0,
            up_since: None,
            local: None,
            sender: Sender::new(false),
            greeted_at: None,
            greetings: SmallVec::new(),
            sent: 0,
            confirmed: 0,
            last_word: 0,
            cut_at: None,
            owed: 0,
            pings: Queue::new(),
            latency: None,
            lost: 0,
            queued_octets: 0,
            queued_messages: 0,
            taken_at: None,
            full: false,
            status: 0,
            unsaid: BTreeSet::new(),
            asked: None,
            resuming: false,
            unknown: false,
            unsure: false,
            held: VecDeque::new(),
        }
    }

    pub(super) const fn link(&self) -> Option<LinkId> {
        match self.state {
            State::Waiting => None,
            State::Dialling(link) | State::Up(link) => Some(link),
        }
    }

    pub(super) const fn up(&self) -> Option<LinkId> {
        match self.state {
            State::Up(link) => Some(link),
            _ => None,
        }
    }

    /// The key that whoever is there has to prove.
    pub(super) fn key(&self) -> Option<Key> {
        self.keyring.as_ref()?.key
    }

    /// What whoever is there proved once the link is up.
    pub(super) fn proof(&self) -> Option<Proof> {
        let keyring = self.keyring.as_ref()?;
        Some(Proof {
            key: keyring.key?,
            #[cfg(feature = "curve")]
            user_id: keyring.user_id.clone(),
        })
    }

    /// How long the connection and its handshake may take.
    pub(super) const fn deadline(&self) -> Duration {
        // ZRE-142
        if self.wary {
            BACK_DEADLINE
        } else {
            DIAL_DEADLINE
        }
    }

    /// The key that the application gave with the endpoint.
    pub(super) fn wanted(&self) -> Option<Key> {
        self.keyring.as_ref()?.wanted
    }

    /// Other keys that are told for the endpoint.
    pub(super) fn rivals(&self) -> &[Rival] {
        self.keyring.as_ref().map_or(&[], |keyring| &keyring.rivals)
    }

    /// The keys, to change them.
    pub(super) fn keyring(&mut self) -> &mut Keyring {
        self.keyring.get_or_insert_default()
    }

    /// Remembers the key that the application gave.
    pub(super) fn want(&mut self, key: Option<Key>) {
        if key != self.wanted() {
            self.keyring().wanted = key;
        }
    }

    /// The endpoint, when it is this one, with its key.
    pub(super) fn place(&self, address: SocketAddr) -> Place {
        (address, self.key())
    }

    /// The peer that is here or about to be, when there is one.
    pub(super) const fn peer(&self) -> Option<PeerId> {
        match self.owner {
            Owner::Nobody => None,
            Owner::Greeted { peer, .. } | Owner::Peer(peer) => Some(peer),
        }
    }

    /// Whether we said HELLO so lately that one which comes now answers it.
    pub(super) fn has_just_greeted(&self, now: Instant) -> bool {
        self.greeted_at
            .is_some_and(|greeted| now - greeted < GREETING_PAUSE)
    }

    /// Whether one who greets us again is to be greeted again: not when it answers our last HELLO, and never so often
    /// that two nodes could keep each other busy.
    pub(super) fn may_greet_again(&self, now: Instant) -> bool {
        // ZRE-63
        if self.unknown {
            return true;
        }
        // ZRE-24
        let answer = self.greeted_at.is_none() || self.has_just_greeted(now);
        let storm = self.greetings.len() == GREETINGS
            && self
                .greetings
                .first()
                .is_some_and(|first| now - *first < GREETINGS_WINDOW);
        !answer && (!storm || self.is_paced(now))
    }

    /// Whether only a rumour leads there, and nobody goes on telling it.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        self.owner == Owner::Nobody && !self.persistent && now - self.hinted > HINT
    }

    /// How often it may fail in a row until it is given up, when those that nobody else wants may so often. `told`: a tuple
    /// stands that leads there.
    pub(super) fn patience(&self, limit: u32, told: bool) -> u32 {
        let other = self.persistent && self.key() != self.wanted();
        let disputed = !self.rivals().is_empty() && matches!(self.owner, Owner::Greeted { .. });
        if other || disputed {
            // ZRE-119
            limit.min(DISPUTED)
        } else if self.persistent || told {
            u32::MAX
        } else {
            limit
        }
    }

    /// Whether nobody listens there any more, as far as trying can tell.
    pub(super) const fn is_given_up(&self) -> bool {
        self.refusals >= REFUSALS
    }

    /// Whether a message of so many octets may be queued. One always may when nothing is.
    pub(super) fn has_room(&self, limits: &Limits, octets: usize) -> bool {
        // ZRE-81
        // Nothing overtakes what has to be said about our groups.
        self.unsaid.is_empty() && self.queue_has_room(limits, octets)
    }

    fn queue_has_room(&self, limits: &Limits, octets: usize) -> bool {
        self.queued_messages == 0
            || (self.queued_messages < limits.send_messages
                && self.queued_octets.saturating_add(octets) <= limits.send_octets)
    }

    /// We joined or left this group, and there is no room to say so. Twice is as good as never.
    pub(super) fn leave_unsaid(&mut self, group: &Text) {
        toggle(&mut self.unsaid, group);
    }

    /// A group of which the other side is to be told now, if there is room.
    pub(super) fn take_unsaid(&mut self, limits: &Limits) -> Option<Text> {
        let room = self.queue_has_room(limits, 0);
        room.then(|| self.unsaid.pop_first()).flatten()
    }

    /// A new conversation begins: HELLO comes next, with our groups and this status of them.
    pub(super) fn begin(&mut self, now: Instant, wraps_early: bool, status: u8) {
        if self.is_paced(now) {
            self.greetings.clear();
        }
        self.greeted_at = Some(now);
        if self.greetings.len() == GREETINGS {
            self.greetings.remove(0);
        }
        self.greetings.push(now);
        self.sender = Sender::new(wraps_early);
        self.sent = 0;
        self.confirmed = 0;
        self.last_word = 0;
        self.lost = 0;
        self.forget_pings();
        self.free();
        self.unknown = false;
        self.status = status;
        self.unsaid.clear();
    }

    /// Whether a HELLO that comes now is no answer to our last one: a PING was answered since, and some time passed.
    // ZRE-24
    pub(super) fn is_paced(&self, now: Instant) -> bool {
        self.confirmed > 0 && self.greeted_at.is_some_and(|at| now - at >= PACE)
    }

    /// How many messages were sent since HELLO.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// The link, when anything may be said on it now. (ZRE-19, ZRE-70)
    #[inline]
    pub(super) fn clear(&self) -> Option<LinkId> {
        self.up()
            .filter(|_| self.asked.is_none() && !self.sender.is_unsure())
    }

    /// Counts a message of so many octets that is said on the link; its number.
    #[inline]
    pub(super) fn number(&mut self, octets: usize) -> u16 {
        self.last_word = self.sent + 1;
        self.count(octets)
    }

    #[inline]
    fn count(&mut self, octets: usize) -> u16 {
        self.sent += 1;
        self.queued_octets += octets;
        self.queued_messages += 1;
        self.sender.take()
    }

    /// Whether nobody asks yet for an answer that confirms what was said; somebody does from now on.
    #[inline]
    pub(super) const fn is_first_unsure(&mut self) -> bool {
        !core::mem::replace(&mut self.unsure, true)
    }

    /// It is about to be asked, or has nothing to confirm: whether it is to be.
    pub(super) fn wants_confirmation(&mut self) -> bool {
        self.unsure = false;
        let last = self.last_word;
        let asked = self.pings.back_mut();
        let under_way = asked.is_some_and(|(sent, _)| *sent > last);
        self.is_in_doubt() && !under_way && self.up().is_some() && self.asked.is_none()
    }

    /// Whether something was said of which nobody knows that it arrived.
    const fn is_in_doubt(&self) -> bool {
        // ZRE-62
        self.confirmed < self.last_word
    }

    /// Whether this may be said on the link that is up.
    pub(super) const fn may_say(&self, command: &Command) -> bool {
        let first = matches!(command, Command::Ping | Command::PingOk);
        self.asked.is_none() || (self.resuming && first)
    }

    /// What is held until an answer comes or the link is up: octets of content, and messages.
    pub(super) fn held_load(&self) -> (usize, usize) {
        let octets = self.held.iter().map(|command| match command {
            Command::Whisper { content } | Command::Shout { content, .. } => content.octets(),
            _ => 0,
        });
        (octets.sum(), self.held.len())
    }

    /// Whether it was asked what it makes of the number 65,535.
    pub(super) const fn is_asked_to_wrap(&self) -> bool {
        self.asked.is_some() && !self.resuming
    }

    /// The link is up again, and so far nobody knows whether it is the peer's that was: a PING is to tell.
    pub(super) const fn resume(&mut self) {
        self.asked = Some(self.sent + 1);
        self.resuming = true;
        self.unknown = true;
    }

    /// Nothing has to wait for an answer any more.
    pub(super) const fn free(&mut self) {
        self.asked = None;
        self.resuming = false;
    }

    /// The same for a command of any kind.
    pub(super) fn number_command(&mut self, command: Command) -> Message {
        let mut message = Message {
            sequence: 0,
            command,
        };
        let octets = message.octets();
        message.sequence = match message.command {
            Command::Ping | Command::PingOk => self.count(octets),
            _ => self.number(octets),
        };
        if matches!(message.command, Command::Ping) {
            let full = self.pings.len() == PINGS;
            match self.pings.back_mut() {
                // The answers come in order: what stands for several confirms less than it could.
                Some((_, times)) if full => *times += 1,
                _ => self.pings.push_back((self.sent, 1)),
            }
        }
        message
    }

    /// A PING was answered: what was sent before it arrived. Unless a PING from before the last HELLO was not answered: then
    /// it may be that one, for so long after it.
    pub(super) fn answered(&mut self, now: Instant, patience: Duration) {
        // ZRE-62
        let early = self
            .greeted_at
            .max(self.cut_at)
            .is_some_and(|since| now - since < patience);
        if early && self.owed > 0 {
            self.owed -= 1;
            return;
        }
        self.owed = 0;
        let Some((sent, times)) = self.pings.front_mut() else {
            return;
        };
        self.confirmed = *sent;
        // ZRE-54
        if let Some(latency) = &mut self.latency
            && let Some((_, asked)) = latency.asked.take_if(|(asked, _)| asked == sent)
        {
            latency.took = Some(now - asked);
        }
        *times -= 1;
        if *times == 0 {
            self.pings.pop_front();
        }
        if self.asked.is_some_and(|asked| asked <= self.confirmed) {
            if !self.resuming {
                self.sender.wrap_late();
            }
            self.free();
            self.unknown = false;
        }
    }

    /// Whether a PING may be said only to know how long its answer takes: one at a time, and none that would stand for several.
    pub(super) fn may_be_timed(&self) -> bool {
        let awaited = self
            .latency
            .as_ref()
            .is_some_and(|latency| latency.asked.is_some());
        self.clear().is_some() && !awaited && self.pings.len() < PINGS
    }

    /// The PING that was just said is the one whose answer is timed.
    pub(super) fn time_answer(&mut self, now: Instant) {
        self.latency.get_or_insert_default().asked = Some((self.sent, now));
    }

    /// How long the last answer took that was timed.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.latency.as_ref().and_then(|latency| latency.took)
    }

    /// How many of the messages since HELLO are not known to have arrived.
    pub(super) const fn unconfirmed(&self) -> u64 {
        self.sent.saturating_sub(self.confirmed)
    }

    /// How many of them anybody could miss: neither HELLO nor PINGs.
    pub(super) fn unconfirmed_words(&self) -> u64 {
        let pings: u64 = self.pings.iter().map(|(_, times)| u64::from(*times)).sum();
        self.unconfirmed().saturating_sub(pings + 1)
    }

    /// The other side answered our last HELLO with its own: what it answers from now on was asked after that.
    pub(super) fn greeted_in_turn(&mut self) {
        self.owed = 0;
    }

    fn forget_pings(&mut self) {
        if let Some(latency) = &mut self.latency {
            latency.asked = None;
        }
        while let Some((_, times)) = self.pings.pop_front() {
            self.owed = self.owed.saturating_add(times);
        }
    }

    /// The link is gone: what was not confirmed may be lost.
    pub(super) fn cut(&mut self, now: Instant) {
        self.state = State::Waiting;
        self.free();
        self.cut_at = Some(now);
        // What nobody misses is nothing that is lost; whoever missed it all the same finds a gap.
        self.lost = if self.is_in_doubt() {
            self.unconfirmed()
        } else {
            0
        };
        self.forget_pings();
        self.queued_octets = 0;
        self.queued_messages = 0;
    }

    /// The peer is gone: what was held for it is not for whoever comes next.
    pub(super) fn lose_owner(&mut self) {
        self.owner = Owner::Nobody;
        self.full = false;
        if self.resuming {
            self.free();
        }
        if !self.held.is_empty() {
            // Nothing is held while the link is up, and nothing but this waits while it is not.
            for command in &self.held {
                // Our groups are for whoever goes on with the conversation.
                if let Command::Join { group, .. } | Command::Leave { group, .. } = command {
                    toggle(&mut self.unsaid, group);
                }
            }
            self.held.clear();
            self.queued_octets = 0;
            self.queued_messages = 0;
        }
    }

    /// Whether the link was up for so short a time that a new one may be of no more use: it is not dialled anew at once.
    pub(super) fn was_brief(&self, now: Instant) -> bool {
        self.up_since
            .is_some_and(|since| now - since < REDIAL_PAUSE)
    }

    /// How long to wait before the next try, without jitter.
    pub(super) fn pause(&self) -> Duration {
        (FIRST_PAUSE * 2_u32.pow(self.failures.saturating_sub(1).min(10))).min(LONGEST_PAUSE)
    }
}

fn toggle(groups: &mut BTreeSet<Text>, group: &Text) {
    if !groups.remove(group) {
        groups.insert(group.clone());
    }
}
