//! What a running process may do as itself. [`Context`](crate::Context) and
//! [`Process`](crate::Process) deref to it.
#![expect(unsafe_code, reason = "`Me` has no size: it stands where its process's cell begins")]

use std::any::TypeId;
use std::fmt;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::alias::{Alias, AliasEnd};
use super::control::{Alias as AliasEntry, Entry, Holds, Monitor, Tag};
use super::header::Header;
use super::receive;
use super::reference::{AnyRef, CellRef};
use super::silence;
use super::turn;
use crate::actor::Actor;
use crate::address::{ActorRef, Address};
use crate::exit::ExitReason;
use crate::mailbox::Notice;
use crate::memory::Scratch;
use crate::node::{Node, SpawnOptions};
use crate::panics::{self, Unwound};
use crate::pid::Pid;
use crate::priority::Priority;
use crate::signal::{Down, MonitorRef, Signal, Target};
use crate::spec::{self, Spawn};
use crate::timer::TimerRef;
use crate::trace::Traced;

/// The running process, seen by itself.
pub struct Me(());

/// The process at `header`, as itself.
pub(crate) fn at(header: &Header) -> &Me {
    // SAFETY: `Me` has no size, so any address will do; this one is not null.
    unsafe { &*header.ready_ptr().as_ptr().cast::<Me>() }
}

/// The process whose cell begins at `place`, as itself.
///
/// # Safety
/// A cell begins there, and lives as long as the reference is used.
pub(crate) unsafe fn me_at<'a>(place: *const ()) -> &'a Me {
    // SAFETY: `Me` has no size, so any address will do that is not null.
    unsafe { &*place.cast::<Me>() }
}

impl Me {
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: a `Me` stands at the address of a cell (`at` makes all of them, and they cannot be moved:
        // nobody has one by value), whose provenance was exposed when it was made. Whoever lends the `Me`
        // keeps the cell alive: a `Process` by its reference, a `Context` by the turn.
        unsafe { &*ptr::with_exposed_provenance::<Header>(ptr::from_ref(self).addr()) }
    }

    /// Whether this is the process whose code runs here.
    pub(super) fn is_here(&self) -> bool {
        turn::with_process(|running| running.is_some_and(|(_, header)| ptr::eq(header, self.header())))
    }

    #[track_caller]
    fn assert_here(&self, why: &str) {
        assert!(self.is_here(), "{why}");
    }

    /// The name of this process.
    pub fn pid(&self) -> Pid {
        self.header().pid()
    }

    /// The node it runs on.
    pub fn node(&self) -> &Node {
        self.header().node()
    }

    /// The process that spawned it, if it was spawned by one of this node.
    pub fn parent(&self) -> Option<Pid> {
        self.header().parent()
    }

