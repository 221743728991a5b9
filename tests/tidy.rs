//! The code about the code: what a compiler does not check, and nobody should have to remember.
//!
//! Every list in here is meant to be read in a review: whoever adds to it says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

// ---- who may use whom

/// What each member may depend on among the others; as a dev-dependency, anything.
const ARROWS: [(&str, &[&str]); 7] = [
    ("biotope-runtime", &[]),
    ("biotope-macros", &[]),
    ("biotope-supervision", &["biotope-runtime"]),
    ("biotope-distribution", &["biotope-runtime", "biotope-supervision"]),
    ("biotope-testkit", &["biotope-distribution", "biotope-runtime", "biotope-supervision"]),
    (
        "biotope",
        &["biotope-distribution", "biotope-macros", "biotope-runtime", "biotope-supervision", "biotope-testkit"],
    ),
    ("biotope-xtask", &[]),
];

/// All that the runtime is made of. It knows no network, no codec and no file format.
const MADE_OF: [&str; 17] = [
    "bumpalo",
    // What an `IoList` is a list of: bytes that many hold and nobody copies.
    "bytes",
    "crossbeam-deque",
    "crossbeam-queue",
    // What is written often lies apart from what everybody reads.
    "crossbeam-utils",
    "erased-serde",
    "foldhash",
    // Requests in flight, of which any may be answered next.
    "futures-util",
    "indexmap",
    "parking_lot",
    "rand",
    // Pages go back to the operating system.
    "rustix",
    "serde",
    "smallvec",
    "thiserror",
    "tokio",
    "tracing",
];

#[test]
fn members_depend_on_each_other_in_one_direction() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("packages");

    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    assert_eq!(names, allowed.keys().copied().collect(), "a member came or went: add it to `ARROWS`");

    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let on = dependency["name"].as_str().expect("a name");
            if dependency["kind"] == "dev" {
                continue;
            }
            if allowed.contains_key(on) && !allowed[name].contains(&on) {
                wrong.push(format!("{name} must not depend on {on}"));
            }
            if on == "biotope-testkit" && dependency["optional"] != true {
                wrong.push(format!("{name} offers the testkit behind a feature only"));
            }
            if on == "quinn" && name != "biotope-distribution" {
                wrong.push(format!("{name} must not depend on quinn"));
            }
            if name == "biotope-runtime" && !MADE_OF.contains(&on) {
                wrong.push(format!("{name} is not made of {on}"));
            }
        }
    }
    assert_none(wrong);
}

/// The files that do what the core of a connection decides, and the stranger that knocks at it.
const QUINN: [&str; 5] = [
    "distribution/src/connection/driver.rs",
    "distribution/src/connection/driver/endpoint.rs",
    "distribution/src/connection/driver/inward.rs",
    "distribution/src/connection/driver/outward.rs",
    "distribution/src/connection/tests/strangers.rs",
];

#[test]
fn only_the_driver_of_connections_uses_quinn() {
    let users: BTreeSet<String> =
        sources().into_iter().filter(|source| has_word(&source.code, "quinn")).map(|source| source.path).collect();
    assert_eq!(users, QUINN.map(str::to_owned).into());
}

/// Files that decide and do nothing: time comes in as an argument, actions go out as values.
const PURE: [&str; 40] = [
    "distribution/src/connection/association.rs",
    "distribution/src/connection/core.rs",
    "distribution/src/connection/targets.rs",
    "distribution/src/wire/frame.rs",
    "distribution/src/wire/handshake.rs",
    "distribution/src/wire/process.rs",
    "runtime/src/groups/core.rs",
    "runtime/src/machine/core.rs",
    "runtime/src/machine/diagram.rs",
    "runtime/src/machine/rules.rs",
    "runtime/src/machine/timeouts.rs",
    "runtime/src/process/control.rs",
    "runtime/src/storm.rs",
    "runtime/src/timer/wheel.rs",
    "runtime/src/topic/core.rs",
    "supervision/src/application/config/de.rs",
    "supervision/src/application/config/duration.rs",
    "supervision/src/application/config/tree.rs",
    "supervision/src/application/core/jobs.rs",
    "supervision/src/application/core/mod.rs",
    "supervision/src/application/core/runs.rs",
    "supervision/src/application/order.rs",
    "supervision/src/core/again.rs",
    "supervision/src/core/mod.rs",
    "supervision/src/core/requests.rs",
    "supervision/src/dynamic/core/again.rs",
    "supervision/src/dynamic/core/children.rs",
    "supervision/src/dynamic/core/mod.rs",
    "supervision/src/ecosystem/dispatch.rs",
    "supervision/src/ecosystem/relay.rs",
    "supervision/src/ecosystem/topology.rs",
    "supervision/src/events/roster.rs",
    "supervision/src/intensity.rs",
    "supervision/src/partition/place.rs",
    "supervision/src/past.rs",
    "supervision/src/strategy.rs",
    "supervision/src/task/window.rs",
    "supervision/src/tree/declared.rs",
    "supervision/src/tree/grow.rs",
    "supervision/src/tree/rows.rs",
];

