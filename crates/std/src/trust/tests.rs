//! Whom each kind of trust lets in, and what it does when its files change.

use std::fs::{self, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;
use std::time::SystemTime;

use atonce::curve::KeyPair;
use tempfile::TempDir;

use super::*;
use crate::Certificate;

/// One of nine certificates.
fn cert(number: u8) -> &'static Certificate {
    // Keys take their time where nothing is optimised.
    static CERTS: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
        let pairs = (0..10).map(|seed| KeyPair::generate([seed; 32]));
        pairs.map(Certificate::new).collect()
    });
    &CERTS[usize::from(number)]
}

fn key(seed: u8) -> PublicKey {
    *cert(seed).public_key()
}

fn id(octet: u8) -> PeerId {
    PeerId::from_bytes([octet; 16])
}

/// A folder with certificates in it, and one who trusts it. Its clock stands still unless it is moved on.
struct Store {
    folder: TempDir,
    trust: Trust,
    now: Instant,
}

impl Store {
    fn new(seeds: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for seed in seeds {
            cert(*seed)
                .save_public(folder.path().join(format!("{seed}")))
                .unwrap();
        }
        let trust = Trust::open(folder.path()).unwrap();
        let now = Instant::now();
        Self { folder, trust, now }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Who of the first nine may come in, after a second.
    fn allowed(&mut self) -> Vec<u8> {
        self.now += LOOK_AGAIN;
        (1..10).filter(|seed| self.asks(*seed)).collect()
    }

    /// Whether one may come in now.
    fn asks(&mut self, seed: u8) -> bool {
        self.trust.allows_at(&key(seed), self.now).unwrap()
    }
}

#[test]
fn anybody_or_those_who_are_named() {
    let mut trust = Trust::any();
    assert!(trust.allows(&key(1)).unwrap() && !trust.met(id(1), &key(1)).unwrap());
    let mut trust = Trust::keys([key(1), key(2)]);
    assert!(trust.allows(&key(1)).unwrap() && trust.allows(&key(2)).unwrap());
    assert!(!trust.allows(&key(3)).unwrap());
    assert!(trust.bindings().is_empty() && trust.bridges().is_empty());
}

#[test]
fn who_is_added_to_a_folder_may_come_in_and_who_is_removed_may_not() {
    let mut store = Store::new(&[1]);
    assert_eq!(store.allowed(), [1]);
    cert(2).save_public(store.path("2")).unwrap();
    assert_eq!(store.allowed(), [1, 2]);
    fs::remove_file(store.path("1")).unwrap();
    assert_eq!(store.allowed(), [2]);
    fs::rename(store.path("2"), store.path("3")).unwrap();
    assert_eq!(store.allowed(), [2]);
    fs::remove_file(store.path("3")).unwrap();
    assert!(store.allowed().is_empty());
}

#[test]
fn a_folder_is_looked_at_once_a_second_and_not_for_everybody_who_asks() {
    let mut store = Store::new(&[1]);
    assert_eq!(store.allowed(), [1]);
    cert(2).save_public(store.path("2")).unwrap();
    assert!(!store.asks(2));
    store.now += LOOK_AGAIN / 2;
    assert!(!store.asks(2));
    store.now += LOOK_AGAIN / 2;
    assert!(store.asks(2));
}

#[test]
fn another_key_of_the_same_size_at_the_same_time_is_seen() {
    // CZMQ's store looks at the sizes and times of a folder only.
    let mut store = Store::new(&[1]);
    let write = |store: &Store, seed| {
        let text = format!("curve\n    public-key = \"{}\"\n", key(seed));
        fs::write(store.path("1"), text).unwrap();
        let file = fs::File::options()
            .append(true)
            .open(store.path("1"))
            .unwrap();
        file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))
            .unwrap();
    };
    for seed in [2, 3, 4, 5, 6] {
        write(&store, seed);
        assert_eq!(store.allowed(), [seed]);
    }
}