    /// Lends memory of the worker's to `f`, for what it builds and drops: to allocate there is to move a pointer. It is
    /// emptied when `f` is over, or the outermost `f` if they are nested.
    ///
    /// # Panics
    /// Outside this process's own code.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let process = spawn_process(async |mut me: Process<(Vec<u32>, ReplyTo<u32>)>| {
    ///         let (numbers, reply) = me.receive().await?;
    ///         reply.send(me.scratch(|scratch| {
    ///             let sorted = scratch.slice(&numbers);
    ///             sorted.sort_unstable();
    ///             sorted[sorted.len() / 2]
    ///         }));
    ///         Ok(())
    ///     });
    ///     let median = Call::new(&process, |reply| (vec![9, 1, 7], reply)).await?;
    ///     assert_eq!(median, 7);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Nothing of it gets out of the closure, and so past an `.await`:
    ///
    /// ```compile_fail
    /// # use biotope::prelude::*;
    /// # async fn body(me: Process<()>) {
    /// let kept: &mut [u8] = me.scratch(|scratch| scratch.filled(8, 0));
    /// time::sleep(secs(1)).await;
    /// kept[0] = 1;
    /// # }
    /// ```
    ///
    /// ```compile_fail
    /// # use biotope::prelude::*;
    /// # async fn body(me: Process<()>) {
    /// me.scratch(|scratch| time::sleep(secs(1)).await);
    /// # }
    /// ```
    #[track_caller]
    pub fn scratch<R>(&self, f: impl FnOnce(&Scratch<'_>) -> R) -> R {
        let done = turn::with_process(|running| {
            let (turn, _) = running.filter(|(_, header)| ptr::eq(*header, self.header()))?;
            Some(turn.scratch().lend(f))
        });
        match done {
            Some(done) => done,
            None => panic!("a process has scratch memory in its own code only"),
        }
    }

    /// Spawns a process: an actor, a specification of one, or straight-line code. It has this one as its
    /// parent.
    pub fn spawn<S: Spawn>(&self, what: S) -> S::Ref {
        what.spawn_on(self.node(), &SpawnOptions::child_of(self.pid())).0
    }

    /// Spawns a process and links to it, in one step.
    pub fn spawn_link<S: Spawn>(&self, what: S) -> S::Ref {
        what.spawn_on(self.node(), &SpawnOptions::linked_to(self.pid())).0
    }

    /// Spawns a process and monitors it, in one step.
    pub fn spawn_monitor<S: Spawn>(&self, what: S) -> (S::Ref, MonitorRef) {
        spec::spawn_monitored(what, self.node(), self.pid())
    }

    /// Links to `to`: the end of either reaches the other. If there is no such process, an exit
    /// signal with [`ExitReason::NoProc`] comes back. Linking twice, or to oneself, changes nothing.
    pub fn link(&self, to: impl Into<Pid>) {
        let to = to.into();
        if to != self.pid() && self.header().extra().control.lock().link(to) {
            self.node().signal(to, Signal::Link { from: self.pid() });
            self.header().trace(|| Traced::Linked(to));
        }
    }

    /// Removes the link to `to`, if there is one. Its end no longer reaches this process; what is
    /// already in the mailbox stays.
    pub fn unlink(&self, to: impl Into<Pid>) {
        let to = to.into();
        let removed = self.header().extra().control.lock().unlink(to);
        if let Some(id) = removed {
            self.node().signal(to, Signal::Unlink { from: self.pid(), id });
            self.header().trace(|| Traced::Unlinked(to));
        }
    }

    /// Runs `f`, and tells beside what it returns which links of this process were made meanwhile, by the time that they still
    /// stand: those of the processes that `f` has spawned linked to this one are among them. What another process has linked to
    /// this one in the same moment is, too.
    ///
    /// For whoever lets others' code spawn its children, as a supervisor does, and must know them before it is told their pids.
    /// It costs the same however many links there are.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::with_me;
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let idle = || spawn_link(process(async |mut me: Process<()>| Ok(me.receive().await?)));
    ///     let (first, links) = with_me(|me| me.linked_during(idle)).expect("this is a process");
    ///     assert_eq!(links, [first.pid()]);
    ///     Ok(())
    /// }
    /// ```
    pub fn linked_during<R>(&self, f: impl FnOnce() -> R) -> (R, Vec<Pid>) {
        let control = &self.header().extra().control;
        let before = control.lock().links.len();
        let returned = f();
        let control = control.lock();
        let links = (before..).map_while(|number| control.links.get(number)).map(|(pid, ())| *pid).collect();
        (returned, links)
    }

    /// Asks for a [`Down`] when `target` ends; at once, with [`ExitReason::NoProc`], if there is no such
    /// process. A monitor of a name sticks to the process that has it now.
    pub fn monitor(&self, target: impl Into<Target>) -> MonitorRef {
        monitor(self.header(), target.into(), None)
    }

    /// Takes a monitor back. A `Down` that is already in the mailbox stays; no other comes.
    pub fn demonitor(&self, reference: MonitorRef) {
        if reference.owner == self.pid() {
            receive::demonitor(self.header(), reference.number);
        }
    }

    /// Takes a monitor back, and its `Down` out of the mailbox if it is there already.
    ///
    /// # Panics
    /// Outside this process's own code.
    #[track_caller]
    pub fn demonitor_flush(&self, reference: MonitorRef) {
        self.demonitor(reference);
        self.assert_here("a process takes from its mailbox in its own code only");
        self.header().flush(reference);
    }

    /// Sends `to` an exit signal. [`ExitReason::Kill`] cannot be trapped.
    ///
    /// To itself, with a reason that ends it, this does not return: what comes after it in the process's
    /// code does not happen.
    pub fn exit(&self, to: impl Into<Pid>, reason: ExitReason) {
        let to = to.into();
        if to == self.pid() && self.is_here() {
            let traps = self.header().extra_if_any().is_some_and(|extra| extra.control.lock().trap_exit);
            match reason {
                ExitReason::Kill => panics::unwind(Unwound::BySignal(ExitReason::Killed)),
                reason if !traps => panics::unwind(Unwound::BySignal(reason)),
                _ => {}
            }
        }
        self.node().signal(to, Signal::Exit { from: self.pid(), reason, link: false });
    }

    /// Ends this process with `reason`, now. An actor's `terminate` runs; the rest of the handler does not.
    ///
    /// # Panics
    /// Outside this process's own code. Inside, it unwinds, quietly.
    #[track_caller]
    pub fn exit_now(&self, reason: ExitReason) -> ! {
        self.assert_here("a process ends itself in its own code only; elsewhere, send it an exit signal");
        panics::unwind(Unwound::ByChoice(reason))
    }

    /// From now on, exit signals become [`Exit`](crate::Exit) messages (or no longer do). Returns whether
    /// they did before.
    pub fn trap_exits(&self, trap: bool) -> bool {
        std::mem::replace(&mut self.header().extra().control.lock().trap_exit, trap)
    }

    /// Sets how urgent this process's turns are, from the next one on. Returns how urgent they were.
    pub fn set_priority(&self, priority: Priority) -> Priority {
        self.header().set_priority(priority)
    }

    /// Counts `n` units of work against this turn's budget; if it is used up, the turn ends after this
    /// message, or at the next `await` of something that this crate offers.
    pub fn consume_reductions(&self, n: u32) {
        turn::with_process(|running| {
            if let Some((turn, header)) = running
                && ptr::eq(header, self.header())
            {
                turn.charge(n);
            }
        });
    }

    /// Gives this process a label, which lists and reports show.
    pub fn set_label(&self, label: impl Into<Arc<str>>) {
        self.header().extra().control.lock().rare_mut().label = Some(label.into());
    }

    /// The process that leads the group this one belongs to; children inherit it.
    pub fn group_leader(&self) -> Option<Pid> {
        self.header().extra_if_any().and_then(|extra| extra.control.lock().rare()?.group_leader)
    }

    /// Puts this process, and those that it spawns from now on, into another group.
    pub fn set_group_leader(&self, leader: impl Into<Pid>) {
        self.header().extra().control.lock().rare_mut().group_leader = Some(leader.into());
        self.header().note_leader();
    }

    /// Puts `value` into the process's own dictionary, which has one value for each type. Returns the one
    /// before. Children do not inherit it.
    pub fn put<T: fmt::Debug + Send + 'static>(&self, value: T) -> Option<T> {
        let before =
            self.header().extra().control.lock().rare_mut().dictionary.insert(TypeId::of::<T>(), Box::new(value));
        before.and_then(taken)
    }

