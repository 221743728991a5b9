//! What keeps a child down while something that it needs is down too.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::Node;

use crate::config::DEFAULT_CIRCUIT_CHECK;

/// What a child needs in order to run: while it is down, the child is not started again.
///
/// A child that fails because its database is gone fails again at once, and with it, after a few restarts, its supervisor.
/// A circuit breaks that: when the child has ended and is to be restarted, the supervisor looks at what the child
/// needs. While that is down it starts nothing, counts nothing against its intensity, and looks again every second. When it is
/// up, the restart is judged as if the child had ended then. Siblings that are started after it, and that its restart affects, are
/// down meanwhile; those before it go on, since what it needs may be among them. The first start of a child, and one that somebody asks for, do not
/// look.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Writer;
///
/// #[handlers]
/// impl Writer {}
///
/// let writer = Writer::spec().circuit(Circuit::registered("database").check_every(millis(200)));
/// assert!(format!("{writer:?}").contains("database"));
/// ```
#[derive(Clone)]
pub struct Circuit {
    needs: Arc<str>,
    is_up: Arc<dyn Fn(&Node) -> bool + Send + Sync>,
    every: Duration,
}

impl Circuit {
    /// The child needs a process that is registered under `name` on its node.
    pub fn registered(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        Self::when(name.clone(), move |node| node.whereis(&name).is_some())
    }

    /// The child needs what is called `needs` in the log; `is_up` says whether that is there. It runs in the supervisor's
    /// process and must not block; if it panics, the answer is no.
    pub fn when(needs: impl Into<Arc<str>>, is_up: impl Fn(&Node) -> bool + Send + Sync + 'static) -> Self {
        Self { needs: needs.into(), is_up: Arc::new(is_up), every: DEFAULT_CIRCUIT_CHECK }
    }

    /// How often the supervisor looks; without this, once a second. A thousand times a second at most.
    pub fn check_every(self, every: Duration) -> Self {
        Self { every: every.max(Duration::from_millis(1)), ..self }
    }

    /// What is needed.
    pub fn needs(&self) -> &str {
        &self.needs
    }

    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    pub(crate) fn is_up(&self, node: &Node) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.is_up)(node))).unwrap_or(false)
    }
}

/// Two are equal if they look at the same: made by one call, or clones of each other.
impl PartialEq for Circuit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.is_up, &other.is_up) && (&self.needs, self.every) == (&other.needs, other.every)
    }
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Circuit({:?}, every {:?})", self.needs, self.every)
    }
}
