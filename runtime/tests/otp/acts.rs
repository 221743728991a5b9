//! A process that does any act that it is sent, and other help for code that is written as a line.

use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Context, Down, ExitReason, Handle, Info, MonitorRef, Node, Pid, Process, ReceiveError, Received,
    ReplyTo, Result, spawn_process,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::runs::{is_virtual, secs};
/// Waits for the `Down` of `monitor`, wherever it lies in the mailbox.
pub(crate) async fn down<M: Send + 'static>(me: &mut Process<M>, monitor: MonitorRef) -> Result<Down> {
    let down = me.receive_info(move |info| match info {
        Info::Down(down) if down.reference == monitor => Ok(down),
        other => Err(other),
    });
    Ok(down.await?)
}

/// Waits for the end of `pid`, and returns why; `NoProc` if it had ended before.
pub(crate) async fn end_of<M: Send + 'static>(me: &mut Process<M>, pid: impl Into<Pid>) -> Result<ExitReason> {
    let monitor = me.monitor(pid.into());
    Ok(down(me, monitor).await?.reason)
}

/// What is in the mailbox now, in order.
pub(crate) async fn all_there<M: Send + 'static>(me: &mut Process<M>) -> Result<Vec<Received<M>>> {
    let mut there = Vec::new();
    loop {
        match me.receive_any().timeout(Duration::ZERO).await {
            Ok(received) => there.push(received),
            Err(ReceiveError::Timeout) => return Ok(there),
            Err(other) => return Err(other.into()),
        }
    }
}

/// The messages in the mailbox now, in order.
///
/// # Panics
/// If there is something else in it.
pub(crate) async fn messages_there<M: Send + std::fmt::Debug + 'static>(me: &mut Process<M>) -> Result<Vec<M>> {
    let there = all_there(me).await?.into_iter().map(|received| match received {
        Received::Message(message) => message,
        Received::Info(info) => panic!("unexpected: {info:?}"),
    });
    Ok(there.collect())
}

/// Proves an absence: in virtual time, by an hour in which nothing comes. On the real scheduler only
/// looks, so there the test has to send a sentinel first.
pub(crate) async fn nothing_more<M: Send + std::fmt::Debug + PartialEq + 'static>(me: &mut Process<M>) {
    let patience = if is_virtual() { secs(3_600) } else { Duration::ZERO };
    let more = me.receive_any().timeout(patience).await;
    assert_eq!(more, Err(ReceiveError::Timeout));
}

/// A process that does what it is sent, one act after another; see [`act`].
pub(crate) type Puppet = Address<Act>;

/// What a [`Puppet`] is sent.
pub(crate) struct Act(Deed);

/// What a process does when it is told.
type Deed = Box<dyn FnOnce(&mut Process<Act>) + Send>;

impl Act {
    pub(crate) fn new(what: impl FnOnce(&mut Process<Self>) + Send + 'static) -> Self {
        Self(Box::new(what))
    }
}

/// A process that does what it is sent. It is linked to nobody.
pub(crate) fn puppet() -> Puppet {
    spawn_process(act_for_ever)
}

/// A puppet without parent, on `node`.
pub(crate) fn puppet_on(node: &Node) -> Puppet {
    node.spawn_process(act_for_ever)
}

async fn act_for_ever(mut me: Process<Act>) -> Result<()> {
    loop {
        let Act(what) = me.receive().await?;
        what(&mut me);
    }
}

/// Has `puppet` do this when it comes to it.
pub(crate) fn act(puppet: &Puppet, what: impl FnOnce(&mut Process<Act>) + Send + 'static) {
    puppet.cast(Act::new(what));
}

/// Has `puppet` do this, and waits for what it returns.
pub(crate) async fn acted<T: Send + 'static>(
    puppet: &Puppet,
    what: impl FnOnce(&mut Process<Act>) -> T + Send + 'static,
) -> Result<T> {
    let (sender, done) = oneshot::channel();
    act(puppet, move |me| {
        let _ = sender.send(what(me));
    });
    Ok(done.await?)
}

/// Has another process send `messages` to this one, and waits until it has.
pub(crate) async fn sent_by_another<M: Send + 'static>(me: &Process<M>, messages: Vec<M>) -> Result<()> {
    let to = me.address();
    acted(&puppet(), move |_| {
        for message in messages {
            to.cast(message);
        }
    })
    .await
}

/// Tells when it is dropped.
#[derive(Debug)]
pub(crate) struct Dropping(Option<oneshot::Sender<()>>);

/// A value, and what is done when that is dropped.
pub(crate) fn dropping() -> (Dropping, oneshot::Receiver<()>) {
    let (sender, dropped) = oneshot::channel();
    (Dropping(Some(sender)), dropped)
}

impl Drop for Dropping {
    fn drop(&mut self) {
        let _ = self.0.take().map(|sender| sender.send(()));
    }
}

/// What happened, in order, wherever it happened.
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn push(&self, entry: T) {
        self.0.lock().push(entry);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().clone()
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Gives back what it is called with.
pub(crate) struct Echo;

pub(crate) type Question = (u64, ReplyTo<u64>);

impl Actor for Echo {
    type Msg = Question;
    type Client = Address<Question>;
    const NAME: &'static str = "Echo";
}

impl Handle for Echo {
    async fn handle(&mut self, (n, reply): Question, _cx: &mut Context<Self>) {
        reply.send(n);
    }
}
