//! Every example, run as a user would run it, with its result checked.
//!
//! The examples check themselves and fail if something is not as it should be. What is checked here is
//! that they also *say* what their headers promise.

use crate::atlas;
use crate::step::{Failure, Steps, cargo, output_of};

#[path = "../../examples/promise/mod.rs"]
mod promise;

/// A program and the lines that it prints, in order; `…` stands for anything.
struct Program {
    arguments: &'static [&'static str],
    promised: &'static [&'static str],
}

const PROGRAMS: [Program; 19] = [
    Program {
        arguments: &["counter"],
        promised: &[
            "added 2 and 3: 5",
            "took 4: 1 left",
            "took 4 more: refused, 1 left and 4 wanted",
            "after a reset: 0",
            "the counter ended: normal",
            "a call to it now fails: noproc: there is no such process",
        ],
    },
    Program {
        arguments: &["supervised"],
        promised: &[
            "the first till has sold 2",
            "it crashed: panicked: the drawer is stuck (at …)",
            "a call to the old reference fails: noproc: there is no such process",
            "the till that took its place has sold 0",
            "tills that were opened: 2, of which are open: 1",
        ],
    },
    Program {
        arguments: &["chaos", "--", "--processes", "300", "--seconds", "3"],
        promised: &[
            "a tower of 300 processes: 3 floors, 27 rooms, 269 clerks",
            "… of them were ended: … killed, … by a panic, … told to exit",
            "… processes were started in the place of others",
            "… jobs, each answered once; … attempts failed",
            "what is left of it: Footprint { processes: 0, names: 0, links: 0, monitors: 0, timers: 0 }",
            r#"{"killed":…,"jobs":…,"answered_once":…,"missing":0,"restarts":…,"leaked":0}"#,
        ],
    },
    Program {
        arguments: &["shop", "--", "--customers", "30"],
        promised: &[
            "first with SHOP_TILLS=many: configuration of `shop`: environment variable SHOP_TILLS: `tills`: expected usize, found string \"many\"",
            "then with shop.toml: 3 tills, 2ms for each customer, the owner's pin is ***",
            "phase `take stock`: 20 pieces on 2 shelves of the store, whose floor is cool",
            "phase `open the doors`: customers come",
            "store: running, ready",
            "shop: running, ready",
            "30 customers came: 20 were served, 10 found the shelves empty",
            "the doors are closed",
            "the tills are closed",
            "the store is locked, with 0 pieces left",
        ],
    },
    Program {
        arguments: &["streams"],
        promised: &[
            "the clock has ticked 5 times",
            "meanwhile … lines have been handled, in order",
            "… of 20000 lines have been written: the peer has to wait",
            "the meter ended: normal",
            "the peer heard of it: … lines were written in the end",
        ],
    },
    Program {
        arguments: &["elevator"],
        promised: &[
            "stateDiagram-v2",
            "[*] --> Idle",
            "Idle --> Moving: call, go_down",
            "Idle --> Open: call",
            "Idle --> Halted: halt",
            "Moving --> Open: pass",
            "Moving --> Halted: halt",
            "Open --> Idle: close",
            "Open --> Moving: close",
            "Open --> Halted: halt",
            "Halted --> Idle: release",
            "Halted --> Moving: release",
            "Halted --> Open: release",
            "note right of Halted: postpones call",
            "0 s: waits on floor 0",
            "0 s: is called to floor 4",
            "0 s: moves to floor 4",
            "1 s: is called to floor 2",
            "2 s: passes floor 1",
            "4 s: opens on floor 2",
            "6 s: is held",
            "9 s: moves to floor 4",
            "10 s: is halted, and was moving",
            "it is above floor 2, and whoever calls it now waits",
            "30 s: is released",
            "30 s: moves to floor 4",
            "30 s: is called to floor 1",
            "32 s: passes floor 3",
            "34 s: opens on floor 4",
            "37 s: moves to floor 1",
            "39 s: passes floor 3",
            "41 s: passes floor 2",
            "43 s: opens on floor 1",
            "46 s: waits on floor 1",
            "56 s: moves to floor 0",
            "58 s: opens on floor 0",
            "61 s: waits on floor 0",
        ],
    },
    Program {
        arguments: &["deadlock"],
        promised: &[
            "found while it happens, each of them calls the next, and the last the first:",
            "waiter <…> in `order`",
            "kitchen <…> in `cook`",
            "storeroom <…> in `fetch`",
            "the waiter goes on: 1 order taken",
            "found on demand:",
            "waiter <…> in `order`",
            "kitchen <…> in `cook`",
            "storeroom <…> in `fetch`",
            "the storeroom is closed, and the order fails: the process ended before it replied: killed",
            "without the question: soup is served",
        ],
    },
    Program {
        arguments: &["test_your_actor"],
        promised: &[
            "one after the other, on threads: right",
            "as it was: wrong under seed …, and again: … choices, of which … are needed",
            "replay: BIOTOPE_SEED=… cargo test tests::readers_and_a_writer",
            "what happens then:",
            "test … ended: panicked: assertion `left == right` failed: the cache differs from its store…",
            "repaired: right under 1000 seeds, … of them in a second",
        ],
    },
    Program {
        arguments: &["pubsub"],
        promised: &[
            "the ledger has booked 50 prices, in order, and missed none",
            "the chart has drawn … prices, the last one too, and missed …",
            "the mirror was cut off after … prices, in order",
            "the exchange has published 50 prices and waited for the ledger: … were dropped, 1 subscriber was cut off",
        ],
    },
    Program {
        arguments: &["dining_philosophers"],
        promised: &[
            "the left fork first, under seed …: each holds a fork and waits for the next",
            "fork 0 <…> in `hold`",
            "fork 1 <…> in `hold`",
            "fork 2 <…> in `hold`",
            "fork 3 <…> in `hold`",
            "fork 4 <…> in `hold`",
            "until then Anscombe ate … times, Beauvoir … times, Cassirer … times, Diotima … times, Epicurus … times",
            "the lower fork first, under the same seed: nobody waits for ever",
            "in 1 s Anscombe ate … times, Beauvoir … times, Cassirer … times, Diotima … times, Epicurus … times",
        ],
    },
    Program {
        arguments: &["ring", "--", "1000", "500"],
        promised: &[
            "1000 processes passed a token 500 times round: 500000 hops in … s, … hops/s",
            "every process held it 500 times",
        ],
    },
    Program {
        arguments: &["million", "--", "--count", "20000"],
        promised: &[
            "20000 processes: … µs for each to be spawned",
            "resident memory: …",
            "20000 answers: … µs for each call",
            "after the node's shutdown: 0 processes",
        ],
    },
    Program {
        arguments: &["two_nodes", "--", "demo"],
        promised: &[
            "shop: listening on 127.0.0.1:…, waiting for a visitor",
            "visitor: joined the node shop",
            "visitor: the counter over there says 1, 2, 3",
            "visitor: a process with no such name is nobody",
            "visitor: the counter ended: normal",
            "visitor: a call to it now fails",
            "shop: the counter ended: normal",
        ],
    },
    Program {
        arguments: &["top", "--", "--once"],
        promised: &[
            "… workers: … turns/s, … steals, … parks, longest turn … ms",
            "… processes: … spawned, … ended, 0 crashed",
            "process…actor…state…handler…mailbox…reductions/s…bytes…",
            "… mill…Mill…",
            "… mill…Mill…",
            "…",
            "…",
            "…",
        ],
    },
    Program {
        arguments: &["bank"],
        promised: &[
            "ann has 100, ben has 50: 150 in all",
            "ann pays ben 30: ann has 70, ben has 80",
            "ann pays ben 500: declined, there are 70",
            "ann pays ben 20, and crashes before it is written down: paid at try 2: ann has 50, ben has 100",
            "ann pays ben 50, and crashes after it was written down: paid at try 2: ann has 0, ben has 150",
            "ben's account is killed and started again: ben has 150",
            "ann has 0, ben has 150: 150 in all",
        ],
    },
    Program {
        arguments: &["requests"],
        promised: &[
            "asked 4 at once: market 9, corner 12, port 7",
            "not in time: tent",
            "asked the corner, then the market too, and the market was first: market 9",
            "the corner's answer came too late and went nowhere; asked again, it says 12",
            "asked the market, which was quick: market 9; the corner was not asked",
            "stock of all, in the order asked: market 3, corner 4, stall closed, port 0",
        ],
    },
    Program {
        arguments: &["life"],
        promised: &[
            "generation 0      generation 5      generation 10     generation 15",
            "................  ................  ................  ................",
            "................  ................  ................  ................",
            "................  ................  ................  ....##..........",
            "................  ........#.......  .....##.........  ..##.##.........",
            "........##......  ......##.##.....  ....##..........  ..#....#........",
            ".......##.......  ......#..#......  .....##.........  ..#...###.......",
            "........#.......  .......##.......  ......###.......  ...##....#......",
            "................  ................  ........#.......  .......#.#......",
            "................  ................  ........#.......  .......##.......",
            "................  ................  ................  ................",
            "................  ................  ................  ................",
            "10000 cells have lived for … generations more: … generations/s, … messages/s",
            "… of them are alive, and the same as in a plain array",
        ],
    },
    Program {
        arguments: &["scatter_tasks"],
        promised: &[
            "counted the primes below 50000 in 12 parts: 5133",
            "asked 9 stations, never more than 3 at once: 7 reports, 12.0 degrees in the mean",
            "no report from Brno: panicked: the sensor is frozen (at …)",
            "no report from Oslo: timeout",
            "of 4 oracles 3 have spoken in time: 12, 21, 42; the others were sent away, and 0 of their tasks are left",
            "a part that is needed fails, and with it whoever needs it: \"part 2 is lost\"",
        ],
    },
    Program {
        arguments: &["echo", "--", "--connections", "500"],
        promised: &[
            "500 connections are open: … bytes of the server's memory for each",
            "5000 echoes of 64 bytes were as sent: … echoes/s, … MB/s in each direction",
            "50 % within … µs, 90 % within … µs, 99 % within … µs, the last … µs",
            "the connections are closed: 0 of 500 processes are left",
        ],
    },
];

