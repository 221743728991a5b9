//! Who does the work: a program, in which forms, at which version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Outcome;

/// Where this workspace lies.
pub(crate) const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");

/// One contender.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    program: PathBuf,
    forms: Vec<Form>,
}

/// A form in which a contender does what it is asked for.
pub(crate) struct Form {
    asked: String,
    pub(crate) name: String,
    /// What its program is told, before the count.
    arguments: Vec<String>,
}

/// What biotope and tokio do in another form too: who, the row of the bench, what is asked for, and the form.
const OTHER_FORMS: [(&str, &str, &str, &str); 7] = [
    ("biotope", "one_to_one_bounded", "one_to_one", "bounded"),
    ("biotope", "ping_pong_straight", "ping_pong", "straight-line"),
    ("biotope", "ring_1_straight", "ring_1", "straight-line"),
    ("biotope", "ring_100_straight", "ring_100", "straight-line"),
    ("biotope", "spawn_straight", "spawn", "straight-line"),
    ("tokio", "one_to_one_bounded", "one_to_one", "bounded"),
    ("tokio", "monitors_bare", "monitors", "bare"),
];

impl Contender {
    /// All of them, with biotope first.
    pub(crate) fn all() -> Outcome<Vec<Self>> {
        let engine = bench("engine")?;
        let mut all =
            vec![Self::of_bench(&engine, "biotope", "actor")?, Self::of_bench(&engine, "tokio", "unbounded")?];
        for peer in ["ractor", "kameo", "actix"] {
            all.push(Self::of_program(peer, Path::new(HERE).join("target/release").join(format!("peer-{peer}")))?);
        }
        all.push(Self::of_program("erlang", Path::new(HERE).join("erlang/peer"))?);
        Ok(all)
    }

    /// One of the two whose programs are the project's own bench.
    fn of_bench(engine: &Path, name: &'static str, usual: &str) -> Outcome<Self> {
        let rows = said(Command::new(engine).args(["--rows", name]))?;
        let form = |row: &str| {
            let other = OTHER_FORMS.iter().find(|(who, other, ..)| (*who, *other) == (name, row));
            let (asked, form) = other.map_or((row, usual), |&(.., asked, form)| (asked, form));
            Form { asked: asked.into(), name: form.into(), arguments: ["--child", row, name].map(Into::into).into() }
        };
        Ok(Self {
            name,
            version: locked_version(name)?,
            program: engine.into(),
            forms: rows.lines().map(form).collect(),
        })
    }

    fn of_program(name: &'static str, program: PathBuf) -> Outcome<Self> {
        let list = said(Command::new(&program).arg("--list"))?;
        let form = |line: &str| {
            let (asked, form) = line.split_once(' ')?;
            Some(Form { asked: asked.into(), name: form.into(), arguments: vec![asked.into(), form.into()] })
        };
        let forms = list.lines().filter_map(form).collect();
        Ok(Self { name, version: said(Command::new(&program).arg("--version"))?, program, forms })
    }

    /// The forms in which it does what is called `asked`; none if it does not.
    pub(crate) fn forms_of(&self, asked: &str) -> impl Iterator<Item = &Form> {
        self.forms.iter().filter(move |form| form.asked == asked)
    }

    /// Its program, about to do `count` units.
    pub(crate) fn command(&self, form: &Form, count: u64) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&form.arguments).arg(count.to_string());
        command
    }
}

/// At which version the project's lock file has a package.
fn locked_version(package: &str) -> Outcome<String> {
    let path = Path::new(PROJECT).join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{package}\"\n")));
    let version = entry.and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
    version
        .map(|version| format!("{package} {version}"))
        .ok_or_else(|| format!("{package} is not in {}", path.display()))
}

/// Builds a bench of the project's and says where its program is.
fn bench(name: &str) -> Outcome<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["bench", "--bench", name, "--no-run", "--message-format", "json"]).current_dir(PROJECT);
    let messages = said(&mut command)?;
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built =
        artifacts.filter(|artifact| artifact["target"]["name"] == name && artifact["executable"].is_string());
    let program = built.next_back().and_then(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    program.ok_or_else(|| format!("the bench `{name}` was not built"))
}

/// What a command says on its standard output.
pub(crate) fn said(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }
}
