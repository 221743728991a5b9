//! What a user's type is to the engine.
//!
//! `#[derive(Actor)]` with `#[handlers]` writes all of this; by hand it is a message enum, a client
//! (or plain [`Address`]) and one `handle` function:
//!
//! ```
//! use biotope::prelude::*;
//!
//! struct Counter(u64);
//!
//! enum Message {
//!     Add(u64),
//!     Total(ReplyTo<u64>),
//! }
//!
//! impl Actor for Counter {
//!     type Msg = Message;
//!     type Client = Address<Message>;
//!     const NAME: &'static str = "Counter";
//! }
//!
//! impl Handle for Counter {
//!     async fn handle(&mut self, message: Message, _cx: &mut Context<Self>) {
//!         match message {
//!             Message::Add(n) => self.0 += n,
//!             Message::Total(reply) => reply.send(self.0),
//!         }
//!     }
//! }
//!
//! #[biotope::main]
//! async fn main() -> biotope::Result<()> {
//!     let counter = spawn(Counter(0));
//!     counter.cast(Message::Add(2));
//!     assert_eq!(Call::new(&counter, Message::Total).await?, 2);
//!     Ok(())
//! }
//! ```

use std::future::Future;
use std::time::Duration;

use crate::address::Address;
use crate::child::{Restart, Shutdown};
use crate::context::Context;
use crate::exit::{Error, ExitReason};
use crate::priority::Priority;
use crate::process::HandlerSizes;
use crate::runs_on::OwnThread;
use crate::signal::Info;
use crate::spec::Spec;

/// A type whose instances can be addressed: what messages they take, and how callers see them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an actor",
    note = "write `#[derive(Actor)]` on the type and `#[handlers]` on the `impl` block with its messages"
)]
pub trait Actor: Sized + 'static {
    /// Everything that can be in the mailbox: an enum with one variant for each handler.
    type Msg: Send + 'static;
    /// What an `ActorRef` derefs to: the methods that send the messages.
    type Client: Client<Msg = Self::Msg>;
    /// The actor's name in lists and reports, and between nodes.
    const NAME: &'static str;
    /// How its processes are run.
    const OPTIONS: Options = Options::DEFAULT;
    /// The names of its handlers, for lists and reports.
    const HANDLERS: &'static [&'static str] = &[];

    /// What each of [`HANDLERS`](Self::HANDLERS) takes, for [`sizes`](crate::sizes).
    fn handler_sizes() -> Vec<HandlerSizes> {
        Vec::new()
    }

    /// Which of [`HANDLERS`](Self::HANDLERS) handles `message`.
    fn handler_of(message: &Self::Msg) -> u32 {
        let _ = message;
        0
    }
}

/// The methods by which callers reach an actor, around its address.
pub trait Client: Send + Sync + 'static {
    /// The messages of the address.
    type Msg: Send + 'static;
    /// The client of the process at `address`.
    fn from_address(address: Address<Self::Msg>) -> Self;
    /// Where its messages go.
    fn address(&self) -> &Address<Self::Msg>;
}

/// How the processes of an actor are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many messages wait at most, and what becomes of more; `None` is no limit.
    pub mailbox: Option<Bounded>,
    /// Whether exit signals become [`Exit`](crate::Exit) messages from the first instruction on.
    pub trap_exit: bool,
    /// How many bytes a process may have allocated that nobody has freed; `None` is no limit. One that has more is
    /// ended after the handler that runs, or where it awaits something, with
    /// [`ExitReason::MemoryLimit`]. This needs the allocator [`Accounting`](crate::memory::Accounting): without it,
    /// such an actor does not start.
    pub max_memory: Option<usize>,
    /// After how long without anything to be handled the process hibernates; `None` is never. See
    /// [`Context::hibernate`](crate::Context::hibernate).
    pub hibernate_after: Option<Duration>,
    /// How urgent its turns are, from the first instruction on, unless it is spawned
    /// [otherwise](crate::Configured::priority).
    pub priority: Priority,
    /// When a supervisor starts it again, unless that is told otherwise; `None` is [`Restart::Permanent`].
    pub restart: Option<Restart>,
    /// How a supervisor stops it, unless that is told otherwise; `None` is within 5 seconds.
    pub shutdown: Option<Shutdown>,
}

