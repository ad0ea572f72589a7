//! Captures of those who talk.

use std::net::SocketAddr;

use atonce::Frames;
use atonce::wire::zre::Command as Said;
use serde_json::{Value, json};

use super::super::capture;
use super::forge::{
    FIN, Flags, Link, SYN, addresses, beacon, datagram, dealer, pcap, pcapng, segment, zre,
};
use super::{lines, objects};

/// What a capture says, in words.
fn words(file: &[u8]) -> Vec<String> {
    lines(false, |report| {
        capture::read(file.to_vec(), std::io::empty(), report).unwrap();
    })
}

/// The same as JSON.
fn json_of(file: &[u8]) -> Vec<Value> {
    objects(|report| capture::read(file.to_vec(), std::io::empty(), report).unwrap())
}

/// The messages, errors and the rest, by their names.
fn names(file: &[u8]) -> Vec<String> {
    json_of(file)
        .iter()
        .filter(|line| line["event"] != "summary")
        .map(|line| match line["event"].as_str().unwrap() {
            "message" => line["message"].as_str().unwrap().to_owned(),
            "gap" => format!("gap of {} at {}", line["octets"], line["offset"]),
            event => event.to_owned(),
        })
        .collect()
}

/// Writes of one side after each other, from a SYN with this sequence number to a FIN.
fn said(from: SocketAddr, to: SocketAddr, first: u32, writes: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut packets = vec![segment(from, to, first, SYN, &[])];
    let mut next = first.wrapping_add(1);
    for write in writes {
        packets.push(segment(from, to, next, Flags::default(), write));
        next = next.wrapping_add(u32::try_from(write.len()).unwrap());
    }
    packets.push(segment(from, to, next, FIN, &[]));
    packets
}

fn talk(v6: bool) -> Vec<Vec<u8>> {
    let (alice, bob) = addresses(v6);
    let mut packets = vec![datagram(
        SocketAddr::new(alice.ip(), 5670),
        SocketAddr::new(bob.ip(), 5670),
        &beacon(),
    )];
    packets.extend(said(alice, bob, 1_000, &dealer()));
    packets
}

const SAID: [&str; 6] = ["BEACON", "greeting", "READY", "HELLO", "WHISPER", "PING"];

#[test]
fn two_who_talk_are_told_in_words() {
    let id = "07070707070707070707070707070707";
    assert_eq!(
        words(&pcap(Link::Ethernet, &talk(false), usize::MAX)),
        [
            format!("#1 0.000000 10.0.0.1:5670 > 10.0.0.2:5670 @0 beacon BEACON version=1 uuid={id} port=49152"),
            "#3 0.002000 10.0.0.1:40000 > 10.0.0.2:49152 @0 ZMTP greeting version=3.1 mechanism=NULL as_server=no".into(),
            format!("#4 0.003000 10.0.0.1:40000 > 10.0.0.2:49152 @64 ZMTP READY properties=[[Socket-Type, DEALER], [Identity, (17 octets: 01{id})]]"),
            "#5 0.004000 10.0.0.1:40000 > 10.0.0.2:49152 @124 ZRE HELLO sequence=1 endpoint=tcp://10.0.0.1:49152 groups=[CHAT, \"two words\"] status=2 name=alice headers={X-ROLE=hatter}".into(),
            "#6 0.005000 10.0.0.1:40000 > 10.0.0.2:49152 @206 ZRE WHISPER sequence=2 | tea | time".into(),
            "#7 0.006000 10.0.0.1:40000 > 10.0.0.2:49152 @225 ZRE PING sequence=3".into(),
            "8 packets, 1 sides of connections: 6 understood, 0 not understood, 0 gaps, 0 packets of something else".into(),
        ]
    );
}

#[test]
fn a_line_of_json_says_where_and_what() {
    let lines = json_of(&pcapng(Link::Ethernet, &talk(false)));
    assert_eq!(
        lines[4],
        json!({
            "event": "message", "packet": 6, "time": 1_700_000_000.005, "from": "10.0.0.1:40000", "to": "10.0.0.2:49152",
            "offset": 206, "octets": 19, "protocol": "ZRE", "message": "WHISPER", "fields": {"sequence": 2}, "content": ["tea", "time"],
        })
    );
    assert_eq!(
        lines[6],
        json!({"event": "summary", "packets": 8, "sides": 1, "understood": 6, "faults": 0, "gaps": 0, "others": 0, "fragments": 0})
    );
}

#[test]
fn every_kind_of_link_and_file_says_the_same() {
    for link in Link::ALL {
        for v6 in [false, true] {
            let packets = talk(v6);
            for file in [pcap(link, &packets, usize::MAX), pcapng(link, &packets)] {
                assert_eq!(names(&file), SAID, "{link:?}, v6: {v6}");
            }
        }
    }
}

