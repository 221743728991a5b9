//! How those who always have something to do share the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use biotope::prelude::*;
use biotope::time::{reduce, yield_now};
use biotope::{Priority, options, process};
use tokio::sync::oneshot;
use tokio::task::coop::consume_budget;

use crate::host::{Biotope, percentiles, tokio_runtime};
use crate::pace;

/// Four for each of two workers.
const COMPUTING: usize = 8;

/// What one of them does between two points where it can be interrupted.
const STEP: Duration = Duration::from_micros(1);

const TICK: Duration = Duration::from_millis(10);

/// How many steps each has done.
type Steps = Arc<[AtomicU64]>;

fn steps(of: usize) -> Steps {
    (0..of).map(|_| AtomicU64::new(0)).collect()
}

/// How many each does within `millis`, after a tenth of that to warm up.
fn within(millis: u64, steps: &Steps) -> Vec<f64> {
    let now = || -> Vec<u64> { steps.iter().map(|steps| steps.load(Ordering::Relaxed)).collect() };
    pace::sleep(Duration::from_millis(millis / 10));
    let before = now();
    pace::sleep(Duration::from_millis(millis));
    now().iter().zip(before).map(|(after, before)| (after - before) as f64).collect()
}

/// One figure: how many times more the one with the most has done than the one with the least.
fn most_to_least(shares: &[f64]) -> Vec<f64> {
    let most = shares.iter().copied().fold(0.0, f64::max);
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    vec![most / least]
}

pub(crate) fn on_biotope(millis: u64) -> Vec<f64> {
    let steps = steps(COMPUTING);
    let biotope = Biotope::new();
    let counted = steps.clone();
    biotope.run(async move {
        compute_on_biotope(&counted);
        Ok(())
    });
    most_to_least(&within(millis, &steps))
}

fn compute_on_biotope(steps: &Steps) {
    for own in 0..steps.len() {
        let steps = steps.clone();
        spawn_process(async move |_: Process<()>| {
            loop {
                pace::burn(STEP);
                steps[own].fetch_add(1, Ordering::Relaxed);
                reduce(1).await;
            }
        });
    }
}

pub(crate) fn on_tokio(millis: u64) -> Vec<f64> {
    let steps = steps(COMPUTING);
    let runtime = tokio_runtime();
    compute_on_tokio(&runtime, &steps);
    let figures = most_to_least(&within(millis, &steps));
    std::mem::forget(runtime);
    figures
}

fn compute_on_tokio(runtime: &tokio::runtime::Runtime, steps: &Steps) {
    for own in 0..steps.len() {
        let steps = steps.clone();
        runtime.spawn(async move {
            loop {
                pace::burn(STEP);
                steps[own].fetch_add(1, Ordering::Relaxed);
                consume_budget().await;
            }
        });
    }
}

/// Three figures: how late a tick of ten milliseconds is handled, beside those that compute.
pub(crate) fn ticks_on_biotope(ticks: u64) -> Vec<f64> {
    Biotope::new().run(async move {
        compute_on_biotope(&steps(COMPUTING));
        let (sender, late) = oneshot::channel();
        spawn_process(async move |mut me: Process<()>| {
            let begin = Instant::now();
            me.send_interval(TICK, &me.address(), || ());
            let mut late = Vec::new();
            for n in 1..=ticks as u32 {
                me.receive().await?;
                late.push(begin.elapsed().saturating_sub(TICK * n));
            }
            let _ = sender.send(late);
            Ok(())
        });
        Ok(percentiles(late.await?))
    })
}

pub(crate) fn ticks_on_tokio(ticks: u64) -> Vec<f64> {
    let runtime = tokio_runtime();
    compute_on_tokio(&runtime, &steps(COMPUTING));
    let ticker = runtime.spawn(async move {
        let begin = Instant::now();
        let mut interval = tokio::time::interval_at((begin + TICK).into(), TICK);
        let mut late = Vec::new();
        for n in 1..=ticks as u32 {
            interval.tick().await;
            late.push(begin.elapsed().saturating_sub(TICK * n));
        }
        late
    });
    let late = runtime.block_on(ticker).expect("it does not panic");
    std::mem::forget(runtime);
    percentiles(late)
}

#[derive(Actor, Default)]
struct Server;

#[handlers]
impl Server {
    #[cast]
    fn serve(&self) {}
}

/// One figure: how many times more turns a loop at normal priority has than one at low, on one worker. Both
/// send to a server at high priority.
pub(crate) fn low_on_biotope(millis: u64) -> Vec<f64> {
    let steps = steps(2);
    let biotope = Biotope::with_workers(1);
    let counted = steps.clone();
    biotope.run(async move {
        let server = spawn(options(Server).priority(Priority::High));
        for (own, priority) in [Priority::Normal, Priority::Low].into_iter().enumerate() {
            let (steps, server) = (counted.clone(), server.clone());
            let sending = process(async move |_: Process<()>| {
                loop {
                    server.serve();
                    steps[own].fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                }
            });
            spawn(options(sending).priority(priority));
        }
        Ok(())
    });
    let shares = within(millis, &steps);
    vec![shares[0] / shares[1]]
}