    /// The value of this type in the process's own dictionary.
    pub fn fetch<T: Clone + fmt::Debug + Send + 'static>(&self) -> Option<T> {
        let extra = self.header().extra_if_any()?;
        let control = extra.control.lock();
        let value: &dyn std::any::Any = &**control.rare()?.dictionary.get(&TypeId::of::<T>())?;
        value.downcast_ref().cloned()
    }

    /// Takes the value of this type out of the process's own dictionary.
    pub fn erase<T: fmt::Debug + Send + 'static>(&self) -> Option<T> {
        let extra = self.header().extra_if_any()?;
        let erased = extra.control.lock().rare_if_any()?.dictionary.remove(&TypeId::of::<T>());
        erased.and_then(taken)
    }

    /// Runs `action` with the client of `to` after `delay`. The timer belongs to `to` and ends with it.
    ///
    /// `action` runs on the thread of the timers and in no process: it must not block, and cannot `spawn`. Its panic ends
    /// nothing.
    pub fn after<A: Actor>(
        &self,
        delay: Duration,
        to: &ActorRef<A>,
        action: impl FnOnce(&A::Client) + Send + 'static,
    ) -> TimerRef {
        self.node().after(delay, to, action)
    }

    /// Sends `message` to `to` after `delay`. The timer belongs to `to` and ends with it.
    pub fn send_after<M: Send + 'static>(&self, delay: Duration, to: &Address<M>, message: M) -> TimerRef {
        self.node().send_after(delay, to, message)
    }

    /// Sends `to`, after `delay`, what `message` makes of the timer's reference.
    ///
    /// `message` runs on the thread of the timers and in no process: it must not block, and cannot `spawn`. Its panic ends
    /// nothing.
    pub fn start_timer<M: Send + 'static>(
        &self,
        delay: Duration,
        to: &Address<M>,
        message: impl FnOnce(TimerRef) -> M + Send + 'static,
    ) -> TimerRef {
        self.node().start_timer(delay, to, message)
    }

    /// Sends `to` what `message` makes, every `period` from now, until `to` ends or the timer is cancelled.
    ///
    /// `message` runs on the thread of the timers and in no process: it must not block, and cannot `spawn`. Its panic ends
    /// nothing.
    pub fn send_interval<M: Send + 'static>(
        &self,
        period: Duration,
        to: &Address<M>,
        message: impl FnMut() -> M + Send + 'static,
    ) -> TimerRef {
        self.node().send_interval(period, to, message)
    }

    /// How long it is until a timer fires; `None` if it has fired or was cancelled.
    pub fn read_timer(&self, timer: TimerRef) -> Option<Duration> {
        self.node().read_timer(timer)
    }

    /// Cancels a timer. Returns how long it would have been until it fired; `None` if it is too late.
    pub fn cancel_timer(&self, timer: TimerRef) -> Option<Duration> {
        self.node().cancel_timer(timer)
    }

    /// Has the end of this process release what it holds in `holds`. Returns false if it has ended.
    #[must_use = "a process that has ended can hold nothing any more"]
    pub(crate) fn attach(&self, holds: Weak<dyn Holds>) -> bool {
        attach(self.header(), holds)
    }

    /// Gives back what is not needed while nothing happens, and hibernates until what this returns is dropped.
    pub(crate) fn rest(&self) -> Resting {
        let header = self.is_here().then(|| self.header());
        if let Some(header) = header {
            header.hibernate();
        }
        Resting(header.map(AnyRef::of))
    }
}

