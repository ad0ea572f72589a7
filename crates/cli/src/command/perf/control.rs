//! What sender and receiver tell each other beside what is measured.

use std::time::Duration;

use atonce::{Bytes, Frames};
use serde::{Deserialize, Serialize};

/// The first frame of every such message.
const MARK: &[u8] = b"atonce-perf/1";

/// See the module of the command. Every message carries the number of its run, so that what is left of an earlier run is
/// not taken for this one's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Control {
    /// From the sender: count from now on.
    Begin {
        /// Which run.
        run: u64,
        /// The octets of each message.
        size: usize,
        /// Join this group, for shouts.
        group: Option<String>,
    },
    /// From the receiver: it counts.
    Ready {
        /// Which run.
        run: u64,
    },
    /// From the sender: that was all.
    End {
        /// Which run.
        run: u64,
    },
    /// From the receiver: what came.
    Report {
        /// Which run.
        run: u64,
        /// How many messages of the right size came.
        messages: u64,
        /// From the first to the last, by the clock of the receiver.
        nanos: u64,
    },
}

impl Control {
    /// As content of a WHISPER.
    pub(super) fn to_frames(&self) -> Frames {
        // There is nothing in it that JSON could not express.
        let json = serde_json::to_vec(self).unwrap_or_default();
        Frames::from_iter([Bytes::from_static(MARK), Bytes::from(json)])
    }

    /// From the content of a WHISPER; `None` for everything else.
    pub(super) fn from_frames(content: &Frames) -> Option<Self> {
        match &**content {
            [mark, json] if mark == MARK => serde_json::from_slice(json).ok(),
            _ => None,
        }
    }
}

/// A duration for a report.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use atonce::{Bytes, Frames};

    use super::Control;

    #[test]
    fn what_is_told_is_understood() {
        let group = Some("atonce-perf-7".to_owned());
        for control in [
            Control::Begin {
                run: 7,
                size: 100,
                group,
            },
            Control::Begin {
                run: 7,
                size: 0,
                group: None,
            },
            Control::Ready { run: 7 },
            Control::End { run: 7 },
            Control::Report {
                run: u64::MAX,
                messages: 5,
                nanos: 1,
            },
        ] {
            assert_eq!(Control::from_frames(&control.to_frames()), Some(control));
        }
    }

    #[test]
    fn everything_else_is_content() {
        let frames =
            |frames: &[&'static str]| frames.iter().copied().map(Bytes::from).collect::<Frames>();
        for content in [
            frames(&[]),
            frames(&["atonce-perf/1"]),
            frames(&["atonce-perf/1", "{}"]),
            frames(&["atonce-perf/2", r#"{"ready":{"run":1}}"#]),
            frames(&["atonce-perf/1", r#"{"ready":{"run":1}}"#, ""]),
        ] {
            assert_eq!(Control::from_frames(&content), None);
        }
    }
}
