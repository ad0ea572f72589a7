//! What is said of the pains of others in `docs/pains.md`: that each proof is there, and what no single test can show.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The proofs that a row names.
fn proofs(row: &str) -> Vec<&str> {
    let last = row.trim_end_matches(['|', ' ']).rsplit('|').next();
    last.unwrap_or_default()
        .split('`')
        .skip(1)
        .step_by(2)
        .collect()
}

/// What is wrong with a proof.
fn flaw(proof: &str) -> Option<String> {
    let (path, test) = match proof.split_once("::") {
        Some((path, test)) => (path, Some(test)),
        None => (proof, None),
    };
    let file = root().join(path);
    let Ok(metadata) = fs::metadata(&file) else {
        return Some(format!("{path} is not there"));
    };
    let test = test?;
    if metadata.is_dir() {
        return Some(format!("{path} is a folder, and has no test {test}"));
    }
    let text = fs::read_to_string(&file).unwrap();
    let is_it = |line: &str| {
        let name = line.trim_start().trim_start_matches("async ");
        name.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(test))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let mut lines = text.lines().enumerate();
    let Some((at, _)) = lines.find(|(_, line)| is_it(line)) else {
        return Some(format!("{path} has no test {test}"));
    };
    // An attribute, or one of several: what stands right above the function.
    let above = text.lines().take(at).collect::<Vec<_>>();
    let marked = above
        .iter()
        .rev()
        .take_while(|line| !line.trim().is_empty() && !line.contains('}'))
        .any(|line| line.contains("#[test]") || line.contains("#[tokio::test"));
    (!marked).then(|| format!("{test} of {path} is no test"))
}

#[test]
fn each_pain_has_its_proof_and_each_proof_is_there() {
    let table = fs::read_to_string(root().join("docs/pains.md")).unwrap();
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    let mut before = 0;
    let mut flaws = Vec::new();
    for row in rows.iter().skip(1) {
        let number = row.split('|').nth(1).unwrap_or_default().trim();
        let number: u32 = number.parse().unwrap_or_else(|_| panic!("{row}"));
        assert!(number > before, "{number} after {before}");
        before = number;
        let proofs = proofs(row);
        if proofs.is_empty() {
            flaws.push(format!("{number} has no proof"));
        }
        flaws.extend(proofs.into_iter().filter_map(flaw));
    }
    assert!(rows.len() > 20, "only {} rows", rows.len());
    assert!(flaws.is_empty(), "{flaws:#?}");
}

#[test]
fn a_proof_that_is_not_there_is_found() {
    assert!(flaw("tests/pains.rs::a_proof_that_is_not_there_is_found").is_none());
    assert!(flaw("docs/pains.md").is_none());
    assert_eq!(proofs("| 1 | a | `no` b | `x::y`, `z` |"), ["x::y", "z"]);
    for wrong in [
        "tests/pain.rs",
        "tests/pains.rs::a_proof",
        "tests/pains.rs::proofs",
        "tests::flaw",
    ] {
        assert!(flaw(wrong).is_some(), "{wrong}");
    }
}

/// The sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// What a library must not have: it would be the whole process's.
fn is_of_the_process(line: &str) -> bool {
    let code = line.trim_start();
    let code = code.strip_prefix("pub ").unwrap_or(code);
    let signals = ["sigaction", "signal_hook", "ctrlc::", "signal::ctrl_c"];
    let changes = ["mut ", "Atomic", "Mutex", "RwLock", "OnceLock", "LazyLock"];
    let has = |any: &[&str]| any.iter().any(|it| code.contains(it));
    let setting = code.starts_with("static ") && has(&changes);
    !code.starts_with("//") && (setting || has(&signals))
}

#[test]
fn no_library_has_settings_of_the_process_or_handles_signals() {
    assert!(is_of_the_process(
        "    pub static COUNT: AtomicUsize = AtomicUsize::new(0);"
    ));
    assert!(is_of_the_process(
        "signal_hook::flag::register(SIGINT, flag)?;"
    ));
    assert!(!is_of_the_process("fn a(name: &'static str) {}"));
    assert!(!is_of_the_process(
        "static NAMES: [&str; 2] = [\"a\", \"b\"];"
    ));
    let mut files = Vec::new();
    for folder in ["src", "crates/std/src", "crates/tokio/src"] {
        sources(&root().join(folder), &mut files);
    }
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        for line in fs::read_to_string(file).unwrap().lines() {
            if line.contains("#[cfg(test)]") && !line.contains("//") {
                break;
            }
            if is_of_the_process(line) {
                found.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
