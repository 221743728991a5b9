//! The coordinator's decisions, without a process: which job is where, and what to do when a member
//! comes, goes, asks for work or answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How often a job is handed out at most.
pub const ATTEMPTS: u32 = 3;

/// The number of a job.
pub(crate) type JobId = u64;

/// Who has which jobs. `M` names a member.
#[derive(Debug)]
pub(crate) struct Dispatch<M> {
    /// Jobs that nobody has, in the order they are to be handed out.
    waiting: VecDeque<JobId>,
    /// How often each open job was handed out.
    attempts: BTreeMap<JobId, u32>,
    /// By member: the jobs it has not answered.
    held: BTreeMap<M, BTreeSet<JobId>>,
    /// By member: how many jobs it asked for and did not get yet.
    asked: BTreeMap<M, usize>,
    attempts_limit: u32,
    reassigned: u64,
}

/// What becomes of a job whose handling failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It is handed out again.
    Again,
    /// It has failed too often.
    GiveUp,
    /// Another member has answered it already, or has it now.
    Stale,
}

impl<M: Ord + Clone> Dispatch<M> {
    pub(crate) fn new(attempts_limit: u32) -> Self {
        Self {
            waiting: VecDeque::new(),
            attempts: BTreeMap::new(),
            held: BTreeMap::new(),
            asked: BTreeMap::new(),
            attempts_limit,
            reassigned: 0,
        }
    }

    pub(crate) fn on_submitted(&mut self, job: JobId) {
        self.attempts.insert(job, 0);
        self.waiting.push_back(job);
    }

    pub(crate) fn on_member_up(&mut self, member: M) {
        self.held.entry(member).or_default();
    }

    /// The jobs that `member` held are handed out again, before those that nobody has had. Returns
    /// those that have been tried too often: a job that ends every node that it meets must not meet
    /// all of them.
    pub(crate) fn on_member_down(&mut self, member: &M) -> Vec<JobId> {
        self.asked.remove(member);
        let mut given_up = Vec::new();
        for job in self.held.remove(member).unwrap_or_default().into_iter().rev() {
            if self.is_spent(job) {
                self.attempts.remove(&job);
                given_up.push(job);
            } else {
                self.reassigned += 1;
                self.waiting.push_front(job);
            }
        }
        given_up
    }

    pub(crate) fn on_asked(&mut self, member: M, count: usize) {
        if self.held.contains_key(&member) {
            *self.asked.entry(member).or_default() += count;
        }
    }

    /// Returns whether the answer is the job's first.
    pub(crate) fn on_answered(&mut self, job: JobId) -> bool {
        for held in self.held.values_mut() {
            held.remove(&job);
        }
        if self.attempts.remove(&job).is_none() {
            return false;
        }
        // It may wait to be handed out again, because its member was taken for lost.
        self.waiting.retain(|waiting| *waiting != job);
        true
    }

    pub(crate) fn on_failed(&mut self, member: &M, job: JobId) -> Failed {
        let held = self.held.get_mut(member).is_some_and(|held| held.remove(&job));
        if !held {
            return Failed::Stale;
        }
        if self.is_spent(job) {
            self.attempts.remove(&job);
            return Failed::GiveUp;
        }
        self.reassigned += 1;
        self.waiting.push_front(job);
        Failed::Again
    }

    /// The next job to hand out and to whom, if one waits and somebody asked.
    pub(crate) fn next_assignment(&mut self) -> Option<(M, JobId)> {
        if self.waiting.is_empty() {
            return None;
        }
        // Whoever holds least comes first, so that no member hoards at the beginning.
        let asking = self.asked.iter().filter(|(_, count)| **count > 0).map(|(member, _)| member);
        let member = asking.min_by_key(|member| self.held.get(*member).map_or(0, BTreeSet::len))?.clone();
        let job = self.waiting.pop_front()?;
        *self.asked.get_mut(&member)? -= 1;
        *self.attempts.entry(job).or_default() += 1;
        self.held.entry(member.clone()).or_default().insert(job);
        Some((member, job))
    }

    /// How many jobs `member` holds unanswered.
    pub(crate) fn held_by(&self, member: &M) -> usize {
        self.held.get(member).map_or(0, BTreeSet::len)
    }

    /// How many times a job was taken back to be handed out again.
    pub(crate) fn reassigned(&self) -> u64 {
        self.reassigned
    }

