//! The vectors of the specification: what they state is what is told.

use std::fs;
use std::path::Path;

use atonce::{Bytes, Frames};
use serde_json::{Map, Value, json};

use super::super::codec::Kind;
use super::super::frames_say;
use super::super::stream::{Heard, Said};

fn load(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors");
    let text = fs::read_to_string(path.join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn hex(value: &Value) -> Bytes {
    let digits = value.as_str().unwrap();
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn frames(vector: &Value) -> Frames {
    match vector.get("frames") {
        Some(frames) => frames.as_array().unwrap().iter().map(hex).collect(),
        None => Frames::from(hex(&vector["hex"])),
    }
}

/// What the octets of a vector say.
fn say(frames: &Frames, kind: Option<Kind>) -> Vec<Heard> {
    let only = (frames.len() == 1).then(|| frames[0].clone());
    frames_say(frames, only.as_ref(), kind)
}

/// What is told, as the vectors write it: content apart, and texts that are none in another way.
fn told(heard: &Heard) -> (Value, Value) {
    let Said::Told(told) = &heard.said else {
        panic!("{heard:?}");
    };
    let value = serde_json::to_value(told).unwrap();
    (value["message"].clone(), value["fields"].clone())
}

/// Texts of the vectors as they are told: those that cannot be shown are in hexadecimal there.
fn as_told(value: &Value) -> Value {
    use base64::Engine as _;
    match value {
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("hex") => {
            let octets = hex(&fields["hex"]);
            match str::from_utf8(&octets) {
                Ok(text) => json!(text),
                Err(_) => {
                    json!({ "base64": base64::engine::general_purpose::STANDARD.encode(&octets) })
                }
            }
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields: Map<_, _> = fields
                .map(|(name, value)| (name.clone(), as_told(value)))
                .collect();
            fields.into()
        }
        Value::Array(values) => values.iter().map(as_told).collect(),
        other => other.clone(),
    }
}

/// Each good vector is told as it states, whether it is known of what kind it is or not, and each other one is refused at its field.
fn check(file: &str, kind: Kind, name: &str) {
    let file = load(file);
    for vector in file["good"].as_array().unwrap() {
        let mut fields = as_told(&vector["fields"]);
        let message = match fields.as_object_mut().unwrap().remove(name) {
            Some(message) => message,
            None if kind == Kind::Log => json!("LOG"),
            None => json!("BEACON"),
        };
        // The first octets of a link to a relay are more likely those than a message that nobody knows.
        let relayed = frames(vector)
            .first()
            .is_some_and(|frame| frame.starts_with(b"\xAA\xA2\x53"));
        for kind in [Some(kind), None] {
            if relayed && kind.is_none() {
                continue;
            }
            let heard = say(&frames(vector), kind);
            assert_eq!(heard.len(), 1, "{vector}: {heard:?}");
            assert_eq!(
                told(&heard[0]),
                (message.clone(), fields.clone()),
                "{vector}"
            );
        }
    }
    for vector in file["refused"].as_array().unwrap() {
        let came = frames(vector);
        let heard = say(&came, Some(kind));
        let [
            Heard {
                offset,
                said: Said::Fault(fault),
                ..
            },
        ] = &heard[..]
        else {
            panic!("{vector}: {heard:?}");
        };
        assert_eq!(fault.field, vector["field"], "{vector}");
        assert!(
            usize::try_from(*offset).unwrap() <= came.octets(),
            "{vector}: {offset}"
        );
    }
}

#[test]
fn messages_are_told_as_the_vectors_state() {
    check("beacon.json", Kind::Beacon, "");
    check("autoconf.json", Kind::Autoconf, "kind");
    check("zre.json", Kind::Zre, "message");
    check("once.json", Kind::Once, "message");
    check("gossip.json", Kind::Gossip, "message");
    check("log.json", Kind::Log, "");
}

#[test]
fn the_offset_is_that_of_the_field_that_is_wrong() {
    for (octets, field, offset) in [
        (&b"\xAA\xA2\x01\x02\x00\x01"[..], "signature", 0),
        (b"\xAA\xA1\x01\x03\x00\x01", "version", 3),
        (b"\xAA\xA1\x01\x02\x00", "sequence", 4),
        // The group is of five octets, and three are there.
        (b"\xAA\xA1\x04\x02\x00\x02\x05abc", "JOIN.group", 7),
        (b"\xAA\xA1\x04\x02\x00\x02\x03abc", "JOIN.status", 10),
        (b"\xAA\xA1\x06\x02\x00\x02\x00", "PING", 6),
        // Too many groups, and behind a whole endpoint.
        (
            b"\xAA\xA1\x01\x02\x00\x01\x03a:1\x00\x10\x00\x00",
            "HELLO.groups",
            10,
        ),
    ] {
        let heard = say(&Frames::from(octets), Some(Kind::Zre));
        let [
            Heard {
                offset: at,
                said: Said::Fault(fault),
                ..
            },
        ] = &heard[..]
        else {
            panic!("{heard:?}");
        };
        assert_eq!((fault.field.as_str(), *at), (field, offset));
    }
}

#[test]
fn greetings_and_commands_are_told_as_the_vectors_state() {
    let file = load("zmtp.json");
    for vector in file["greetings"]["good"].as_array().unwrap() {
        let heard = say(&Frames::from(hex(&vector["hex"])), None);
        let (message, mut fields) = told(&heard[0]);
        fields.as_object_mut().unwrap().remove("as_server").unwrap();
        assert_eq!(
            (message, fields),
            (json!("greeting"), vector["fields"].clone()),
            "{vector}"
        );
    }
    for vector in file["greetings"]["refused"].as_array().unwrap() {
        let heard = say(&Frames::from(hex(&vector["hex"])), Some(Kind::Zmtp));
        assert!(
            matches!(
                heard[..],
                [Heard {
                    said: Said::Fault(_),
                    ..
                }]
            ),
            "{vector}: {heard:?}"
        );
    }
    for (list, good) in [("good", true), ("refused", false)] {
        for vector in file["commands"][list].as_array().unwrap() {
            // As they come behind a greeting with the mechanism NULL.
            let body = hex(&vector["hex"]);
            let mut stream = hex(&file["greetings"]["good"][0]["hex"]).to_vec();
            stream.push(6);
            stream.extend(u64::try_from(body.len()).unwrap().to_be_bytes());
            stream.extend(&body);
            let heard = say(&Frames::from(stream), None);
            assert_eq!(heard.len(), 2, "{vector}: {heard:?}");
            if good {
                let (message, mut fields) = told(&heard[1]);
                fields["command"] = message;
                assert_eq!(fields, as_told(&vector["fields"]), "{vector}");
            } else {
                let Said::Fault(fault) = &heard[1].said else {
                    panic!("{vector}: {heard:?}");
                };
                assert_eq!(fault.field, vector["field"], "{vector}");
            }
        }
    }
}

#[test]
fn connections_are_told_message_by_message() {
    let file = load("zmtp.json");
    for vector in file["connections"]["good"].as_array().unwrap() {
        let heard = say(&Frames::from(hex(&vector["hex"])), None);
        assert!(
            heard
                .iter()
                .all(|heard| matches!(heard.said, Said::Told(_))),
            "{vector}: {heard:?}"
        );
        let messages = heard.iter().filter_map(|heard| match &heard.said {
            Said::Told(told) if told.protocol == "ZMTP" => told.content.clone(),
            _ => None,
        });
        let messages: Vec<Vec<String>> = messages
            .map(|frames| {
                frames
                    .iter()
                    .map(|frame| super::super::told::hex(frame))
                    .collect()
            })
            .collect();
        assert_eq!(json!(messages), vector["messages"], "{vector}");
    }
}

#[test]
fn what_real_peers_say_is_told() {
    let mut seen = 0;
    for peer in ["zyre", "pyre", "zyrejs", "ingescape"] {
        for vector in load(&format!("captured/{peer}.json"))["vectors"]
            .as_array()
            .unwrap()
        {
            let heard = say(&Frames::from(hex(&vector["hex"])), None);
            let gossip = vector["name"].as_str().unwrap().starts_with("gossip-");
            // A message of gossip has a signature of its own, AA A0.
            let fine = |heard: &Heard| matches!(&heard.said, Said::Told(_)) || gossip;
            assert!(
                !heard.is_empty() && heard.iter().all(fine),
                "{vector}: {heard:?}"
            );
            if gossip {
                continue;
            }
            let Some(fields) = vector.get("fields") else {
                continue;
            };
            let (message, told) = told(&heard[0]);
            let stated = fields.get("message").or(fields.get("command"));
            if let Some(stated) = stated {
                assert_eq!(&message, stated, "{vector}");
            }
            if let Some(sequence) = fields.get("sequence") {
                assert_eq!(&told["sequence"], sequence, "{vector}");
            }
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}
