//! How events are said.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::Peer;
use crate::wire::Text;
use crate::wire::log::{Event, Level, NodeTag, Record};
use crate::zre::{self, ExitReason};

/// With what text ends that was cut.
const CUT: &str = "…";

/// What is said, whoever hears it.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) level: Level,
    event: Event,
    about: About,
    data: Text,
}

/// Whom it is about.
#[derive(Clone, Copy, Debug)]
enum About {
    Nobody,
    /// The node that says it, which each collector knows by the endpoint that it was told.
    Itself,
    Peer(NodeTag),
}

impl Said {
    pub(super) fn text(level: Level, text: &str) -> Self {
        Self {
            level,
            event: Event::NONE,
            about: About::Nobody,
            data: cut(text),
        }
    }

    /// Something that the node did itself.
    pub(super) fn own(event: Event, group: &Text) -> Self {
        Self {
            level: Level::INFO,
            event,
            about: About::Nobody,
            data: group.clone(),
        }
    }

    /// What there is to say about an event of the node, which has these endpoints.
    pub(super) fn of(event: &zre::Event, own: &BTreeMap<String, Text>) -> Option<Self> {
        Some(match event {
            // LOG-21
            zre::Event::Enter { peer } => {
                Self::about(peer, Level::INFO, Event::ENTER, &called(peer))
            }
            zre::Event::Exit { peer, reason } => {
                let level = match reason {
                    ExitReason::Left | ExitReason::Replaced => Level::INFO,
                    _ => Level::WARNING,
                };
                let text = format!("{}: {reason}", called(peer));
                Self::about(peer, level, Event::EXIT, &text)
            }
            // LOG-20
            zre::Event::Leader { group, peer } => {
                let led = Self::changed(peer, Level::INFO, &format!("leads {group}"));
                let about = match own.values().any(|own| *own == peer.endpoint) {
                    true => About::Itself,
                    false => led.about,
                };
                Self { about, ..led }
            }
            // LOG-22
            zre::Event::Evasive { peer } => Self::changed(peer, Level::WARNING, "evasive"),
            zre::Event::Silent { peer } => Self::changed(peer, Level::WARNING, "silent"),
            zre::Event::Recovered { peer } => Self::changed(peer, Level::INFO, "recovered"),
            // LOG-23
            zre::Event::InterfaceUp {
                interface,
                endpoint,
            } => Self::text(Level::INFO, &format!("{interface} up: {endpoint}")),
            zre::Event::InterfaceDown { interface, detail } => {
                Self::text(Level::WARNING, &format!("{interface} down: {detail}"))
            }
            #[cfg(feature = "curve")]
            zre::Event::Impostor {
                id, key, remote, ..
            } => {
                let text = format!("impostor of {id} at {remote} with the key {key}");
                Self::text(Level::WARNING, &text)
            }
            _ => return None,
        })
    }

    fn about(peer: &Peer, level: Level, event: Event, text: &str) -> Self {
        Self {
            level,
            event,
            about: About::Peer(NodeTag::of(peer.endpoint.as_bytes())),
            data: cut(text),
        }
    }

    fn changed(peer: &Peer, level: Level, word: &str) -> Self {
        let text = format!("{word}: {}", called(peer));
        Self::about(peer, level, Event::NONE, &text)
    }

    pub(super) fn record(&self, node: NodeTag, time: u64) -> Record {
        Record {
            level: self.level,
            event: self.event,
            node,
            // LOG-7
            peer: match self.about {
                About::Nobody => NodeTag::NONE,
                About::Itself => node,
                About::Peer(peer) => peer,
            },
            time,
            data: self.data.clone(),
        }
    }
}

fn called(peer: &Peer) -> String {
    format!("{} {}", peer.endpoint, peer.name)
}

/// As much of it as fits.
// LOG-5
fn cut(text: &str) -> Text {
    if let Ok(text) = Text::try_from(text) {
        return text;
    }
    let mut end = Text::LIMIT - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    Text::try_from(format!("{kept}{CUT}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // LOG-5
    #[test]
    fn what_fits_stays_and_what_does_not_is_cut_between_characters() {
        for fits in [String::new(), "x".repeat(255), "ä".repeat(127)] {
            assert_eq!(cut(&fits), *fits);
        }
        let of = |text: String| cut(&text).to_str_lossy().into_owned();
        assert_eq!(of("x".repeat(256)), "x".repeat(252) + CUT);
        assert_eq!(of("ä".repeat(128)), "ä".repeat(126) + CUT);
        let shifted = format!("x{}", "ä".repeat(128));
        assert_eq!(of(shifted), format!("x{}{CUT}", "ä".repeat(125)));
    }
}
