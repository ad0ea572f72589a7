//! ROUTER: whatever happens to whoever comes, leaves and speaks, held against a model of it.

use std::collections::BTreeSet;

use atonce::socket::{Config, SendError};
use atonce::wire::zmtp::SocketType;
use atonce::{Bytes, zmtp};
use proptest::prelude::*;

use crate::network::HostId;
use crate::router::{named, router_with};
use crate::{HERE, ms};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody of this name comes, or is found where this slot is dialled.
    Enter {
        name: usize,
        slot: Option<usize>,
    },
    Leave(usize),
    Say(usize),
    Send(usize),
    Take,
}

const NAMES: [&str; 3] = ["alice", "bob", ""];
const SLOTS: [&str; 2] = ["tcp://10.0.2.1:5555", "tcp://10.0.2.2:5555"];

fn step() -> impl Strategy<Value = Step> {
    let slot = prop_oneof![2 => Just(None), 3 => (0..SLOTS.len()).prop_map(Some)];
    prop_oneof![
        4 => (0..NAMES.len(), slot).prop_map(|(name, slot)| Step::Enter { name, slot }),
        2 => any::<usize>().prop_map(Step::Leave),
        4 => any::<usize>().prop_map(Step::Say),
        4 => (0..NAMES.len() - 1).prop_map(Step::Send),
        1 => Just(Step::Take),
    ]
}

/// Somebody who came.
struct Guest {
    puppet: HostId,
    name: usize,
    slot: Option<usize>,
    /// It was let in and did not leave.
    is_in: bool,
    /// What it said, and how much of it was taken.
    said: Vec<String>,
    taken: usize,
    /// Under which identity.
    identity: Option<Bytes>,
    /// What it is to hear.
    heard: Vec<String>,
}

/// What should be, told without pipes and tables.
#[derive(Default)]
struct Model {
    guests: Vec<Guest>,
    /// For each slot that somebody with a name left: the name, and what waits.
    waiting: [Option<(usize, Vec<String>)>; SLOTS.len()],
}

impl Model {
    fn holder(&self, name: usize) -> Option<usize> {
        let mut guests = self.guests.iter();
        guests.position(|guest| guest.is_in && guest.name == name && !NAMES[name].is_empty())
    }

    fn leave(&mut self, guest: usize, waits: bool) {
        let guest = &mut self.guests[guest];
        guest.is_in = false;
        if let (Some(slot), true, false) = (guest.slot, waits, NAMES[guest.name].is_empty()) {
            self.waiting[slot] = Some((guest.name, Vec::new()));
        }
    }

