//! Sources: what an actor is fed by. A stream, a socket, the result of a future become messages of its own.
//!
//! ```text
//!   stream ──polled by──▶ source, a linked process ──call──▶ actor
//!                              ◀──answer: the next may come──
//! ```
//!
//! A source is a process that waits for an actor, so that the actor's own handlers need not. It awaits the answer to each
//! call: that is the back-pressure, and it reaches whoever fills the stream, because nobody takes from it meanwhile.
//!
//! Sockets have no part of their own in this: the lines or frames of one are a stream. Nor has other work that a handler hands
//! on: [`Me::spawn_link`](crate::Me::spawn_link) spawns a process for it that ends with an actor's abnormal end, not with a
//! normal one.
//!
//! # Not here
//! Where streams come from, and what is done with them before they are attached. A process in straight-line code needs no
//! source: it awaits its stream itself.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll, ready};

use futures_util::Stream;
use futures_util::future::{AbortHandle, AbortRegistration, Abortable, BoxFuture, Either, select};

use crate::actor::{Actor, Client, Outcome};
use crate::ambient;
use crate::call::{Call, CallError, CallFailed, Request};
use crate::context::Context;
use crate::exit::{Error, ExitReason};
use crate::node::SpawnOptions;
use crate::pid::Pid;
use crate::process::{self, Me, Process};
use crate::signal::Info;
use crate::spec::{Spawn, process};
use crate::time::reduce;

/// What feeds an actor; made by [`Context::attach`], [`Context::source`] and [`Context::pipe`]. Cloning gives another handle to
/// the same one.
///
/// It is a process, linked to the actor and its child:
///
/// - With the actor it ends too, whatever the reason, and its stream or future is dropped. Who hears of the actor's end may
///   hear of it before that.
/// - Its own end is `Normal` when the stream is over or it was [cancelled](Self::cancel). With any other reason it ends its
///   actor too, unless that traps exits: a panic in the stream does so, and a handler that answers with an error.
/// - An actor that traps exits is told of each end, also a normal one, as of that of any linked process.
/// - Dropping this ends nothing.
#[derive(Clone)]
pub struct Source {
    pid: Pid,
    stop: AbortHandle,
}

/// A source that does not run yet; made by [`Context::source`].
#[must_use = "nothing is taken from the stream before `attach`"]
pub struct SourceBuilder<'a, A: Actor, S, F> {
    me: &'a Me,
    client: A::Client,
    stream: S,
    handler: F,
    ahead: usize,
    then: Option<Then<A>>,
}

type Then<A> = Box<dyn FnOnce(&<A as Actor>::Client) + Send>;

/// Why the actor did not handle an item; the source ends with it.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotHandled {
    /// The call failed.
    Failed(CallFailed),
    /// The handler answered with this error.
    Refused(Error),
}

