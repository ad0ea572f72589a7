//! The tree beside a list of what was subscribed to.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const NONE: SubscriptionLimit = SubscriptionLimit {
    prefixes: usize::MAX,
    octets: usize::MAX,
};

/// What the tree stands for, said simply.
#[derive(Default)]
struct Model(BTreeMap<(u8, Vec<u8>), usize>);

impl Model {
    fn has(&self, prefix: &[u8]) -> bool {
        self.0.keys().any(|(_, other)| other == prefix)
    }

    fn insert(&mut self, link: u8, prefix: &[u8]) -> Among {
        let first = !self.has(prefix);
        let count = self.0.entry((link, prefix.to_vec())).or_default();
        *count += 1;
        match (*count, first) {
            (1, true) => Among::All,
            (1, false) => Among::Link,
            _ => Among::None,
        }
    }

    fn remove(&mut self, link: u8, prefix: &[u8]) -> Option<Among> {
        let key = (link, prefix.to_vec());
        let count = self.0.get_mut(&key)?;
        *count -= 1;
        if *count > 0 {
            return Some(Among::None);
        }
        self.0.remove(&key);
        Some(if self.has(prefix) {
            Among::Link
        } else {
            Among::All
        })
    }

    /// What it had, how often, and whether nobody wants it any more.
    fn remove_link(&mut self, link: u8) -> Vec<(Vec<u8>, usize, Among)> {
        let of = self.of(link).into_iter();
        let of = of.map(|prefix| {
            let count = self.0.remove(&(link, prefix.clone())).unwrap();
            let among = if self.has(&prefix) {
                Among::Link
            } else {
                Among::All
            };
            (prefix, count, among)
        });
        of.collect()
    }

    fn of(&self, link: u8) -> BTreeSet<Vec<u8>> {
        let of = self.0.keys().filter(|(other, _)| *other == link);
        of.map(|(_, prefix)| prefix.clone()).collect()
    }

    fn matches(&self, topic: &[u8]) -> BTreeSet<u8> {
        let keys = self
            .0
            .keys()
            .filter(|(_, prefix)| topic.starts_with(prefix));
        keys.map(|(link, _)| *link).collect()
    }
}

/// What must be so whenever nothing is under way.
fn check(tree: &Prefixes<u8>, model: &Model) {
    let free: BTreeSet<u32> = tree.free_nodes.iter().copied().collect();
    let used = (0..number(tree.nodes.len())).filter(|node| !free.contains(node));
    let (mut octets, mut nodes, mut prefixes) = (0, 0, 0);
    for place in used {
        let node = tree.node(place);
        nodes += 1;
        octets += node.label.len();
        prefixes += usize::from(!node.wants.is_empty());
        for child in &node.children {
            let below = tree.node(child.node);
            assert_eq!(below.parent, place);
            assert_eq!(below.label.first(), child.octet);
            assert!(below.label.len() > 0);
        }
        assert!(node.children.is_sorted_by(|a, b| a.octet < b.octet));
        assert!(node.wants.is_sorted_by(|a, b| a.link < b.link));
        if place != ROOT {
            assert!(!node.wants.is_empty() || !node.children.is_empty());
            if let Some(child) = node.only_child() {
                assert!(node.label.len() + tree.node(child).label.len() > LABEL);
            }
        }
        for want in &node.wants {
            assert!(want.count > 0);
            assert_eq!(tree.link(want.link).nodes[want.at as usize], place);
        }
    }
    let different: BTreeSet<_> = model.0.keys().map(|(_, prefix)| prefix).collect();
    assert_eq!(prefixes, different.len());
    assert_eq!(tree.prefixes, prefixes);
    let all: usize = different.iter().map(|prefix| prefix.len()).sum();
    assert!(octets <= all);
    // One for the root; two for each prefix; two for each full label.
    assert!(nodes <= 1 + 2 * prefixes + 2 * octets / LABEL, "{nodes}");
    let links: BTreeSet<u8> = model.0.keys().map(|(link, _)| *link).collect();
    assert!(tree.links().eq(links.iter().copied()));
    for link in links {
        let mut of = Vec::new();
        tree.each_of(link, |prefix| of.push(prefix.to_vec()));
        assert_eq!(of.len(), model.of(link).len());
        assert_eq!(of.into_iter().collect::<BTreeSet<_>>(), model.of(link));
        assert_eq!(
            tree.link(tree.by_name[&link]).nodes.len(),
            model.of(link).len()
        );
        let octets: usize = model.of(link).iter().map(Vec::len).sum();
        let name = tree.by_name[&link];
        assert_eq!(tree.link(name).octets, octets);
    }
}

