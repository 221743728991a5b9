//! The results as pictures: bars on a scale on which equal distances are equal ratios. Shorter is better.

use std::fmt::Write;

use crate::results::Results;

/// A bar's height, and the space between two groups of bars.
const BAR: f64 = 13.0;
const GAP: f64 = 12.0;
/// Where bars begin and how long the longest is.
const LEFT: f64 = 150.0;
const LENGTH: f64 = 560.0;
const TOP: f64 = 64.0;
const WIDTH: f64 = LEFT + LENGTH + 70.0;

const COLOURS: [(&str, &str); 6] = [
    ("biotope", "#2a7f62"),
    ("tokio", "#7a8aa0"),
    ("ractor", "#c58b4a"),
    ("kameo", "#b0627b"),
    ("actix", "#6f62a8"),
    ("erlang", "#a94442"),
];

/// One workload, and the figures of who did it.
struct Group<'a> {
    name: &'a str,
    bars: Vec<(&'a str, f64)>,
}

/// Every picture, by the name of its file.
pub(crate) fn all(results: &Results) -> Vec<(&'static str, String)> {
    let pictures = [
        ("times.svg", "Nanoseconds for one unit of work", "ns"),
        ("memory.svg", "Bytes for one idle process", "bytes"),
        ("latency.svg", "99 of 100 messages wait no longer, in microseconds", "p99_us"),
    ];
    let picture = |(file, title, metric)| {
        let groups = groups(results, metric);
        (!groups.is_empty()).then(|| (file, picture(title, &groups)))
    };
    pictures.into_iter().filter_map(picture).collect()
}

fn groups<'a>(results: &'a Results, metric: &str) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in results.rows.iter().filter(|row| row.metric == metric) {
        // A victim that is starved has no bar.
        let Some(median) = row.median.filter(|median| *median > 0.0) else { continue };
        let bar = (row.contender.as_str(), median);
        match groups.last_mut().filter(|group| group.name == row.workload) {
            Some(group) => group.bars.push(bar),
            None => groups.push(Group { name: &row.workload, bars: vec![bar] }),
        }
    }
    groups
}

fn picture(title: &str, groups: &[Group<'_>]) -> String {
    let figures = || groups.iter().flat_map(|group| &group.bars).map(|(_, figure)| *figure);
    let decade = |figure: f64, round: fn(f64) -> f64| round(figure.log10());
    let first = decade(figures().fold(f64::INFINITY, f64::min), f64::floor);
    let last = decade(figures().fold(0.0, f64::max), f64::ceil).max(first + 1.0);
    let length = |figure: f64| (figure.log10() - first) / (last - first) * LENGTH;
    let height = groups.iter().map(|group| group.bars.len() as f64 * BAR + GAP).sum::<f64>() + TOP + 10.0;

    let mut svg = String::new();
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    line(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">"#
    ));
    line(format!(r##"<rect width="{WIDTH}" height="{height}" fill="#fff"/>"##));
    line(format!(r#"<text x="10" y="20" font-size="14">{title} (shorter is better)</text>"#));
    for (number, (name, colour)) in COLOURS.iter().enumerate() {
        let x = LEFT + number as f64 * 85.0;
        line(format!(r#"<rect x="{x}" y="31" width="10" height="10" fill="{colour}"/>"#));
        line(format!(r#"<text x="{}" y="40">{name}</text>"#, x + 14.0));
    }
    for decade in first as i32..=last as i32 {
        let figure = 10_f64.powi(decade);
        let x = LEFT + length(figure);
        line(format!(r##"<line x1="{x}" y1="{TOP}" x2="{x}" y2="{height}" stroke="#ddd"/>"##));
        line(format!(r##"<text x="{x}" y="{}" text-anchor="middle" fill="#888">{figure}</text>"##, TOP - 5.0));
    }
    let mut y = TOP + GAP / 2.0;
    for group in groups {
        let middle = y + group.bars.len() as f64 * BAR / 2.0 + 4.0;
        line(format!(r#"<text x="{}" y="{middle}" text-anchor="end">{}</text>"#, LEFT - 8.0, group.name));
        for (contender, figure) in &group.bars {
            let colour = COLOURS.iter().find(|(name, _)| name == contender).map_or("#000", |(_, colour)| colour);
            let long = length(*figure).max(1.0);
            line(format!(r#"<rect x="{LEFT}" y="{y}" width="{long:.1}" height="{}" fill="{colour}"/>"#, BAR - 2.0));
            let mut text = String::new();
            let digits = usize::from(*figure < 100.0);
            let _ = write!(text, "{figure:.digits$}");
            line(format!(
                r##"<text x="{:.1}" y="{}" font-size="9" fill="#555">{text}</text>"##,
                LEFT + long + 4.0,
                y + BAR - 4.0
            ));
            y += BAR;
        }
        y += GAP;
    }
    line("</svg>".into());
    svg
}