/// What none of them may mention.
const IMPURE: [&str; 10] = [
    "Instant::now",
    "SystemTime",
    "tokio::",
    "std::net",
    "std::fs",
    "std::thread",
    "TcpStream",
    "UdpSocket",
    "rand::",
    "async fn",
];

#[test]
fn what_decides_reads_no_clock_and_does_nothing() {
    let sources = sources();
    let mut wrong = Vec::new();
    for path in PURE {
        let Some(source) = sources.iter().find(|source| source.path == path) else {
            wrong.push(format!("{path} is gone: take it off the list"));
            continue;
        };
        let code = without_tests(&source.code);
        for impure in IMPURE {
            if let Some(at) = code.find(impure) {
                wrong.push(format!("{path}:{}: {impure}", line_of(&code, at)));
            }
        }
    }
    // Whoever writes another core says so here.
    for source in &sources {
        let is_core = source.path.ends_with("/core.rs") || source.path.contains("/core/");
        if is_core && source.is_program() && !PURE.contains(&source.path.as_str()) {
            wrong.push(format!("{} is a core and not on the list", source.path));
        }
    }
    assert_none(wrong);
}

/// Everything that outlives a runtime. What does not say otherwise belongs to a thread.
const STATICS: [&str; 11] = [
    // Which worker this thread is, and so which process runs here; on whose behalf something is read; why
    // messages are dropped; whether a timer or a source sends what is sent.
    "runtime/src/process/turn.rs:CURRENT",
    "runtime/src/ambient.rs:DECODING",
    "runtime/src/ambient.rs:ABANDONING",
    "runtime/src/ambient.rs:COMES_THROUGH",
    // The place of a panic is known to the hook only, and there is one hook for the whole program.
    "runtime/src/panics.rs:LAST",
    "runtime/src/panics.rs:HOOK",
    // What the waker of a process does: functions, and a place by which it is told from other wakers.
    "runtime/src/process/reference.rs:WAKER",
    // Of the whole program: that its allocator counts, which it has one of; and the accounts that blocks lead to
    // which outlive their process, its node and its runtime.
    "runtime/src/memory/accounting.rs:INSTALLED",
    "runtime/src/process/accounts.rs:SPARE",
    // Which seeded run this thread is in, for the functions that stand in for the C library's; and where those are.
    "testkit/src/outside.rs:RUN",
    "testkit/src/outside.rs:REAL",
];

#[test]
fn there_are_no_singletons_but_those_on_the_list() {
    let mut found = BTreeSet::new();
    for source in sources().iter().filter(|source| source.is_program()) {
        let code = without_tests(&source.code);
        for name in statics(&code) {
            found.insert(format!("{}:{name}", source.path));
        }
    }
    assert_eq!(found, STATICS.map(str::to_owned).into());
}

/// The crates that have no unsafe code: all but the runtime and the test kit.
const SAFE: [&str; 5] =
    ["src/lib.rs", "macros/src/lib.rs", "supervision/src/lib.rs", "distribution/src/lib.rs", "xtask/src/main.rs"];

