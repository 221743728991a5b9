//! Whom a child's end affects: siblings, or the supervisor itself.

use std::ops::Range;
use std::sync::Arc;

use biotope_runtime::Restart;

use crate::child_spec::Child;

/// Which children are restarted when one of them ends.
///
/// The affected ones that still run are stopped first, the last started first; then all of them are
/// started in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The one that ended. For children that do not depend on each other.
    #[default]
    OneForOne,
    /// All. For children that cannot work without each other.
    OneForAll,
    /// The one that ended and those after it. For children that depend on the ones before them.
    RestForOne,
}

impl Strategy {
    /// The children to restart, as positions in start order, when `died` of `count` ends.
    pub fn affected(self, died: usize, count: usize) -> Range<usize> {
        assert!(died < count, "child {died} of {count}");
        match self {
            Self::OneForOne => died..died + 1,
            Self::OneForAll => 0..count,
            Self::RestForOne => died..count,
        }
    }
}

/// Whether the end of children that have done their work is the end of their supervisor.
///
/// It is for a supervisor that exists for some of its children: the others are there to help. Those are marked
/// [`significant`](Child::significant), and what counts is that they end by themselves and are not restarted:
/// a transient one with an orderly reason, a temporary one with any. The supervisor then stops the other children in order
/// and ends with `Shutdown`. One that somebody terminates does not count. OTP's `auto_shutdown`.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// /// Copies something, and is done then.
/// #[derive(Actor, Default)]
/// struct Copy;
///
/// #[handlers]
/// impl Copy {}
///
/// #[derive(Actor, Default)]
/// struct Progress;
///
/// #[handlers]
/// impl Progress {}
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let job = Supervisor::one_for_all()
///         .auto_shutdown(AutoShutdown::AnySignificant)
///         .child(Progress::spec())
///         .child(Copy::spec().named("copy").restart(Transient).significant())
///         .start_on(&node(), biotope::SpawnOptions::default())
///         .await?;
///     let ended = node().ended(&job);
///     node().lookup::<Copy>("copy").ok_or(ExitReason::NoProc)?.stop();
///     assert_eq!(ended.await, ExitReason::Shutdown);
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// No.
    #[default]
    Never,
    /// The first of the significant children takes the supervisor along.
    AnySignificant,
    /// The last of the significant children does.
    AllSignificant,
}

/// What is wrong with a child for the supervisor that is to have it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It is significant to nobody.
    #[error("child `{0}` is significant, but its supervisor never shuts down for it: add `.auto_shutdown(…)` there")]
    NoAutoShutdown(Arc<str>),
    /// It is significant, and started again however it ends.
    #[error("child `{0}` is significant and permanent, so that its end never counts: make it transient or temporary")]
    SignificantPermanent(Arc<str>),
}

impl AutoShutdown {
    /// Whether the end of one significant child is that of the supervisor. `others_live` says whether another
    /// significant one runs or is about to.
    pub(crate) fn is_due(self, others_live: bool) -> bool {
        match self {
            Self::Never => false,
            Self::AnySignificant => true,
            Self::AllSignificant => !others_live,
        }
    }

    /// Whether `child` fits.
    pub(crate) fn check(self, child: &Child) -> Result<(), SpecError> {
        match (child.significant, self, child.restart) {
            (true, Self::Never, _) => Err(SpecError::NoAutoShutdown(child.id.clone())),
            (true, _, Restart::Permanent) => Err(SpecError::SignificantPermanent(child.id.clone())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Strategy;

    proptest! {
        #[test]
        fn whoever_ended_is_affected_and_nobody_before_it_unless_all_are(count in 1_usize..50, pick in 0_usize..50) {
            let died = pick % count;
            for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
                let affected = strategy.affected(died, count);
                prop_assert!(affected.contains(&died));
                prop_assert!(affected.end <= count);
                for child in 0..count {
                    let expected = match strategy {
                        Strategy::OneForOne => child == died,
                        Strategy::OneForAll => true,
                        Strategy::RestForOne => child >= died,
                    };
                    prop_assert_eq!(affected.contains(&child), expected);
                }
            }
        }
    }
}
