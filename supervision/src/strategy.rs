//! Which siblings a child's end affects.

use std::ops::Range;

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
