//! Every requirement of `spec/` is cited in code and proved by a test, and what real peers said is there as it is claimed.
//!
//! How to cite is in `spec/README.md`. Each check is also tried on what it must refuse.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

// ---- ids

/// The id of a requirement: ZRE-24.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    kind: &'static str,
    number: u32,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind, self.number)
    }
}

const KINDS: [&str; 9] = [
    "ZRE", "ELEC", "ZMTP", "ZAP", "ONCE", "AUTO", "SOCK", "LOG", "GOS",
];

/// The ids in a text. An id that begins or ends a range is marked: a range cites nothing, since nobody can tell what of it
/// is meant.
fn ids(text: &str) -> Vec<(Id, bool)> {
    let mut found = Vec::<(usize, usize, Id)>::new();
    for kind in KINDS {
        for (at, _) in text.match_indices(kind) {
            let whole = !text[..at].ends_with(|letter: char| letter.is_ascii_alphanumeric());
            let Some(rest) = text[at + kind.len()..].strip_prefix('-') else {
                continue;
            };
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if let (true, Ok(number)) = (whole, rest[..digits].parse()) {
                let end = at + kind.len() + 1 + digits;
                found.push((at, end, Id { kind, number }));
            }
        }
    }
    found.sort();
    let ranges = found.windows(2).map(|pair| {
        let between = &text[pair[0].1..pair[1].0];
        between == " to "
    });
    let ranges: Vec<bool> = ranges.collect();
    let in_range = |n: usize| {
        let before = n.checked_sub(1).and_then(|n| ranges.get(n));
        ranges.get(n) == Some(&true) || before == Some(&true)
    };
    let marked: Vec<_> = (0..found.len()).map(in_range).collect();
    let ids = found.into_iter().map(|(_, _, id)| id);
    ids.zip(marked).collect()
}

/// The requirements of a file of the specification, in its order.
fn requirements(text: &str) -> Vec<Id> {
    let lines = text.lines();
    lines
        .filter_map(|line| {
            let rest = line.strip_prefix("- **")?;
            let (id, _) = rest.split_once("**")?;
            let mut ids = ids(id);
            (ids.len() == 1).then(|| ids.remove(0).0)
        })
        .collect()
}

// ---- citations

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Code,
    Test,
    /// Where a citation counts for nothing.
    Elsewhere,
}

/// What a file is, by its path.
fn place(path: &str) -> Place {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_src = path.starts_with("src/") || path.starts_with("crates/") && path.contains("/src/");
    let of_tests = path.starts_with("tests/")
        || path.starts_with("crates/") && path.contains("/tests/")
        || path.starts_with("src/fuzz")
        || path.starts_with("interop/checks/")
        || path.starts_with("interop/hostile_cases/")
        || in_src && (name == "tests.rs" || name.ends_with("_tests.rs"));
    if of_tests {
        Place::Test
    } else if in_src {
        Place::Code
    } else {
        Place::Elsewhere
    }
}

/// What each line of a source is: inline modules of tests are tests.
fn places(path: &str, source: &str) -> Vec<Place> {
    let of_file = place(path);
    let lines: Vec<_> = source.lines().collect();
    let mut places = Vec::new();
    let mut in_tests = false;
    for (n, line) in lines.iter().enumerate() {
        let opens = |line: &&&str| line.starts_with("mod ") && line.ends_with('{');
        let begins = *line == "#[cfg(test)]" && lines.get(n + 1).filter(opens).is_some();
        in_tests = (in_tests || begins) && *line != "}";
        places.push(if of_file == Place::Code && in_tests {
            Place::Test
        } else {
            of_file
        });
    }
    places
}

