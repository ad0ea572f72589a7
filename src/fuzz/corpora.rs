//! Every body of the fuzz targets over its committed corpus: `fuzz/corpus/TARGET/*`.

use std::fs;
use std::path::Path;

/// Runs a body over the files of a corpus. A panic names the file.
fn run(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        let octets = fs::read(&file).unwrap();
        let outcome = std::panic::catch_unwind(|| body(&octets));
        assert!(outcome.is_ok(), "{}", file.display());
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
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
    beacon,
    between,
    endpoint,
    node,
    zmtp_grammar,
    zmtp_greeting,
    zmtp_handshake,
    zmtp_pair,
    zmtp_steps,
    zmtp_traffic,
    zre
);