fn matched(tree: &mut Prefixes<u8>, topic: &[u8]) -> Vec<u8> {
    let mut links = Vec::new();
    tree.matches(topic, |link| links.push(link));
    links
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, Vec<u8>),
    Remove(u8, Vec<u8>),
    RemoveLink(u8),
    Match(Vec<u8>),
}

/// Few different octets, so that much is in common; long runs, so that labels are full.
fn prefix() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        4 => prop::collection::vec(0..3_u8, 1..4),
        2 => (0..3_u8, 20..70_usize).prop_map(|(octet, count)| vec![octet; count]),
        1 => any::<u8>().prop_map(|octet| vec![octet]),
    ];
    prop::collection::vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..6_u8, prefix()).prop_map(|(link, prefix)| Step::Insert(link, prefix)),
        4 => (0..6_u8, prefix()).prop_map(|(link, prefix)| Step::Remove(link, prefix)),
        1 => (0..6_u8).prop_map(Step::RemoveLink),
        4 => prefix().prop_map(Step::Match),
    ]
}

proptest! {
    #[test]
    fn it_is_what_was_subscribed_to(steps in prop::collection::vec(step(), 0..120)) {
        let mut tree = Prefixes::new();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Insert(link, prefix) => {
                    let among = tree.insert(link, &prefix, NONE);
                    prop_assert_eq!(among, Ok(model.insert(link, &prefix)));
                }
                Step::Remove(link, prefix) => {
                    prop_assert_eq!(tree.remove(link, &prefix), model.remove(link, &prefix));
                }
                Step::RemoveLink(link) => {
                    let mut gone = Vec::new();
                    tree.remove_link(link, |prefix, count, among| {
                        gone.push((prefix.to_vec(), count as usize, among));
                    });
                    gone.sort_unstable_by(|one, other| one.0.cmp(&other.0));
                    prop_assert_eq!(gone, model.remove_link(link));
                }
                Step::Match(topic) => {
                    let links = matched(&mut tree, &topic);
                    let expected = model.matches(&topic);
                    prop_assert_eq!(tree.matches_any(&topic), !expected.is_empty());
                    prop_assert_eq!(links.len(), expected.len());
                    prop_assert_eq!(links.into_iter().collect::<BTreeSet<_>>(), expected);
                }
            }
            check(&tree, &model);
        }
    }

    /// Removes what was inserted, which a random prefix seldom is.
    #[test]
    fn whatever_is_taken_back_leaves_nothing(
        all in prop::collection::vec((0..6_u8, prefix()), 1..40),
        order in any::<prop::sample::Index>(),
    ) {
        let mut tree = Prefixes::new();
        let mut model = Model::default();
        for (link, prefix) in &all {
            prop_assert_eq!(tree.insert(*link, prefix, NONE), Ok(model.insert(*link, prefix)));
            check(&tree, &model);
        }
        let mut left = all;
        while !left.is_empty() {
            let (link, prefix) = left.swap_remove(order.index(left.len()));
            prop_assert_eq!(tree.remove(link, &prefix), model.remove(link, &prefix));
            check(&tree, &model);
        }
        prop_assert_eq!(tree.nodes.len(), 1);
        prop_assert_eq!(tree.nodes.capacity(), 1);
        prop_assert!(tree.links.is_empty());
    }
}

