//! Trust: which keys may come in, and whose they are.

mod decider;
mod folder;
mod list;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atonce::PeerId;
use atonce::curve::PublicKey;
use atonce::endpoint::InvalidEndpoint;
use atonce::wire::zap::InvalidDomain;
use atonce::zmtp::Verdict;

pub(crate) use crate::trust::decider::{DecidePlain, Decider};
use crate::trust::folder::Folder;
use crate::trust::list::List;
use crate::{CertificateError, cert, file};

/// How often files are looked at again, at most. A handshake with a stranger costs no more than that, however many there are.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Answers whether a key may come in.
///
/// - [`any`](Trust::any): whoever has a key. What is said is encrypted, and nobody knows with whom.
/// - [`keys`](Trust::keys): these.
/// - [`open`](Trust::open) with a certificate or a folder of certificates, those of CZMQ as well: the keys in them.
/// - [`open`](Trust::open) with a trust file, or [`first_use`](Trust::first_use): the keys in it, each bound to a UUID if it says
///   so, and new ones too if it says so. New ones are written down with their UUIDs, and nobody else is that UUID from then on.
/// - [`ask`](Trust::ask): the application says so, of each key when it comes.
/// - [`zap`](Trust::zap): an authentication handler says so, such as CZMQ's `zauth`.
///
/// Files are looked at again when a key asks to come in, at most once a second: what was added may come in, what was removed
/// may not. Who is in already stays.
///
/// ```
/// use atonce_std::{Certificate, Trust};
/// # let folder = tempfile::tempdir()?;
///
/// let (alice, mallory) = (Certificate::generate()?, Certificate::generate()?);
/// alice.save_public(folder.path().join("alice.cert"))?;
///
/// let mut trust = Trust::open(folder.path())?;
/// assert!(trust.allows(alice.public_key())?);
/// assert!(!trust.allows(mallory.public_key())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The trust file
///
/// ```text
/// # A key, the UUID that is bound to it, and `bridge` when it may speak for others. A comment begins with # before a word.
/// first-use
/// rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7  0102030405060708090A0B0C0D0E0F10
/// Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID  bridge   # the one in the cellar
/// ```
///
/// A line has a key (Z85) and perhaps a UUID (32 hexadecimal digits) and perhaps the word `bridge`. A key that has no UUID may
/// come in under any that is not bound to another key; for several it has several lines. A UUID with two keys is an error.
/// The line `first-use` lets keys in that are not listed, and has them written down below. Without it the file is a list of
/// who may come in, and is never written.
///
/// A new key for a peer takes the place of the old one in its line, by an editor.
#[derive(Clone, Debug)]
pub struct Trust(Source);

#[derive(Clone, Debug)]
enum Source {
    Any,
    Keys(BTreeSet<PublicKey>),
    Certificates(Folder),
    List(List),
    Decider(Decider),
}

