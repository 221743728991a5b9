//! The atlas: what became of every input, and what can be asked about it.
//!
//! # What is promised
//! - The atlas and its digest depend on the set of results alone: not on the order in which they came, not on who
//!   made them, and not on how often they came. Work is handed out again after a death, so a result may come twice.
//! - The digest is the SHA-256 of [`Atlas::canonical`], a text that a person can write and `sha256sum` can check.
//!   The golden files beside the fixtures were made that way.

use std::collections::BTreeMap;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::facts::{Facts, Kind, Outcome, Reason};

/// The results so far, by key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Atlas {
    files: BTreeMap<String, Outcome>,
}

impl Atlas {
    /// Adds the result for the file called `key`. What came first stays.
    pub(crate) fn add(&mut self, key: String, outcome: Outcome) -> Added {
        match self.files.get(&key) {
            None => {
                self.files.insert(key, outcome);
                Added::New
            }
            Some(first) if *first == outcome => Added::Repeated,
            Some(_) => Added::Contradiction,
        }
    }

    /// Finds the definitions of a public name, by key and line.
    pub(crate) fn query(&self, name: &str) -> Vec<Place<'_>> {
        let places = self.parsed().flat_map(|(key, facts)| {
            let named = facts.definitions.iter().filter(|definition| definition.name == name);
            named.map(move |definition| Place { key, line: definition.line, kind: definition.kind })
        });
        places.collect()
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals { files: self.files.len() as u64, ..Totals::default() };
        for outcome in self.files.values() {
            match outcome {
                Outcome::Parsed(facts) => {
                    totals.lines += u64::from(facts.lines);
                    totals.items += facts.items.values().map(|&count| u64::from(count)).sum::<u64>();
                }
                Outcome::Unparsed { .. } => totals.unparsed += 1,
            }
        }
        totals
    }

    /// The SHA-256 of [`canonical`](Self::canonical), in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        let hash = Sha256::digest(self.canonical());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Writes out every fact: files by key, items by kind in the order of their words, definitions as in the file.
    ///
    /// Of a file without facts it says only the kind of reason: the details are in the parser's or the operating
    /// system's words, which differ between versions.
    pub(crate) fn canonical(&self) -> String {
        let mut text = String::new();
        for (key, outcome) in &self.files {
            // A file's name may hold a line's end, and must not pass for a line of facts.
            let key = key.escape_default();
            // Writing to a string does not fail.
            let _ = match outcome {
                Outcome::Parsed(facts) => writeln!(text, "file {key}").and_then(|()| write_facts(&mut text, facts)),
                Outcome::Unparsed { reason } => {
                    writeln!(text, "unparsed {key}\n  {}", reason.word())
                }
            };
        }
        let Totals { files, unparsed, items, lines } = self.totals();
        let _ = writeln!(text, "total\n  files {files}\n  unparsed {unparsed}\n  items {items}\n  lines {lines}");
        text
    }

    /// The files that have facts, by key.
    pub(crate) fn parsed(&self) -> impl Iterator<Item = (&str, &Facts)> {
        self.files.iter().filter_map(|(key, outcome)| match outcome {
            Outcome::Parsed(facts) => Some((key.as_str(), facts)),
            Outcome::Unparsed { .. } => None,
        })
    }

    /// The files that have none, by key.
    pub(crate) fn unparsed(&self) -> impl Iterator<Item = (&str, &Reason)> {
        self.files.iter().filter_map(|(key, outcome)| match outcome {
            Outcome::Parsed(_) => None,
            Outcome::Unparsed { reason } => Some((key.as_str(), reason)),
        })
    }
}

/// What [`Atlas::add`] made of a result.
#[must_use = "a contradiction means that the atlas would depend on who was faster"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    New,
    /// The same result was there already. Nothing changed.
    Repeated,
    /// Another result was there already, and stays. Examining a file twice must give the same facts, so the
    /// file was changed meanwhile or the digest is worth nothing.
    Contradiction,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// All files, unparsed ones included.
    pub(crate) files: u64,
    pub(crate) unparsed: u64,
    pub(crate) items: u64,
    pub(crate) lines: u64,
}

/// Where a public name is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) key: &'a str,
    pub(crate) line: u32,
    pub(crate) kind: Kind,
}

