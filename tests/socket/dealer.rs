//! DEALER.

use atonce::socket::Kind;
use atonce::wire::zmtp::SocketType;

use crate::network::Net;
use crate::{HERE, ms};

#[test]
fn it_sends_in_turn_and_hears_everybody() {
    // SOCK-132, SOCK-14, SOCK-21
    let mut net = Net::new();
    let dealer = net.socket(Kind::Dealer);
    net.bind(dealer, HERE);
    let peers = [SocketType::Rep, SocketType::Router, SocketType::Dealer]
        .map(|kind| net.puppet(kind, HERE));
    net.run_for(ms(10));
    for n in 0..6 {
        net.send(dealer, format!("{n}"));
    }
    net.run_for(ms(10));
    let heard = peers.map(|peer| net.puppet_hears(peer).concat());
    assert_eq!(heard, ["03", "14", "25"]);
    // It needs nobody's answer, and hears what nobody asked for.
    for peer in peers {
        net.puppet_sends(peer, ["a".into(), "".into(), format!("{}", peer.0).into()]);
        net.puppet_sends(peer, "b");
    }
    net.run_for(ms(10));
    assert_eq!(
        net.recv_all(dealer),
        ["a||1", "a||2", "a||3", "b", "b", "b"]
    );
}

#[test]
fn its_queue_waits_for_the_next_link() {
    // SOCK-10, SOCK-13
    let mut net = Net::new();
    let dealer = net.socket(Kind::Dealer);
    net.connect(dealer, HERE);
    let first = net.puppet_at(SocketType::Router, HERE);
    net.run_for(ms(1_000));
    assert_eq!(net.the(dealer).peers().count(), 1);
    net.kill(first);
    net.run_for(ms(10));
    net.send(dealer, "waits");
    let second = net.puppet_at(SocketType::Router, HERE);
    net.run_for(ms(1_000));
    assert_eq!(net.puppet_hears(second), ["waits"]);
    assert_eq!(net.the(dealer).counters().messages_lost, 0);
}