impl<A: Actor> Context<A> {
    /// Takes what `stream` gives, item by item, with the call that `handler` makes of each:
    /// `cx.attach(lines, |me, line| me.on_line(line))`.
    ///
    /// `me` is this actor's client, and any of its calls will do, also a private one, that is answered with nothing or with a
    /// `Result<(), E>`. An error ends the source. The next item is taken when the call has
    /// been answered, however long that takes, unless the call has a deadline of its own. So nothing is taken while the actor is
    /// busy or suspended, and one item at most waits in its mailbox, where it comes in as what timers send does: also if that is
    /// full. Other messages come between the items.
    ///
    /// This is short for [`source`](Self::source) and [`attach`](SourceBuilder::attach).
    ///
    /// # Examples
    /// The lines of a TCP connection. While they are handled slowly nobody reads the socket, and so its sender has to wait.
    ///
    /// ```
    /// use std::io;
    ///
    /// use biotope::prelude::*;
    /// use futures_util::stream::unfold;
    /// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    /// use tokio::net::{TcpListener, TcpStream};
    ///
    /// #[derive(Actor, Default)]
    /// struct Log {
    ///     lines: Vec<String>,
    ///     told: Option<ReplyTo<Vec<String>>>,
    /// }
    ///
    /// #[handlers]
    /// impl Log {
    ///     fn read(&mut self, socket: TcpStream, cx: &mut Context<Self>) {
    ///         let lines = BufReader::new(socket).lines();
    ///         let lines = unfold(lines, async |mut lines| Some((lines.next_line().await.transpose()?, lines)));
    ///         cx.source(lines, |me, line| me.on_line(line)).then(|me| me.on_close()).attach();
    ///     }
    ///
    ///     /// An error of the socket ends the source and the log.
    ///     fn on_line(&mut self, line: io::Result<String>) -> Result<(), io::Error> {
    ///         self.lines.push(line?);
    ///         Ok(())
    ///     }
    ///
    ///     #[cast]
    ///     fn on_close(&mut self) {
    ///         if let Some(told) = self.told.take() {
    ///             told.send(std::mem::take(&mut self.lines));
    ///         }
    ///     }
    ///
    ///     fn all(&mut self, told: ReplyTo<Vec<String>>) {
    ///         self.told = Some(told);
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let mut peer = TcpStream::connect(listener.local_addr()?).await?;
    ///     let log = spawn(Log::default());
    ///     let all = log.all().send();
    ///     log.read(listener.accept().await?.0).await?;
    ///     peer.write_all(b"one\ntwo\n").await?;
    ///     drop(peer);
    ///     assert_eq!(all.await?, ["one", "two"]);
    ///     Ok(())
    /// }
    /// ```
    pub fn attach<S, F, R, T, E>(&self, stream: S, handler: F) -> Source
    where
        S: Stream + Send + 'static,
        F: for<'a> FnMut(&'a A::Client, S::Item) -> Call<'a, A::Msg, R, T, E> + Send + 'static,
        R: Send + 'static,
        T: Outcome + 'static,
        E: Into<NotHandled> + 'static,
    {
        self.source(stream, handler).attach()
    }

    /// As [`attach`](Self::attach), with choices, and not begun yet:
    /// `cx.source(rows, |me, row| me.on_row(row)).ahead(8).then(|me| me.on_end()).attach()`.
    pub fn source<S, F, R, T, E>(&self, stream: S, handler: F) -> SourceBuilder<'_, A, S, F>
    where
        S: Stream + Send + 'static,
        F: for<'a> FnMut(&'a A::Client, S::Item) -> Call<'a, A::Msg, R, T, E> + Send + 'static,
    {
        SourceBuilder { me: self, client: self.client(), stream, handler, ahead: 1, then: None }
    }

    /// Awaits `future` in a process of its own, and casts what `done` makes of its value: `cx.pipe(fetch, |me, page| me.on_page(page))`.
    /// This actor handles other messages meanwhile. As `pipeToSelf` of Akka.
    ///
    /// What `done` sends comes also into a mailbox that is full. `done` runs in the source: it must not block.
    ///
    /// For work that has more to say than one value there is
    /// `cx.spawn_link(process(async move |me: Process<()>| …))` ([`Me::spawn_link`]).
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// async fn count(text: String) -> usize {
    ///     time::sleep(millis(10)).await;
    ///     text.len()
    /// }
    ///
    /// #[derive(Actor, Default)]
    /// struct Counter {
    ///     total: usize,
    /// }
    ///
    /// #[handlers]
    /// impl Counter {
    ///     /// Is answered later. The next message is handled at once.
    ///     fn add(&mut self, text: String, reply: ReplyTo<usize>, cx: &mut Context<Self>) {
    ///         cx.pipe(count(text), |me, counted| me.on_counted((counted, reply)));
    ///     }
    ///
    ///     #[cast]
    ///     fn on_counted(&mut self, (counted, reply): (usize, ReplyTo<usize>)) {
    ///         self.total += counted;
    ///         reply.send(self.total);
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let counter = spawn(Counter::default());
    ///     assert_eq!(counter.add("otter".to_owned()).await?, 5);
    ///     Ok(())
    /// }
    /// ```
    pub fn pipe<F>(&self, future: F, done: impl FnOnce(&A::Client, F::Output) + Send + 'static) -> Source
    where
        F: Future + Send + 'static,
    {
        let (client, (stop, stopped)) = (self.client(), AbortHandle::new_pair());
        let work = async move {
            let value = future.await;
            ambient::coming_through(|| done(&client, value));
            Ok(())
        };
        begin::<A>(self, Box::pin(work), stop, stopped)
    }

    fn client(&self) -> A::Client {
        A::Client::from_address(self.myself().address().clone())
    }
}