fn write_facts(text: &mut String, facts: &Facts) -> std::fmt::Result {
    let Facts { lines, documented, unsafe_blocks, longest, items, definitions } = facts;
    writeln!(text, "  lines {lines}")?;
    writeln!(text, "  public {}", facts.public())?;
    writeln!(text, "  documented {documented}")?;
    writeln!(text, "  unsafe {unsafe_blocks}")?;
    if let Some(longest) = longest {
        writeln!(text, "  longest {} at {} of {}", longest.name, longest.line, longest.lines)?;
    }
    let words: BTreeMap<_, _> = items.iter().map(|(kind, count)| (kind.word(), count)).collect();
    for (word, count) in words {
        writeln!(text, "  items {word} {count}")?;
    }
    for definition in definitions {
        writeln!(text, "  defines {} {} at {}", definition.kind.word(), definition.name, definition.line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Definition, LongestFn};

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let expected = atlas(&(0..50).collect::<Vec<_>>());
        for seed in 1..20 {
            let mut order: Vec<_> = (0..50).collect();
            shuffle(&mut order, seed);
            assert_ne!(order, (0..50).collect::<Vec<_>>());
            let shuffled = atlas(&order);
            assert_eq!(shuffled, expected);
            assert_eq!(shuffled.digest(), expected.digest());
        }
    }

    #[test]
    fn a_result_that_comes_twice_changes_nothing() {
        let mut atlas = Atlas::default();
        assert_eq!(atlas.add("a".into(), facts(1)), Added::New);
        let digest = atlas.digest();

        assert_eq!(atlas.add("a".into(), facts(1)), Added::Repeated);
        assert_eq!(atlas.add("a".into(), facts(2)), Added::Contradiction);
        assert_eq!(atlas.digest(), digest);
        assert_eq!(atlas.totals().files, 1);
    }

    /// Goal: no fact is left out of the digest.
    /// Method: change one at a time.
    #[test]
    fn every_fact_changes_the_digest() {
        let base = Facts {
            lines: 9,
            documented: 1,
            unsafe_blocks: 1,
            longest: Some(LongestFn { name: "f".into(), line: 1, lines: 5 }),
            items: [(Kind::Fn, 2)].into(),
            definitions: vec![Definition { name: "f".into(), kind: Kind::Fn, line: 1 }],
        };
        let changes: [fn(&mut Facts); 12] = [
            |_| {},
            |facts| facts.lines += 1,
            |facts| facts.documented += 1,
            |facts| facts.unsafe_blocks += 1,
            |facts| facts.longest = None,
            |facts| facts.longest.as_mut().unwrap().lines += 1,
            |facts| facts.longest.as_mut().unwrap().line += 1,
            |facts| facts.items = [(Kind::Fn, 3)].into(),
            |facts| facts.items = [(Kind::Mod, 2)].into(),
            |facts| facts.definitions[0].name.push('x'),
            |facts| facts.definitions[0].line += 1,
            |facts| facts.definitions[0].kind = Kind::Method,
        ];
        let mut digests: Vec<_> = changes
            .map(|change| {
                let mut facts = base.clone();
                change(&mut facts);
                only("a", Outcome::Parsed(facts)).digest()
            })
            .into();
        digests.push(only("b", Outcome::Parsed(base)).digest());
        digests.push(only("a", Outcome::Unparsed { reason: Reason::NotUtf8 }).digest());
        digests.push(only("a", Outcome::Unparsed { reason: Reason::TooLong { bytes: 1 } }).digest());

        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn a_files_name_cannot_pass_for_facts() {
        let atlas = only("a\n  lines 7", Outcome::Unparsed { reason: Reason::NotUtf8 });
        assert!(atlas.canonical().starts_with("unparsed a\\n  lines 7\n  not-utf8\n"));
    }

    #[test]
    fn a_query_names_every_definition() {
        let mut atlas = Atlas::default();
        let define = |lines: &[u32]| {
            let definition = |&line| Definition { name: "new".into(), kind: Kind::Method, line };
            Outcome::Parsed(Facts { definitions: lines.iter().map(definition).collect(), ..Facts::default() })
        };
        let _ = atlas.add("b-1/lib.rs".into(), define(&[4, 9]));
        let _ = atlas.add("a-1/lib.rs".into(), define(&[7]));

        let places: Vec<_> = atlas.query("new").iter().map(|place| (place.key, place.line)).collect();
        assert_eq!(places, [("a-1/lib.rs", 7), ("b-1/lib.rs", 4), ("b-1/lib.rs", 9)]);
        assert!(atlas.query("old").is_empty());
    }

    fn atlas(order: &[u32]) -> Atlas {
        let mut atlas = Atlas::default();
        for &n in order {
            let outcome = if n % 7 == 0 { Outcome::Unparsed { reason: Reason::NotUtf8 } } else { facts(n) };
            assert_eq!(atlas.add(format!("p-{}/{n}.rs", n % 3), outcome), Added::New);
        }
        atlas
    }

    fn only(key: &str, outcome: Outcome) -> Atlas {
        Atlas { files: [(key.to_owned(), outcome)].into() }
    }

    fn facts(lines: u32) -> Outcome {
        Outcome::Parsed(Facts { lines, ..Facts::default() })
    }

    fn shuffle(order: &mut [u32], seed: u64) {
        let mut state = seed;
        for at in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(at, (state >> 33) as usize % (at + 1));
        }
    }
}