#[test]
fn segments_are_put_in_order_and_once() {
    let (alice, bob) = addresses(false);
    // Just before sequence numbers begin anew, and cut without regard to frames.
    let octets = dealer().concat();
    let pieces: Vec<_> = octets.chunks(7).map(<[u8]>::to_vec).collect();
    let first = u32::MAX - 100;
    let mut packets = said(alice, bob, first, &pieces);
    assert_eq!(names(&pcap(Link::Raw, &packets, usize::MAX)), SAID[1..]);
    // Neighbours change places, and each segment comes twice.
    let last = packets.len() - 1;
    for pair in packets[1..last].chunks_mut(2) {
        pair.reverse();
    }
    let twice: Vec<_> = packets
        .iter()
        .flat_map(|packet| [packet.clone(), packet.clone()])
        .collect();
    assert_eq!(names(&pcap(Link::Raw, &twice, usize::MAX)), SAID[1..]);
    // The FIN comes before all of it.
    packets.rotate_right(1);
    packets.swap(0, 1);
    assert_eq!(names(&pcap(Link::Raw, &packets, usize::MAX)), SAID[1..]);
}

#[test]
fn both_sides_and_several_connections_are_kept_apart() {
    let (alice, bob) = addresses(false);
    let other = SocketAddr::new(alice.ip(), 40_001);
    let ways = [(alice, bob), (bob, alice), (other, bob)];
    let all = ways.map(|(from, to)| said(from, to, 7, &dealer()));
    // Turn by turn.
    let packets: Vec<_> = (0..all[0].len())
        .flat_map(|turn| all.iter().map(move |one| one[turn].clone()))
        .collect();
    let lines = json_of(&pcap(Link::Ethernet, &packets, usize::MAX));
    for (from, to) in ways {
        let names: Vec<_> = lines
            .iter()
            .filter(|line| line["from"] == from.to_string() && line["to"] == to.to_string())
            .map(|line| line["message"].clone())
            .collect();
        assert_eq!(json!(names), json!(SAID[1..]));
    }
    assert_eq!(lines.last().unwrap()["sides"], 3);
}

#[test]
fn what_lacks_is_told_and_what_follows_is_read() {
    let (alice, bob) = addresses(false);
    let mut writes = dealer();
    // Within the content of a message: the frame says where it ends.
    let content = Frames::from(vec![b'x'; 3_000]);
    let large = zre(4, Said::Whisper { content });
    let parts: Vec<_> = large.chunks(1_000).map(<[u8]>::to_vec).collect();
    writes.extend(parts);
    writes.push(zre(5, Said::Ping));
    let mut packets = said(alice, bob, 1, &writes);
    // The second piece of four.
    packets.remove(7);
    let lines = names(&pcap(Link::Ethernet, &packets, usize::MAX));
    assert_eq!(lines[..5], SAID[1..]);
    assert_eq!(
        lines[5..],
        ["gap of 1000 at 1233", "WHISPER", "PING"],
        "{lines:?}"
    );
    // A whole message, so that nobody knows where frames begin until one is recognized.
    let mut packets = said(alice, bob, 1, &dealer());
    packets.remove(4);
    packets.extend(said(bob, alice, 1, &dealer()));
    let file = pcap(Link::Ethernet, &packets, usize::MAX);
    let lines = words(&file);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("@206 19 octets lack")),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("PING sequence=3 (the sequence should be 2)")),
        "{lines:?}"
    );
}

#[test]
fn what_the_other_side_has_and_the_capture_has_not_is_not_waited_for() {
    let (alice, bob) = addresses(false);
    let mut packets = said(alice, bob, 0, &dealer());
    // The FIN does not come, and neither does READY.
    packets.pop();
    packets.remove(2);
    let all: usize = dealer().concat().len();
    let flags = Flags {
        ack: Some(u32::try_from(all).unwrap() + 1),
        ..Flags::default()
    };
    packets.extend((0..70).map(|_| segment(bob, alice, 5, flags, &[])));
    let ping = zre(4, Said::Ping);
    packets.push(segment(
        alice,
        bob,
        u32::try_from(all).unwrap() + 1,
        Flags::default(),
        &ping,
    ));
    let lines = json_of(&pcap(Link::Ethernet, &packets, usize::MAX));
    let gap = lines
        .iter()
        .position(|line| line["event"] == "gap")
        .unwrap();
    let after = lines
        .iter()
        .position(|line| line["packet"] == packets.len())
        .unwrap();
    assert!(gap < after, "{lines:?}");
}

