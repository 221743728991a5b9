//! What people read of an atlas, and the one line that machines read.
//!
//! Every table is a short list in an order that does not depend on chance: the figure first, then the name.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use crate::atlas::Atlas;
use crate::facts::Kind;

/// The rows of a table of the first few.
const ROWS: usize = 10;

/// With fewer public items than this, "least documented" would only list crates of three functions.
const MEANINGFUL: u64 = 25;

/// What one node did.
#[derive(Clone, Debug)]
pub(crate) struct NodeRow {
    pub(crate) node: String,
    /// It was killed, and has told nothing since.
    pub(crate) is_lost: bool,
    /// Results that came home from it, also before it was lost.
    pub(crate) files: u64,
    pub(crate) restarts: u64,
    pub(crate) bytes_sent: u64,
}

/// The last line of every run. Its fields are written in this order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) files: u64,
    pub(crate) unparsed: u64,
    pub(crate) items: u64,
    pub(crate) digest: String,
    pub(crate) topology: String,
    pub(crate) nodes: u64,
    pub(crate) killed: u64,
    pub(crate) panicked: u64,
    pub(crate) reassigned: u64,
    pub(crate) lost: u64,
    /// The bytes of results by `from-to`.
    pub(crate) edges: BTreeMap<String, u64>,
    pub(crate) seconds: f64,
}

impl Summary {
    /// The summary as one line of JSON, without its end.
    pub(crate) fn line(&self) -> String {
        // Strings and numbers are always JSON; a time that is no number becomes null.
        serde_json::to_string(self).expect("a summary is plain data")
    }
}

/// Draws all tables.
pub(crate) fn tables(atlas: &Atlas, nodes: &[NodeRow]) -> String {
    let crates = crates(atlas);
    let mut parts = vec![
        kinds(atlas),
        busiest_names(atlas),
        most_unsafe(&crates),
        least_documented(&crates),
        longest_functions(atlas),
    ];
    if !nodes.is_empty() {
        parts.push(node_table(nodes));
    }
    parts.extend(unparsed(atlas));
    let totals = atlas.totals();
    parts.push(format!(
        "{} files of {} crates, {} of them unparsed, {} items, {} lines\n",
        totals.files,
        crates.len(),
        totals.unparsed,
        totals.items,
        totals.lines
    ));
    parts.join("\n")
}

/// Answers where a public name is defined, a line for each place.
pub(crate) fn answer(atlas: &Atlas, name: &str) -> String {
    let places = atlas.query(name);
    if places.is_empty() {
        return format!("no public `{name}` is defined in these files\n");
    }
    places.iter().fold(String::new(), |mut text, place| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}:{}: {} {name}", shown(place.key), place.line, place.kind.word());
        text
    })
}

fn kinds(atlas: &Atlas) -> String {
    let mut kinds = BTreeMap::<Kind, u64>::new();
    for (_, facts) in atlas.parsed() {
        for (&kind, &count) in &facts.items {
            *kinds.entry(kind).or_default() += u64::from(count);
        }
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|&(kind, count)| (Reverse(count), kind));
    let rows = kinds.into_iter().map(|(kind, count)| [kind.word().to_owned(), count.to_string()]);
    draw("Items by kind", ["kind", "items"], rows)
}

fn busiest_names(atlas: &Atlas) -> String {
    let mut names = BTreeMap::<&str, (u64, BTreeSet<&str>)>::new();
    for (key, facts) in atlas.parsed() {
        for definition in &facts.definitions {
            let (count, crates) = names.entry(&definition.name).or_default();
            *count += 1;
            crates.insert(package(key));
        }
    }
    let mut names: Vec<_> = names.into_iter().collect();
    // Ordered by crates: a name that one generated crate defines for every platform is not busy, only repeated.
    names.sort_by_key(|(name, (count, crates))| (Reverse(crates.len()), Reverse(*count), *name));
    let rows = names.into_iter().take(ROWS);
    let rows = rows.map(|(name, (count, crates))| [name.to_owned(), crates.len().to_string(), count.to_string()]);
    draw("Busiest public names", ["name", "crates", "definitions"], rows)
}

fn most_unsafe(crates: &BTreeMap<&str, Crate>) -> String {
    let mut crates: Vec<_> = crates.iter().filter(|(_, sums)| sums.unsafe_blocks > 0).collect();
    crates.sort_by_key(|(name, sums)| (Reverse(sums.unsafe_blocks), **name));
    let rows = crates.into_iter().take(ROWS).map(|(name, sums)| {
        let density = sums.unsafe_blocks as f64 * 1000.0 / sums.lines.max(1) as f64;
        [shown(name), sums.unsafe_blocks.to_string(), format!("{density:.1}")]
    });
    draw("Most unsafe crates", ["crate", "unsafe blocks", "per 1000 lines"], rows)
}

