//! Another bridge that has proved that it may take part: its roster, and what goes to it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::own::OwnRoster;
use super::replica::Replica;
use super::window::{Shout, Window};
use crate::once::Limits;
use crate::wire::once::{
    Limits as WireLimits, Message, RemoteAgain, RemoteShout, RemoteWhisper, V2,
};
use crate::{Frames, PeerId, Text};

/// What a message costs besides its content.
const EACH: usize = 128;

/// What is known of a bridge, and for it. It outlives a lost link, so that numbers go on.
#[derive(Debug)]
pub(super) struct Far {
    /// Whether it has proved that it may take part, over a link that is there.
    pub(super) live: bool,
    /// Counts those that were lost: the lower, the longer ago.
    pub(super) lost: u64,
    pub(super) replica: Replica,
    /// Whether GET-ROSTER is under way.
    pub(super) asked: bool,
    /// Whether its roster went over the limits: nothing of it is taken while this link lasts.
    pub(super) excessive: bool,
    /// Epoch and number of the last whisper or shout of it that was taken.
    pub(super) taken: Option<(u64, u64)>,
    /// What it shouted.
    pub(super) heard: Window,
    /// What was shouted to it.
    said: Window,
    /// The number of the last whisper or shout for it.
    number: u64,
    feed: Feed,
    /// Whispers and shouts for it that nobody asked for yet; their numbers have no gap.
    queue: VecDeque<Item>,
    octets: usize,
    /// The last of them for a receiver from a sender.
    last: BTreeMap<(PeerId, PeerId), u64>,
    /// The last of them that says again what this one said.
    again: BTreeMap<u64, u64>,
    /// The last change that is in the last snapshot for it.
    snapshot: u64,
    /// Who said something that cannot go out, since it was not told of them.
    unsaid: Vec<PeerId>,
}

/// How far our roster was told.
#[derive(Debug)]
enum Feed {
    /// There is nobody to tell.
    Idle,
    /// These parts are to be told, and then the changes from this one on.
    Parts(VecDeque<Frames>, u64),
    /// The changes from this one on are to be told.
    Changes(u64),
}

/// A whisper or a shout that is to be sent.
#[derive(Debug)]
struct Item {
    number: u64,
    /// The last change of our roster when it was said.
    after: u64,
    from: PeerId,
    octets: usize,
    /// It cannot go out any more.
    is_stale: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    Whisper {
        to: PeerId,
        content: Frames,
    },
    Shout {
        group: Text,
        to: Vec<PeerId>,
        content: Frames,
    },
    Again {
        of: u64,
        to: Vec<PeerId>,
    },
}

/// What goes to a bridge, and who said it when it is a whisper or a shout.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) frames: Frames,
    pub(super) said: Option<Said>,
}

/// Who said something, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) from: PeerId,
    pub(super) number: u64,
}

impl Far {
    /// `number`: above which the numbers of what is said to it begin.
    pub(super) fn new(number: u64, limits: &Limits) -> Self {
        Self {
            live: false,
            lost: 0,
            replica: Replica::new(limits),
            asked: false,
            excessive: false,
            taken: None,
            heard: Window::default(),
            said: Window::default(),
            number,
            feed: Feed::Idle,
            queue: VecDeque::new(),
            octets: 0,
            last: BTreeMap::new(),
            again: BTreeMap::new(),
            snapshot: 0,
            unsaid: Vec::new(),
        }
    }

    /// The number of the last whisper or shout for it.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The octets that wait for it.
    pub(super) const fn octets(&self) -> usize {
        self.octets
    }

    /// It has proved that it may take part.
    pub(super) fn meet(&mut self, own: &OwnRoster) {
        self.live = true;
        // ONCE-83: who did not notice that the last session was over does not ask.
        self.feed = Feed::Changes(own.number().max(1));
    }

    /// It wants our roster.
    pub(super) fn feed(&mut self, own: &mut OwnRoster, epoch: u64, from: u64) {
        // ONCE-83
        if epoch == own.epoch() && own.reaches(from) {
            self.feed = Feed::Changes(from);
        } else {
            self.snapshot(own);
        }
    }