#[test]
fn packets_that_were_captured_in_part_leave_gaps() {
    let (alice, bob) = addresses(false);
    let mut writes = dealer();
    let content = Frames::from(vec![b'x'; 900]);
    writes.push(zre(4, Said::Whisper { content }));
    writes.push(zre(5, Said::Ping));
    let packets = said(alice, bob, 1, &writes);
    let lines = names(&pcap(Link::Ethernet, &packets, 400));
    assert_eq!(lines[..5], SAID[1..]);
    assert!(
        lines[5].starts_with("gap of ") && lines[6..] == ["WHISPER", "PING"],
        "{lines:?}"
    );
}

#[test]
fn a_connection_is_read_from_its_middle() {
    let (alice, bob) = addresses(false);
    let packets = said(alice, bob, 1, &dealer());
    let lines = words(&pcap(Link::Ethernet, &packets[3..], usize::MAX));
    assert!(
        lines[0].contains("the beginning of this connection was not seen"),
        "{lines:?}"
    );
    assert!(lines[1].contains("ZRE HELLO sequence=1"), "{lines:?}");
    assert!(lines[3].contains("ZRE PING sequence=3"), "{lines:?}");
}

#[test]
fn what_is_of_others_is_counted_and_no_fault() {
    let (alice, bob) = addresses(false);
    let mut packets = said(
        alice,
        bob,
        1,
        &[b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 100]],
    );
    packets.push(datagram(alice, bob, b"something"));
    packets.push(datagram(
        alice,
        SocketAddr::new(bob.ip(), 5670),
        b"something",
    ));
    packets.push(vec![0x45; 7]);
    let lines = words(&pcap(Link::Raw, &packets, usize::MAX));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].ends_with("9 octets that are no beacon"),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("0 understood, 0 not understood, 0 gaps"),
        "{lines:?}"
    );
}

#[test]
fn what_is_malformed_is_told_with_its_place() {
    let (alice, bob) = addresses(false);
    let mut short = beacon();
    short.pop();
    let mut writes = dealer();
    writes.push(super::forge::message(&Frames::from(
        b"\xAA\xA1\x04\x02\x00\x04\x05abc",
    )));
    writes.push(b"\x08".to_vec());
    let mut packets = vec![datagram(alice, bob, &short)];
    packets.extend(said(alice, bob, 1, &writes));
    let lines = words(&pcap(Link::Ethernet, &packets, usize::MAX));
    assert!(
        lines[0]
            .contains("@20 not understood: beacon beacon.port: expected 2 octets, found 1 octet"),
        "{lines:?}"
    );
    assert!(
        lines[6].contains("@242 not understood: ZRE JOIN.group: expected 5 octets, found 3 octets"),
        "{lines:?}"
    );
    assert!(
        lines[7].contains("@245 not understood: ZMTP frame.flags"),
        "{lines:?}"
    );
    assert!(lines[8].contains("3 not understood"), "{lines:?}");
}

#[test]
fn what_is_no_capture_to_its_end_is_told() {
    let file = pcap(Link::Ethernet, &talk(false), usize::MAX);
    let lines = words(&file[..file.len() - 5]);
    assert!(
        lines.iter().any(|line| line.contains(
            "capture block: expected a whole one of pcap or pcapng, found the end of the file"
        )),
        "{lines:?}"
    );
    let file = pcapng(Link::Ethernet, &talk(false));
    let lines = words(&file[..file.len() - 5]);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("the end of the file")),
        "{lines:?}"
    );
    let mut other = pcap(Link::Ethernet, &talk(false), usize::MAX);
    other[20] = 147;
    let lines = words(&other);
    assert!(
        lines[0].contains("link type: expected Ethernet"),
        "{lines:?}"
    );
}

#[test]
fn what_curve_encrypts_is_told_by_its_size() {
    use atonce::wire::zmtp::{FrameKind, Greeting, MechanismName, curve};
    let (alice, bob) = addresses(false);
    let hello = curve::Hello {
        client: [1; 32],
        nonce: 1,
        sealed: [2; 80],
    };
    let sealed = [&curve::SealedFrame::head(3)[..], &[9; 17 + 12]].concat();
    let writes = [
        Greeting::new(MechanismName::CURVE).encode().to_vec(),
        super::forge::frame(FrameKind::Command, &hello.encode()),
        super::forge::frame(FrameKind::Last, &sealed),
    ];
    let lines = words(&pcap(
        Link::Ethernet,
        &said(alice, bob, 1, &writes),
        usize::MAX,
    ));
    assert!(lines[1].contains("CURVE HELLO key=0101"), "{lines:?}");
    assert!(
        lines[2].ends_with("CURVE MESSAGE nonce=3 octets=12 (encrypted)"),
        "{lines:?}"
    );
}