fn least_documented(crates: &BTreeMap<&str, Crate>) -> String {
    let mut crates: Vec<_> = crates.iter().filter(|(_, sums)| sums.public >= MEANINGFUL).collect();
    // Compared as fractions in whole numbers, then the crate with more to document first.
    crates.sort_by(|(one, a), (other, b)| {
        let fractions = (a.documented * b.public).cmp(&(b.documented * a.public));
        fractions.then(b.public.cmp(&a.public)).then(one.cmp(other))
    });
    let rows = crates.into_iter().take(ROWS).map(|(name, sums)| {
        let percent = sums.documented * 100 / sums.public;
        [shown(name), sums.public.to_string(), sums.documented.to_string(), format!("{percent} %")]
    });
    let title = format!("Least documented crates (of those with at least {MEANINGFUL} public items)");
    draw(&title, ["crate", "public items", "documented", "share"], rows)
}

fn longest_functions(atlas: &Atlas) -> String {
    let longest = atlas.parsed().filter_map(|(key, facts)| Some((key, facts.longest.as_ref()?)));
    let mut longest: Vec<_> = longest.collect();
    longest.sort_by_key(|(key, longest)| (Reverse(longest.lines), *key));
    // Generated tests come in dozens of like files, and would fill the table.
    let mut seen = BTreeSet::new();
    longest.retain(|(key, _)| seen.insert(package(key)));
    let rows = longest.into_iter().take(ROWS).map(|(key, longest)| {
        [longest.name.clone(), longest.lines.to_string(), format!("{}:{}", shown(key), longest.line)]
    });
    draw("Longest functions (one for each crate)", ["function", "lines", "where"], rows)
}

fn node_table(nodes: &[NodeRow]) -> String {
    let rows = nodes.iter().map(|row| {
        let name = if row.is_lost { format!("{}, lost", row.node) } else { row.node.clone() };
        [name, row.files.to_string(), row.restarts.to_string(), row.bytes_sent.to_string()]
    });
    draw("Nodes", ["node", "files", "restarts", "bytes over QUIC"], rows)
}

fn unparsed(atlas: &Atlas) -> Option<String> {
    let count = atlas.unparsed().count();
    if count == 0 {
        return None;
    }
    let rows = atlas.unparsed().take(ROWS).map(|(key, reason)| {
        // A parser may name a hundred tokens that it would rather have seen.
        let reason: String = reason.to_string().chars().take(60).collect();
        [shown(key), shown(&reason)]
    });
    let mut text = draw("Unparsed files", ["file", "reason"], rows);
    if count > ROWS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "… and {} more", count - ROWS);
    }
    Some(text)
}

/// What the files of one package come to.
#[derive(Default)]
struct Crate {
    lines: u64,
    public: u64,
    documented: u64,
    unsafe_blocks: u64,
}

fn crates(atlas: &Atlas) -> BTreeMap<&str, Crate> {
    let mut crates = BTreeMap::<_, Crate>::new();
    for (key, _) in atlas.unparsed() {
        crates.entry(package(key)).or_default();
    }
    for (key, facts) in atlas.parsed() {
        let sums = crates.entry(package(key)).or_default();
        sums.lines += u64::from(facts.lines);
        sums.public += u64::from(facts.public());
        sums.documented += u64::from(facts.documented);
        sums.unsafe_blocks += u64::from(facts.unsafe_blocks);
    }
    crates
}

/// The package that the key of a file begins with.
fn package(key: &str) -> &str {
    key.split('/').next().unwrap_or(key)
}

/// A file's name as it may be sent to a terminal.
fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