    fn is_spent(&self, job: JobId) -> bool {
        self.attempts.get(&job).is_none_or(|attempts| *attempts >= self.attempts_limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dispatch(jobs: u64) -> Dispatch<&'static str> {
        let mut dispatch = Dispatch::new(3);
        dispatch.on_member_up("a");
        dispatch.on_member_up("b");
        (0..jobs).for_each(|job| dispatch.on_submitted(job));
        dispatch
    }

    #[test]
    fn work_is_handed_out_as_it_is_asked_for() {
        let mut dispatch = dispatch(2);
        assert_eq!(dispatch.next_assignment(), None);
        dispatch.on_asked("b", 1);
        assert_eq!(dispatch.next_assignment(), Some(("b", 0)));
        assert_eq!(dispatch.next_assignment(), None);
        assert_eq!(dispatch.held_by(&"b"), 1);
    }

    #[test]
    fn the_jobs_of_a_lost_member_come_first_and_in_order() {
        let mut dispatch = dispatch(3);
        dispatch.on_asked("a", 2);
        while dispatch.next_assignment().is_some() {}
        assert!(dispatch.on_member_down(&"a").is_empty());
        dispatch.on_asked("b", 9);
        let handed: Vec<_> = std::iter::from_fn(|| dispatch.next_assignment()).collect();
        assert_eq!(handed, [("b", 0), ("b", 1), ("b", 2)]);
        assert_eq!(dispatch.reassigned(), 2);
    }

    #[test]
    fn a_job_that_fails_too_often_is_given_up() {
        let mut dispatch = dispatch(1);
        dispatch.on_asked("a", 9);
        for expected in [Failed::Again, Failed::Again, Failed::GiveUp] {
            assert_eq!(dispatch.next_assignment(), Some(("a", 0)));
            assert_eq!(dispatch.on_failed(&"a", 0), expected);
        }
        assert_eq!(dispatch.next_assignment(), None);
        assert_eq!(dispatch.on_failed(&"a", 0), Failed::Stale);
    }

    #[test]
    fn only_the_first_answer_counts() {
        let mut dispatch = dispatch(1);
        dispatch.on_asked("a", 1);
        dispatch.on_asked("b", 1);
        dispatch.next_assignment();
        dispatch.on_member_down(&"a");
        assert!(dispatch.on_answered(0), "the answer was under way when the member was lost");
        assert!(!dispatch.on_answered(0));
        assert_eq!(dispatch.next_assignment(), None, "an answered job is not handed out again");
    }

    proptest! {
        /// Whatever happens in whatever order, each job ends exactly once: answered or given up.
        #[test]
        fn each_job_ends_exactly_once(steps in prop::collection::vec((0_u8..5, 0_u8..3, any::<prop::sample::Index>()), 0..200)) {
            let mut dispatch = Dispatch::new(3);
            let mut held: Vec<(u8, JobId)> = Vec::new();
            let mut ended = BTreeSet::new();
            let jobs = 8;
            (0..jobs).for_each(|job| dispatch.on_submitted(job));
            for (step, member, which) in steps {
                match step {
                    0 => dispatch.on_member_up(member),
                    1 => {
                        for job in dispatch.on_member_down(&member) {
                            prop_assert!(ended.insert(job));
                        }
                        held.retain(|(holder, _)| *holder != member);
                    }
                    2 => {
                        dispatch.on_asked(member, 2);
                        while let Some(handed) = dispatch.next_assignment() {
                            prop_assert!(!ended.contains(&handed.1), "handed out after its end");
                            held.push(handed);
                        }
                    }
                    3 if !held.is_empty() => {
                        let (_, job) = held.swap_remove(which.index(held.len()));
                        if dispatch.on_answered(job) {
                            prop_assert!(ended.insert(job));
                        }
                    }
                    4 if !held.is_empty() => {
                        let (holder, job) = held.swap_remove(which.index(held.len()));
                        if dispatch.on_failed(&holder, job) == Failed::GiveUp {
                            prop_assert!(ended.insert(job));
                        }
                    }
                    _ => {}
                }
            }
            // A member that lives and answers ends whatever is left.
            dispatch.on_member_up(9);
            for member in 0..3 {
                for job in dispatch.on_member_down(&member) {
                    prop_assert!(ended.insert(job));
                }
            }
            dispatch.on_asked(9, 100);
            while let Some((_, job)) = dispatch.next_assignment() {
                prop_assert!(dispatch.on_answered(job));
                prop_assert!(ended.insert(job));
            }
            prop_assert_eq!(ended, (0..jobs).collect::<BTreeSet<_>>());
        }
    }
}
