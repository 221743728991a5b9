//! The beginning of a process.
#![expect(unsafe_code, reason = "a body is written into its cell, and knows it")]

use std::future::Future;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::ptr::{self, NonNull};

use super::actor::{ActorBody, Futures, Made, Starting};
use super::bound::Bound;
use super::cell::{Body, Cell, Class};
use super::control::{Control, Monitor, Tag};
use super::extra::Extra;
use super::header::Birth;
use super::reference::CellRef;
use super::run::run;
use super::straight::{Process, Straight};
use super::turn;
use crate::actor::{Actor, Handle, HandleOwnThread, Start};
use crate::caller::{Caller, WorksFor};
use crate::context::Context;
use crate::exit::{Error, ExitReason};
use crate::lease::Lease;
use crate::mailbox::Notice;
use crate::memory::take_out;
use crate::node::{Node, SpawnOptions};
use crate::observe;
use crate::pid::Pid;
use crate::priority::Priority;
use crate::runs_on::{Beginning, OwnThread, Shared};
use crate::scheduler::Home;
use crate::signal::{MonitorRef, Signal, Target};
use crate::spec::{Launching, StartError};

/// How a process is made, beside what the options say.
#[derive(Default)]
struct Manner {
    launching: Option<Box<Launching>>,
    trap_exit: bool,
    home: Option<Home>,
    /// How many references its body begins with.
    references: u32,
}

/// Makes a process of the body that `make` writes, and gives it its first turn. With the number of its monitor,
/// if the options ask for one.
fn launch<M, B>(
    class: &'static Class,
    node: &Node,
    options: &SpawnOptions,
    manner: Manner,
    make: impl FnOnce(NonNull<B>, &CellRef<M>),
) -> (CellRef<M>, Option<NonZeroU64>)
where
    M: Send + 'static,
    B: Body<M> + 'static,
{
    turn::with_worker_of(node, |worker| {
        let (number, lease) = match worker {
            Some(turn) => turn.with_allotment(node, |at_hand| (at_hand.take_slot(node), at_hand.take_reference(node))),
            None => {
                // Whoever comes from outside may find that nobody is awake, and that the clock has stood still.
                node.runtime().clock().refresh();
                (node.table().take_free(1).pop(), Lease::new(node))
            }
        };
        let reserved = node.table().reserve(number);
        let is_led = options.parent.is_some_and(is_led);
        let limit = options.mailbox.or(class.limit);
        let manner = Manner { trap_exit: manner.trap_exit || options.trap_exit, ..manner };
        let mut tied = Tied { extra: ptr::null_mut(), is_led: false, monitor: None, orphaned_by: None };
        let references = manner.references;
        let priority = Home::priority(manner.home.as_ref(), options.priority.unwrap_or_default());
        if manner.is_special() || is_led || limit.is_some() || options.is_special() {
            let bound = limit.map(|limit| Box::new(Bound::new::<M>(limit)));
            tied = tie(node, reserved.pid, options, manner, bound);
        }
        let birth = Birth {
            node: lease,
            pid: reserved.pid,
            parent: options.parent,
            priority,
            is_led: tied.is_led,
            is_bounded: limit.is_some(),
            extra: tied.extra,
            references,
        };
        let unused = Unused { node, slot: reserved.pid.slot() };
        let cell = Cell::<M, B>::make(class, birth, &turn::stock(worker, node), make);
        std::mem::forget(unused);
        if let Some(bytes) = options.max_memory {
            cell.header().limit_memory(bytes);
        }
        if !node.table().insert(reserved, cell.header()) {
            // The node is shutting down; the process is taken down before it does anything.
            begin_with(&cell, Signal::Exit { from: cell.header().pid(), reason: ExitReason::Kill, link: false });
        }
        if let Some(from) = tied.orphaned_by {
            begin_with(&cell, Signal::Exit { from, reason: ExitReason::NoProc, link: true });
        }
        observe::spawned(cell.header());
        // After it was entered: whoever turns this on looks for those that are there afterwards.
        if node.notes_processes() {
            node.note_process(cell.header());
        }
        if let Some(turn) = worker {
            turn.note_spawned(options, cell.header());
        }
        cell.header().submit_by(worker);
        (cell, tied.monitor)
    })
}

