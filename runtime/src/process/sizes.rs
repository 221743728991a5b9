//! What the process of an actor takes in memory, part by part.

use std::alloc::Layout;
use std::fmt;

use super::actor::{ActorBody, Futures, pending_sizes};
use super::cell::Cell;
use super::header::Header;
use super::spawn::futures;
use crate::actor::{Actor, Handle};
use crate::memory::piece_of;

/// Tells what a process of `A` takes in memory, and what makes it so much.
///
/// It prints as a table. A process is as large as its largest future makes it, and a message as its largest arguments, so
/// the table says whose these are:
///
/// ```text
/// Gallery: 416 bytes for a process, of which most is the future of compare
///   header                         60
///   mailbox                        20
///   state                          24
///   future of handle              304
///   alignment                       0
///   rounded up by                   8
/// Gallery: 88 bytes for a message, as compare needs
///   count                          16
///   hang                            8 and 160 in a box
///   compare                        80, its future 200
///   paint                          24 and 160 in a box, its future 360 in a box
/// ```
///
/// Arguments of more than 96 bytes lie in a box, and so does the future of an async handler that has such arguments. Where
/// a type parameter is among them, and where a future is large with small arguments, `#[boxed]` on the handler says it.
///
/// # Examples
///
/// In a test, to see it with `cargo test -- --nocapture`, or to hold it where it is:
///
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor)]
/// struct Gallery {
///     pictures: Vec<[u64; 20]>,
/// }
///
/// #[handlers]
/// impl Gallery {
///     #[cast]
///     fn hang(&mut self, picture: [u64; 20]) {
///         self.pictures.push(picture);
///     }
///
///     fn count(&self) -> usize {
///         self.pictures.len()
///     }
/// }
///
/// let sizes = biotope::sizes::<Gallery>();
/// println!("{sizes}");
/// assert_eq!(sizes.state, 24);
/// assert_eq!(sizes.largest_handler().unwrap().name, "count");
/// assert_eq!(sizes.handlers[0].boxed, Some(160));
/// assert!(sizes.piece <= 128 && sizes.message <= 24);
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
    /// What the futures of `init`, `handle`, `info` and `terminate` take in the process, one at a time. That of `handle` is as
    /// large as the largest async handler; a plain handler needs none. Those of `init` and `terminate` lie in memory of their
    /// own, and a pointer leads there.
    pub futures: [(&'static str, usize); 4],
    /// One message, as large as the largest of them.
    pub message: usize,
    /// What each handler takes. None if the actor was written without `#[handlers]`.
    pub handlers: Vec<HandlerSizes>,
}

impl Sizes {
    /// The future that the process is made large enough for.
    pub fn largest_future(&self) -> (&'static str, usize) {
        let [first, rest @ ..] = self.futures;
        rest.into_iter().fold(first, |largest, future| if future.1 > largest.1 { future } else { largest })
    }

    /// The handler that messages are made large enough for.
    pub fn largest_handler(&self) -> Option<&HandlerSizes> {
        self.handlers.iter().rev().max_by_key(|handler| handler.message)
    }

    /// What there is most of in a process.
    fn largest_part(&self) -> String {
        let mut largest = ("its header", self.header);
        for part in [("its mailbox", self.mailbox), ("its state", self.state)] {
            if part.1 > largest.1 {
                largest = part;
            }
        }
        let (future, size) = self.largest_future();
        if largest.1 >= size {
            return largest.0.to_owned();
        }
        let handler = self.handlers.iter().rev().max_by_key(|handler| handler.future).filter(|_| future == "handle");
        format!("the future of {}", handler.map_or(future, |handler| handler.name))
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, what: &str, size: usize| writeln!(f, "  {what:<24} {size:>8}");
        writeln!(f, "{}: {} bytes for a process, of which most is {}", self.actor, self.piece, self.largest_part())?;
        line(f, "header", self.header)?;
        line(f, "mailbox", self.mailbox)?;
        line(f, "state", self.state)?;
        let (name, size) = self.largest_future();
        line(f, &format!("future of {name}"), size)?;
        line(f, "alignment", self.cell - self.header - self.mailbox - self.state - size)?;
        line(f, "rounded up by", self.piece - self.cell)?;
        write!(f, "{}: {} bytes for a message", self.actor, self.message)?;
        match self.largest_handler() {
            Some(largest) if largest.message > 0 => writeln!(f, ", as {} needs", largest.name)?,
            _ => writeln!(f)?,
        }
        self.handlers.iter().try_for_each(|handler| writeln!(f, "  {handler}"))
    }
}

/// What one handler takes, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerSizes {
    /// What it is called.
    pub name: &'static str,
    /// What its arguments take in a message, the way of the reply included.
    pub message: usize,
    /// Its arguments, if they lie in a box.
    pub boxed: Option<usize>,
    /// What its future takes in the process; 0 if it needs none.
    pub future: usize,
    /// Its future, if that lies in a box.
    pub boxed_future: Option<usize>,
}

impl HandlerSizes {
    /// Those of a plain handler with arguments `T` and a reply that goes the way `R`. The arguments lie in the message if
    /// there is room `enough`.
    pub fn of<T, R>(name: &'static str, enough: bool) -> Self {
        let (message, boxed) = match enough {
            true => (size_of::<(T, R)>(), None),
            false => (size_of::<(Box<T>, R)>(), Some(size_of::<T>())),
        };
        Self { name, message, boxed, future: 0, boxed_future: None }
    }

    /// With the future that `call` would give. It is not called.
    pub fn with_future<F>(self, call: impl FnOnce() -> F) -> Self {
        let _ = call;
        match self.boxed {
            None => Self { future: size_of::<F>(), ..self },
            Some(_) => Self { future: size_of::<Box<F>>(), boxed_future: Some(size_of::<F>()), ..self },
        }
    }
}

impl fmt::Display for HandlerSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, message, boxed, future, boxed_future } = self;
        write!(f, "{name:<24} {message:>8}")?;
        if let Some(boxed) = boxed {
            write!(f, " and {boxed} in a box")?;
        }
        match (future, boxed_future) {
            (_, Some(boxed)) => write!(f, ", its future {boxed} in a box"),
            (0, None) => Ok(()),
            (future, None) => write!(f, ", its future {future}"),
        }
    }
}

/// Stands for an argument in a call that is written for its type and never run.
pub fn any<T>() -> T {
    unreachable!("a call that is only measured is not run")
}

fn measure<A: Actor, F: Futures<A>>(_: F) -> Sizes {
    let layout = Layout::new::<Cell<A::Msg, ActorBody<A, F>>>();
    Sizes {
        actor: A::NAME,
        cell: layout.size(),
        piece: piece_of(layout),
        header: size_of::<Header>() - Header::MAILBOX,
        mailbox: Header::MAILBOX,
        state: size_of::<A>(),
        futures: pending_sizes::<A, F>(),
        message: size_of::<A::Msg>(),
        handlers: A::handler_sizes(),
    }
}
