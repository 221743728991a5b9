//! What processes of this project's own actors take in memory: those of the examples and of the benches.
//!
//! `biotope::sizes` measures a type, so it is called where the type has a name, which for most actors is the file that
//! they are written in. This does what whoever wonders about an actor does by hand, a test at the end of that file, and
//! for all of them: in a copy of each program, as a package of its own below `target/`. So no example carries a list of
//! its actors, and none can be missing from one.
//!
//! ```text
//!   programs in cargo's metadata ──▶ copies, each file with a test for its actors ──▶ cargo test ──▶ one listing a file
//! ```

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::step::{Failure, cargo, cargo_in, output_of};

/// The test that is added to each file.
const TEST: &str = "sizes_of_its_actors";

/// Prints the sizes of all actors.
pub(crate) fn list() -> Result<(), Failure> {
    for (file, listing) in measure()? {
        println!("---- {file}\n\n{listing}");
    }
    Ok(())
}

/// The sizes of all actors, by the file that they are in.
fn measure() -> Result<Vec<(String, String)>, Failure> {
    let metadata = output_of(cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| format!("cargo's metadata: {error}"))?;
    let workspace = Workspace::of(&metadata).ok_or("cargo's metadata is not as expected")?;
    let copies = workspace.target.join("sizes");
    let listings = copies.join("listings");
    for folder in [&copies.join("src"), &listings] {
        empty(folder)?;
    }
    write(&copies.join("Cargo.toml"), &workspace.manifest())?;
    copy(&workspace.root.join("Cargo.lock"), &copies.join("Cargo.lock"))?;
    let mut measured = Vec::new();
    for program in &workspace.programs {
        for source in files_of(program)? {
            let place = copies.join("src/bin").join(place_of(&source, program));
            let name = source.strip_prefix(&workspace.root).unwrap_or(&source).display().to_string();
            match actors_of(&source, &name)? {
                Some(actors) => {
                    let listing = listings.join(format!("{}.txt", measured.len()));
                    write(&place, &with_test(&read(&source)?, &actors, &listing))?;
                    measured.push((name, listing));
                }
                None => copy(&source, &place)?,
            }
        }
    }
    for (source, place) in shared_files(&workspace.programs)? {
        copy(&source, &copies.join("src/bin").join(place))?;
    }
    let mut tests = cargo_in(&copies, ["test", "--quiet", "--bins", "--target-dir"]);
    tests.arg(&workspace.target).arg(TEST);
    output_of(tests)?;
    measured.into_iter().map(|(name, listing)| Ok((name, read(&listing)?))).collect()
}

/// What is to be known of this workspace.
struct Workspace {
    root: PathBuf,
    /// Where cargo builds.
    target: PathBuf,
    edition: String,
    /// The first file of each example and bench.
    programs: Vec<PathBuf>,
    /// What these programs are built with, as lines of a manifest.
    dependencies: BTreeSet<String>,
}

impl Workspace {
    fn of(metadata: &Value) -> Option<Self> {
        let packages = metadata["packages"].as_array()?;
        let package = packages.iter().find(|package| package["name"] == "biotope")?;
        let targets = package["targets"].as_array()?.iter();
        let programs = targets.filter(|target| target["kind"][0] == "example" || target["kind"][0] == "bench");
        let dependencies = package["dependencies"].as_array()?.iter();
        Some(Self {
            root: metadata["workspace_root"].as_str()?.into(),
            target: metadata["target_directory"].as_str()?.into(),
            edition: package["edition"].as_str()?.to_owned(),
            programs: programs.map(|target| target["src_path"].as_str().map(PathBuf::from)).collect::<Option<_>>()?,
            dependencies: dependencies.filter(|dependency| dependency["kind"] == "dev").map(dependency_line).collect(),
        })
    }

    /// The manifest of the copies. Its profile is the workspace's, so that what is built already is used again.
    fn manifest(&self) -> String {
        let lines: String = self.dependencies.iter().map(|line| format!("{line}\n")).collect();
        format!(
            "[package]\nname = \"sizes\"\nedition = \"{}\"\n\n[workspace]\n\n[lints.rust]\nwarnings = \"allow\"\n\n\
             [profile.dev]\ndebug = \"line-tables-only\"\n\n[dependencies]\n{lines}",
            self.edition
        )
    }
}

/// `clap = { version = "^4.6", default-features = true, features = ["derive"] }`, for what cargo's metadata says.
fn dependency_line(dependency: &Value) -> String {
    let from = match &dependency["path"] {
        Value::Null => format!("version = {}", dependency["req"]),
        path => format!("path = {path}"),
    };
    let name = dependency["name"].as_str().unwrap_or_default();
    let (defaults, features) = (&dependency["uses_default_features"], &dependency["features"]);
    format!("{name} = {{ {from}, default-features = {defaults}, features = {features} }}")
}

/// The files of a program: those of its folder, if it has one of its own.
fn files_of(program: &Path) -> Result<Vec<PathBuf>, Failure> {
    match folder_of(program) {
        Some(folder) => {
            let mut files = Vec::new();
            collect(folder, &mut files)?;
            files.sort();
            Ok(files)
        }
        None => Ok(vec![program.to_owned()]),
    }
}

