//! Which files the atlas is made of.
//!
//! ```text
//!   paths given ──┐
//!                 ├──▶ folders ──▶ every .rs file ──▶ key: package-version/relative/path.rs
//!   this workspace┘    (walked)                       (the innermost package around the file)
//!   and its dependencies
//! ```
//!
//! # Keys
//! A file is known by its key everywhere after this chapter: to the coordinator, on the wire and in the digest.
//! The key is made of the name and version of the package around the file and the path inside that package, with
//! `/` between. A file outside any package is keyed by the name of the folder that was given and the path below it.
//! No key holds an absolute path, so two checkouts of the same sources have the same keys.
//!
//! # Not scanned
//! Hidden folders, cargo's `target/` beside a `Cargo.toml` (a module may well be called `target`), and whatever
//! a symbolic link points at: it is either scanned where it lies, or not part of the package.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use walkdir::{DirEntry, WalkDir};

use crate::packages::{self, CargoFailed, Packages};

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// `package-version/relative/path.rs`, never absolute.
    pub(crate) key: String,
    /// The part of the key before the first `/`.
    pub(crate) package: String,
    /// Where the file lies on this machine.
    pub(crate) path: PathBuf,
}

/// Lists the files below `paths`, or, if there are none, those of the workspace at `manifest_dir` and of all its
/// dependencies as cargo has them on disk. They are sorted by key, and no key comes twice.
///
/// # Errors
/// [`SourcesError`]; a file that cannot be read is not an error here, it fails when it is parsed.
pub(crate) fn find(paths: &[PathBuf], manifest_dir: &Path) -> Result<Vec<SourceFile>, SourcesError> {
    if paths.is_empty() { below(&packages::folders_of_workspace(manifest_dir)?) } else { below(paths) }
}

/// Why the inputs could not be listed. Nothing was read yet.
#[derive(Debug)]
pub(crate) enum SourcesError {
    /// The default inputs are cargo's to tell, and it did not.
    Cargo(CargoFailed),
    /// A path that was given does not exist or may not be entered.
    Path { path: PathBuf, source: io::Error },
    /// A folder on the way could not be listed. An atlas without its files would look complete.
    Folder(walkdir::Error),
    /// Two different files have one key: two checkouts of one package, say. Scan them separately.
    SameKey { key: String, first: PathBuf, second: PathBuf },
}

impl fmt::Display for SourcesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cargo(failed) => failed.fmt(f),
            Self::Path { path, source } => write!(f, "cannot scan {}: {source}", path.display()),
            Self::Folder(error) => write!(f, "cannot list a folder: {error}"),
            Self::SameKey { key, first, second } => {
                write!(f, "{} and {} are both called {key}", first.display(), second.display())
            }
        }
    }
}

impl std::error::Error for SourcesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Cargo(failed) => Some(failed),
            Self::Path { source, .. } => Some(source),
            Self::Folder(error) => Some(error),
            Self::SameKey { .. } => None,
        }
    }
}

impl From<CargoFailed> for SourcesError {
    fn from(failed: CargoFailed) -> Self {
        Self::Cargo(failed)
    }
}

/// Lists the `.rs` files below `roots`. A root that is a file counts whatever it is called.
fn below(roots: &[PathBuf]) -> Result<Vec<SourceFile>, SourcesError> {
    let mut packages = Packages::default();
    let mut files = BTreeMap::<String, SourceFile>::new();
    for root in roots {
        // Absolute and without links, so that a file reached from two roots is seen to be one file.
        let root = root.canonicalize().map_err(|source| SourcesError::Path { path: root.clone(), source })?;
        for entry in WalkDir::new(&root).into_iter().filter_entry(is_scanned) {
            let entry = entry.map_err(SourcesError::Folder)?;
            let wanted = entry.depth() == 0 || entry.path().extension().is_some_and(|extension| extension == "rs");
            if !wanted || !entry.file_type().is_file() {
                continue;
            }
            let file = source_file(entry.into_path(), &root, &mut packages);
            if let Some(first) = files.get(&file.key)
                && first.path != file.path
            {
                let (key, first, second) = (file.key, first.path.clone(), file.path);
                return Err(SourcesError::SameKey { key, first, second });
            }
            files.insert(file.key.clone(), file);
        }
    }
    Ok(files.into_values().collect())
}

/// Whether the walk takes this file or enters this folder. A root is always entered, even below `~/.cargo`.
fn is_scanned(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    if entry.depth() == 0 || !entry.file_type().is_dir() {
        return true;
    }
    let hidden = name.as_encoded_bytes().starts_with(b".");
    let built_by_cargo = name == "target" && entry.path().with_file_name("Cargo.toml").is_file();
    !hidden && !built_by_cargo
}

