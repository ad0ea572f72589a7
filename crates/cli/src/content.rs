//! Content frames as JSON and as words.
//!
//! In JSON a frame is a string when it is valid UTF-8, else `{"base64":"…"}`; both are read.

use atonce::wire::Text;
use atonce::{Bytes, Frames};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::escape::escaped;

/// How many octets of a binary frame are shown to people.
const SHOWN_OCTETS: usize = 24;

/// A frame as the JSON contract has it.
struct JsonFrame<'a>(&'a [u8]);

impl Serialize for JsonFrame<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &STANDARD.encode(self.0))?;
        map.end()
    }
}

/// Writes all frames as a JSON array.
pub(crate) fn to_json<S: Serializer>(content: &Frames, serializer: S) -> Result<S::Ok, S::Error> {
    let mut frames = serializer.serialize_seq(Some(content.len()))?;
    for frame in content {
        frames.serialize_element(&JsonFrame(frame))?;
    }
    frames.end()
}

/// Writes text that came from the network as if it were a frame.
pub(crate) fn text_to_json<S: Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
    JsonFrame(text.as_bytes()).serialize(serializer)
}

/// Reads all frames from a JSON array. The error says what would be right.
pub(crate) fn from_json(value: Value) -> Result<Frames, String> {
    let Value::Array(frames) = value else {
        return Err("`content` must be a list of frames, as in [\"text\"]".into());
    };
    frames.into_iter().map(frame_from_json).collect()
}

/// Reads one frame.
fn frame_from_json(value: Value) -> Result<Bytes, String> {
    match value {
        Value::String(text) => Ok(text.into()),
        Value::Object(fields) => match (fields.get("base64"), fields.len()) {
            (Some(Value::String(text)), 1) => STANDARD
                .decode(text)
                .map(Bytes::from)
                .map_err(|error| format!("`base64` in `content`: {error}")),
            _ => Err(NEITHER.into()),
        },
        _ => Err(NEITHER.into()),
    }
}

/// What is said about a frame that is neither kind.
const NEITHER: &str = "a frame in `content` must be a string or {\"base64\":\"…\"}";

/// All frames for people: text as it is, the rest by its first octets, frames divided by ` | `.
pub(crate) fn to_words(content: &Frames) -> String {
    if content.is_empty() {
        return "(nothing)".into();
    }
    content
        .iter()
        .map(|frame| match str::from_utf8(frame) {
            Ok(text) => escaped(text),
            Err(_) => hex(frame),
        })
        .collect::<Vec<_>>()
        .join(" | ")
}

/// How many octets there are, and the first of them.
fn hex(frame: &[u8]) -> String {
    let digits: String = frame
        .iter()
        .take(SHOWN_OCTETS)
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let more = if frame.len() > SHOWN_OCTETS {
        "…"
    } else {
        ""
    };
    format!("({} octets: {digits}{more})", frame.len())
}

#[cfg(test)]
mod tests {
    use atonce::{Bytes, Frames};
    use serde_json::{Value, json};

    use super::{from_json, to_json, to_words};

    fn written(content: &Frames) -> Value {
        to_json(content, serde_json::value::Serializer).unwrap()
    }

    fn frames(frames: &[&'static [u8]]) -> Frames {
        frames.iter().copied().map(Bytes::from_static).collect()
    }

    #[test]
    fn a_frame_is_a_string_or_base64_and_comes_back() {
        for (content, value) in [
            (frames(&[]), json!([])),
            (frames(&[b""]), json!([""])),
            (
                frames(&[b"hi", b"\x00\x01\x02"]),
                json!(["hi", "\u{0}\u{1}\u{2}"]),
            ),
            (
                frames(&[b"\xff\x00", "ü".as_bytes()]),
                json!([{"base64": "/wA="}, "ü"]),
            ),
        ] {
            assert_eq!(written(&content), value);
            assert_eq!(from_json(value).unwrap(), content);
        }
        // What is text may be given as base64 as well.
        assert_eq!(
            from_json(json!([{"base64": "AAEC"}])).unwrap(),
            frames(&[b"\x00\x01\x02"])
        );
    }

    #[test]
    fn what_is_no_frame_is_refused_with_what_would_be_right() {
        for wrong in [
            json!("text"),
            json!({"base64": "AAEC"}),
            json!([1]),
            json!([null]),
            json!([["text"]]),
            json!([{}]),
            json!([{"base64": 1}]),
            json!([{"base64": "AAEC", "more": 1}]),
            json!([{"base64": "AA EC"}]),
            json!([{"base64": "AAE"}]),
        ] {
            let error = from_json(wrong.clone()).unwrap_err();
            assert!(error.contains("`content`"), "{wrong}: {error}");
        }
    }

    #[test]
    fn people_read_text_and_see_the_first_octets_of_the_rest() {
        assert_eq!(to_words(&frames(&[])), "(nothing)");
        assert_eq!(to_words(&frames(&[b"hello", b"a\nb"])), "hello | a\\u{a}b");
        assert_eq!(to_words(&frames(&[b"\xff\x01"])), "(2 octets: ff01)");
        let long = to_words(&Frames::from(vec![0xfe_u8; 1000]));
        assert!(
            long.starts_with("(1000 octets: fefe") && long.ends_with("…)"),
            "{long}"
        );
    }
}
