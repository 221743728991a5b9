//! What a supervisor of either kind waits for, and how it sends children away.
//!
//! Every child is linked, and monitored from when it is told to stop: one that has taken its link back is waited for like the
//! others. Whichever of `Exit` and `Down` comes first counts; of the other, the core knows no process any more.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use biotope_runtime::{ExitReason, Info, Me, MonitorRef, Pid, Process, ReceiveError, Received};

/// What comes next.
pub(crate) enum Heard<M> {
    Request(M),
    /// A child has ended, or another process that was linked.
    Ended(Pid, ExitReason),
    /// It is to stop: it was asked, or whoever it is a part of ends.
    Stop(ExitReason),
    Deadline,
}

/// The monitors of the children that were told to stop, and of others whose end is waited for.
#[derive(Default)]
pub(crate) struct Leaving(BTreeMap<Pid, MonitorRef>);

impl Leaving {
    /// Waits for the next thing, until `deadline` at most.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing that the supervisor would have heard.
    pub(crate) async fn hear<M: Send + 'static>(&mut self, me: &mut Process<M>, deadline: Option<Instant>) -> Heard<M> {
        let runtime = me.node().runtime().clone();
        let mut sleep = deadline.map(|at| runtime.sleep(at.saturating_duration_since(runtime.now())));
        loop {
            let mut receive = me.receive_any();
            let received = poll_fn(|cx| match Pin::new(&mut receive).poll(cx) {
                Poll::Ready(received) => Poll::Ready(Some(received)),
                Poll::Pending => match &mut sleep {
                    Some(sleep) => Pin::new(sleep).poll(cx).map(|()| None),
                    None => Poll::Pending,
                },
            });
            match received.await {
                None => return Heard::Deadline,
                Some(Ok(Received::Message(request))) => return Heard::Request(request),
                Some(Ok(Received::Info(info))) => {
                    if let Some(heard) = self.on_info(me, info) {
                        return heard;
                    }
                }
                Some(Err(ReceiveError::Stopped(reason))) => return Heard::Stop(reason),
                Some(Err(_)) => unreachable!("this receive has no timeout"),
            }
        }
    }

    /// Sees to it that the end of `pid` is heard of.
    pub(crate) fn watch(&mut self, me: &Me, pid: Pid) {
        self.0.entry(pid).or_insert_with(|| me.monitor(pid));
    }

    /// Sends a child an exit signal, and sees to it that its end is heard of.
    pub(crate) fn send_away(&mut self, me: &Me, pid: Pid, reason: ExitReason) {
        self.watch(me, pid);
        me.exit(pid, reason);
    }

    fn on_info<M>(&mut self, me: &Me, info: Info) -> Option<Heard<M>> {
        match info {
            // From itself: sent by `Node::exit`, from outside any process. From the parent: whoever it is a part of ends.
            Info::Exit(exit) if exit.from == me.pid() || Some(exit.from) == me.parent() => {
                Some(Heard::Stop(exit.reason))
            }
            Info::Exit(exit) => {
                if let Some(monitor) = self.0.remove(&exit.from) {
                    me.demonitor(monitor);
                }
                Some(Heard::Ended(exit.from, exit.reason))
            }
            Info::Down(down) => {
                let pid = down.pid().filter(|pid| self.0.remove(pid).is_some())?;
                Some(Heard::Ended(pid, down.reason))
            }
            _ => None,
        }
    }
}
