//! Supervision trees, to be compared with what they should be.

use std::fmt;
use std::pin::Pin;

use biotope_runtime::{CallFailed, node};
use biotope_supervision::{ChildInfo, ChildStatus, Kind, SupervisorRef};

/// A supervision tree at one moment; made by [`tree`]. As text it is one line for each child, two blanks deeper for each level:
///
/// ```text
/// prices
/// tills (supervisor)
///   till 1
///   till 2: stopped
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tree {
    /// The children, in start order, with what is below them.
    pub children: Vec<(ChildInfo, Option<Tree>)>,
}

/// The tree below `supervisor`.
///
/// # Errors
/// [`CallFailed`], if a supervisor of it ends meanwhile.
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
///     let shop = Supervisor::rest_for_one().child(tills.id("tills")).start_link().await?;
///     test::stop_at_end(&shop);
///     assert_eq!(test::tree(&shop).await?.to_string(), "tills (supervisor)\n  till 1\n  till 2\n");
///     Ok(())
/// }
/// # test::test(test::TestOptions { seeds: Some(10), ..Default::default() }, the_shop_has_two_tills);
/// ```
pub async fn tree(supervisor: &SupervisorRef) -> Result<Tree, CallFailed> {
    below(supervisor.clone()).await
}

/// Boxed, because it asks for what is below in the same way.
fn below(supervisor: SupervisorRef) -> Pin<Box<dyn Future<Output = Result<Tree, CallFailed>> + Send>> {
    Box::pin(async move {
        let mut children = Vec::new();
        for child in supervisor.which_children().await? {
            let branch = match (child.kind, child.pid()) {
                (Kind::Supervisor, Some(pid)) => match node().actor(pid) {
                    Some(supervisor) => Some(below(supervisor).await?),
                    None => None,
                },
                _ => None,
            };
            children.push((child, branch));
        }
        Ok(Tree { children })
    })
}

impl Tree {
    fn write(&self, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (child, branch) in &self.children {
            let kind = match child.kind {
                Kind::Supervisor => " (supervisor)",
                _ => "",
            };
            let status = match child.status {
                ChildStatus::Running(_) => "",
                ChildStatus::Restarting => ": restarting",
                ChildStatus::Stopped => ": stopped",
            };
            writeln!(f, "{:indent$}{}{kind}{status}", "", child.id, indent = 2 * depth)?;
            if let Some(branch) = branch {
                branch.write(depth + 1, f)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(0, f)
    }
}
