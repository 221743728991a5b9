//! Work that is scattered over tasks and gathered again: so many at once, each with its time, and some of them fail.
//!
//! ```text
//! cargo run --release --example scatter_tasks
//! ```
//!
//! Primes are counted in parts, all of which are needed. Weather stations are asked, of which some are slow and one is
//! broken: whoever asks goes on with what there is. Oracles have until a deadline, all together. Prints:
//!
//! ```text
//! counted the primes below 50000 in 12 parts: 5133
//! asked 9 stations, never more than 3 at once: 7 reports, 12.0 degrees in the mean
//! no report from Brno: panicked: the sensor is frozen (at …)
//! no report from Oslo: timeout
//! of 4 oracles 3 have spoken in time: 12, 21, 42; the others were sent away, and 0 of their tasks are left
//! a part that is needed fails, and with it whoever needs it: "part 2 is lost"
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use biotope::prelude::*;
use biotope::task::OnTimeout;
use biotope::time::reduce;

#[cfg(test)]
mod promise;

/// How many primes there are from `from` to `to`, exclusive. It lets others have a turn.
async fn primes(from: u32, to: u32) -> u32 {
    let mut count = 0;
    for n in from.max(2)..to {
        let is_prime = (2..).take_while(|d| d * d <= n).all(|d| n % d != 0);
        count += u32::from(is_prime);
        reduce(1).await;
    }
    count
}

/// The same below `limit`, counted by tasks, one for each of so many parts. Each part is needed.
async fn primes_below(limit: u32, parts: u32) -> Result<u32, ExitReason> {
    let size = limit.div_ceil(parts);
    let tasks = (0..parts).map(|part| {
        let from = part * size;
        Task::spawn(primes(from, limit.min(from + size)))
    });
    Ok(Task::await_many(tasks).timeout(secs(60)).await?.into_iter().sum())
}

/// A weather station, and how long it takes to answer.
#[derive(Clone, Copy, Debug)]
struct Station {
    name: &'static str,
    delay: Duration,
    degrees: Option<f64>,
}

const fn station(name: &'static str, delay: u64, degrees: Option<f64>) -> Station {
    Station { name, delay: millis(delay), degrees }
}

const STATIONS: [Station; 9] = [
    station("Bern", 4, Some(9.0)),
    station("Brno", 2, None),
    station("Faro", 1, Some(19.0)),
    station("Graz", 7, Some(11.0)),
    station("Kiel", 3, Some(8.0)),
    station("Lyon", 5, Some(14.0)),
    station("Oslo", 3_600_000, Some(1.0)),
    station("Rome", 2, Some(16.0)),
    station("Turku", 6, Some(7.0)),
];

/// For how long a station is waited for.
const PATIENCE: Duration = secs(1);

