//! What all patterns have in common: links, queues, limits, ends.

use atonce::socket::Kind;

use crate::ms;
use crate::network::Net;

const HERE: &str = "tcp://10.0.0.1:5555";

#[test]
fn what_is_sent_before_anybody_listens_arrives() {
    let mut net = Net::new();
    for (from, to) in [
        (Kind::Push, Kind::Pull),
        (Kind::Dealer, Kind::Dealer),
        (Kind::Pair, Kind::Pair),
    ] {
        let (from, to) = (net.socket(from), net.socket(to));
        net.connect(from, HERE);
        net.send(from, "one");
        net.send(from, ["two".into(), "three".into()]);
        net.run_for(ms(500));
        let listener = net.bind(to, HERE);
        net.run_for(ms(2_000));
        assert_eq!(net.recv_all(to), ["one", "two|three"]);
        let now = net.now;
        net.the(to).unbind(now, listener);
        net.run_for(ms(10));
    }
}
