//! Where cargo has packages on disk, and what each is called.
//!
//! Cargo is asked two questions only: which folders belong to the workspace and its dependencies, and
//! (by reading the nearest `Cargo.toml`) what the package around a file is called. Both answers are made of
//! names and versions, so that nothing in them depends on where a checkout or cargo's home lies.
//!
//! # When cargo cannot say
//! `cargo metadata --offline` fails as long as a single package of the lock file has never been downloaded.
//! That is the normal state after `cargo run --example atlas` on a fresh machine: cargo fetched what the example
//! needs, and not what the other members' tests need. [`folders_of_workspace`] then takes every package of
//! `Cargo.lock` that lies unpacked in cargo's registry folder, which is what "on disk" means. Vendored and git
//! dependencies are found by the first way only.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// Lists the folders of the packages of the workspace at `manifest_dir` and of all its dependencies on disk.
///
/// # Errors
/// [`CargoFailed`] when cargo does not run or cannot even describe the workspace itself.
pub(crate) fn folders_of_workspace(manifest_dir: &Path) -> Result<Vec<PathBuf>, CargoFailed> {
    let host = host(&cargo(manifest_dir, &["-vV"])?)?;
    // `--locked`: looking at the sources must not change the checkout.
    let whole = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", &host];
    if let Ok(answer) = cargo(manifest_dir, &whole) {
        return Ok(read_metadata(&answer)?.packages);
    }

    let members = ["metadata", "--offline", "--no-deps", "--format-version", "1"];
    let Metadata { mut packages, root } = read_metadata(&cargo(manifest_dir, &members)?)?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    if let Some(home) = cargo_home() {
        packages.extend(unpacked(&lock, &home));
    }
    Ok(packages)
}

/// Names the package around a file, remembering each `Cargo.toml` it has read.
#[derive(Default)]
pub(crate) struct Packages {
    /// For each folder seen: the package whose root it is, if it is one.
    seen: HashMap<PathBuf, Option<String>>,
}

impl Packages {
    /// Finds the innermost package around `file`: its folder, and its name and version as `name-version`.
    ///
    /// The workspace's root package has other packages' folders inside its own, hence "innermost".
    pub(crate) fn around<'a>(&mut self, file: &'a Path) -> Option<(&'a Path, String)> {
        file.ancestors().skip(1).find_map(|folder| {
            if !self.seen.contains_key(folder) {
                self.seen.insert(folder.to_owned(), label(folder));
            }
            let label = self.seen.get(folder).cloned().flatten();
            Some((folder, label?))
        })
    }
}

/// Why the default inputs could not be listed. Naming paths on the command line works without cargo.
#[derive(Debug)]
pub(crate) enum CargoFailed {
    /// Cargo could not be started.
    NotRun { cargo: OsString, source: io::Error },
    /// Cargo ran and said no; this is what it wrote.
    Refused { command: String, stderr: String },
    /// Cargo's answer was not of the documented form.
    Unreadable { what: &'static str },
}

impl fmt::Display for CargoFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRun { cargo, source } => {
                write!(f, "cannot start {}: {source}", cargo.display())
            }
            Self::Refused { command, stderr } => {
                write!(f, "`cargo {command}` failed: {}", stderr.trim())
            }
            Self::Unreadable { what } => write!(f, "cargo's answer has no readable {what}"),
        }
    }
}

impl std::error::Error for CargoFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotRun { source, .. } => Some(source),
            Self::Refused { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// Runs cargo and hands back what it printed.
fn cargo(folder: &Path, args: &[&str]) -> Result<String, CargoFailed> {
    // Cargo sets this for what it runs, so that the same toolchain answers.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ran = Command::new(&cargo).args(args).current_dir(folder).stdin(Stdio::null()).output();
    let output = ran.map_err(|source| CargoFailed::NotRun { cargo, source })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(CargoFailed::Refused { command: args.join(" "), stderr });
    }
    String::from_utf8(output.stdout).map_err(|_| CargoFailed::Unreadable { what: "text" })
}

/// Picks the platform out of `cargo -vV`.
fn host(version: &str) -> Result<String, CargoFailed> {
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or(CargoFailed::Unreadable { what: "host" })
}

struct Metadata {
    packages: Vec<PathBuf>,
    root: PathBuf,
}

