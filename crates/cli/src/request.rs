//! The lines of JSON that drive `run`.

use atonce::wire::Text;
use atonce::{Frames, PeerId};
use atonce_std::log::Level;
use atonce_std::{ConnectError, Contact};
use serde::Deserialize;
use serde_json::Value;

use crate::content;
use crate::find::Target;
use crate::value;

/// What one line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Join a group.
    Join(Text),
    /// Leave a group.
    Leave(Text),
    /// Stand for leader of a group.
    Contest(Text),
    /// Do not stand for leader of a group any more.
    Withdraw(Text),
    /// Say something to one peer.
    Whisper(Target, Frames),
    /// Say something to a group.
    Shout(Text, Frames),
    /// Who is here?
    Peers,
    /// Which groups is this node in?
    Groups,
    /// Contact a node directly.
    Connect(Contact),
    /// Go to a hub of gossip.
    GossipConnect(String),
    /// Go there no more.
    GossipDisconnect(String),
    /// Look no more for a peer of whom gossip tells.
    GossipUnpublish(PeerId),
    /// Say something to the collectors of log records.
    Log(Level, String),
    /// Leave the network.
    Stop,
}

/// A line, with the `id` that its answer or its error carries. Any JSON value will do as an `id`.
#[derive(Debug)]
pub(crate) struct Line {
    /// What it was asked with.
    pub(crate) id: Option<Value>,
    /// What it asks for, or what is wrong with it.
    pub(crate) request: Result<Request, String>,
}

/// The fields as they stand in the line.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
enum Fields {
    Join {
        group: String,
    },
    Leave {
        group: String,
    },
    Contest {
        group: String,
    },
    Withdraw {
        group: String,
    },
    Whisper {
        peer: String,
        content: Value,
    },
    Shout {
        group: String,
        content: Value,
    },
    Peers {},
    Groups {},
    Connect {
        endpoint: String,
    },
    #[serde(rename = "gossip-connect")]
    GossipConnect {
        endpoint: String,
    },
    #[serde(rename = "gossip-disconnect")]
    GossipDisconnect {
        endpoint: String,
    },
    #[serde(rename = "gossip-unpublish")]
    GossipUnpublish {
        peer: String,
    },
    Log {
        level: String,
        text: String,
    },
    Stop {},
}

impl Line {
    /// Reads a line.
    pub(crate) fn read(octets: &[u8]) -> Self {
        let mut value: Value = match serde_json::from_slice(octets) {
            Ok(value) => value,
            Err(error) => {
                return Self {
                    id: None,
                    request: Err(format!("this is not JSON: {error}")),
                };
            }
        };
        let id = value.as_object_mut().and_then(|fields| fields.remove("id"));
        Self {
            id,
            request: Request::read(value),
        }
    }
}

impl Request {
    /// Reads what a line asks for. The error says what would be right.
    fn read(value: Value) -> Result<Self, String> {
        if !value.get("do").is_some_and(Value::is_string) {
            return Err("expected an object with `do`, as in {\"do\":\"peers\",\"id\":1}".into());
        }
        Ok(
            match serde_json::from_value(value).map_err(|error| error.to_string())? {
                Fields::Join { group } => Self::Join(named("group", group)?),
                Fields::Leave { group } => Self::Leave(named("group", group)?),
                Fields::Contest { group } => Self::Contest(named("group", group)?),
                Fields::Withdraw { group } => Self::Withdraw(named("group", group)?),
                Fields::Whisper { peer, content } => {
                    let Ok(target) = peer.parse();
                    Self::Whisper(target, content::from_json(content)?)
                }
                Fields::Shout { group, content } => {
                    Self::Shout(named("group", group)?, content::from_json(content)?)
                }
                Fields::Peers {} => Self::Peers,
                Fields::Groups {} => Self::Groups,
                Fields::Connect { endpoint } => Self::Connect(
                    endpoint
                        .parse()
                        .map_err(|error: ConnectError| format!("`endpoint`: {error}"))?,
                ),
                Fields::GossipConnect { endpoint } => Self::GossipConnect(endpoint),
                Fields::GossipDisconnect { endpoint } => Self::GossipDisconnect(endpoint),
                Fields::GossipUnpublish { peer } => {
                    let peer = peer.parse();
                    // One that is not here has no name.
                    Self::GossipUnpublish(peer.map_err(|_| "`peer`: expected a UUID")?)
                }
                Fields::Log { level, text } => {
                    let level = value::level(&level);
                    Self::Log(level.map_err(|error| format!("`level`: {error}"))?, text)
                }
                Fields::Stop {} => Self::Stop,
            },
        )
    }
}

/// A string of at most 255 octets.
fn named(field: &str, value: String) -> Result<Text, String> {
    Text::try_from(value).map_err(|error| format!("`{field}`: {error}"))
}