    fn enter(&mut self, puppet: HostId, name: usize, slot: Option<usize>, handover: bool) {
        let mut heard = Vec::new();
        if let Some((before, waiting)) = slot.and_then(|slot| self.waiting[slot].take())
            && before == name
        {
            heard = waiting;
        }
        let mut is_in = true;
        if let Some(holder) = self.holder(name) {
            if handover {
                self.leave(holder, false);
            } else {
                is_in = false;
            }
        }
        for waiting in &mut self.waiting {
            // Who is there has the name.
            waiting.take_if(|(before, _)| is_in && *before == name);
        }
        self.guests.push(Guest {
            puppet,
            name,
            slot,
            is_in,
            said: Vec::new(),
            taken: 0,
            identity: None,
            heard,
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn everybody_is_heard_under_his_name_and_hears_what_is_for_him(
        handover: bool,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        // SOCK-60, SOCK-61, SOCK-63, SOCK-65, SOCK-66, SOCK-67, SOCK-68, SOCK-69
        let (mut net, router) = router_with(Config { handover, ..Config::default() });
        for slot in SLOTS {
            net.connect(router, slot);
        }
        let mut model = Model::default();
        for (n, step) in steps.into_iter().chain([Step::Take]).enumerate() {
            match step {
                Step::Enter { name, slot } => {
                    let mut guests = model.guests.iter();
                    if slot.is_some() && guests.any(|guest| guest.is_in && guest.slot == slot) {
                        continue;
                    }
                    let puppet = match slot {
                        None => net.puppet_with(named(NAMES[name]), HERE),
                        Some(slot) => {
                            let puppet = net.puppet_at(SocketType::Dealer, SLOTS[slot]);
                            let connection = zmtp::Connection::new(net.now, zmtp::Config {
                                // It may be a while until it is dialled.
                                handshake_timeout: ms(100_000),
                                ..named(NAMES[name])
                            });
                            net.the_puppet(puppet).connection = Some(connection);
                            puppet
                        }
                    };
                    model.enter(puppet, name, slot, handover);
                    net.run_for(ms(if slot.is_some() { 31_000 } else { 20 }));
                }
                Step::Leave(guest) if !model.guests.is_empty() => {
                    let guest = guest % model.guests.len();
                    if model.guests[guest].is_in {
                        net.kill(model.guests[guest].puppet);
                        model.leave(guest, true);
                        net.run_for(ms(5));
                    }
                }
                Step::Say(guest) if !model.guests.is_empty() => {
                    let guest = guest % model.guests.len();
                    if model.guests[guest].is_in {
                        let text = format!("{guest}.{n}");
                        net.puppet_sends(model.guests[guest].puppet, text.clone());
                        model.guests[guest].said.push(text);
                        net.run_for(ms(5));
                    }
                }
                Step::Send(name) => {
                    let text = format!("to {}", n);
                    let sent = net.try_send(router, [Bytes::from(NAMES[name]), Bytes::from(text.clone())]);
                    let mut waiting = model.waiting.iter().flatten();
                    let waits = waiting.any(|(waiting, _)| *waiting == name);
                    if let Some(holder) = model.holder(name) {
                        model.guests[holder].heard.push(text);
                        prop_assert_eq!(sent, Ok(()));
                    } else if waits {
                        let mut waiting = model.waiting.iter_mut().flatten();
                        let (_, queue) = waiting.find(|(waiting, _)| *waiting == name).unwrap();
                        queue.push(text);
                        prop_assert_eq!(sent, Ok(()));
                    } else {
                        prop_assert_eq!(sent, Err(SendError::Unroutable));
                    }
                    net.run_for(ms(5));
                }
                Step::Take => {
                    while let Some(message) = net.recv(router) {
                        let text = String::from_utf8(message[1].to_vec()).unwrap();
                        let guest: usize = text.split('.').next().unwrap().parse().unwrap();
                        let guest = &mut model.guests[guest];
                        prop_assert_eq!(&guest.said[guest.taken], &text);
                        guest.taken += 1;
                        let identity = guest.identity.get_or_insert(message[0].clone());
                        prop_assert_eq!(&*identity, &message[0]);
                        if NAMES[guest.name].is_empty() {
                            prop_assert_eq!((identity.len(), identity[0]), (5, 0));
                        } else {
                            prop_assert_eq!(&*identity, NAMES[guest.name]);
                        }
                    }
                    prop_assert!(model.guests.iter().all(|guest| guest.taken == guest.said.len()));
                    let made_up = model.guests.iter().filter(|guest| NAMES[guest.name].is_empty());
                    let made_up: Vec<_> = made_up.filter_map(|guest| guest.identity.clone()).collect();
                    prop_assert_eq!(made_up.iter().collect::<BTreeSet<_>>().len(), made_up.len());
                    let inside = model.guests.iter().filter(|guest| guest.is_in).count();
                    let absent = model.waiting.iter().flatten().count();
                    let shown = format!("{:?}", net.the(router));
                    let kept = format!("Router {{ routes: {0}, names: {0} links,", inside + absent);
                    prop_assert!(shown.contains(&kept), "{} of {}", kept, shown);
                }
                Step::Leave(_) | Step::Say(_) => {}
            }
        }
        net.run_for(ms(2_000));
        for guest in &model.guests {
            if guest.is_in {
                prop_assert_eq!(net.puppet_hears(guest.puppet), guest.heard.clone());
            }
        }
    }
}