/// Whether a line of a Rust source is in a test, or in the comments and attributes over one.
fn is_at_a_test(lines: &[&str], n: usize) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_about = |line: &str| {
        let line = line.trim_start();
        line.starts_with("//") || line.starts_with("#[")
    };
    let is_function = |line: &str| {
        let words = line.split('(').next().unwrap_or_default();
        words.split_whitespace().any(|word| word == "fn")
    };
    // Over a function, or in the innermost one around the line.
    let over = (n..lines.len()).find(|&at| !is_about(lines[at]));
    let over = over.filter(|&at| is_function(lines[at]) && indent(lines[at]) == indent(lines[n]));
    let around = (0..n).rev();
    let mut around =
        around.filter(|&at| is_function(lines[at]) && indent(lines[at]) < indent(lines[n]));
    let Some(function) = over.or_else(|| around.next()) else {
        return false;
    };
    let attributes = lines[..function].iter().rev();
    let mut attributes = attributes.take_while(|line| is_about(line));
    attributes.any(|line| {
        let line = line.trim_start();
        line.starts_with("#[test]") || line.starts_with("#[tokio::test")
    })
}

/// All that is wrong with citations, given the files of the specification and all others, with their paths.
fn problems(specs: &[(&str, &str)], sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut required = BTreeMap::<Id, &str>::new();
    for (file, text) in specs {
        let mut last = 0;
        for id in requirements(text) {
            if let Some(other) = required.insert(id.clone(), file) {
                problems.push(format!("{file}: {id} is there twice, also in {other}"));
            } else if id.number <= last {
                problems.push(format!("{file}: {id} comes after {}-{last}", id.kind));
            }
            last = id.number;
        }
    }
    let mut cited = BTreeSet::<(Id, Place)>::new();
    let named = specs.iter().map(|(file, text)| (*file, *text));
    let others = sources
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    for (path, text) in named.chain(others) {
        let places = places(path, text);
        let lines: Vec<_> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let rust = path.ends_with(".rs");
            let comment = line.find("//").map(|at| &line[at..]);
            for (id, in_range) in ids(line) {
                let at = format!("{path}:{}", n + 1);
                if !required.contains_key(&id) {
                    problems.push(format!("{at}: there is no {id}"));
                    continue;
                }
                let counts = match comment {
                    Some(comment) if rust => {
                        !comment.starts_with("//!") && ids(comment).iter().any(|(it, _)| *it == id)
                    }
                    None if rust => false,
                    _ => true,
                };
                if in_range || !counts || places[n] == Place::Elsewhere {
                    continue;
                }
                if rust && places[n] == Place::Test && !is_at_a_test(&lines, n) {
                    problems.push(format!("{at}: {id} is cited beside the tests"));
                    continue;
                }
                cited.insert((id, places[n]));
            }
        }
    }
    for (id, file) in &required {
        for (place, what) in [(Place::Code, "code"), (Place::Test, "a test")] {
            if !cited.contains(&(id.clone(), place)) {
                problems.push(format!("{file}: {id} is not cited in {what}"));
            }
        }
    }
    problems
}

/// Every text of the repository that may name an id: all but this file, whose ids are examples, and the specification.
fn sources() -> BTreeMap<String, String> {
    const NAMED: [&str; 10] = [
        "src",
        "crates",
        "tests",
        "examples",
        "interop",
        "fuzz/targets",
        "spec/vectors",
        "spec/README.md",
        "README.md",
        "ARCHITECTURE.md",
    ];
    let mut sources = BTreeMap::new();
    let mut left: Vec<_> = NAMED.iter().map(|name| root().join(name)).collect();
    while let Some(path) = left.pop() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            // What is installed there is not ours.
            if !name.starts_with('.') && !["node_modules", "target", "build"].contains(&name) {
                left.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
            continue;
        }
        let relative = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if let (false, Ok(text)) = (relative == "tests/spec.rs", fs::read_to_string(&path)) {
            sources.insert(relative.to_owned(), text);
        }
    }
    sources
}

