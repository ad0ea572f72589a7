//! Our links to the mailboxes of others: hints, tries, cuts (ZRE-10 to ZRE-16 and ZRE-60 to ZRE-63 of `spec/zre.md`).

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tracing::debug;

use super::Action;
use super::deadlines::Due;
use super::dial::{Dial, Owner, REDIAL_PAUSE, State};
use super::duplex::{BACK_DEADLINE, is_back};
use super::inbound::Role;
use super::keys::{Key, Standing};
use super::node::Node;
use super::relayed::is_relayed;
use super::{ExitReason, Lost, Peer, Presence};
use crate::endpoint::Endpoint;
use crate::net::{Cut, LinkId};
use crate::wire::zre::Command;
use crate::{Instant, PeerId};

/// How long the answer to our second HELLO may take to count as one.
const ANSWER: Duration = Duration::from_secs(3);

impl Node {
    /// ZRE-11. Notes a hint: somebody may be at this address, who is not dialled before `hold`. `false` when there are too many of
    /// them.
    pub(super) fn add_dial(
        &mut self,
        now: Instant,
        address: SocketAddr,
        mut dial: Dial,
        hold: Option<Instant>,
    ) -> bool {
        let mut pause = None;
        if !dial.persistent {
            // One who greets and is to be dialled where it speaks from is no rumour.
            let proved = dial.expect.is_none() && address.ip() == dial.source;
            if !self.make_room(now, dial.source, proved) {
                self.counters.hints_refused += 1;
                return false;
            }
            if !proved {
                dial.failures = self.past.failures(now, dial.place(address));
                pause = (dial.failures > 0).then(|| dial.pause());
            }
        }
        if let Some(id) = dial.expect {
            // ZRE-111. Only now, since it takes its time; what was proved is good.
            if !self.is_useful(dial.key()) {
                self.refuse_beacon();
                return false;
            }
            self.expected.insert(id, address);
        }
        self.dials.insert(address, dial);
        let at = pause.map(|pause| now + self.jitter(pause)).max(hold);
        match at {
            Some(at) => self.timers.set(Due::Dial(address), at),
            None => self.begin_dial(now, address),
        }
        true
    }

    /// ZRE-11. Whether there is room for a hint from this source. When there are too many hints, one of the source that
    /// has most gives way to a source that has fewer; when the source itself has too many, only one that failed, and only
    /// to one who greets.
    fn make_room(&mut self, now: Instant, source: IpAddr, proved: bool) -> bool {
        let limits = &self.config.limits;
        let same = self.dials.hints_from(source);
        let crowded = same >= limits.contacts_per_address;
        if !crowded && self.dials.hints() < limits.contacts {
            return true;
        }
        let from = match self.dials.most_hints() {
            Some((largest, count)) if !crowded && count > same => largest,
            _ if proved => source,
            // ZRE-150
            _ if self.give_up_old_tuple(now, source) => return true,
            _ => return false,
        };
        let rank = |dial: &Dial| {
            let waiting = dial.state == State::Waiting;
            (dial.owner == Owner::Nobody, waiting, dial.failures)
        };
        let worst = self
            .dials
            .hints_of(from)
            .filter(|(_, dial)| from != source || rank(dial) > (true, true, 0))
            .max_by_key(|(_, dial)| rank(dial))
            .map(|(address, _)| address);
        if let Some(worst) = worst {
            debug!(address = %worst, "gives way to another hint");
            self.give_up_dial(now, worst);
        }
        worst.is_some()
    }

    /// Lets a hint go that led nowhere so far, and with it who greeted us from there. How often it was tried is remembered.
    pub(super) fn give_up_dial(&mut self, now: Instant, address: SocketAddr) {
        let Some(dial) = self.dials.get(address) else {
            return;
        };
        let (owner, failures, persistent) = (dial.owner, dial.failures, dial.persistent);
        let place = dial.place(address);
        if let Owner::Greeted { peer, link } = owner {
            self.greeted.remove(&peer);
            self.close(link);
        }
        if failures > 0 && !persistent {
            self.past.note_failures(now, place, failures);
        }
        self.remove_dial(now, address);
    }

