//! What the process of an actor takes in memory, part by part.

use std::alloc::Layout;
use std::fmt;

use super::actor::{ActorBody, Futures, pending_sizes};
use super::cell::{Cell, Local};
use super::header::Header;
use super::spawn::futures;
use crate::actor::Handle;
use crate::memory::piece_of;

/// Tells what a process of `A` takes in memory, and what makes it so much.
///
/// # Examples
///
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor)]
/// struct Counter(u64);
///
/// #[handlers]
/// impl Counter {
///     fn total(&self) -> u64 {
///         self.0
///     }
///
///     #[cast]
///     async fn add(&mut self, numbers: [u64; 100]) {
///         time::yield_now().await;
///         self.0 += numbers.iter().sum::<u64>();
///     }
/// }
///
/// let sizes = biotope::sizes::<Counter>();
/// println!("{sizes}");
/// assert_eq!(sizes.state, 8);
/// assert!(sizes.cell > 800 && sizes.message > 800, "the numbers are in the message, and in the future");
/// assert_eq!(sizes.largest_future().0, "handle");
/// assert_eq!(sizes.largest_handler(), Some(("add", 800)));
/// ```
pub fn sizes<A: Handle>() -> Sizes {
    measure(futures::<A>())
}

/// What [`sizes`] tells; all of it in bytes. Prints as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// The actor's name.
    pub actor: &'static str,
    /// The whole process: header, mailbox, state, the largest of the futures, and what aligns them.
    pub cell: usize,
    /// The piece of memory that it lies in: `cell`, rounded up to what the runtime's pool has.
    pub piece: usize,
    /// What every process has.
    pub header: usize,
    /// The intake, without the blocks that messages wait in.
    pub mailbox: usize,
    /// The actor itself.
    pub state: usize,
    /// The futures of `init`, `handle`, `info` and `terminate`, of which one at a time is in the process. That of
    /// `handle` is as large as the largest async handler; a plain handler needs none.
    pub futures: [(&'static str, usize); 4],
    /// One message, as large as the largest of them.
    pub message: usize,
    /// What each handler's arguments take in a message, the way of the reply included. None if the actor was written
    /// without `#[handlers]`.
    pub handlers: Vec<(&'static str, usize)>,
}

impl Sizes {
    /// The future that the process is made large enough for.
    pub fn largest_future(&self) -> (&'static str, usize) {
        let [first, rest @ ..] = self.futures;
        rest.into_iter().fold(first, |largest, future| if future.1 > largest.1 { future } else { largest })
    }

    /// The handler that messages are made large enough for.
    pub fn largest_handler(&self) -> Option<(&'static str, usize)> {
        self.handlers.iter().copied().max_by_key(|(_, size)| *size)
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, what: &str, size: usize| writeln!(f, "  {what:<24} {size:>8}");
        writeln!(f, "{}: {} bytes for a process", self.actor, self.piece)?;
        line(f, "header", self.header)?;
        line(f, "mailbox", self.mailbox)?;
        line(f, "state", self.state)?;
        let (name, size) = self.largest_future();
        line(f, &format!("largest future: {name}"), size)?;
        line(f, "alignment", self.cell - self.header - self.mailbox - self.state - size)?;
        line(f, "rounded up by", self.piece - self.cell)?;
        writeln!(f, "{}: {} bytes for a message", self.actor, self.message)?;
        self.handlers.iter().try_for_each(|(name, size)| line(f, name, *size))
    }
}

fn measure<A: Handle, F: Futures<A>>(_: F) -> Sizes {
    let layout = Layout::new::<Cell<A::Msg, ActorBody<A, F>>>();
    Sizes {
        actor: A::NAME,
        cell: layout.size(),
        piece: piece_of(layout),
        header: size_of::<Header>(),
        mailbox: size_of::<Local<A::Msg>>() - size_of::<Header>(),
        state: size_of::<A>(),
        futures: pending_sizes::<A, F>(),
        message: size_of::<A::Msg>(),
        handlers: A::HANDLERS.iter().copied().zip(A::ARGUMENTS.iter().copied()).collect(),
    }
}