impl<A: Actor, S, F> SourceBuilder<'_, A, S, F> {
    /// Lets up to `items` be with the actor at a time, in order, so that it need not wait for the next. Without this, one.
    ///
    /// # Panics
    /// If `items` is 0.
    pub fn ahead(mut self, items: usize) -> Self {
        assert!(items > 0, "a source has at least one item with its actor");
        self.ahead = items;
        self
    }

    /// Runs `then` when the stream is over and all of its items have been handled: `.then(|me| me.on_end())`. Not if the source
    /// was cancelled, or ended otherwise.
    pub fn then(mut self, then: impl FnOnce(&A::Client) + Send + 'static) -> Self {
        self.then = Some(Box::new(then));
        self
    }

    /// Begins.
    pub fn attach<R, T, E>(self) -> Source
    where
        S: Stream + Send + 'static,
        F: for<'a> FnMut(&'a A::Client, S::Item) -> Call<'a, A::Msg, R, T, E> + Send + 'static,
        R: Send + 'static,
        T: Outcome + 'static,
        E: Into<NotHandled> + 'static,
    {
        let Self { me, client, stream, handler, ahead, then } = self;
        let (stop, stopped) = AbortHandle::new_pair();
        let actor = me.pid();
        let pour = Pour::<A, _, _, _, _> { client, handler, ahead, asked: VecDeque::new(), stop: stop.clone() };
        let work = async move {
            match pour.all(stream, then).await {
                Ok(()) => Ok(()),
                Err(error) => error.into_end(actor).await,
            }
        };
        begin::<A>(me, Box::pin(work), stop, stopped)
    }
}

impl Source {
    /// The process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Ends it, with `Normal`, and drops its stream or future. In the handler of an item, no other comes after it; what was sent
    /// [ahead](SourceBuilder::ahead) does. From elsewhere, an item may be on its way.
    pub fn cancel(&self) {
        self.stop.abort();
    }
}

impl From<&Source> for Pid {
    fn from(source: &Source) -> Pid {
        source.pid
    }
}

impl From<CallFailed> for NotHandled {
    fn from(failed: CallFailed) -> Self {
        Self::Failed(failed)
    }
}

impl<E: Into<Error>> From<CallError<E>> for NotHandled {
    fn from(error: CallError<E>) -> Self {
        match error {
            CallError::Failed(failed) => Self::Failed(failed),
            CallError::Reply(error) => Self::Refused(error.into()),
        }
    }
}

impl NotHandled {
    /// What the source of `actor` ends with. In its own code.
    async fn into_end(self, actor: Pid) -> Result<(), Error> {
        match self {
            // It has ended, or is about to, and its exit signal comes.
            Self::Failed(CallFailed::NoProc) if process::is_linked(actor) => pending().await,
            Self::Failed(CallFailed::NoProc) => Ok(()),
            Self::Failed(failed) => Err(failed.into_reason().into()),
            Self::Refused(error) => Err(error),
        }
    }
}

type Work = BoxFuture<'static, Result<(), Error>>;

/// Spawns the process. It traps exits from the beginning, so that it hears of its actor's end also if that is normal. The work
/// is in a box, so that the engine sees one type for all of them.
fn begin<A: Actor>(me: &Me, work: Work, stop: AbortHandle, stopped: AbortRegistration) -> Source {
    let (actor, work) = (me.pid(), Abortable::new(work, stopped));
    let body = process(async move |me: Process<()>| feed(me, actor, work).await);
    let label = Some(format!("source of {}", A::NAME).into());
    let options = SpawnOptions { trap_exit: true, label, ..SpawnOptions::linked_to(actor) };
    let (address, _) = body.spawn_on(me.node(), &options);
    Source { pid: address.pid(), stop }
}