/// The files of the runtime that have some. Each says on its first lines what for, and each block who
/// guarantees what.
const UNSAFE: [&str; 37] = [
    // A pointer that is an address, or a way to another node.
    "runtime/src/address.rs",
    // A reply is written into the place that its caller lends.
    "runtime/src/call/mod.rs",
    // Has no size, and stands where the cell begins; as `me.rs`.
    "runtime/src/context.rs",
    // The places of the intake belong to whoever claimed them.
    "runtime/src/mailbox/mod.rs",
    "runtime/src/mailbox/queue.rs",
    // Raw memory, and values moved by the word.
    "runtime/src/memory/magazine.rs",
    "runtime/src/memory/mod.rs",
    "runtime/src/memory/pages.rs",
    "runtime/src/memory/pool.rs",
    "runtime/src/memory/words.rs",
    "runtime/src/mailbox/parcel.rs",
    // An allocator is an unsafe trait; the owner of a block is in front of it, and leads to pages made by hand.
    "runtime/src/memory/accounting.rs",
    "runtime/src/process/accounts.rs",
    // References that are counted apart.
    "runtime/src/lease.rs",
    // The cell, and what its owner does with it.
    "runtime/src/process/actor.rs",
    "runtime/src/process/cell.rs",
    "runtime/src/process/extra.rs",
    "runtime/src/process/header.rs",
    "runtime/src/process/machinery.rs",
    "runtime/src/process/me.rs",
    "runtime/src/process/placed.rs",
    "runtime/src/process/receive.rs",
    "runtime/src/process/reference.rs",
    "runtime/src/process/run.rs",
    "runtime/src/process/silence.rs",
    "runtime/src/process/spawn.rs",
    "runtime/src/process/straight.rs",
    "runtime/src/process/table.rs",
    "runtime/src/process/teardown.rs",
    "runtime/src/process/turn.rs",
    // Of a context, what an entering action may see.
    "runtime/src/machine/entering.rs",
    // Why messages are dropped here, by a pointer up the stack.
    "runtime/src/ambient.rs",
    // Whoever picks a process runs it once.
    "runtime/src/runtime.rs",
    "runtime/src/scheduler/own_thread.rs",
    "runtime/src/scheduler/run_queue.rs",
    "runtime/src/scheduler/worker.rs",
    // Functions of the C library.
    "testkit/src/outside.rs",
];

#[test]
fn unsafe_code_is_in_the_files_on_the_list_and_all_other_crates_forbid_it() {
    let sources = sources();
    let mut wrong = Vec::new();
    for path in SAFE {
        let root = sources.iter().find(|source| source.path == path);
        if !root.is_some_and(|root| root.code.contains("#![forbid(unsafe_code)]")) {
            wrong.push(format!("{path} does not forbid unsafe code"));
        }
    }
    let may_have_some = ["runtime/src/", "testkit/src/"];
    let others = |path: &str| may_have_some.iter().any(|crates| path.starts_with(crates));
    for source in sources.iter().filter(|source| others(&source.path) && source.is_program()) {
        let code = without_tests(&source.code);
        let is_listed = UNSAFE.contains(&source.path.as_str());
        if has_word(&code, "unsafe") != is_listed {
            wrong.push(format!("{}: unsafe code, or none, against the list", source.path));
        }
        if is_listed && !code.contains("[expect(unsafe_code, reason") {
            wrong.push(format!("{} does not say what its unsafe code is for", source.path));
        }
        if code.contains("allow(unsafe_code") {
            wrong.push(format!("{} allows unsafe code, and would not notice that it has none", source.path));
        }
    }
    assert_none(wrong);
}

// ---- text that does not belong here

/// Not in any code.
const BANNED: [&str; 5] = ["todo!", "unimplemented!", "dbg!", "#[ignore]", "#[ignore ="];

/// On a real clock a delay proves nothing, and costs everybody its time.
const SLEEPS: [&str; 2] = ["thread::sleep", "tokio::time::sleep"];

/// Where sleeping is what is tested: that tokio's timers work in processes, that a clock which stood still while all slept
/// is looked at, that a seeded run notices it. And where it is what is measured: what happens while a thread sleeps, and what a million processes cost
/// while nothing does.
const SLEEPERS: [&str; 4] = [
    "runtime/tests/it/runtimes.rs",
    "runtime/tests/it/seen.rs",
    "testkit/tests/it/outside.rs",
    "benches/engine/pace.rs",
];

