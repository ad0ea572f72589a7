//! The vectors of `spec/vectors/`: each good one is read to the fields it states, each other one is refused where it says.
//!
//! The formats are in `spec/README.md`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test that is wrong may stop

mod fields;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use atonce::endpoint::{Endpoint, Host};
use atonce::wire::autoconf::Datagram;
use atonce::wire::gossip::Message as GossipMessage;
use atonce::wire::log::Record;
use atonce::wire::once::{
    Challenge, Exchange, Limits as OnceLimits, Message as OnceMessage, Party, Prelude, Side,
};
use atonce::wire::zmtp::{
    Command as ZmtpCommand, Decoded, FrameHeader, FrameKind, Greeting, GreetingError, MechanismName,
};
use atonce::wire::zre::{Limits, Message};
use atonce::wire::{Beacon, Text};
use atonce::{Bytes, Frames, PeerId};
use serde_json::{Value, json};

use self::fields::{
    beacon_fields, command_fields, content, datagram_fields, gossip_fields, message_fields,
    once_fields, router,
};

const PEERS: [&str; 4] = ["zyre", "pyre", "zyrejs", "ingescape"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors")
}

fn load(file: &str) -> Value {
    let path = folder().join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no hex"));
    assert!(digits.len().is_multiple_of(2), "{digits}");
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn frames(value: &Value) -> Frames {
    value.as_array().unwrap().iter().map(hex).collect()
}

fn name(vector: &Value) -> &str {
    vector["name"].as_str().unwrap()
}

/// Octets as `fields` have them: text where they can be shown as such.
fn octets(octets: &[u8]) -> Value {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.contains(char::is_control) => json!(text),
        _ => json!({ "hex": upper(octets) }),
    }
}

