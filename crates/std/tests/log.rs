//! Nodes that log and collectors that hear it, over real sockets. Everything stays on the loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test is where they belong

mod common;

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use atonce_std::log::{Collector, Config, HEADER, Happened, Level, Limits, NodeTag, Record};
use atonce_std::socket::{Kind, Socket};
use atonce_std::{Builder, Certificate, Node, StartError, Trust};
use common::{PATIENCE, wait_enter, wait_exit};

/// A node that nobody finds by itself.
fn node(name: &str) -> Builder {
    Node::builder().name(name).interface("lo").port(0)
}

/// A collector and its node.
fn archive() -> (Collector, Node) {
    let collector = Collector::builder().interface("lo").open().unwrap();
    let node = node("archive")
        .service(HEADER, collector.endpoints())
        .start();
    (collector, node.unwrap())
}

/// Takes records until one has this text, and gives them all.
#[track_caller]
fn records(collector: &Collector, last: &str) -> Vec<Record> {
    let end = Instant::now() + PATIENCE;
    let mut records = Vec::<Record>::new();
    while records.last().is_none_or(|record| record.data != *last) {
        let left = end.saturating_duration_since(Instant::now());
        match collector.recv_timeout(left) {
            Some(record) => records.push(record.unwrap()),
            None => panic!("no {last:?}, but {records:#?}"),
        }
    }
    records
}

fn words(records: &[Record]) -> Vec<String> {
    let words = |record: &Record| format!("{} {}: {}", record.level, record.event, record.data);
    records.iter().map(words).collect()
}

#[test]
fn a_collector_hears_all_that_happens_to_a_node_from_its_beginning_to_its_end() {
    // LOG-10, LOG-20, LOG-21, LOG-23, LOG-24, LOG-27
    let (collector, archive) = archive();
    let kitchen = node("kitchen")
        .group("CLIMATE")
        .group("CLIMATE")
        .log(Level::INFO);
    let kitchen = kitchen.peer(&archive.endpoints()[0]).start().unwrap();
    kitchen.log(Level::WARNING, "the milk boils over");
    wait_enter(&archive, kitchen.id());
    // Nobody takes the events of this node, which is none of its business.
    let end = Instant::now() + PATIENCE;
    while kitchen.peers().is_empty() {
        assert!(Instant::now() < end, "nobody entered");
        thread::yield_now();
    }
    for _ in 0..2 {
        kitchen.join("CHAT").unwrap();
    }
    kitchen.leave("CHAT").unwrap();
    kitchen.leave("NEVER").unwrap();
    kitchen.log(Level::ERROR, "no milk");
    let endpoint = kitchen.endpoints().remove(0);
    let at = archive.endpoints().remove(0);
    let heard = records(&collector, "no milk");
    let mut said = words(&heard);
    // What the node met first, the command or the peer, nobody knows.
    let milk = said.iter().position(|said| said.ends_with("over")).unwrap();
    assert_eq!(said.remove(milk), "warning event 0: the milk boils over");
    assert_eq!(
        said,
        [
            "info JOIN: CLIMATE".to_owned(),
            format!("info event 0: lo up: {endpoint}"),
            format!("info ENTER: {at} archive"),
            "info JOIN: CHAT".to_owned(),
            "info LEAVE: CHAT".to_owned(),
            "error event 0: no milk".to_owned(),
        ]
    );
    let enter = heard.iter().find(|record| record.event == Happened::ENTER);
    assert_eq!(enter.unwrap().peer, NodeTag::of(&at));
    assert!(
        heard
            .iter()
            .all(|record| record.node == NodeTag::of(&endpoint))
    );
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    assert!(
        heard
            .iter()
            .all(|record| now - record.since_1970() < 2 * PATIENCE)
    );
    kitchen.stop();
    assert_eq!(records(&collector, "stopped").len(), 1);
    assert_eq!(collector.sources().len(), 1);
}

