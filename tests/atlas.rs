//! The atlas as one runs it: as OS processes, on this workspace's own sources.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The example, which cargo has built beside this test.
fn atlas() -> Command {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps");
    let atlas = folder.join("examples").join("atlas");
    assert!(
        atlas.exists(),
        "cargo builds examples only when it tests everything; alone: `cargo build --example atlas`"
    );
    let mut command = Command::new(atlas);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("RUST_LOG");
    command
}

/// Some hundred files, so that there is something to kill in the middle of.
fn inputs() -> Vec<PathBuf> {
    ["runtime", "supervision", "distribution", "macros", "examples"].map(PathBuf::from).to_vec()
}

fn run(arguments: &[&str]) -> (Value, Output) {
    let output = atlas().args(arguments).args(inputs()).output().expect("the example runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    let summary = serde_json::from_str(last).unwrap_or_else(|_| panic!("the last line is no JSON: {output:?}"));
    (summary, output)
}

/// The atlas is the same to the byte, whatever the wiring and whoever dies.
#[test]
fn the_atlas_is_the_same_whatever_dies() {
    let (local, output) = run(&["--local", "--json"]);
    assert!(output.status.success());
    assert_eq!((&local["killed"], &local["nodes"]), (&Value::from(0), &Value::from(1)));
    let wirings: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("mesh", &["b-a", "c-a"][..]),
        // After a kill the two that are left are each other's successors.
        ("ring", &["b-c", "c-a", "b-a"]),
        ("tree", &["b-a", "c-b", "c-a"]),
    ]);
    for (topology, edges) in wirings {
        let (summary, output) = run(&["--topology", topology, "--json"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(summary["digest"], local["digest"]);
        assert_eq!(summary["files"], local["files"]);
        for (field, expected) in [("nodes", 3), ("killed", 1), ("panicked", 1), ("lost", 0)] {
            assert_eq!(summary[field], Value::from(expected), "{field} in {summary}");
        }
        assert!(summary["reassigned"].as_u64() >= Some(1), "{summary}");
        assert_eq!(summary["topology"], topology);
        let carried = summary["edges"].as_object().expect("edges by name");
        assert!(!carried.is_empty());
        assert!(carried.keys().all(|edge| edges.contains(&edge.as_str())), "{topology}: {carried:?}");
    }
}

/// Every file is in the row of the node that delivered it, also of the one that was killed afterwards.
#[test]
fn the_table_of_nodes_accounts_for_every_file() {
    let (summary, output) = run(&[]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, table) = text.split_once("\nNodes\n").expect("there is a table of nodes");
    let rows = table.lines().take_while(|line| !line.is_empty()).filter(|line| line.starts_with('│')).skip(1);
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(['│', '┆']).map(str::trim).collect()).collect();
    let files = rows.iter().map(|row| row[2].parse::<u64>().expect("a number of files"));
    assert_eq!(Value::from(files.sum::<u64>()), summary["files"], "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row[1].ends_with(", lost")).count(), 1, "{rows:?}");
}

/// Without faults nobody is killed, and the far end of a chain comes home by way of the middle.
#[test]
fn a_tree_without_faults_relays() {
    let (summary, output) = run(&["--topology", "tree", "--no-faults", "--json"]);
    assert!(output.status.success());
    assert_eq!((&summary["killed"], &summary["panicked"]), (&Value::from(0), &Value::from(0)));
    let edges = summary["edges"].as_object().expect("edges by name");
    let names: Vec<&str> = edges.keys().map(String::as_str).collect();
    assert_eq!(names, ["b-a", "c-b"]);
    assert!(edges["b-a"].as_u64() > edges["c-b"].as_u64(), "b passes on what c found: {edges:?}");
}

/// A loss is counted, said, and seen in the exit code.
#[test]
fn a_lost_result_fails_the_run() {
    let (summary, output) = run(&["--drop-result", "--json"]);
    assert_eq!(summary["lost"], Value::from(1));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 results were lost"));
}

#[test]
fn a_public_name_is_found() {
    let output = atlas().args(["--local", "--query", "EcosystemRef", "supervision"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("ecosystem/handle.rs"), "{text}");
}

#[test]
fn a_path_that_does_not_exist_is_said() {
    for (arguments, who) in [(&["--local"][..], ""), (&[], "node a: ")] {
        let output = atlas().args(arguments).arg("no/such/path").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.starts_with(&format!("atlas: {who}cannot scan no/such/path: ")), "{said}");
    }
}

/// The OS processes whose command line names `folder`.
fn left_behind(folder: &Path) -> Vec<String> {
    let all = std::fs::read_dir("/proc").expect("Linux has /proc");
    let lines = all.flatten().filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(&*folder.to_string_lossy())).collect()
}

/// Goal: no OS process is left behind, neither by Ctrl-C nor when the launcher itself is killed.
/// Method: the nodes' command lines name a temporary folder of this test.
#[test]
fn nobody_is_left_behind() {
    for signal in ["INT", "TERM", "KILL"] {
        let folder = tempfile::tempdir().unwrap();
        // All that it reads by default, so that it is far from done when the signal comes.
        let mut launcher = atlas()
            .args(["--json"])
            .env("TMPDIR", folder.path())
            .env("RUST_LOG", "biotope=info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A node says on standard error that a peer is up: then all of it runs.
        let mut said = BufReader::new(launcher.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.is_ok_and(|line| line.contains("node up"))));
        assert!(!left_behind(folder.path()).is_empty(), "the nodes run");
        let killed = Command::new("kill").args(["-s", signal, &launcher.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert!(!launcher.wait().unwrap().success());
        // The nodes hold the other end of this pipe: it ends when the last of them has ended.
        said.for_each(drop);
        let left = left_behind(folder.path());
        assert!(left.is_empty(), "after SIG{signal}: {left:?}");
    }
}
