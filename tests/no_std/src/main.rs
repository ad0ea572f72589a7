//! Two nodes meet and one whispers to the other, in a program that has no std, no libc and no operating system but for
//! the call that ends it. It ends with 0 when the whisper arrived.
//!
//! That it links is the proof: a dependency that pulled std in would bring a second panic handler (an error of the
//! compiler), and any function of libc would be an undefined symbol (an error of the linker).
#![no_std]
#![no_main]
// Else the compiler would turn the loop in `memcpy` into a call of `memcpy`.
#![no_builtins]

extern crate alloc;

mod bare;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use atonce::zre::{Config, Event};
use atonce::{Action, Frames, Instant, Interface, InterfaceId, LinkId, Stack};

const PORT: u16 = 49152;

struct Node {
    stack: Stack,
    interface: InterfaceId,
    /// Which link of the other node is the other end of each link here.
    links: BTreeMap<LinkId, LinkId>,
    entered: bool,
    heard: bool,
}

fn node(number: u8) -> Node {
    let mut stack = Stack::new(Instant::ZERO, [number; 32], Config::default());
    let interface = Interface {
        name: "lo".into(),
        address: [127, 0, 0, number].into(),
        port: PORT,
        zone: 0,
    };
    let interface = stack.handle_interface_up(Instant::ZERO, interface);
    Node {
        stack,
        interface,
        links: BTreeMap::new(),
        entered: false,
        heard: false,
    }
}

/// Whether two nodes that are handed each other's datagrams and octets meet and talk.
fn nodes_meet() -> bool {
    let now = Instant::ZERO;
    let mut nodes = [node(1), node(2)];
    for _ in 0..1_000 {
        let [one, other] = &mut nodes;
        carry(now, one, other, 1);
        carry(now, other, one, 2);
        for node in &mut nodes {
            while let Some(event) = node.stack.poll_event(now) {
                match event {
                    Event::Enter { peer } => {
                        node.entered = true;
                        let _ = node.stack.whisper(now, peer.id, &Frames::from("hello"));
                    }
                    Event::Whisper { content, .. } => node.heard |= content[0] == "hello",
                    _ => {}
                }
            }
        }
        if nodes.iter().all(|node| node.entered && node.heard) {
            return true;
        }
    }
    false
}

/// Does what one node wants.
fn carry(now: Instant, from: &mut Node, to: &mut Node, number: u8) {
    let source = ([127, 0, 0, number], 50_000).into();
    while let Some(action) = from.stack.poll_action() {
        match action {
            Action::Broadcast { datagram, .. } => {
                to.stack.handle_datagram(now, source, &datagram);
            }
            Action::Dial { link, .. } => {
                if let Some(other) = to.stack.handle_accepted(now, to.interface, source) {
                    from.links.insert(link, other);
                    to.links.insert(other, link);
                    from.stack.handle_connected(now, link, source);
                }
            }
            Action::Transmit { link } => {
                let octets: Vec<u8> = from.stack.poll_transmit(link).flatten().copied().collect();
                from.stack.handle_transmitted(now, link, octets.len());
                if let Some(&other) = from.links.get(&link) {
                    to.stack.handle_received(now, other, &octets);
                }
            }
            _ => {}
        }
    }
}
