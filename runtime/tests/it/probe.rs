//! An actor for tests: it does what it is told and tells what it sees.

use biotope_runtime::{
    Actor, Address, Call, CallFailed, Context, Down, Exit, ExitReason, Handle, Info, MonitorRef, Options, Pid, Process,
    ReplyTo, spawn_process,
};

/// Ends, links and monitors on request; keeps what it is told.
pub(crate) struct Probe {
    pub(crate) seen: Vec<Seen>,
    pub(crate) held: Option<ReplyTo<()>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Number(u32),
    Down(ExitReason),
    Exit(ExitReason),
}

pub(crate) enum Msg {
    Number(u32),
    Panic(&'static str),
    Stop(ExitReason),
    Link(Pid),
    Unlink(Pid),
    Monitor(Pid),
    Trap(bool),
    Seen(ReplyTo<Vec<Seen>>),
    Hold(ReplyTo<()>),
    DropReply(ReplyTo<()>),
}

impl Probe {
    pub(crate) fn new() -> Self {
        Self { seen: Vec::new(), held: None }
    }
}

impl Actor for Probe {
    type Msg = Msg;
    type Client = Address<Msg>;
    const NAME: &'static str = "Probe";
    const OPTIONS: Options = Options::DEFAULT;
}

impl Handle for Probe {
    async fn handle(&mut self, message: Msg, cx: &mut Context<Self>) {
        match message {
            Msg::Number(n) => self.seen.push(Seen::Number(n)),
            Msg::Panic(text) => panic!("{text}"),
            Msg::Stop(reason) => cx.stop(reason),
            Msg::Link(to) => cx.link(to),
            Msg::Unlink(to) => cx.unlink(to),
            Msg::Monitor(to) => drop(cx.monitor(to)),
            Msg::Trap(trap) => drop(cx.trap_exits(trap)),
            Msg::Seen(reply) => reply.send(self.seen.clone()),
            Msg::Hold(reply) => self.held = Some(reply),
            Msg::DropReply(reply) => drop(reply),
        }
    }

    async fn info(&mut self, info: Info, _cx: &mut Context<Self>) {
        match info {
            Info::Down(Down { reason, .. }) => self.seen.push(Seen::Down(reason)),
            Info::Exit(Exit { reason, .. }) => self.seen.push(Seen::Exit(reason)),
            other => panic!("{other:?}"),
        }
    }
}

/// What `probe` has seen so far.
pub(crate) async fn seen(probe: &Address<Msg>) -> Result<Vec<Seen>, CallFailed> {
    Call::new(probe, Msg::Seen).await
}

/// Waits for the end of `pid`; `NoProc` if it had ended before.
pub(crate) async fn end_of(me: &mut Process<()>, pid: Pid) -> biotope_runtime::Result<ExitReason> {
    let watch = me.monitor(pid);
    down(me, watch).await
}

/// Waits for the `Down` of `watch` and returns its reason.
pub(crate) async fn down(me: &mut Process<()>, watch: MonitorRef) -> biotope_runtime::Result<ExitReason> {
    let down = me.receive_info(move |info| match info {
        Info::Down(down) if down.reference == watch => Ok(down.reason),
        other => Err(other),
    });
    Ok(down.await?)
}

/// Runs `body` as a process that can receive.
pub(crate) async fn observe<F>(body: impl FnOnce(Process<()>) -> F) -> biotope_runtime::Result<()>
where
    F: Future<Output = biotope_runtime::Result<()>> + Send + 'static,
{
    let (sender, outcome) = tokio::sync::oneshot::channel();
    spawn_process(|me| {
        let running = body(me);
        async {
            let _ = sender.send(running.await);
            Ok(())
        }
    });
    // A panic drops the sender; its text is in the crash report.
    outcome.await?
}