impl Manner {
    fn is_special(&self) -> bool {
        self.trap_exit || self.launching.is_some() || self.home.is_some()
    }
}

/// A slot that is given back if it comes to a panic before its process is made.
struct Unused<'a> {
    node: &'a Node,
    slot: u32,
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        self.node.table().give_free(vec![self.slot]);
    }
}

/// Lets the process find `signal` before anything else.
#[cold]
fn begin_with<M>(cell: &CellRef<M>, signal: Signal) {
    let _ = cell.header().push_notice(Notice::Signal(signal));
}

/// What ties a process from its first instruction on.
struct Tied {
    extra: *mut Extra,
    /// It belongs to a group that has a leader.
    is_led: bool,
    monitor: Option<NonZeroU64>,
    /// What it was to be linked to and has ended.
    orphaned_by: Option<Pid>,
}

/// Links and monitors it before either side can run: an end in the first instruction finds both in place.
#[cold]
fn tie(
    node: &Node,
    pid: Pid,
    options: &SpawnOptions,
    Manner { launching, trap_exit, home, .. }: Manner,
    bound: Option<Box<Bound>>,
) -> Tied {
    let mut extra = Extra { bound, home, restarts: options.restarts, ..Extra::default() };
    let mut monitor = None;
    extra.owned.get_mut().launching = launching;
    let control = extra.control.get_mut();
    control.trap_exit = trap_exit;
    let leader = options.group_leader.or_else(|| inherited_leader(options.parent));
    if options.label.is_some() || leader.is_some() {
        let rare = control.rare_mut();
        (rare.label, rare.group_leader) = (options.label.clone(), leader);
    }
    let mut orphaned_by = options.link.filter(|peer| !link(node, pid, control, *peer));
    if let Some(owner) = options.monitor
        && let Some(owner) = node.process(owner)
    {
        let mut theirs = owner.extra().control.lock();
        let number = theirs.next_number();
        let reference = MonitorRef { owner: owner.pid(), number };
        theirs.monitors.insert(number, Monitor { target: Target::Pid(pid), pid: Some(pid), tag: None });
        control.monitored_by.insert(reference, ());
        monitor = NonZeroU64::new(number);
    }
    if let Some(caller) = &options.caller {
        if caller.link && !link(node, pid, control, caller.pid) {
            orphaned_by = Some(caller.pid);
        }
        monitor = tell_of(node, pid, control, caller).or(monitor);
        let number = monitor.map(NonZeroU64::get);
        control.works_for = Some(Box::new(WorksFor { caller: caller.pid, monitor: number, place: caller.place }));
    }
    Tied { extra: extra.place(node), is_led: leader.is_some(), monitor, orphaned_by }
}

/// Links the process `pid`, which has this `control`, to `peer`. Returns false if that has ended.
fn link(node: &Node, pid: Pid, control: &mut Control, peer: Pid) -> bool {
    control.links.insert(peer, ());
    let Some(there) = node.process(peer) else { return peer.node() != node.id() };
    let mut theirs = there.extra().control.lock();
    // Its end may have taken what it is tied to.
    let lives = !there.has_ended();
    if lives {
        theirs.links.insert(pid, ());
    }
    lives
}

/// Lets `caller` monitor the process `pid`, which has this `control`, if it wants to be told of its end. Returns the number of
/// the monitor.
fn tell_of(node: &Node, pid: Pid, control: &mut Control, caller: &Caller) -> Option<NonZeroU64> {
    let told = caller.told.clone()?;
    let there = node.process(caller.pid)?;
    let mut theirs = there.extra().control.lock();
    if there.has_ended() {
        return None;
    }
    let number = theirs.next_number();
    let monitor = Monitor { target: Target::Pid(pid), pid: Some(pid), tag: Some(Tag::Told(told)) };
    theirs.monitors.insert(number, monitor);
    control.monitored_by.insert(MonitorRef { owner: caller.pid, number }, ());
    NonZeroU64::new(number)
}

