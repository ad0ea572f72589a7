//! Keys, when the node is secure: who has which, who is let in, and who says that he is another.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use arbitrary::{Result, Unstructured};

use super::World;
use super::puppet::{PUPPETS, Reaction, address_of, id_of};
use crate::curve::{KeyPair, PublicKey, Seed};
use crate::wire::zre::Hello;
use crate::wire::{Beacon, LongText, Text};
use crate::zmtp::{self, Denial, Verdict};
use crate::zre::Curve;
use crate::{Config, LinkId, PeerId};

/// How many steps there are that only a secure node knows.
pub(super) const STEPS: u8 = 16;

/// What the application answers when it is asked about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Guard {
    At(Verdict),
    /// Nothing, for now.
    Away,
}

/// The keys of the puppets and, behind them, of the node.
pub(super) struct Security {
    keys: Vec<Arc<KeyPair>>,
    /// Which of them each puppet uses now.
    wears: [usize; PUPPETS],
    bindings: BTreeMap<PeerId, PublicKey>,
    bridges: BTreeSet<PublicKey>,
    guard: Guard,
    /// Who was asked and did not answer.
    asked: Vec<LinkId>,
    /// Connections of puppets.
    seeds: u16,
}

impl Security {
    pub(super) fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let keys = (0..=PUPPETS).map(|at| {
            let octet = u8::try_from(at + 1).unwrap_or_default();
            Arc::new(KeyPair::generate([octet; 32]))
        });
        let mut security = Self {
            keys: keys.collect(),
            wears: core::array::from_fn(|who| who),
            bindings: BTreeMap::new(),
            bridges: BTreeSet::new(),
            guard: Guard::At(Verdict::Allow),
            asked: Vec::new(),
            seeds: 0,
        };
        security.draw_bindings(u)?;
        Ok(security)
    }

    /// What a node is told of keys.
    pub(super) fn configure(&self, config: &mut Config) {
        config.curve = Some(Curve {
            keys: self.keys[PUPPETS].clone(),
            bindings: self.bindings.clone(),
            bridges: self.bridges.clone(),
        });
    }

    /// Which puppets have their own identity for good, and which keys are those of bridges.
    fn draw_bindings(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (bound, bridges): (u8, u8) = u.arbitrary()?;
        let all = || (0..PUPPETS).map(|who| (who, 1_u8 << who));
        let bound = all().filter(|(_, bit)| bound & bit != 0);
        self.bindings = bound
            .map(|(who, _)| (id_of(who), *self.keys[who].public()))
            .collect();
        let bridges = all().filter(|(_, bit)| bridges & bit != 0);
        self.bridges = bridges.map(|(who, _)| *self.keys[who].public()).collect();
        Ok(())
    }

    pub(super) fn key_of(&self, who: usize) -> PublicKey {
        let wears = self.wears.get(who).copied().unwrap_or(PUPPETS);
        *self.keys[wears].public()
    }

    /// How a puppet secures a connection: one that it makes, or one that the node makes to it.
    pub(super) fn of_puppet(&mut self, who: usize, dialled: bool) -> zmtp::Security {
        self.seeds = self.seeds.wrapping_add(1);
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&self.seeds.to_le_bytes());
        let seed = Seed::from_bytes(seed);
        let keys = self.keys[self.wears[who]].clone();
        if dialled {
            return zmtp::Security::CurveServer { keys, seed };
        }
        let server = *self.keys[PUPPETS].public();
        zmtp::Security::CurveClient { keys, server, seed }
    }

    /// A key for a beacon: mostly that of the puppet.
    pub(super) fn some_key(
        &self,
        u: &mut Unstructured<'_>,
        who: usize,
    ) -> Result<Option<[u8; 32]>> {
        Ok(match u.int_in_range(0..=15_u8)? {
            0 => None,
            1 => Some([0; 32]),
            // Nobody can own it, and only who tries finds out.
            2 => Some(core::array::from_fn(|at| u8::from(at == 0))),
            3 => Some(u.arbitrary()?),
            4 | 5 => Some(
                *self.keys[u.choose_index(self.keys.len())?]
                    .public()
                    .as_bytes(),
            ),
            _ => Some(*self.key_of(who).as_bytes()),
        })
    }

    /// Puts the key of a puppet into what it greets with.
    pub(super) fn put_key(&self, hello: &mut Hello, who: usize) {
        let value = LongText::try_from(format!("{}", self.key_of(who)));
        let header = Text::try_from("X-PUBLICKEY").ok().zip(value.ok());
        hello.headers.extend(header);
    }
}

fn verdict(u: &mut Unstructured<'_>) -> Result<Verdict> {
    Ok(match u.int_in_range(0..=5_u8)? {
        0 => Verdict::Deny(Denial::Temporary),
        1 => Verdict::Deny(Denial::Refused),
        2 => Verdict::Deny(Denial::Internal),
        3 => Verdict::AllowAs(Text::try_from("joe").unwrap_or_default()),
        _ => Verdict::Allow,
    })
}

impl World {
    /// How the puppet secures a connection.
    pub(super) fn security_of(&mut self, who: usize, dialled: bool) -> zmtp::Security {
        let security = self.security.as_mut();
        security.map_or(zmtp::Security::Null, |security| {
            security.of_puppet(who, dialled)
        })
    }

