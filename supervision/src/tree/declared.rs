//! A tree as it is declared: a [`Supervisor`] prints itself, with all that is below it.

use std::fmt;
use std::sync::Arc;

use super::rows::{Cell, Rows};
use crate::child_spec::{Child, Kind};
use crate::strategy::{AutoShutdown, Strategy};
use crate::supervisor::Supervisor;

/// What a child with children of its own is declared as: a line, and the children that are known before it starts.
///
/// A [`Supervisor`] that is a child says this by itself; a supervisor of one's own is given it with
/// [`Child::declared`].
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::supervision::Declared;
///
/// let pool = Child::supervisor_with("pool", |node, options| async move {
///     let pool = node.spawn_process_with(options, async |mut me: Process<()>| Ok(me.receive().await?));
///     Ok(pool.pid())
/// });
/// let pool = pool.declared(Declared::new("a pool of 4"));
/// let shop = Supervisor::one_for_one().named("shop").child(pool);
/// assert_eq!(shop.to_string(), "\
/// shop     supervisor                       one_for_one, 1 restart within 5s
/// └─ pool  supervisor  permanent  infinity  a pool of 4
/// ");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    what: Arc<str>,
    children: Vec<Child>,
}

impl Declared {
    /// Something without children that are known before it starts.
    pub fn new(what: impl Into<Arc<str>>) -> Self {
        Self { what: what.into(), children: Vec::new() }
    }

    /// Adds children, in order.
    pub fn children(mut self, children: impl IntoIterator<Item = Child>) -> Self {
        self.children.extend(children);
        self
    }
}

impl Supervisor {
    /// What it is declared as, for whoever has it as a child.
    pub(crate) fn as_declared(&self) -> Declared {
        let Self { strategy, restarts, period, auto_shutdown, backoff, children, .. } = self;
        let restarts = match restarts {
            0 => "no restart".to_owned(),
            1 => format!("1 restart within {period:?}"),
            many => format!("{many} restarts within {period:?}"),
        };
        let mut what = format!("{strategy}, {restarts}");
        what += match auto_shutdown {
            AutoShutdown::Never => "",
            AutoShutdown::AnySignificant => ", ends with a significant child",
            AutoShutdown::AllSignificant => ", ends with its significant children",
        };
        if let Some(backoff) = backoff {
            what += &format!(", waits {backoff}");
        }
        Declared::new(what).children(children.iter().cloned())
    }
}

/// The tree that it is the root of, a line for each child, in start order: what it is called, whether it has children of its own,
/// when it is started again, how it is stopped; of a supervisor also its strategy and how many restarts it allows; and what else
/// is said of it.
impl fmt::Display for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let declared = self.as_declared();
        let mut rows = Rows::default();
        let name = self.name().unwrap_or(Self::UNNAMED);
        rows.push(
            0,
            [
                Cell::text(name),
                Cell::text(Kind::Supervisor),
                Cell::text(""),
                Cell::text(""),
                Cell::text(&declared.what),
            ],
        );
        push(&mut rows, 1, &declared.children);
        rows.fmt(f)
    }
}

fn push(rows: &mut Rows, depth: usize, children: &[Child]) {
    for child in children {
        let declared = child.declared.as_deref();
        let Child { id, kind, restart, shutdown, significant, backoff, circuit, .. } = child;
        let what = [
            declared.map(|declared| declared.what.to_string()),
            significant.then(|| "significant".to_owned()),
            backoff.map(|backoff| format!("waits {backoff}")),
            circuit.as_ref().map(|circuit| format!("needs {}", circuit.needs())),
        ];
        let what = what.into_iter().flatten().collect::<Vec<_>>().join(", ");
        rows.push(
            depth,
            [Cell::text(id), Cell::text(kind), Cell::text(restart), Cell::text(shutdown), Cell::text(what)],
        );
        push(rows, depth + 1, declared.map_or(&[], |declared| &declared.children));
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "worker",
            Self::Supervisor => "supervisor",
        })
    }
}
