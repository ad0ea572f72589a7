//! Certificates: keys in files, as CZMQ has them.

mod zpl;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atonce::curve::{InvalidKey, KeyPair, PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::file;

/// The largest file that is taken for a certificate, in octets. Those that people make have less than a thousand; it bounds
/// what a wrong path costs.
const MAX_OCTETS: u64 = 64 * 1024;

/// A key, or a pair of them, with what is said about it: what CZMQ calls a `zcert`.
///
/// On disk it is two files: `FILE` with the public key, for others, and `FILE_secret` with both, which only its owner may
/// read. They are text (ZPL, RFC 4), and those of CZMQ and of pyzmq are read like those that are written here.
///
/// ```
/// use atonce_std::Certificate;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("alice.cert");
///
/// let mut alice = Certificate::generate()?;
/// alice.set_metadata("name", "Alice")?;
/// alice.save(&path)?; // alice.cert and alice.cert_secret
///
/// let loaded = Certificate::load(&path)?;
/// assert_eq!(loaded, alice);
/// assert!(loaded.key_pair().is_some());
///
/// let known = Certificate::load_public(&path)?;
/// assert_eq!(known.public_key(), alice.public_key());
/// assert_eq!(known.key_pair(), None);
/// assert_eq!(known.metadata()["name"], "Alice");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    public: PublicKey,
    pair: Option<Arc<KeyPair>>,
    metadata: BTreeMap<String, String>,
}

/// Why a certificate was not read or written. No message has anything of a secret in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read the certificate {}: {source}{}", path.display(), advice(path, source))]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A line of it is wrong.
    #[error("{}, line {line}: {what}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// There is no key in it.
    #[error(
        "{} is no certificate: it has no section `curve` with a line `    public-key = \"...\"`; `atonce keygen` makes one",
        path.display()
    )]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// Others than its owner could use the secret file.
    #[error(
        "{} has a secret key and others can read it (its mode is {mode:03o}): `chmod 600 {}`, and if somebody may have read it \
         already, make a new one",
        path.display(),
        file::shell_word(path)
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file cannot be written.
    #[error("cannot write the certificate {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is a file of this name already, and it was not to be replaced.
    #[error("{} is there already, and a key that is overwritten is lost: choose another name, or remove it", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The certificate has no secret key.
    #[error("the certificate has no secret key to write; its public key alone can be saved")]
    NoSecret,
    /// The operating system has no random numbers to make a key of.
    #[error("the operating system has no random numbers for a key: {0}")]
    Entropy(#[source] io::Error),
}

/// What was given cannot stand in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMetadata {
    /// The name is none.
    #[error(
        "a name has letters, digits and $-_@.&+/, at least one, and does not begin or end with /"
    )]
    Name,
    /// The value cannot be written.
    #[error(
        "a value has no control characters, not both kinds of quotes, and with its name at most about a thousand octets"
    )]
    Value,
}

impl Certificate {
    /// The certificate of a pair of keys.
    pub fn new(pair: impl Into<Arc<KeyPair>>) -> Self {
        let pair = pair.into();
        Self {
            public: *pair.public(),
            pair: Some(pair),
            metadata: BTreeMap::new(),
        }
    }