    fn snapshot(&mut self, own: &mut OwnRoster) {
        let (number, parts) = own.snapshot();
        if self.snapshot != number {
            self.snapshot = number;
            // The sender came and went while the changes were too many: nobody knows it there.
            for item in &mut self.queue {
                item.is_stale |= !own.contains(item.from);
            }
        }
        self.feed = Feed::Parts(parts.into(), number + 1);
    }

    /// Whether [`next`](Self::next) has something.
    pub(super) fn has_next(&self, own: &OwnRoster) -> bool {
        match &self.feed {
            Feed::Idle => false,
            Feed::Parts(..) => true,
            Feed::Changes(next) => *next <= own.number() || !self.queue.is_empty(),
        }
    }

    /// The next thing that is to go to it, in an order in which each sender is in the roster when something of it comes.
    pub(super) fn next(&mut self, own: &mut OwnRoster) -> Option<Outgoing> {
        // ONCE-81
        let roster = |frames| Outgoing { frames, said: None };
        if let Feed::Parts(parts, next) = &mut self.feed {
            if let Some(frames) = parts.pop_front() {
                if parts.is_empty() {
                    self.feed = Feed::Changes(*next);
                }
                return Some(roster(frames));
            }
            self.feed = Feed::Changes(*next);
        }
        let Feed::Changes(next) = self.feed else {
            return None;
        };
        while let Some(item) = self.queue.front().filter(|item| item.after < next) {
            let (from, is_stale) = (item.from, item.is_stale);
            let outgoing = self.pop(own.epoch());
            if !is_stale {
                return outgoing;
            }
            self.unsaid.push(from);
            self.forget_said();
        }
        if next > own.number() {
            return None;
        }
        match own.change(next) {
            Some(frames) => {
                self.feed = Feed::Changes(next + 1);
                Some(roster(frames))
            }
            // Those between are not known any more.
            None => {
                self.snapshot(own);
                self.next(own)
            }
        }
    }

    fn pop(&mut self, epoch: u64) -> Option<Outgoing> {
        let item = self.queue.pop_front()?;
        self.octets -= item.octets;
        let Item {
            number, from, what, ..
        } = item;
        let last = &mut self.last;
        let mut is_sent = |to: PeerId| {
            if last.get(&(from, to)) == Some(&number) {
                last.remove(&(from, to));
            }
        };
        let message = match what {
            What::Whisper { to, content } => {
                is_sent(to);
                V2::RemoteWhisper(RemoteWhisper {
                    epoch,
                    number,
                    from,
                    to,
                    content,
                })
            }
            What::Shout { group, to, content } => {
                to.iter().copied().for_each(is_sent);
                V2::RemoteShout(RemoteShout {
                    epoch,
                    number,
                    from,
                    group,
                    to,
                    content,
                })
            }
            What::Again { of, to } => {
                to.iter().copied().for_each(is_sent);
                if self.again.get(&of) == Some(&number) {
                    self.again.remove(&of);
                }
                V2::RemoteAgain(RemoteAgain {
                    epoch,
                    number,
                    of,
                    to,
                })
            }
        };
        Some(Outgoing {
            frames: Message::from(message).encode(),
            said: Some(Said { from, number }),
        })
    }

    /// Who said something that cannot go out.
    pub(super) fn take_unsaid(&mut self) -> Vec<PeerId> {
        core::mem::take(&mut self.unsaid)
    }

    /// A peer of ours whispered to one of its peers.
    pub(super) fn whisper(&mut self, after: u64, from: PeerId, to: PeerId, content: Frames) {
        let octets = content.octets();
        let number = self.push(after, from, octets, What::Whisper { to, content });
        self.last.insert((from, to), number);
    }