impl Options {
    /// No limit, not trapping, of normal priority.
    pub const DEFAULT: Self = Self {
        mailbox: None,
        trap_exit: false,
        max_memory: None,
        hibernate_after: None,
        priority: Priority::Normal,
        restart: None,
        shutdown: None,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The limit of a mailbox.
///
/// What has to come through never counts and is never dropped: exits and `Down`s, what timers and sources send, what
/// comes by an alias, stops and other requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// How many messages wait at most; at least one does.
    pub messages: usize,
    /// What becomes of more.
    pub overflow: Overflow,
}

impl Bounded {
    /// At most `messages` wait. Whoever sends more is suspended.
    ///
    /// # Panics
    /// If `messages` is 0.
    #[track_caller]
    pub const fn to(messages: usize) -> Self {
        assert!(messages > 0, "a mailbox holds at least one message");
        Self { messages, overflow: Overflow::Suspend }
    }

    /// The same, with this to become of more.
    pub const fn or(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }
}

/// What becomes of messages for a mailbox that is full.
///
/// A call to it waits under [`Suspend`](Self::Suspend), while its deadline runs, and otherwise fails at once with
/// [`CallFailed::Full`](crate::CallFailed::Full); under [`DropOldest`](Self::DropOldest) it is the oldest call that fails
/// so. [`try_cast`](Address::try_cast) hands the message back, but under `DropOldest`, where there is always room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The sender is suspended: what the handler that runs casts, or straight-line code before it awaits, is taken, up
    /// to as much again as the limit, and then the process is not run until there is room, for at most 5 seconds. Exits
    /// and questions reach it meanwhile. What is more than that becomes a dead letter
    /// ([`Full`](crate::DeadLetter::Full)), and so does what is sent from outside a process; whoever sends many at once,
    /// or from there, uses [`cast_async`](Address::cast_async).
    ///
    /// Lists show who is suspended as [`Stalled`](crate::Status::Stalled), and by whom
    /// ([`ProcessInfo::stalled_by`](crate::ProcessInfo::stalled_by)). Of processes that would wait for each other, one goes
    /// on, and the log names them all; [`Node::stalls`](crate::Node::stalls) counts.
    #[default]
    Suspend,
    /// The message becomes a dead letter ([`Full`](crate::DeadLetter::Full)).
    Reject,
    /// The message becomes a dead letter ([`Dropped`](crate::DeadLetter::Dropped)).
    DropNewest,
    /// The message is taken, and the oldest that waits becomes a dead letter ([`Dropped`](crate::DeadLetter::Dropped)).
    ///
    /// For actors: what a selective receive has passed over does not count any more.
    DropOldest,
}

/// What `#[derive(Actor)]` says of a type, for `#[handlers]` to pick up.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has handlers but is not declared an actor",
    note = "write `#[derive(Actor)]` on the type"
)]
pub trait Declared {
    /// The actor's name.
    const NAME: &'static str;
    /// How its processes are run.
    const OPTIONS: Options;
}

/// What may go from one worker to another: whatever is `Send`. It has a name of its own so that the compiler can tell what to
/// write.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not `Send`, so that workers cannot hand it to each other",
    note = "keep in it only what is `Send`, or give it a thread of its own: `#[handlers(own_thread)]`"
)]
pub trait Movable: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> Movable for T {}

/// What a process does with what arrives.
///
/// All methods run in the process, one at a time. A panic in any of them ends the process with
/// [`ExitReason::Panic`] and nothing else.
///
/// # Awaiting in a handler
/// **What waits.** While a handler awaits something, its process handles nothing else: messages, infos (also exits that are
/// trapped) and requests (to stop, to be suspended, to show the state) wait in the mailbox, in their order. The thread does not
/// wait: other processes run.
///
/// **What does not.** Signals are received meanwhile. An exit that is not trapped, and a kill in any case, ends the process where
/// it awaits. [`Node::process_info`](crate::Node::process_info) is answered, and links and monitors are set.
///
/// **There is no re-entrancy.** No other handler sees the state half-way. So a call to itself could not be answered, and fails at
/// once with [`SelfCall`](crate::CallFailed::SelfCall); and of actors whose handlers call each other in a circle, each call
/// fails with the [`Cycle`](crate::CallFailed::Cycle) in debug builds and seeded runs, and elsewhere the innermost at its
/// deadline. Whoever has to go on handling messages does not await in the handler:
///
/// - it keeps the [`ReplyTo`](crate::ReplyTo) of a call, and answers later;
/// - it has a future awaited for it, and is told the result: [`Context::pipe`];
/// - it has a stream polled for it: [`Context::attach`];
/// - it gives the work to a process, which it may be linked to: `cx.spawn_link(process(async move |me: Process<()>| …))`
///   ([`Me::spawn_link`](crate::Me::spawn_link)).
///
/// **What becomes of the future.** A caller that gives up, at its deadline or because it ends, does not end the handler: that
/// runs on, and its reply is dropped ([`ReplyTo::is_abandoned`](crate::ReplyTo::is_abandoned) tells). A stop lets it come to its
/// end. A kill, or an exit that is not trapped, drops it where it awaits, with all that it holds; what it had changed in the
/// state is not undone, and the state is dropped after it. A panic drops it too, and [`terminate`](Self::terminate) runs with
/// the state as it was left.
pub trait Handle: Actor + Movable {
    /// The specification of this actor, made from `Default` or from a `#[start]` without arguments.
    fn spec() -> Spec<Self>
    where
        Self: Start<Args = ()>,
    {
        Spec::new(|| ())
    }

