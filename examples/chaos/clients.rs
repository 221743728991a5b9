//! Who has jobs done: each as often as it takes to get an answer, and with each answer counted.

use std::collections::BTreeSet;
use std::time::Instant;

use biotope::Requests;
use biotope::prelude::*;

use crate::dice::Dice;
use crate::tower::{Clerk, answer_to};

/// So many jobs are asked for at once by each client.
const AT_ONCE: usize = 8;
/// So long a client waits for an answer; then it asks somebody else.
const PATIENCE: Duration = secs(1);
/// So long it rests after each answer, and before it asks again when nobody is there.
const PAUSE: Duration = millis(1);
/// After the end, what is not answered by then is missing.
const GRACE: Duration = secs(10);

/// What came of the jobs of a client, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) jobs: u64,
    /// Jobs to which the right answer has come.
    pub(crate) answered_once: u64,
    /// Answers that were wrong, or to a job that was answered before.
    pub(crate) wrong: u64,
    /// Jobs that were asked for again because an attempt had failed.
    pub(crate) retried: u64,
    /// Jobs without an answer.
    pub(crate) missing: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.answered_once += other.answered_once;
        self.wrong += other.wrong;
        self.retried += other.retried;
        self.missing += other.missing;
    }
}

/// Has jobs done by clerks until `end`, and waits for the answers to those that it has begun.
pub(crate) async fn client(clerks: Vec<String>, mut dice: Dice, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let mut asked: Requests<u64, u64> = Requests::new();
    // Jobs without an answer.
    let mut open: BTreeSet<u64> = BTreeSet::new();
    let mut to_ask: Vec<u64> = Vec::new();
    loop {
        let now = time::now();
        while now < end && open.len() < AT_ONCE {
            tally.jobs += 1;
            open.insert(tally.jobs);
            to_ask.push(tally.jobs);
        }
        if open.is_empty() || now >= end + GRACE {
            tally.missing = open.len() as u64;
            return tally;
        }
        // Who is looked for by name is whoever has it now; while a clerk is started again, nobody has.
        to_ask.retain(|job| match node().lookup::<Clerk>(dice.pick(&clerks)) {
            Some(clerk) => {
                asked.add(*job, clerk.work(*job).timeout(PATIENCE).send());
                false
            }
            None => true,
        });
        match asked.next().await {
            Some((job, Ok(answer))) if open.remove(&job) && answer == answer_to(job) => tally.answered_once += 1,
            Some((_, Ok(_))) => tally.wrong += 1,
            Some((job, Err(_))) => {
                tally.retried += 1;
                to_ask.push(job);
            }
            None => {}
        }
        time::sleep(PAUSE).await;
    }
}
