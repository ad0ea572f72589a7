//! The JSON that other programs read: one object a line. Names and fields are a contract.

use std::borrow::Cow;

use atonce::wire::{Headers, Text};
use atonce::zre::{Event, ExitReason, Peer};
use atonce::{Frames, PeerId};
use atonce_std::PeerInfo;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::content;
use crate::stats::Summary;
use crate::words;

/// One line. Its `event` says which.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Line<'a> {
    /// The node runs; `endpoint` is the first it is reached at, empty when it has none yet.
    Start {
        /// Its identity.
        #[serde(serialize_with = "hex")]
        uuid: PeerId,
        /// Its name.
        name: Cow<'a, str>,
        /// Where its mailbox is.
        endpoint: String,
    },
    /// The node is reached at one more endpoint than `start` and earlier lines of this kind said.
    Interface {
        /// The interface that is in use now.
        interface: &'a str,
        /// Where the mailbox is there.
        endpoint: Cow<'a, str>,
    },
    /// A peer is there.
    Enter {
        /// Who.
        #[serde(flatten)]
        who: Who<'a>,
        /// Where its mailbox is.
        endpoint: Cow<'a, str>,
        /// What it says about itself.
        #[serde(serialize_with = "headers_of")]
        headers: &'a Headers,
    },
    /// A peer was silent for longer than the evasive timeout.
    Evasive(Who<'a>),
    /// An evasive peer did not answer.
    Silent(Who<'a>),
    /// An evasive or silent peer was heard of again.
    Recovered(Who<'a>),
    /// A peer is in a group.
    Join {
        /// Who.
        #[serde(flatten)]
        who: Who<'a>,
        /// Which group.
        group: Cow<'a, str>,
    },
    /// A peer left a group.
    Leave {
        /// Who.
        #[serde(flatten)]
        who: Who<'a>,
        /// Which group.
        group: Cow<'a, str>,
    },
    /// Somebody leads a group: a peer, or this node itself.
    Leader {
        /// Who.
        #[serde(flatten)]
        who: Who<'a>,
        /// Which group.
        group: Cow<'a, str>,
    },
    /// A peer said something to this node.
    Whisper {
        /// Who.
        #[serde(flatten)]
        who: Who<'a>,
        /// What.
        #[serde(serialize_with = "content_of")]
        content: &'a Frames,
    },
    /// A peer said something to a group.
    Shout {
        /// Who.
        #[serde(flatten)]
        who: Who<'a>,
        /// To which group.
        group: Cow<'a, str>,
        /// What.
        #[serde(serialize_with = "content_of")]
        content: &'a Frames,
    },
    /// A peer is gone.
    Exit {
        /// Who.
        #[serde(flatten)]
        who: Who<'a>,
        /// Why, in one word.
        reason: &'static str,
        /// Why exactly, where there is more to say.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The answer to the query for the peers.
    Peers {
        /// What the query was asked with.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
        /// Who is here.
        peers: Vec<PeerLine<'a>>,
    },
    /// The answer to the query for the groups of this node.
    Groups {
        /// What the query was asked with.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
        /// Their names.
        groups: Vec<Cow<'a, str>>,
    },
    /// A round trip of `ping`.
    Pong {
        /// Who answered.
        #[serde(flatten)]
        who: Who<'a>,
        /// Which round trip, from 1.
        number: u32,
        /// How long it took.
        micros: f64,
    },
    /// What `ping` measured.
    Ping {
        /// Who was asked.
        #[serde(flatten)]
        who: Who<'a>,
        /// How often it was asked.
        sent: u32,
        /// How often it answered in time.
        answered: u32,
        /// How long that took.
        #[serde(skip_serializing_if = "Option::is_none")]
        micros: Option<Summary>,
    },
    /// What `perf run` measured.
    Perf(&'a Measured<'a>),
    /// What `perf serve` counted in one run.
    Counted {
        /// Who sent it.
        #[serde(flatten)]
        who: Who<'a>,
        /// The octets of each message.
        size: usize,
        /// How many messages came.
        received: u64,
        /// From the first to the last.
        receive_seconds: f64,
    },
    /// Something did not go as asked, or a line was not understood.
    Error {
        /// What the line was asked with.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
        /// What is wrong.
        message: Cow<'a, str>,
    },
    /// The node is stopped. The last line.
    Stop,
}

/// Which peer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Who<'a> {
    /// Its identity, 32 uppercase hexadecimal digits.
    #[serde(serialize_with = "hex")]
    pub(crate) peer: PeerId,
    /// Its name.
    pub(crate) name: Cow<'a, str>,
}

impl<'a> From<&'a Peer> for Who<'a> {
    fn from(peer: &'a Peer) -> Self {
        Self {
            peer: peer.id,
            name: peer.name.to_str_lossy(),
        }
    }
}

/// A peer in the answer to the query for the peers.
#[derive(Debug, Serialize)]
pub(crate) struct PeerLine<'a> {
    /// Who.
    #[serde(flatten)]
    who: Who<'a>,
    /// Where its mailbox is.
    endpoint: Cow<'a, str>,
    /// What it says about itself.
    #[serde(serialize_with = "headers_of")]
    headers: &'a Headers,
    /// The groups it is in.
    groups: Vec<Cow<'a, str>>,
    /// How lively it is.
    state: &'static str,
    /// The public key that it proved, in a secure network.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// As whom it was let in, where somebody says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Cow<'a, str>>,
}

