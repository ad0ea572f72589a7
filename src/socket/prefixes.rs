//! Who wants what: the subscriptions of all links, in one tree over their octets.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::{fmt, mem};

use smallvec::SmallVec;

use super::SubscriptionLimit;

/// A node holds at most so many octets of a prefix. A longer prefix is a chain of nodes: so what it costs to cut a node in two,
/// or to join two, does not grow with what strangers send. 31, with the length beside it, is half a line of the cache.
// SOCK-87
const LABEL: usize = 31;

/// The node of the empty prefix. It is always there.
const ROOT: u32 = 0;

/// The subscriptions of links, counted: who wants a prefix twice has to take it back twice.
///
/// Each octet of a prefix or topic is looked at once, in a loop: neither their length nor their number costs stack, and a topic
/// finds all who want it on one way down. The tree has at most two nodes for each prefix, and two for each 31 octets of them.
/// What a link may have is limited by whoever inserts ([`SubscriptionLimit`]). The order of what is told depends on what was
/// called before, and on nothing else.
///
/// `K` names a link.
pub(super) struct Prefixes<K> {
    nodes: Vec<Node>,
    /// Places in `nodes` that are free.
    free_nodes: Vec<u32>,
    links: Vec<Link<K>>,
    /// Places in `links` that are free.
    free_links: Vec<u32>,
    /// Where a link is in `links`.
    by_name: BTreeMap<K, u32>,
    /// Counts the topics that were looked up, so that no link is told twice of the same.
    round: u64,
    /// Different prefixes.
    prefixes: usize,
}

/// A subscription is one too many for its link. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OverLimit;

/// What a subscription, or the end of one, is in the light of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// The only one of this prefix.
    All,
    /// The link has no other of this prefix, but another link has.
    Link,
    /// The link has another of this prefix.
    None,
}

struct Node {
    /// What the prefix has more than that of `parent`. Only that of the root is empty.
    label: Label,
    parent: u32,
    /// In the order of the octets.
    children: SmallVec<[Child; 2]>,
    /// Who subscribed to this very prefix, in the order of `link`.
    wants: SmallVec<[Want; 2]>,
}

#[derive(Clone, Copy)]
struct Child {
    /// The first of its label.
    octet: u8,
    node: u32,
}

struct Want {
    /// Where in `links`.
    link: u32,
    /// How often it subscribed.
    count: u32,
    /// Where in `nodes` of the link this node stands.
    at: u32,
}

struct Link<K> {
    name: K,
    /// The last topic that it was told of.
    round: u64,
    /// What it subscribed to.
    nodes: Vec<u32>,
    /// Octets of these prefixes.
    octets: usize,
}

#[derive(Clone, Copy, Default)]
struct Label {
    octets: [u8; LABEL],
    len: u8,
}

impl Label {
    /// As much of the octets as there is room for.
    fn of(octets: &[u8]) -> Self {
        let mut label = Self::default();
        for (place, octet) in label.octets.iter_mut().zip(octets) {
            *place = *octet;
            label.len += 1;
        }
        label
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len()).unwrap_or_default()
    }

    #[inline]
    fn len(&self) -> usize {
        usize::from(self.len)
    }

    fn first(&self) -> u8 {
        let [first, ..] = self.octets;
        first
    }

    /// How many octets at the beginning are the same.
    fn in_common(&self, octets: &[u8]) -> usize {
        let pairs = self.as_slice().iter().zip(octets);
        pairs.take_while(|(ours, theirs)| ours == theirs).count()
    }

    fn split_at(&self, octets: usize) -> (Self, Self) {
        let all = self.as_slice();
        let (upper, lower) = all.split_at_checked(octets).unwrap_or((all, &[]));
        (Self::of(upper), Self::of(lower))
    }

    /// Both together, if there is room.
    fn followed_by(&self, other: &Self) -> Option<Self> {
        if self.len() + other.len() > LABEL {
            return None;
        }
        let mut label = *self;
        let room = label.octets.iter_mut().skip(self.len());
        for (place, octet) in room.zip(other.as_slice()) {
            *place = *octet;
        }
        label.len += other.len;
        Some(label)
    }
}

impl Node {
    fn new(label: Label, parent: u32) -> Self {
        Self {
            label,
            parent,
            children: SmallVec::new(),
            wants: SmallVec::new(),
        }
    }

    #[inline]
    fn place(&self, octet: u8) -> Result<usize, usize> {
        self.children
            .binary_search_by_key(&octet, |child| child.octet)
    }

    #[inline]
    fn child(&self, octet: u8) -> Option<u32> {
        let place = self.place(octet).ok()?;
        self.children.get(place).map(|child| child.node)
    }