    /// A peer of ours shouted, and the stand-in of one of its peers heard it. Whether that makes a REMOTE-SHOUT: otherwise it joins one, or
    /// names one.
    ///
    /// `since` is the change with which the sender entered.
    pub(super) fn shout(
        &mut self,
        after: u64,
        since: u64,
        from: PeerId,
        group: Text,
        to: PeerId,
        content: Frames,
    ) -> bool {
        let Some(of) = self.said.same(from, &group, &content) else {
            let shout = What::Shout {
                group: group.clone(),
                to: Vec::from([to]),
                content: content.clone(),
            };
            let number = self.push(after, from, content.octets(), shout);
            self.last.insert((from, to), number);
            self.said.push(Shout {
                number,
                from,
                group,
                content,
            });
            return true;
        };
        // ONCE-103: nothing for that receiver from that sender stands behind it.
        let earlier = self.again.get(&of).copied().unwrap_or(of);
        let behind = self.last.get(&(from, to)).is_some_and(|it| *it >= earlier);
        if let Some(item) = self
            .at(earlier)
            .filter(|item| !behind && item.after >= since && !item.is_stale)
            && let What::Shout { to: all, .. } | What::Again { to: all, .. } = &mut item.what
            && all.len() < WireLimits::default().receivers
        {
            all.push(to);
            item.octets += size_of::<PeerId>();
            self.octets += size_of::<PeerId>();
            self.last.insert((from, to), earlier);
            return false;
        }
        let again = What::Again {
            of,
            to: Vec::from([to]),
        };
        let number = self.push(after, from, 0, again);
        self.again.insert(of, number);
        self.last.insert((from, to), number);
        false
    }

    fn at(&mut self, number: u64) -> Option<&mut Item> {
        let first = self.queue.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.queue.get_mut(at)
    }

    fn push(&mut self, after: u64, from: PeerId, octets: usize, what: What) -> u64 {
        self.number += 1;
        let octets = octets + EACH;
        self.octets += octets;
        self.queue.push_back(Item {
            number: self.number,
            after,
            from,
            octets,
            is_stale: false,
            what,
        });
        self.number
    }

    /// REMOTE-AGAIN must not name anything that was said so far.
    pub(super) fn forget_said(&mut self) {
        self.said.clear();
        self.again.clear();
    }

