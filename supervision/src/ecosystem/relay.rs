//! A member's decisions, without a process: which worker gets which job, which results are on their
//! way, and along which edge.

use std::collections::{BTreeMap, VecDeque};

use biotope_runtime::CallFailed;
use serde::{Deserialize, Serialize};

use super::dispatch::JobId;

/// How many results are merged into one message at most.
const LARGEST_BATCH: usize = 16;

/// A result on its way to the coordinator, with the member that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parcel {
    pub(crate) job: JobId,
    /// The member whose worker did it: whoever holds it until it is acknowledged.
    pub(crate) origin: u64,
    pub(crate) result: Answer,
}

/// What became of a job at a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The encoded reply.
    Done(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Why there is none.
    Failed(CallFailed),
}

impl Parcel {
    /// How many bytes of results it carries.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.result {
            Answer::Done(bytes) => bytes.len() as u64,
            Answer::Failed(_) => 0,
        }
    }
}

/// One member's part in the wiring.
#[derive(Debug)]
pub(crate) struct Relay {
    me: u64,
    /// The version of the wiring in force here, and the next member on the way home; none beside the
    /// coordinator, and none before the first wiring.
    version: u64,
    next: Option<u64>,
    /// Results that this member's workers made and that are not acknowledged.
    unacknowledged: BTreeMap<JobId, Parcel>,
    outbox: VecDeque<Parcel>,
    /// Bytes of results by wiring version, sender and receiver, as seen from here.
    traffic: BTreeMap<Edge, u64>,
}

/// One edge of one version of the wiring.
pub(crate) type Edge = (u64, u64, u64);

/// A message of merged results, and the version of the wiring that it was sent under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) version: u64,
    pub(crate) from: u64,
    pub(crate) parcels: Vec<Parcel>,
}

impl Relay {
    pub(crate) fn new(me: u64) -> Self {
        Self {
            me,
            version: 0,
            next: None,
            unacknowledged: BTreeMap::new(),
            outbox: VecDeque::new(),
            traffic: BTreeMap::new(),
        }
    }

    /// The wiring is computed anew. What was under way may be lost with the member that it was at, so
    /// everything unacknowledged is sent again; the coordinator drops what it has.
    pub(crate) fn on_wired(&mut self, version: u64, next: Option<u64>) {
        if version <= self.version {
            return;
        }
        self.version = version;
        self.next = next;
        self.outbox.retain(|parcel| !self.unacknowledged.contains_key(&parcel.job));
        self.outbox.extend(self.unacknowledged.values().cloned());
    }

    /// A worker of this member is done with a job.
    pub(crate) fn on_done(&mut self, job: JobId, result: Answer) {
        let parcel = Parcel { job, origin: self.me, result };
        self.unacknowledged.insert(job, parcel.clone());
        self.outbox.push_back(parcel);
    }

    /// Results come from a neighbour, to be passed on.
    pub(crate) fn on_batch(&mut self, batch: Batch) {
        let bytes = batch.parcels.iter().map(Parcel::bytes).sum::<u64>();
        *self.traffic.entry((batch.version, batch.from, self.me)).or_default() += bytes;
        self.outbox.extend(batch.parcels);
    }

    pub(crate) fn on_acknowledged(&mut self, jobs: &[JobId]) {
        for job in jobs {
            self.unacknowledged.remove(job);
        }
    }

    /// The next batch on the way home and whose it is now: a member's, or with `None` the coordinator's.
    pub(crate) fn next_batch(&mut self) -> Option<(Option<u64>, Batch)> {
        if self.outbox.is_empty() || self.version == 0 {
            return None;
        }
        let count = self.outbox.len().min(LARGEST_BATCH);
        let parcels: Vec<Parcel> = self.outbox.drain(..count).collect();
        if let Some(next) = self.next {
            let bytes = parcels.iter().map(Parcel::bytes).sum::<u64>();
            *self.traffic.entry((self.version, self.me, next)).or_default() += bytes;
        }
        Some((self.next, Batch { version: self.version, from: self.me, parcels }))
    }

    /// Whether a batch is full, so that waiting for more to merge would gain nothing.
    pub(crate) fn has_full_batch(&self) -> bool {
        self.outbox.len() >= LARGEST_BATCH
    }

    pub(crate) fn traffic(&self) -> &BTreeMap<Edge, u64> {
        &self.traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(n: u8) -> Answer {
        Answer::Done(vec![n; 10])
    }

    fn jobs(batch: &Batch) -> Vec<JobId> {
        batch.parcels.iter().map(|parcel| parcel.job).collect()
    }

    #[test]
    fn results_of_neighbours_are_merged_with_ones_own() {
        let mut relay = Relay::new(1);
        relay.on_wired(1, Some(2));
        relay.on_done(7, done(7));
        let theirs = Parcel { job: 8, origin: 0, result: done(8) };
        relay.on_batch(Batch { version: 1, from: 0, parcels: vec![theirs] });
        let (next, batch) = relay.next_batch().unwrap();
        assert_eq!((next, jobs(&batch)), (Some(2), vec![7, 8]));
        assert_eq!(relay.traffic(), &BTreeMap::from([((1, 0, 1), 10), ((1, 1, 2), 20)]));
    }

    #[test]
    fn a_new_wiring_sends_again_what_is_not_acknowledged_and_only_that() {
        let mut relay = Relay::new(1);
        relay.on_wired(1, Some(2));
        relay.on_done(7, done(7));
        relay.on_done(8, done(8));
        relay.next_batch();
        relay.on_acknowledged(&[7]);
        relay.on_wired(2, Some(0));
        let (next, batch) = relay.next_batch().unwrap();
        assert_eq!((next, jobs(&batch), batch.version), (Some(0), vec![8], 2));
        assert_eq!(relay.next_batch(), None);
    }

    #[test]
    fn an_older_wiring_changes_nothing() {
        let mut relay = Relay::new(1);
        relay.on_wired(2, Some(0));
        relay.on_wired(1, Some(2));
        relay.on_done(7, done(7));
        assert_eq!(relay.next_batch().unwrap().0, Some(0));
    }

    #[test]
    fn nothing_leaves_before_the_first_wiring() {
        let mut relay = Relay::new(1);
        relay.on_done(7, done(7));
        assert_eq!(relay.next_batch(), None);
    }
}