    /// Puts a child there, in the place of the one that had the octet, if any.
    fn set_child(&mut self, octet: u8, node: u32) {
        let child = Child { octet, node };
        match self.place(octet) {
            Ok(place) => {
                if let Some(old) = self.children.get_mut(place) {
                    *old = child;
                }
            }
            Err(place) => self.children.insert(place, child),
        }
    }

    fn remove_child(&mut self, octet: u8) {
        if let Ok(place) = self.place(octet) {
            self.children.remove(place);
            if self.children.len() <= self.children.inline_size() {
                self.children.shrink_to_fit();
            }
        }
    }

    fn want(&self, link: u32) -> Result<usize, usize> {
        self.wants.binary_search_by_key(&link, |want| want.link)
    }

    /// The only child of a node that stands for no subscription.
    fn only_child(&self) -> Option<u32> {
        match self.children.as_slice() {
            [child] if self.wants.is_empty() => Some(child.node),
            _ => None,
        }
    }
}

impl<K: Copy + Ord> Prefixes<K> {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::from([Node::new(Label::default(), ROOT)]),
            free_nodes: Vec::new(),
            links: Vec::new(),
            free_links: Vec::new(),
            by_name: BTreeMap::new(),
            round: 0,
            prefixes: 0,
        }
    }

    // ---- changes

    /// Adds a subscription of a link that may not have any number of them. One that it has already is only counted, and costs nothing.
    ///
    /// # Errors
    ///
    /// The link would have more than it may.
    pub(super) fn insert(
        &mut self,
        name: K,
        prefix: &[u8],
        limit: SubscriptionLimit,
    ) -> Result<Among, OverLimit> {
        let link = self.by_name.get(&name).map(|link| self.link(*link));
        let (prefixes, octets) = link.map_or((0, 0), |link| (link.nodes.len(), link.octets));
        let is_over =
            prefixes >= limit.prefixes || octets.saturating_add(prefix.len()) > limit.octets;
        if is_over && !self.has(name, prefix) {
            return Err(OverLimit);
        }
        Ok(self.add(name, prefix))
    }

    /// Adds a subscription.
    pub(super) fn add(&mut self, name: K, prefix: &[u8]) -> Among {
        let known = self.by_name.get(&name).copied();
        let link = known.unwrap_or_else(|| self.add_link(name));
        let (node, cut) = self.grow(prefix);
        if let Ok(place) = self.node(node).want(link)
            && let Some(want) = self.node_mut(node).wants.get_mut(place)
        {
            // Who says it four billion times loses what comes after.
            // SOCK-82
            want.count = want.count.saturating_add(1);
            return Among::None;
        }
        self.link_mut(link).octets += prefix.len();
        let among = self.add_want(node, link);
        if let Some(Cut { upper, lower }) = cut {
            self.join(self.node(upper).parent);
            self.join(lower);
        }
        among
    }

    /// Takes a subscription back; `None` when the link has none of this prefix, then nothing is changed.
    pub(super) fn remove(&mut self, name: K, prefix: &[u8]) -> Option<Among> {
        let link = *self.by_name.get(&name)?;
        let node = self.find(prefix)?;
        let place = self.node(node).want(link).ok()?;
        let want = self.node_mut(node).wants.get_mut(place)?;
        want.count -= 1;
        if want.count > 0 {
            return Some(Among::None);
        }
        let at = want.at;
        self.link_mut(link).octets -= prefix.len();
        self.forget_node(link, at);
        let among = self.remove_want(node, place);
        if self.link(link).nodes.is_empty() {
            self.by_name.remove(&name);
            self.release_link(link);
        }
        self.tidy();
        Some(among)
    }

    /// Takes back all that a link subscribed to. `each` is told each prefix, how often, and [whether](Among::All) nobody else wants it.
    pub(super) fn remove_link(&mut self, name: K, mut each: impl FnMut(&[u8], u32, Among)) {
        let Some(link) = self.by_name.remove(&name) else {
            return;
        };
        let mut prefix = Vec::new();
        // A node that is wanted keeps its place, whatever happens to those around it.
        for node in mem::take(&mut self.link_mut(link).nodes) {
            let Ok(place) = self.node(node).want(link) else {
                continue;
            };
            let count = self
                .node(node)
                .wants
                .get(place)
                .map_or(0, |want| want.count);
            self.spell(node, &mut prefix);
            let among = self.remove_want(node, place);
            each(&prefix, count, among);
        }
        self.release_link(link);
        self.tidy();
    }

    // ---- queries

    /// Tells each link, once, that wants messages which begin like this; those who want most of them first.
    pub(super) fn matches(&mut self, topic: &[u8], mut each: impl FnMut(K)) {
        self.round += 1;
        let (mut node, mut rest) = (ROOT, topic);
        loop {
            let here = at(&self.nodes, node);
            for want in &here.wants {
                let link = at_mut(&mut self.links, want.link);
                if link.round != self.round {
                    link.round = self.round;
                    each(link.name);
                }
            }
            let Some(next) = rest.first().and_then(|octet| here.child(*octet)) else {
                return;
            };
            let Some(behind) = rest.strip_prefix(self.node(next).label.as_slice()) else {
                return;
            };
            (node, rest) = (next, behind);
        }
    }

    /// Whether anybody wants messages that begin like this.
    pub(super) fn matches_any(&self, topic: &[u8]) -> bool {
        let (mut node, mut rest) = (ROOT, topic);
        loop {
            let here = self.node(node);
            if !here.wants.is_empty() {
                return true;
            }
            let Some(next) = rest.first().and_then(|octet| here.child(*octet)) else {
                return false;
            };
            let Some(behind) = rest.strip_prefix(self.node(next).label.as_slice()) else {
                return false;
            };
            (node, rest) = (next, behind);
        }
    }

    /// Tells each prefix that a link subscribed to, once.
    pub(super) fn each_of(&self, name: K, mut each: impl FnMut(&[u8])) {
        let Some(link) = self.by_name.get(&name) else {
            return;
        };
        let mut prefix = Vec::new();
        for node in &self.link(*link).nodes {
            self.spell(*node, &mut prefix);
            each(&prefix);
        }
    }

    /// Whether a link subscribed to this very prefix.
    fn has(&self, name: K, prefix: &[u8]) -> bool {
        let link = self.by_name.get(&name);
        let node = self.find(prefix).map(|node| self.node(node));
        matches!((link, node), (Some(link), Some(node)) if node.want(*link).is_ok())
    }

    /// The links that have a subscription, in order.
    pub(super) fn links(&self) -> impl Iterator<Item = K> {
        self.by_name.keys().copied()
    }

    // ---- within

    fn node(&self, node: u32) -> &Node {
        at(&self.nodes, node)
    }

    fn node_mut(&mut self, node: u32) -> &mut Node {
        at_mut(&mut self.nodes, node)
    }

    fn link(&self, link: u32) -> &Link<K> {
        at(&self.links, link)
    }

    fn link_mut(&mut self, link: u32) -> &mut Link<K> {
        at_mut(&mut self.links, link)
    }

    /// The node of a prefix.
    fn find(&self, prefix: &[u8]) -> Option<u32> {
        let (mut node, mut rest) = (ROOT, prefix);
        while let Some(octet) = rest.first() {
            node = self.node(node).child(*octet)?;
            rest = rest.strip_prefix(self.node(node).label.as_slice())?;
        }
        Some(node)
    }

    /// The octets from the root to a node.
    fn spell(&self, node: u32, prefix: &mut Vec<u8>) {
        prefix.clear();
        let mut at = node;
        while at != ROOT {
            let here = self.node(at);
            prefix.extend(here.label.as_slice().iter().rev());
            at = here.parent;
        }
        prefix.reverse();
    }

    /// The node of a prefix, made if it is not there; and which was cut in two for it, if one was. Nobody may want the node yet.
    fn grow(&mut self, prefix: &[u8]) -> (u32, Option<Cut>) {
        let (mut node, mut rest) = (ROOT, prefix);
        let mut cut = None;
        while let Some(octet) = rest.first() {
            let Some(child) = self.node(node).child(*octet) else {
                break;
            };
            let label = &self.node(child).label;
            let common = label.in_common(rest);
            let whole = common == label.len();
            rest = rest.get(common..).unwrap_or_default();
            if !whole {
                node = self.cut(child, common);
                cut = Some(Cut {
                    upper: node,
                    lower: child,
                });
                break;
            }
            node = child;
        }
        while !rest.is_empty() {
            let label = Label::of(rest);
            rest = rest.get(label.len()..).unwrap_or_default();
            let child = self.add_node(Node::new(label, node));
            self.node_mut(node).set_child(label.first(), child);
            node = child;
        }
        (node, cut)
    }

    /// Cuts a node in two, and gives the upper one. The lower one keeps its place.
    fn cut(&mut self, lower: u32, octets: usize) -> u32 {
        let Node { label, parent, .. } = *self.node(lower);
        let (above, below) = label.split_at(octets);
        let mut node = Node::new(above, parent);
        node.set_child(below.first(), lower);
        let upper = self.add_node(node);
        self.node_mut(parent).set_child(above.first(), upper);
        let node = self.node_mut(lower);
        node.label = below;
        node.parent = upper;
        upper
    }

    /// Joins a node that stands for no subscription with its only child, if the label has room. The child keeps its place.
    ///
    /// Whenever nothing is under way, no more nodes can be joined: of two that are nothing but one after the other, both together
    /// have more than a label. That is what bounds their number.
    fn join(&mut self, upper: u32) {
        let Node { label, parent, .. } = *self.node(upper);
        let (false, Some(lower)) = (upper == ROOT, self.node(upper).only_child()) else {
            return;
        };
        let node = self.node_mut(lower);
        if let Some(whole) = label.followed_by(&node.label) {
            node.label = whole;
            node.parent = parent;
            self.node_mut(parent).set_child(label.first(), lower);
            self.release_node(upper);
        }
    }

    /// Nobody wants this very prefix any more: takes away what stands for nothing.
    fn prune(&mut self, mut node: u32) {
        loop {
            let here = self.node(node);
            let Node { label, parent, .. } = *here;
            let leaf = here.wants.is_empty() && here.children.is_empty();
            if !leaf || node == ROOT {
                return self.join(node);
            }
            self.node_mut(parent).remove_child(label.first());
            self.release_node(node);
            node = parent;
        }
    }

    /// A link wants a node that it did not want yet.
    fn add_want(&mut self, node: u32, link: u32) -> Among {
        let nodes = &mut at_mut(&mut self.links, link).nodes;
        let want = Want {
            link,
            count: 1,
            at: number(nodes.len()),
        };
        nodes.push(node);
        let wants = &mut at_mut(&mut self.nodes, node).wants;
        let place = wants.partition_point(|want| want.link < link);
        wants.insert(place, want);
        if wants.len() > 1 {
            return Among::Link;
        }
        self.prefixes += 1;
        Among::All
    }

    fn remove_want(&mut self, node: u32, place: usize) -> Among {
        let wants = &mut self.node_mut(node).wants;
        wants.remove(place);
        if wants.len() <= wants.inline_size() {
            wants.shrink_to_fit();
        }
        if !wants.is_empty() {
            return Among::Link;
        }
        self.prefixes -= 1;
        self.prune(node);
        Among::All
    }

    /// Forgets that a link wants a node; the last of its nodes takes the place of this one.
    fn forget_node(&mut self, link: u32, at: u32) {
        let nodes = &mut self.link_mut(link).nodes;
        nodes.swap_remove(at as usize);
        let Some(moved) = nodes.get(at as usize).copied() else {
            return;
        };
        let moved = self.node_mut(moved);
        if let Ok(place) = moved.want(link)
            && let Some(want) = moved.wants.get_mut(place)
        {
            want.at = at;
        }
    }

    fn add_node(&mut self, node: Node) -> u32 {
        if let Some(free) = self.free_nodes.pop() {
            *self.node_mut(free) = node;
            return free;
        }
        self.nodes.push(node);
        number(self.nodes.len() - 1)
    }

    fn release_node(&mut self, node: u32) {
        *self.node_mut(node) = Node::new(Label::default(), ROOT);
        self.free_nodes.push(node);
    }

    fn add_link(&mut self, name: K) -> u32 {
        let entry = Link {
            name,
            round: 0,
            nodes: Vec::new(),
            octets: 0,
        };
        let link = if let Some(free) = self.free_links.pop() {
            *self.link_mut(free) = entry;
            free
        } else {
            self.links.push(entry);
            number(self.links.len() - 1)
        };
        self.by_name.insert(name, link);
        link
    }

    /// Nothing refers to the link any more.
    fn release_link(&mut self, link: u32) {
        self.link_mut(link).nodes = Vec::new();
        self.free_links.push(link);
    }

    /// Gives memory back when nothing is left. While something is, free places wait for what comes: at most as many as there once
    /// were, which the limits of the links bound.
    fn tidy(&mut self) {
        if self.by_name.is_empty() {
            *self = Self {
                round: self.round,
                ..Self::new()
            };
        }
    }
}

/// A node that was cut in two.
struct Cut {
    upper: u32,
    lower: u32,
}

/// What is at a place that is known to be there.
#[inline]
#[expect(
    clippy::indexing_slicing,
    reason = "places are of what was put there, and none is kept of what was taken away"
)]
fn at<T>(all: &[T], place: u32) -> &T {
    &all[place as usize]
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "as above")]
fn at_mut<T>(all: &mut [T], place: u32) -> &mut T {
    &mut all[place as usize]
}

/// A place as a number. There are fewer than four billion: the tree of so many would have 400 GB.
fn number(place: usize) -> u32 {
    u32::try_from(place).expect("fewer places than memory has room for")
}

impl<K> fmt::Debug for Prefixes<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} prefixes", self.prefixes)
    }
}

#[cfg(test)]
#[path = "prefixes_tests.rs"]
mod tests;