#[test]
fn what_did_not_change_is_read_again_only_if_it_was_new() {
    let mut store = Store::new(&[1]);
    let pretend = |store: &mut Store, is_settled| match &mut store.trust.0 {
        Source::Certificates(folder) => folder.pretend(key(9), is_settled),
        _ => panic!(),
    };
    // It may have changed without looking different.
    pretend(&mut store, false);
    assert_eq!(store.allowed(), [1]);
    pretend(&mut store, true);
    assert_eq!(store.allowed(), [9]);
    cert(2).save_public(store.path("1")).unwrap();
    assert_eq!(store.allowed(), [2]);
}

#[test]
fn folders_in_it_count_and_secret_hidden_and_other_files_do_not() {
    let mut store = Store::new(&[1]);
    fs::create_dir_all(store.path("team/night")).unwrap();
    cert(2).save(store.path("team/2")).unwrap();
    cert(3).save_public(store.path("team/night/3")).unwrap();
    cert(4).save_public(store.path(".4")).unwrap();
    cert(5).save_public(store.path("5_secret")).unwrap();
    fs::write(store.path("README"), "who is who\n").unwrap();
    fs::write(store.path("empty"), "").unwrap();
    std::os::unix::fs::symlink(store.path("team"), store.path("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", store.path("dangling")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    cert(6).save_public(elsewhere.path().join("6")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("6"), store.path("6")).unwrap();
    cert(7).save_public(store.path("7")).unwrap();
    fs::set_permissions(store.path("7"), Permissions::from_mode(0o666)).unwrap();
    assert_eq!(store.allowed(), [1, 2, 3, 6]);
    // What went bad is out, and what was mended is in.
    fs::write(store.path("1"), "x").unwrap();
    fs::set_permissions(store.path("7"), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(store.allowed(), [2, 3, 6, 7]);
}

#[test]
fn a_folder_that_is_gone_lets_nobody_in_until_it_is_back() {
    let mut store = Store::new(&[1]);
    let (here, there) = (store.path(""), store.folder.path().with_extension("away"));
    fs::rename(&here, &there).unwrap();
    store.now += LOOK_AGAIN;
    let error = store.trust.allows_at(&key(1), store.now).unwrap_err();
    assert!(matches!(error, TrustError::Missing { .. }), "{error}");
    // Told once; within the second the answer is no.
    assert!(!store.asks(1));
    fs::rename(&there, &here).unwrap();
    assert_eq!(store.allowed(), [1]);
}

#[test]
fn what_everybody_can_change_is_refused_with_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (one, list) = (folder.path().join("1"), folder.path().join("list"));
    cert(1).save_public(&one).unwrap();
    fs::write(&list, "first-use\n").unwrap();
    for path in [folder.path(), &one, &list] {
        let before = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, Permissions::from_mode(before.mode() | 0o002)).unwrap();
        let error = Trust::open(path).unwrap_err();
        let command = format!("`chmod o-w {}`", path.display());
        assert!(error.to_string().contains(&command), "{error}");
        fs::set_permissions(path, before).unwrap();
        Trust::open(path).unwrap();
    }
}

#[test]
fn a_folder_in_it_that_everybody_can_change_is_passed_over() {
    let mut store = Store::new(&[1]);
    let inner = store.path("inner");
    fs::create_dir(&inner).unwrap();
    cert(2).save_public(inner.join("2")).unwrap();
    assert_eq!(store.allowed(), [1, 2]);
    // As /tmp is: nobody can take a file of another away, and everybody can put one in.
    for mode in [0o777, 0o1777, 0o703] {
        fs::set_permissions(&inner, Permissions::from_mode(mode)).unwrap();
        assert_eq!(store.allowed(), [1], "{mode:o}");
    }
    fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(store.allowed(), [1, 2]);
}

#[test]
fn one_certificate_is_one_key_and_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alice");
    // The secret one beside it does not matter, nor who may read it.
    cert(1).save(&path).unwrap();
    fs::set_permissions(
        folder.path().join("alice_secret"),
        Permissions::from_mode(0o644),
    )
    .unwrap();
    let mut trust = Trust::open(&path).unwrap();
    let now = Instant::now();
    assert!(trust.allows_at(&key(1), now).unwrap() && !trust.allows_at(&key(2), now).unwrap());
    cert(2).save_public(&path).unwrap();
    let now = now + LOOK_AGAIN;
    assert!(trust.allows_at(&key(2), now).unwrap() && !trust.allows_at(&key(1), now).unwrap());
    fs::write(&path, "curve\n    public-key = \"x\"\n").unwrap();
    let now = now + LOOK_AGAIN;
    let error = trust.allows_at(&key(2), now).unwrap_err().to_string();
    assert!(error.contains("alice, line 2"), "{error}");
    assert!(!trust.allows_at(&key(2), now).unwrap());
}

