//! Files of keys: read up to a limit, written whole or not at all, and readable by nobody who must not.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

/// The permissions of a file that only its owner may read.
pub(crate) const PRIVATE: u32 = 0o600;
/// The permissions of a file that is for everybody, before the umask takes some.
pub(crate) const PUBLIC: u32 = 0o666;
/// Permissions of the group and of others.
pub(crate) const NOT_THE_OWNER: u32 = 0o077;
/// Permission of others to write.
pub(crate) const OTHERS_WRITE: u32 = 0o002;

/// A file that changed less long ago than this may change again without looking different: file systems count time in
/// steps, the coarsest in steps of two seconds.
const UNSETTLED: Duration = Duration::from_secs(3);

/// The content of a file, as text (what is no UTF-8 is replaced), and what the system says about the very file that was read.
/// The memory is overwritten when it is given back, since there may be a secret in it.
///
/// # Errors
///
/// What the system says, or [`InvalidData`](io::ErrorKind::InvalidData) when the file is larger than `limit` octets.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<(Zeroizing<String>, Metadata)> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok((read_open(&mut file, limit)?, metadata))
}

/// The content of an open file, as [`read`] gives it.
pub(crate) fn read_open(file: &mut File, limit: u64) -> io::Result<Zeroizing<String>> {
    let size = file.metadata()?.len().min(limit);
    // Room for all of it and for the end to be seen: a vector that grows leaves copies behind.
    let room = usize::try_from(size).unwrap_or_default() + 64;
    let mut octets = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit + 1).read_to_end(&mut octets)?;
    if u64::try_from(octets.len()).is_ok_and(|length| length > limit) {
        let message = format!("it is larger than {limit} octets");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    match String::from_utf8(std::mem::take(&mut octets)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            let octets = Zeroizing::new(error.into_bytes());
            // As above: what stands for an octet that is none has three.
            let mut text = Zeroizing::new(String::with_capacity(3 * octets.len()));
            for chunk in octets.utf8_chunks() {
                text.push_str(chunk.valid());
                if !chunk.invalid().is_empty() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
            }
            Ok(text)
        }
    }
}

/// Writes a file that is not there yet. It has its permissions before anything is in it.
///
/// # Errors
///
/// What the system says: [`AlreadyExists`](io::ErrorKind::AlreadyExists) when something is there. Nothing is left then.
pub(crate) fn create(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(content.as_bytes());
    written.and_then(|()| file.sync_all()).inspect_err(|_| {
        // It is told why nothing was written; what cannot be removed either is seen by whoever looks.
        let _ = fs::remove_file(path);
    })
}

/// Writes a file, in the place of one that may be there: whoever reads it finds all of the old one or all of the new one.
pub(crate) fn replace(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let new = beside(path, content, mode)?;
    fs::rename(&new, path).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

/// Makes a file where none is: whoever finds it finds all of it.
pub(crate) fn publish(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let new = beside(path, content, mode)?;
    let published = fs::hard_link(&new, path);
    fs::remove_file(&new)?;
    published
}

/// A file beside another, under a name that nobody looks for.
fn beside(path: &Path, content: &str, mode: u32) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(format!(".{:016x}", u64::from_ne_bytes(random)));
    let new = path.with_file_name(name);
    create(&new, content, mode)?;
    Ok(new)
}

/// `path` with `_secret` behind its name: where CZMQ keeps the secret half of a certificate.
pub(crate) fn secret(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push("_secret");
    path.with_file_name(name)
}

/// A path as a word for a shell, so that a command that is told can be copied.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
    let dot = if text.starts_with('-') { "./" } else { "" };
    if !text.is_empty() && text.chars().all(plain) {
        format!("{dot}{text}")
    } else {
        format!("'{dot}{}'", text.replace('\'', r"'\''"))
    }
}

/// What tells whether a file is still the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds: when its content changed, when anything of it did.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of the file that this was said about.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file would look different if it had changed since `now`, when it had this stamp.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let Ok(changed) = u64::try_from(self.changed.0.max(self.modified.0)) else {
            return true; // before 1970
        };
        let changed = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(changed));
        changed.is_some_and(|changed| now.duration_since(changed).is_ok_and(|age| age > UNSETTLED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_as_a_shell_reads_it() {
        for (path, word) in [
            ("keys/alice.cert_secret", "keys/alice.cert_secret"),
            ("-rf", "./-rf"),
            ("my keys/a", "'my keys/a'"),
            ("it's", r"'it'\''s'"),
            ("- x", "'./- x'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }

    #[test]
    fn what_is_larger_than_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        create(&path, "12345", PUBLIC).unwrap();
        assert_eq!(read(&path, 5).unwrap().0.as_str(), "12345");
        let error = read(&path, 4).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 4 octets");
        assert_eq!(
            read(folder.path(), 5).unwrap_err().kind(),
            io::ErrorKind::IsADirectory
        );
        // Endless ones end, too.
        assert!(read(Path::new("/dev/zero"), 1_000).is_err());
    }

    #[test]
    fn what_is_no_utf8_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"M\xfcller").unwrap();
        assert_eq!(read(&path, 100).unwrap().0.as_str(), "M\u{fffd}ller");
    }

    #[test]
    fn a_file_is_written_whole_with_its_permissions_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        create(&path, "one", PRIVATE).unwrap();
        assert_eq!(mode(&path), 0o600);
        let error = create(&path, "two", PRIVATE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");

        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        replace(&path, "two", PRIVATE).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");

        // Where a folder is no file can be; nothing else is left behind.
        let taken = folder.path().join("folder");
        fs::create_dir(&taken).unwrap();
        replace(&taken, "three", PUBLIC).unwrap_err();
        replace(&folder.path().join("nowhere/file"), "three", PUBLIC).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_just_changed_is_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        create(&path, "one", PUBLIC).unwrap();
        let stamp = Stamp::of(&fs::metadata(&path).unwrap());
        let now = SystemTime::now();
        assert!(!stamp.is_settled(now));
        // A clock that was set back settles nothing.
        assert!(!stamp.is_settled(now - Duration::from_secs(1_000)));
        assert!(stamp.is_settled(now + Duration::from_secs(10)));
    }
}
