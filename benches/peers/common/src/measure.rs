//! What figures are made of.

use std::fs;
use std::time::{Duration, Instant};

use crate::pace;

/// For so long nothing happens, where that is what is measured.
const WINDOW: Duration = Duration::from_secs(3);

/// Nanoseconds since `start` for one of `units`.
pub fn nanos_each(start: Instant, units: u64) -> f64 {
    start.elapsed().as_nanos() as f64 / units as f64
}

/// The median, the 99th percentile and the longest, in microseconds.
pub fn percentiles(mut durations: Vec<Duration>) -> Vec<f64> {
    durations.sort();
    let last = (durations.len() - 1) as f64;
    let at = |share: f64| durations[(last * share).round() as usize].as_nanos() as f64 / 1_000.0;
    vec![at(0.5), at(0.99), at(1.0)]
}

/// How much of this OS process is in memory.
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    resident.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok()).expect("it has a VmRSS in kB") * 1024
}

/// By how much one of `count` has made memory grow since it was `before`.
pub fn bytes_each(before: u64, count: u64) -> f64 {
    resident_bytes().saturating_sub(before) as f64 / count as f64
}

/// Milliseconds of the processor's time in a second of three in which nothing happens.
pub fn idle_cpu() -> f64 {
    let (start, before) = (Instant::now(), cpu_time());
    pace::sleep(WINDOW);
    let (used, window) = (cpu_time() - before, start.elapsed());
    used.as_secs_f64() * 1_000.0 / window.as_secs_f64()
}

/// The processor's time of all threads that live, to the nanosecond.
fn cpu_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").expect("Linux has it");
    let nanos = threads.map(|thread| {
        let schedstat = thread.expect("it can be listed").path().join("schedstat");
        // A thread that has ended meanwhile has no file.
        let text = fs::read_to_string(schedstat).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum())
}