#[test]
fn what_is_not_there_is_told_with_what_could_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trusted");
    let error = Trust::open(&path).unwrap_err().to_string();
    assert!(
        error.contains(&format!("`echo first-use > {}`", path.display())),
        "{error}"
    );
    fs::write(&path, "hello\n").unwrap();
    let error = Trust::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("trusted, line 1: a line begins with a key"),
        "{error}"
    );
}

#[test]
fn a_list_without_first_use_lets_in_who_is_listed_and_is_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    let text = format!("{} {}\n{}\n{} bridge\n", key(1), id(1), key(2), key(3));
    fs::write(&path, &text).unwrap();
    let mut trust = Trust::open(&path).unwrap();
    for (seed, expected) in [(1, true), (2, true), (3, true), (4, false)] {
        assert_eq!(trust.allows(&key(seed)).unwrap(), expected);
    }
    assert_eq!(trust.bindings(), BTreeMap::from([(id(1), key(1))]));
    assert_eq!(trust.bridges(), BTreeSet::from([key(3)]));
    assert!(!trust.met(id(1), &key(1)).unwrap() && !trust.met(id(2), &key(2)).unwrap());
    let error = trust.met(id(1), &key(2)).unwrap_err();
    assert!(
        matches!(error, TrustError::Bound { peer, key: bound, .. } if peer == id(1) && bound == key(1))
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_list_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    fs::write(&path, format!("{}\n", key(1))).unwrap();
    let mut trust = Trust::open(&path).unwrap();
    let mut now = Instant::now();
    assert!(trust.allows_at(&key(1), now).unwrap());
    fs::write(&path, format!("{} {}\n", key(2), id(2))).unwrap();
    assert!(!trust.allows_at(&key(2), now).unwrap());
    now += LOOK_AGAIN;
    assert!(trust.allows_at(&key(2), now).unwrap() && !trust.allows_at(&key(1), now).unwrap());
    assert_eq!(trust.bindings(), BTreeMap::from([(id(2), key(2))]));
    // Nobody is let in by what cannot be read.
    fs::write(&path, format!("{}\nx\n", key(2))).unwrap();
    now += LOOK_AGAIN;
    let error = trust.allows_at(&key(2), now).unwrap_err().to_string();
    assert!(error.contains("list, line 2"), "{error}");
    assert!(!trust.allows_at(&key(2), now).unwrap());
    fs::remove_file(&path).unwrap();
    now += LOOK_AGAIN;
    assert!(matches!(
        trust.allows_at(&key(2), now),
        Err(TrustError::Missing { .. })
    ));
    fs::write(&path, format!("{}\n", key(3))).unwrap();
    now += LOOK_AGAIN;
    assert!(trust.allows_at(&key(3), now).unwrap());
}

#[test]
fn the_first_that_comes_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trusted");
    let mut trust = Trust::first_use(&path).unwrap();
    assert!(trust.allows(&key(1)).unwrap());
    assert!(trust.met(id(1), &key(1)).unwrap());
    assert!(!trust.met(id(1), &key(1)).unwrap(), "known");
    assert!(trust.met(id(2), &key(1)).unwrap(), "a key may have several");
    assert!(matches!(
        trust.met(id(1), &key(2)),
        Err(TrustError::Bound { .. })
    ));
    let bindings = BTreeMap::from([(id(1), key(1)), (id(2), key(1))]);
    assert_eq!(trust.bindings(), bindings);
    assert_eq!(Trust::open(&path).unwrap().bindings(), bindings);
    let lines = format!("\nfirst-use\n{} {}\n{} {}\n", key(1), id(1), key(1), id(2));
    assert!(fs::read_to_string(&path).unwrap().ends_with(&lines));
    // What is there is taken as it is.
    fs::write(&path, format!("{}", key(1))).unwrap();
    let mut trust = Trust::first_use(&path).unwrap();
    assert!(trust.allows(&key(1)).unwrap() && !trust.allows(&key(2)).unwrap());
}