#[test]
fn nothing_is_unfinished_skipped_or_waited_for() {
    let mut wrong = Vec::new();
    for source in sources() {
        let may_sleep = SLEEPERS.contains(&source.path.as_str());
        for banned in BANNED.iter().chain(SLEEPS.iter().filter(|_| !may_sleep)) {
            for at in words(&source.code, banned) {
                wrong.push(format!("{}:{}: {banned}", source.path, line_of(&source.code, at)));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // In pieces, so that this file does not find itself.
    let places = [concat!("/", "home/"), concat!("/", "root/"), concat!("/", "Users/"), concat!("/", "work/")];
    let mut wrong = Vec::new();
    for (path, text) in texts() {
        for place in places {
            if let Some(at) = text.find(place) {
                wrong.push(format!("{path}:{}: {place}", line_of(&text, at)));
            }
        }
    }
    assert_none(wrong);
}

// ---- documents that name code

#[test]
fn each_step_of_a_reading_path_names_a_function_that_exists() {
    let text = read("ARCHITECTURE.md");
    let paths = section(&text, "## Reading paths");
    let steps: Vec<(usize, &str)> = paths.lines().enumerate().filter(|(_, line)| is_numbered(line)).collect();
    assert!(steps.len() > 30, "the reading paths have {} steps", steps.len());
    let nameless = steps.iter().filter(|(_, step)| references(step).is_empty());
    assert_none(nameless.map(|(_, step)| format!("a step names no function: {step}")).collect());
    assert_none(missing(&text));
}

#[test]
fn each_guarantee_names_a_test_that_exists() {
    let text = read("docs/guarantees.md");
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise")).collect();
    assert!(rows.len() > 20, "{} guarantees", rows.len());
    let unproven = rows.iter().filter(|row| references(row).is_empty());
    assert_none(unproven.map(|row| format!("no test is named: {row}")).collect());
    assert_none(missing(&text));
}

/// The areas of process semantics that are built, each with how many cases it has.
const AREAS: [(&str, u32); 22] = [
    ("PROC", 8),
    ("EXIT", 10),
    ("LINK", 8),
    ("MON", 10),
    ("SIG", 5),
    ("RECV", 6),
    ("ALIAS", 7),
    ("TIME", 8),
    ("REG", 5),
    ("KREG", 7),
    ("INFO", 5),
    ("SCHED", 6),
    ("GS", 22),
    ("SM", 13),
    ("SYS", 6),
    ("LOG", 6),
    ("SUP", 20),
    ("DSUP", 6),
    ("PSUP", 4),
    ("TASK", 12),
    ("APP", 9),
    ("PG", 8),
];

#[test]
fn each_case_has_a_test_that_begins_with_its_id_or_a_reason() {
    let text = read("docs/semantics.md");
    let mut wrong = missing(&text);
    let mut rows: BTreeMap<&str, &str> = BTreeMap::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("| ")) {
        let (id, rest) = row.split_once(" | ").unwrap_or((row, ""));
        if id_of(id).is_some() && rows.insert(id, rest).is_some() {
            wrong.push(format!("{id} has two rows"));
        }
    }
    for (area, cases) in AREAS {
        for id in (1..=cases).map(|number| format!("{area}-{number:02}")) {
            if !rows.contains_key(id.as_str()) {
                wrong.push(format!("{id} has no row"));
            }
        }
    }
    for (id, rest) in rows {
        let proof = rest.split_once(" | ").map_or("", |(_, proof)| proof.trim_end_matches('|').trim());
        let tests = references(proof);
        if tests.is_empty() && proof.split_whitespace().count() < 3 {
            wrong.push(format!("{id} has neither a test nor a reason"));
        }
        let prefix = id_of(id).unwrap_or_default();
        for (path, name) in tests {
            let source = fs::read_to_string(root().join(path)).unwrap_or_default();
            if !name.starts_with(&prefix) {
                wrong.push(format!("{id}: {name} does not begin with {prefix}"));
            } else if !is_test(&code_of(&source), name) {
                wrong.push(format!("{id}: {path} has no test {name} that runs"));
            }
        }
    }
    assert_none(wrong);
}

/// What the names of a case's tests begin with: `mon_04_` for `MON-04`.
fn id_of(id: &str) -> Option<String> {
    let (area, number) = id.split_once('-')?;
    let is_id = !area.is_empty()
        && area.chars().all(|c| c.is_ascii_uppercase())
        && number.len() == 2
        && number.chars().all(|c| c.is_ascii_digit());
    is_id.then(|| format!("{}_{number}_", area.to_lowercase()))
}

/// Whether `code` has a function of this name with an attribute that makes it a test.
fn is_test(code: &str, name: &str) -> bool {
    let function = format!("fn {name}");
    let Some(at) = words(code, &function).next() else { return false };
    let before = &code[..at];
    let begin = before.rfind(['}', ';', '{']).unwrap_or(0);
    before[begin..].contains("test")
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for (path, text) in texts().into_iter().filter(|(path, _)| path.ends_with(".md")) {
        let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !root().join(folder).join(target).exists() {
                wrong.push(format!("{path}: {link}"));
            }
        }
    }
    assert_none(wrong);
}

/// What the README shows is a run that somebody has made, with its faults.
#[test]
fn the_readme_shows_a_run_of_the_atlas() {
    let text = read("README.md");
    let (_, block) = text.split_once("<!-- atlas output -->\n```text\n").expect("the README shows a run");
    let (shown, _) = block.split_once("\n```\n<!-- /atlas output -->").expect("and what it shows has an end");
    assert!(shown.contains("│ node "), "the table of nodes is missing");
    let last = shown.lines().last().unwrap_or_default();
    let summary: serde_json::Value = serde_json::from_str(last).expect("its last line is one JSON object");
    assert_eq!(summary["digest"].as_str().map(str::len), Some(64));
    for (field, expected) in [("nodes", 3), ("killed", 1), ("panicked", 1), ("lost", 0)] {
        assert_eq!(summary[field], expected, "{field}");
    }
}

/// What `text` refers to as `` `file.rs` `function` ``, or as `` `file.rs` `Type::function` ``.
fn references(text: &str) -> Vec<(&str, &str)> {
    let quoted: Vec<&str> = text.split('`').collect();
    // Every second piece is inside quotes; a reference is two of them with a space between.
    let pairs = quoted.windows(3).enumerate().filter(|(at, _)| at % 2 == 1);
    let pairs = pairs.filter(|(_, pair)| pair[0].ends_with(".rs") && pair[1] == " ");
    pairs.map(|(_, pair)| (pair[0], pair[2])).collect()
}

/// The references in `text` that lead nowhere.
fn missing(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, name) in references(text) {
        let Ok(source) = fs::read_to_string(root().join(path)) else {
            wrong.push(format!("{path} does not exist"));
            continue;
        };
        let code = code_of(&source);
        let mut parts = name.rsplit("::");
        let function = parts.next().unwrap_or_default();
        if !has_word(&code, &format!("fn {function}")) {
            wrong.push(format!("{path} has no `fn {function}`"));
        }
        for part in parts.filter(|part| !has_word(&code, part)) {
            wrong.push(format!("{path} does not know `{part}`"));
        }
    }
    wrong
}

fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(&format!("{heading}\n")) else { panic!("there is no section {heading}") };
    rest.split("\n## ").next().unwrap_or(rest)
}

fn is_numbered(line: &str) -> bool {
    line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

// ---- reading the workspace

/// One file of Rust.
struct Source {
    /// From the root of the workspace.
    path: String,
    /// Its text, in which comments and literals are blank.
    code: String,
}

impl Source {
    /// Whether it is part of a crate that users build, and no test.
    fn is_program(&self) -> bool {
        let is_test = self.path.ends_with("tests.rs") || self.path.split('/').any(|part| part == "tests");
        let is_member =
            self.path.contains("src/") && !["xtask/", "benches/"].iter().any(|other| self.path.starts_with(other));
        is_member && !is_test
    }
}

fn sources() -> Vec<Source> {
    let rust = texts().into_iter().filter(|(path, _)| path.ends_with(".rs"));
    // What must not compile may be anything, and so may what the atlas is tested with.
    let rust = rust.filter(|(path, _)| !path.contains("/ui/fail/") && !path.contains("/fixtures/"));
    rust.map(|(path, text)| Source { code: code_of(&text), path }).collect()
}

/// Every file of text in the workspace, with its path.
fn texts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace can be read") {
            let path = entry.expect("so can what is in it").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_ours = !name.starts_with('.') || [".ci", ".cargo", ".github"].contains(&name.as_str());
            if !is_ours || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let from_root = path.strip_prefix(root()).expect("it is below the root");
                found.push((from_root.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[track_caller]
fn assert_none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where `word` stands in `code` and is not a part of a longer name.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

fn has_word(code: &str, word: &str) -> bool {
    words(code, word).next().is_some()
}

/// The names of the `static`s in `code`, those in `thread_local!` too.
fn statics(code: &str) -> Vec<&str> {
    let after = words(code, "static").filter(|at| !code[..*at].ends_with('\'')).map(|at| &code[at + "static".len()..]);
    let named = after.filter_map(|rest| {
        let rest = rest.trim_start();
        let rest = rest.strip_prefix("mut ").or(rest.strip_prefix("ref ")).unwrap_or(rest);
        rest.split_once(':').map(|(name, _)| name.trim())
    });
    // A closure may be static as well, and has no name.
    named.filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_')).collect()
}

/// `code` with its `#[cfg(test)]` items blank.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once(MARK) {
        kept.push_str(before);
        let end = end_of_item(after);
        kept.extend(after[..end].chars().map(blank));
        rest = &after[end..];
    }
    kept + rest
}

/// Where the item at the beginning of `code` ends: after its `;`, or after the brace that closes it.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn blank(c: char) -> char {
    if c == '\n' { c } else { ' ' }
}