#[cfg(test)]
mod tests {
    use atonce::{Bytes, Frames, PeerId};
    use serde_json::json;

    use super::{Line, Request};
    use crate::find::Target;

    fn request(line: &str) -> Result<Request, String> {
        Line::read(line.as_bytes()).request
    }

    #[test]
    fn every_line_of_the_contract_is_understood() {
        let group = || "CHAT".try_into().unwrap();
        assert_eq!(
            request(r#"{"do":"join","group":"CHAT"}"#),
            Ok(Request::Join(group()))
        );
        assert_eq!(
            request(r#"{"do":"leave","group":"CHAT"}"#),
            Ok(Request::Leave(group()))
        );
        assert_eq!(
            request(r#"{"do":"contest","group":"CHAT"}"#),
            Ok(Request::Contest(group()))
        );
        assert_eq!(
            request(r#"{"do":"withdraw","group":"CHAT"}"#),
            Ok(Request::Withdraw(group()))
        );
        let content = Frames::from_iter([Bytes::from("text"), Bytes::from_static(&[0, 1, 2])]);
        assert_eq!(
            request(r#"{"do":"whisper","peer":"bob","content":["text", {"base64":"AAEC"}]}"#),
            Ok(Request::Whisper(Target::Name("bob".into()), content))
        );
        let id = PeerId::from_bytes([0xab; 16]);
        assert_eq!(
            request(&format!(
                r#"{{"do":"whisper","peer":"{}","content":[]}}"#,
                "aB".repeat(16)
            )),
            Ok(Request::Whisper(Target::Id(id), Frames::new()))
        );
        assert_eq!(
            request(r#"{"do":"shout","group":"CHAT","content":["text"]}"#),
            Ok(Request::Shout(group(), Frames::from("text")))
        );
        assert_eq!(request(r#"{"do":"peers","id":1}"#), Ok(Request::Peers));
        assert_eq!(request(r#"{"do":"groups","id":2}"#), Ok(Request::Groups));
        assert_eq!(
            request(r#"{"do":"connect","endpoint":"tcp://10.0.0.2:49152"}"#),
            Ok(Request::Connect("tcp://10.0.0.2:49152".parse().unwrap()))
        );
        let hub = || "tcp://10.0.0.1:5680".to_owned();
        assert_eq!(
            request(r#"{"do":"gossip-connect","endpoint":"tcp://10.0.0.1:5680"}"#),
            Ok(Request::GossipConnect(hub()))
        );
        assert_eq!(
            request(r#"{"do":"gossip-disconnect","endpoint":"tcp://10.0.0.1:5680"}"#),
            Ok(Request::GossipDisconnect(hub()))
        );
        assert_eq!(
            request(r#"{"do":"gossip-unpublish","peer":"abababababababababababababababab"}"#),
            Ok(Request::GossipUnpublish(id))
        );
        assert_eq!(request(r#"{"do":"stop"}"#), Ok(Request::Stop));
    }

    #[test]
    fn the_id_is_kept_also_when_the_rest_is_wrong() {
        assert_eq!(
            Line::read(br#"{"do":"peers","id":{"a":1}}"#).id,
            Some(json!({"a": 1}))
        );
        let wrong = Line::read(br#"{"do":"jump","id":"x"}"#);
        assert_eq!(wrong.id, Some(json!("x")));
        assert!(wrong.request.is_err());
        assert_eq!(Line::read(br#"{"do":"stop"}"#).id, None);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_a_reason() {
        for (line, reason) in [
            ("hello", "not JSON"),
            (r#"{"do":"peers""#, "not JSON"),
            ("[]", "`do`"),
            ("{}", "`do`"),
            (r#"{"do":1}"#, "`do`"),
            (
                r#"{"do":"jump"}"#,
                "unknown variant `jump`, expected one of `join`",
            ),
            (r#"{"do":"join"}"#, "missing field `group`"),
            (r#"{"do":"join","group":1}"#, "expected a string"),
            (
                r#"{"do":"join","group":"G","more":1}"#,
                "unknown field `more`",
            ),
            (r#"{"do":"stop","group":"G"}"#, "unknown field `group`"),
            (
                r#"{"do":"whisper","peer":"bob"}"#,
                "missing field `content`",
            ),
            (
                r#"{"do":"whisper","peer":"bob","content":"hi"}"#,
                "`content`",
            ),
            (r#"{"do":"shout","group":"G","content":[1]}"#, "`content`"),
            (r#"{"do":"connect","endpoint":"nowhere"}"#, "`endpoint`"),
        ] {
            let error = request(line).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
        let long = format!(r#"{{"do":"join","group":"{}"}}"#, "g".repeat(256));
        assert!(request(&long).unwrap_err().contains("`group`: 256 octets"));
        assert!(
            Line::read(b"{\"do\":\"\xff\"}")
                .request
                .unwrap_err()
                .contains("not JSON")
        );
    }
}