/// Builds all examples once, then runs each.
pub(crate) fn check_all(steps: &mut Steps) -> Result<(), Failure> {
    steps.run("build examples", cargo(["build", "--release", "--examples"]))?;
    for program in &PROGRAMS {
        let name = program.arguments[0];
        steps.time(&format!("example {name}"), || {
            let mut command = cargo(["run", "--release", "--quiet", "--example"]);
            command.args(program.arguments);
            let text = output_of(command)?;
            print!("{text}");
            promise::kept(&text, program.promised)
        })?;
    }
    atlas::check(steps)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::step::root;

    #[test]
    fn an_ellipsis_stands_for_any_text_but_none() {
        assert!(promise::fits("5 hops in 1.2 s", "5 hops in … s"));
        assert!(promise::fits("a b c", "… b …"));
        assert!(!promise::fits("5 hops in  s", "5 hops in  … s"));
        assert!(!promise::fits("5 hops", "… hops/s"));
        assert!(promise::fits("end x", "end …"));
        assert!(!promise::fits("end ", "end …"));
    }

    #[test]
    fn a_missing_and_a_wrong_line_break_the_promise() {
        assert!(promise::kept("a\nb\n", &["a", "b"]).is_ok());
        assert!(promise::kept("a\n", &["a", "b"]).is_err());
        assert!(promise::kept("a\nc\n", &["a", "b"]).is_err());
    }

    #[test]
    fn a_header_promises_what_is_below_prints() {
        let source = "//! It.\n//!\n//! ```text\n//! run it\n//! ```\n//!\n//! Says a. Prints:\n//!\n//! ```text\n//! a\n//! b …\n//! ```\n//! c\n\nuse d;\n";
        assert_eq!(promise::in_header(source), ["a", "b …"]);
    }

    /// Goal: what is checked here is what people read there. An example that is given arguments prints other figures.
    #[test]
    fn what_is_checked_is_what_the_headers_promise() {
        for program in PROGRAMS.iter().filter(|program| program.arguments.len() == 1) {
            let path = root().join("examples").join(program.arguments[0]).with_extension("rs");
            let source = fs::read_to_string(&path).expect("an example on the list is there");
            assert_eq!(promise::kept(&promise::in_header(&source).join("\n"), program.promised), Ok(()));
        }
    }
}
