//! Every body of the fuzz targets over its committed corpus: `fuzz/corpus/TARGET/*`. With `ATONCE_FUZZ_FILE` set, over
//! that file alone.

use alloc::vec;
use alloc::vec::Vec;
use std::fs;
use std::path::{Path, PathBuf};

fn files(target: &str) -> Vec<PathBuf> {
    if let Some(file) = std::env::var_os("ATONCE_FUZZ_FILE") {
        return vec![file.into()];
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&folder).unwrap();
    let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// Runs a body over the files of a corpus. A panic names the file.
fn run(target: &str, body: fn(&[u8])) {
    for file in files(target) {
        let octets = fs::read(&file).unwrap();
        let outcome = std::panic::catch_unwind(|| body(&octets));
        assert!(outcome.is_ok(), "{}", file.display());
    }
}

macro_rules! corpora {
    ($($target:ident),*) => {$(
        #[test]
        fn $target() {
            run(stringify!($target), super::$target);
        }
    )*};
}

corpora!(
    autoconf,
    autoconf_seeker,
    beacon,
    between,
    endpoint,
    gossip,
    gossip_peer,
    log,
    log_logger,
    node,
    once,
    socket_pair,
    socket_peer,
    zap,
    zmtp_grammar,
    zmtp_greeting,
    zmtp_handshake,
    zmtp_pair,
    zmtp_plain,
    zmtp_steps,
    zmtp_traffic,
    zre
);

#[cfg(feature = "curve")]
corpora!(
    key,
    once_bridge,
    once_session,
    relay,
    zmtp_curve,
    zmtp_insider
);
