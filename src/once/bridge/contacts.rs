//! Whom servers told of.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::Action;
use crate::PeerId;
use crate::curve::PublicKey;
use crate::endpoint::Endpoint;

/// The most servers whose lists are kept.
const MOST_LISTS: usize = 16;

/// The lists of the servers, and what the remote node was asked to contact because of them.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    lists: BTreeMap<PeerId, List>,
    count: u64,
    asked: BTreeSet<Contact>,
}

#[derive(Debug)]
struct List {
    /// The later list has the higher one.
    order: u64,
    contacts: BTreeSet<Contact>,
}

/// A bridge, and where it is to be contacted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Contact {
    pub(super) endpoint: Endpoint,
    pub(super) key: Option<PublicKey>,
    pub(super) bridge: PeerId,
}

impl Contacts {
    /// A server says who is there: all of them.
    pub(super) fn set(&mut self, server: PeerId, contacts: BTreeSet<Contact>) {
        self.count += 1;
        let order = self.count;
        self.lists.insert(server, List { order, contacts });
        // ONCE-118: a server that is gone is not heard of again when it comes back under another name.
        if self.lists.len() > MOST_LISTS {
            let oldest = self.lists.iter().min_by_key(|(_, list)| list.order);
            if let Some(oldest) = oldest.map(|(server, _)| *server) {
                self.lists.remove(&oldest);
            }
        }
    }

    /// Who is listed with a key. Of several keys the one that was told last counts.
    pub(super) fn keys(&self) -> BTreeMap<PeerId, PublicKey> {
        let mut lists: Vec<&List> = self.lists.values().collect();
        lists.sort_by_key(|list| list.order);
        let listed = lists.into_iter().flat_map(|list| &list.contacts);
        let keys = listed.filter_map(|contact| Some((contact.bridge, contact.key?)));
        keys.collect()
    }

    /// What is to be done so that those are contacted whom some server lists, and no others, unless they are here.
    pub(super) fn review(&mut self, is_here: impl Fn(PeerId) -> bool, mut act: impl FnMut(Action)) {
        // ONCE-118
        let listed = self.lists.values().flat_map(|list| &list.contacts);
        let mut wanted: BTreeSet<Contact> = listed.cloned().collect();
        let here = self.asked.iter().filter(|asked| is_here(asked.bridge));
        wanted.extend(here.cloned());
        let before = pairs(&self.asked);
        let after = pairs(&wanted);
        // An endpoint is forgotten whatever its key is.
        let gone: BTreeSet<&Endpoint> = before.difference(&after).map(|(it, _)| *it).collect();
        for endpoint in &gone {
            let endpoint = Endpoint::clone(endpoint);
            act(Action::Forget { endpoint });
        }
        for pair in &after {
            let (endpoint, key) = *pair;
            if !before.contains(pair) || gone.contains(endpoint) {
                let endpoint = endpoint.clone();
                act(Action::Connect { endpoint, key });
            }
        }
        self.asked = wanted;
    }
}

/// Where somebody is, whoever it is.
fn pairs(contacts: &BTreeSet<Contact>) -> BTreeSet<(&Endpoint, Option<PublicKey>)> {
    contacts.iter().map(|it| (&it.endpoint, it.key)).collect()
}
