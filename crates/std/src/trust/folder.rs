//! A folder of certificates, or one certificate, looked at again when it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use atonce::curve::PublicKey;

use crate::file::{OTHERS_WRITE, Stamp};
use crate::trust::{Looked, Trust, TrustError, cannot_read};
use crate::{CertificateError, cert};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    files: BTreeMap<PathBuf, Known>,
    keys: BTreeSet<PublicKey>,
    looked: Looked,
}

/// What is known of a file.
#[derive(Clone, Debug)]
struct Known {
    stamp: Stamp,
    /// Whether it would look different if it had changed since.
    is_settled: bool,
    /// `None` when it is no certificate.
    key: Option<PublicKey>,
}

impl Folder {
    /// Reads all of it.
    pub(super) fn open(path: &Path) -> Result<Self, TrustError> {
        let mut folder = Self {
            path: path.into(),
            files: BTreeMap::new(),
            keys: BTreeSet::new(),
            looked: Looked(Some(Instant::now())),
        };
        folder.look()?;
        Ok(folder)
    }

    pub(super) fn allows(&mut self, key: &PublicKey, now: Instant) -> Result<bool, TrustError> {
        if self.looked.is_due(now) {
            self.look().inspect_err(|_| self.keys.clear())?;
        }
        Ok(self.keys.contains(key))
    }

    /// As if each file had had this key in it when it was read, long ago or just now.
    #[cfg(test)]
    pub(super) fn pretend(&mut self, key: PublicKey, is_settled: bool) {
        for known in self.files.values_mut() {
            known.is_settled = is_settled;
            known.key = Some(key);
        }
    }

    /// Reads what is new or has changed.
    fn look(&mut self) -> Result<(), TrustError> {
        let now = SystemTime::now();
        let metadata = fs::metadata(&self.path).map_err(|error| cannot_read(&self.path, error))?;
        check_writers(&self.path, &metadata)?;
        let is_folder = metadata.is_dir();
        let found = if is_folder {
            certificates(&self.path)?
        } else {
            vec![(self.path.clone(), metadata)]
        };
        let mut before = std::mem::take(&mut self.files);
        for (path, metadata) in found {
            let stamp = Stamp::of(&metadata);
            let known = before.remove(&path);
            let known = match known.filter(|known| known.is_settled && known.stamp == stamp) {
                Some(known) => known,
                None => {
                    let (key, stamp) = match key_of(&path, &metadata) {
                        // There may be another file by now than the one that was found.
                        Ok((key, read)) => (Some(key), Stamp::of(&read)),
                        Err(error) if is_folder => {
                            passed_over(&error);
                            (None, stamp)
                        }
                        Err(error) => return Err(error),
                    };
                    Known {
                        stamp,
                        is_settled: stamp.is_settled(now),
                        key,
                    }
                }
            };
            self.files.insert(path, known);
        }
        self.keys = self.files.values().filter_map(|known| known.key).collect();
        Ok(())
    }
}

/// The key in a file that was found, and what the system says about the one that it was read from.
fn key_of(path: &Path, found: &Metadata) -> Result<(PublicKey, Metadata), TrustError> {
    check_writers(path, found)?;
    let (key, read) = cert::public_key(path)?;
    check_writers(path, &read)?;
    Ok((key, read))
}

/// Whoever can write there decides whom we trust.
fn check_writers(path: &Path, metadata: &Metadata) -> Result<(), TrustError> {
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Err(TrustError::Writable { path: path.into() });
    }
    Ok(())
}

/// Says that a file was not taken. One that went away between the look at its folder and the look at it is not worth a word.
fn passed_over(error: &TrustError) {
    match error {
        TrustError::Certificate(CertificateError::Read { source, .. })
            if source.kind() == io::ErrorKind::NotFound => {}
        _ => tracing::warn!("passed over: {error}"),
    }
}

/// The files of a folder, and of the folders in it, that may be public certificates. Links to files are followed, links to
/// folders are not.
fn certificates(root: &Path) -> Result<Vec<(PathBuf, Metadata)>, TrustError> {
    let mut files = Vec::new();
    let mut seen = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if folder == root => return Err(cannot_read(root, error)),
            Err(error) => {
                tracing::warn!("passed over: cannot read {}: {error}", folder.display());
                continue;
            }
        };
        for entry in entries {
            let entry = entry.map_err(|error| cannot_read(&folder, error))?;
            seen += 1;
            if seen > Trust::MAX_CERTIFICATES {
                return Err(TrustError::Crowded {
                    path: root.into(),
                    limit: Trust::MAX_CERTIFICATES,
                });
            }
            if !may_be_public(&entry.file_name()) {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                // Who may put a file into it decides whom we trust, as with the folder that it is in.
                let checked = entry
                    .metadata()
                    .map_err(|error| cannot_read(&entry.path(), error))
                    .and_then(|metadata| check_writers(&entry.path(), &metadata));
                match checked {
                    Ok(()) => folders.push(entry.path()),
                    Err(error) => passed_over(&error),
                }
            } else if let Ok(metadata) = fs::metadata(entry.path())
                && metadata.is_file()
            {
                files.push((entry.path(), metadata));
            }
        }
    }
    Ok(files)
}

/// Hidden files, such as one that is being written, and secret ones are not looked at.
fn may_be_public(name: &OsStr) -> bool {
    let name = name.as_bytes();
    !name.starts_with(b".") && !name.ends_with(b"_secret")
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Certificate;

    #[test]
    fn it_is_the_file_that_was_read_whose_writers_count() {
        // Another has taken the place of the one that was found.
        let folder = tempfile::tempdir().unwrap();
        let (found, there) = (folder.path().join("found"), folder.path().join("there"));
        let certificate = Certificate::generate().unwrap();
        for path in [&found, &there] {
            certificate.save_public(path).unwrap();
        }
        let found = fs::metadata(&found).unwrap();
        let (key, read) = key_of(&there, &found).unwrap();
        assert_eq!(key, *certificate.public_key());
        assert_eq!(read.ino(), fs::metadata(&there).unwrap().ino());
        fs::set_permissions(&there, Permissions::from_mode(0o666)).unwrap();
        let error = key_of(&there, &found).unwrap_err();
        assert!(matches!(error, TrustError::Writable { .. }), "{error}");
    }
}
