//! What a handler may do beside working on its state.

#![expect(unsafe_code, reason = "a context has no size: it stands where its process's cell begins")]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::time::Duration;

use crate::actor::{Actor, Client};
use crate::address::{ActorRef, Address};
use crate::exit::ExitReason;
use crate::process::{self, Alias, AliasEnd, AnyRef, CellRef, Header, Me, PriorityAlias};
use crate::signal::{Down, Info, MonitorRef, Target};
use crate::timer::TimerRef;

/// The process around an actor, given to its handlers. Derefs to [`Me`]: links, monitors, spawning.
pub struct Context<A: Actor>(PhantomData<fn(A)>);

impl<A: Actor> Context<A> {
    /// Where the context of the process at `header` stands.
    pub(crate) fn at(header: &Header) -> *mut Self {
        header.ready_ptr().as_ptr().cast()
    }

    /// The context of the process at `header`.
    ///
    /// # Safety
    /// The process runs an `A`, and is alive as long as the reference is used; only its own code uses it.
    pub(crate) unsafe fn within<'a>(header: NonNull<Header>) -> &'a mut Self {
        // SAFETY: a context has no size, so that any address will do.
        unsafe { header.cast().as_mut() }
    }

    fn cell(&self) -> CellRef<A::Msg> {
        match AnyRef::of(self.header()).typed() {
            Some(cell) => cell,
            None => unreachable!("a context is that of a process of its actor"),
        }
    }

    /// The reference to this process.
    pub fn myself(&self) -> ActorRef<A> {
        ActorRef::new(Address::local(self.cell()))
    }

    /// Ends the process with `reason` after this handler, by way of `terminate`.
    ///
    /// # Panics
    /// In a thread of another kind than the process runs on.
    #[inline]
    #[track_caller]
    pub fn stop(&mut self, reason: ExitReason) {
        self.header().stop_after_handler(reason.into());
    }

    /// Goes on with what `action` casts, after this handler and before anything that waits in the mailbox: OTP's `continue`.
    ///
    /// A call goes too, if it is [sent](crate::Call::send); its reply is for whoever takes the request along.
    ///
    /// What was asked for first is handled first, and may go on in its turn. A kill and other exits that are not trapped are not held up;
    /// stops, suspensions and looks from outside come when there is nothing to go on with. The client
    /// is for this only: what is cast by way of it goes ahead of all other messages, also of urgent ones.
    ///
    /// # Examples
    /// A start that returns at once, with the long part of it before the first message:
    ///
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor, Default)]
    /// struct Index {
    ///     words: Vec<&'static str>,
    /// }
    ///
    /// #[handlers]
    /// impl Index {
    ///     #[init]
    ///     fn begin(&mut self, cx: &mut Context<Self>) {
    ///         cx.then(|me| me.load());
    ///     }
    ///
    ///     #[cast]
    ///     fn load(&mut self) {
    ///         self.words = vec!["alder", "birch"];
    ///     }
    ///
    ///     pub fn len(&self) -> usize {
    ///         self.words.len()
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let index = spawn(Index::default());
    ///     assert_eq!(index.len().await?, 2);
    ///     Ok(())
    /// }
    /// ```
    pub fn then(&mut self, action: impl FnOnce(&A::Client)) {
        action(&A::Client::from_address(Address::ahead_of(self.cell())));
    }

    /// Goes on with what `action` casts if nothing is handled for `delay` from now, as by [`then`](Self::then): OTP's timeout
    /// of a server. Whatever is handled before, a message or what the runtime tells, takes it back, and so does asking
    /// again. Looks at the state from outside do not.
    ///
    /// It is the process that is silent, and not one of those that send to it: what others send breaks the silence too. A
    /// session that waits for its client keeps the moment when that was heard of last, and asks in each handler for what is
    /// left; or sets a timer for each word of the client, with [`tell_after`](Self::tell_after), and cancels the one before.
    ///
    /// # Panics
    /// Outside this process's own code.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor, Default)]
    /// struct Session;
    ///
    /// #[handlers]
    /// impl Session {
    ///     pub fn touch(&mut self, cx: &mut Context<Self>) {
    ///         cx.when_idle(millis(20), |me| me.expire());
    ///     }
    ///
    ///     #[cast]
    ///     fn expire(&mut self, cx: &mut Context<Self>) {
    ///         cx.stop(ExitReason::Normal);
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let session = spawn(Session);
    ///     session.touch().await?;
    ///     node().ended(&session).await;
    ///     Ok(())
    /// }
    /// ```
    pub fn when_idle(&mut self, delay: Duration, action: impl FnOnce(&A::Client) + Send + 'static) {
        let cell = self.cell();
        process::when_idle(self, delay, || action(&A::Client::from_address(Address::ahead_of(cell))));
    }

    /// Hibernates after this handler, unless something waits: gives back what is not needed while nothing happens. Lists show
    /// it as [`Hibernating`](crate::Status::Hibernating). The next message ends it.
    ///
    /// `#[actor(hibernate_after = secs(10))]` does so by itself, whenever nothing was handled for so long.
    ///
    /// # Panics
    /// Outside this process's own code.
    pub fn hibernate(&mut self) {
        process::hibernate(self);
    }

    /// Sends this process a message after `delay`: `cx.tell_after(secs(1), |me| me.tick())`.
    pub fn tell_after(&self, delay: Duration, action: impl FnOnce(&A::Client) + Send + 'static) -> TimerRef {
        self.after(delay, &self.myself(), action)
    }

    /// Like [`monitor`](Me::monitor); the `Down` comes as the message that `tag` makes of it.
    pub fn monitor_as(
        &self,
        target: impl Into<Target>,
        tag: impl FnOnce(Down) -> A::Msg + Send + 'static,
    ) -> MonitorRef {
        process::monitor_as(self, target.into(), tag)
    }

    /// An address of this process that can be revoked.
    pub fn alias(&self) -> Alias<A::Msg> {
        process::alias(&self.cell(), AliasEnd::Explicit, None)
    }

    /// An address of this process for one message: the first revokes it.
    pub fn reply_alias(&self) -> Alias<A::Msg> {
        process::alias(&self.cell(), AliasEnd::FirstReply, None)
    }

    /// An address of this process by which messages may be handled before all others.
    pub fn priority_alias(&self) -> PriorityAlias<A::Msg> {
        PriorityAlias::new(self.alias())
    }

    /// A monitor, and an alias that goes with it.
    pub fn monitor_alias(&self, target: impl Into<Target>, end: AliasEnd) -> (MonitorRef, Alias<A::Msg>) {
        let monitor = self.monitor(target);
        (monitor, process::alias(&self.cell(), end, Some(monitor)))
    }

    /// Revokes an alias of this process. What came by it and has been received stays in the mailbox.
    /// Returns whether it stood.
    pub fn unalias(&self, alias: &Alias<A::Msg>) -> bool {
        process::unalias(&self.cell(), alias)
    }

    /// Logs an info that no handler takes.
    pub fn log_unexpected(&self, info: &Info) {
        tracing::warn!(pid = %self.pid(), actor = A::NAME, ?info, "no handler takes this");
    }
}

impl<A: Actor> Deref for Context<A> {
    type Target = Me;

    fn deref(&self) -> &Me {
        // SAFETY: a context stands where its process's cell begins, and whoever lends it keeps the process.
        unsafe { process::me_at(self as *const Self as *const ()) }
    }
}

impl<A: Actor> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({} {})", A::NAME, self.pid())
    }
}