    /// Dials what the application asked for, with the key that it gave.
    pub(super) fn dial_for_ever(
        &mut self,
        now: Instant,
        address: SocketAddr,
        target: Option<usize>,
        key: Option<Key>,
    ) {
        if self.is_own(address) {
            debug!(%address, "not dialling ourselves");
            return;
        }
        if let Some(dial) = self.dials.get_mut(address) {
            dial.target = dial.target.or(target);
            dial.by_address |= target.is_none();
            dial.want(key);
            let rumour = dial.owner == Owner::Nobody && dial.up().is_none();
            let other = dial.key() != key;
            self.dials.persist(address);
            if rumour && other {
                // ZRE-121
                self.rekey(now, address, key, 0);
            }
            return;
        }
        let mut dial = Dial::new(now, address.ip(), key);
        dial.want(key);
        dial.persistent = true;
        dial.target = target;
        dial.by_address = target.is_none();
        self.add_dial(now, address, dial, None);
    }

    /// The application does not ask for this address any more, whatever names lead there.
    pub(super) fn forget_address(&mut self, now: Instant, address: SocketAddr) {
        if let Some(dial) = self.dials.get_mut(address) {
            dial.by_address = false;
            if dial.target.is_none() {
                self.release_dial(now, address);
            }
        }
    }

    /// Nobody asks for an endpoint any more. A link that is there stays, as if a hint had led to it; what is still on the way is
    /// given up.
    pub(super) fn release_dial(&mut self, now: Instant, address: SocketAddr) {
        let Some(dial) = self.dials.get_mut(address).filter(|dial| dial.persistent) else {
            return;
        };
        dial.want(None);
        let peer = matches!(dial.owner, Owner::Peer(_));
        let there = dial.up().is_some() || dial.owner != Owner::Nobody;
        let source = dial.source;
        dial.hinted = now;
        // ZRE-139, ZRE-11
        let stays = peer || there && self.make_room(now, source, true);
        self.dials.release(address);
        if !stays {
            self.give_up_dial(now, address);
        }
    }

    pub(super) fn begin_dial(&mut self, now: Instant, address: SocketAddr) {
        if is_back(address) {
            // Nobody is to be dialled there.
            return self.turn_back(now, address);
        }
        if is_relayed(address) {
            // ONCE-129
            return self.relay_ended(now, address);
        }
        let link = self.new_link();
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        dial.state = State::Dialling(link);
        dial.local = None;
        dial.proved = None;
        match dial.key() {
            // ZRE-114
            Some(key) => {
                let deadline = now + dial.deadline();
                self.timers.set(Due::Dial(address), deadline);
                self.ask(link, key, address);
            }
            None => self.dial(now, link, address),
        }
    }

    /// Makes a link to an endpoint, to which it may be made.
    pub(super) fn dial(&mut self, now: Instant, link: LinkId, address: SocketAddr) {
        self.links.insert(link, Role::Outbound(address));
        self.actions.push_back(Action::Dial { link, address });
        let dial = self.dials.get(address);
        let deadline = if is_relayed(address) {
            // The other one may come to the relay later.
            self.config.limits.hello_deadline
        } else {
            dial.map_or(Duration::ZERO, Dial::deadline)
        };
        self.timers.set(Due::Dial(address), now + deadline);
    }

    /// Does not wait any longer with the next try.
    pub(super) fn hurry_dial(&mut self, now: Instant, address: SocketAddr) {
        if self.dials.get(address).map(|dial| dial.state) == Some(State::Waiting) {
            self.begin_dial(now, address);
        }
    }

    /// The deadline of a dial: to begin its next try, or to give up the one under way.
    pub(super) fn dial_due(&mut self, now: Instant, address: SocketAddr) {
        let Some(dial) = self.dials.get(address) else {
            return;
        };
        match dial.state {
            // ZRE-150
            State::Waiting if dial.is_forgotten(now) && !self.tuples.leads_to(dial.expect) => {
                debug!(%address, "nobody speaks of it any more");
                if !self.next_key(now, address) {
                    self.give_up_dial(now, address);
                }
            }
            State::Waiting => self.begin_dial(now, address),
            State::Dialling(link) | State::Up(link) => {
                // No connection in time; or nobody greeted us from where our HELLO went.
                debug!(%address, "no answer in time");
                self.close(link);
                self.dial_ended(now, address, Cut::Unreachable);
            }
        }
    }

