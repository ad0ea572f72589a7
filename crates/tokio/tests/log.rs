//! Nodes as tasks that log, over real sockets. Everything stays on the loopback.
#![allow(clippy::unwrap_used, clippy::panic)] // a test is where they belong

use std::time::Duration;

use atonce_tokio::log::{HEADER, Happened, Level, NodeTag, Record};
use atonce_tokio::socket::Kind;
use atonce_tokio::{Builder, Certificate, Node, Socket, Trust};
use tokio::time::timeout;

/// Longer than anything here takes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn node(name: &str) -> Builder<Node> {
    Node::builder().name(name).interface("lo").port(0)
}

/// Takes records until one has this text, and gives them all.
async fn records(sub: &Socket, last: &str) -> Vec<Record> {
    let mut records = Vec::<Record>::new();
    while records.last().is_none_or(|record| record.data != *last) {
        let message = timeout(PATIENCE, sub.recv()).await;
        let message = message.unwrap_or_else(|_| panic!("no {last:?}, but {records:#?}"));
        let message = message.unwrap();
        records.push(Record::decode(message.first().unwrap()).unwrap());
    }
    records
}

#[tokio::test]
async fn a_node_logs_from_its_beginning_to_its_end() {
    // LOG-10, LOG-20, LOG-23, LOG-27
    let sub = Socket::builder(Kind::Sub)
        .bind("tcp://127.0.0.1:0")
        .subscribe("");
    let sub = sub.open().unwrap();
    let archive = node("archive")
        .service(HEADER, sub.endpoints())
        .start()
        .unwrap();
    let kitchen = node("kitchen").group("CLIMATE").log(Level::INFO);
    let kitchen = kitchen.peer(&archive.endpoints()[0]).start().unwrap();
    kitchen.join("CHAT").unwrap();
    kitchen.log(Level::WARNING, "the milk boils over");
    let at = NodeTag::of(&kitchen.endpoints()[0]);
    let mut heard = records(&sub, "the milk boils over").await;
    kitchen.stop().await;
    heard.extend(records(&sub, "stopped").await);
    let joined: Vec<_> = heard
        .iter()
        .filter(|it| it.event == Happened::JOIN)
        .collect();
    assert_eq!(joined.len(), 2, "{heard:?}");
    assert!(heard.iter().all(|record| record.node == at));
    let milk = heard.iter().find(|it| it.data == "the milk boils over");
    assert_eq!(milk.unwrap().level, Level::WARNING);
}

#[tokio::test]
async fn in_a_secure_network_it_logs_with_its_key() {
    // LOG-15
    let [archive, kitchen] = [(); 2].map(|()| Certificate::generate().unwrap());
    let trust = || Trust::keys([*archive.public_key(), *kitchen.public_key()]);
    let sub = Socket::builder(Kind::Sub)
        .curve_server(archive.clone(), trust())
        .bind("tcp://127.0.0.1:0")
        .subscribe("");
    let sub = sub.open().unwrap();
    let home = node("archive")
        .service(HEADER, sub.endpoints())
        .curve(archive.clone(), trust());
    let home = home.start().unwrap();
    let contact = format!("{}|{}", home.endpoints()[0], archive.public_key());
    let kitchen = node("kitchen")
        .curve(kitchen.clone(), trust())
        .log(Level::INFO);
    let kitchen = kitchen.peer(contact).start().unwrap();
    kitchen.log(Level::INFO, "secret");
    records(&sub, "secret").await;
    kitchen.stop().await;
    records(&sub, "stopped").await;
}
