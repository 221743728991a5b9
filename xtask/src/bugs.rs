//! Known bugs, put back on purpose: each must be caught by the test that it names.
//!
//! Each patch in `tests/bugs` begins with what the bug is, and with lines of this form:
//!
//! ```text
//! # bug: …
//! # caught by: loom models::…
//! # caught by: test -p biotope-runtime --test it …
//! # caught by: address -p biotope-runtime --test it …
//! ```
//!
//! It is applied to a copy of the workspace below `target/bugs`. The copy without a patch comes first: there
//! every test must pass.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::step::{Failure, output_of, root};
use crate::trial::{Trial, Verdict, Way};

/// Which bugs are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    All,
    /// Those that need no sanitizer: for CI.
    Quick,
    Named(&'a str),
}

/// A known bug.
struct Bug {
    name: String,
    patch: PathBuf,
    what: String,
    trials: Vec<Trial>,
}

/// What became of a bug and one of its tests.
struct Row {
    bug: String,
    trial: Trial,
    verdict: Verdict,
    seconds: f64,
}

/// Applies each patch and runs its tests; prints a table. Fails if one of them passes.
pub(crate) fn check(which: Which<'_>) -> Result<(), Failure> {
    let mut bugs = read_all()?;
    match which {
        Which::All => {}
        Which::Quick => {
            for bug in &mut bugs {
                bug.trials.retain(|trial| !matches!(trial.way, Way::Sanitized(_)));
            }
            bugs.retain(|bug| !bug.trials.is_empty());
        }
        Which::Named(name) => bugs.retain(|bug| bug.name == name),
    }
    if bugs.is_empty() {
        return Err("there is no such bug in tests/bugs".into());
    }
    let copy = Copy::new()?;
    copy.check_without(&bugs)?;
    let mut rows = Vec::new();
    for bug in &bugs {
        println!("==> {}: {}", bug.name, bug.what);
        copy.renew()?;
        copy.apply(&bug.patch)?;
        for trial in &bug.trials {
            let start = Instant::now();
            let verdict = copy.run(trial)?;
            let row =
                Row { bug: bug.name.clone(), trial: trial.clone(), verdict, seconds: start.elapsed().as_secs_f64() };
            println!("{}", row.text());
            rows.push(row);
        }
    }
    copy.renew()?;
    println!("| patch | caught by | seeds needed | caught | seconds |\n|---|---|---|---|---|");
    for row in &rows {
        println!("{}", row.text());
    }
    match rows.iter().filter(|row| row.verdict == Verdict::Passed).count() {
        0 => Ok(()),
        missed => Err(format!("{missed} of {} were not caught", rows.len())),
    }
}

impl Row {
    fn text(&self) -> String {
        let (seeds, caught) = match self.verdict {
            Verdict::Passed => ("–".into(), "NO"),
            Verdict::Failed(Some(seed)) => ((seed + 1).to_string(), "yes"),
            Verdict::Failed(None) => ("–".into(), "yes"),
            Verdict::Crashed => ("–".into(), "yes, by a crash"),
            Verdict::Hung => ("–".into(), "yes, by a hang"),
        };
        format!("| `{}` | {} | {seeds} | {caught} | {:.1} |", self.bug, self.trial.name(), self.seconds)
    }
}

/// All bugs there are, by name.
fn read_all() -> Result<Vec<Bug>, Failure> {
    let folder = root().join("tests/bugs");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let patches = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let patches: BTreeSet<PathBuf> =
        patches.filter(|path| path.extension().is_some_and(|end| end == "patch")).collect();
    patches.into_iter().map(Bug::read).collect()
}

impl Bug {
    fn read(patch: PathBuf) -> Result<Self, Failure> {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&patch).map_err(|error| format!("{name}: {error}"))?;
        let (what, trials) = head_of(&text).map_err(|failure| format!("{name}: {failure}"))?;
        Ok(Self { name, patch, what, trials })
    }
}