    /// A connection that was dialled is made; its ZMTP handshake comes next. `local` is our own address on it.
    pub fn handle_connected(&mut self, link: LinkId, local: SocketAddr) {
        if let Some(Role::Outbound(address)) = self.links.get(link)
            && let Some(dial) = self.dials.get_mut(*address)
        {
            dial.local = Some(local.ip());
        }
    }

    /// The handshake of a link we dialled is done.
    pub(super) fn dial_ready(
        &mut self,
        now: Instant,
        link: LinkId,
        address: SocketAddr,
        identity: &[u8],
    ) {
        let stated = PeerId::from_identity(identity);
        if self.is_stranger(now, link, address, stated) {
            return;
        }
        if let Some(id) = stated
            && !self.prove(now, link, address, id)
        {
            return;
        }
        let deadline = now + self.patience_for_answers();
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        if dial.link() != Some(link) {
            // Who waited for the end of the one that was there may have led elsewhere, and the link was given up.
            return;
        }
        dial.state = State::Up(link);
        dial.up_since = Some(now);
        dial.refusals = 0;
        match dial.owner {
            Owner::Peer(id) => {
                if let Some(record) = self.peers.get_mut(&id) {
                    record.reached = true;
                }
                self.timers.cancel(Due::Dial(address));
                self.link_restored(now, address, id);
            }
            Owner::Greeted { peer, link } => {
                self.timers.cancel(Due::Dial(address));
                self.greet_anew(now, address);
                self.enter(now, peer, link);
            }
            Owner::Nobody => {
                self.timers.set(Due::Dial(address), deadline);
                self.greet_anew(now, address);
            }
        }
    }

    /// ZRE-16: a mailbox that states its own identity proves who is there (atonce nodes do). `false` when the link is of no use
    /// then, and gone.
    fn prove(&mut self, now: Instant, link: LinkId, address: SocketAddr, id: PeerId) -> bool {
        let key = self.dials.get(address).and_then(Dial::key);
        if let Standing::Refused { holder, bridge } = self.standing(now, id, key) {
            // ZRE-116
            self.refuse(now, link, id, holder, bridge);
            self.past.shun(now, (address, key));
            self.lose_way(now, address);
            return false;
        }
        let elsewhere = self
            .peers
            .get(&id)
            .is_some_and(|peer| peer.address != address)
            || (self.greeted.get(&id).is_some_and(|other| *other != address)
                && self.greeted_with(id) == Some(key))
            || self.spoken_to_elsewhere(id, address, key).is_some();
        // ZRE-146
        if id == self.id || elsewhere {
            // Ourselves by another way, or one whom we reach already: a second HELLO would look like a restart.
            debug!(%address, %id, "this is somebody we know");
            self.close(link);
            self.lose_way(now, address);
            return false;
        }
        // Before anybody exits: a HELLO that waited for that is weighed by who is there.
        if let Some(dial) = self.dials.get_mut(address) {
            dial.proved = Some(id);
        }
        match self.dials.get(address).map(|dial| dial.owner) {
            Some(Owner::Peer(old))
                if old != id && self.past.newcomer_at(now, id, address.ip()).is_some() =>
            {
                // ZRE-28: its own beacon leads to it in time.
                self.close(link);
                self.exit(now, old, ExitReason::Lost(Lost::Displaced));
                return false;
            }
            Some(Owner::Peer(old)) if old != id => {
                self.exit_but_keep_dial(now, old, ExitReason::Lost(Lost::Displaced));
            }
            Some(Owner::Greeted { peer, link }) if peer != id => {
                self.greeted.remove(&peer);
                self.close(link);
                self.dials.own(address, Owner::Nobody);
            }
            _ => {}
        }
        self.expect(address, id);
        true
    }

    /// Where our HELLO went to a mailbox that stated this identity, at another address than this. (At the same address its successor has
    /// another port.)
    // ZRE-13, ZRE-16
    pub(super) fn spoken_to_elsewhere(
        &self,
        id: PeerId,
        address: SocketAddr,
        key: Option<Key>,
    ) -> Option<SocketAddr> {
        let &there = self.expected.get(&id)?;
        let dial = self.dials.get(there)?;
        let is_proved = dial.up().is_some() && dial.proved == Some(id) && dial.key() == key;
        (is_proved && there.ip() != address.ip()).then_some(there)
    }

