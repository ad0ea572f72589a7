//! A trust file: keys, and the UUIDs that are bound to them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use atonce::PeerId;
use atonce::curve::PublicKey;

use crate::file::{self, OTHERS_WRITE, Stamp};
use crate::trust::{Looked, Trust, TrustError, cannot_read};

/// The largest trust file, in octets: four times what [`Trust::MAX_BINDINGS`] lines take, for comments.
pub(super) const MAX_OCTETS: u64 = 4 << 20;

/// How long another node is waited for that reads and writes the file now. It takes some milliseconds; but whoever may read the
/// file may lock it, for good, and a node that waits does nothing else.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);
/// How often it is tried meanwhile.
const LOCK_STEP: Duration = Duration::from_millis(2);

/// A trust file to begin with.
pub(super) const NEW: &str = "\
# Whom this node trusts: a key, the UUID that is bound to it, and `bridge` when it may speak for others.
# With the line `first-use` keys that are not listed may come in, too, and are written down below.
first-use
";

/// The word for letting in who is not listed.
const FIRST_USE: &str = "first-use";
/// The word for a key that may speak for others.
const BRIDGE: &str = "bridge";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct List {
    path: PathBuf,
    content: Content,
    /// What the file looked like when it said that.
    stamp: Option<Stamp>,
    /// Whether it would look different if it had changed since.
    is_settled: bool,
    /// Whether the file said at the last look what `content` holds.
    is_readable: bool,
    /// It said something else than before when it was read.
    has_changed: bool,
    looked: Looked,
    /// When somebody else had it locked for as long as it was waited for.
    locked: Looked,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Content {
    first_use: bool,
    /// Each key, and whether it is a bridge's.
    keys: BTreeMap<PublicKey, bool>,
    bindings: BTreeMap<PeerId, PublicKey>,
    /// Whether its last line has no end.
    is_cut: bool,
}

impl List {
    /// Reads it.
    pub(super) fn open(path: &Path) -> Result<Self, TrustError> {
        let mut list = Self {
            path: path.into(),
            content: Content::default(),
            stamp: None,
            is_settled: false,
            is_readable: false,
            has_changed: false,
            looked: Looked(Some(Instant::now())),
            locked: Looked(None),
        };
        list.look()?;
        list.has_changed = false;
        Ok(list)
    }

    pub(super) fn allows(&mut self, key: &PublicKey, now: Instant) -> Result<bool, TrustError> {
        if self.looked.is_due(now) {
            self.look()?;
        }
        Ok(self.is_readable && self.content.allows(key))
    }

    pub(super) fn bindings(&self) -> &BTreeMap<PeerId, PublicKey> {
        &self.content.bindings
    }

    /// Whether it said something else than before when it was read since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    pub(super) fn bridges(&self) -> impl Iterator<Item = PublicKey> {
        let keys = self.content.keys.iter();
        keys.filter(|(_, is_bridge)| **is_bridge)
            .map(|(key, _)| *key)
    }

    pub(super) fn met(&mut self, peer: PeerId, key: &PublicKey) -> Result<bool, TrustError> {
        if !self.is_new(peer, key)? {
            return Ok(false);
        }
        let cannot_write = |source| TrustError::Write {
            path: self.path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .open(&self.path)
            .map_err(cannot_write)?;
        // Several nodes may share the file: between reading it and writing it nobody else does.
        lock(&file, &mut self.locked).map_err(cannot_write)?;
        // A crowd that comes at once need not have it read for each: what another node writes makes it longer.
        if !self.is_readable
            || self.stamp != Some(Stamp::of(&file.metadata().map_err(cannot_write)?))
        {
            self.read(&mut file)?;
        }
        if !self.is_new(peer, key)? {
            return Ok(false);
        }
        if self.content.bindings.len() >= Trust::MAX_BINDINGS {
            return Err(TrustError::Full {
                path: self.path.clone(),
                limit: Trust::MAX_BINDINGS,
            });
        }
        // In one piece, so that whoever reads meanwhile sees no half of a line.
        let end = if self.content.is_cut { "\n" } else { "" };
        let line = format!("{end}{key} {peer}\n");
        // Until it is known what is there now.
        self.stamp = None;
        let written = file.write_all(line.as_bytes());
        let metadata = written.and_then(|()| file.metadata());
        let metadata = metadata.map_err(|source| TrustError::Write {
            path: self.path.clone(),
            source,
        })?;
        self.stamp = Some(Stamp::of(&metadata));
        self.is_settled = false;
        self.content.is_cut = false;
        self.content.keys.entry(*key).or_default();
        self.content.bindings.insert(peer, *key);
        Ok(true)
    }

    /// Whether this is to be written down.
    fn is_new(&self, peer: PeerId, key: &PublicKey) -> Result<bool, TrustError> {
        match self.content.bindings.get(&peer) {
            Some(bound) if bound == key => Ok(false),
            Some(bound) => Err(TrustError::Bound {
                peer,
                key: *bound,
                path: self.path.clone(),
            }),
            // A bridge comes with the UUIDs of others, which may get keys of their own.
            None => Ok(self.content.first_use && self.content.keys.get(key) != Some(&true)),
        }
    }

    /// Reads the file if it changed.
    fn look(&mut self) -> Result<(), TrustError> {
        let metadata = fs::metadata(&self.path).map_err(|error| self.lost(error))?;
        let is_known = self.is_readable && self.is_settled;
        if is_known && self.stamp == Some(Stamp::of(&metadata)) {
            return Ok(());
        }
        let mut file = File::open(&self.path).map_err(|error| self.lost(error))?;
        self.read(&mut file)
    }

    /// Reads an open file.
    fn read(&mut self, file: &mut File) -> Result<(), TrustError> {
        let now = SystemTime::now();
        self.is_readable = false;
        let metadata = file.metadata().map_err(|error| self.lost(error))?;
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(TrustError::Writable {
                path: self.path.clone(),
            });
        }
        let text = file::read_open(file, MAX_OCTETS).map_err(|error| self.lost(error))?;
        let content = Content::parse(&text).map_err(|(line, what)| TrustError::Line {
            path: self.path.clone(),
            line,
            what,
        })?;
        self.has_changed |= content != self.content;
        self.content = content;
        let stamp = Stamp::of(&metadata);
        self.is_readable = true;
        self.is_settled = stamp.is_settled(now);
        self.stamp = Some(stamp);
        Ok(())
    }

    /// The file cannot be read.
    fn lost(&mut self, error: io::Error) -> TrustError {
        self.is_readable = false;
        cannot_read(&self.path, error)
    }
}

