//! A machine by hand that does what it is told, and logs all that happens to it; and where the cases run.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use biotope::prelude::*;
use biotope::test::under_seeds;
use biotope::{Event, Refused};

/// Runs `body` as a process under 200 seeds in virtual time, and 20 times on the real scheduler.
pub(crate) fn everywhere<F>(name: &'static str, body: impl Fn() -> F)
where
    F: Future<Output = biotope::Result<()>> + Send + 'static,
{
    biotope::test::everywhere(name, 200, 20, body);
}

/// Runs `body` as a process under 200 seeds in virtual time.
pub(crate) fn seeded<F>(name: &'static str, body: impl Fn() -> F)
where
    F: Future<Output = biotope::Result<()>> + Send + 'static,
{
    under_seeds(name, 200, body);
}

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, what: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    /// All of it; it is empty then.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(State, Clone, Debug, PartialEq)]
pub(crate) enum At {
    A,
    B,
    C(u8),
}

/// The machine. In `A` it postpones [`Ask::Work`].
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) log: Log,
    /// What it does in `init`, and when it enters a state.
    pub(crate) begin: Hook<Begin>,
    pub(crate) enter: Hook<Enter>,
}

/// Something to do, which has nothing to say of itself.
pub(crate) struct Hook<F: ?Sized>(pub(crate) Option<Box<F>>);

impl<F: ?Sized> std::fmt::Debug for Hook<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

type Begin = dyn FnOnce(&mut Context<Probe>) -> Result<(), Refused> + Send;
type Enter = dyn FnMut(&mut Entering<Probe>) + Send;
type Deed = dyn FnOnce(&mut Probe, &mut Context<Probe>) + Send;

pub(crate) enum Ask {
    /// Is logged; in `A` it waits for another state.
    Work(&'static str),
    /// Is logged.
    Note(&'static str),
    /// Is logged and answered; in `A` it waits for another state.
    Serve(&'static str, ReplyTo<At>),
    /// Is done.
    Do(Box<Deed>),
    /// Is done, and takes so long.
    Slowly(Duration, Box<Deed>),
}

impl Actor for Probe {
    type Msg = Ask;
    type Client = Address<Ask>;
    const NAME: &'static str = "Probe";
    const HANDLERS: &'static [&'static str] = &["work", "note", "serve", "do", "slowly"];

    fn handler_of(message: &Ask) -> u32 {
        match message {
            Ask::Work(_) => 0,
            Ask::Note(_) => 1,
            Ask::Serve(..) => 2,
            Ask::Do(_) => 3,
            Ask::Slowly(..) => 4,
        }
    }
}

impl StateMachine for Probe {
    type State = At;

    fn initial() -> At {
        At::A
    }

    async fn init(&mut self, cx: &mut Context<Self>) -> Result<(), Refused> {
        self.begin.0.take().map_or(Ok(()), |begin| begin(cx))
    }

    async fn handle(&mut self, ask: Ask, cx: &mut Context<Self>) {
        match ask {
            Ask::Work(_) | Ask::Serve(..) if *cx.state() == At::A => cx.postpone(Event::Message(ask)),
            Ask::Work(what) | Ask::Note(what) => self.log.push(what),
            Ask::Serve(what, reply) => {
                self.log.push(what);
                reply.send(cx.state().clone());
            }
            Ask::Do(deed) => deed(self, cx),
            Ask::Slowly(duration, deed) => {
                time::sleep(duration).await;
                deed(self, cx);
            }
        }
    }

    async fn info(&mut self, info: Info, cx: &mut Context<Self>) {
        match info {
            Info::Down(_) if *cx.state() == At::A => cx.postpone(Event::Info(info)),
            Info::Down(down) => self.log.push(format!("down {}", down.reason)),
            other => cx.log_unexpected(&other),
        }
    }

    async fn enter(&mut self, old: &At, cx: &mut Entering<Self>) {
        self.log.push(format!("enter({old:?}, {:?})", cx.state()));
        if let Some(enter) = &mut self.enter.0 {
            enter(cx);
        }
    }

    fn show_state(&self) -> Option<String> {
        Some("Probe".to_owned())
    }

    async fn terminate(&mut self, reason: &ExitReason, cx: &mut Context<Self>) {
        self.log.push(format!("terminate({reason}, {:?})", cx.state()));
    }
}

impl Start for Probe {
    type Args = Self;

    async fn start(probe: Self, _cx: &mut Context<Self>) -> Result<Self, Refused> {
        Ok(probe)
    }
}

/// A machine that logs to `log`.
pub(crate) fn probe(log: &Log) -> Probe {
    Probe { log: log.clone(), begin: Hook(None), enter: Hook(None) }
}

impl Probe {
    pub(crate) fn beginning(
        self,
        begin: impl FnOnce(&mut Context<Self>) -> Result<(), Refused> + Send + 'static,
    ) -> Self {
        Self { begin: Hook(Some(Box::new(begin))), ..self }
    }

    pub(crate) fn entering(self, enter: impl FnMut(&mut Entering<Self>) + Send + 'static) -> Self {
        Self { enter: Hook(Some(Box::new(enter))), ..self }
    }
}

/// Has the machine do this.
pub(crate) fn tell(probe: &ActorRef<Probe>, deed: impl FnOnce(&mut Probe, &mut Context<Probe>) + Send + 'static) {
    probe.cast(Ask::Do(Box::new(deed)));
}

/// Has the machine go over into `state`.
pub(crate) fn go(probe: &ActorRef<Probe>, state: At) {
    tell(probe, |_, cx| cx.goto(state));
}

/// Waits until the machine has handled all that this process has sent it, and what it has sent itself for that: it is asked
/// twice, because the first time may come between the two.
pub(crate) async fn settled(probe: &ActorRef<Probe>) -> biotope::Result<()> {
    probe.with_machine(|_, _| ()).await?;
    probe.with_machine(|_, _| ()).await?;
    Ok(())
}