    /// At this address is nobody whom we have to reach there.
    pub(super) fn lose_way(&mut self, now: Instant, address: SocketAddr) {
        match self.dials.get(address).map(|dial| dial.owner) {
            Some(Owner::Peer(old)) => {
                self.exit(now, old, ExitReason::Lost(Lost::Displaced));
            }
            Some(Owner::Greeted { peer, link }) => {
                self.greeted.remove(&peer);
                self.dials.own(address, Owner::Nobody);
                self.close(link);
                self.remove_dial(now, address);
            }
            Some(Owner::Nobody) | None => self.remove_dial(now, address),
        }
    }

    /// The key with which one greeted us who did not enter yet.
    pub(super) fn greeted_with(&self, id: PeerId) -> Option<Option<Key>> {
        let address = *self.greeted.get(&id)?;
        Some(self.dials.get(address)?.key())
    }

    /// ZRE-62: our link to a peer was cut and is up again. When nothing was lost the conversation goes on; else it begins anew, and
    /// the application is told what may be lost.
    fn link_restored(&mut self, now: Instant, address: SocketAddr, id: PeerId) {
        let (Some(dial), Some(record)) = (self.dials.get_mut(address), self.peers.get_mut(&id))
        else {
            return;
        };
        let messages = dial.lost;
        if record.inbound.is_none() {
            // ZRE-63. Both directions died.
            if messages > 0 || !self.may_go_on(address, id) {
                self.begin_anew(now, address, id, messages);
            } else {
                self.ask_to_go_on(now, address, id);
            }
            return;
        }
        if messages == 0 && self.may_go_on(address, id) {
            // Its own link may be that of a process that ended, of which we did not learn yet.
            return self.ask_to_go_on(now, address, id);
        }
        let (Some(_), Some(record)) = (self.dials.get(address), self.peers.get_mut(&id)) else {
            return;
        };
        if messages > 0 {
            debug!(%id, messages, "greeting anew after a cut");
            record.await_answer(now + ANSWER);
            // Whoever enters is ready; if it is still silent that is told anew.
            record.presence = Presence::Ready;
            record.untold = Some(record.untold.unwrap_or_default() + messages);
            self.tell(id);
            self.drop_question(id);
            self.greet_anew(now, address);
        }
        self.say_held(address);
        if messages > 0 {
            self.ask_on_new_link(id);
            // It forgets what was said before our HELLO.
            self.renew_voter(now, id);
        }
    }

    /// Says HELLO, with sequence 1, over a link that is up.
    pub(super) fn greet_anew(&mut self, now: Instant, address: SocketAddr) {
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        let early = dial
            .peer()
            .or(dial.expect)
            .is_some_and(|id| self.past.wraps_early(id));
        // ZRE-10
        dial.begin(now, early, self.status);
        // HELLO carries the groups as they are now.
        dial.held
            .retain(|command| !matches!(command, Command::Join { .. } | Command::Leave { .. }));
        let hello = self.hello(self.dials.get(address).and_then(|dial| dial.local));
        self.say(address, hello);
    }

    /// ZRE-64. One that entered by a HELLO that came after ours does not answer: it has forgotten us before that, or never heard
    /// ours, and leaves alone what we say.
    pub(super) fn greet_who_is_mute(&mut self, now: Instant, id: PeerId) {
        let Some(record) = self.peers.get_mut(&id) else {
            return;
        };
        let address = record.address;
        let Some(dial) = self.dials.get(address).filter(|dial| dial.up().is_some()) else {
            // It is greeted when our link is up again.
            return;
        };
        if !dial.may_greet_again(now) {
            return self.challenge_unknown(now, id);
        }
        debug!(%id, "does not know us");
        let messages = dial.unconfirmed();
        let misses = dial.unconfirmed_words() > 0;
        record.await_answer(now + ANSWER);
        if misses {
            record.presence = Presence::Ready;
            record.untold = Some(record.untold.unwrap_or_default() + messages);
            self.tell(id);
        }
        self.greet_anew(now, address);
        self.say_held(address);
        self.renew_voter(now, id);
    }