/// Does the work, until the actor ends or somebody else ends this.
async fn feed(mut me: Process<()>, actor: Pid, work: Abortable<Work>) -> Result<(), Error> {
    let ended = me.receive_info(move |info| match info {
        Info::Exit(exit) if exit.from == actor || exit.reason != ExitReason::Normal => Ok(exit.reason),
        other => Err(other),
    });
    match select(ended, work).await {
        Either::Left((reason, _)) => Err(reason?.into()),
        Either::Right((done, _)) => done.unwrap_or(Ok(())),
    }
}

/// What goes from a stream to an actor.
struct Pour<A: Actor, F, R, T, E> {
    client: A::Client,
    handler: F,
    ahead: usize,
    /// The items that are with the actor, in order.
    asked: VecDeque<Asked<R, T, E>>,
    stop: AbortHandle,
}

/// An item on its way.
struct Asked<R, T, E> {
    /// Who handles it; as a rule the actor, but the closure may have chosen another.
    callee: Pid,
    request: Request<R, T, E>,
}

impl<A: Actor, F, R, T, E> Pour<A, F, R, T, E>
where
    R: Send + 'static,
    T: Outcome,
    E: Into<NotHandled>,
{
    /// Hands the actor all that `stream` gives, until that is over and handled.
    async fn all<S>(mut self, stream: S, then: Option<Then<A>>) -> Result<(), NotHandled>
    where
        S: Stream,
        F: for<'a> FnMut(&'a A::Client, S::Item) -> Call<'a, A::Msg, R, T, E>,
    {
        {
            let mut stream = pin!(stream);
            while poll_fn(|cx| self.ask(stream.as_mut(), cx)).await? {
                // A stream may always have more, and the actor have answered before it is asked.
                reduce(1).await;
            }
        }
        poll_fn(|cx| self.settle(cx)).await?;
        if let Some(then) = then {
            ambient::coming_through(|| then(&self.client));
        }
        Ok(())
    }

    /// Takes the next item, when the actor has room for it, and calls with it. Returns false if there is none.
    fn ask<S>(&mut self, stream: Pin<&mut S>, cx: &mut TaskContext<'_>) -> Poll<Result<bool, NotHandled>>
    where
        S: Stream,
        F: for<'a> FnMut(&'a A::Client, S::Item) -> Call<'a, A::Msg, R, T, E>,
    {
        if let Poll::Ready(Err(error)) = self.settle(cx) {
            return Poll::Ready(Err(error));
        }
        // Whoever has cancelled it in a handler has done so before the answer.
        if self.asked.len() >= self.ahead || self.stop.is_aborted() {
            return Poll::Pending;
        }
        let Some(item) = ready!(stream.poll_next(cx)) else { return Poll::Ready(Ok(false)) };
        let call = (self.handler)(&self.client, item).without_deadline();
        let callee = call.callee();
        self.asked.push_back(Asked { callee, request: ambient::coming_through(|| call.send()) });
        Poll::Ready(Ok(true))
    }

    /// Forgets what has been handled. It is ready when that is all.
    fn settle(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), NotHandled>> {
        while let Some(oldest) = self.asked.front_mut() {
            let answer = ready!(Pin::new(&mut oldest.request).poll(cx));
            let is_actor = oldest.callee == self.client.address().pid();
            self.asked.pop_front();
            let failure = match answer {
                Ok(outcome) => outcome.failure().map(|reason| NotHandled::Refused(reason.into())),
                Err(error) => Some(match error.into() {
                    NotHandled::Failed(CallFailed::NoProc) if !is_actor => {
                        NotHandled::Refused(ExitReason::NoProc.into())
                    }
                    failure => failure,
                }),
            };
            if let Some(failure) = failure {
                return Poll::Ready(Err(failure));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.pid)
    }
}

impl<A: Actor, S, F> fmt::Debug for SourceBuilder<'_, A, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceBuilder").field("ahead", &self.ahead).finish_non_exhaustive()
    }
}
