//! Who is a member of which group, and who watches: every decision of a scope. A member's node makes no difference here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{GroupChange, GroupEvent};
use crate::pid::{NodeId, Pid};
use crate::signal::MonitorRef;

#[derive(Default)]
pub(super) struct Core {
    /// There is no group without members.
    groups: BTreeMap<Arc<str>, Members>,
    /// Of each process that is a member anywhere, its groups.
    memberships: BTreeMap<Pid, BTreeSet<Arc<str>>>,
    /// Who watches what. There need be no such group; and nothing is here that nobody watches.
    watchers: BTreeMap<Watched, BTreeSet<MonitorRef>>,
    /// What each monitor is set on.
    monitors: BTreeMap<MonitorRef, Watched>,
}

/// Each member, and how often it has joined.
type Members = BTreeMap<Pid, usize>;

/// One group, or all of them.
type Watched = Option<Arc<str>>;

/// A change, and who is to be told.
#[derive(Debug, PartialEq)]
#[must_use = "whoever watches waits to be told"]
pub(super) struct Notice {
    to: Vec<MonitorRef>,
    group: Arc<str>,
    change: GroupChange,
}

impl Notice {
    /// One for each monitor.
    pub(super) fn events(self) -> impl Iterator<Item = GroupEvent> {
        let Self { to, group, change } = self;
        to.into_iter().map(move |reference| GroupEvent { reference, group: group.clone(), change: change.clone() })
    }
}

impl Core {
    /// `pids` join `group`, each as often as it is named.
    pub(super) fn on_join(&mut self, group: &Arc<str>, pids: &[Pid]) -> Option<Notice> {
        if pids.is_empty() {
            return None;
        }
        let members = self.groups.entry(group.clone()).or_default();
        for &pid in pids {
            *members.entry(pid).or_insert(0) += 1;
            self.memberships.entry(pid).or_default().insert(group.clone());
        }
        Some(self.notice(group, GroupChange::Joined(pids.into())))
    }

    /// `pids` leave `group`, each as often as it is named and is a member. `None` if none of them was one.
    pub(super) fn on_leave(&mut self, group: &str, pids: &[Pid]) -> Option<Notice> {
        let (name, _) = self.groups.get_key_value(group)?;
        let name = name.clone();
        let left: Vec<Pid> = pids.iter().copied().filter(|pid| self.remove(&name, *pid, 1) > 0).collect();
        (!left.is_empty()).then(|| self.notice(&name, GroupChange::Left(left.into())))
    }

    /// A process has ended: it is a member of nothing, and watches nothing.
    pub(super) fn on_ended(&mut self, pid: Pid) -> Vec<Notice> {
        let own = MonitorRef { owner: pid, number: 0 }..=MonitorRef { owner: pid, number: u64::MAX };
        let set: Vec<MonitorRef> = self.monitors.range(own).map(|(reference, _)| *reference).collect();
        for reference in set {
            self.on_demonitor(reference);
        }
        self.forget(&[pid])
    }

    /// A node is lost, and with it all of its members.
    pub(super) fn on_lost(&mut self, node: NodeId) -> Vec<Notice> {
        let all = Pid::new(node, 0, 0)..=Pid::new(node, u32::MAX, u32::MAX);
        let lost: Vec<Pid> = self.memberships.range(all).map(|(pid, _)| *pid).collect();
        self.forget(&lost)
    }

    /// Takes `pids` out of all groups: one change for each group, in the order of their names.
    fn forget(&mut self, pids: &[Pid]) -> Vec<Notice> {
        let mut left: BTreeMap<Arc<str>, Vec<Pid>> = BTreeMap::new();
        for &pid in pids {
            for group in self.memberships.get(&pid).cloned().unwrap_or_default() {
                let times = self.remove(&group, pid, usize::MAX);
                left.entry(group).or_default().extend(std::iter::repeat_n(pid, times));
            }
        }
        left.into_iter().map(|(group, pids)| self.notice(&group, GroupChange::Left(pids.into()))).collect()
    }

    /// Takes `pid` out of `group`, `times` at most. Returns how often it was taken out.
    fn remove(&mut self, group: &Arc<str>, pid: Pid, times: usize) -> usize {
        let Some(members) = self.groups.get_mut(group) else { return 0 };
        let Some(joined) = members.get_mut(&pid) else { return 0 };
        let removed = times.min(*joined);
        *joined -= removed;
        if *joined > 0 {
            return removed;
        }
        members.remove(&pid);
        if members.is_empty() {
            self.groups.remove(group);
        }
        if let Some(memberships) = self.memberships.get_mut(&pid) {
            memberships.remove(group);
            if memberships.is_empty() {
                self.memberships.remove(&pid);
            }
        }
        removed
    }

    /// From now on `reference` is told of what is `watched`.
    pub(super) fn on_monitor(&mut self, reference: MonitorRef, watched: Watched) {
        self.watchers.entry(watched.clone()).or_default().insert(reference);
        self.monitors.insert(reference, watched);
    }

    /// `reference` is told nothing more. Returns whether it was told anything.
    pub(super) fn on_demonitor(&mut self, reference: MonitorRef) -> bool {
        let Some(watched) = self.monitors.remove(&reference) else { return false };
        if let Some(watchers) = self.watchers.get_mut(&watched) {
            watchers.remove(&reference);
            if watchers.is_empty() {
                self.watchers.remove(&watched);
            }
        }
        true
    }

