//! What holds for the house as a whole: manifests that inherit, a core without std, imports that run downward, and files of one
//! concept each.
//!
//! Each check is also tried on what it must refuse.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

// ---- manifests

/// The lines of each section of a manifest, without comments.
fn sections(manifest: &str) -> BTreeMap<String, Vec<String>> {
    let mut sections = BTreeMap::<_, Vec<_>>::new();
    let mut name = String::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') && line.ends_with(']') {
            name = line.trim_matches(['[', ']']).to_owned();
        } else if !line.is_empty() && !line.starts_with('#') {
            sections
                .entry(name.clone())
                .or_default()
                .push(line.to_owned());
        }
    }
    sections
}

/// What a member's manifest should have and has not.
fn lacks(manifest: &str) -> Vec<&'static str> {
    const INHERITED: [&str; 4] = [
        "version.workspace = true",
        "edition.workspace = true",
        "rust-version.workspace = true",
        "license.workspace = true",
    ];
    let sections = sections(manifest);
    let has = |section: &str, line: &str| {
        sections
            .get(section)
            .is_some_and(|lines| lines.iter().any(|found| found == line))
    };
    let mut lacking: Vec<_> = INHERITED
        .into_iter()
        .filter(|line| !has("package", line))
        .collect();
    if !has("lints", "workspace = true") {
        lacking.push("[lints] workspace = true");
    }
    lacking
}

fn members() -> Vec<String> {
    let sections = sections(&read("Cargo.toml"));
    let line = sections["workspace"]
        .iter()
        .find(|line| line.starts_with("members"))
        .unwrap();
    line.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_member_inherits_lints_edition_and_licence() {
    let mut members = members();
    let mut folders: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| format!("crates/{}", entry.unwrap().file_name().display()))
        .collect();
    folders.insert("benches".into());
    assert_eq!(folders, members.iter().cloned().collect(), "members");
    members.push(".".into());
    for member in members {
        let lacking = lacks(&read(&format!("{member}/Cargo.toml")));
        assert!(lacking.is_empty(), "{member}/Cargo.toml lacks {lacking:?}");
    }
}

#[test]
fn a_member_that_goes_its_own_way_is_found() {
    let manifest = "[package]\nversion.workspace = true\nedition = \"2021\"\nlicense.workspace = true\n\
                    [lints.rust]\nworkspace = true\n";
    assert_eq!(
        lacks(manifest),
        [
            "edition.workspace = true",
            "rust-version.workspace = true",
            "[lints] workspace = true"
        ]
    );
}