    /// A peer hung up when it was asked what it makes of the number 65,535: it knows no such number, and has forgotten us.
    /// Nothing is lost but the question, so the application need not know.
    pub(super) fn wraps_early(&mut self, now: Instant, address: SocketAddr, id: PeerId) {
        debug!(%id, "wraps early");
        self.past.note_early(now, id);
        if let Some(record) = self.peers.get_mut(&id) {
            record.await_answer(now + ANSWER);
        }
        self.greet_anew(now, address);
        self.say_held(address);
        self.renew_voter(now, id);
    }

    pub(super) fn say_held(&mut self, address: SocketAddr) {
        let held = match self.dials.get_mut(address) {
            Some(dial) => core::mem::take(&mut dial.held),
            None => return,
        };
        for command in held {
            self.say(address, command);
        }
        self.say_unsaid(address);
    }

    /// Says which groups we are in or not in by now, as far as there is room.
    fn say_unsaid(&mut self, address: SocketAddr) {
        while let Some(dial) = self.dials.get_mut(address)
            && dial.up().is_some()
            && dial.asked.is_none()
            && let Some(group) = dial.take_unsaid(&self.config.limits)
        {
            // ZRE-81
            let command = if self.groups.contains(&group) {
                Command::Join { group, status: 0 }
            } else {
                Command::Leave { group, status: 0 }
            };
            self.say(address, command);
        }
    }

    /// A link that we dialled is gone, or never came up.
    pub(super) fn dial_ended(&mut self, now: Instant, address: SocketAddr, cut: Cut) {
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        let was_up = dial.up().is_some();
        let limit = self.config.limits.dial_attempts;
        // ZRE-150
        let told = dial.hinted_by_tuple && self.tuples.leads_to(dial.expect);
        if is_relayed(address) {
            dial.cut(now);
            return self.relay_ended(now, address);
        }
        match dial.owner {
            Owner::Peer(id) if was_up => {
                debug!(%id, %address, ?cut, "link cut");
                if dial.is_asked_to_wrap() {
                    // It hung up right at the number that those who wrap early do not know.
                    dial.sender.wrap_early();
                    self.past.note_early(now, id);
                }
                dial.cut(now);
                dial.refusals = 0;
                if let Some(record) = self.peers.get_mut(&id) {
                    record.reached = false;
                }
                if dial.was_brief(now) {
                    // One that lets us in only to hang up, again and again, costs ever less.
                    dial.failures += 1;
                    let pause = dial.pause();
                    let pause = self.jitter(pause);
                    self.timers.set(Due::Dial(address), now + pause);
                } else {
                    dial.failures = 0;
                    // ZRE-60
                    self.begin_dial(now, address);
                }
            }
            Owner::Peer(id) => {
                dial.state = State::Waiting;
                dial.failures += 1;
                // ZRE-167
                let named = self.peers.get(&id).and_then(|peer| named_by(&peer.card));
                let elsewhere = named.is_some_and(|named| named != address.ip());
                // ZRE-147
                let speaks = dial.wary
                    && self.peers.get(&id).is_some_and(|peer| {
                        peer.inbound.is_some() && now - peer.spoke < BACK_DEADLINE
                    });
                let gone = matches!(cut, Cut::Refused | Cut::Reset | Cut::Closed);
                if speaks || elsewhere || gone {
                    dial.refusals += 1;
                }
                let (first, pause) = (dial.failures <= 1, dial.pause().max(REDIAL_PAUSE));
                // While it still speaks, what it says is heard to the end.
                let silent = self
                    .peers
                    .get(&id)
                    .is_none_or(|peer| peer.inbound.is_none());
                // ZRE-60
                if dial.is_given_up() && (silent || speaks || elsewhere) {
                    self.exit(now, id, ExitReason::Lost(Lost::Unreachable));
                } else {
                    // Whom a cut parted from many is not to come back to all of them in one step.
                    let pause = if first { pause } else { self.jitter(pause) };
                    self.timers.set(Due::Dial(address), now + pause);
                }
            }
            Owner::Greeted { peer, link } if dial.wary => {
                self.answer_back(now, address, peer, link);
            }
            Owner::Nobody | Owner::Greeted { .. } => {
                dial.cut(now);
                dial.greeted_at = None;
                dial.failures += 1;
                let given_up = dial.failures >= dial.patience(limit, told);
                if given_up {
                    debug!(%address, tries = dial.failures, "given up");
                    self.past.shun(now, dial.place(address));
                    if let Owner::Greeted { peer, link } = dial.owner {
                        self.greeted.remove(&peer);
                        self.dials.own(address, Owner::Nobody);
                        self.close(link);
                    }
                }
                if self.next_key(now, address) {
                    return;
                }
                let Some(dial) = self.dials.get_mut(address) else {
                    return;
                };
                if given_up {
                    self.remove_dial(now, address);
                } else if dial.target.is_some() && dial.owner == Owner::Nobody {
                    // The name may lead elsewhere by now.
                    self.remove_dial(now, address);
                } else {
                    let pause = dial.pause();
                    let pause = self.jitter(pause);
                    self.timers.set(Due::Dial(address), now + pause);
                }
            }
        }
    }

