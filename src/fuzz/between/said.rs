//! What one application said to the other, against what the other was told.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::PeerId;
use crate::wire::{Frames, Text};

/// All that one application said, numbered: the first frame of each content is its number.
#[derive(Debug, Default)]
pub(super) struct Said {
    messages: Vec<Message>,
    /// The last that arrived of each identity that this application had, and in which of the receiver's times with it.
    last: BTreeMap<PeerId, (usize, u32)>,
}

#[derive(Debug)]
struct Message {
    from: PeerId,
    to: Option<PeerId>,
    group: Option<Text>,
    content: Frames,
    /// In which of the sender's times with the receiver, from ENTER to EXIT. `None`: it cannot be told.
    session: Option<u32>,
    /// Said to a group that the receiver was not in all the while.
    optional: bool,
    arrived: bool,
}

impl Said {
    /// The content that is said next: its number, and what comes behind it.
    pub(super) fn content(&self, behind: &[usize]) -> Frames {
        let number = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let mut content = Frames::from(Bytes::copy_from_slice(&number.to_le_bytes()));
        let octet = number.to_le_bytes()[0];
        for &octets in behind {
            content.push(Bytes::from(alloc::vec![octet; octets]));
        }
        content
    }

    /// The content was said, and taken by the node.
    pub(super) fn say(
        &mut self,
        from: PeerId,
        to: Option<PeerId>,
        group: Option<Text>,
        content: Frames,
        session: Option<u32>,
        optional: bool,
    ) {
        self.messages.push(Message {
            from,
            to,
            group,
            content,
            session,
            optional,
            arrived: false,
        });
    }

    /// The other application left a group: whether it is told what is under way to it is a matter of time.
    pub(super) fn is_left(&mut self, group: &Text) {
        for message in &mut self.messages {
            message.optional |= message.group.as_ref() == Some(group);
        }
    }

    /// The other application, whose identity is `to`, was told this in its time `time` with this one. Panics unless it was
    /// said so, to it, once, after all that was told before; and unless all was told that was said between two messages of
    /// the same time at both sides.
    pub(super) fn arrive(
        &mut self,
        from: PeerId,
        to: PeerId,
        time: u32,
        group: Option<&Text>,
        content: &Frames,
    ) {
        let octets = content.first().and_then(|first| first[..].try_into().ok());
        let number = octets.map(u32::from_le_bytes).map(usize::try_from);
        let Some(Ok(number)) = number else {
            panic!("nobody said {content:?}");
        };
        let last = self.last.insert(from, (number, time));
        assert!(
            last.is_none_or(|(last, _)| last < number),
            "message {number} after {last:?}"
        );
        let Some(message) = self.messages.get_mut(number) else {
            panic!("message {number} was never said");
        };
        message.arrived = true;
        assert_eq!(message.from, from, "who said message {number}");
        assert!(message.to.is_none_or(|meant| meant == to), "to whom");
        assert_eq!(message.group.as_ref(), group, "the group of {number}");
        assert_eq!(message.content, *content, "content of {number}");
        let session = message.session;
        if let Some((last, before)) = last
            && before == time
            && session.is_some()
            && self.messages[last].session == session
        {
            let skipped = self.messages[last + 1..number].iter();
            let lost = skipped
                .filter(|lost| lost.from == from && lost.session == session && !lost.optional);
            assert_eq!(lost.count(), 0, "between {last} and {number} are lost");
        }
    }

    /// The other application was told this, perhaps not by this one: the middle lies.
    pub(super) fn may_arrive(&mut self, content: &Frames) {
        let octets = content.first().and_then(|first| first[..].try_into().ok());
        let number = octets.map(u32::from_le_bytes).map(usize::try_from);
        if let Some(Ok(number)) = number
            && let Some(message) = self.messages.get_mut(number)
        {
            message.arrived |= message.content == *content;
        }
    }

    /// Panics when something is missing though the sender's time with the receiver goes on.
    pub(super) fn check(&self, open: &BTreeSet<u32>) {
        for (number, message) in self.messages.iter().enumerate() {
            let kept = message
                .session
                .is_none_or(|session| !open.contains(&session));
            assert!(
                message.arrived || message.optional || kept,
                "message {number} is lost without a word: {message:?}"
            );
        }
    }

    /// Whether what was said last arrived, unless nobody had to be told.
    pub(super) fn has_last_arrived(&self) -> bool {
        let mut last = self.messages.iter().rev();
        last.find(|message| !message.optional)
            .is_some_and(|message| message.arrived)
    }
}
