//! One test, built and run apart from cargo, so that "does not compile", "fails", "crashes" and "hangs" are
//! told apart.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::loom;
use crate::sanitize::Sanitizer;
use crate::step::{Failure, cargo_in};

/// A test that takes longer hangs. The longest takes a minute on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// A test, and how it is run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trial {
    pub(crate) way: Way,
    /// Which program cargo builds.
    arguments: Vec<String>,
    /// The test in it.
    pub(crate) test: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// A loom model.
    Loom,
    /// As it is.
    Plain,
    /// Under a sanitizer.
    Sanitized(Sanitizer),
}

/// How a trial ended.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Passed,
    /// It failed; under this seed, if it has seeds.
    Failed(Option<u64>),
    /// A signal ended the program, or the sanitizer did.
    Crashed,
    Hung,
}

impl Trial {
    /// Reads what `caught by:` says: `loom TEST`, or a way, arguments for cargo, and the test.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (way, arguments, test) = match words[..] {
            ["loom", test] => (Way::Loom, loom::MODELS.to_vec(), test),
            ["test", ref arguments @ .., test] if !arguments.is_empty() => (Way::Plain, arguments.to_vec(), test),
            [name, ref arguments @ .., test] if !arguments.is_empty() => match Sanitizer::from_name(name) {
                Some(sanitizer) => (Way::Sanitized(sanitizer), arguments.to_vec(), test),
                None => return Err(format!("`{name}` is no way to run a test")),
            },
            _ => return Err(format!("`{text}` names no test")),
        };
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Ok(Self { way, arguments, test: test.to_owned() })
    }

    /// How it is called in the table.
    pub(crate) fn name(&self) -> String {
        match self.way {
            Way::Loom => format!("loom `{}`", self.test),
            Way::Plain => format!("`{}`", self.test),
            Way::Sanitized(sanitizer) => format!("{} sanitizer `{}`", sanitizer.name(), self.test),
        }
    }

    /// Builds the program from the workspace in `folder`. `Err` if that fails.
    pub(crate) fn build(&self, folder: &Path, target: &Path) -> Result<PathBuf, Failure> {
        let mut command = cargo_in(folder, ["test", "--quiet", "--no-run", "--message-format=json-render-diagnostics"]);
        command.arg("--target-dir").arg(target).args(&self.arguments);
        if let Way::Sanitized(sanitizer) = self.way {
            sanitizer.build_with(&mut command);
        }
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("{command:?} did not start: {error}"))?;
        if !output.status.success() {
            return Err(format!("{command:?} failed: {}", output.status));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let programs = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let programs: Vec<PathBuf> =
            programs.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect();
        match <[PathBuf; 1]>::try_from(programs) {
            Ok([program]) => Ok(program),
            Err(programs) => Err(format!("{command:?} built {} programs, not one", programs.len())),
        }
    }

    /// Runs the test of `program`, which was built from the workspace in `folder`. `Err` if there is no such
    /// test in it.
    pub(crate) fn run(&self, program: &Path, folder: &Path) -> Result<Verdict, Failure> {
        let mut command = Command::new(program);
        command.args(["--exact", "--nocapture", "--test-threads=1", &self.test]).env("RUST_BACKTRACE", "0");
        // Where cargo would run it.
        command.current_dir(folder.join("runtime")).stdin(Stdio::null());
        if let Way::Sanitized(sanitizer) = self.way {
            sanitizer.run_with(&mut command);
        }
        let (text, status) = output_in_time(command)?;
        if !text.contains("\nrunning 1 test\n") {
            return Err(format!("there is no test `{}` in {}", self.test, program.display()));
        }
        Ok(match status {
            None => Verdict::Hung,
            Some(status) if status.success() => Verdict::Passed,
            // What libtest says of a test that failed.
            Some(status) if status.code() == Some(101) => Verdict::Failed(seed_in(&text)),
            Some(_) => Verdict::Crashed,
        })
    }
}

/// All that `command` prints, and how it ended, if it did in time.
fn output_in_time(mut command: Command) -> Result<(String, Option<std::process::ExitStatus>), Failure> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("{command:?} did not start: {error}"))?;
    let (sender, done) = mpsc::channel();
    let read = |mut from: Box<dyn Read + Send>| {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read up to an error is read.
            let _ = from.read_to_end(&mut bytes);
            let _ = sender.send(());
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("a child has no pipes".into());
    };
    let readers = [read(Box::new(out)), read(Box::new(err))];
    // Both pipes are closed when it ends.
    let ended = (0..2).all(|_| done.recv_timeout(LIMIT).is_ok());
    if !ended {
        child.kill().map_err(|error| format!("{command:?} could not be ended: {error}"))?;
    }
    let status = child.wait().map_err(|error| format!("{command:?} was not waited for: {error}"))?;
    let texts = readers.map(|reader| reader.join().unwrap_or_default());
    Ok((texts.concat(), ended.then_some(status)))
}

/// The seed in the text of a test that failed under one.
fn seed_in(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(" under seed ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_a_way_arguments_and_a_test() {
        let model = Trial::read("loom models::a").expect("a model");
        assert_eq!((model.way, &*model.test), (Way::Loom, "models::a"));
        let plain = Trial::read("test -p biotope-runtime --test it b::c").expect("a test");
        assert_eq!((plain.way, plain.arguments.len(), &*plain.test), (Way::Plain, 4, "b::c"));
        let watched = Trial::read("address -p biotope-runtime --lib d").expect("a test under a sanitizer");
        assert_eq!(watched.way, Way::Sanitized(Sanitizer::Address));
        for wrong in ["", "loom", "loom a b", "test a", "valgrind --lib a"] {
            assert!(Trial::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_seed_of_a_failure_is_found() {
        assert_eq!(seed_in("x\nsig_03 under seed 17: left != right\nreplay: …"), Some(17));
        assert_eq!(seed_in("sig_03: left != right"), None);
    }
}
