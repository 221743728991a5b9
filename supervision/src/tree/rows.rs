//! A tree as text: a line for each row, with branches in front and columns that stand below each other.
//!
//! ```text
//! shop               supervisor            one_for_one, 3 restarts within 5s
//! ├─ cart            worker      permanent
//! └─ stock           supervisor  permanent
//!    └─ shelf        worker      transient
//! ```

use std::fmt;

/// How far rows are indented at most. What is deeper says how deep it is: a chain of a hundred thousand processes is text, too.
const INDENTED: usize = 24;

/// The rows of a tree: each comes before what is below it.
#[derive(Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
}

struct Row {
    depth: usize,
    cells: Vec<Cell>,
}

/// What stands in one column.
pub(crate) enum Cell {
    Text(String),
    /// Stands to the right.
    Number(String),
}

impl Cell {
    /// Text, without what would break its line.
    pub(crate) fn text(text: impl fmt::Display) -> Self {
        Self::Text(text.to_string().replace(char::is_control, " "))
    }

    pub(crate) fn number(number: impl fmt::Display) -> Self {
        Self::Number(number.to_string())
    }

    fn width(&self) -> usize {
        let (Self::Text(text) | Self::Number(text)) = self;
        text.chars().count()
    }
}

impl Rows {
    /// Adds a row, so deep below the first.
    pub(crate) fn push(&mut self, depth: usize, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(Row { depth, cells: cells.into_iter().collect() });
    }

    /// For each row, whether it is the last below its parent.
    fn lasts(&self) -> Vec<bool> {
        let mut lasts = vec![false; self.rows.len()];
        // Whether a row of this depth comes later, with no higher one between.
        let mut later: Vec<bool> = Vec::new();
        for (at, row) in self.rows.iter().enumerate().rev() {
            later.resize(row.depth + 1, false);
            lasts[at] = !std::mem::replace(&mut later[row.depth], true);
        }
        lasts
    }

    /// What stands in front of each row.
    fn branches(&self) -> Vec<String> {
        // Of the rows above it, whether each is the last.
        let mut above: Vec<bool> = Vec::new();
        let branch = |(row, last): (&Row, bool)| {
            above.truncate(row.depth);
            above.resize(row.depth, true);
            above.push(last);
            let mut branch = String::new();
            for last in above.iter().skip(1).take(row.depth.saturating_sub(1)).take(INDENTED) {
                branch += if *last { "   " } else { "│  " };
            }
            match row.depth {
                0 => {}
                depth if depth > INDENTED => branch += &format!("… {depth} deep: "),
                _ => branch += if last { "└─ " } else { "├─ " },
            }
            branch
        };
        self.rows.iter().zip(self.lasts()).map(branch).collect()
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let branches = self.branches();
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let width_of = |column: usize| {
            let in_front = |at: usize| if column == 0 { branches[at].chars().count() } else { 0 };
            let widths = self.rows.iter().enumerate();
            widths.filter_map(|(at, row)| Some(in_front(at) + row.cells.get(column)?.width())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width_of).collect();
        let mut line = String::new();
        for (row, branch) in self.rows.iter().zip(branches) {
            line.clear();
            let mut in_front = branch.chars().count();
            line += &branch;
            for (cell, width) in row.cells.iter().zip(&widths) {
                let blanks = " ".repeat(width - cell.width() - std::mem::take(&mut in_front));
                match cell {
                    Cell::Text(text) => line.extend([text, &*blanks, "  "]),
                    Cell::Number(number) => line.extend([&*blanks, number, "  "]),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(depths: &[usize]) -> String {
        let mut rows = Rows::default();
        for (at, depth) in depths.iter().enumerate() {
            rows.push(*depth, [Cell::text(at), Cell::number(10_usize.pow(at as u32))]);
        }
        rows.to_string()
    }

    #[test]
    fn branches_lead_to_what_is_below_and_columns_stand_below_each_other() {
        let expected = "0            1\n├─ 1        10\n│  ├─ 2    100\n│  └─ 3   1000\n└─ 4     10000\n";
        assert_eq!(rows(&[0, 1, 2, 2, 1]), expected);
        assert_eq!(rows(&[0, 0]), "0   1\n1  10\n");
    }

    #[test]
    fn what_breaks_lines_is_left_out() {
        let mut rows = Rows::default();
        rows.push(0, [Cell::text("a\nb"), Cell::text("")]);
        assert_eq!(rows.to_string(), "a b\n");
    }

    #[test]
    fn a_chain_as_deep_as_there_are_processes_is_text() {
        let mut rows = Rows::default();
        (0..100_000).for_each(|depth| rows.push(depth, [Cell::text("link")]));
        let text = rows.to_string();
        assert!(text.len() < 100_000 * 120 && text.contains("… 99999 deep: link"));
    }

    proptest! {
        /// Reads a text back: a row's parent is the nearest one above that is less deep, and each branch is drawn to its end.
        #[test]
        fn a_branch_is_drawn_from_each_row_to_those_below_it(steps in prop::collection::vec(0_usize..6, 1..60)) {
            let mut depths = vec![0];
            for step in steps {
                let deepest = depths[depths.len() - 1] + 1;
                depths.push(step.min(deepest));
            }
            let mut rows = Rows::default();
            depths.iter().for_each(|depth| rows.push(*depth, [Cell::text("x")]));
            let text = rows.to_string();
            let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
            for (at, depth) in depths.iter().enumerate() {
                for level in 1..=*depth {
                    let comes_later = depths[at + 1..].iter().take_while(|other| **other >= level).any(|other| *other == level);
                    let expected = match (level == *depth, comes_later) {
                        (true, true) => '├',
                        (true, false) => '└',
                        (false, true) => '│',
                        (false, false) => ' ',
                    };
                    prop_assert_eq!(lines[at][3 * (level - 1)], expected, "line {} of\n{}", at, text);
                }
                prop_assert_eq!(lines[at][3 * depth], 'x');
            }
        }
    }
}