/// Whether `parent` is what runs here, and belongs to a group that has a leader.
#[inline]
fn is_led(parent: Pid) -> bool {
    turn::with_process(|running| running.is_some_and(|(_, process)| process.is_led() && process.pid() == parent))
}

/// The leader of the group that the parent belongs to, if the parent is what runs here.
fn inherited_leader(parent: Option<Pid>) -> Option<Pid> {
    let parent = parent?;
    turn::with_process(|running| {
        let (_, process) = running?;
        let extra = process.extra_if_any()?;
        if process.pid() == parent { extra.control.lock().rare()?.group_leader } else { None }
    })
}

/// What straight-line code is called.
pub(crate) trait Called {
    fn called() -> &'static str;
}

/// By the function that it was written in.
pub(crate) struct ByFunction<F>(PhantomData<F>);

impl<F> Called for ByFunction<F> {
    fn called() -> &'static str {
        std::any::type_name::<F>()
    }
}

/// As the actor that others know it as.
pub(crate) struct ByActor<A>(PhantomData<A>);

impl<A: Actor> Called for ByActor<A> {
    fn called() -> &'static str {
        A::NAME
    }
}

/// Makes a process in straight-line code, which is called as `C` says.
pub(crate) fn launch_straight<C, M, F, Fut>(
    node: &Node,
    options: &SpawnOptions,
    body: F,
) -> (CellRef<M>, Option<NonZeroU64>)
where
    C: Called,
    M: Send + 'static,
    F: FnOnce(Process<M>) -> Fut,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    struct ClassOf<C, M, Fut>(PhantomData<(C, M, Fut)>);
    impl<C, M, Fut> ClassOf<C, M, Fut>
    where
        C: Called,
        M: Send + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        const CLASS: Class = Cell::<M, Straight<Fut>>::class(C::called, &[], None, run::<M, Straight<Fut>>);
    }
    let manner = Manner { references: 1, ..Manner::default() };
    launch(&ClassOf::<C, M, Fut>::CLASS, node, options, manner, |place, cell| {
        // SAFETY: one was counted, and this is it.
        let straight = Straight::new(body(Process::new(unsafe { cell.counted_at_birth() })));
        // SAFETY: the place is that of the body in a new cell.
        unsafe { place.write(straight) };
    })
}

/// Makes a process of an actor that is there.
pub(crate) fn launch_actor<A: Handle>(
    node: &Node,
    options: &SpawnOptions,
    actor: A,
) -> (CellRef<A::Msg>, Option<NonZeroU64>) {
    let manner = Manner { trap_exit: A::OPTIONS.trap_exit, ..Manner::default() };
    launch_body(node, options, manner, futures::<A>(), |cell| Origin::Born(cell, actor))
}

/// Makes a process of an actor that is made in it, and registered before that.
pub(crate) fn launch_spec<A: Handle + Start>(
    node: &Node,
    options: &SpawnOptions,
    beginning: Beginning<A>,
) -> (CellRef<A::Msg>, Option<NonZeroU64>) {
    launch_start(node, options, None, beginning, futures::<A>())
}

/// As [`launch_spec`], on a thread of its own. Without one, the actor is not made, and its process does not start.
pub(crate) fn launch_own_thread<A: HandleOwnThread + Start>(
    node: &Node,
    options: &SpawnOptions,
    beginning: Beginning<A>,
) -> (CellRef<A::Msg>, Option<NonZeroU64>) {
    match node.runtime().home_for_one() {
        Ok(home) => launch_start(node, options, Some(home), beginning, futures_own_thread::<A>()),
        Err(error) => {
            let manner = Manner { launching: beginning.launching, ..Manner::default() };
            launch_body(node, options, manner, futures_own_thread::<A>(), |cell| {
                let error = StartError::NoThread(error.to_string());
                Origin::Starting(cell, Box::pin(async move { Err(error) }))
            })
        }
    }
}

