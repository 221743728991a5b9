//! What many processes cost that do nothing: memory, and the processor's time.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use biotope::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::countdown::Countdown;
use crate::cpu;
use crate::host::{Biotope, tokio_runtime};
use crate::pace;

/// For so long nothing happens.
const WINDOW: Duration = Duration::from_secs(3);

/// Where idlers count, once when they have started and once when they have had a message. Not in their
/// state, which is to be a `u64` and nothing else.
static STARTED: OnceLock<&'static Countdown> = OnceLock::new();
static TOUCHED: OnceLock<&'static Countdown> = OnceLock::new();

/// Its number is all that it has.
#[derive(Actor)]
struct Idler {
    number: u64,
}

#[handlers]
impl Idler {
    #[init]
    fn begin(&mut self) {
        count_at(&STARTED, self.number);
    }

    #[cast]
    fn touch(&mut self) {
        count_at(&TOUCHED, self.number);
    }
}

fn count_at(place: &OnceLock<&'static Countdown>, number: u64) {
    place.get().expect("it is there before the idlers are").batch(number).count();
}

fn install(place: &OnceLock<&'static Countdown>, count: u64) -> oneshot::Receiver<()> {
    let (countdown, done) = Countdown::from(count);
    assert!(place.set(countdown).is_ok(), "an OS process measures once");
    done
}

/// Three figures: after they have started, after each has had a message, all of them at once, and some time after that.
pub(crate) fn bytes_on_biotope(count: u64) -> Vec<f64> {
    let all_started = install(&STARTED, count);
    let all_touched = install(&TOUCHED, count);
    let biotope = Biotope::new();
    let (idlers, before, started, used) = biotope.run(async move {
        // The place for the references is resident before the look at the memory.
        let mut idlers: Vec<Option<ActorRef<Idler>>> = vec![None; count as usize];
        let before = resident_bytes();
        for (number, idler) in idlers.iter_mut().enumerate() {
            *idler = Some(spawn(Idler { number: number as u64 }));
        }
        all_started.await?;
        let started = resident_bytes();
        for idler in idlers.iter().flatten() {
            idler.touch();
        }
        all_touched.await?;
        Ok((idlers, before, started, resident_bytes()))
    });
    pace::sleep(WINDOW);
    let rested = resident_bytes();
    drop(idlers);
    [started, used, rested].map(|resident| each(before, resident, count)).to_vec()
}

/// A task with an unbounded channel and a `u64`, to compare.
pub(crate) fn bytes_on_tokio(count: u64) -> Vec<f64> {
    let all_started = install(&STARTED, count);
    let all_touched = install(&TOUCHED, count);
    let runtime = tokio_runtime();
    let task = runtime.spawn(async move {
        let mut idlers: Vec<Option<mpsc::UnboundedSender<()>>> = vec![None; count as usize];
        let before = resident_bytes();
        for (number, idler) in idlers.iter_mut().enumerate() {
            let (sender, mut inbox) = mpsc::unbounded_channel();
            *idler = Some(sender);
            let number = number as u64;
            tokio::spawn(async move {
                count_at(&STARTED, number);
                while let Some(()) = inbox.recv().await {
                    count_at(&TOUCHED, number);
                }
            });
        }
        all_started.await.expect("all start");
        let started = resident_bytes();
        for idler in idlers.iter().flatten() {
            let _ = idler.send(());
        }
        all_touched.await.expect("all are sent a message");
        (idlers, before, started, resident_bytes())
    });
    let (idlers, before, started, used) = runtime.block_on(task).expect("it does not panic");
    pace::sleep(WINDOW);
    let figures = [started, used, resident_bytes()].map(|resident| each(before, resident, count)).to_vec();
    drop(idlers);
    std::mem::forget(runtime);
    figures
}

/// Milliseconds of the processor's time in a second in which nothing happens.
pub(crate) fn cpu_on_biotope(count: u64) -> Vec<f64> {
    let all_started = install(&STARTED, count);
    let biotope = Biotope::new();
    biotope.run(async move {
        for number in 0..count {
            spawn(Idler { number });
        }
        all_started.await?;
        Ok(())
    });
    vec![cpu_of_nothing()]
}

/// The same of tasks that wait for their channels.
pub(crate) fn cpu_on_tokio(count: u64) -> Vec<f64> {
    let all_started = install(&STARTED, count);
    let runtime = tokio_runtime();
    let task = runtime.spawn(async move {
        let mut idlers = Vec::with_capacity(count as usize);
        for number in 0..count {
            let (idler, mut inbox) = mpsc::unbounded_channel::<()>();
            idlers.push(idler);
            tokio::spawn(async move {
                count_at(&STARTED, number);
                inbox.recv().await;
            });
        }
        all_started.await.expect("all start");
        idlers
    });
    let idlers = runtime.block_on(task).expect("it does not panic");
    let figure = cpu_of_nothing();
    drop(idlers);
    std::mem::forget(runtime);
    vec![figure]
}

/// Milliseconds of the processor's time in a second, while nothing is done.
fn cpu_of_nothing() -> f64 {
    let (start, before) = (Instant::now(), cpu::time());
    pace::sleep(WINDOW);
    let (used, window) = (cpu::time() - before, start.elapsed());
    used.as_secs_f64() * 1_000.0 / window.as_secs_f64()
}

fn each(before: u64, after: u64, count: u64) -> f64 {
    after.saturating_sub(before) as f64 / count as f64
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    resident.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok()).expect("it has a VmRSS in kB") * 1024
}
