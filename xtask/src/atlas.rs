//! The atlas example: what must hold for a run with faults, in every topology, and many runs in a row.

use serde_json::Value;

use crate::step::{Failure, Steps, cargo, output_of};

const TOPOLOGIES: [&str; 3] = ["mesh", "ring", "tree"];

/// This workspace's own sources.
const SOURCES: [&str; 8] = ["runtime", "macros", "supervision", "distribution", "testkit", "src", "examples", "tests"];

/// The last line of a run.
struct Summary(Value);

/// One run in each topology over this workspace's own sources, against a run on one node.
pub(crate) fn check(steps: &mut Steps) -> Result<(), Failure> {
    let local = steps.time("example atlas --local", || {
        let local = run(&["--local"], &SOURCES)?;
        local.must_be("lost", 0)?;
        println!("{}", local.0);
        Ok(local)
    })?;
    for topology in TOPOLOGIES {
        steps.time(&format!("example atlas --topology {topology}"), || {
            let summary = run(&["--topology", topology], &SOURCES)?;
            println!("{}", summary.0);
            summary.survived_its_faults(topology, &local)
        })?;
    }
    Ok(())
}

/// `runs` runs in a row in each topology, over all that the atlas reads by default; prints a table.
pub(crate) fn soak(runs: u32) -> Result<(), Failure> {
    output_of(cargo(["build", "--release", "--example", "atlas"]))?;
    let local = run(&["--local"], &[])?;
    println!("--local: {} files, digest {}, {:.1} s", local.number("files")?, local.digest()?, local.seconds());
    println!("| topology | run | files | killed | panicked | reassigned | lost | bytes of results | seconds |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for topology in TOPOLOGIES {
        for number in 1..=runs {
            let summary = run(&["--topology", topology], &[])?;
            summary
                .survived_its_faults(topology, &local)
                .map_err(|failure| format!("{topology}, run {number}: {failure}\n{}", summary.0))?;
            println!(
                "| {topology} | {number} | {} | {} | {} | {} | {} | {} | {:.1} |",
                summary.number("files")?,
                summary.number("killed")?,
                summary.number("panicked")?,
                summary.number("reassigned")?,
                summary.number("lost")?,
                summary.edges().map(|edges| edges.values().filter_map(Value::as_u64).sum::<u64>())?,
                summary.seconds(),
            );
        }
    }
    println!("all digests are equal to that of --local");
    Ok(())
}

/// Runs the atlas, which must succeed, and reads its last line.
fn run(options: &[&str], paths: &[&str]) -> Result<Summary, Failure> {
    let mut command = cargo(["run", "--release", "--quiet", "--example", "atlas", "--", "--json"]);
    command.args(options).args(paths);
    let text = output_of(command)?;
    let last = text.lines().last().ok_or("it printed nothing")?;
    serde_json::from_str(last).map(Summary).map_err(|error| format!("its last line is no JSON: {error}: {last}"))
}

impl Summary {
    /// What must hold for a run with faults.
    fn survived_its_faults(&self, topology: &str, local: &Summary) -> Result<(), Failure> {
        self.must_be("nodes", 3)?;
        self.must_be("killed", 1)?;
        self.must_be("panicked", 1)?;
        self.must_be("lost", 0)?;
        self.must_be("files", local.number("files")?)?;
        if self.number("reassigned")? == 0 {
            return Err("nothing was handed out again, although a node was killed".into());
        }
        if self.0["topology"] != topology {
            return Err(format!("the topology is {}, not {topology}", self.0["topology"]));
        }
        if self.edges()?.is_empty() {
            return Err("no edge carried a result".into());
        }
        if self.digest()? != local.digest()? {
            return Err(format!("the digest is {}, and {} with --local", self.digest()?, local.digest()?));
        }
        Ok(())
    }

    fn must_be(&self, field: &str, expected: u64) -> Result<(), Failure> {
        match self.number(field)? {
            number if number == expected => Ok(()),
            number => Err(format!("`{field}` is {number}, not {expected}")),
        }
    }

    fn number(&self, field: &str) -> Result<u64, Failure> {
        self.0[field].as_u64().ok_or_else(|| format!("`{field}` is no number: {}", self.0))
    }

    fn digest(&self) -> Result<&str, Failure> {
        self.0["digest"].as_str().filter(|digest| digest.len() == 64).ok_or_else(|| "there is no digest".into())
    }

    fn edges(&self) -> Result<&serde_json::Map<String, Value>, Failure> {
        self.0["edges"].as_object().ok_or_else(|| "there are no edges".into())
    }

    fn seconds(&self) -> f64 {
        self.0["seconds"].as_f64().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(text: &str) -> Summary {
        Summary(serde_json::from_str(text).expect("valid JSON"))
    }

    fn good() -> String {
        let digest = "0".repeat(64);
        format!(
            r#"{{"files":3,"digest":"{digest}","topology":"ring","nodes":3,"killed":1,"panicked":1,"reassigned":2,"lost":0,"edges":{{"a-b":9}},"seconds":1.5}}"#
        )
    }

    #[test]
    fn a_run_that_has_survived_passes() {
        let run = summary(&good());
        assert_eq!(run.survived_its_faults("ring", &run), Ok(()));
        assert!(run.survived_its_faults("mesh", &run).is_err());
    }

    #[test]
    fn each_fault_in_a_summary_is_found() {
        let local = summary(&good());
        let changes = [
            (r#""lost":0"#, r#""lost":1"#),
            (r#""killed":1"#, r#""killed":0"#),
            (r#""panicked":1"#, r#""panicked":2"#),
            (r#""reassigned":2"#, r#""reassigned":0"#),
            (r#""files":3"#, r#""files":4"#),
            (r#""digest":"0"#, r#""digest":"1"#),
            (r#"{"a-b":9}"#, "{}"),
            (r#""nodes":3"#, r#""nodes":1"#),
        ];
        for (from, to) in changes {
            let changed = summary(&good().replacen(from, to, 1));
            assert!(changed.survived_its_faults("ring", &local).is_err(), "{to}");
        }
    }
}