#[test]
fn a_collector_hears_who_leads_a_group() {
    // LOG-20
    let collector = Collector::builder().interface("lo").open().unwrap();
    let archive = node("archive").service(HEADER, collector.endpoints());
    let archive = archive.group("CHAT").contest("CHAT").start().unwrap();
    let at = archive.endpoints().remove(0);
    let kitchen = node("kitchen").log(Level::INFO).group("CHAT").peer(&at);
    let _kitchen = kitchen.start().unwrap();
    let heard = records(&collector, &format!("leads CHAT: {at} archive"));
    let last = heard.last().unwrap();
    assert_eq!(last.peer, NodeTag::of(&at));
    assert_eq!((last.level, last.event), (Level::INFO, Happened::NONE));
}

#[test]
fn everybody_is_told_of_the_collector_where_it_is_met_over_either_version_of_ip() {
    // LOG-10, ZRE-105
    let hosts = ["127.0.0.1", "::1"];
    let [one, other] = hosts;
    let collector = Collector::builder().interface(one).interface(other);
    let collector = collector.open().unwrap();
    let archive = Node::builder().name("archive").port(0);
    let archive = archive.interface(one).interface(other);
    let archive = archive.service(HEADER, collector.endpoints());
    let archive = archive.start().unwrap();
    assert_eq!(
        (archive.endpoints().len(), collector.endpoints().len()),
        (2, 2)
    );
    for ((host, at), told) in hosts
        .iter()
        .zip(archive.endpoints())
        .zip(collector.endpoints())
    {
        let kitchen = Node::builder().name("kitchen").port(0).interface(*host);
        let kitchen = kitchen.log(Level::INFO).peer(at).start().unwrap();
        wait_enter(&kitchen, archive.id());
        let headers = kitchen.peer(archive.id()).unwrap().peer.headers.clone();
        assert_eq!(headers.get(HEADER).unwrap().to_string(), *told);
        assert!(told.contains(host), "{told}");
        kitchen.log(Level::INFO, host);
        records(&collector, host);
    }
    // With IPv6 alone.
    let collector = Collector::builder().interface("::1").open().unwrap();
    let archive = Node::builder().name("archive").port(0).interface("::1");
    let archive = archive.service(HEADER, collector.endpoints());
    let archive = archive.start().unwrap();
    let kitchen = Node::builder().name("kitchen").port(0).interface("::1");
    let kitchen = kitchen.peer(&archive.endpoints()[0]).log(Level::INFO);
    let kitchen = kitchen.start().unwrap();
    kitchen.log(Level::INFO, "six");
    records(&collector, "six");
}

#[test]
fn where_something_listens_is_checked_at_the_start() {
    // ZRE-105
    for wrong in ["ipc://@feed", "tcp://eth0:1", "nowhere"] {
        let refused = node("wrong")
            .service("X-FEED", [wrong])
            .start()
            .unwrap_err();
        assert!(matches!(refused, StartError::Beside { .. }), "{refused}");
    }
}

#[test]
fn a_collector_names_who_speaks_and_of_whom() {
    // LOG-33
    let (collector, archive) = archive();
    let kitchen = node("kitchen")
        .log(Level::INFO)
        .peer(&archive.endpoints()[0]);
    let kitchen = kitchen.start().unwrap();
    while collector
        .name(NodeTag::of(&kitchen.endpoints()[0]))
        .is_none()
    {
        collector.hear(&archive.recv_timeout(PATIENCE).unwrap());
    }
    kitchen.log(Level::INFO, "it is me");
    let heard = records(&collector, "it is me");
    let names = heard
        .iter()
        .map(|record| collector.name(record.node).unwrap());
    assert!(names.into_iter().all(|name| name == "kitchen"));
}