    /// The link is lost: who had said something that did not go out.
    pub(super) fn lose(&mut self) -> Vec<PeerId> {
        self.live = false;
        self.asked = false;
        self.excessive = false;
        self.replica.lose();
        self.heard.clear();
        self.forget_said();
        self.feed = Feed::Idle;
        self.octets = 0;
        self.last.clear();
        self.snapshot = 0;
        self.queue.drain(..).map(|item| item.from).collect()
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Far {
    /// What holds between any two inputs.
    pub(super) fn check(&self) {
        self.replica.check();
        assert_eq!(
            self.octets,
            self.queue.iter().map(|it| it.octets).sum::<usize>()
        );
        let first = self.queue.front().map_or(self.number + 1, |it| it.number);
        assert_eq!(first + self.queue.len() as u64, self.number + 1);
        for (at, item) in self.queue.iter().enumerate() {
            assert_eq!(item.number, first + at as u64);
        }
        for number in self.last.values().chain(self.again.values()) {
            assert!((first..=self.number).contains(number));
        }
        if !self.live {
            assert!(self.queue.is_empty() && self.replica.len() == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec;

    use super::*;
    use crate::wire::Headers;
    use crate::wire::once::{Change, Peer};

    const ALICE: PeerId = PeerId::from_bytes([1; 16]);
    const FAR: [PeerId; 3] = [
        PeerId::from_bytes([10; 16]),
        PeerId::from_bytes([11; 16]),
        PeerId::from_bytes([12; 16]),
    ];

    fn enters(own: &mut OwnRoster, uuid: PeerId) -> u64 {
        assert!(own.enter(Peer {
            uuid,
            name: Text::default(),
            endpoint: None,
            key: None,
            headers: Headers::new(),
            groups: BTreeSet::new(),
        }));
        own.number()
    }

    /// Our roster with Alice in it, and a bridge that knows it; and the change with which she entered.
    fn both(changes: usize) -> (OwnRoster, Far, u64) {
        let limits = Limits {
            changes,
            ..Limits::default()
        };
        let mut own = OwnRoster::new(7, &limits);
        let since = enters(&mut own, ALICE);
        let mut far = Far::new(0, &limits);
        far.meet(&own);
        far.feed(&mut own, 0, 0);
        assert!(matches!(&sent(&mut far, &mut own)[..], [V2::Roster(_)]));
        (own, far, since)
    }

    fn sent(far: &mut Far, own: &mut OwnRoster) -> Vec<V2> {
        let mut sent = Vec::new();
        while let Some(Outgoing { frames, .. }) = far.next(own) {
            far.check();
            let message = Message::decode(frames, &WireLimits::default());
            let Ok(Message::V2(message)) = message else {
                panic!("{message:?}");
            };
            sent.push(message);
        }
        assert!(!far.has_next(own));
        sent
    }

    /// Numbers and receivers of what was sent; of a whisper that alone.
    fn shape(sent: Vec<V2>) -> Vec<(char, u64, Vec<PeerId>)> {
        let shape = sent.into_iter().map(|message| match message {
            V2::RemoteWhisper(it) => ('w', it.number, vec![it.to]),
            V2::RemoteShout(it) => ('s', it.number, it.to),
            V2::RemoteAgain(it) => ('a', it.number, it.to),
            V2::Delta(it) => match it.change {
                Change::Enter(peer) => ('+', it.number, vec![peer.uuid]),
                Change::Exit { uuid } => ('-', it.number, vec![uuid]),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        });
        shape.collect()
    }

    fn shout(far: &mut Far, own: &OwnRoster, since: u64, to: PeerId) -> bool {
        let (group, content) = ("G".parse().unwrap(), Frames::from("hello"));
        far.shout(own.number(), since, ALICE, group, to, content)
    }

    #[test]
    fn what_was_not_sent_is_joined_and_what_was_is_named() {
        // ONCE-103
        let (mut own, mut far, since) = both(9);
        let [one, two, three] = FAR;
        assert!(shout(&mut far, &own, since, one));
        assert!(!shout(&mut far, &own, since, two));
        let first = shape(sent(&mut far, &mut own));
        assert_eq!(first, [('s', 1, vec![one, two])]);
        assert!(!shout(&mut far, &own, since, three));
        assert!(!shout(&mut far, &own, since, one));
        let again = shape(sent(&mut far, &mut own));
        assert_eq!(again, [('a', 2, vec![three, one])]);
    }

    #[test]
    fn nothing_overtakes_what_was_said_to_the_same_one_before() {
        // ONCE-103
        let (mut own, mut far, since) = both(9);
        let [one, two, three] = FAR;
        shout(&mut far, &own, since, one);
        far.whisper(own.number(), ALICE, two, Frames::from("between"));
        shout(&mut far, &own, since, two);
        shout(&mut far, &own, since, three);
        shout(&mut far, &own, since, one);
        let wanted = [
            ('s', 1, vec![one]),
            ('w', 2, vec![two]),
            ('a', 3, vec![two, three, one]),
        ];
        assert_eq!(shape(sent(&mut far, &mut own)), wanted);
    }

    #[test]
    fn who_entered_anew_joins_nothing_that_was_said_before() {
        // ONCE-81, ONCE-103
        let (mut own, mut far, since) = both(9);
        let [one, two, _] = FAR;
        shout(&mut far, &own, since, one);
        own.exit(ALICE);
        let since = enters(&mut own, ALICE);
        shout(&mut far, &own, since, two);
        let wanted = [
            ('s', 1, vec![one]),
            ('-', 2, vec![ALICE]),
            ('+', 3, vec![ALICE]),
            ('a', 2, vec![two]),
        ];
        assert_eq!(shape(sent(&mut far, &mut own)), wanted);
    }

    #[test]
    fn what_nobody_can_be_named_for_any_more_is_not_sent() {
        // ONCE-81
        let (mut own, mut far, since) = both(1);
        let [one, two, _] = FAR;
        shout(&mut far, &own, since, one);
        // More changes than are kept, while nothing goes out: who said it is not in the next snapshot.
        own.exit(ALICE);
        enters(&mut own, two);
        assert!(matches!(
            &sent(&mut far, &mut own)[..],
            [V2::RemoteShout(_), V2::Roster(_)]
        ));
        let since = enters(&mut own, ALICE);
        own.exit(two);
        shout(&mut far, &own, since, one);
        own.exit(ALICE);
        enters(&mut own, two);
        assert!(far.next(&mut own).is_some_and(|it| it.said.is_none()));
        // Nor does it help that she is back, since that is not told yet.
        enters(&mut own, ALICE);
        let rest = shape(sent(&mut far, &mut own));
        assert_eq!(rest, [('+', 8, vec![ALICE])]);
        assert_eq!(far.take_unsaid(), [ALICE]);
    }
}
