//! The fault plan: after a third of the files, one node is killed and one worker of another panics.

use biotope::prelude::*;
use biotope::supervision::ecosystem::{MemberState, Progress};
use biotope::supervision::{EcosystemRef, EcosystemReport};

use crate::examiner::Examiner;

/// How often it is looked whether a worker was restarted; the summary says if it never was.
const MOST_LOOKS: usize = 500;

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

/// Lets a worker of the member `number` panic. Returns whether there was one.
pub(crate) async fn panic_one(ecosystem: &EcosystemRef<Examiner>, number: u64) -> Result<bool, CallFailed> {
    let report = ecosystem.report_of(number).await?;
    let worker = report.and_then(|report| report.workers.first().copied());
    let Some(worker) = worker.and_then(|pid| ActorRef::<Examiner>::at(&node(), pid)) else { return Ok(false) };
    worker.fall_over();
    Ok(true)
}

/// Waits until the supervisors have restarted so many workers, and returns what the ecosystem tells then.
pub(crate) async fn restarted(ecosystem: &EcosystemRef<Examiner>, count: u64) -> Result<EcosystemReport, CallFailed> {
    let mut report = ecosystem.report().await?;
    for _ in 0..MOST_LOOKS {
        if report.members.values().map(|member| member.restarts).sum::<u64>() >= count {
            break;
        }
        time::sleep(millis(20)).await;
        report = ecosystem.report().await?;
    }
    Ok(report)
}