#[test]
fn a_collector_that_comes_back_gets_what_it_did_not_get() {
    // LOG-16, LOG-27
    let collector = Collector::builder().interface("lo").open().unwrap();
    let endpoints = collector.endpoints().to_vec();
    let port = endpoints[0].rsplit(':').next().unwrap().parse().unwrap();
    let archive = node("archive").service(HEADER, endpoints).start().unwrap();
    let kitchen = node("kitchen")
        .log(Level::INFO)
        .peer(&archive.endpoints()[0]);
    let kitchen = kitchen.start().unwrap();
    kitchen.log(Level::INFO, "before");
    records(&collector, "before");
    collector.close();
    // What is said before the node notices that it is gone may be lost with the link.
    let end = Instant::now() + PATIENCE;
    while collector.connected() > 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(200));
    kitchen.log(Level::INFO, "meanwhile");
    let collector = Collector::builder()
        .interface("lo")
        .port(port)
        .open()
        .unwrap();
    kitchen.log(Level::INFO, "after");
    let heard = words(&records(&collector, "after"));
    assert_eq!(heard, ["info event 0: meanwhile", "info event 0: after"]);
}

/// A SUB that wants everything and says so at once, octet by octet.
fn subscription() -> Vec<u8> {
    let mut octets = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\0NULL".to_vec();
    octets.resize(64, 0);
    octets.extend(b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB");
    octets.extend(b"\0\x01\x01");
    octets
}

#[test]
fn a_collector_that_does_not_read_stops_nobody_and_is_told_what_it_missed() {
    // LOG-27, LOG-29
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", slow.local_addr().unwrap());
    let slow_node = node("slow").header(HEADER, endpoint).start().unwrap();
    let link = thread::spawn(move || {
        let (mut link, _) = slow.accept().unwrap();
        link.write_all(&subscription()).unwrap();
        link
    });
    let (collector, archive) = archive();
    let config = Config {
        limits: Limits {
            rate: 1_000_000,
            burst: 1_000_000,
            ..Limits::default()
        },
        ..Config::default()
    };
    let kitchen = node("kitchen").log_with(config);
    let kitchen = kitchen
        .peer(&slow_node.endpoints()[0])
        .peer(&archive.endpoints()[0]);
    let kitchen = kitchen.start().unwrap();
    let link = link.join().unwrap();
    kitchen.log(Level::INFO, "begin");
    records(&collector, "begin");
    // More than the kernel takes for one that does not read.
    let text = "x".repeat(240);
    for number in 0..40_000 {
        kitchen.log(Level::INFO, &text);
        if number % 50 == 0 {
            // The other one takes what is said, all of it.
            kitchen.log(Level::INFO, number.to_string());
            let heard = records(&collector, &number.to_string());
            let missed = |record: &&Record| record.data.to_string().ends_with("any more");
            assert_eq!(heard.iter().find(missed), None);
            assert!(heard.len() >= if number == 0 { 2 } else { 51 });
        }
    }
    link.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut link = BufReader::new(link);
    let mut heard = Vec::new();
    while !heard.ends_with(b"records before this are not here any more") {
        let mut octet = [0];
        link.read_exact(&mut octet).unwrap();
        if heard.len() > 1_000 {
            heard.drain(..900);
        }
        heard.extend(octet);
    }
    slow_node.stop();
    wait_exit(&kitchen, slow_node.id());
    kitchen.log(Level::INFO, "end");
    records(&collector, "end");
}

#[test]
fn levels_are_chosen_on_either_side() {
    // LOG-25, LOG-30
    let collector = Collector::builder()
        .interface("lo")
        .level(Level::ERROR)
        .open()
        .unwrap();
    let errors = node("errors")
        .service(HEADER, collector.endpoints())
        .start()
        .unwrap();
    let (all, archive) = archive();
    let kitchen = node("kitchen").log(Level::WARNING);
    let kitchen = kitchen
        .peer(&errors.endpoints()[0])
        .peer(&archive.endpoints()[0]);
    let kitchen = kitchen.start().unwrap();
    while kitchen.peers().len() < 2 {
        assert!(kitchen.recv_timeout(PATIENCE).is_some(), "they do not meet");
    }
    kitchen.log(Level::INFO, "milk");
    kitchen.log(Level::WARNING, "hot milk");
    kitchen.log(Level::ERROR, "no milk");
    let heard = words(&records(&all, "no milk"));
    assert_eq!(
        heard,
        ["warning event 0: hot milk", "error event 0: no milk"]
    );
    assert_eq!(
        words(&records(&collector, "no milk")),
        ["error event 0: no milk"]
    );
}

#[test]
fn in_a_secure_network_records_are_sealed_and_go_to_the_key_of_the_collector() {
    // LOG-15
    let [archive, kitchen, mallory] = [(); 3].map(|()| Certificate::generate().unwrap());
    let trust = || Trust::keys([*archive.public_key(), *kitchen.public_key()]);
    let collector = Collector::builder()
        .interface("lo")
        .curve(archive.clone(), trust());
    let collector = collector.open().unwrap();
    // A stranger can connect and say nothing; in clear nobody can.
    let publisher = || Socket::builder(Kind::Pub).connect(&collector.endpoints()[0]);
    let stranger = publisher()
        .curve_client(mallory, *archive.public_key())
        .open()
        .unwrap();
    let plain = publisher().open().unwrap();
    let home = node("archive")
        .service(HEADER, collector.endpoints())
        .curve(archive.clone(), trust());
    let home = home.start().unwrap();
    // One that is trusted says that it is a collector and has no key at that port.
    let liar = Socket::builder(Kind::Sub)
        .bind("tcp://127.0.0.1:0")
        .subscribe("")
        .open()
        .unwrap();
    let known = node("liar")
        .header(HEADER, &liar.endpoints()[0])
        .curve(archive.clone(), trust());
    let known = known.start().unwrap();
    let key = archive.public_key();
    let contact = |node: &Node| format!("{}|{key}", node.endpoints()[0]);
    let speaker = node("kitchen")
        .curve(kitchen.clone(), trust())
        .log(Level::INFO);
    let speaker = speaker
        .peer(contact(&home))
        .peer(contact(&known))
        .start()
        .unwrap();
    while speaker.peers().len() < 2 {
        assert!(speaker.recv_timeout(PATIENCE).is_some(), "they do not meet");
    }
    speaker.log(Level::INFO, "secret");
    records(&collector, "secret");
    let forged = Record {
        level: Level::ERROR,
        event: Happened::NONE,
        node: NodeTag::NONE,
        peer: NodeTag::NONE,
        time: 0,
        data: "forged".try_into().unwrap(),
    };
    for socket in [&stranger, &plain] {
        socket.send(forged.encode()).unwrap();
    }
    speaker.log(Level::INFO, "more");
    let heard = records(&collector, "more");
    assert!(
        heard.iter().all(|record| record.data != "forged"),
        "{heard:?}"
    );
    assert_eq!(liar.recv_timeout(Duration::from_millis(200)), Ok(None));
}

#[test]
fn what_is_no_record_is_told_and_costs_nobody_anything() {
    // LOG-1, LOG-32
    let collector = Collector::builder().interface("127.0.0.1").open().unwrap();
    let publisher = Socket::builder(Kind::XPub)
        .connect(&collector.endpoints()[0])
        .open()
        .unwrap();
    publisher.recv().unwrap(); // it listens
    let good = b"\xAA\xA2\x01\x03\x00\0\0\0\0\0\0\0\0\0\0\0\0\x02hi".to_vec();
    for octets in [good[..18].to_vec(), vec![0xAA, 0xA2, 1], good] {
        publisher.send(octets).unwrap();
    }
    let read = || collector.recv_timeout(PATIENCE).unwrap();
    for field in ["LOG.data", "LOG.level"] {
        let error = read().unwrap_err().to_string();
        assert!(error.starts_with(field), "{error}");
    }
    assert_eq!(read().unwrap().data, "hi");
    assert_eq!(collector.counters().malformed, 2);
    let nowhere = Collector::builder().interface("192.0.2.1").open();
    assert_eq!(
        nowhere.unwrap_err().to_string(),
        "no interface has an address to listen at"
    );
}