/// Locks a file, if others let go of it in time. Once they did not, nobody waits for a second.
fn lock(file: &File, locked: &mut Looked) -> io::Result<()> {
    let start = Instant::now();
    let patience = match locked.is_due(start) {
        true => LOCK_PATIENCE,
        false => Duration::ZERO,
    };
    loop {
        match file.try_lock() {
            Ok(()) => {
                *locked = Looked(None);
                return Ok(());
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                thread::sleep(LOCK_STEP);
            }
            Err(TryLockError::WouldBlock) => {
                let what =
                    "another program has it locked; the peer is written down when it comes again";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, what));
            }
        }
    }
}

impl Content {
    fn allows(&self, key: &PublicKey) -> bool {
        self.keys.contains_key(key) || self.first_use && self.bindings.len() < Trust::MAX_BINDINGS
    }

    /// Reads a text; else the line that is wrong, from 1, and what is wrong with it.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut content = Self {
            is_cut: !text.is_empty() && !text.ends_with('\n'),
            ..Self::default()
        };
        // Where each UUID was bound.
        let mut places = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = Line::parse(line).map_err(|what| (number, what.to_owned()))?;
            let (key, peer, is_bridge) = match line {
                Line::Empty => continue,
                Line::FirstUse => {
                    content.first_use = true;
                    continue;
                }
                Line::Key {
                    key,
                    peer,
                    is_bridge,
                } => (key, peer, is_bridge),
            };
            *content.keys.entry(key).or_default() |= is_bridge;
            let Some(peer) = peer else { continue };
            match content.bindings.entry(peer) {
                Entry::Vacant(entry) => {
                    entry.insert(key);
                    places.insert(peer, number);
                }
                Entry::Occupied(entry) if *entry.get() == key => {}
                Entry::Occupied(_) => {
                    let first = places.get(&peer).copied().unwrap_or_default();
                    let what =
                        format!("line {first} binds {peer} to another key: remove one of the two");
                    return Err((number, what));
                }
            }
        }
        Ok(content)
    }
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Empty,
    FirstUse,
    Key {
        key: PublicKey,
        peer: Option<PeerId>,
        is_bridge: bool,
    },
}