fn launch_start<A: Start, F: Futures<A>>(
    node: &Node,
    options: &SpawnOptions,
    home: Option<Home>,
    beginning: Beginning<A>,
    futures: F,
) -> (CellRef<A::Msg>, Option<NonZeroU64>) {
    let Beginning { registration, launching, args } = beginning;
    let manner = Manner { launching, trap_exit: A::OPTIONS.trap_exit, home, references: 0 };
    launch_body(node, options, manner, futures, |cell| {
        let ready = cell.header().ready();
        let start: Starting<A> = Box::pin(async move {
            // SAFETY: the future is a part of the body of this cell; it runs in the process's turns only.
            let cx = unsafe { Context::<A>::within(ready.header().ready_ptr()) };
            registration.enter(cx)?;
            Ok(A::start(args(), cx).await?)
        });
        Origin::Starting(cell, start)
    })
}

enum Origin<'a, A: Actor> {
    Born(&'a CellRef<A::Msg>, A),
    Starting(&'a CellRef<A::Msg>, Starting<A>),
}

fn launch_body<A: Actor, F: Futures<A>>(
    node: &Node,
    options: &SpawnOptions,
    manner: Manner,
    _: F,
    origin: impl FnOnce(&CellRef<A::Msg>) -> Origin<'_, A>,
) -> (CellRef<A::Msg>, Option<NonZeroU64>) {
    struct ClassOf<A, F>(PhantomData<(A, F)>);
    impl<A: Actor, F: Futures<A>> ClassOf<A, F> {
        const CLASS: Class = Cell::<A::Msg, ActorBody<A, F>>::class(
            || A::NAME,
            A::HANDLERS,
            A::OPTIONS.mailbox,
            run::<A::Msg, ActorBody<A, F>>,
        );
    }
    let says_more = const { A::OPTIONS.max_memory.is_some() || A::OPTIONS.priority as u8 != Priority::Normal as u8 };
    let as_it_says;
    let options = if says_more {
        let max_memory = options.max_memory.or(A::OPTIONS.max_memory);
        let priority = options.priority.or(Some(A::OPTIONS.priority));
        as_it_says = SpawnOptions { max_memory, priority, ..options.clone() };
        &as_it_says
    } else {
        options
    };
    launch(&ClassOf::<A, F>::CLASS, node, options, manner, |place, cell| {
        let body = match origin(cell) {
            Origin::Born(cell, actor) => ActorBody::<A, F>::born(cell.header(), actor),
            Origin::Starting(cell, start) => ActorBody::starting(cell.header(), start),
        };
        // SAFETY: the place is that of the body in a new cell.
        unsafe { place.write(body) };
    })
}

/// What makes the futures of an actor's handlers, by this trait.
macro_rules! made_by {
    ($handle:ident, $actor:ident, $kind:ident) => {
        // Whoever calls these (see `Futures`) sees to it that nobody else uses what the pointers lead to as long
        // as the future lives.
        Made::<$kind, _, _, _, _>::by(
            // SAFETY: see above.
            |actor: *mut $actor, cx: *mut Context<$actor>| unsafe { $handle::init(&mut *actor, &mut *cx) },
            // SAFETY: see above.
            |actor: *mut $actor, message: *const $actor::Msg, cx: *mut Context<$actor>| unsafe {
                $handle::step(&mut *actor, take_out(message), &mut *cx)
            },
            // SAFETY: see above.
            |actor: *mut $actor, info, cx: *mut Context<$actor>| unsafe {
                $handle::step_info(&mut *actor, info, &mut *cx)
            },
            // SAFETY: see above.
            |actor: *mut $actor, reason: *const ExitReason, cx: *mut Context<$actor>| unsafe {
                $handle::terminate(&mut *actor, &*reason, &mut *cx)
            },
        )
    };
}

/// The types of the futures of `A`'s handlers.
pub(super) fn futures<A: Handle>() -> impl Futures<A> {
    made_by!(Handle, A, Shared)
}

/// The same, of an actor with a thread of its own.
fn futures_own_thread<A: HandleOwnThread>() -> impl Futures<A> {
    made_by!(HandleOwnThread, A, OwnThread)
}