#[test]
fn a_line_that_an_editor_left_open_is_ended_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trusted");
    fs::write(&path, format!("first-use\n{} {}", key(1), id(1))).unwrap();
    let mut trust = Trust::open(&path).unwrap();
    assert!(trust.met(id(2), &key(2)).unwrap());
    let bindings = BTreeMap::from([(id(1), key(1)), (id(2), key(2))]);
    assert_eq!(Trust::open(&path).unwrap().bindings(), bindings);
}

#[test]
fn nodes_that_share_a_file_know_what_the_others_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trusted");
    let (mut one, mut two) = (
        Trust::first_use(&path).unwrap(),
        Trust::first_use(&path).unwrap(),
    );
    assert!(one.met(id(1), &key(1)).unwrap());
    assert!(matches!(
        two.met(id(1), &key(2)),
        Err(TrustError::Bound { .. })
    ));
    assert!(two.met(id(2), &key(2)).unwrap());
    assert!(!one.met(id(2), &key(2)).unwrap());
    // Whoever edits the file to take something out is obeyed as well.
    fs::write(&path, "first-use\n").unwrap();
    assert!(two.met(id(3), &key(3)).unwrap());
    assert_eq!(two.bindings(), BTreeMap::from([(id(3), key(3))]));

    let path = folder.path().join("crowd");
    let write = |node: u8| {
        let mut trust = Trust::first_use(&path).unwrap();
        (0..20)
            .filter(|peer| trust.met(id(*peer), &key(node)).is_ok())
            .count()
    };
    let written: usize = std::thread::scope(|scope| {
        let threads = [1, 2, 3, 4].map(|node| scope.spawn(move || write(node)));
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    // Each UUID went to one of them.
    assert_eq!(written, 20);
    assert_eq!(Trust::open(&path).unwrap().bindings().len(), 20);
}

#[test]
fn who_keeps_the_file_locked_does_not_stop_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trusted");
    let mut trust = Trust::first_use(&path).unwrap();
    // To read it is enough to lock it.
    let other = fs::File::open(&path).unwrap();
    other.lock().unwrap();
    let start = Instant::now();
    for peer in 0..20 {
        let error = trust.met(id(peer), &key(1)).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("another program has it locked"), "{told}");
    }
    // It waited for the first, and not for each.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(trust.bindings().is_empty() && trust.allows(&key(1)).unwrap());
    other.unlock().unwrap();
    assert!(trust.met(id(1), &key(1)).unwrap());
    // Who lets go of it in time is waited for.
    other.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            other.unlock().unwrap();
        });
        assert!(trust.met(id(2), &key(1)).unwrap());
    });
    assert_eq!(Trust::open(&path).unwrap().bindings().len(), 2);
}

#[test]
fn what_a_bridge_says_of_others_is_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trusted");
    let text = format!("first-use\n{} {} bridge\n", key(1), id(1));
    fs::write(&path, &text).unwrap();
    let mut trust = Trust::open(&path).unwrap();
    assert!(!trust.met(id(2), &key(1)).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(trust.met(id(2), &key(2)).unwrap(), "its own key");
    assert!(matches!(
        trust.met(id(2), &key(1)),
        Err(TrustError::Bound { .. })
    ));
}

#[test]
fn a_trust_file_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trusted");
    let mut text = "first-use\n".to_owned();
    let one = key(1);
    for number in 0..Trust::MAX_BINDINGS {
        text.push_str(&format!("{one} {number:032x}\n"));
    }
    fs::write(&path, &text).unwrap();
    let mut trust = Trust::open(&path).unwrap();
    assert!(trust.allows(&key(1)).unwrap() && !trust.allows(&key(2)).unwrap());
    let error = trust.met(id(255), &key(1)).unwrap_err();
    assert!(
        matches!(error, TrustError::Full { limit: 10_000, .. }),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}