    /// The certificate of a new pair of keys, made of random numbers of the operating system.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Entropy`].
    pub fn generate() -> Result<Self, CertificateError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| CertificateError::Entropy(error.into()))?;
        Ok(Self::new(KeyPair::generate(*seed)))
    }

    /// The certificate of a key whose secret half is somebody else's.
    pub fn from_public(key: PublicKey) -> Self {
        Self {
            public: key,
            pair: None,
            metadata: BTreeMap::new(),
        }
    }

    /// Reads `FILE_secret`, or, when there is none, `FILE` (CZMQ's `zcert_load`).
    ///
    /// # Errors
    ///
    /// All of [`CertificateError`] that is about reading. A file with a secret key that its group or others can read, write or
    /// run is [`Exposed`](CertificateError::Exposed).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CertificateError> {
        let path = path.as_ref();
        match read(&file::secret(path), Half::Secret) {
            Err(CertificateError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                read(path, Half::Secret)
            }
            result => result,
        }
    }

    /// Reads the public key and what is said about it from this very file. That there may be a secret key in it, too, is
    /// neither looked at nor checked.
    ///
    /// # Errors
    ///
    /// All of [`CertificateError`] that is about reading.
    pub fn load_public(path: impl AsRef<Path>) -> Result<Self, CertificateError> {
        read(path.as_ref(), Half::Public)
    }

    /// Writes `FILE_secret`, with mode 0600, and `FILE`, in the place of what is there (CZMQ's `zcert_save`). Each is replaced
    /// at once, so that nobody reads half of one.
    ///
    /// # Errors
    ///
    /// [`NoSecret`](CertificateError::NoSecret) or [`Write`](CertificateError::Write).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CertificateError> {
        let path = path.as_ref();
        self.save_secret(file::secret(path))?;
        self.save_public(path)
    }

    /// Writes `FILE_secret` and `FILE` as [`save`](Self::save) does, unless one of them is there.
    ///
    /// # Errors
    ///
    /// [`Exists`](CertificateError::Exists), and nothing was changed; [`NoSecret`](CertificateError::NoSecret) or
    /// [`Write`](CertificateError::Write).
    ///
    /// ```
    /// use atonce_std::{Certificate, CertificateError};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("alice.cert");
    ///
    /// let alice = Certificate::generate()?;
    /// alice.save_new(&path)?;
    /// let again = Certificate::generate()?.save_new(&path);
    /// assert!(matches!(again, Err(CertificateError::Exists { .. })));
    /// assert_eq!(Certificate::load(&path)?, alice);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_new(&self, path: impl AsRef<Path>) -> Result<(), CertificateError> {
        let path = path.as_ref();
        let secret = self.secret_text()?;
        let wrong = |path: &Path, source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => CertificateError::Exists { path: path.into() },
            _ => cannot_write(path, source),
        };
        // The secret file first: it has all that a certificate needs, should this be cut off in between.
        let secret_path = file::secret(path);
        file::create(&secret_path, &secret, file::PRIVATE)
            .map_err(|error| wrong(&secret_path, error))?;
        file::create(path, &self.text(None), file::PUBLIC).map_err(|error| {
            // It was just made, and nobody knows the key.
            let _ = std::fs::remove_file(&secret_path);
            wrong(path, error)
        })
    }

    /// Writes the public key and what is said about it to this very file, in the place of what is there (CZMQ's
    /// `zcert_save_public`).
    ///
    /// # Errors
    ///
    /// [`Write`](CertificateError::Write).
    pub fn save_public(&self, path: impl AsRef<Path>) -> Result<(), CertificateError> {
        let path = path.as_ref();
        file::replace(path, &self.text(None), file::PUBLIC)
            .map_err(|error| cannot_write(path, error))
    }

    /// Writes both keys and what is said about them to this very file, with mode 0600, in the place of what is there (CZMQ's
    /// `zcert_save_secret`).
    ///
    /// # Errors
    ///
    /// [`NoSecret`](CertificateError::NoSecret) or [`Write`](CertificateError::Write).
    pub fn save_secret(&self, path: impl AsRef<Path>) -> Result<(), CertificateError> {
        let path = path.as_ref();
        file::replace(path, &self.secret_text()?, file::PRIVATE)
            .map_err(|error| cannot_write(path, error))
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Both keys, when the secret one is known.
    pub fn key_pair(&self) -> Option<&Arc<KeyPair>> {
        self.pair.as_ref()
    }

    /// What is said about the key, by name: `name`, `email`, `organization` and the like. Nobody vouches for it. What was read
    /// is written again, but for lines of more than 1024 octets, for which CZMQ would refuse the file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Says something about the key, in the place of what was said under this name.
    ///
    /// # Errors
    ///
    /// What cannot be written so that CZMQ reads it.
    ///
    /// ```
    /// use atonce_std::{Certificate, InvalidMetadata};
    ///
    /// let mut alice = Certificate::generate()?;
    /// alice.set_metadata("email", "alice@example.org")?;
    /// assert_eq!(alice.set_metadata("full name", "Alice"), Err(InvalidMetadata::Name));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_metadata(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), InvalidMetadata> {
        let (name, value) = (name.into(), value.into());
        if !zpl::is_name(&name) {
            return Err(InvalidMetadata::Name);
        }
        if value.contains(char::is_control) || zpl::line(&name, &value).is_none() {
            return Err(InvalidMetadata::Value);
        }
        self.metadata.insert(name, value);
        Ok(())
    }

    /// The file with both keys.
    fn secret_text(&self) -> Result<Zeroizing<String>, CertificateError> {
        let pair = self.pair.as_ref().ok_or(CertificateError::NoSecret)?;
        Ok(self.text(Some(pair.secret())))
    }

    /// A file.
    fn text(&self, secret: Option<&SecretKey>) -> Zeroizing<String> {
        // Written once, into room enough: a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(1024));
        text.push_str(match secret {
            Some(_) => "# A CURVE certificate with its SECRET key: nobody but its owner may read this file.\n",
            None => "# A CURVE certificate: the public key, for those who are to know it.\n",
        });
        text.push_str("\nmetadata\n");
        for (name, value) in &self.metadata {
            // None only for what was read from a line that CZMQ would choke on.
            if let Some(line) = zpl::line(name, value) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "curve\n    public-key = \"{}\"", self.public);
        if let Some(secret) = secret {
            let secret = secret.to_z85();
            text.reserve_exact(64);
            let _ = writeln!(text, "    secret-key = \"{}\"", *secret);
        }
        text
    }
}

