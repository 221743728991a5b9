//! What is wrong with a configuration, where it was said, and what is allowed.

use std::fmt;
use std::sync::Arc;

use super::tree::Origin;

/// Why a configuration cannot be used, or a value of it not be read. Each says where the wrong thing was said.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{path}: {error}")]
    File {
        /// The file, as it was named.
        path: Arc<str>,
        /// What the operating system said.
        error: Arc<str>,
    },
    /// A file is no TOML.
    #[error("{origin}: {message}")]
    Syntax {
        /// The place in the file.
        origin: Origin,
        /// What is wrong there.
        message: Arc<str>,
    },
    /// Nothing is called like this.
    #[error("{origin}: nothing is called `{key}`{}; allowed: {}", Meant(.key, .allowed), List(.allowed))]
    UnknownKey {
        /// Where it was said.
        origin: Origin,
        /// The key, with the tables that it is in.
        key: Arc<str>,
        /// What may stand there.
        allowed: Vec<Arc<str>>,
    },
    /// A value is not of the type that is wanted, or out of its range.
    #[error("{origin}: `{key}`: {message}")]
    Value {
        /// Where it was said.
        origin: Origin,
        /// The key, with the tables that it is in.
        key: Arc<str>,
        /// What is wrong, and what is allowed.
        message: Arc<str>,
    },
    /// A value is missing that has no default.
    #[error("`{key}` is missing: say it in the section `[{section}]` of a file, or as {variable}")]
    Missing {
        /// The key, with the tables that it is in.
        key: Arc<str>,
        /// The table of a file in which it can be said.
        section: Arc<str>,
        /// The environment variable by which it can be said.
        variable: Arc<str>,
    },
    /// A value that the program gave, as a default or above files, cannot be part of a configuration.
    #[error("the program's value of `{key}` cannot be configured: {message}")]
    Program {
        /// The key.
        key: Arc<str>,
        /// Why.
        message: Arc<str>,
    },
}

/// A list of what is allowed.
struct List<'a>(&'a [Arc<str>]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        f.write_str(&self.0.join(", "))
    }
}

/// What was probably meant, if anything that is allowed looks like it.
struct Meant<'a>(&'a str, &'a [Arc<str>]);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.rsplit('.').next().unwrap_or(self.0);
        let closest = self.1.iter().map(|allowed| (distance(last, allowed.trim_matches(['[', ']'])), allowed)).min();
        match closest {
            Some((steps, allowed)) if steps <= 1 + last.len() / 4 => write!(f, ", did you mean `{allowed}`?"),
            _ => Ok(()),
        }
    }
}

/// How many letters are to be changed, added, left out or swapped with the next to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    let swapped = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                    changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(swapped)
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_it_is_suggested_and_nothing_else() {
        let unknown = |key: &str, allowed: &[&str]| ConfigError::UnknownKey {
            origin: Origin::Builder,
            key: key.into(),
            allowed: allowed.iter().map(|key| (*key).into()).collect(),
        };
        let text = unknown("http.prot", &["host", "port"]).to_string();
        assert_eq!(text, "the program: nothing is called `http.prot`, did you mean `port`?; allowed: host, port");
        let text = unknown("colour", &["host", "port"]).to_string();
        assert_eq!(text, "the program: nothing is called `colour`; allowed: host, port");
        assert_eq!(unknown("colour", &[]).to_string(), "the program: nothing is called `colour`; allowed: nothing");
    }
}