/// A process hibernates, until this is dropped: also if whoever waits for its end gives up.
pub(crate) struct Resting(Option<AnyRef>);

impl Drop for Resting {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            process.set_hibernating(false);
        }
    }
}

fn taken<T: 'static>(entry: Box<dyn Entry>) -> Option<T> {
    let any: Box<dyn std::any::Any> = entry;
    any.downcast().ok().map(|value| *value)
}

/// Has the end of the process at `header` release what it holds in `holds`. Returns false if it has ended.
#[must_use = "a process that has ended can hold nothing any more"]
pub(crate) fn attach(header: &Header, holds: Weak<dyn Holds>) -> bool {
    let mut control = header.extra().control.lock();
    // Under the lock: the end of the process takes it after it has said so.
    let lives = !header.has_ended();
    if lives {
        control.attach(holds);
    }
    lives
}

/// Sets a monitor of groups, of the process at `header`.
pub(crate) fn watch(header: &Header) -> MonitorRef {
    let mut control = header.extra().control.lock();
    let number = control.next_number();
    control.rare_mut().watching.insert(number);
    MonitorRef { owner: header.pid(), number }
}

/// Takes a monitor of groups back, and what it has told out of the mailbox.
///
/// # Panics
/// Outside the process's own code.
#[track_caller]
pub(crate) fn unwatch(me: &Me, reference: MonitorRef) {
    me.assert_here("a process takes from its mailbox in its own code only");
    if let Some(rare) = me.header().extra().control.lock().rare_if_any() {
        rare.watching.remove(&reference.number);
    }
    me.header().flush(reference);
}

