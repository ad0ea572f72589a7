//! `decode`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Ended, Program};

const BEACON: &str = "5a524501dba16fe048938d0de40f480fe9efa5bac000";

fn decode(args: &[&str]) -> Ended {
    Program::start(&[&["decode"], args].concat()).end()
}

fn fed(args: &[&str], input: &[u8]) -> Ended {
    let mut program = Program::start(&[&["decode"], args].concat());
    program.feed(input);
    program.end()
}

#[test]
fn digits_are_told_from_an_argument_and_from_standard_input() {
    let expected =
        ["     0 beacon BEACON version=1 uuid=DBA16FE048938D0DE40F480FE9EFA5BA port=49152"];
    assert_eq!(decode(&[BEACON]).with(0).lines, expected);
    assert_eq!(
        decode(&[
            "5a52 4501",
            "dba16fe048938d0de40f480fe9efa5ba",
            "0xc0",
            "0x00"
        ])
        .with(0)
        .lines,
        expected
    );
    assert_eq!(fed(&[], BEACON.as_bytes()).with(0).lines, expected);
    let lines = decode(&["--json", "AAA102020002|6869|ff"]).with(0).lines;
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        line,
        json!({
            "event": "message", "offset": 0, "octets": 9, "protocol": "ZRE", "message": "WHISPER",
            "fields": {"sequence": 2}, "content": ["hi", {"base64": "/w=="}],
        })
    );
}

#[test]
fn files_are_told_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("beacon.bin");
    fs::write(
        &path,
        b"ZRE\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\0\0",
    )
    .unwrap();
    let name = path.to_str().unwrap();
    let lines = decode(&[name]).with(0).lines;
    assert!(lines[0].ends_with("port=0 (goodbye)"), "{lines:?}");
    decode(&["--kind", "zre", name])
        .with(1)
        .saying("1 not understood");
    decode(&[folder.path().to_str().unwrap()]).with(1);
}

/// Two of our own nodes in two networks of their own, as tcpdump wrote it: they meet, shout, whisper, join and leave.
#[test]
fn captures_of_two_nodes_are_told_to_the_last_word() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    for name in ["two-nodes", "two-nodes-curve"] {
        let capture = folder.join(name).with_extension("pcap");
        let told = fs::read_to_string(capture.with_extension("txt")).unwrap();
        let told: Vec<_> = told.lines().collect();
        assert_eq!(decode(&[capture.to_str().unwrap()]).with(0).lines, told);
        // Through a pipe, and in pieces.
        let octets = fs::read(&capture).unwrap();
        assert_eq!(fed(&[], &octets).with(0).lines, told);
        let ended = fed(&[], &octets[..octets.len() - 10]).with(1);
        assert_eq!(ended.lines[..told.len() - 3], told[..told.len() - 3]);
        let lines = decode(&["--json", capture.to_str().unwrap()]).with(0).lines;
        let lines: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), told.len());
        assert_eq!(lines.last().unwrap()["faults"], 0);
    }
}

#[test]
fn what_is_not_understood_is_told_and_ends_with_1() {
    let ended = decode(&["--json", "5a524501dba16fe0"])
        .with(1)
        .saying("1 not understood");
    let line: Value = serde_json::from_str(&ended.lines[0]).unwrap();
    assert_eq!(
        line,
        json!({
            "event": "error", "offset": 4, "octets": 8, "protocol": "beacon", "field": "beacon.uuid", "expected": "16 octets",
            "found": "4 octets", "message": "beacon beacon.uuid: expected 16 octets, found 4 octets",
        })
    );
    let ended = decode(&["00112233"]).with(1);
    assert!(
        ended.lines[0].contains("expected a beacon (5A5245)"),
        "{ended:?}"
    );
    decode(&["no-such-file"])
        .with(2)
        .saying("no such file")
        .saying("`n`");
    fed(&[], b"5a5\n")
        .with(2)
        .saying("line 1")
        .saying("3 in a row");
    fed(&[], b"\xff\xfe\xfd\xfc")
        .with(2)
        .saying("neither a capture nor text");
    decode(&["--kind", "nothing", BEACON])
        .with(2)
        .saying("autoconf");
}