    /// Lets a dial go when its peer is gone: one that the application asked for waits for its next try.
    pub(super) fn remove_dial(&mut self, now: Instant, address: SocketAddr) {
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        self.timers.cancel(Due::Dial(address));
        if let Some(id) = dial.expect
            && self.expected.get(&id) == Some(&address)
        {
            self.expected.remove(&id);
        }
        let link = dial.link();
        let target = dial.target.filter(|_| dial.persistent);
        if dial.persistent && (target.is_none() || dial.by_address) {
            let mut anew = Dial::new(now, dial.source, dial.wanted());
            anew.want(dial.wanted());
            anew.persistent = true;
            anew.by_address = true;
            anew.failures = dial.failures.max(1) + 1;
            let pause = anew.pause();
            *dial = anew;
            let at = now + self.jitter(pause);
            // ZRE-28: nobody knows who will be there.
            let hold = self.past.newcomer_at(now, self.id, address.ip());
            self.timers
                .set(Due::Dial(address), hold.map_or(at, |hold| hold.max(at)));
        } else {
            self.dials.remove(address);
        }
        if let Some(target) = target {
            self.target_failed(now, target);
        }
        if let Some(link) = link {
            // What is queued is of no use to anybody now.
            self.close(link);
        }
    }

    /// Notes who is expected at an address.
    pub(super) fn expect(&mut self, address: SocketAddr, id: PeerId) {
        if let Some(dial) = self.dials.get_mut(address) {
            if let Some(before) = dial.expect.replace(id)
                && self.expected.get(&before) == Some(&address)
            {
                self.expected.remove(&before);
            }
            self.expected.insert(id, address);
        }
    }

    /// How much waits to be sent over a link now, and how much of it was just taken by the network.
    pub fn handle_sent(
        &mut self,
        now: Instant,
        link: LinkId,
        taken: usize,
        queued_octets: usize,
        queued_messages: usize,
    ) {
        let Some(address) = self.way(link) else {
            return;
        };
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        // What waits for an answer counts as well.
        let (held_octets, held_messages) = dial.held_load();
        let queued_octets = queued_octets.saturating_add(held_octets);
        let queued_messages = queued_messages.saturating_add(held_messages);
        dial.queued_octets = queued_octets;
        dial.queued_messages = queued_messages;
        if taken > 0 {
            dial.taken_at = Some(now);
        }
        let limits = &self.config.limits;
        let half =
            queued_octets <= limits.send_octets / 2 && queued_messages <= limits.send_messages / 2;
        if half && !dial.unsaid.is_empty() {
            self.say_unsaid(address);
        }
        let Some(dial) = self.dials.get_mut(address) else {
            return;
        };
        if dial.full
            && let Owner::Peer(id) = dial.owner
        {
            let limits = &self.config.limits;
            if half && dial.unsaid.is_empty() {
                dial.full = false;
                self.timers.cancel(Due::Overrun(id));
                self.say_missed_words(now, id);
            } else if taken > 0 {
                // It reads, only slowly.
                self.timers
                    .set(Due::Overrun(id), now + limits.send_deadline);
            }
        }
    }
}

/// The address that a peer named in its HELLO.
fn named_by(card: &Peer) -> Option<IpAddr> {
    let endpoint = Endpoint::try_from(&card.endpoint).ok()?;
    let ip = endpoint.socket_address()?.ip();
    Some(ip.to_canonical()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
}
