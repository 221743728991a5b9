//! The program: what was asked for, and a child's errand.

use std::process::ExitCode;

use crate::contest::{self, Contender};
use crate::row::Row;
use crate::rows;

const USAGE: &str = "cargo bench --bench engine|accounting [-- [--quick] [ROW…]]";

/// Does what the arguments say.
pub(crate) fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [contest::CHILD, row, contender, count] => run_as_child(row, contender, count),
        ["--rows", contender] => list_rows(contender),
        [rows::ECHO_CLIENTS, address, echoes] => run_as_clients(address, echoes),
        // `cargo test --benches` starts benches too, and does not mean it.
        _ if !words.contains(&"--bench") => ExitCode::SUCCESS,
        _ => run_all(&words),
    }
}

fn run_all(words: &[&str]) -> ExitCode {
    let rows = rows::all();
    let mut wanted = Vec::new();
    let mut quick = false;
    for &word in words {
        match word {
            "--bench" => {}
            "--quick" => quick = true,
            word => {
                let named: Vec<&Row> = chosen_by(word, &rows);
                if named.is_empty() {
                    let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
                    eprintln!("{USAGE}\nthere is no row `{word}`; there are {}", names.join(", "));
                    return ExitCode::from(2);
                }
                wanted.extend(named);
            }
        }
    }
    if wanted.is_empty() {
        wanted.extend(&rows);
    }
    if contest::run(&wanted, quick) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The rows that a contender does, one on each line, for `benches/peers`.
fn list_rows(contender: &str) -> ExitCode {
    let Some(contender) = Contender::from_name(contender) else { return ExitCode::from(2) };
    for row in rows::all().iter().filter(|row| row.work_of(contender).is_some()) {
        println!("{}", row.name);
    }
    ExitCode::SUCCESS
}

/// The row that `word` names, or else those whose names begin with it: `ring` is `ring_1` and `ring_100`.
fn chosen_by<'a>(word: &str, rows: &'a [Row]) -> Vec<&'a Row> {
    let exact: Vec<&Row> = rows.iter().filter(|row| row.name == word).collect();
    if exact.is_empty() { rows.iter().filter(|row| row.name.starts_with(word)).collect() } else { exact }
}

/// One round of one contender: its figures, on one line.
fn run_as_child(name: &str, contender: &str, count: &str) -> ExitCode {
    let rows = rows::all();
    let row = rows.iter().find(|row| row.name == name);
    let work = row.zip(Contender::from_name(contender)).and_then(|(row, contender)| row.work_of(contender));
    let (Some(work), Ok(count)) = (work, count.parse()) else {
        eprintln!("no work is called {name} {contender} {count}");
        return ExitCode::from(2);
    };
    let figures: Vec<String> = work(count).iter().map(f64::to_string).collect();
    println!("{}", figures.join(" "));
    // At once: to take a million processes down is no part of any row.
    std::process::exit(0)
}

/// What an echo server of a round talks to.
fn run_as_clients(address: &str, echoes: &str) -> ExitCode {
    let (Ok(address), Ok(echoes)) = (address.parse(), echoes.parse()) else {
        eprintln!("no clients are started with {address} {echoes}");
        return ExitCode::from(2);
    };
    match rows::run_echo_clients(address, echoes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the clients: {error}");
            ExitCode::FAILURE
        }
    }
}