#[test]
fn the_fuzz_targets_have_the_lints_of_the_house() {
    let (house, fuzz) = (
        sections(&read("Cargo.toml")),
        sections(&read("fuzz/Cargo.toml")),
    );
    let lints = |manifest: &BTreeMap<String, Vec<String>>| {
        let lints = manifest
            .iter()
            .filter(|(section, _)| section.starts_with("workspace.lints"));
        lints
            .map(|(section, lines)| (section.clone(), lines.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(lints(&house), lints(&fuzz));
    assert!(fuzz["lints"].contains(&"workspace = true".to_owned()));
    for inherited in ["edition", "rust-version", "license"] {
        let line = house["workspace.package"]
            .iter()
            .find(|line| line.starts_with(inherited))
            .unwrap();
        assert!(fuzz["package"].contains(line), "fuzz/Cargo.toml: {line}");
    }
}

#[test]
fn every_fuzz_target_has_seeds() {
    let targets: BTreeSet<String> = names("fuzz/targets")
        .into_iter()
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    assert_eq!(targets, names("fuzz/corpus"));
    let manifest = read("fuzz/Cargo.toml");
    for target in targets {
        let bin = format!("name = \"{target}\"\npath = \"targets/{target}.rs\"\n");
        assert!(manifest.contains(&bin), "fuzz/Cargo.toml lacks {target}");
        assert!(!names(&format!("fuzz/corpus/{target}")).is_empty());
    }
}

fn names(folder: &str) -> BTreeSet<String> {
    fs::read_dir(root().join(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The files of a folder and of all that are in it, by their paths in it.
fn files(folder: &str) -> BTreeMap<PathBuf, String> {
    let top = root().join(folder);
    let mut found = BTreeMap::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&top).unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

// ---- sizes of files

/// A file with more lines than that has more than one concept in it.
const MOST_LINES: usize = 800;

/// The sources of the libraries and the command, by their paths from the root.
fn sources_of_all() -> BTreeMap<PathBuf, String> {
    let members = members();
    let crates = members
        .iter()
        .filter(|member| member.starts_with("crates/"));
    let folders = crates.map(|member| format!("{member}/src"));
    let folders = folders.chain(["src".to_owned()]);
    folders
        .flat_map(|folder| {
            let sources = files(&folder).into_iter();
            sources.map(move |(name, source)| (Path::new(&folder).join(name), source))
        })
        .collect()
}

/// Files of Rust that are too long, with what to do about it.
fn too_long(sources: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let rust = sources
        .iter()
        .filter(|(file, _)| file.extension().is_some_and(|extension| extension == "rs"));
    let long = rust
        .map(|(file, source)| (file, source.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES);
    long.map(|(file, lines)| {
        format!(
            "{}: {lines} lines, more than {MOST_LINES}: part it along its concepts, each in a file that is named after it",
            file.display()
        )
    })
    .collect()
}

#[test]
fn no_source_file_is_too_long() {
    let sources = sources_of_all();
    for file in [
        "src/zre/node.rs",
        "crates/std/src/driver/mod.rs",
        "crates/tokio/src/lib.rs",
        "crates/sim/src/sim.rs",
        "crates/cli/src/main.rs",
    ] {
        assert!(sources.contains_key(Path::new(file)), "{file}");
    }
    assert_eq!(too_long(&sources), [""; 0]);
}

#[test]
fn a_file_that_is_too_long_is_found_with_its_lines() {
    let sources = [
        ("src/a.rs", "\n".repeat(MOST_LINES)),
        ("src/b.rs", "\n".repeat(MOST_LINES + 1)),
        ("src/b.tsv", "\n".repeat(MOST_LINES + 1)),
    ];
    let sources = sources.map(|(file, source)| (file.into(), source)).into();
    assert_eq!(
        too_long(&sources),
        [
            "src/b.rs: 801 lines, more than 800: part it along its concepts, each in a file that is named after it"
        ]
    );
}

// ---- sources of the core

const ONLY_FOR_TESTS: [&str; 2] = ["#[cfg(test)]", "#[cfg(any(test, feature = \"fuzz\"))]"];

/// The source files of the core: where they are, relative to `src`, and what is in them.
struct Sources(BTreeMap<PathBuf, String>);

/// A line of code that will be in the library.
struct Line<'a> {
    file: &'a Path,
    number: usize,
    code: &'a str,
}

impl Sources {
    fn of_the_core() -> Self {
        Self(files("src"))
    }

    /// Files and folders that are modules only for tests and fuzzing.
    fn only_for_tests(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        for (file, source) in &self.0 {
            let stem = file.file_stem().unwrap().to_str().unwrap();
            let folder = match stem {
                "lib" | "mod" => file.parent().unwrap().to_owned(),
                stem => file.with_file_name(stem),
            };
            let mut attributes: Vec<&str> = Vec::new();
            for line in source.lines().map(str::trim) {
                let module = line
                    .trim_start_matches("pub(crate) ")
                    .trim_start_matches("pub ")
                    .strip_prefix("mod ")
                    .and_then(|rest| rest.strip_suffix(';'));
                if let Some(module) = module
                    && attributes.iter().any(|line| ONLY_FOR_TESTS.contains(line))
                {
                    let path = attributes
                        .iter()
                        .find_map(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]"));
                    match path {
                        Some(path) => files.insert(file.with_file_name(path)),
                        None => files.insert(folder.join(format!("{module}.rs"))),
                    };
                    files.insert(folder.join(module));
                }
                if line.starts_with("#[") {
                    attributes.push(line);
                } else {
                    attributes.clear();
                }
            }
        }
        files
    }

    /// The code of the library, without comments and without what is only for tests.
    fn code(&self) -> Vec<Line<'_>> {
        let skipped = self.only_for_tests();
        let mut code = Vec::new();
        for (file, source) in &self.0 {
            if file.ancestors().any(|part| skipped.contains(part)) {
                continue;
            }
            // The item after an attribute, up to the line that closes it.
            let mut ends_with: Option<String> = None;
            let mut lines = source.lines().enumerate().peekable();
            while let Some((number, line)) = lines.next() {
                if let Some(end) = &ends_with {
                    if line == end {
                        ends_with = None;
                    }
                    continue;
                }
                let indent = &line[..line.len() - line.trim_start().len()];
                if ONLY_FOR_TESTS.contains(&line.trim()) {
                    while lines
                        .next_if(|(_, next)| next.trim().starts_with("#["))
                        .is_some()
                    {}
                    let (_, item) = lines.next().unwrap();
                    if !item.ends_with(';') {
                        ends_with = Some(format!("{indent}}}"));
                    }
                    continue;
                }
                let line = line.split("//").next().unwrap();
                if !line.trim().is_empty() {
                    code.push(Line {
                        file,
                        number: number + 1,
                        code: line,
                    });
                }
            }
        }
        code
    }

    fn uses_of_std(&self) -> Vec<String> {
        let code = self.code();
        let uses = code.iter().filter(|line| {
            let code = line.code.trim();
            code.contains("std::") || code == "extern crate std;"
        });
        uses.map(Line::show).collect()
    }

    /// Imports that run upward, by the names of the modules at the root of the crate.
    fn upward_imports(&self) -> Vec<String> {
        let homes = self.homes();
        let mut found = Vec::new();
        for line in self.code() {
            let module = line.module();
            let Some(allowed) = below(&module) else {
                found.push(format!(
                    "{}: {module} has no place in tests/workspace.rs",
                    line.show()
                ));
                continue;
            };
            for name in crate_paths(&line, &self.0) {
                let Some(home) = homes.get(name.as_str()) else {
                    found.push(format!("{}: nobody knows crate::{name}", line.show()));
                    continue;
                };
                if *home != module && !allowed.contains(&home.as_str()) {
                    found.push(format!("{}: {module} must not know {home}", line.show()));
                }
            }
        }
        found
    }

    /// In which module each name at the root of the crate lives.
    fn homes(&self) -> BTreeMap<String, String> {
        let mut homes = BTreeMap::new();
        for line in self.0[Path::new("lib.rs")].lines() {
            let line = line.trim_start_matches("pub ");
            if let Some(module) = line.strip_prefix("mod ") {
                let module = module.trim_end_matches(';');
                homes.insert(module.to_owned(), module.to_owned());
            } else if let Some(path) = line.strip_prefix("use ") {
                let (home, names) = path.trim_end_matches(';').split_once("::").unwrap();
                for name in names.trim_matches(['{', '}']).split(", ") {
                    homes.insert(name.to_owned(), home.to_owned());
                }
            }
        }
        homes
    }
}

impl Line<'_> {
    fn show(&self) -> String {
        format!(
            "src/{}:{}: {}",
            self.file.display(),
            self.number,
            self.code.trim()
        )
    }

    /// The module at the root of the crate that the line is in.
    fn module(&self) -> String {
        let first = self.file.iter().next().unwrap().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    }
}

/// What a module may know beside itself. `bytes` is the crate whose type is ours as well.
fn below(module: &str) -> Option<&'static [&'static str]> {
    Some(match module {
        "id" | "net" | "queue" | "table" | "time" => &[],
        "by_link" => &["net", "table"],
        "timers" => &["table", "time"],
        "wire" => &["bytes", "id"],
        "endpoint" | "verdict" => &["wire"],
        "curve" => &[],
        "zmtp" => &["bytes", "curve", "net", "queue", "time", "verdict", "wire"],
        "zre" => &[
            "by_link", "bytes", "curve", "endpoint", "id", "net", "queue", "table", "time",
            "timers", "verdict", "wire",
        ],
        "seeds" => &["curve"],
        "socket" => &[
            "by_link", "bytes", "curve", "endpoint", "net", "queue", "seeds", "table", "time",
            "timers", "wire", "zmtp",
        ],
        "stack" => &[
            "by_link", "bytes", "curve", "endpoint", "id", "net", "seeds", "table", "time",
            "timers", "wire", "zmtp", "zre",
        ],
        "once" => &[
            "by_link", "bytes", "curve", "endpoint", "id", "net", "time", "timers", "table",
            "wire", "zre",
        ],
        "autoconf" => &["bytes", "table", "time", "timers", "wire"],
        "log" => &[
            "bytes", "curve", "endpoint", "id", "stack", "time", "wire", "zre",
        ],
        "gossip" => &["bytes", "table", "time", "timers", "wire"],
        "lib" => &[
            "bytes", "endpoint", "id", "net", "stack", "time", "verdict", "wire", "zmtp", "zre",
        ],
        _ => return None,
    })
}

/// The names right behind `crate::` in a line, or in the braces that it opens.
fn crate_paths(line: &Line<'_>, sources: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let mut names = Vec::new();
    for rest in line.code.split("crate::").skip(1) {
        if !rest.starts_with('{') {
            names.push(word(rest));
            continue;
        }
        let whole: String = sources[line.file]
            .lines()
            .skip(line.number - 1)
            .collect::<Vec<_>>()
            .join(" ");
        let start = whole.find("crate::{").unwrap() + "crate::{".len();
        let mut depth = 1;
        let mut fresh = true;
        for (at, octet) in whole[start..].char_indices() {
            match octet {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => fresh = depth == 1,
                _ if fresh && octet.is_alphabetic() => {
                    names.push(word(&whole[start + at..]));
                    fresh = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}

#[test]
fn the_core_uses_no_std() {
    assert_eq!(Sources::of_the_core().uses_of_std(), [""; 0]);
}

#[test]
fn imports_run_downward() {
    assert_eq!(Sources::of_the_core().upward_imports(), [""; 0]);
}

#[test]
fn the_checks_see_most_of_the_core() {
    let sources = Sources::of_the_core();
    let skipped = sources.only_for_tests();
    assert!(skipped.contains(Path::new("fuzz")) && skipped.contains(Path::new("fuzz.rs")));
    let files: BTreeSet<_> = sources
        .code()
        .iter()
        .map(|line| line.file.to_owned())
        .collect();
    for file in [
        "lib.rs",
        "stack.rs",
        "wire/zre.rs",
        "zmtp/connection.rs",
        "zre/node.rs",
    ] {
        assert!(files.contains(Path::new(file)), "{file}");
    }
    assert!(sources.code().len() > 4_000, "{}", sources.code().len());
}

#[test]
fn what_the_checks_forbid_is_found_with_its_line() {
    let lib = "#[cfg(test)]\nextern crate std;\nmod stack;\npub mod wire;\npub mod zmtp;\n#[cfg(test)]\nmod tests;\n\
               pub use stack::{Action, Stack};\npub use bytes::Bytes;\n";
    let wire = "//! See crate::Stack.\nuse crate::zmtp::Event;\nuse crate::{\n    Bytes,\n    Stack,\n};\n\
                fn now() { std::time::Instant::now(); }\n#[cfg(test)]\nmod tests {\n    use std::vec;\n}\n\
                fn later() { std::process::abort(); }\n";
    let sources = [
        ("lib.rs", lib),
        ("wire.rs", wire),
        ("tests.rs", "use std::fs;"),
    ];
    let sources = Sources(
        sources
            .into_iter()
            .map(|(file, source)| (file.into(), source.into()))
            .collect(),
    );
    assert_eq!(
        sources.uses_of_std(),
        [
            "src/wire.rs:7: fn now() { std::time::Instant::now(); }",
            "src/wire.rs:12: fn later() { std::process::abort(); }"
        ]
    );
    assert_eq!(
        sources.upward_imports(),
        [
            "src/wire.rs:2: use crate::zmtp::Event;: wire must not know zmtp",
            "src/wire.rs:3: use crate::{: wire must not know stack"
        ]
    );
}
