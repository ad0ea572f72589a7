//! A secret in a file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use atonce::once::{EmptySecret, Secret};
use zeroize::Zeroizing;

use crate::file;

/// The largest file that is taken for a secret, in octets. It bounds what a wrong path costs.
const MAX_OCTETS: u64 = 64 * 1024;

/// Why a secret was not read. No message has anything of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Others than its owner could use it.
    #[error(
        "{} has a secret and others can read it (its mode is {mode:03o}): `chmod 600 {}`, and if somebody may have read it already, \
         make a new one",
        path.display(),
        file::shell_word(path)
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is nothing in it.
    #[error("{} is empty, and {source}", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
        /// What a secret has.
        source: EmptySecret,
    },
}

/// Reads a secret: all octets of the file, but for the end of its last line. `openssl rand -hex 32` makes one that nobody guesses.
///
/// # Errors
///
/// The file cannot be read, is empty or larger than 64 KiB, or its group or others could read, write or run it (the group
/// root may read what is root's).
pub fn load_secret(path: impl AsRef<Path>) -> Result<Secret, SecretError> {
    let path = path.as_ref();
    let wrong = |source| SecretError::Read {
        path: path.into(),
        source,
    };
    let mut file = File::open(path).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    let mode = metadata.mode() & 0o777;
    if metadata.is_dir() {
        return Err(wrong(io::ErrorKind::IsADirectory.into()));
    }
    // What is no file has nobody's permissions: a pipe that a shell made of a program's output.
    if metadata.is_file() && mode & not_for(&metadata) != 0 {
        return Err(SecretError::Exposed {
            path: path.into(),
            mode,
        });
    }
    let octets = octets(&mut file).map_err(wrong)?;
    let line = octets.strip_suffix(b"\n").unwrap_or(&octets);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Secret::new(line).map_err(|source| SecretError::Empty {
        path: path.into(),
        source,
    })
}

/// Permissions that would give it away. What a service manager hands over is root's, and may say that the group reads it where it means
/// this user alone, by an access control list; the group is root's as well.
fn not_for(metadata: &Metadata) -> u32 {
    match (metadata.uid(), metadata.gid()) {
        (0, 0) => file::NOT_THE_OWNER & !0o040,
        _ => file::NOT_THE_OWNER,
    }
}

fn octets(file: &mut File) -> io::Result<Zeroizing<Vec<u8>>> {
    let size = file.metadata()?.len().min(MAX_OCTETS);
    // Room for all of it and for the end to be seen: a vector that grows leaves copies behind.
    let room = usize::try_from(size).unwrap_or_default() + 64;
    let mut octets = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_OCTETS + 1).read_to_end(&mut octets)?;
    if u64::try_from(octets.len()).is_ok_and(|length| length > MAX_OCTETS) {
        let message = format!("it is larger than {MAX_OCTETS} octets");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_line_or_any_octets() {
        let folder = tempfile::tempdir().unwrap();
        for (number, (content, secret)) in [
            (&b"s3cret\n"[..], &b"s3cret"[..]),
            (b"s3cret", b"s3cret"),
            (b"s3cret\r\n", b"s3cret"),
            (b"two\nlines\n\n", b"two\nlines\n"),
            (b"\xff\x00\n", b"\xff\x00"),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.path().join(number.to_string());
            std::fs::write(&path, content).unwrap();
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&path, private).unwrap();
            assert_eq!(load_secret(&path).unwrap(), Secret::new(secret).unwrap());
        }
    }

    #[test]
    fn what_others_can_read_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        file::create(&path, "s3cret", 0o604).unwrap();
        let error = load_secret(&path).unwrap_err().to_string();
        assert!(
            error.contains("604") && error.contains("chmod 600"),
            "{error}"
        );
        assert!(!error.contains("s3cret"));
        assert!(matches!(
            load_secret(folder.path()),
            Err(SecretError::Read { .. })
        ));
        let group = folder.path().join("group");
        file::create(&group, "s3cret", 0o640).unwrap();
        let metadata = std::fs::metadata(&group).unwrap();
        let is_roots = (metadata.uid(), metadata.gid()) == (0, 0);
        assert_eq!(load_secret(&group).is_ok(), is_roots);
        let empty = folder.path().join("empty");
        file::create(&empty, "\n", 0o600).unwrap();
        assert!(matches!(
            load_secret(&empty),
            Err(SecretError::Empty { .. })
        ));
        assert!(matches!(
            load_secret("/dev/zero"),
            Err(SecretError::Read { .. })
        ));
    }
}