/// What the head of a patch says: what the bug is, and what catches it.
fn head_of(text: &str) -> Result<(String, Vec<Trial>), Failure> {
    let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
    let fields = |key: &'static str| head.iter().filter_map(move |line| line.strip_prefix(key));
    let what = fields("bug: ").next().ok_or("its head does not say what the bug is")?;
    let trials: Vec<Trial> = fields("caught by: ").map(Trial::read).collect::<Result<_, _>>()?;
    if trials.is_empty() {
        return Err("its head names no test".into());
    }
    Ok((what.to_owned(), trials))
}

/// The workspace once more, to be patched, and where it is built.
struct Copy {
    folder: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new() -> Result<Self, Failure> {
        let bugs = root().join("target/bugs");
        let copy = Self { folder: bugs.join("copy"), target: bugs.join("target") };
        copy.renew()?;
        Ok(copy)
    }

    /// Makes the copy equal to the workspace. What is equal is not touched, so that it is not built again.
    fn renew(&self) -> Result<(), Failure> {
        let mut git = Command::new("git");
        git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(root());
        let list = output_of(git)?;
        let files: BTreeSet<PathBuf> = list
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .filter(|path| root().join(path).is_file())
            .collect();
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        for path in &files {
            let (from, to) = (root().join(path), self.folder.join(path));
            let bytes = fs::read(&from).map_err(|error| failed(&from, error))?;
            if fs::read(&to).is_ok_and(|there| there == bytes) {
                continue;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
            }
            fs::write(&to, bytes).map_err(|error| failed(&to, error))?;
        }
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
                let path = entry.map_err(|error| failed(&folder, error))?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.strip_prefix(&self.folder).is_ok_and(|path| !files.contains(path)) {
                    fs::remove_file(&path).map_err(|error| failed(&path, error))?;
                }
            }
        }
        Ok(())
    }

    fn apply(&self, patch: &Path) -> Result<(), Failure> {
        let mut git = Command::new("git");
        git.args(["apply", "--recount", "-C2"]).arg(patch).current_dir(&self.folder);
        // The copy is no part of the repository that it lies in.
        git.env("GIT_CEILING_DIRECTORIES", self.folder.parent().unwrap_or(&self.folder));
        output_of(git).map(drop).map_err(|failure| format!("{failure}; the code has moved: renew the patch"))
    }

    /// Every test that is to catch a bug passes where there is none.
    fn check_without(&self, bugs: &[Bug]) -> Result<(), Failure> {
        println!("==> without a bug");
        let mut done: Vec<&Trial> = Vec::new();
        for trial in bugs.iter().flat_map(|bug| &bug.trials) {
            if done.contains(&trial) {
                continue;
            }
            done.push(trial);
            let start = Instant::now();
            let verdict = self.run(trial)?;
            println!("{}: {verdict:?} after {:.1} s", trial.name(), start.elapsed().as_secs_f64());
            if verdict != Verdict::Passed {
                return Err(format!("{} does not pass without a bug: {verdict:?}", trial.name()));
            }
        }
        Ok(())
    }

    fn run(&self, trial: &Trial) -> Result<Verdict, Failure> {
        let program = trial.build(&self.folder, &self.target)?;
        trial.run(&program, &self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_what_it_breaks_and_what_catches_it() {
        let text = "# bug: a wake is lost\n# which is bad\n# caught by: loom a\n# caught by: test --lib b\ndiff --git\n# bug: no\n";
        let (what, trials) = head_of(text).expect("a head");
        assert_eq!((&*what, trials.len()), ("a wake is lost", 2));
        assert!(head_of("# bug: a\n").is_err());
        assert!(head_of("# caught by: loom a\n").is_err());
    }

    #[test]
    fn every_patch_can_be_read() {
        assert!(read_all().is_ok_and(|bugs| !bugs.is_empty()), "{:?}", read_all().err());
    }
}