/// What came of asking stations.
#[derive(Debug, Default)]
struct Weather {
    degrees: Vec<f64>,
    missing: Vec<(&'static str, ExitReason)>,
    most_at_once: usize,
}

impl Weather {
    fn mean(&self) -> f64 {
        self.degrees.iter().sum::<f64>() / self.degrees.len() as f64
    }
}

/// Asks all stations, never more than 3 at once, each as long as patience lasts. The failure of one is nothing but a report
/// that is missing.
async fn ask(stations: &[Station], tasks: &TaskSupervisorRef) -> Weather {
    let (asked, most_at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, most) = (asked.clone(), most_at_once.clone());
    let work = move |station: Station| {
        let (count, most) = (count.clone(), most.clone());
        async move {
            most.fetch_max(count.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            time::sleep(station.delay).await;
            let Some(degrees) = station.degrees else {
                count.fetch_sub(1, Ordering::Relaxed);
                panic!("the sensor is frozen");
            };
            count.fetch_sub(1, Ordering::Relaxed);
            degrees
        }
    };
    let reports = tasks.async_stream(stations.to_vec(), work).max_concurrency(3);
    let mut reports = reports.nolink().timeout(PATIENCE).on_timeout(OnTimeout::Kill);
    let mut weather = Weather::default();
    // They come in the order of the stations, whoever is first.
    for station in stations {
        match reports.next().await {
            Some(Ok(degrees)) => weather.degrees.push(degrees),
            Some(Err(reason)) => weather.missing.push((station.name, reason)),
            None => break,
        }
    }
    weather.most_at_once = most_at_once.load(Ordering::Relaxed);
    weather
}

/// Asks oracles that think for so long, until `patience` is over for all of them. Those that have not spoken are ended.
async fn consult(thoughts: &[(Duration, u32)], patience: Duration) -> Vec<u32> {
    let mut oracles: Vec<Task<u32>> = thoughts
        .iter()
        .map(|&(duration, answer)| {
            Task::spawn(async move {
                time::sleep(duration).await;
                answer
            })
        })
        .collect();
    let mut answers = Task::yield_many(&mut oracles, patience).await;
    for (oracle, answer) in oracles.into_iter().zip(&mut answers) {
        if answer.is_none() {
            // It may have spoken in the last moment.
            *answer = oracle.shutdown(Shutdown::BrutalKill).await;
        }
    }
    answers.into_iter().flatten().flatten().collect()
}

/// Needs all of its parts, one of which is lost.
async fn brittle() -> Result<Vec<u32>, ExitReason> {
    let parts = (1..=3).map(|part| {
        Task::spawn(async move {
            if part == 2 {
                exit_now(ExitReason::value("part 2 is lost"));
            }
            part
        })
    });
    Task::await_many(parts).await
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    gather(|line| println!("{line}")).await
}

/// All that this shows, line by line.
async fn gather(mut print: impl FnMut(String) + Send) -> biotope::Result<()> {
    let count = primes_below(50_000, 12).await?;
    print(format!("counted the primes below 50000 in 12 parts: {count}"));

    let tasks = TaskSupervisor::new().max_children(100).start_link().await?;
    let weather = ask(&STATIONS, &tasks).await;
    let (reports, most) = (weather.degrees.len(), weather.most_at_once);
    print(format!(
        "asked {} stations, never more than {most} at once: {reports} reports, {:.1} degrees in the mean",
        STATIONS.len(),
        weather.mean()
    ));
    for (name, reason) in &weather.missing {
        print(format!("no report from {name}: {reason}"));
    }

    let thoughts = [(millis(9), 12), (millis(3), 21), (millis(1), 42), (secs(3600), 7)];
    let spoken = consult(&thoughts, secs(1)).await;
    let left = tasks_left();
    let answers = spoken.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    print(format!(
        "of {} oracles {} have spoken in time: {answers}; the others were sent away, and {left} of their tasks are left",
        thoughts.len(),
        spoken.len()
    ));

    // In a process of its own: a task that fails takes along whoever has begun it.
    let whoever = spawn_process(async |_: Process<()>| brittle().await.map(drop).map_err(Into::into));
    let reason = node().ended(whoever.pid()).await;
    print(format!("a part that is needed fails, and with it whoever needs it: {reason}"));
    Ok(())
}

/// How many tasks of the running process there are.
fn tasks_left() -> usize {
    let me = this_pid();
    node().processes().iter().filter(|process| process.caller == Some(me)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[biotope::test(seeds = 20, allow_crashes, allow_leftovers)]
    async fn it_prints_what_its_header_promises() -> biotope::Result<()> {
        let mut printed = Vec::new();
        gather(|line| printed.push(line)).await?;
        assert_eq!(promise::kept(&printed.join("\n"), &promise::in_header(include_str!("scatter_tasks.rs"))), Ok(()));
        Ok(())
    }

    #[biotope::test(seeds = 50, allow_crashes, allow_leftovers)]
    async fn parts_add_up_however_many_they_are() {
        for parts in [1, 2, 7, 100] {
            assert_eq!(primes_below(1_000, parts).await, Ok(168));
        }
    }

    #[biotope::test(seeds = 50, allow_crashes, allow_leftovers)]
    async fn asking_takes_as_long_as_the_slowest_may_and_no_longer() -> biotope::Result<()> {
        let tasks = TaskSupervisor::new().start_link().await?;
        let start = time::now();
        let weather = ask(&STATIONS, &tasks).await;
        assert!(time::now() - start < PATIENCE + millis(30), "{:?}", time::now() - start);
        assert_eq!((weather.degrees, weather.most_at_once), (vec![9.0, 19.0, 11.0, 8.0, 14.0, 16.0, 7.0], 3));
        assert_eq!(tasks.children().await?, []);
        Ok(())
    }

    #[biotope::test(seeds = 50, allow_crashes, allow_leftovers)]
    async fn consulting_ends_when_all_have_spoken_or_at_the_deadline() {
        let start = time::now();
        assert_eq!(consult(&[(millis(9), 1), (millis(3), 2)], secs(1)).await, [1, 2]);
        assert_eq!(time::now() - start, millis(9));
        assert_eq!(consult(&[(secs(2), 1), (millis(3), 2)], secs(1)).await, [2]);
        assert_eq!(time::now() - start, millis(1_009));
        assert_eq!(tasks_left(), 0);
    }
}