/// Why it cannot be said whether a key may come in, or it cannot be written down. Nobody is let in then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A file or folder cannot be read.
    #[error("cannot read {}, which says whom to trust: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no such file.
    #[error(
        "there is no {}, which should say whom to trust: a certificate, a folder of them, or a trust file; \
         `echo first-use > {}` makes one that trusts every key that is new",
        path.display(),
        file::shell_word(path)
    )]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// The certificate is wrong.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The folder has too many files in it.
    #[error("{} has more than {limit} files in it: give a folder of certificates and nothing else", path.display())]
    Crowded {
        /// The folder.
        path: PathBuf,
        /// How many it may have.
        limit: usize,
    },
    /// A line of the trust file is wrong.
    #[error("{}, line {line}: {what}", path.display())]
    Line {
        /// The trust file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Everybody could write what is trusted.
    #[error("everybody may change {}, which says whom to trust: `chmod o-w {}`", path.display(), file::shell_word(path))]
    Writable {
        /// Which.
        path: PathBuf,
    },
    /// The UUID is bound to another key.
    #[error("{peer} has the key {key} and not the one it came with; if it has a new one, change it in {}", path.display())]
    Bound {
        /// The UUID.
        peer: PeerId,
        /// The key that is bound to it.
        key: PublicKey,
        /// The trust file.
        path: PathBuf,
    },
    /// The trust file has as many UUIDs as it may have.
    #[error("{} has {limit} UUIDs in it and takes no more: remove those that are gone", path.display())]
    Full {
        /// The trust file.
        path: PathBuf,
        /// How many it may have.
        limit: usize,
    },
    /// The authentication handler is not at an endpoint of the form `tcp://ADDRESS:PORT`.
    #[error("{endpoint:?} is not where a handler can be reached: {source}")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        source: InvalidEndpoint,
    },
    /// The authentication handler is at a host name, which is not looked up.
    #[error("{endpoint} has a name in it: give the address of the handler, or localhost")]
    HandlerName {
        /// What was given.
        endpoint: String,
    },
    /// The authentication handler is on another machine; [`Trust::zap_anywhere`] takes it all the same.
    #[error(
        "{endpoint} is not on the loopback of this machine, and whoever is on the way there could let anybody in: give the \
         handler, or a tunnel to it, an endpoint such as tcp://127.0.0.1:9000"
    )]
    NotLoopback {
        /// What was given.
        endpoint: String,
    },
    /// The domain for the authentication handler is none.
    #[error("{domain:?}: {source}")]
    Domain {
        /// What was given.
        domain: String,
        /// What is wrong with it.
        source: InvalidDomain,
    },
    /// Somebody else says whom to trust, and only a node that runs asks.
    #[error("somebody else says whom to trust, and is asked by nodes that run")]
    Elsewhere,
    /// The trust file cannot be written.
    #[error("cannot write {}, which says whom to trust: {source}", path.display())]
    Write {
        /// The trust file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl Trust {
    /// How many UUIDs a trust file takes: ten times what a large network has. It bounds what strangers can make grow.
    pub const MAX_BINDINGS: usize = 10_000;
    /// How many files a folder of certificates may have.
    pub const MAX_CERTIFICATES: usize = 10_000;

    /// Whoever has a key.
    pub const fn any() -> Self {
        Self(Source::Any)
    }

    /// Whether whoever has a key is let in.
    pub(crate) const fn is_any(&self) -> bool {
        matches!(self.0, Source::Any)
    }

    /// Who has one of these keys.
    ///
    /// ```
    /// use atonce_std::{Certificate, Trust};
    ///
    /// let (alice, mallory) = (Certificate::generate()?, Certificate::generate()?);
    /// let mut trust = Trust::keys([*alice.public_key()]);
    /// assert!(trust.allows(alice.public_key())?);
    /// assert!(!trust.allows(mallory.public_key())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keys(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self(Source::Keys(keys.into_iter().collect()))
    }

    /// What a file or folder says: a public certificate, a folder of them, or a trust file.
    ///
    /// In a folder, and the folders in it, every file that is a certificate counts, but for those whose names begin with a dot
    /// or end in `_secret`. Others are passed over with a warning to the log, so that one bad file shuts nobody else out; so are
    /// files and folders in it that everybody could change.
    ///
    /// # Errors
    ///
    /// It cannot be read or is wrong. What everybody could change is refused. Who else may change the folder that it lies in, and
    /// whose it is, is not looked at.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TrustError> {
        let path = path.as_ref();
        let is_folder = path.is_dir();
        if !is_folder {
            let (text, _) =
                file::read(path, list::MAX_OCTETS).map_err(|error| cannot_read(path, error))?;
            if !cert::is_certificate(&text) {
                return List::open(path).map(Source::List).map(Self);
            }
        }
        Folder::open(path).map(Source::Certificates).map(Self)
    }

    /// Trust on first use: the first that comes under a UUID owns it from then on, by its key, which the trust file remembers
    /// over restarts. A file that is not there is made. One that is there is taken as it is, as by [`open`](Self::open): without
    /// the line `first-use` it lets in who is listed only.
    ///
    /// It keeps others from taking a name that is taken. It keeps no stranger out.
    ///
    /// # Errors
    ///
    /// The file cannot be read or made, or is wrong.
    ///
    /// ```
    /// use atonce_std::{Certificate, PeerId, Trust, TrustError};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("trusted");
    ///
    /// let (alice, mallory) = (Certificate::generate()?, Certificate::generate()?);
    /// let id = PeerId::from_bytes([1; 16]);
    ///
    /// let mut trust = Trust::first_use(&path)?;
    /// assert!(trust.allows(alice.public_key())?);
    /// assert!(trust.met(id, alice.public_key())?);
    ///
    /// let mut trust = Trust::first_use(&path)?; // the next day
    /// assert_eq!(trust.bindings()[&id], *alice.public_key());
    /// assert!(matches!(trust.met(id, mallory.public_key()), Err(TrustError::Bound { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn first_use(path: impl AsRef<Path>) -> Result<Self, TrustError> {
        let path = path.as_ref();
        match file::publish(path, list::NEW, file::PUBLIC & !file::OTHERS_WRITE) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                let path = path.into();
                Err(TrustError::Write { path, source })
            }
            _ => List::open(path).map(Source::List).map(Self),
        }
    }

    /// Who the application says may come in. It is asked of each key that comes, from where, and also before the node itself
    /// dials the owner of a key, at the address that it is said to have.
    ///
    /// It may take its time, to look into a database or to ask somebody: the node goes on meanwhile. The questions of a node come
    /// one after the other, on a thread of its own that begins with the first one. A question that waited for 5 s for its turn is
    /// answered with [`Denial::Temporary`](atonce::zmtp::Denial::Temporary) by itself, and so are those beyond 256 that wait. After
    /// [`Limits::hello_deadline`](crate::Limits::hello_deadline), or after the time that a peer may be silent when that is longer, 30 s,
    /// nobody waits for the answer any more; the peer comes again. An answer that panics is [`Denial::Internal`](atonce::zmtp::Denial::Internal). A node that ends waits for none.
    ///
    /// ```
    /// use atonce_std::{Certificate, Denial, Trust, Verdict};
    ///
    /// let alice = *Certificate::generate()?.public_key();
    /// let trust = Trust::ask(move |key, remote| {
    ///     if *key == alice && remote.ip().is_loopback() {
    ///         Verdict::Allow
    ///     } else {
    ///         Verdict::Deny(Denial::Refused)
    ///     }
    /// });
    /// # let _ = trust;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask(decide: impl Fn(&PublicKey, SocketAddr) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Source::Decider(Decider::Application(Arc::new(decide))))
    }

    /// Who an authentication handler says may come in: it speaks ZAP 1.0 (RFC 27) and is at `endpoint`, which is
    /// `tcp://ADDRESS:PORT` on the loopback of this machine. The handler is asked about `domain`; libzyre says `global`. It is
    /// asked of each key that comes, and also before the node itself dials the owner of a key.
    ///
    /// Handlers of libzmq are at `inproc://zeromq.zap.01` of their own process. A proxy in that process puts one on TCP. With
    /// CZMQ's `zauth` in C:
    ///
    /// ```c
    /// zactor_t *auth = zactor_new (zauth, NULL);
    /// zstr_sendx (auth, "CURVE", "/etc/friends", NULL);                // certificates of those who may come in
    /// zsock_wait (auth);
    /// zsock_t *front = zsock_new_router ("@tcp://127.0.0.1:9000");
    /// zsock_t *back = zsock_new_dealer (">inproc://zeromq.zap.01");
    /// zmq_proxy (zsock_resolve (front), zsock_resolve (back), NULL);   // as long as the process lives
    /// ```
    ///
    /// and with pyzmq:
    ///
    /// ```python
    /// auth = zmq.auth.thread.ThreadAuthenticator(context)
    /// auth.start()
    /// auth.configure_curve(domain="global", location="/etc/friends")
    /// front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    /// front.bind("tcp://127.0.0.1:9000")
    /// back.connect("inproc://zeromq.zap.01")
    /// zmq.proxy(front, back)
    /// ```
    ///
    /// Then the node asks there:
    ///
    /// ```
    /// use atonce_std::{Trust, TrustError};
    ///
    /// let trust = Trust::zap("tcp://127.0.0.1:9000", "global")?;
    /// let other_machine = Trust::zap("tcp://10.0.0.7:9000", "global");
    /// assert!(matches!(other_machine, Err(TrustError::NotLoopback { .. })));
    /// # let _ = trust;
    /// # Ok::<(), TrustError>(())
    /// ```
    ///
    /// The handler is dialled when the first key comes, on a thread of the node's own that ends with it, and again when it went
    /// away. It need not be there before. What it does not answer within 5 s is
    /// [`Denial::Temporary`](atonce::zmtp::Denial::Temporary): nobody is let in by silence, and peers come again. At most 256
    /// questions wait for it.
    ///
    /// Nobody proves anything on that connection. Whoever can bind the port, which every user of this machine may do while the
    /// handler does not run, decides who comes in; take one below 1024 where that matters.
    ///
    /// # Errors
    ///
    /// The endpoint is none, has a name other than `localhost`, or is [on another machine](TrustError::NotLoopback). The domain
    /// does not have 1 to 255 characters of ASCII.
    pub fn zap(endpoint: impl AsRef<str>, domain: impl AsRef<str>) -> Result<Self, TrustError> {
        let handler = Decider::handler(endpoint.as_ref(), domain.as_ref())?;
        // ZAP-25
        if !handler.is_on_loopback() {
            let endpoint = endpoint.as_ref().to_owned();
            return Err(TrustError::NotLoopback { endpoint });
        }
        Ok(Self(Source::Decider(handler)))
    }

    /// The same as [`zap`](Self::zap) with a handler anywhere. The connection to it is neither encrypted nor proved: whoever is
    /// on the way can read who comes, and let in whom they like. It is for networks that nobody else is on, such as those between
    /// containers of one machine, or a VPN.
    ///
    /// # Errors
    ///
    /// The same, but for the other machine.
    pub fn zap_anywhere(
        endpoint: impl AsRef<str>,
        domain: impl AsRef<str>,
    ) -> Result<Self, TrustError> {
        Decider::handler(endpoint.as_ref(), domain.as_ref())
            .map(Source::Decider)
            .map(Self)
    }

    /// Who decides, if it is neither a file nor known already.
    pub(crate) fn decider(&self) -> Option<&Decider> {
        match &self.0 {
            Source::Decider(decider) => Some(decider),
            _ => None,
        }
    }

    /// Whether this key may come in. It may read files.
    ///
    /// # Errors
    ///
    /// Who says whom to trust is asked by nodes only, see [`Elsewhere`](TrustError::Elsewhere). Or what says whom to trust cannot
    /// be read any more. Nobody is let in until it can be; it is told once a second, in between the answer is no.
    pub fn allows(&mut self, key: &PublicKey) -> Result<bool, TrustError> {
        self.allows_at(key, Instant::now())
    }

    fn allows_at(&mut self, key: &PublicKey, now: Instant) -> Result<bool, TrustError> {
        match &mut self.0 {
            Source::Any => Ok(true),
            Source::Keys(keys) => Ok(keys.contains(key)),
            Source::Certificates(folder) => folder.allows(key, now),
            Source::List(list) => list.allows(key, now),
            Source::Decider(_) => Err(TrustError::Elsewhere),
        }
    }

    /// The UUIDs that belong to keys for good: those of a trust file, as it was last read.
    pub fn bindings(&self) -> BTreeMap<PeerId, PublicKey> {
        match &self.0 {
            Source::List(list) => list.bindings().clone(),
            _ => BTreeMap::new(),
        }
    }

    /// The keys that may speak for the UUIDs of others: those that a trust file calls `bridge`, as it was last read.
    pub fn bridges(&self) -> BTreeSet<PublicKey> {
        match &self.0 {
            Source::List(list) => list.bridges().collect(),
            _ => BTreeSet::new(),
        }
    }

    /// The UUIDs that belong to keys, and the keys of bridges, if the trust file says something else than at the last call, or
    /// than at first.
    pub(crate) fn take_changes(
        &mut self,
    ) -> Option<(BTreeMap<PeerId, PublicKey>, BTreeSet<PublicKey>)> {
        let has_changed = match &mut self.0 {
            Source::List(list) => list.take_changed(),
            _ => false,
        };
        has_changed.then(|| (self.bindings(), self.bridges()))
    }

    /// A peer that proved this key came under this UUID. A trust file with the line `first-use` remembers it; whether it was
    /// written down now. It reads and writes the file. What a bridge says of others is not written down.
    ///
    /// # Errors
    ///
    /// The UUID belongs to [another key](TrustError::Bound), or it cannot be written down: also when another program keeps the
    /// file locked, which is waited for at most 200 ms, once a second. It is not remembered then.
    pub fn met(&mut self, peer: PeerId, key: &PublicKey) -> Result<bool, TrustError> {
        match &mut self.0 {
            Source::List(list) => list.met(peer, key),
            _ => Ok(false),
        }
    }
}

fn cannot_read(path: &Path, source: io::Error) -> TrustError {
    let path = path.into();
    match source.kind() {
        io::ErrorKind::NotFound => TrustError::Missing { path },
        _ => TrustError::Read { path, source },
    }
}

/// When something was last looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Looked(Option<Instant>);

impl Looked {
    /// Whether it is to be looked at again, which is done then.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self
            .0
            .is_none_or(|at| now.saturating_duration_since(at) >= LOOK_AGAIN);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests;