fn read_metadata(answer: &str) -> Result<Metadata, CargoFailed> {
    #[derive(serde::Deserialize)]
    struct Answer {
        packages: Vec<Package>,
        workspace_root: PathBuf,
    }
    #[derive(serde::Deserialize)]
    struct Package {
        manifest_path: PathBuf,
    }

    let unreadable = |_| CargoFailed::Unreadable { what: "metadata" };
    let answer: Answer = serde_json::from_str(answer).map_err(unreadable)?;
    let folder = |package: &Package| package.manifest_path.parent().map(Path::to_owned);
    Ok(Metadata { packages: answer.packages.iter().filter_map(folder).collect(), root: answer.workspace_root })
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// The folders of the packages in `lock` that some registry below cargo's `home` has unpacked.
fn unpacked(lock: &str, home: &Path) -> Vec<PathBuf> {
    let registries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    let registries: Vec<_> = registries.map(|registry| registry.path()).collect();
    let mut found = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let (Some(name), Some(version)) = (value(package, "name"), value(package, "version")) else {
            continue;
        };
        let folders = registries.iter().map(|registry| registry.join(format!("{name}-{version}")));
        found.extend(folders.filter(|folder| folder.is_dir()));
    }
    found
}

/// The `name-version` of the package whose root is `folder`; only the name if no version can be found.
fn label(folder: &Path) -> Option<String> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    let package = table(&manifest, "[package]")?;
    let name = value(package, "name")?;
    let version = value(package, "version").map(str::to_owned).or_else(|| inherited_version(folder));
    Some(version.map_or_else(|| name.to_owned(), |version| format!("{name}-{version}")))
}

/// The version that members of the workspace around `folder` share.
fn inherited_version(folder: &Path) -> Option<String> {
    folder.ancestors().find_map(|folder| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        value(table(&manifest, "[workspace.package]")?, "version").map(str::to_owned)
    })
}

/// The lines below the header `header`, up to the next one.
///
/// This reads the few lines of TOML that cargo's own files have, not TOML.
fn table<'a>(manifest: &'a str, header: &str) -> Option<&'a str> {
    let mut starts = manifest.match_indices(header).map(|(at, _)| at);
    let start = starts.find(|&at| at == 0 || manifest[..at].ends_with('\n'))?;
    let body = &manifest[start + header.len()..];
    Some(body.find("\n[").map_or(body, |end| &body[..end]))
}

/// The string that `key` is set to in `table`.
fn value<'a>(table: &'a str, key: &str) -> Option<&'a str> {
    table.lines().find_map(|line| {
        let set = line.trim_start().strip_prefix(key)?.trim_start().strip_prefix('=')?.trim_start();
        let quote = set.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        set[1..].split(quote).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_by_its_manifest() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "Cargo.toml", "[package]\nedition = \"2024\"\nname = \"outer\" # it is\nversion = '1.2.3'\n");
        write(dir.path(), "inner/Cargo.toml", "[dependencies]\nname = \"no\"\n[package]\nname=\"inner\"\n");

        let mut packages = Packages::default();
        let mut around = |file: &str| packages.around(&dir.path().join(file)).map(|(_, label)| label);
        assert_eq!(around("src/lib.rs").as_deref(), Some("outer-1.2.3"));
        assert_eq!(around("inner/src/deep/er.rs").as_deref(), Some("inner"));
        assert_eq!(around("other/lib.rs").as_deref(), Some("outer-1.2.3"));
    }

    #[test]
    fn a_member_takes_the_version_of_its_workspace() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "Cargo.toml", "[workspace]\nmembers = []\n\n[workspace.package]\nversion = \"7.0.1\"\n");
        write(dir.path(), "member/Cargo.toml", "[package]\nname = \"member\"\nversion.workspace = true\n");

        assert_eq!(label(&dir.path().join("member")).as_deref(), Some("member-7.0.1"));
        assert_eq!(label(dir.path()), None, "a workspace without a package has no name");
    }

    #[test]
    fn without_metadata_the_lock_file_says_what_to_look_for() {
        let home = tempfile::tempdir().unwrap();
        let here = home.path().join("registry/src/index-1/here-1.0.0");
        fs::create_dir_all(&here).unwrap();
        fs::create_dir_all(home.path().join("registry/src/index-1/unlisted-1.0.0")).unwrap();
        let lock = "version = 4\n\n[[package]]\nname = \"here\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"absent\"\nversion = \"2.0.0\"\n";

        assert_eq!(unpacked(lock, home.path()), [here]);
    }

    #[test]
    fn garbage_from_cargo_is_an_error() {
        assert!(matches!(host("cargo 1.95.0\n"), Err(CargoFailed::Unreadable { what: "host" })));
        assert!(matches!(read_metadata("{\"packages\":3}"), Err(CargoFailed::Unreadable { .. })));
        assert_eq!(host("cargo 1\nhost: a-b-c\n").unwrap(), "a-b-c");
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}