    fn notice(&self, group: &Arc<str>, change: GroupChange) -> Notice {
        let watched = [Some(group.clone()), None];
        let to = watched.iter().filter_map(|watched| self.watchers.get(watched)).flatten().copied().collect();
        Notice { to, group: group.clone(), change }
    }

    /// The members of `group`, each as often as it has joined.
    pub(super) fn members(&self, group: &str) -> Vec<Pid> {
        self.groups.get(group).map(listed).unwrap_or_default()
    }

    /// The groups that have members which are `among`.
    pub(super) fn groups(&self, among: impl Fn(Pid) -> bool) -> Vec<Arc<str>> {
        let groups = self.groups.iter().filter(|(_, members)| members.keys().any(|pid| among(*pid)));
        groups.map(|(group, _)| group.clone()).collect()
    }

    /// All groups, with their members.
    pub(super) fn all(&self) -> BTreeMap<Arc<str>, Vec<Pid>> {
        self.groups.iter().map(|(group, members)| (group.clone(), listed(members))).collect()
    }

    /// The groups that `pid` is a member of.
    pub(super) fn groups_of(&self, pid: Pid) -> Vec<Arc<str>> {
        self.memberships.get(&pid).into_iter().flatten().cloned().collect()
    }
}

fn listed(members: &Members) -> Vec<Pid> {
    members.iter().flat_map(|(pid, times)| std::iter::repeat_n(*pid, *times)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(node: &str, slot: u32) -> Pid {
        Pid::new(NodeId::new(node, 0), slot, 0)
    }

    fn watcher(number: u64) -> MonitorRef {
        MonitorRef { owner: pid("here", 99), number }
    }

    /// Who is told what.
    fn told(notices: impl IntoIterator<Item = Notice>) -> Vec<(u64, String, bool, Vec<Pid>)> {
        let events = notices.into_iter().flat_map(Notice::events);
        let mut told: Vec<_> = events
            .map(|GroupEvent { reference, group, change }| {
                let (has_joined, pids) = match change {
                    GroupChange::Joined(pids) => (true, pids),
                    GroupChange::Left(pids) => (false, pids),
                };
                (reference.number, group.to_string(), has_joined, pids.to_vec())
            })
            .collect();
        told.sort();
        told
    }

    #[test]
    fn nothing_is_kept_of_what_is_over() {
        let (mut core, [g, h]) = (Core::default(), ["g", "h"].map(Arc::<str>::from));
        let (p, far) = (pid("here", 1), pid("there", 1));
        core.on_monitor(watcher(1), Some(g.clone()));
        core.on_monitor(watcher(2), None);
        for group in [&g, &h] {
            let _ = core.on_join(group, &[p, far, p]);
        }
        assert_eq!(core.groups_of(p), [g.clone(), h.clone()]);
        let _ = core.on_leave("g", &[p]);
        assert_eq!(core.on_ended(p).len(), 2);
        assert_eq!(core.on_lost(far.node()).len(), 2);
        let _ = core.on_ended(watcher(1).owner);
        assert!(core.groups.is_empty() && core.memberships.is_empty());
        assert!(core.watchers.is_empty() && core.monitors.is_empty());
    }

    #[test]
    fn a_lost_node_is_one_change_for_each_group() {
        let (mut core, [g, h]) = (Core::default(), ["g", "h"].map(Arc::<str>::from));
        let (here, one, other) = (pid("here", 1), pid("there", 1), pid("there", 2));
        core.on_monitor(watcher(1), Some(g.clone()));
        core.on_monitor(watcher(2), None);
        let joined = core.on_join(&g, &[other, here, one, one]);
        assert_eq!(told(joined), [1, 2].map(|number| (number, "g".to_owned(), true, vec![other, here, one, one])));
        let _ = core.on_join(&h, &[other]);
        let both = vec![one, one, other];
        let expected = [
            (1, "g".to_owned(), false, both.clone()),
            (2, "g".to_owned(), false, both),
            (2, "h".to_owned(), false, vec![other]),
        ];
        let mut told = told(core.on_lost(one.node()));
        for (.., pids) in &mut told {
            pids.sort_unstable();
        }
        assert_eq!(told, expected);
        assert_eq!(core.all(), BTreeMap::from([(g, vec![here])]));
    }

    #[test]
    fn who_leaves_more_often_than_it_has_joined_is_told_of_as_often_as_it_had() {
        let (mut core, g) = (Core::default(), Arc::from("g"));
        let (p, q) = (pid("here", 1), pid("here", 2));
        core.on_monitor(watcher(1), Some(g));
        assert_eq!(core.on_join(&Arc::from("g"), &[]), None);
        let _ = core.on_join(&Arc::from("g"), &[p]);
        assert_eq!(told(core.on_leave("g", &[p, p, q])), [(1, "g".to_owned(), false, vec![p])]);
        assert_eq!(core.on_leave("g", &[p]), None);
        assert!(core.on_demonitor(watcher(1)));
        assert!(!core.on_demonitor(watcher(1)));
        assert_eq!(told(core.on_join(&Arc::from("g"), &[p])), []);
    }
}