    /// The specification of this actor, made from what `args` returns, anew for each start.
    fn spec_with(args: impl Fn() -> Self::Args + Send + Sync + 'static) -> Spec<Self>
    where
        Self: Start,
    {
        Spec::new(args)
    }

    /// Runs before the first message. An error ends the process; see [`Refused`].
    fn init(&mut self, cx: &mut Context<Self>) -> impl Future<Output = Result<(), Refused>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// Handles one message. Nothing else is handled until the future is done.
    fn handle(&mut self, message: Self::Msg, cx: &mut Context<Self>) -> impl Future<Output = ()> + Send;

    /// Handles one message, without a future if it needs none. Written by `#[handlers]`, so that plain
    /// handlers run at once; whoever writes `handle` by hand has no need for it.
    #[inline]
    fn step(&mut self, message: Self::Msg, cx: &mut Context<Self>) -> Step<impl Future<Output = ()> + Send> {
        Step::Async(self.handle(message, cx))
    }

    /// Handles a `Down`, an `Exit`, a node's coming and going, or a change of a group. What is not expected is logged.
    fn info(&mut self, info: Info, cx: &mut Context<Self>) -> impl Future<Output = ()> + Send {
        cx.log_unexpected(&info);
        async {}
    }

    /// Handles an info, without a future if it needs none; see [`step`](Self::step).
    fn step_info(&mut self, info: Info, cx: &mut Context<Self>) -> Step<impl Future<Output = ()> + Send> {
        Step::Async(self.info(info, cx))
    }

    /// What the state says of itself, where it is shown: in [`Node::process_status`](crate::Node::process_status), and in
    /// the report of a crash. No more than about 4,000 bytes of it are shown.
    ///
    /// `#[handlers]` writes it: by the actor's `Debug`, if it has one. What is not to be seen in a log is left out of that.
    fn show_state(&self) -> Option<String> {
        None
    }

    /// Whether [`terminate`](Self::terminate) is called at all. `#[handlers]` says `false` where there is no `#[terminate]`: an
    /// end is cheaper then.
    const TERMINATES: bool = true;

    /// Runs when the process ends by itself, by a stop, by its parent's exit while it traps, or by a
    /// panic in a handler. An exit signal that is not trapped does not run it.
    fn terminate(&mut self, reason: &ExitReason, cx: &mut Context<Self>) -> impl Future<Output = ()> + Send {
        let _ = (reason, cx);
        async {}
    }
}

/// As [`Handle`], for actors that need not be `Send`, or whose handlers block: each process has a thread of its own. Written by
/// `#[handlers(own_thread)]`.
///
/// The actor is made on its thread, never leaves it, and is dropped there; so there is no `spawn(actor)`, but
/// `spawn(Actor::spec())`. To others it is a process like any other: the same references, links, monitors, supervisors,
/// and mailbox. What its futures hold over an `await` need not be `Send` either, but for [`Start::start`], which is made where
/// it is spawned.
///
/// A handler that blocks holds up this process and nobody else. It is not interrupted: an exit signal, a stop or a
/// `process_info` reach the process when the handler is over or awaits something. A thread costs the system more than a
/// process: tens of kilobytes, and microseconds for each message that finds it asleep. Its [`Priority`](crate::Priority) is
/// at least `High`, which means nothing here: no other process waits for its thread.
///
/// In a seeded run it has its turns where all have theirs: a handler that blocks there blocks everything.
///
/// # Examples
/// ```
/// use std::cell::RefCell;
/// use std::rc::Rc;
///
/// use biotope::prelude::*;
///
/// /// A library that is bound to one thread, as many for windows, scripts or databases are.
/// type Document = Rc<RefCell<Vec<String>>>;
///
/// #[derive(Actor, Default)]
/// struct Editor {
///     document: Document,
/// }
///
/// #[handlers(own_thread)]
/// impl Editor {
///     pub fn write(&mut self, line: &str) -> usize {
///         self.document.borrow_mut().push(line.to_owned());
///         self.document.borrow().len()
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let editor = spawn(Editor::spec());
///     assert_eq!(editor.write("first").await?, 1);
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle messages on a thread of its own",
    note = "write `#[handlers(own_thread)]` on the `impl` block with its messages"
)]
pub trait HandleOwnThread: Actor {
    /// As [`Handle::spec`].
    fn spec() -> Spec<Self, OwnThread>
    where
        Self: Start<Args = ()>,
    {
        Spec::own_thread(|| ())
    }