/// Whether the process whose code runs here is linked to `peer`, as far as it has heard.
pub(crate) fn is_linked(peer: Pid) -> bool {
    turn::with_process(|running| {
        let extra = running.and_then(|(_, header)| header.extra_if_any());
        extra.is_some_and(|extra| extra.control.lock().links.contains_key(&peer))
    })
}

/// Runs `action` in this process if it handles nothing for `delay` from now.
///
/// # Panics
/// Outside the process's own code.
pub(crate) fn when_idle(me: &Me, delay: Duration, action: impl FnOnce() + Send + 'static) {
    me.assert_here("a process waits in its own code only");
    // SAFETY: its own code is run by its owner.
    unsafe { silence::when_idle(me.header(), delay, action) };
}

/// This process hibernates as soon as there is nothing to be handled.
///
/// # Panics
/// Outside the process's own code.
pub(crate) fn hibernate(me: &Me) {
    me.assert_here("a process hibernates by its own code only");
    // SAFETY: as above.
    unsafe { silence::hibernate(me.header()) };
}

/// Sets a monitor, whose `Down` comes as the message that `tag` makes of it.
pub(crate) fn monitor_as<M: Send + 'static>(
    me: &Me,
    target: Target,
    tag: impl FnOnce(Down) -> M + Send + 'static,
) -> MonitorRef {
    monitor(me.header(), target, Some(Tag::Message(Box::new(|down| Box::new(tag(down))))))
}

/// Sets a monitor of the process at `header`, also from elsewhere.
pub(crate) fn monitor(header: &Header, target: Target, tag: Option<Tag>) -> MonitorRef {
    let (node, me) = (header.node(), header.pid());
    let (target, pid) = match target {
        Target::Pid(pid) => (Target::Pid(pid), Some(pid)),
        Target::Name { name, .. } => {
            let pid = node.whereis(&name);
            (Target::Name { name, node: Some(node.id()) }, pid)
        }
    };
    let reference = {
        let mut control = header.extra().control.lock();
        let number = control.next_number();
        control.monitors.insert(number, Monitor { target, pid, tag });
        MonitorRef { owner: me, number }
    };
    match pid {
        Some(pid) => node.signal(pid, Signal::Monitor { from: me, reference }),
        None => {
            let nobody = Signal::Down { reference, from: me, reason: ExitReason::NoProc };
            // A process that has ended is told nothing.
            let _ = header.push_notice(Notice::Signal(nobody));
        }
    }
    reference
}

/// Makes an alias of the process at `cell`.
pub(crate) fn alias<M: Send + 'static>(cell: &CellRef<M>, end: AliasEnd, monitor: Option<MonitorRef>) -> Alias<M> {
    let mut control = cell.header().extra().control.lock();
    let number = control.next_number();
    control.rare_mut().aliases.insert(number, AliasEntry { end, monitor: monitor.map(|monitor| monitor.number) });
    drop(control);
    Alias::new(cell.clone(), number)
}

/// Revokes `alias`, if it is one of the process at `cell`.
pub(crate) fn unalias<M: Send + 'static>(cell: &CellRef<M>, alias: &Alias<M>) -> bool {
    let is_own = alias.pid() == cell.header().pid();
    let mut control = cell.header().extra().control.lock();
    is_own && control.rare_if_any().is_some_and(|rare| rare.aliases.remove(&alias.number()).is_some())
}

impl fmt::Debug for Me {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Me({})", self.pid())
    }
}
