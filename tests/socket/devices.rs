//! Devices between REQ and REP: a ROUTER and a DEALER each.

use atonce::socket::{Config, Kind, RecvError, SendError};

use crate::ms;
use crate::network::{HostId, Net};
use crate::req_rep::{correlate, frames};

/// ROUTER and DEALER back to back, so many times, between here and there. Each passes on what it gets.
struct Devices(Vec<(HostId, HostId)>);

impl Devices {
    fn endpoint(n: usize) -> String {
        format!("tcp://10.0.1.{n}:5555")
    }

    /// Askers connect to the endpoint 0, who answers to the last one.
    fn new(net: &mut Net, many: usize) -> Self {
        let mut devices = Vec::new();
        for n in 0..many {
            let (front, back) = (net.socket(Kind::Router), net.socket(Kind::Dealer));
            net.bind(front, &Self::endpoint(n));
            if n + 1 < many {
                net.connect(back, &Self::endpoint(n + 1));
            } else {
                net.bind(back, &Self::endpoint(many));
            }
            devices.push((front, back));
        }
        Self(devices)
    }

    fn run(&self, net: &mut Net) {
        for _ in 0..self.0.len() * 2 + 2 {
            for &(front, back) in &self.0 {
                while let Some(message) = net.recv(front) {
                    net.send(back, message);
                }
                while let Some(message) = net.recv(back) {
                    // Who is gone gets none.
                    let sent = net.try_send(front, message);
                    assert!(matches!(sent, Ok(()) | Err(SendError::Unroutable)));
                }
            }
            net.run_for(ms(5));
        }
    }
}

#[test]
fn questions_and_answers_find_their_way_through_any_number_of_devices() {
    // SOCK-51, SOCK-61, SOCK-62
    for many in 1..5 {
        let mut net = Net::new();
        let devices = Devices::new(&mut net, many);
        let reqs = [Config::default(), Config::default(), correlate()]
            .map(|config| net.socket_with(Kind::Req, config));
        let reps = [(); 2].map(|()| net.socket(Kind::Rep));
        for req in reqs {
            net.connect(req, &Devices::endpoint(0));
        }
        for rep in reps {
            net.connect(rep, &Devices::endpoint(many));
        }
        net.run_for(ms(500));
        for round in 0..3 {
            for (n, req) in reqs.into_iter().enumerate() {
                net.send(req, frames(&format!("{round}.{n}|")));
            }
            devices.run(&mut net);
            // Whoever is asked has others wait, and answers them all.
            for _ in 0..3 {
                for rep in reps {
                    if let Some(question) = net.recv(rep) {
                        net.send(rep, question);
                    }
                }
                devices.run(&mut net);
            }
            for (n, req) in reqs.into_iter().enumerate() {
                assert_eq!(net.recv_all(req), [format!("{round}.{n}|")]);
            }
        }
    }
}

#[test]
fn an_answer_through_devices_to_one_that_is_gone_goes_nowhere_and_the_next_one_arrives() {
    // SOCK-45, SOCK-63
    let mut net = Net::new();
    let devices = Devices::new(&mut net, 2);
    let (req, rep) = (net.socket(Kind::Req), net.socket(Kind::Rep));
    net.connect(req, &Devices::endpoint(0));
    net.connect(rep, &Devices::endpoint(2));
    net.run_for(ms(500));
    net.send(req, "q1");
    devices.run(&mut net);
    assert_eq!(net.recv_all(rep), ["q1"]);
    net.cut(req);
    net.run_for(ms(500));
    assert_eq!(net.try_recv(req), Err(RecvError::PeerLost));
    net.send(req, "q2");
    devices.run(&mut net);
    net.send(rep, "a1");
    devices.run(&mut net);
    assert_eq!(net.try_recv(req), Ok(None));
    assert_eq!(net.recv_all(rep), ["q2"]);
    net.send(rep, "a2");
    devices.run(&mut net);
    assert_eq!(net.recv_all(req), ["a2"]);
}