fn upper(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

/// Runs a check over a list of vectors, each of which has a name of its own and says what it shows.
fn each(list: &Value, check: impl Fn(&Value)) {
    let vectors = list.as_array().unwrap();
    assert!(!vectors.is_empty());
    let names: BTreeSet<_> = vectors.iter().map(name).collect();
    assert_eq!(names.len(), vectors.len(), "two of one name");
    for vector in vectors {
        assert!(!vector["shows"].as_array().unwrap().is_empty(), "{vector}");
        check(vector);
    }
}

// ---- vectors written by hand

#[test]
fn messages_of_gossip_are_read_and_written_as_the_vectors_say() {
    // GOS-1, GOS-3, GOS-4, GOS-5, GOS-6, GOS-7, GOS-21, GOS-25, GOS-30
    let file = load("gossip.json");
    each(&file["good"], |vector| {
        let came = hex(&vector["hex"]);
        assert!(GossipMessage::is_gossip(&came), "{}", name(vector));
        let written = vector.get("written").map_or_else(|| came.clone(), hex);
        let message = GossipMessage::decode(&came.into());
        let message = message.unwrap_or_else(|error| panic!("{}: {error}", name(vector)));
        assert_eq!(
            gossip_fields(&message),
            vector["fields"],
            "{}",
            name(vector)
        );
        assert_eq!(message.encode(), written, "{}", name(vector));
    });
    each(&file["refused"], |vector| {
        let came = hex(&vector["hex"]);
        assert_eq!(
            GossipMessage::is_gossip(&came),
            vector["gossip"],
            "{}",
            name(vector)
        );
        let error = GossipMessage::decode(&came.into()).expect_err(name(vector));
        assert_eq!(error.field, vector["field"], "{}", name(vector));
    });
}

#[test]
fn datagrams_of_autoconfiguration_are_read_and_written_as_the_vectors_say() {
    // AUTO-1, AUTO-2, AUTO-3, AUTO-4, AUTO-5, AUTO-6, AUTO-7, AUTO-8
    let file = load("autoconf.json");
    each(&file["good"], |vector| {
        let came = hex(&vector["hex"]);
        assert!(Datagram::is_ours(&came), "{}", name(vector));
        let datagram = Datagram::decode(&came);
        let datagram = datagram.unwrap_or_else(|error| panic!("{}: {error}", name(vector)));
        let fields = datagram_fields(&datagram);
        assert_eq!(fields, vector["fields"], "{}", name(vector));
        assert_eq!(datagram.encode(), came, "{}", name(vector));
    });
    each(&file["refused"], |vector| {
        let came = hex(&vector["hex"]);
        assert_eq!(Datagram::is_ours(&came), vector["ours"], "{}", name(vector));
        let error = Datagram::decode(&came).expect_err(name(vector));
        assert_eq!(error.field, vector["field"], "{}", name(vector));
    });
}

#[test]
fn records_are_read_and_written_as_the_vectors_say() {
    // LOG-1, LOG-2, LOG-4, LOG-5, LOG-6, LOG-7, LOG-8
    let file = load("log.json");
    each(&file["good"], |vector| {
        let came = Bytes::from(hex(&vector["hex"]));
        assert!(Record::is_ours(&came), "{}", name(vector));
        let record = Record::decode(&came);
        let record = record.unwrap_or_else(|error| panic!("{}: {error}", name(vector)));
        let since = u64::try_from(record.since_1970().as_millis()).unwrap();
        let fields = json!({
            "level": record.level.0,
            "event": record.event.0,
            "node": record.node.to_string(),
            "peer": record.peer.to_string(),
            "time": record.time,
            "since_1970": since,
            "data": octets(record.data.as_bytes()),
        });
        assert_eq!(fields, vector["fields"], "{}", name(vector));
        assert_eq!(record.encode(), came, "{}", name(vector));
    });
    each(&file["refused"], |vector| {
        let came = Bytes::from(hex(&vector["hex"]));
        assert_eq!(Record::is_ours(&came), vector["ours"], "{}", name(vector));
        let error = Record::decode(&came).expect_err(name(vector));
        assert_eq!(error.field, vector["field"], "{}", name(vector));
    });
}

#[test]
fn beacons_are_read_as_the_vectors_say() {
    // ZRE-5, ZRE-6
    let file = load("beacon.json");
    each(&file["good"], |vector| {
        let datagram = hex(&vector["hex"]);
        assert_eq!(
            beacon_fields(&datagram).as_ref(),
            Ok(&vector["fields"]),
            "{}",
            name(vector)
        );
        assert_eq!(
            Beacon::decode(&datagram).unwrap().encode(),
            datagram,
            "{}",
            name(vector)
        );
    });
    each(&file["refused"], |vector| {
        let error = Beacon::decode(&hex(&vector["hex"])).expect_err(name(vector));
        assert_eq!(error.field, vector["field"], "{}", name(vector));
    });
}

#[test]
fn messages_are_read_and_written_as_the_vectors_say() {
    // ZRE-73, ZRE-90, ZRE-91, ZRE-92, ZRE-93, ZRE-94, ZRE-95, ZRE-96, ZRE-97, ZRE-98
    let file = load("zre.json");
    each(&file["good"], |vector| {
        let came = frames(&vector["frames"]);
        assert!(Message::is_zre(&came), "{}", name(vector));
        let message = Message::decode(came.clone(), &Limits::default()).unwrap_or_else(|error| {
            panic!("{}: {error}", name(vector));
        });
        assert_eq!(
            message_fields(&message),
            vector["fields"],
            "{}",
            name(vector)
        );
        if let Some(content) = content(&message) {
            assert_eq!(&content[..], &came[1..], "{}", name(vector));
        }
        let written = vector.get("written").map_or(came, frames);
        assert_eq!(message.encode(), written, "{}", name(vector));
    });
    each(&file["refused"], |vector| {
        let came = frames(&vector["frames"]);
        assert_eq!(Message::is_zre(&came), vector["zre"], "{}", name(vector));
        let error = Message::decode(came, &Limits::default()).expect_err(name(vector));
        assert_eq!(error.field, vector["field"], "{}", name(vector));
    });
}

#[test]
fn messages_of_once_are_read_and_written_as_the_vectors_say() {
    // ONCE-1, ONCE-2, ONCE-3, ONCE-4, ONCE-5, ONCE-6, ONCE-7, ONCE-8, ONCE-11, ONCE-12, ONCE-13, ONCE-20, ONCE-21, ONCE-30,
    // ONCE-31, ONCE-32, ONCE-33
    let file = load("once.json");
    each(&file["good"], |vector| {
        let came = frames(&vector["frames"]);
        assert!(OnceMessage::is_once(&came), "{}", name(vector));
        let message = OnceMessage::decode(came.clone(), &OnceLimits::default());
        let message = message.unwrap_or_else(|error| panic!("{}: {error}", name(vector)));
        assert_eq!(once_fields(&message), vector["fields"], "{}", name(vector));
        if let Some(content) = message.content() {
            assert_eq!(&content[..], &came[1..], "{}", name(vector));
        }
        let written = vector.get("written").map_or(came, frames);
        assert_eq!(message.encode(), written, "{}", name(vector));
    });
    each(&file["refused"], |vector| {
        let came = frames(&vector["frames"]);
        let begins = OnceMessage::is_once(&came);
        assert_eq!(begins, vector["once"], "{}", name(vector));
        let error = OnceMessage::decode(came, &OnceLimits::default()).expect_err(name(vector));
        assert_eq!(error.field, vector["field"], "{}", name(vector));
    });
}

#[test]
fn links_to_a_relay_begin_as_the_vectors_say() {
    // ONCE-120
    each(&load("once.json")["preludes"], |vector| {
        let came = hex(&vector["hex"]);
        let read = Prelude::read(&came);
        if let Some(field) = vector.get("field") {
            assert_eq!(read.unwrap_err().field, *field, "{}", name(vector));
            return;
        }
        let prelude = read.unwrap();
        let ticket = prelude.map(|prelude| upper(prelude.ticket.as_bytes()));
        assert_eq!(json!(ticket), vector["ticket"], "{}", name(vector));
        if let Some(prelude) = prelude {
            assert!(came.starts_with(&prelude.encode()), "{}", name(vector));
        }
    });
}

#[test]
fn proofs_are_over_what_the_vectors_say() {
    // ONCE-40, ONCE-41, ONCE-42
    let text = |value: &Value| Text::try_from(value.as_str().unwrap()).unwrap();
    let long = |value: &Value| -> [u8; 32] { hex(value).try_into().unwrap() };
    let party = |value: &Value| Party {
        uuid: PeerId::from_bytes(hex(&value["uuid"]).try_into().unwrap()),
        key: (!value["key"].is_null()).then(|| long(&value["key"])),
    };
    each(&load("once.json")["proven"], |vector| {
        let mechanisms = vector["mechanisms"].as_array().unwrap();
        let challenge = Challenge {
            mechanisms: mechanisms.iter().map(text).collect(),
            nonce: long(&vector["challenge"]),
        };
        let exchange = Exchange {
            challenger: party(&vector["challenger"]),
            answerer: party(&vector["answerer"]),
            challenge: &challenge,
            mechanism: &text(&vector["mechanism"]),
            nonce: &long(&vector["nonce"]),
        };
        let seconds = vector["seconds"].as_u64().unwrap().try_into().unwrap();
        for (ours, theirs) in [
            (exchange.authenticate(), &vector["authenticate"]),
            (exchange.ok(seconds), &vector["ok"]),
            (
                exchange.stop(Side::Challenger),
                &vector["stop"]["challenger"],
            ),
            (exchange.stop(Side::Answerer), &vector["stop"]["answerer"]),
        ] {
            assert_eq!(upper(&ours), *theirs, "{}", name(vector));
        }
    });
}

#[test]
fn endpoints_are_read_and_written_as_the_vectors_say() {
    // ZRE-100, ZRE-101, ZRE-102
    let file = load("endpoint.json");
    let text = |vector: &Value| vector["text"].as_str().unwrap().to_owned();
    each(&file["good"], |vector| {
        let read = text(vector).parse();
        let endpoint: Endpoint = read.unwrap_or_else(|error| panic!("{}: {error}", name(vector)));
        let host = match &endpoint.host {
            Host::Ip(address) => address.to_string(),
            Host::Name(name) => name.to_string(),
        };
        let fields = json!({ "host": host, "port": endpoint.port });
        assert_eq!(fields, vector["fields"], "{}", name(vector));
        let written = vector.get("written").unwrap_or(&vector["text"]);
        assert_eq!(endpoint.to_string(), *written, "{}", name(vector));
    });
    each(&file["refused"], |vector| {
        let read = text(vector).parse::<Endpoint>();
        assert!(read.is_err(), "{}: {read:?}", name(vector));
    });
}

#[test]
fn greetings_are_read_as_the_vectors_say() {
    // ZMTP-1, ZMTP-2, ZMTP-3, ZMTP-4, ZMTP-5
    let file = &load("zmtp.json")["greetings"];
    each(&file["good"], |vector| {
        let stream = hex(&vector["hex"]);
        let Ok(Decoded::Complete { value, octets: 64 }) = Greeting::decode(&stream) else {
            panic!("{}", name(vector));
        };
        let (version, mechanism) = (value.version.to_string(), value.mechanism.to_string());
        let fields = json!({ "version": version, "mechanism": mechanism });
        assert_eq!(fields, vector["fields"], "{}", name(vector));
        let ours = Greeting::new(MechanismName::NULL).encode();
        let written = vector.get("written") == Some(&json!(true));
        assert_eq!(stream == ours, written, "{}", name(vector));
    });
    each(&file["refused"], |vector| {
        let reason = match Greeting::decode(&hex(&vector["hex"])) {
            Err(GreetingError::Outdated(_)) => "outdated",
            Err(GreetingError::Malformed(_)) => "malformed",
            Ok(_) => "good",
        };
        assert_eq!(reason, vector["reason"], "{}", name(vector));
    });
}

#[test]
fn headers_of_frames_are_read_and_written_as_the_vectors_say() {
    // ZMTP-10, ZMTP-11, ZMTP-12
    let file = &load("zmtp.json")["headers"];
    each(&file["good"], |vector| {
        let stream = hex(&vector["hex"]);
        let Ok(Decoded::Complete { value, octets }) = FrameHeader::decode(&stream) else {
            panic!("{}", name(vector));
        };
        assert_eq!(octets, stream.len(), "{}", name(vector));
        let kind = match value.kind() {
            FrameKind::Last => "last",
            FrameKind::More => "more",
            FrameKind::Command => "command",
        };
        let fields = json!({ "kind": kind, "octets": value.octets() });
        assert_eq!(fields, vector["fields"], "{}", name(vector));
        let mut again = Vec::new();
        value.encode(&mut again);
        assert_eq!(again == stream, vector["written"], "{}", name(vector));
    });
    each(&file["refused"], |vector| {
        let error = FrameHeader::decode(&hex(&vector["hex"])).expect_err(name(vector));
        assert_eq!(error.field, vector["field"], "{}", name(vector));
    });
}

#[test]
fn commands_are_read_and_written_as_the_vectors_say() {
    // ZMTP-20, ZMTP-23, ZMTP-24, ZMTP-25, ZMTP-26
    let file = &load("zmtp.json")["commands"];
    each(&file["good"], |vector| {
        let body = hex(&vector["hex"]);
        let read = ZmtpCommand::decode(&body);
        let command = read.unwrap_or_else(|error| panic!("{}: {error}", name(vector)));
        assert_eq!(
            command_fields(&command),
            vector["fields"],
            "{}",
            name(vector)
        );
        let mut again = Vec::new();
        command.encode(&mut again);
        assert_eq!(again, body, "{}", name(vector));
    });
    each(&file["refused"], |vector| {
        let error = ZmtpCommand::decode(&hex(&vector["hex"])).expect_err(name(vector));
        assert_eq!(error.field, vector["field"], "{}", name(vector));
    });
}

#[test]
fn connections_deliver_answer_and_end_as_the_vectors_say() {
    // ZMTP-6, ZMTP-21, ZMTP-22, ZMTP-32, ZMTP-33, ZMTP-34, ZMTP-35, ZMTP-36, ZMTP-42, ZMTP-50, ZMTP-60, ZMTP-61, ZMTP-62
    // ZMTP-70, ZMTP-71
    let file = &load("zmtp.json")["connections"];
    for list in ["good", "refused"] {
        each(&file[list], |vector| {
            let (messages, answers, end) = router(&hex(&vector["hex"]));
            let expected = vector["messages"].as_array().unwrap();
            let expected: Vec<_> = expected.iter().map(frames).collect();
            assert_eq!(messages, expected, "{}", name(vector));
            assert_eq!(answers, hex(&vector["answers"]), "{}", name(vector));
            let ends = vector.get("ends").map(|ends| ends.as_str().unwrap());
            assert_eq!(end, ends, "{}", name(vector));
            assert_eq!(end.is_some(), list == "refused", "{}", name(vector));
        });
    }
}

// ---- vectors of real peers

/// Whether a captured vector is read to its fields, by the codec that its name asks for.
fn captured(vector: &Value) -> Result<(), String> {
    let octets = hex(&vector["hex"]);
    let fields = &vector["fields"];
    // Groups are a set.
    let mut stated = fields.clone();
    if let Some(groups) = stated.get_mut("groups").and_then(Value::as_array_mut) {
        groups.sort_by_key(Value::to_string);
    }
    let same = |found: Value| {
        if found == stated {
            Ok(())
        } else {
            Err(format!("read as {found}, states {fields}"))
        }
    };
    let which = name(vector);
    if which.starts_with("beacon") {
        let found = beacon_fields(&octets).map_err(|error| error.to_string())?;
        same(found)?;
        let again = Beacon::decode(&octets).unwrap().encode();
        return if again == octets {
            Ok(())
        } else {
            Err(format!("written as {}", upper(&again)))
        };
    }
    if which.starts_with("zmtp-greeting") {
        return match Greeting::decode(&octets) {
            Ok(Decoded::Complete { value, octets: 64 })
                if value.mechanism == MechanismName::NULL && value.version.to_string() == "3.1" =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        };
    }
    let bodies = bodies(&octets)?;
    if which.starts_with("zmtp-ready") {
        let [(FrameKind::Command, body)] = &bodies[..] else {
            return Err(format!("{bodies:?} is not one command"));
        };
        let command = ZmtpCommand::decode(body).map_err(|error| error.to_string())?;
        return same(command_fields(&command));
    }
    let (kinds, bodies): (Vec<_>, Vec<_>) = bodies.into_iter().unzip();
    let others = kinds[..kinds.len() - 1].iter();
    if kinds.last() != Some(&FrameKind::Last) || others.into_iter().any(|k| *k != FrameKind::More) {
        return Err(format!("{kinds:?} are not the frames of one message"));
    }
    let came: Frames = bodies.into_iter().collect();
    if which.starts_with("gossip") {
        let message = GossipMessage::decode(&came[0]).map_err(|error| error.to_string());
        let mut found = gossip_fields(&message?);
        found["signature"] = json!("AAA0");
        found["version"] = json!(1);
        found["message"] = json!(came[0][2]);
        for ours in ["participant", "stamp", "void"] {
            found.as_object_mut().unwrap().remove(ours);
        }
        same(found)?;
        return if Message::is_zre(&came) {
            Err("a message of gossip passes for ZRE".into())
        } else {
            Ok(())
        };
    }
    if frames(&vector["frames"]) != came {
        return Err("the frames are not those of the stream".into());
    }
    let message =
        Message::decode(came.clone(), &Limits::default()).map_err(|error| error.to_string())?;
    let mut found = message_fields(&message);
    found["signature"] = json!("AAA1");
    found["version"] = json!(2);
    same(found)?;
    if content(&message).is_some_and(|content| content[..] != came[1..]) {
        return Err("the content is not that of the stream".into());
    }
    // Peers say their headers in another order than we do, so that they are read once more.
    let again = Message::decode(message.encode(), &Limits::default());
    if again.as_ref() == Ok(&message) {
        Ok(())
    } else {
        Err(format!("written and read again it is {again:?}"))
    }
}

/// The frames of a stream that ends with one.
fn bodies(mut stream: &[u8]) -> Result<Vec<(FrameKind, Vec<u8>)>, String> {
    let mut bodies = Vec::new();
    while !stream.is_empty() {
        let (header, octets) = match FrameHeader::decode(stream) {
            Ok(Decoded::Complete { value, octets }) => (value, octets),
            other => return Err(format!("{other:?}")),
        };
        let end = octets + usize::try_from(header.octets()).unwrap();
        let body = stream.get(octets..end).ok_or("a frame is cut")?;
        bodies.push((header.kind(), body.to_vec()));
        stream = &stream[end..];
    }
    Ok(bodies)
}

#[test]
fn what_real_peers_say_is_read_as_they_meant_it() {
    // ZRE-5, ZRE-90, ZRE-91, ZRE-98, ZMTP-3, ZMTP-11, ZMTP-23
    for peer in PEERS {
        let file = load(&format!("captured/{peer}.json"));
        let vectors = file["vectors"].as_array().unwrap();
        let names: BTreeSet<_> = vectors.iter().map(name).collect();
        assert_eq!(names.len(), vectors.len(), "{peer}: two of one name");
        for vector in vectors {
            if let Err(error) = captured(vector) {
                panic!("{peer}, {}: {error}", name(vector));
            }
        }
    }
}

#[test]
fn a_capture_that_says_something_else_is_found() {
    let file = load("captured/zyre.json");
    let vectors = file["vectors"].as_array().unwrap();
    let find = |which: &str| vectors.iter().find(|v| name(v) == which).unwrap().clone();
    let spoil = |which: &str, field: &str, value: Value| {
        let mut vector = find(which);
        vector["fields"][field] = value;
        captured(&vector).unwrap_err()
    };
    assert!(spoil("beacon", "port", json!(1)).contains("49152"));
    assert!(spoil("hello", "headers", json!({})).contains("X-COLOUR"));
    assert!(spoil("leave", "status", json!(0)).contains("states"));
    assert!(spoil("zmtp-ready-dealer", "command", json!("ERROR")).contains("READY"));
    for (which, octets, error) in [
        ("beacon", "5A5245", "beacon.version"),
        (
            "whisper-several",
            "0106AAA102020009",
            "frames of one message",
        ),
        ("whisper", "0006AAA102020006", "not those of the stream"),
        ("ping", "0007AAA10602000D", "cut"),
        ("gossip-hello", "0006AAA10602000D", "signature"),
        ("zmtp-greeting-router", "FF00000000000000017F01", "Outdated"),
    ] {
        let mut vector = find(which);
        vector["hex"] = json!(octets);
        let found = captured(&vector).unwrap_err();
        assert!(found.contains(error), "{which}: {found}");
    }
}

#[test]
fn every_file_of_vectors_has_a_test() {
    let names = |path: PathBuf| -> BTreeSet<String> {
        let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
        entries
            .filter(|entry| entry.path().is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    };
    // src/curve/tests.rs reads curve.json, which is about what is inside.
    let ours = [
        "autoconf.json",
        "beacon.json",
        "curve.json",
        "endpoint.json",
        "gossip.json",
        "log.json",
        "once.json",
        "zmtp.json",
        "zre.json",
    ];
    assert_eq!(names(folder()), ours.map(str::to_owned).into());
    let peers = PEERS.map(|peer| format!("{peer}.json"));
    assert_eq!(names(folder().join("captured")), peers.into());
    // A list that no test above takes would be unused.
    let lists = |file: &Value| -> Vec<String> {
        let entries = file.as_object().unwrap().iter();
        let lists = entries.filter(|(_, value)| !value.is_string());
        lists.map(|(key, _)| key.clone()).collect()
    };
    for file in [
        "autoconf.json",
        "beacon.json",
        "endpoint.json",
        "gossip.json",
        "log.json",
        "zre.json",
    ] {
        assert_eq!(lists(&load(file)), ["good", "refused"], "{file}");
    }
    let once = lists(&load("once.json"));
    assert_eq!(once, ["good", "preludes", "proven", "refused"]);
    let zmtp = load("zmtp.json");
    assert_eq!(
        lists(&zmtp),
        ["commands", "connections", "greetings", "headers"]
    );
    for part in lists(&zmtp) {
        assert_eq!(lists(&zmtp[&part]), ["good", "refused"], "{part}");
    }
}
