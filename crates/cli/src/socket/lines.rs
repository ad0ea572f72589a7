//! Messages as lines: text, hexadecimal digits or JSON, on the way in and on the way out.

use atonce::{Bytes, Frames};
use serde::Serialize;
use serde_json::Value;

use crate::content;

/// How a line is to be read, and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A line is a frame, as it stands there.
    Text,
    /// A line is a message: frames in hexadecimal digits with blanks between them, `-` for an empty one.
    Hex,
    /// A line is a message: a list of frames, or an object with that as `content`.
    Json,
}

/// What is written where JSON is.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Line<'a> {
    /// Others can connect there.
    Listening {
        /// With the port that was chosen.
        endpoint: &'a str,
    },
    /// A message came.
    Message {
        /// Its frames.
        #[serde(serialize_with = "content_of")]
        content: &'a Frames,
    },
    /// Something was not done; nothing else has changed.
    Error {
        /// What, and what would be right.
        message: &'a str,
    },
    /// The last line.
    Stop,
}

fn content_of<S: serde::Serializer>(content: &&Frames, serializer: S) -> Result<S::Ok, S::Error> {
    content::to_json(content, serializer)
}

impl Format {
    /// Reads a message. The error says what would be right.
    pub(crate) fn read(self, line: &[u8]) -> Result<Frames, String> {
        match self {
            Self::Text => Ok(Frames::from(line.to_vec())),
            Self::Hex => from_hex(line),
            Self::Json => from_json(line),
        }
    }

    /// Writes a message for people, or as digits. JSON is a [`Line`].
    pub(crate) fn write(self, message: &Frames) -> String {
        match self {
            Self::Hex => to_hex(message),
            Self::Text | Self::Json => content::to_words(message),
        }
    }
}

fn from_json(line: &[u8]) -> Result<Frames, String> {
    let value: Value =
        serde_json::from_slice(line).map_err(|error| format!("this is not JSON: {error}"))?;
    let frames = match value {
        Value::Object(mut fields) => fields
            .remove("content")
            .ok_or("expected a list of frames, or an object with that as `content`")?,
        other => other,
    };
    let message = content::from_json(frames)?;
    if message.is_empty() {
        return Err("a message has at least one frame, as [\"\"] has".into());
    }
    Ok(message)
}

fn from_hex(line: &[u8]) -> Result<Frames, String> {
    let text = str::from_utf8(line).map_err(|_| DIGITS)?;
    let message: Frames = text
        .split_whitespace()
        .map(frame_from_hex)
        .collect::<Result<_, _>>()?;
    if message.is_empty() {
        return Err("a message has at least one frame: - is an empty one".into());
    }
    Ok(message)
}

/// What is said of a line that is none.
const DIGITS: &str = "expected hexadecimal digits, two for each octet, with blanks between frames, and - for an empty one";

fn frame_from_hex(digits: &str) -> Result<Bytes, &'static str> {
    if digits == "-" {
        return Ok(Bytes::new());
    }
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(DIGITS);
    }
    let octets = (0..digits.len()).step_by(2).map(|at| {
        let pair = digits.get(at..at + 2).unwrap_or_default();
        u8::from_str_radix(pair, 16).map_err(|_| DIGITS)
    });
    octets.collect()
}

fn to_hex(message: &Frames) -> String {
    let frame = |frame: &Bytes| {
        if frame.is_empty() {
            "-".to_owned()
        } else {
            frame.iter().map(|octet| format!("{octet:02x}")).collect()
        }
    };
    message.iter().map(frame).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(frames: &[&'static [u8]]) -> Frames {
        frames.iter().copied().map(Bytes::from_static).collect()
    }

    #[test]
    fn text_is_one_frame_whatever_stands_there() {
        for line in [&b""[..], b"hello", b"[\"no json\"]", b"\xff\t\\x00"] {
            assert_eq!(
                Format::Text.read(line).unwrap(),
                Frames::from(line.to_vec())
            );
        }
    }

    #[test]
    fn digits_come_back() {
        for (line, message) in [
            ("00ff", frames(&[b"\x00\xff"])),
            ("-", frames(&[b""])),
            ("6869 - 0a", frames(&[b"hi", b"", b"\n"])),
        ] {
            assert_eq!(Format::Hex.read(line.as_bytes()).unwrap(), message);
            assert_eq!(Format::Hex.write(&message), line);
        }
        assert_eq!(
            Format::Hex.read(b"  FF\t0A ").unwrap(),
            frames(&[b"\xff", b"\n"])
        );
        for wrong in ["", "f", "fff", "0x00", "zz", "--", "ü"] {
            assert!(Format::Hex.read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn json_is_a_list_or_an_object_with_one() {
        let message = frames(&[b"hi", b"\xff"]);
        for line in [
            r#"["hi",{"base64":"/w=="}]"#,
            r#"{"content":["hi",{"base64":"/w=="}]}"#,
        ] {
            assert_eq!(Format::Json.read(line.as_bytes()).unwrap(), message);
        }
        for wrong in [
            "",
            "hi",
            "{}",
            "[]",
            r#""hi""#,
            r#"{"content":"hi"}"#,
            "[1]",
        ] {
            assert!(Format::Json.read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
