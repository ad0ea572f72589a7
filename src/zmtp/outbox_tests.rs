//! The queue against a plain list of octets.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<usize>),
    Command,
    Made(usize, bool),
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![0..40_usize, 250..260_usize, 1020..1030_usize, Just(5000)];
    prop_oneof![
        4 => prop::collection::vec(size, 1..4).prop_map(Step::Send),
        1 => Just(Step::Command),
        2 => (prop_oneof![0..40_usize, 4090..4100_usize], any::<bool>()).prop_map(|(size, made)| Step::Made(size, made)),
        4 => (0..3000_usize).prop_map(Step::Take),
    ]
}

proptest! {
    #[test]
    fn what_is_lent_is_what_was_queued_and_not_yet_removed(steps in prop::collection::vec(step(), 0..60)) {
        let mut outbox = Outbox::default();
        let mut octets: Vec<u8> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        let mut sent = 0;
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(sizes) => {
                    for size in sizes {
                        let body = Bytes::from(vec![u8::try_from(n % 251).unwrap(); size]);
                        outbox.push_frame(FrameKind::More, &body);
                        FrameHeader::of(FrameKind::More, &body).encode(&mut octets);
                        octets.extend_from_slice(&body);
                    }
                    outbox.end_message();
                    ends.push(octets.len());
                }
                Step::Command => {
                    outbox.push_command(&Command::Subscribe(Bytes::from_static(b"abc")));
                    octets.extend_from_slice(b"\x04\x0d\x09SUBSCRIBEabc");
                }
                Step::Made(size, made) => {
                    outbox.push_made(FrameKind::Last, size, |out| {
                        out.resize(out.len() + if made { size } else { 0 }, 7);
                        made
                    });
                    if made {
                        let body = vec![7; size];
                        FrameHeader::of(FrameKind::Last, &body).encode(&mut octets);
                        octets.extend(body);
                    }
                }
                Step::Take(wanted) => {
                    let taken = wanted.min(octets.len() - sent);
                    outbox.remove(wanted, &mut Vec::new());
                    sent += taken;
                    ends.retain(|end| *end > sent);
                }
            }
            let slices: Vec<&[u8]> = outbox.slices().collect();
            prop_assert!(slices.iter().all(|slice| !slice.is_empty()));
            prop_assert_eq!(slices.concat(), &octets[sent..]);
            prop_assert_eq!(outbox.octets(), octets.len() - sent);
            prop_assert_eq!(outbox.messages(), ends.len());
            prop_assert_eq!(outbox.sent(), sent as u64);
            prop_assert_eq!(outbox.end(), octets.len() as u64);
        }
    }
}

#[test]
fn many_small_messages_are_one_slice_and_large_ones_are_shared() {
    let mut outbox = Outbox::default();
    let small = Bytes::from(vec![1; COPIED_UP_TO]);
    let large = Bytes::from(vec![2; COPIED_UP_TO + 1]);
    for _ in 0..100 {
        outbox.push_frame(FrameKind::Last, &small);
    }
    assert_eq!(outbox.slices().count(), 1);
    outbox.push_frame(FrameKind::Last, &large);
    outbox.push_frame(FrameKind::Last, &small);
    let slices: Vec<&[u8]> = outbox.slices().collect();
    assert_eq!(slices.len(), 3);
    assert_eq!(slices[1].as_ptr(), large.as_ptr());
}

#[test]
fn an_empty_queue_owns_no_memory() {
    let mut outbox = Outbox::default();
    outbox.push_frame(FrameKind::Last, &Bytes::from(vec![1; 100]));
    outbox.push_frame(FrameKind::Last, &Bytes::from(vec![1; 10_000]));
    outbox.end_message();
    outbox.remove(usize::MAX, &mut Vec::new());
    assert_eq!(outbox.copied.capacity(), 0);
    assert_eq!(outbox.shared.capacity(), 0);
    assert!(outbox.ends.is_empty()); // as such it owns none
}

#[test]
fn a_queue_that_never_runs_empty_does_not_grow() {
    let mut outbox = Outbox::default();
    let body = Bytes::from(vec![1; 100]);
    outbox.push_frame(FrameKind::Last, &body);
    for _ in 0..100_000 {
        outbox.push_frame(FrameKind::Last, &body);
        outbox.end_message();
        outbox.remove(102, &mut Vec::new());
    }
    assert_eq!(outbox.octets(), 102);
    assert!(outbox.copied.capacity() < 4096);
    assert_eq!(outbox.shared.capacity(), 0);
    assert!(outbox.ends.len() < 16);
}