fn source_file(path: PathBuf, root: &Path, packages: &mut Packages) -> SourceFile {
    let (folder, package) = packages.around(&path).unwrap_or_else(|| {
        let folder = if path == root { root.parent().unwrap_or(root) } else { root };
        let name = folder.file_name().map_or_else(|| "files".into(), |name| name.to_string_lossy().into_owned());
        (folder, name)
    });
    let relative = path.strip_prefix(folder).unwrap_or(&path);
    let parts = relative.components().map(|part| part.as_os_str().to_string_lossy());
    let key = parts.fold(package.clone(), |key, part| key + "/" + &part);
    SourceFile { key, package, path }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_belongs_to_the_innermost_package() {
        let dir = tree(&["src/lib.rs", "inner/build.rs", "inner/src/lib.rs", "inner/tests/it/main.rs", "readme.md"]);
        manifest(dir.path(), "outer");
        manifest(&dir.path().join("inner"), "inner");

        // Both folders are roots, as in a workspace whose root is a package. No file counts twice.
        let files = below(&[dir.path().to_owned(), dir.path().join("inner")]).unwrap();
        assert_eq!(
            keys(&files),
            [
                "inner-0.1.0/build.rs",
                "inner-0.1.0/src/lib.rs",
                "inner-0.1.0/tests/it/main.rs",
                "outer-0.1.0/src/lib.rs"
            ]
        );
        assert_eq!(files[0].package, "inner-0.1.0");
    }

    #[test]
    fn keys_do_not_depend_on_where_the_checkout_lies() {
        let scan = || {
            let dir = tree(&["src/lib.rs", "src/a/b.rs"]);
            manifest(dir.path(), "moved");
            let files = below(&[dir.path().join("src/a"), dir.path().to_owned()]).unwrap();
            let folder = dir.path().file_name().unwrap().to_string_lossy().into_owned();
            assert!(keys(&files).iter().all(|key| !key.starts_with('/') && !key.contains(&folder)));
            keys(&files).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(scan(), scan());
        assert_eq!(scan(), ["moved-0.1.0/src/a/b.rs", "moved-0.1.0/src/lib.rs"]);
    }

    #[test]
    fn outside_a_package_the_folders_name_is_the_key() {
        let dir = tree(&["loose/b/two.rs", "loose/one.rs", "loose/notes.txt"]);
        let loose = dir.path().join("loose");

        assert_eq!(keys(&below(std::slice::from_ref(&loose)).unwrap()), ["loose/b/two.rs", "loose/one.rs"]);
        assert_eq!(keys(&below(&[loose.join("one.rs")]).unwrap()), ["loose/one.rs"]);
        assert_eq!(keys(&below(&[loose.join("notes.txt")]).unwrap()), ["loose/notes.txt"]);
    }

    #[test]
    fn hidden_folders_and_cargos_target_are_skipped() {
        let dir = tree(&["target/debug/out.rs", ".git/x.rs", "src/.hidden/x.rs", "src/target/mod.rs", "src/lib.rs"]);
        manifest(dir.path(), "p");

        let files = below(&[dir.path().to_owned()]).unwrap();
        assert_eq!(keys(&files), ["p-0.1.0/src/lib.rs", "p-0.1.0/src/target/mod.rs"]);
        // Cargo's registry lies in a hidden folder itself.
        assert_eq!(below(&[dir.path().join("src/.hidden")]).unwrap().len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let dir = tree(&["a/one.rs"]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("a/one.rs"), dir.path().join("a/two.rs")).unwrap();

        assert_eq!(keys(&below(&[dir.path().join("a")]).unwrap()), ["a/one.rs"]);
    }

    #[test]
    fn two_files_with_one_key_are_refused_rather_than_one_lost() {
        let dir = tree(&["x/same/lib.rs", "y/same/lib.rs"]);
        let failed = below(&[dir.path().join("x/same"), dir.path().join("y/same")]).unwrap_err();
        assert!(matches!(failed, SourcesError::SameKey { key, .. } if key == "same/lib.rs"));
    }

    #[test]
    fn a_path_that_does_not_exist_is_named() {
        let failed = below(&["no/such/folder".into()]).unwrap_err();
        assert!(failed.to_string().starts_with("cannot scan no/such/folder: "), "{failed}");
    }

    /// Goal: the default inputs are there without a path being given, and the workspace's own files come once.
    #[test]
    fn the_default_is_this_workspace_and_its_dependencies() {
        let files = find(&[], Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();

        let has = |start: &str, end: &str| files.iter().any(|f| f.key.starts_with(start) && f.key.ends_with(end));
        assert!(has(concat!(env!("CARGO_PKG_NAME"), "-"), ".rs"));
        assert!(has("syn-", "/src/lib.rs"));
        assert!(files.iter().all(|file| !file.key.contains("/target/debug/")));
        assert!(files.is_sorted_by(|a, b| a.key < b.key));
        let mut paths: Vec<_> = files.iter().map(|file| &file.path).collect();
        paths.sort();
        assert!(paths.is_sorted_by(|a, b| a < b), "a file has two keys");
    }

    fn keys(files: &[SourceFile]) -> Vec<&str> {
        files.iter().map(|file| file.key.as_str()).collect()
    }

    fn manifest(folder: &Path, name: &str) {
        fs::write(folder.join("Cargo.toml"), format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n")).unwrap();
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }
}