impl<'a> From<&'a PeerInfo> for PeerLine<'a> {
    fn from(info: &'a PeerInfo) -> Self {
        Self {
            who: Who::from(&*info.peer),
            endpoint: info.peer.endpoint.to_str_lossy(),
            headers: &info.peer.headers,
            groups: info.groups.iter().map(Text::to_str_lossy).collect(),
            state: info.presence.as_str(),
            key: info.key.map(|key| key.to_string()),
            user_id: info.user_id.as_ref().map(Text::to_str_lossy),
        }
    }
}

/// What `perf run` measured.
#[derive(Debug, Serialize)]
pub(crate) struct Measured<'a> {
    /// Against whom.
    #[serde(flatten)]
    pub(crate) who: Who<'a>,
    /// How: `whisper`, `shout` or `echo`.
    pub(crate) mode: &'static str,
    /// The octets of each message.
    pub(crate) size: usize,
    /// How many messages were sent.
    pub(crate) sent: u64,
    /// How many arrived, as their receiver counted them.
    pub(crate) received: u64,
    /// How long sending took, by the clock of the sender.
    pub(crate) send_seconds: f64,
    /// How long receiving took, from the first message to the last, by the clock of their receiver.
    pub(crate) receive_seconds: f64,
    /// Received messages in a second.
    pub(crate) messages_per_second: f64,
    /// Received content in a second, in millions of octets.
    pub(crate) megabytes_per_second: f64,
    /// How often sending had to wait because the queue was full.
    pub(crate) waits: u64,
    /// Round trips, in the mode `echo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) micros: Option<Summary>,
}

impl<'a> Line<'a> {
    /// An event of a node; `None` for those that have no line of their own.
    pub(crate) fn of(event: &'a Event) -> Option<Self> {
        Some(match event {
            Event::Enter { peer } => Self::Enter {
                who: Who::from(&**peer),
                endpoint: peer.endpoint.to_str_lossy(),
                headers: &peer.headers,
            },
            Event::Evasive { peer } => Self::Evasive(Who::from(&**peer)),
            Event::Silent { peer } => Self::Silent(Who::from(&**peer)),
            Event::Recovered { peer } => Self::Recovered(Who::from(&**peer)),
            Event::Join { peer, group } => Self::Join {
                who: Who::from(&**peer),
                group: group.to_str_lossy(),
            },
            Event::Leave { peer, group } => Self::Leave {
                who: Who::from(&**peer),
                group: group.to_str_lossy(),
            },
            Event::Leader { peer, group } => Self::Leader {
                who: Who::from(&**peer),
                group: group.to_str_lossy(),
            },
            Event::Whisper { peer, content } => Self::Whisper {
                who: Who::from(&**peer),
                content,
            },
            Event::Shout {
                peer,
                group,
                content,
            } => Self::Shout {
                who: Who::from(&**peer),
                group: group.to_str_lossy(),
                content,
            },
            Event::Exit { peer, reason } => Self::Exit {
                who: Who::from(&**peer),
                reason: reason.as_str(),
                detail: match reason {
                    ExitReason::Lost(lost) => Some(lost.to_string()),
                    _ => None,
                },
            },
            Event::InterfaceUp {
                interface,
                endpoint,
            } => Self::Interface {
                interface,
                endpoint: endpoint.to_str_lossy(),
            },
            Event::InterfaceDown { interface, detail } => {
                Self::error(format!("the interface {interface} went away: {detail}"))
            }
            Event::Impostor {
                id,
                key,
                holder,
                remote,
            } => Self::error(words::impostor(*id, key, holder, *remote)),
            Event::Stopped => Self::Stop,
            _ => return None,
        })
    }