    /// What the fuzzer decides about keys.
    pub(super) fn step_of_keys(&mut self, u: &mut Unstructured<'_>, choice: u8) -> Result<()> {
        match choice {
            0 | 1 => {
                // It comes again with another key.
                let (who, key) = (u.choose_index(PUPPETS)?, u.choose_index(PUPPETS)?);
                if let Some(security) = &mut self.security {
                    security.wears[who] = key;
                }
            }
            2..=4 => self.rumour(u)?,
            5 => {
                let verdict = verdict(u)?;
                let away = u.ratio(1_u8, 4)?;
                if let Some(security) = &mut self.security {
                    security.guard = if away {
                        Guard::Away
                    } else {
                        Guard::At(verdict)
                    };
                }
            }
            6 | 7 => self.answer_late(u)?,
            8 => {
                let key = self.some_public_key(u)?;
                self.note(&format!("> {key} is revoked"));
                self.stack.revoke(self.now, key);
            }
            9 => {
                let (who, key) = (u.choose_index(PUPPETS)?, self.some_public_key(u)?);
                let id = id_of(who);
                self.stack.bind(id, key);
                let here = self.stack.peer(id).is_some();
                if let Some(security) = &mut self.security {
                    // Who is here stays, whatever its key is.
                    if here {
                        security.bindings.remove(&id);
                    } else {
                        security.bindings.insert(id, key);
                    }
                }
            }
            10 => {
                if let Some(security) = &mut self.security {
                    security.draw_bindings(u)?;
                    let (bindings, bridges) = (security.bindings.clone(), security.bridges.clone());
                    self.stack.set_bindings(self.now, bindings, bridges);
                }
            }
            11 => {
                let (address, key) = (self.some_address(u)?, self.some_public_key(u)?);
                // It may be stopping, or be another's.
                let _ = self.stack.connect_with_key(self.now, &address.into(), key);
            }
            12 => {
                let key = self.some_public_key(u)?;
                if let Ok(endpoint) = "tcp://somebody:49152".parse() {
                    let _ = self.stack.connect_with_key(self.now, &endpoint, key);
                }
            }
            13 => {
                // To a question of long ago, or to none.
                let (at, verdict) = (u.choose_index(self.known.len().max(1))?, verdict(u)?);
                if let Some(link) = self.known.iter().nth(at).copied() {
                    self.answer(link, verdict);
                }
            }
            _ => self.run_until(self.now + Duration::from_millis(300)),
        }
        Ok(())
    }

    /// A beacon that leads to the mailbox of one puppet with the key and the name of others.
    fn rumour(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (at, who) = (u.choose_index(PUPPETS)?, u.choose_index(PUPPETS)?);
        let key = self.some_public_key(u)?;
        let address = address_of(at);
        let beacon = Beacon {
            uuid: id_of(who),
            port: address.port(),
            key: Some(*key.as_bytes()),
        };
        self.note(&format!("> from {address}: {beacon:?}"));
        let source = core::net::SocketAddr::new(address.ip(), 5670);
        self.stack
            .handle_datagram(self.now, source, &beacon.encode());
        Ok(())
    }

    /// Of somebody who is here or not, of the node itself, or of nobody.
    pub(super) fn some_public_key(&self, u: &mut Unstructured<'_>) -> Result<PublicKey> {
        let at = u.int_in_range(0..=PUPPETS + 1)?;
        let keys = self.security.as_ref().and_then(|all| all.keys.get(at));
        Ok(match keys {
            Some(keys) => *keys.public(),
            None => PublicKey::from_bytes([u.arbitrary()?; 32]),
        })
    }

    /// The node asks about a key: that of the link, which was proved, or that of the mailbox that it would dial.
    pub(super) fn ask(&mut self, link: LinkId, key: PublicKey) {
        if let Some(far) = self.links.get(&link) {
            assert_eq!(far.key, Some(key), "{link} did not prove that");
        }
        let Some(security) = &mut self.security else {
            panic!("the node is not secure");
        };
        match security.guard.clone() {
            Guard::At(verdict) => self.answer(link, verdict),
            Guard::Away => security.asked.push(link),
        }
    }

    fn answer(&mut self, link: LinkId, verdict: Verdict) {
        self.note(&format!("> {link}: {verdict}"));
        self.stack.handle_verdict(self.now, link, verdict);
    }

    /// An answer comes at last, and perhaps once more later.
    fn answer_late(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let verdict = verdict(u)?;
        let Some(security) = self.security.as_mut().filter(|all| !all.asked.is_empty()) else {
            return Ok(());
        };
        let at = u.choose_index(security.asked.len())?;
        let link = security.asked[at];
        if u.ratio(7_u8, 8)? {
            security.asked.remove(at);
        }
        self.answer(link, verdict);
        Ok(())
    }

    /// With keys that do not fit a connection ends at once, as a real one does.
    pub(super) fn end_what_failed(&mut self, link: LinkId) {
        let Some(far) = self.links.get(&link) else {
            return;
        };
        let over = far.connection.as_ref().is_some_and(|end| end.is_closed());
        if over && self.security.is_some() {
            self.reactions.push_back(Reaction::Ended(link));
        }
    }

    /// Nobody is kept waiting.
    pub(super) fn let_all_in(&mut self) {
        let Some(security) = &mut self.security else {
            return;
        };
        security.guard = Guard::At(Verdict::Allow);
        for link in core::mem::take(&mut security.asked) {
            self.answer(link, Verdict::Allow);
        }
    }

    /// Who is here proved a key that a puppet has, and the identity of nobody who has another for good.
    pub(super) fn check_keys(&self) {
        let Some(security) = &self.security else {
            return assert!(self.stack.peers().all(|view| view.key.is_none()));
        };
        for view in self.stack.peers() {
            let id = view.peer.id;
            let Some(key) = view.key else {
                panic!("{id} has no key");
            };
            let known = security.keys.iter().any(|pair| *pair.public() == key);
            assert!(known, "nobody has the key of {id}");
            let bound = security.bindings.get(&id).is_none_or(|bound| *bound == key);
            assert!(bound || security.bridges.contains(&key), "{id} with {key}");
        }
    }
}
