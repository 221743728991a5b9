//! Makes a failing list smaller, as long as it still fails.
//!
//! Delta debugging, in the form of A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (IEEE
//! Transactions on Software Engineering 28, 2002), without its look at the parts alone: chunks are left out, large
//! ones first, until nothing can be left out one by one, or too much was tried.

/// What is left of `list`, and how often it was tried, at most `tries` times. `fails` says whether a list fails as the
/// whole one does; what it returns for the smallest one is handed back.
pub(crate) fn shrink<T: Clone, F>(
    list: Vec<T>,
    tries: usize,
    mut fails: impl FnMut(&[T]) -> Option<F>,
) -> (Vec<T>, Option<F>, usize) {
    let (mut list, mut failure, mut tried) = (list, None, 0);
    // All of it may be in vain: many a failure needs no choice at all.
    let mut chunk = list.len();
    while chunk > 0 {
        let mut start = 0;
        let mut has_shrunk = false;
        while start < list.len() {
            if tried == tries {
                return (list, failure, tried);
            }
            let end = (start + chunk).min(list.len());
            let without: Vec<T> = [&list[..start], &list[end..]].concat();
            tried += 1;
            match fails(&without) {
                Some(still) => {
                    (list, failure, has_shrunk) = (without, Some(still), true);
                }
                None => start = end,
            }
        }
        // One by one until none can go: a choice may be needed only as long as another one is there.
        chunk = if chunk == 1 && has_shrunk { 1 } else { chunk / 2 };
    }
    (list, failure, tried)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::shrink;

    proptest! {
        /// Of a failure that needs some elements in their order, those are left, and no others.
        #[test]
        fn what_a_failure_needs_is_left_and_nothing_else(
            list in proptest::collection::vec(0..50_u8, 0..200),
            needed in proptest::collection::vec(any::<proptest::sample::Index>(), 1..4),
        ) {
            prop_assume!(!list.is_empty());
            let mut places: Vec<usize> = needed.iter().map(|index| index.index(list.len())).collect();
            places.sort_unstable();
            places.dedup();
            let needed: Vec<u8> = places.iter().map(|place| list[*place]).collect();
            let fails = |list: &[u8]| {
                let mut rest = list.iter();
                needed.iter().all(|needed| rest.any(|one| one == needed)).then_some(())
            };
            let (left, _, tried) = shrink(list.clone(), usize::MAX, fails);
            prop_assert_eq!(left, needed);
            prop_assert!(tried <= 20 * (list.len() + 1));
        }
    }

    #[test]
    fn no_more_is_tried_than_may_be() {
        let (left, failure, tried) = shrink((0..100).collect(), 10, |_| None::<()>);
        assert_eq!((left.len(), failure, tried), (100, None, 10));
    }
}