/// The files of the modules that programs share, with where they lie beside the programs: folders without a program of their own.
fn shared_files(programs: &[PathBuf]) -> Result<BTreeSet<(PathBuf, PathBuf)>, Failure> {
    let places: BTreeSet<&Path> =
        programs.iter().filter(|program| folder_of(program).is_none()).filter_map(|program| program.parent()).collect();
    let mut shared = BTreeSet::new();
    for place in places {
        let mut files = Vec::new();
        for entry in fs::read_dir(place).map_err(|error| format!("{}: {error}", place.display()))? {
            let path = entry.map_err(|error| format!("{}: {error}", place.display()))?.path();
            if path.is_dir() && !path.join("main.rs").exists() {
                collect(&path, &mut files)?;
            }
        }
        shared
            .extend(files.into_iter().map(|file| (file.clone(), file.strip_prefix(place).unwrap_or(&file).to_owned())));
    }
    Ok(shared)
}

fn folder_of(program: &Path) -> Option<&Path> {
    program.parent().filter(|_| program.ends_with("main.rs"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

/// Where a file of a program lies among the copies: `ring.rs`, `atlas/examiner.rs`.
fn place_of(file: &Path, program: &Path) -> PathBuf {
    let above = folder_of(program).unwrap_or(program).parent();
    above.and_then(|above| file.strip_prefix(above).ok()).unwrap_or(file).to_owned()
}

/// The names of the actors in a file, if there are any. `name` is the file's, for people.
fn actors_of(file: &Path, name: &str) -> Result<Option<Vec<String>>, Failure> {
    if file.extension().is_none_or(|extension| extension != "rs") {
        return Ok(None);
    }
    let actors = actors_in(&read(file)?).map_err(|failure| format!("{name}: {failure}"))?;
    Ok((!actors.is_empty()).then_some(actors))
}

/// The types with `#[derive(Actor)]` in `text`.
fn actors_in(text: &str) -> Result<Vec<String>, Failure> {
    let mut actors = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !derives_actor(line) {
            continue;
        }
        let declaration = lines.by_ref().find(|line| is_declaration(line)).unwrap_or_default();
        let words = declaration.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '<');
        let name = words.skip_while(|word| *word != "struct" && *word != "enum").nth(1).unwrap_or_default();
        if name.contains('<') || line.starts_with(' ') {
            return Err(format!(
                "`{}` cannot be measured: only types without parameters, at the top",
                declaration.trim()
            ));
        }
        actors.push(name.to_owned());
    }
    Ok(actors)
}

fn derives_actor(line: &str) -> bool {
    let derived = line.trim_start().strip_prefix("#[derive(").and_then(|rest| rest.split(')').next());
    derived.is_some_and(|derived| derived.split(',').any(|name| name.trim() == "Actor"))
}

fn is_declaration(line: &str) -> bool {
    line.split_whitespace().any(|word| word == "struct" || word == "enum")
}

/// The file, with a test that writes the sizes of its actors to `listing`.
fn with_test(text: &str, actors: &[String], listing: &Path) -> String {
    let mut sizes = String::new();
    for actor in actors {
        let _ = write!(sizes, "::biotope::sizes::<{actor}>().to_string(), ");
    }
    format!("{text}\n#[test]\nfn {TEST}() {{\n    std::fs::write({listing:?}, [{sizes}].join(\"\\n\")).unwrap();\n}}\n")
}

fn empty(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    make_room_for(file)?;
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    make_room_for(to)?;
    fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", from.display()))
}

fn make_room_for(file: &Path) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_found_by_its_derive_whatever_stands_around_it() {
        let text = "
#[derive(Debug, Clone)]
struct Item;

#[derive(Actor, Default)]
#[actor(mailbox = bounded(8))]
/// Docs.
pub(crate) struct Cart {
    items: Vec<Item>,
}

#[derive(Actor)]
struct Gauge;

#[derive(Actors)]
enum Nobody {}
";
        assert_eq!(actors_in(text), Ok(vec!["Cart".to_owned(), "Gauge".to_owned()]));
    }

    #[test]
    fn an_actor_that_cannot_be_measured_is_not_left_out_in_silence() {
        for text in ["#[derive(Actor)]\nstruct Shelf<T>(T);", "mod shop {\n    #[derive(Actor)]\n    struct Cart;\n}"] {
            assert!(actors_in(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_keeps_its_place_among_those_of_its_program() {
        let (single, folder) = (Path::new("/a/examples/ring.rs"), Path::new("/a/benches/engine/main.rs"));
        assert_eq!(place_of(single, single), Path::new("ring.rs"));
        assert_eq!(place_of(Path::new("/a/benches/engine/rows/big.rs"), folder), Path::new("engine/rows/big.rs"));
    }

    #[test]
    fn a_dependency_is_written_as_it_was() {
        let dependency = serde_json::json!({
            "name": "clap", "req": "^4.6", "path": null, "uses_default_features": false, "features": ["derive"],
        });
        let line = "clap = { version = \"^4.6\", default-features = false, features = [\"derive\"] }";
        assert_eq!(dependency_line(&dependency), line);
    }
}
