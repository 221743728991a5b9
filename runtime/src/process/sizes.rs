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
/// Arguments that have no room in a message lie in a box. Those below do, for there are few of them:
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
///     async fn add(&mut self, numbers: [u64; 12]) {
///         time::yield_now().await;
///         self.0 += numbers.iter().sum::<u64>();
///     }
/// }
///
/// let sizes = biotope::sizes::<Counter>();
/// println!("{sizes}");
/// assert_eq!(sizes.state, 8);
/// assert_eq!(sizes.largest_future().0, "handle");
/// let add = sizes.largest_handler().unwrap();
/// assert_eq!((add.name, add.message, add.boxed), ("add", 96, None));
/// ```
///
/// It prints as a table, whose last lines say what there is most of:
///
/// ```text
/// Counter: 320 bytes for a process
///   header                           80
///   mailbox                          24
///   state                             8
///   future of handle                200
///   alignment                         0
///   rounded up by                     8
///   most of it                             the future of add
/// Counter: 104 bytes for a message
///                               message    in a box      future
///   total                            16           0           0
///   add                              96           0         200
///   most of it                             the arguments of add
/// ```
///
/// A test that prints it is enough to see it: `cargo test sizes -- --nocapture`.
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
        self.handlers.iter().max_by_key(|handler| handler.message)
    }

    /// What there is most of in a process.
    fn most_of_process(&self) -> String {
        let (future, size) = self.largest_future();
        let parts = [("its header", self.header), ("its mailbox", self.mailbox), ("its state", self.state)];
        match parts.into_iter().find(|part| part.1 >= size && parts.iter().all(|other| other.1 <= part.1)) {
            Some((part, _)) => part.to_owned(),
            None if future != "handle" => format!("the future of {future}"),
            None => {
                let handler = self.handlers.iter().max_by_key(|handler| handler.future);
                format!("the future of {}", handler.map_or(future, |handler| handler.name))
            }
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, what: &str, size: usize| writeln!(f, "  {what:<24} {size:>8}");
        let most = |f: &mut fmt::Formatter<'_>, what: &str| writeln!(f, "  {:<38} {what}", "most of it");
        writeln!(f, "{}: {} bytes for a process", self.actor, self.piece)?;
        line(f, "header", self.header)?;
        line(f, "mailbox", self.mailbox)?;
        line(f, "state", self.state)?;
        let (name, size) = self.largest_future();
        line(f, &format!("future of {name}"), size)?;
        line(f, "alignment", self.cell - self.header - self.mailbox - self.state - size)?;
        line(f, "rounded up by", self.piece - self.cell)?;
        most(f, &self.most_of_process())?;
        writeln!(f, "{}: {} bytes for a message", self.actor, self.message)?;
        let Some(largest) = self.largest_handler() else { return Ok(()) };
        writeln!(f, "  {:<24} {:>8} {:>9} {:>9} {:>9}", "", "message", "in a box", "future", "in a box")?;
        for HandlerSizes { name, message, boxed, future, boxed_future } in &self.handlers {
            let [boxed, boxed_future] =
                [boxed, boxed_future].map(|size| size.map_or(String::new(), |size| size.to_string()));
            writeln!(
                f,
                "{}",
                format!("  {name:<24} {message:>8} {boxed:>9} {future:>9} {boxed_future:>9}").trim_end()
            )?;
        }
        most(f, &format!("the arguments of {}", largest.name))
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

/// Stands for an argument in a call that is written for its type and never run.
pub fn any<T>() -> T {
    unreachable!("a call that is only measured is not run")
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
        handlers: A::handler_sizes(),
    }
}
