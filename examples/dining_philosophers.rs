//! Five philosophers and five forks: a table at which all may wait for ever, and one at which nobody does.
//!
//! ```text
//! cargo run --example dining_philosophers
//! ```
//!
//! A philosopher eats with two forks, and each lies between two philosophers. A fork is a process, which is busy for as long as
//! it is held. If all take the left fork first, each may hold one and wait for the next. By chance that takes many dinners to
//! be seen; under a seed for which it happens, it happens each time. The runtime finds the circle, and each call in it fails.
//! If all take the fork with the lower number first, there is no circle, whatever the seed. Prints:
//!
//! ```text
//! the left fork first, under seed …: each holds a fork and waits for the next
//! fork 0 <…> in `hold`
//! fork 1 <…> in `hold`
//! fork 2 <…> in `hold`
//! fork 3 <…> in `hold`
//! fork 4 <…> in `hold`
//! until then Anscombe ate … times, Beauvoir … times, Cassirer … times, Diotima … times, Epicurus … times
//! the lower fork first, under the same seed: nobody waits for ever
//! in 1 s Anscombe ate … times, Beauvoir … times, Cassirer … times, Diotima … times, Epicurus … times
//! ```

use std::sync::mpsc;
use std::time::Instant;

use biotope::prelude::*;
use biotope::{CallCycle, run};

const PHILOSOPHERS: [&str; 5] = ["Anscombe", "Beauvoir", "Cassirer", "Diotima", "Epicurus"];

/// How long a philosopher thinks at most, how long it takes to reach for the second fork, and how long a meal takes.
const THOUGHT: Duration = millis(10);
const REACH: Duration = millis(1);
const MEAL: Duration = millis(2);

/// A fork. While it is held, it handles nothing else: whoever wants it waits, in the order in which it was asked for.
#[derive(Actor, Default)]
struct Fork;

#[handlers]
impl Fork {
    /// Is held, while whoever holds it reaches for the other fork and eats with both.
    async fn hold(&mut self, other: ActorRef<Fork>) -> Result<(), CallFailed> {
        time::sleep(REACH).await;
        other.eat().await
    }

    /// Is eaten with.
    async fn eat(&mut self) {
        time::sleep(MEAL).await;
    }
}

/// Which fork is taken first.
#[derive(Clone, Copy, Debug)]
enum First {
    Left,
    Lower,
}

impl First {
    /// The forks of a philosopher, in the order in which they are taken.
    fn forks(self, philosopher: usize) -> (usize, usize) {
        let (left, right) = (philosopher, (philosopher + 1) % PHILOSOPHERS.len());
        match self {
            Self::Left => (left, right),
            Self::Lower => (left.min(right), left.max(right)),
        }
    }
}

/// What became of one philosopher, or of all.
#[derive(Debug, Default)]
struct Dinner<M> {
    meals: M,
    /// Who waited for whom, if that went round.
    cycle: Option<CallCycle>,
}

/// Thinks and eats, until it is late or all wait for each other.
async fn dine(first: ActorRef<Fork>, second: ActorRef<Fork>, late: Instant) -> biotope::Result<Dinner<usize>> {
    let mut dinner = Dinner::default();
    while time::now() < late {
        // Drawn from the seed, in a seeded run.
        let percent = node().runtime().random() % 100;
        time::sleep(THOUGHT * percent as u32 / 100).await;
        match first.hold(second.clone()).await.map_err(CallError::flat) {
            Ok(()) => dinner.meals += 1,
            Err(CallFailed::Cycle(cycle)) => {
                dinner.cycle = Some(cycle);
                break;
            }
            Err(failed) => return Err(failed.into()),
        }
    }
    Ok(dinner)
}

