//! The results for people.

use crate::contender::Contender;
use crate::results::{Line, best};
use crate::rig::Rig;
use crate::workload::Workload;

pub(crate) fn print_head(rig: &Rig, contenders: &[Contender]) {
    let Rig { cpu, cores, kernel, date, commit } = rig;
    println!("{cpu}, {cores} cores, {kernel}, {date}, commit {commit}");
    let versions: Vec<&str> = contenders.iter().map(|contender| contender.version.as_str()).collect();
    println!("{}\n", versions.join(", "));
    println!("| workload | metric | contender | median | min | max | times biotope |");
    println!("|---|---|---|---:|---:|---:|---:|");
}

/// One line for each form of each contender. Biotope's own best form is what the others are measured by.
pub(crate) fn print_workload(workload: &Workload, lines: &[Line]) {
    for metric in workload.metrics() {
        let ours = best(lines).into_iter().find(|line| (line.contender, line.metric) == ("biotope", metric));
        for line in lines.iter().filter(|line| line.metric == metric) {
            let ratio = ours.map_or(f64::NAN, |ours| line.median() / ours.median());
            let unit = match metric {
                "ns" | "bytes" => format!("{metric} per {}", workload.unit),
                other => other.into(),
            };
            println!(
                "| {} | {unit} | {} ({}) | {} | {} | {} | {} |",
                workload.name,
                line.contender,
                line.form,
                figure(line.median()),
                figure(line.least()),
                figure(line.most()),
                figure(ratio),
            );
        }
    }
}

pub(crate) fn print_failures(failures: &[String]) {
    for failure in failures {
        println!("\nFAILED: {failure}");
    }
}

/// Three digits and what is before them.
fn figure(figure: f64) -> String {
    match figure {
        figure if figure.is_infinite() => "starved".into(),
        figure if figure.is_nan() => "–".into(),
        figure if figure < 10.0 => format!("{figure:.2}"),
        figure if figure < 100.0 => format!("{figure:.1}"),
        figure => format!("{figure:.0}"),
    }
}
