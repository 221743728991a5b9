//! The fault plan: after a third of the files, one node is killed and one worker of another panics.

use biotope::prelude::*;
use biotope::supervision::EcosystemRef;
use biotope::supervision::ecosystem::{MemberState, Progress};

use crate::examiner::Examiner;

/// What is to happen, and to whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Victims {
    /// The node to kill: of those without the coordinator, the one that holds most.
    pub(crate) killed: String,
    /// The member one of whose workers panics: on another node.
    pub(crate) panicking: u64,
}

/// Chooses the victims. The first member stands beside the coordinator, which is not killed.
pub(crate) fn choose(progress: &Progress) -> Option<Victims> {
    let others = || progress.members.iter().filter(|member| member.number != 0);
    let killed = others().max_by_key(|member| member.held)?;
    // A node without the coordinator if there is one, else the coordinator's.
    let mut rest: Vec<&MemberState> = progress.members.iter().filter(|member| member.place != killed.place).collect();
    rest.sort_by_key(|member| std::cmp::Reverse(member.number));
    Some(Victims { killed: killed.place.clone(), panicking: rest.first()?.number })
}

/// Lets a worker of the member `number` panic.
pub(crate) async fn panic_one(ecosystem: &EcosystemRef<Examiner>, number: u64) -> Result<(), CallFailed> {
    let report = ecosystem.report().await?;
    let worker = report.members.get(&number).and_then(|member| member.workers.first().copied());
    if let Some(worker) = worker.and_then(|pid| ActorRef::<Examiner>::at(&node(), pid)) {
        worker.fall_over();
    }
    Ok(())
}