/// What to do about a file that cannot be read.
fn advice(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("; `atonce keygen {}` makes one", file::shell_word(path))
        }
        io::ErrorKind::PermissionDenied => "; its owner can give it to this user".to_owned(),
        _ => String::new(),
    }
}

fn cannot_write(path: &Path, source: io::Error) -> CertificateError {
    CertificateError::Write {
        path: path.into(),
        source,
    }
}

/// How much of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Public,
    Secret,
}

/// Whether this text is a certificate rather than anything else.
pub(crate) fn is_certificate(text: &str) -> bool {
    zpl::properties(text).any(|property| {
        property.is_ok_and(|property| property.section.is_none() && property.name == "curve")
    })
}

/// The public key in a file, and what the system says about the very file that it was read from.
pub(crate) fn public_key(path: &Path) -> Result<(PublicKey, Metadata), CertificateError> {
    let (certificate, metadata) = read_with_metadata(path, Half::Public)?;
    Ok((certificate.public, metadata))
}

fn read(path: &Path, half: Half) -> Result<Certificate, CertificateError> {
    read_with_metadata(path, half).map(|(certificate, _)| certificate)
}

fn read_with_metadata(
    path: &Path,
    half: Half,
) -> Result<(Certificate, Metadata), CertificateError> {
    let (text, metadata) =
        file::read(path, MAX_OCTETS).map_err(|source| CertificateError::Read {
            path: path.into(),
            source,
        })?;
    let mode = metadata.mode() & 0o777;
    let certificate = parse(&text, half).map_err(|wrong| match wrong {
        Some(zpl::Flaw { line, what }) => CertificateError::Line {
            path: path.into(),
            line,
            what,
        },
        None => CertificateError::NoKey { path: path.into() },
    })?;
    if certificate.pair.is_some() && mode & file::NOT_THE_OWNER != 0 {
        return Err(CertificateError::Exposed {
            path: path.into(),
            mode,
        });
    }
    Ok((certificate, metadata))
}