/// `text` with its comments, strings and characters blank. Lines stay where they are.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let follows_name = code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            '\'' => character(rest),
            'r' | 'b' | 'c' if !follows_name => prefixed(rest),
            _ => 0,
        };
        if length == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..length].chars().map(blank));
            rest = &rest[length..];
        }
    }
    code
}

/// The length of the comment that `text` begins with; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let step = match () {
            () if rest.starts_with("/*") => {
                depth += 1;
                2
            }
            () if rest.starts_with("*/") => {
                depth -= 1;
                2
            }
            () => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string that `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the character that `text` begins with; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            // What is escaped may itself be a quote.
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// The length of the literal with a prefix, as `b"…"` or `r#"…"#`, that `text` begins with; 0 if it is none.
fn prefixed(text: &str) -> usize {
    let prefix = text.find(|c: char| !matches!(c, 'b' | 'c' | 'r')).unwrap_or(text.len());
    let rest = &text[prefix..];
    if prefix > 2 {
        return 0;
    }
    if text[..prefix].ends_with('r') {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if !rest[hashes..].starts_with('"') {
            return 0;
        }
        let close = format!("\"{}", "#".repeat(hashes));
        let body = prefix + hashes + 1;
        return text[body..].find(&close).map_or(text.len(), |at| body + at + close.len());
    }
    match rest.chars().next() {
        Some('"') => prefix + string(rest),
        Some('\'') => match character(rest) {
            0 => 0,
            length => prefix + length,
        },
        _ => 0,
    }
}

// ---- the reading itself

#[test]
fn comments_and_literals_are_blank_and_the_rest_stays() {
    let text =
        "a /* b /* c */ d */ e // f\n\"g \\\" h\" i 'j' '\\'' b'k' 'l: r#\"m \" n\"# o r\"p\\\" q bar\"s\" b\"t\"";
    let words: Vec<String> = code_of(text).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "e", "i", "'l:", "o", "q", "bar"]);
    assert_eq!(code_of(text).matches('\n').count(), 1);
}

#[test]
fn test_items_are_blank() {
    let code = without_tests("a #[cfg(test)] mod t { fn b() { c } } d #[cfg(test)] #[path = x] mod e; f");
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "d", "f"]);
}

#[test]
fn statics_are_found_and_lifetimes_are_not() {
    let code = "static A: u8 = 1; thread_local! { static B_1: C = D } fn f(x: &'static str, no_static: u8) {} static mut E: F;";
    assert_eq!(statics(code), ["A", "B_1", "E"]);
}

#[test]
fn ids_of_cases_are_prefixes_of_tests() {
    assert_eq!(id_of("KREG-05").as_deref(), Some("kreg_05_"));
    assert!(["ID", "---", "MON-4", "a-01"].iter().all(|text| id_of(text).is_none()));
    let code = "fn mon_04_help() {} #[biotope::test(seeds = 2)] async fn mon_04_a() {} fn mon_04_b() {}";
    assert!(is_test(code, "mon_04_a"));
    assert!(!is_test(code, "mon_04_b") && !is_test(code, "mon_04_help") && !is_test(code, "mon_04"));
}

#[test]
fn references_are_a_file_and_a_function() {
    let text = "1. `a/b.rs` `C::d`, as `e` says; then `f.rs` (`g`), `h.rs` `i` — `j`";
    assert_eq!(references(text), [("a/b.rs", "C::d"), ("h.rs", "i")]);
}