    /// An error that answers no line.
    pub(crate) fn error(message: impl Into<Cow<'a, str>>) -> Self {
        Self::Error {
            id: None,
            message: message.into(),
        }
    }
}

/// A line with what may stand on every line.
#[derive(Debug, Serialize)]
pub(crate) struct Stamped<'a, L> {
    /// The line.
    #[serde(flatten)]
    pub(crate) line: &'a L,
    /// Which of several nodes of this process says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<&'a str>,
    /// Milliseconds since the start.
    pub(crate) at: u64,
}

/// A UUID as 32 uppercase hexadecimal digits.
pub(crate) fn hex<S: Serializer>(id: &PeerId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// Content frames. Serde gives a reference to the field, which is one itself; so below.
fn content_of<S: Serializer>(content: &&Frames, serializer: S) -> Result<S::Ok, S::Error> {
    content::to_json(content, serializer)
}

/// Headers as an object.
fn headers_of<S: Serializer>(headers: &&Headers, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        headers
            .iter()
            .map(|(key, value)| (key.to_str_lossy(), value.to_str_lossy())),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atonce::wire::{Headers, LongText, Text};
    use atonce::zre::{Event, ExitReason, Lost, Peer, Presence};
    use atonce::{Frames, PeerId};
    use atonce_std::PeerInfo;
    use serde_json::{Value, json};

    use super::{Line, PeerLine, Stamped};

    fn peer() -> Arc<Peer> {
        let mut headers = Headers::default();
        headers.insert(
            Text::try_from("K").unwrap(),
            LongText::try_from("V").unwrap(),
        );
        Arc::new(Peer {
            id: PeerId::from_bytes([0xAB; 16]),
            name: Text::try_from(&b"b\xFFb"[..]).unwrap(),
            endpoint: Text::try_from("tcp://127.0.0.1:49152").unwrap(),
            headers,
        })
    }

    fn json(line: &Line<'_>) -> Value {
        serde_json::to_value(line).unwrap()
    }

    /// The line of this kind about the peer, with more fields.
    fn about(event: &str, more: &Value) -> Value {
        let mut value = json!({"event": event, "peer": "AB".repeat(16), "name": "b\u{FFFD}b"});
        value
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        value
    }

    #[test]
    fn every_event_of_a_node_is_as_the_contract_has_it() {
        let (peer, group) = (peer(), Text::try_from("CHAT").unwrap());
        let content = Frames::from_iter([
            atonce::Bytes::from("hi"),
            atonce::Bytes::from_static(b"\xff"),
        ]);
        let frames = json!(["hi", {"base64": "/w=="}]);
        let exit = |reason| Event::Exit {
            peer: Arc::clone(&peer),
            reason,
        };
        let gap = Lost::Gap {
            expected: 2,
            found: 4,
        };
        for (event, expected) in [
            (
                Event::Enter {
                    peer: Arc::clone(&peer),
                },
                about(
                    "enter",
                    &json!({"endpoint": "tcp://127.0.0.1:49152", "headers": {"K": "V"}}),
                ),
            ),
            (
                Event::Evasive {
                    peer: Arc::clone(&peer),
                },
                about("evasive", &json!({})),
            ),
            (
                Event::Silent {
                    peer: Arc::clone(&peer),
                },
                about("silent", &json!({})),
            ),
            (
                Event::Recovered {
                    peer: Arc::clone(&peer),
                },
                about("recovered", &json!({})),
            ),
            (
                Event::Join {
                    peer: Arc::clone(&peer),
                    group: group.clone(),
                },
                about("join", &json!({"group": "CHAT"})),
            ),
            (
                Event::Leave {
                    peer: Arc::clone(&peer),
                    group: group.clone(),
                },
                about("leave", &json!({"group": "CHAT"})),
            ),
            (
                Event::Leader {
                    peer: Arc::clone(&peer),
                    group: group.clone(),
                },
                about("leader", &json!({"group": "CHAT"})),
            ),
            (
                Event::Whisper {
                    peer: Arc::clone(&peer),
                    content: content.clone(),
                },
                about("whisper", &json!({"content": frames})),
            ),
            (
                Event::Shout {
                    peer: Arc::clone(&peer),
                    group,
                    content,
                },
                about("shout", &json!({"group": "CHAT", "content": frames})),
            ),
            (
                exit(ExitReason::Left),
                about("exit", &json!({"reason": "left"})),
            ),
            (
                exit(ExitReason::Expired),
                about("exit", &json!({"reason": "expired"})),
            ),
            (
                exit(ExitReason::Replaced),
                about("exit", &json!({"reason": "replaced"})),
            ),
            (
                exit(ExitReason::Overrun),
                about("exit", &json!({"reason": "overrun"})),
            ),
            (
                exit(ExitReason::Refused),
                about("exit", &json!({"reason": "refused"})),
            ),
            (
                exit(ExitReason::Lost(gap)),
                about(
                    "exit",
                    &json!({"reason": "lost", "detail": "a gap: expected message 2, found 4"}),
                ),
            ),
            (
                Event::InterfaceUp {
                    interface: "eth1".into(),
                    endpoint: peer.endpoint.clone(),
                },
                json!({"event": "interface", "interface": "eth1", "endpoint": "tcp://127.0.0.1:49152"}),
            ),
            (
                Event::InterfaceDown {
                    interface: "eth1".into(),
                    detail: "unplugged".into(),
                },
                json!({"event": "error", "message": "the interface eth1 went away: unplugged"}),
            ),
            (Event::Stopped, json!({"event": "stop"})),
        ] {
            assert_eq!(json(&Line::of(&event).unwrap()), expected);
        }
    }

    #[test]
    fn answers_carry_the_id_of_their_query() {
        let info = PeerInfo {
            peer: peer(),
            groups: vec![Text::try_from("CHAT").unwrap()],
            round_trip: None,
            presence: Presence::Evasive,
            key: None,
            user_id: Some(Text::try_from("joe").unwrap()),
        };
        let id = json!(1);
        let peers = Line::Peers {
            id: Some(&id),
            peers: vec![PeerLine::from(&info)],
        };
        let mut expected = about(
            "x",
            &json!({
                "endpoint": "tcp://127.0.0.1:49152", "headers": {"K": "V"}, "groups": ["CHAT"], "state": "evasive", "user_id": "joe"
            }),
        );
        expected.as_object_mut().unwrap().remove("event");
        assert_eq!(
            json(&peers),
            json!({"event": "peers", "id": 1, "peers": [expected]})
        );

        let groups = Line::Groups {
            id: None,
            groups: vec!["CHAT".into()],
        };
        assert_eq!(
            json(&groups),
            json!({"event": "groups", "groups": ["CHAT"]})
        );
        let error = Line::Error {
            id: Some(&id),
            message: "no".into(),
        };
        assert_eq!(
            json(&error),
            json!({"event": "error", "id": 1, "message": "no"})
        );
    }

    #[test]
    fn a_line_begins_with_its_event_and_ends_with_its_time() {
        let start = Line::Start {
            uuid: PeerId::from_bytes([0xAB; 16]),
            name: "bob".into(),
            endpoint: "tcp://127.0.0.1:49152".into(),
        };
        let stamped = Stamped {
            line: &start,
            node: None,
            at: 7,
        };
        assert_eq!(
            serde_json::to_string(&stamped).unwrap(),
            format!(
                "{{\"event\":\"start\",\"uuid\":\"{}\",\"name\":\"bob\",\"endpoint\":\"tcp://127.0.0.1:49152\",\"at\":7}}",
                "AB".repeat(16)
            )
        );
        let stamped = Stamped {
            line: &Line::Stop,
            node: Some("bob"),
            at: 8,
        };
        assert_eq!(
            serde_json::to_string(&stamped).unwrap(),
            r#"{"event":"stop","node":"bob","at":8}"#
        );
    }
}