#[test]
fn every_requirement_is_cited_in_code_and_proved_by_a_test() {
    let files = [
        "spec/zre.md",
        "spec/election.md",
        "spec/zmtp.md",
        "spec/zap.md",
        "spec/once.md",
        "spec/autoconf.md",
        "spec/gossip.md",
        "spec/socket.md",
        "spec/log.md",
    ];
    let files = files.map(|file| (file, read(file)));
    let specs = files.each_ref().map(|(file, text)| (*file, text.as_str()));
    let problems = problems(&specs, &sources());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_check_of_citations_sees_what_it_should() {
    let sources = sources();
    for file in [
        "src/zre/greeting.rs",
        "src/wire/zmtp/frame.rs",
        "crates/std/src/driver/network.rs",
        "tests/presence/main.rs",
        "tests/spec_vectors/main.rs",
        "crates/std/tests/start.rs",
        "interop/checks/meet.py",
        "interop/hostile_cases/zmtp.py",
        "spec/vectors/zmtp.json",
    ] {
        assert!(sources.contains_key(file), "{file}");
    }
    assert!(!sources.contains_key("tests/spec.rs"));
    assert!(requirements(&read("spec/zre.md")).len() > 50);
    assert!(requirements(&read("spec/election.md")).len() > 15);
    assert!(requirements(&read("spec/zmtp.md")).len() > 40);
    assert!(requirements(&read("spec/zap.md")).len() > 10);
    assert!(requirements(&read("spec/once.md")).len() > 15);
    assert!(requirements(&read("spec/autoconf.md")).len() > 25);
    assert!(requirements(&read("spec/gossip.md")).len() > 30);
    assert!(requirements(&read("spec/socket.md")).len() > 20);
    assert!(requirements(&read("spec/log.md")).len() > 20);
    for (path, expected) in [
        ("src/zre/node.rs", Place::Code),
        ("crates/std/src/node.rs", Place::Code),
        ("src/wire/zmtp/tests.rs", Place::Test),
        ("src/zmtp/outbox_tests.rs", Place::Test),
        ("src/fuzz/node.rs", Place::Test),
        ("tests/node.rs", Place::Test),
        ("crates/cli/tests/cli/run.rs", Place::Test),
        ("interop/checks/meet.py", Place::Test),
        ("interop/capture.py", Place::Elsewhere),
        ("examples/by_hand.rs", Place::Elsewhere),
        ("spec/vectors/zre.json", Place::Elsewhere),
    ] {
        assert_eq!(place(path), expected, "{path}");
    }
}

/// A specification of two files, cited as it should be.
fn sound() -> (Vec<(&'static str, String)>, BTreeMap<String, String>) {
    let specs = vec![
        (
            "spec/zre.md",
            "- **ZRE-1** One,\n  see ZMTP-1.\n- **ZRE-3** Three.\n".to_owned(),
        ),
        ("spec/zmtp.md", "- **ZMTP-1** One.\n".to_owned()),
    ];
    let sources = [
        (
            "src/a.rs",
            "//! ZRE-1 to ZRE-3.\n/// ZRE-1. Does it.\nfn a() {\n    // ZRE-3, ZMTP-1: because.\n    b();\n}\n\
             #[cfg(test)]\nmod tests {\n    #[test]\n    fn c() {\n        // ZRE-3\n        d();\n    }\n}\n",
        ),
        ("tests/a.rs", "/// ZRE-1\n#[test]\nfn a() {\n    b();\n}\n"),
        ("interop/checks/a.py", "# ZMTP-1\ndef a():\n    pass\n"),
    ];
    let sources = sources.map(|(path, text)| (path.to_owned(), text.to_owned()));
    (specs, sources.into())
}

fn problems_of(
    specs: &[(&'static str, String)],
    sources: &BTreeMap<String, String>,
) -> Vec<String> {
    let specs: Vec<_> = specs
        .iter()
        .map(|(file, text)| (*file, text.as_str()))
        .collect();
    problems(&specs, sources)
}

#[test]
fn what_is_cited_badly_is_found() {
    let (specs, sources) = sound();
    assert_eq!(problems_of(&specs, &sources), [""; 0]);
    let change = |path: &str, from: &str, to: &str| {
        let (mut specs, mut sources) = sound();
        let text = match specs.iter_mut().find(|(file, _)| *file == path) {
            Some((_, text)) => text,
            None => sources.get_mut(path).unwrap(),
        };
        assert!(text.contains(from), "{path}: {from}");
        *text = text.replacen(from, to, 1);
        problems_of(&specs, &sources)
    };
    for (path, from, to, found) in [
        // Neither the head of a file nor a range is a citation.
        (
            "src/a.rs",
            "/// ZRE-1. Does",
            "/// Does",
            "spec/zre.md: ZRE-1 is not cited in code",
        ),
        // Nor is what is not in a comment.
        (
            "src/a.rs",
            "/// ZRE-1. Does it.",
            "const ZRE: &str = \"ZRE-1\";",
            "spec/zre.md: ZRE-1 is not cited in code",
        ),
        (
            "src/a.rs",
            "// ZRE-3, ZMTP-1",
            "// ZRE-1 to ZRE-3, ZMTP-1",
            "spec/zre.md: ZRE-3 is not cited in code",
        ),
        (
            "src/a.rs",
            "// ZRE-3, ZMTP-1",
            "// ZMTP-1",
            "spec/zre.md: ZRE-3 is not cited in code",
        ),
        (
            "src/a.rs",
            "        // ZRE-3\n",
            "",
            "spec/zre.md: ZRE-3 is not cited in a test",
        ),
        (
            "tests/a.rs",
            "/// ZRE-1\n",
            "",
            "spec/zre.md: ZRE-1 is not cited in a test",
        ),
        (
            "interop/checks/a.py",
            "# ZMTP-1",
            "#",
            "spec/zmtp.md: ZMTP-1 is not cited in a test",
        ),
        (
            "src/a.rs",
            "ZRE-3, ZMTP-1",
            "ZRE-3, ZMTP-1, ZMTP-2",
            "src/a.rs:4: there is no ZMTP-2",
        ),
        (
            "src/a.rs",
            "ZRE-1 to ZRE-3",
            "ZRE-1 to ZRE-4",
            "src/a.rs:1: there is no ZRE-4",
        ),
        (
            "spec/zre.md",
            "see ZMTP-1",
            "see ZMTP-7",
            "spec/zre.md:2: there is no ZMTP-7",
        ),
        (
            "spec/zre.md",
            "**ZRE-3**",
            "**ZRE-1**",
            "spec/zre.md: ZRE-1 is there twice, also in spec/zre.md",
        ),
    ] {
        let problems = change(path, from, to);
        assert!(
            problems.contains(&found.to_owned()),
            "{found}: {problems:?}"
        );
    }
    assert_eq!(
        change("tests/a.rs", "#[test]\n", ""),
        [
            "tests/a.rs:1: ZRE-1 is cited beside the tests",
            "spec/zre.md: ZRE-1 is not cited in a test"
        ]
    );
    // Code that stands behind a module of tests is code.
    let (specs, mut sources) = sound();
    let code = sources.get_mut("src/a.rs").unwrap();
    *code = code.replace("/// ZRE-1. Does", "/// Does") + "/// ZRE-1\nfn e() {}\n";
    assert_eq!(problems_of(&specs, &sources), [""; 0]);
}

#[test]
fn ids_that_do_not_grow_are_found() {
    let (mut specs, sources) = sound();
    specs[0].1 = "- **ZRE-3** Three.\n- **ZRE-1** One.\n".to_owned();
    assert_eq!(
        problems_of(&specs, &sources),
        ["spec/zre.md: ZRE-1 comes after ZRE-3"]
    );
}

// ---- captures

/// What `spec/README.md` claims that each peer was seen to say: peers, and for each vector who said it.
fn claims(readme: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut rows = readme
        .lines()
        .skip_while(|line| !line.starts_with("| vector |"));
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    let head = cells(rows.next().unwrap());
    let peers = &head[1..];
    let mut claims: BTreeMap<_, BTreeSet<_>> = peers
        .iter()
        .map(|peer| (peer.clone(), BTreeSet::new()))
        .collect();
    for row in rows.skip(1).take_while(|line| line.starts_with('|')) {
        let row = cells(row);
        assert_eq!(row.len(), head.len(), "{row:?}");
        for (peer, said) in peers.iter().zip(&row[1..]) {
            match said.as_str() {
                "yes" => claims.get_mut(peer).unwrap().insert(row[0].clone()),
                "no" => false,
                other => panic!("{}, {peer}: {other:?} is neither yes nor no", row[0]),
            };
        }
    }
    claims
}

/// What differs between the claims and the vectors that are there.
fn differences(
    claims: &BTreeMap<String, BTreeSet<String>>,
    captured: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let nothing = BTreeSet::new();
    let peers: BTreeSet<_> = claims.keys().chain(captured.keys()).collect();
    let mut differences = Vec::new();
    for peer in peers {
        let claimed = claims.get(peer).unwrap_or(&nothing);
        let there = captured.get(peer).unwrap_or(&nothing);
        differences.extend(
            claimed
                .difference(there)
                .map(|it| format!("{peer}: no {it}")),
        );
        differences.extend(
            there
                .difference(claimed)
                .map(|it| format!("{peer}: {it} is not in the table")),
        );
    }
    differences
}

fn captures() -> BTreeMap<String, BTreeSet<String>> {
    let files = fs::read_dir(root().join("spec/vectors/captured")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let peer = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let file: serde_json::Value = serde_json::from_str(&text).unwrap();
            let vectors = file["vectors"].as_array().unwrap().iter();
            let names = vectors.map(|vector| vector["name"].as_str().unwrap().to_owned());
            (peer, names.collect())
        })
        .collect()
}

#[test]
fn each_real_peer_was_heard_saying_what_is_claimed() {
    let claims = claims(&read("spec/README.md"));
    assert_eq!(differences(&claims, &captures()), [""; 0]);
    // What every peer of ZRE has to say.
    for (peer, said) in &claims {
        for vector in [
            "beacon",
            "beacon-goodbye",
            "zmtp-greeting-router",
            "zmtp-ready-router",
            "zmtp-greeting-dealer",
            "zmtp-ready-dealer",
            "hello",
            "whisper",
            "shout",
            "join",
            "leave",
            "ping",
            "ping-ok",
        ] {
            assert!(said.contains(vector), "{peer}: {vector}");
        }
    }
    let peers: Vec<_> = claims.keys().map(String::as_str).collect();
    assert_eq!(peers, ["ingescape", "pyre", "zyre", "zyrejs"]);
}

#[test]
fn a_claim_without_a_vector_and_a_vector_without_a_claim_are_found() {
    let claims = claims(
        "text\n| vector | a | b |\n|---|---|---|\n| `x` | yes | no |\n| `y` | yes | yes |\n\n| `z` | yes |\n",
    );
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        claims,
        BTreeMap::from([
            ("a".to_owned(), set(&["x", "y"])),
            ("b".to_owned(), set(&["y"]))
        ])
    );
    let captured = BTreeMap::from([
        ("a".to_owned(), set(&["y"])),
        ("b".to_owned(), set(&["x", "y"])),
    ]);
    assert_eq!(
        differences(&claims, &captured),
        ["a: no x", "b: x is not in the table"]
    );
}

/// The ids that a vector shows, in all files of vectors that were written by hand.
#[test]
fn every_vector_shows_requirements_that_there_are() {
    let known: BTreeSet<String> = [
        "spec/zre.md",
        "spec/zmtp.md",
        "spec/once.md",
        "spec/autoconf.md",
        "spec/gossip.md",
        "spec/log.md",
    ]
    .iter()
    .flat_map(|file| requirements(&read(file)))
    .map(|id| id.to_string())
    .collect();
    for file in [
        "autoconf", "beacon", "endpoint", "gossip", "log", "once", "zmtp", "zre",
    ] {
        let text = read(&format!("spec/vectors/{file}.json"));
        let mut left = vec![serde_json::from_str::<serde_json::Value>(&text).unwrap()];
        let mut shown = 0;
        while let Some(value) = left.pop() {
            for id in value
                .get("shows")
                .and_then(|ids| ids.as_array())
                .into_iter()
                .flatten()
            {
                assert!(known.contains(id.as_str().unwrap()), "{file}: {id}");
                shown += 1;
            }
            match value {
                serde_json::Value::Array(values) => left.extend(values),
                serde_json::Value::Object(values) => {
                    left.extend(values.into_iter().map(|(_, it)| it));
                }
                _ => {}
            }
        }
        assert!(shown > 10, "{file}");
    }
}
