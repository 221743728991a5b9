//! Supervision trees, to be compared with what they should be.

use biotope_runtime::node;
use biotope_supervision::{SupervisorRef, Tree, Trees};

/// What is below `supervisor` at this moment, with it. Its [`outline`](Tree::outline) is the same in every run, and empty if the
/// supervisor has ended.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::test;
///
/// #[derive(Actor, Default)]
/// struct Till;
///
/// #[handlers]
/// impl Till {}
///
/// // #[biotope::test(seeds = 10)]
/// async fn the_shop_has_two_tills() -> biotope::Result<()> {
///     let tills = Supervisor::one_for_one().child(Till::spec().id("till 1")).child(Till::spec().id("till 2"));
///     let shop = Supervisor::rest_for_one().named("shop").child(tills.id("tills")).start_link().await?;
///     test::stop_at_end(&shop);
///     let tree = test::tree(&shop).await;
///     assert_eq!(tree.outline(), "shop (supervisor)\n  tills (supervisor)\n    till 1\n    till 2\n");
///     Ok(())
/// }
/// # test::test(test::TestOptions { seeds: Some(10), ..Default::default() }, the_shop_has_two_tills);
/// ```
///
/// # Panics
/// Outside of a process.
pub async fn tree(supervisor: &SupervisorRef) -> Tree {
    node().tree_below(supervisor).await
}