/// Reads a file; `None` when there is no public key in it.
fn parse(text: &str, half: Half) -> Result<Certificate, Option<zpl::Flaw>> {
    let flaw = |line, what| Some(zpl::Flaw { line, what });
    let mut metadata = BTreeMap::new();
    let (mut public, mut secret) = (None, None);
    // CZMQ takes the first of each name, and so does this.
    for property in zpl::properties(text) {
        let property = property.map_err(Some)?;
        if !property.is_direct {
            continue;
        }
        match (property.section, property.name) {
            (Some("metadata"), name) => {
                metadata
                    .entry(name.to_owned())
                    .or_insert_with(|| property.value.to_owned());
            }
            (Some("curve"), "public-key") => public = public.or(Some(property)),
            (Some("curve"), "secret-key") => secret = secret.or(Some(property)),
            _ => {}
        }
    }
    let public = public.ok_or(None)?;
    let key: PublicKey = public.value.parse().map_err(|_| {
        flaw(public.line, "the public key is not 40 characters of Z85 in double quotes: get the file again from its owner")
    })?;
    if *key.as_bytes() == [0; PublicKey::OCTETS] {
        let what = "the public key is all zeros, as a CZMQ without CURVE writes it: make the certificate anew";
        return Err(flaw(public.line, what));
    }
    let mut certificate = Certificate::from_public(key);
    certificate.metadata = metadata;
    if let Some(secret) = secret.filter(|_| half == Half::Secret) {
        let key: SecretKey = secret.value.parse().map_err(|_| {
            flaw(secret.line, "the secret key is not 40 characters of Z85 in double quotes: restore the file or make a new one")
        })?;
        // All zeros is what CZMQ writes for a key that it does not know.
        if key != SecretKey::from_bytes([0; PublicKey::OCTETS]) {
            let pair = KeyPair::from_parts(certificate.public, key).map_err(|wrong| match wrong {
                InvalidKey::Mismatch => flaw(
                    secret.line,
                    "the secret key does not belong to the public key of this file: restore it or make a new one",
                ),
                _ => flaw(secret.line, "the secret key is none: restore the file or make a new one"),
            })?;
            certificate.pair = Some(Arc::new(pair));
        }
    }
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";
    const PUBLIC_OF_SECRET: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
    const ZEROS: &str = "0000000000000000000000000000000000000000";

    fn wrong(text: &str) -> (usize, &'static str) {
        let flaw = parse(text, Half::Secret).unwrap_err().unwrap();
        (flaw.line, flaw.what)
    }

    #[test]
    fn what_is_written_for_others_is_read_again_and_has_no_secret() {
        let pair = KeyPair::from_secret(SECRET.parse().unwrap());
        let mut certificate = Certificate::new(pair);
        certificate.set_metadata("name", "it's \"Jo\"").unwrap();
        let text = certificate.text(None);
        assert_eq!(
            text.as_str(),
            "# A CURVE certificate: the public key, for those who are to know it.\n\nmetadata\n    name = it's \"Jo\"\n\
             curve\n    public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\"\n"
        );
        let read = parse(&text, Half::Secret).unwrap();
        assert_eq!(read.pair, None);
        assert_eq!(
            (read.public, &read.metadata),
            (certificate.public, &certificate.metadata)
        );

        let text = certificate.secret_text().unwrap();
        assert!(
            text.ends_with(&format!("    secret-key = \"{SECRET}\"\n")),
            "{text:?}"
        );
        assert_eq!(parse(&text, Half::Secret).unwrap(), certificate);
        assert_eq!(parse(&text, Half::Public).unwrap().pair, None);
        assert!(is_certificate(&text));
        assert!(
            !is_certificate(&format!("{PUBLIC}\n"))
                && !is_certificate("")
                && !is_certificate("a = \"b")
        );
    }

    #[test]
    fn no_debug_output_has_the_secret_in_it() {
        let certificate = Certificate::new(KeyPair::from_secret(SECRET.parse().unwrap()));
        let shown = format!("{certificate:?}");
        assert!(
            shown.contains(PUBLIC_OF_SECRET) && !shown.contains(SECRET),
            "{shown}"
        );
        assert!(shown.contains("SecretKey(..)"), "{shown}");
    }

    #[test]
    fn a_key_that_czmq_does_not_know_is_no_key() {
        let text = format!("curve\n    public-key = \"{PUBLIC}\"\n    secret-key = \"{ZEROS}\"\n");
        assert_eq!(parse(&text, Half::Secret).unwrap().pair, None);
        let text = format!("curve\n    public-key = \"{ZEROS}\"\n");
        assert!(wrong(&text).1.contains("all zeros"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_without_the_secret() {
        let text = format!("curve\n    public-key = \"{PUBLIC}\"\n    secret-key = \"{SECRET}\"\n");
        assert!(matches!(wrong(&text), (3, what) if what.contains("does not belong")));
        // Bare, it ends at its first #.
        let text = "\ncurve\n    public-key = xL%b/!=Qo^C#)a(1R6>hzL{B?@f#F]6v@@$eZ3p&\n";
        assert!(matches!(wrong(text), (3, what) if what.contains("double quotes")));
        let text = format!(
            "curve\n    public-key = \"{PUBLIC_OF_SECRET}\"\n    secret-key = \"{}\"",
            &SECRET[1..]
        );
        assert!(matches!(wrong(&text), (3, what) if what.contains("secret key is not 40")));
        assert!(
            matches!(wrong("curve\n    public-key = \"x\n"), (2, what) if what.contains("not closed"))
        );
        for none in [
            "",
            "# nothing\n",
            "metadata\n    public-key = \"x\"\n",
            "curve\n",
            "curve\n    a\n        public-key = x\n",
        ] {
            assert_eq!(parse(none, Half::Secret), Err(None), "{none:?}");
        }
    }

    #[test]
    fn the_first_of_a_name_counts_and_what_hangs_below_it_does_not() {
        let text = format!(
            "metadata\n    name = a\n        name = b\n    name = c\n    more = \"50 %\"\ncurve\n    public-key = \"{PUBLIC}\"\n    \
             public-key = \"{ZEROS}\"\nother\n    public-key = none\n"
        );
        let certificate = parse(&text, Half::Secret).unwrap();
        assert_eq!(certificate.public.to_string(), PUBLIC);
        assert_eq!(certificate.metadata["name"], "a");
        assert_eq!(certificate.metadata["more"], "50 %");
        assert_eq!(
            parse(&certificate.text(None), Half::Secret).unwrap(),
            certificate
        );
    }

    #[test]
    fn metadata_is_what_czmq_can_read() {
        let mut certificate = Certificate::from_public(PUBLIC.parse().unwrap());
        for (name, value, error) in [
            ("", "x", InvalidMetadata::Name),
            ("a b", "x", InvalidMetadata::Name),
            ("a/", "x", InvalidMetadata::Name),
            ("a", "x\ny", InvalidMetadata::Value),
            ("a", "'\"#", InvalidMetadata::Value),
            ("a", &"x".repeat(1024), InvalidMetadata::Value),
        ] {
            assert_eq!(
                certificate.set_metadata(name, value),
                Err(error),
                "{name} {value}"
            );
        }
        assert!(certificate.metadata.is_empty());
    }
}
