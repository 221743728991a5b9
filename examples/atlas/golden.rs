//! The fixtures' facts, as counted by hand (see `fixtures/README.md`).

use std::fs;
use std::path::Path;

use crate::atlas::{Added, Atlas, Totals};
use crate::parser::Parser;
use crate::sources;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/atlas/fixtures");

#[test]
fn every_fact_of_the_first_tree_is_as_counted_by_hand() {
    check("first", Totals { files: 3, unparsed: 1, items: 37, lines: 124 });
}

#[test]
fn every_fact_of_the_second_tree_is_as_counted_by_hand() {
    check("second", Totals { files: 4, unparsed: 1, items: 20, lines: 63 });
}

#[test]
fn names_of_the_fixtures_are_found() {
    let first = atlas("first");
    let places = first.query("area");
    assert_eq!((places.len(), places[0].key, places[0].line), (1, "first/src/shapes.rs", 8));
    assert_eq!(atlas("second").query("async").len(), 1);
    assert!(first.query("swap").is_empty(), "it is private");
}

fn check(tree: &str, totals: Totals) {
    let golden = |end: &str| fs::read_to_string(format!("{FIXTURES}/{tree}.golden.{end}")).unwrap();
    let atlas = atlas(tree);
    assert_eq!(atlas.canonical(), golden("txt"));
    assert_eq!(atlas.totals(), totals);
    let printed = golden("sha256");
    let (digest, _) = printed.split_once(' ').unwrap();
    assert_eq!(atlas.digest(), digest);
}

/// Makes the atlas of a fixture, the last file first. The keys begin at the fixture, so that the golden files do
/// not change with the version of the package around it.
fn atlas(tree: &str) -> Atlas {
    let mut parser = Parser::new();
    let mut atlas = Atlas::default();
    let folder = Path::new(FIXTURES).join(tree);
    let files = sources::find(&[folder], Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    for file in files.iter().rev() {
        let (_, key) = file.key.split_once("/fixtures/").unwrap();
        let outcome = parser.examine(&file.path).unwrap();
        assert_eq!(atlas.add(key.to_owned(), outcome), Added::New);
    }
    atlas
}