/// Draws a table in which figures stand to the right and the first column to the left.
fn draw<const N: usize>(title: &str, header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for row in rows {
        table.add_row(row.map(|text| {
            let is_figure = text.starts_with(|first: char| first.is_ascii_digit());
            let side = if is_figure { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(text).set_alignment(side)
        }));
    }
    format!("{title}\n{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Definition, Facts, LongestFn, Outcome, Reason};

    #[test]
    fn the_summary_is_one_line_in_the_promised_order() {
        let summary = Summary {
            files: 5,
            unparsed: 1,
            items: 70,
            digest: "00ff".into(),
            topology: "ring".into(),
            nodes: 3,
            killed: 1,
            panicked: 1,
            reassigned: 2,
            lost: 0,
            edges: [("b-c".into(), 20), ("a-b".into(), 10)].into(),
            seconds: 1.5,
        };
        assert_eq!(
            summary.line(),
            r#"{"files":5,"unparsed":1,"items":70,"digest":"00ff","topology":"ring","nodes":3,"killed":1,"panicked":1,"reassigned":2,"lost":0,"edges":{"a-b":10,"b-c":20},"seconds":1.5}"#
        );
    }

    #[test]
    fn the_busiest_name_is_the_one_that_most_crates_define() {
        let atlas = atlas(&[("a-1/x.rs", &["new", "old", "old", "old"]), ("b-1/x.rs", &["new", "alpha"])]);
        let rows = rows(&busiest_names(&atlas));
        assert_eq!(rows, ["name crates definitions", "new 2 2", "old 1 3", "alpha 1 1"]);
    }

    #[test]
    fn the_least_documented_crate_has_enough_to_document() {
        let crates = BTreeMap::from([
            ("good", Crate { public: 50, documented: 49, ..Crate::default() }),
            ("bad", Crate { public: 50, documented: 5, ..Crate::default() }),
            ("small", Crate { public: 3, documented: 0, ..Crate::default() }),
            ("larger", Crate { public: 100, documented: 10, ..Crate::default() }),
        ]);
        let rows = rows(&least_documented(&crates));
        assert_eq!(rows[1..], ["larger 100 10 10 %", "bad 50 5 10 %", "good 50 49 98 %"]);
    }

    #[test]
    fn crates_are_ordered_by_their_unsafe_blocks() {
        let of = |unsafe_blocks, lines| Crate { unsafe_blocks, lines, ..Crate::default() };
        let crates = BTreeMap::from([("none", of(0, 9)), ("a", of(2, 1000)), ("b", of(3, 6000))]);
        assert_eq!(rows(&most_unsafe(&crates))[1..], ["b 3 0.5", "a 2 2.0"]);
    }

    #[test]
    fn the_longest_function_says_where_it_is() {
        let mut atlas = Atlas::default();
        for (key, lines) in [("a-1/x.rs", 5), ("b-1/y.rs", 80), ("b-1/z.rs", 80)] {
            let longest = Some(LongestFn { name: "f".into(), line: 3, lines });
            let _ = atlas.add(key.into(), Outcome::Parsed(Facts { longest, ..Facts::default() }));
        }
        assert_eq!(rows(&longest_functions(&atlas))[1..], ["f 80 b-1/y.rs:3", "f 5 a-1/x.rs:3"]);
    }

    #[test]
    fn the_list_of_unparsed_files_has_an_end() {
        let mut atlas = Atlas::default();
        for n in 0..ROWS + 3 {
            let _ = atlas.add(format!("a-1/{n:02}.rs"), Outcome::Unparsed { reason: Reason::NotUtf8 });
        }
        let text = tables(&atlas, &[]);
        assert!(text.contains("a-1/09.rs") && !text.contains("a-1/10.rs"));
        assert!(text.contains("… and 3 more"));
        assert!(text.contains("13 files of 1 crates, 13 of them unparsed"));
    }

    #[test]
    fn every_node_has_a_row_and_a_lost_one_is_marked() {
        let row = |node: &str, is_lost| NodeRow { node: node.into(), is_lost, files: 7, restarts: 1, bytes_sent: 4096 };
        let rows = rows(&tables(&Atlas::default(), &[row("a", false), row("b", true)]));
        assert!(rows.contains(&"a 7 1 4096".to_owned()));
        assert!(rows.contains(&"b, lost 7 1 4096".to_owned()));
    }

    #[test]
    fn an_answer_names_file_line_and_kind() {
        let atlas = atlas(&[("a-1/x.rs", &["old", "new"])]);
        assert_eq!(answer(&atlas, "new"), "a-1/x.rs:2: fn new\n");
        assert_eq!(answer(&atlas, "newer"), "no public `newer` is defined in these files\n");
    }

    fn atlas(files: &[(&str, &[&str])]) -> Atlas {
        let mut atlas = Atlas::default();
        for (key, names) in files {
            let define = |(name, line): (&&str, u32)| Definition { name: (*name).into(), kind: Kind::Fn, line };
            let definitions = names.iter().zip(1..).map(define).collect();
            let _ = atlas.add((*key).into(), Outcome::Parsed(Facts { definitions, ..Facts::default() }));
        }
        atlas
    }

    /// The words of each row of a drawn table.
    fn rows(text: &str) -> Vec<String> {
        let rows = text.lines().filter(|line| line.starts_with('│'));
        rows.map(|row| {
            row.split(['│', '┆']).map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" ")
        })
        .collect()
    }
}
