//! What is kept from one start to the next: the key that a secret alone makes.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use atonce_std::{Certificate, CertificateError};

use crate::failure::Failure;

/// A folder that is in use. Others may use it when this is dropped.
#[derive(Debug)]
pub(crate) struct State {
    _lock: File,
}

impl State {
    /// Opens the folder, or makes it, and reads the key in it, or makes one.
    pub(crate) fn open(
        given: Option<&Path>,
        command: &str,
    ) -> Result<(Self, Certificate), Failure> {
        let folder = match given {
            Some(folder) => folder.to_owned(),
            None => default(command).ok_or_else(|| {
                Failure::Usage("there is no home to keep the key in: give --state DIR".into())
            })?,
        };
        let wrong = |error| Failure::failed(format!("--state {}: {error}", folder.display()));
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&folder).map_err(wrong)?;
        let lock = File::create(folder.join("lock")).map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::failed(format!(
                    "another one runs with the key in {}: give this one a --state DIR of its own",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let path = folder.join("own.cert");
        let certificate = match Certificate::load(&path) {
            Err(CertificateError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                let made = Certificate::generate()?;
                made.save_new(&path)?;
                tracing::info!(key = %made.public_key(), path = %path.display(), "a key was made");
                made
            }
            loaded => loaded?,
        };
        if certificate.key_pair().is_none() {
            return Err(Failure::failed(format!(
                "{0} has the public key only; {0}_secret is gone. Remove it, and a new key is made",
                path.display()
            )));
        }
        Ok((Self { _lock: lock }, certificate))
    }
}

/// Where a command keeps what it keeps: what a service manager says, or the folder of the user.
fn default(command: &str) -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folders) = variable("STATE_DIRECTORY") {
        // There may be several, with colons between.
        return std::env::split_paths(&folders).next();
    }
    let home = match variable("XDG_STATE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(variable("HOME")?).join(".local/state"),
    };
    Some(home.join("atonce").join(command))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_of_which_half_is_gone_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep/state");
        drop(State::open(Some(&state), "bridge").unwrap());
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&state).unwrap());
        assert_eq!(mode & 0o777, 0o700);
        fs::remove_file(state.join("own.cert_secret")).unwrap();
        let failure = State::open(Some(&state), "bridge").unwrap_err();
        assert!(format!("{failure:?}").contains("is gone"), "{failure:?}");
    }
}