#[test]
fn the_shorter_prefix_is_told_first_and_each_link_once() {
    let mut tree = Prefixes::new();
    for (link, prefix) in [
        (3, "ab"),
        (1, "abc"),
        (2, ""),
        (1, "a"),
        (3, "abcd"),
        (4, "b"),
    ] {
        assert!(tree.insert(link, prefix.as_bytes(), NONE).is_ok());
    }
    assert_eq!(matched(&mut tree, b"abcde"), [2, 1, 3]);
    assert_eq!(matched(&mut tree, b"ab"), [2, 1, 3]);
    assert_eq!(matched(&mut tree, b"a"), [2, 1]);
    assert_eq!(matched(&mut tree, b""), [2]);
    assert_eq!(matched(&mut tree, b"c"), [2]);
}

#[test]
fn one_too_many_is_refused_and_changes_nothing() {
    let limit = SubscriptionLimit {
        prefixes: 2,
        octets: 4,
    };
    let mut tree = Prefixes::new();
    assert_eq!(tree.insert(1, b"abcde", limit), Err(OverLimit));
    assert_eq!(tree.links().count(), 0);
    assert_eq!(tree.insert(1, b"ab", limit), Ok(Among::All));
    assert_eq!(tree.insert(1, b"abc", limit), Err(OverLimit));
    assert_eq!(tree.insert(1, b"", limit), Ok(Among::All));
    assert_eq!(tree.insert(1, b"c", limit), Err(OverLimit));
    // The limit is a link's.
    assert_eq!(tree.insert(2, b"abcd", limit), Ok(Among::All));
    assert_eq!(tree.insert(2, b"x", limit), Err(OverLimit));
    assert_eq!(matched(&mut tree, b"x"), [1]);
    // Equal ones cost nothing.
    assert_eq!(tree.insert(1, b"ab", limit), Ok(Among::None));
    // What is taken back counts no more.
    assert_eq!(tree.remove(1, b"ab"), Some(Among::None));
    assert_eq!(tree.insert(1, b"c", limit), Err(OverLimit));
    assert_eq!(tree.remove(1, b"ab"), Some(Among::All));
    assert_eq!(tree.insert(1, b"c", limit), Ok(Among::All));
}

#[test]
fn what_a_link_did_not_subscribe_to_it_cannot_take_back() {
    let mut tree = Prefixes::new();
    assert_eq!(tree.insert(1, b"abc", NONE), Ok(Among::All));
    for prefix in ["", "a", "ab", "abcd", "b"] {
        assert_eq!(tree.remove(1, prefix.as_bytes()), None, "{prefix}");
    }
    assert_eq!(tree.remove(2, b"abc"), None);
    assert_eq!(tree.remove(1, b"abc"), Some(Among::All));
    assert_eq!(tree.remove(1, b"abc"), None);
}

/// A prefix of 64 KiB, and many that begin it: what a hostile subscriber would try first.
#[test]
fn deep_prefixes_cost_as_much_as_their_octets() {
    let long: Vec<u8> = (0..251_u8).cycle().take(64 << 10).collect();
    let mut tree = Prefixes::new();
    assert_eq!(tree.insert(1, &long, NONE), Ok(Among::All));
    let alone = tree.nodes.len();
    assert!(alone <= 2 + long.len() / LABEL, "{alone}");
    for octets in (0..long.len()).step_by(251) {
        assert_eq!(tree.insert(2, &long[..octets], NONE), Ok(Among::All));
    }
    assert_eq!(matched(&mut tree, &long), [2, 1]);
    let mut told = 0;
    tree.remove_link(2, |prefix, _, among| {
        told += usize::from(long.starts_with(prefix) && among == Among::All);
    });
    assert_eq!(told, long.len().div_ceil(251));
    // What was cut is joined again.
    let left = tree.nodes.len() - tree.free_nodes.len();
    assert!(left <= 2 + 2 * long.len() / LABEL, "{left}");
    tree.remove_link(1, |prefix, _, _| assert_eq!(prefix, long));
    assert_eq!(tree.nodes.capacity(), 1);
}