    /// As [`Handle::spec_with`].
    fn spec_with(args: impl Fn() -> Self::Args + Send + Sync + 'static) -> Spec<Self, OwnThread>
    where
        Self: Start,
    {
        Spec::own_thread(args)
    }

    /// As [`Handle::init`].
    fn init(&mut self, cx: &mut Context<Self>) -> impl Future<Output = Result<(), Refused>> {
        let _ = cx;
        async { Ok(()) }
    }

    /// As [`Handle::handle`].
    fn handle(&mut self, message: Self::Msg, cx: &mut Context<Self>) -> impl Future<Output = ()>;

    /// As [`Handle::step`].
    #[inline]
    fn step(&mut self, message: Self::Msg, cx: &mut Context<Self>) -> Step<impl Future<Output = ()>> {
        Step::Async(self.handle(message, cx))
    }

    /// As [`Handle::info`].
    fn info(&mut self, info: Info, cx: &mut Context<Self>) -> impl Future<Output = ()> {
        cx.log_unexpected(&info);
        async {}
    }

    /// As [`Handle::step_info`].
    fn step_info(&mut self, info: Info, cx: &mut Context<Self>) -> Step<impl Future<Output = ()>> {
        Step::Async(self.info(info, cx))
    }

    /// As [`Handle::show_state`].
    fn show_state(&self) -> Option<String> {
        None
    }

    /// As [`Handle::TERMINATES`].
    const TERMINATES: bool = true;

    /// As [`Handle::terminate`].
    fn terminate(&mut self, reason: &ExitReason, cx: &mut Context<Self>) -> impl Future<Output = ()> {
        let _ = (reason, cx);
        async {}
    }
}

/// What a handler came to.
#[derive(Debug)]
pub enum Step<F> {
    /// It is done.
    Done,
    /// It goes on in this future. Nothing else is handled until that is done.
    Async(F),
}

/// An actor that can be made from arguments, in its own process, also again after a crash or on another node.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be started from a specification",
    note = "implement `Default` for it, or give its handlers block a constructor marked `#[start]`"
)]
pub trait Start: Actor {
    /// What it is made from.
    type Args: Send + 'static;
    /// Makes it.
    ///
    /// # Errors
    /// [`Refused`]; whoever waits for the start is told.
    fn start(args: Self::Args, cx: &mut Context<Self>) -> impl Future<Output = Result<Self, Refused>> + Send;
}

/// Why an actor did not start.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// It has nothing to do; this is no failure. The process ends with `Normal`.
    Ignore,
    /// It cannot work. The process ends with the reason, quietly: whoever waits for the start reports it.
    Error(ExitReason),
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Error(error.into().into_reason())
    }
}

/// What a cast or info handler may return: nothing, or a `Result` whose error ends the process.
#[diagnostic::on_unimplemented(
    message = "a cast, info, init or terminate handler returns nothing or a `Result<(), E>`, not `{Self}`",
    note = "for an answer, make it a call: leave `#[cast]` out; a call that a source makes answers so too"
)]
pub trait Outcome {
    /// The reason to end with, if it failed.
    fn failure(self) -> Option<ExitReason>;
}

impl Outcome for () {
    fn failure(self) -> Option<ExitReason> {
        None
    }
}

impl<E: Into<Error>> Outcome for Result<(), E> {
    fn failure(self) -> Option<ExitReason> {
        self.err().map(|error| error.into().into_reason())
    }
}
