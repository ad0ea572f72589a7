//! Keys, when both nodes are secure: who has which, and who is let in.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use arbitrary::{Result, Unstructured};

use super::{PeerId, World};
use crate::Config;
use crate::curve::{KeyPair, PublicKey, Seed};
use crate::net::LinkId;
use crate::wire::zre::Hello;
use crate::wire::{LongText, Text};
use crate::zmtp::{self, Denial, Verdict};
use crate::zre::Curve;

/// What both applications answer when they are asked about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Guard {
    At(Verdict),
    /// Nothing, for now.
    Away,
}

/// The keys of both nodes and of the middle, which is let in as well.
pub(super) struct Security {
    keys: [Arc<KeyPair>; 3],
    /// What both nodes know: else the middle would have an identity for an hour because it used it first.
    bindings: BTreeMap<PeerId, PublicKey>,
    guard: Guard,
    /// Who was asked and did not answer.
    asked: Vec<(usize, LinkId)>,
    /// Connections of the middle.
    seeds: u8,
}

/// The identity that a node has in this life of it, when it has another in each.
fn identity(who: u8, life: u8) -> PeerId {
    let mut octets = [who + 1; 16];
    octets[15] = life;
    PeerId::from_bytes(octets)
}

impl Security {
    pub(super) fn new() -> Self {
        let keys = [1, 2, 3].map(|octet| Arc::new(KeyPair::generate([octet; 32])));
        let mut bindings = BTreeMap::new();
        for who in 0..2_u8 {
            let key = *keys[usize::from(who)].public();
            bindings.insert(PeerId::from_bytes([who + 1; 16]), key);
            bindings.extend((0..=u8::MAX).map(|life| (identity(who, life), key)));
        }
        Self {
            keys,
            bindings,
            guard: Guard::At(Verdict::Allow),
            asked: Vec::new(),
            seeds: 0,
        }
    }

    /// What a node is told of keys.
    pub(super) fn configure(&self, config: &mut Config, who: usize, life: u8) {
        let octet = u8::try_from(who).unwrap_or_default();
        config.uuid = config.uuid.or(Some(identity(octet, life)));
        config.curve = Some(Curve {
            keys: self.keys[who].clone(),
            bindings: self.bindings.clone(),
            bridges: BTreeSet::new(),
        });
    }

    pub(super) fn key_of(&self, who: usize) -> PublicKey {
        *self.keys[who].public()
    }

    /// How the middle secures a connection that it makes to a node, or one that a node makes to it.
    pub(super) fn of_the_middle(&mut self, to: Option<usize>) -> zmtp::Security {
        self.seeds = self.seeds.wrapping_add(1);
        let seed = Seed::from_bytes([self.seeds; 32]);
        let keys = self.keys[2].clone();
        match to {
            Some(to) => zmtp::Security::CurveClient {
                keys,
                server: self.key_of(to),
                seed,
            },
            None => zmtp::Security::CurveServer { keys, seed },
        }
    }

    /// A key for a beacon, mostly somebody's.
    pub(super) fn some_key(&self, u: &mut Unstructured<'_>) -> Result<Option<[u8; 32]>> {
        Ok(match u.int_in_range(0..=7_u8)? {
            0 => None,
            1 => Some([0; 32]),
            2 => Some([u.arbitrary()?; 32]),
            n => Some(*self.keys[usize::from(n) % 3].public().as_bytes()),
        })
    }

    /// Puts a key into a HELLO of the middle, mostly its own.
    pub(super) fn put_key(&self, u: &mut Unstructured<'_>, hello: &mut Hello) -> Result<()> {
        let who = u.int_in_range(0..=7_usize)?;
        let key = self.keys.get(who).unwrap_or(&self.keys[2]).public();
        let value = LongText::try_from(alloc::format!("{key}"));
        let header = Text::try_from("X-PUBLICKEY").ok().zip(value.ok());
        hello.headers.extend(header);
        Ok(())
    }
}

impl World {
    /// A node asks about a key.
    pub(super) fn ask(&mut self, who: usize, link: LinkId) {
        let Some(security) = &mut self.security else {
            panic!("nobody is secure");
        };
        match security.guard.clone() {
            Guard::At(verdict) => self.answer(who, link, verdict),
            Guard::Away => security.asked.push((who, link)),
        }
    }

    fn answer(&mut self, who: usize, link: LinkId, verdict: Verdict) {
        self.note(format_args!("{who}: {link} is {verdict}"));
        if let Some(stack) = &mut self.sides[who].stack {
            stack.handle_verdict(self.now, link, verdict);
        }
    }

    /// What the applications answer from now on; or an answer comes at last, to a question of now or of long ago.
    pub(super) fn change_guard(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(security) = &mut self.security else {
            return Ok(());
        };
        let verdict = match u.int_in_range(0..=5_u8)? {
            0 => Verdict::Deny(Denial::Temporary),
            1 => Verdict::Deny(Denial::Refused),
            2 => Verdict::Deny(Denial::Internal),
            _ => Verdict::Allow,
        };
        match u.int_in_range(0..=3_u8)? {
            0 => security.guard = Guard::Away,
            1 => security.guard = Guard::At(verdict),
            _ if security.asked.is_empty() => {}
            keep => {
                let at = u.choose_index(security.asked.len())?;
                let (who, link) = security.asked[at];
                if keep == 3 {
                    security.asked.remove(at);
                }
                self.answer(who, link, verdict);
            }
        }
        Ok(())
    }

    /// Both let each other in from now on.
    pub(super) fn let_all_in(&mut self) {
        let Some(security) = &mut self.security else {
            return;
        };
        security.guard = Guard::At(Verdict::Allow);
        for (who, link) in core::mem::take(&mut security.asked) {
            self.answer(who, link, Verdict::Allow);
        }
    }
}