/// Lays the table, and lets all dine for so long.
async fn serve(first: First, length: Duration) -> biotope::Result<Dinner<[usize; PHILOSOPHERS.len()]>> {
    let mut forks = Vec::new();
    for number in 0..PHILOSOPHERS.len() {
        let fork = spawn(Fork);
        node().register(format!("fork {number}"), &fork)?;
        forks.push(fork);
    }
    let (report, reports) = mpsc::channel();
    let late = time::now() + length;
    let mut ends = Vec::new();
    for philosopher in 0..PHILOSOPHERS.len() {
        let (one, other) = first.forks(philosopher);
        let (one, other, report) = (forks[one].clone(), forks[other].clone(), report.clone());
        let diner = spawn_process(async move |_: Process<()>| {
            report.send((philosopher, dine(one, other, late).await?))?;
            Ok(())
        });
        ends.push(node().ended(diner.pid()));
    }
    for end in ends {
        end.await;
    }
    let mut table = Dinner::<[usize; PHILOSOPHERS.len()]>::default();
    for (philosopher, dinner) in reports.try_iter() {
        table.meals[philosopher] = dinner.meals;
        table.cycle = table.cycle.or(dinner.cycle);
    }
    Ok(table)
}

/// A dinner under a seed: one order of turns, in virtual time.
fn dinner(seed: u64, first: First, length: Duration) -> biotope::Result<Dinner<[usize; PHILOSOPHERS.len()]>> {
    let (sender, served) = mpsc::channel();
    run(Runtime::builder().seeded(seed), "table", async move {
        sender.send(serve(first, length).await?)?;
        Ok(())
    })??;
    Ok(served.recv()?)
}

/// The first seed under which all wait for each other, if the left fork is taken first, and that dinner.
fn stuck() -> biotope::Result<(u64, Dinner<[usize; PHILOSOPHERS.len()]>)> {
    for seed in 0..1_000 {
        let dinner = dinner(seed, First::Left, secs(1))?;
        if dinner.cycle.is_some() {
            return Ok((seed, dinner));
        }
    }
    Err(ExitReason::value("nobody has waited for ever").into())
}

fn told(meals: &[usize]) -> String {
    let each = PHILOSOPHERS.iter().zip(meals).enumerate();
    let each = each.map(|(at, (name, meals))| format!("{name}{} {meals} times", if at == 0 { " ate" } else { "" }));
    each.collect::<Vec<_>>().join(", ")
}

/// Both dinners, in lines.
fn show() -> biotope::Result<Vec<String>> {
    let (seed, naive) = stuck()?;
    let mut lines = vec![format!("the left fork first, under seed {seed}: each holds a fork and waits for the next")];
    lines.extend(naive.cycle.iter().flat_map(CallCycle::members).map(ToString::to_string));
    lines.push(format!("until then {}", told(&naive.meals)));
    let mended = dinner(seed, First::Lower, secs(1))?;
    assert_eq!(mended.cycle, None, "it has no circle");
    lines.push("the lower fork first, under the same seed: nobody waits for ever".to_owned());
    lines.push(format!("in 1 s {}", told(&mended.meals)));
    Ok(lines)
}

fn main() -> biotope::Result<()> {
    show()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}

#[cfg(test)]
mod promise;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_what_its_header_promises() {
        let printed = show().expect("it is shown").join("\n");
        assert_eq!(promise::kept(&printed, &promise::in_header(include_str!("dining_philosophers.rs"))), Ok(()));
    }

    /// Goal: the circle is one of all five forks, and happens again under its seed.
    #[test]
    fn a_seed_under_which_all_wait_for_each_other_shows_it_each_time() {
        let (seed, first) = stuck().expect("there is one");
        let again = dinner(seed, First::Left, secs(1)).expect("it is served");
        assert_eq!(first.meals, again.meals);
        let forks = |dinner: &Dinner<_>| dinner.cycle.as_ref().map(|cycle| cycle.members().len());
        assert_eq!((forks(&first), forks(&again)), (Some(5), Some(5)));
    }

    /// Goal: nobody waits for ever, and nobody starves: the hungriest eats at least half as often as the one who eats most.
    #[test]
    fn in_a_thousand_dinners_with_the_lower_fork_first_all_eat() {
        for seed in 0..1_000 {
            let Dinner { meals, cycle } = dinner(seed, First::Lower, millis(250)).expect("it is served");
            assert_eq!(cycle, None, "under seed {seed}");
            let (least, most) = (meals.iter().min().expect("five"), meals.iter().max().expect("five"));
            assert!(*least > 0 && least * 2 >= *most, "under seed {seed}: {meals:?}");
        }
    }
}