impl Line {
    fn parse(line: &str) -> Result<Self, &'static str> {
        // A key may have a # in it, but not at its beginning: no four octets are written so.
        let mut words = line
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'));
        let line = match words.next() {
            None => Self::Empty,
            Some(FIRST_USE) => Self::FirstUse,
            Some(key) => {
                let key = key.parse().map_err(
                    |_| "a line begins with a key, 40 characters of Z85, or is `first-use`",
                )?;
                let mut line = (None, false);
                for word in words.by_ref() {
                    match (word, &mut line) {
                        (_, (_, true)) => return Err("behind `bridge` only a comment can stand"),
                        (BRIDGE, (_, is_bridge)) => *is_bridge = true,
                        (word, (peer @ None, _)) => {
                            let read = word.parse();
                            *peer = Some(read.map_err(|_| {
                                "behind the key stands a UUID, 32 hexadecimal digits, or `bridge`"
                            })?);
                        }
                        _ => {
                            return Err(
                                "behind the UUID only `bridge` can stand; for two UUIDs write the key twice",
                            );
                        }
                    }
                }
                let (peer, is_bridge) = line;
                Self::Key {
                    key,
                    peer,
                    is_bridge,
                }
            }
        };
        match words.next() {
            None => Ok(line),
            Some(_) => Err("behind `first-use` only a comment can stand"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    const OTHER: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
    const UUID: &str = "0102030405060708090a0b0c0d0e0f10";

    fn key(text: &str) -> PublicKey {
        text.parse().unwrap()
    }

    #[test]
    fn a_line_has_a_key_and_perhaps_a_uuid_and_perhaps_a_mark() {
        let said = |peer, is_bridge| Line::Key {
            key: key(KEY),
            peer,
            is_bridge,
        };
        let uuid = Some(UUID.parse().unwrap());
        for (line, expected) in [
            (String::new(), Line::Empty),
            ("  # comment".into(), Line::Empty),
            ("#comment".into(), Line::Empty),
            (" first-use # all".into(), Line::FirstUse),
            (KEY.into(), said(None, false)),
            (format!("\t{KEY}  {UUID} # x\r"), said(uuid, false)),
            (
                format!("{KEY} {} bridge", UUID.to_uppercase()),
                said(uuid, true),
            ),
            (format!("{KEY} bridge #"), said(None, true)),
        ] {
            assert_eq!(Line::parse(&line), Ok(expected), "{line}");
        }
        for (line, what) in [
            ("hello".to_owned(), "begins with a key"),
            (UUID.into(), "begins with a key"),
            (format!("{KEY}#"), "begins with a key"),
            (format!("{KEY} x"), "a UUID"),
            (format!("{KEY} {UUID} x"), "behind the UUID"),
            (format!("{KEY} {UUID} {UUID}"), "twice"),
            (format!("{KEY} bridge {UUID}"), "behind `bridge`"),
            (format!("{KEY} bridge bridge"), "behind `bridge`"),
            ("first-use now".into(), "behind `first-use`"),
        ] {
            let said = Line::parse(&line).unwrap_err();
            assert!(said.contains(what), "{line}: {said}");
        }
    }

    #[test]
    fn no_key_looks_like_a_comment() {
        // The largest of four octets begins the latest in the alphabet.
        let last = PublicKey::from_bytes([255; 32]).to_string();
        assert!(last.starts_with('%'));
        let with_sign =
            PublicKey::from_bytes([0, 0, 0, 84].repeat(8).try_into().unwrap()).to_string();
        assert_eq!(with_sign, "0000#".repeat(8));
        assert!(matches!(Line::parse(&with_sign), Ok(Line::Key { .. })));
    }

    #[test]
    fn a_uuid_has_one_key_and_a_key_has_many_uuids() {
        let second = "ff".repeat(16);
        let text = format!(
            "{KEY} {UUID}\n{KEY} {second} # again\n{KEY} {UUID}\n{OTHER} bridge\n{OTHER}\n"
        );
        let content = Content::parse(&text).unwrap();
        assert!(!content.first_use);
        assert_eq!(
            content.keys,
            BTreeMap::from([(key(KEY), false), (key(OTHER), true)])
        );
        assert_eq!(content.bindings.len(), 2);
        let twice = format!("# x\n{KEY} {UUID}\n\n{OTHER} {UUID}\n");
        let (line, what) = Content::parse(&twice).unwrap_err();
        assert_eq!(line, 4);
        assert!(
            what.starts_with("line 2 binds 0102030405060708090A0B0C0D0E0F10"),
            "{what}"
        );
        assert_eq!(Content::parse("x").unwrap_err().0, 1);
    }

    #[test]
    fn a_new_file_says_first_use_and_nothing_else() {
        let content = Content::parse(NEW).unwrap();
        assert_eq!(
            content,
            Content {
                first_use: true,
                ..Content::default()
            }
        );
        assert!(content.allows(&key(KEY)));
        assert!(!Content::default().allows(&key(KEY)));
    }
}
