//! A process of the test's, which sees what it is sent.

use std::any::type_name;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use biotope_runtime::{
    Address, Down, Exit, ExitReason, Info, Pid, Process, Received, SpawnOptions, node, this_pid, time,
};
use futures_util::future::{Either, select};
use tokio::sync::{mpsc, oneshot};

use crate::kit::Kit;

/// So long a probe waits for what it expects, if it is not told otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process of the test's, to which actors send what they would send to another; made by [`probe`].
///
/// It traps exits. It ends when this is dropped. What is expected and does not come within 5 seconds, or
/// [`within`](Self::within), fails the test; under seeds that is virtual time, and takes none.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::test;
///
/// /// Says how a count goes on.
/// #[derive(Actor)]
/// struct Counter {
///     told: Address<u32>,
/// }
///
/// #[handlers]
/// impl Counter {
///     #[cast]
///     fn count_to(&mut self, n: u32) {
///         (1..=n).for_each(|i| self.told.cast(i));
///     }
/// }
///
/// // #[biotope::test(seeds = 10)]
/// async fn it_counts() {
///     let mut probe = test::probe::<u32>();
///     let counter = test::spawn(Counter { told: probe.address() });
///     counter.count_to(2);
///     assert_eq!((probe.expect_msg().await, probe.expect_msg().await), (1, 2));
///     probe.expect_no_msg(secs(60)).await;
/// }
/// # test::test(test::TestOptions { seeds: Some(10), ..Default::default() }, it_counts);
/// ```
pub struct Probe<M> {
    address: Address<M>,
    inbox: mpsc::UnboundedReceiver<Received<M>>,
    orders: mpsc::UnboundedSender<Order>,
    /// What came and was not expected yet.
    kept: VecDeque<Received<M>>,
    patience: Duration,
}

/// What a probe's process is to do.
enum Order {
    Monitor(Pid, oneshot::Sender<()>),
    Link(Pid, oneshot::Sender<()>),
    Unlink(Pid, oneshot::Sender<()>),
}

/// A new probe for messages of this type.
///
/// # Panics
/// Outside of processes.
pub fn probe<M: Send + 'static>() -> Probe<M> {
    let (told, inbox) = mpsc::unbounded_channel();
    let (orders, ordered) = mpsc::unbounded_channel();
    let options = SpawnOptions { trap_exit: true, label: Some("probe".into()), ..SpawnOptions::child_of(this_pid()) };
    let address = node().spawn_process_with(options, move |me| see(me, told, ordered));
    Probe { address, inbox, orders, kept: VecDeque::new(), patience: PATIENCE }
}

/// The process: it tells what it receives, and does what it is ordered to.
async fn see<M: Send + 'static>(
    mut me: Process<M>,
    told: mpsc::UnboundedSender<Received<M>>,
    mut ordered: mpsc::UnboundedReceiver<Order>,
) -> biotope_runtime::Result<()> {
    loop {
        let order = match select(pin!(ordered.recv()), me.receive_any()).await {
            Either::Left((order, _)) => order,
            Either::Right((received, _)) => {
                if told.send(received?).is_err() {
                    return Ok(());
                }
                continue;
            }
        };
        let done = match order {
            Some(Order::Monitor(pid, done)) => {
                me.monitor(pid);
                done
            }
            Some(Order::Link(pid, done)) => {
                me.link(pid);
                done
            }
            Some(Order::Unlink(pid, done)) => {
                me.unlink(pid);
                done
            }
            None => return Ok(()),
        };
        // Whoever has given the order may have given up.
        let _ = done.send(());
    }
}

impl<M: Send + 'static> Probe<M> {
    /// Where its messages go. A [`Recipient`](biotope_runtime::Recipient) of an actor's free-standing messages is made of a
    /// [stand-in](crate::stand_in).
    pub fn address(&self) -> Address<M> {
        self.address.clone()
    }

    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.address.pid()
    }

    /// Waits so long for what it expects, instead of 5 seconds.
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Monitors a process: its end can be [expected](Self::expect_down) when this returns.
    pub async fn monitor(&self, target: impl Into<Pid>) {
        let pid = target.into();
        self.order(|done| Order::Monitor(pid, done)).await;
    }

    /// Links to a process, whose end comes as an [`Exit`].
    pub async fn link(&self, target: impl Into<Pid>) {
        let pid = target.into();
        self.order(|done| Order::Link(pid, done)).await;
    }

    /// Removes a link.
    pub async fn unlink(&self, target: impl Into<Pid>) {
        let pid = target.into();
        self.order(|done| Order::Unlink(pid, done)).await;
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (done, is_done) = oneshot::channel();
        let _ = self.orders.send(order(done));
        // A probe that somebody has killed does nothing, which shows where something is expected of it.
        let _ = is_done.await;
    }

    /// The next message.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn expect_msg(&mut self) -> impl Future<Output = M> + Send + '_ {
        self.expect_msg_that(|message| Ok(message))
    }

    /// The next message, however long it takes.
    pub(crate) async fn next_msg(&mut self) -> M {
        let any = |received| match received {
            Received::Message(message) => Ok(message),
            other => Err(other),
        };
        loop {
            if let Some(message) = self.find(Duration::MAX, any).await {
                return message;
            }
        }
    }

    /// The first message that `wants` turns into something; what it hands back stays, in its place.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn expect_msg_that<T: Send>(
        &mut self,
        mut wants: impl FnMut(M) -> Result<T, M> + Send,
    ) -> impl Future<Output = T> + Send {
        let expected = format!("a message of type {}", type_name::<M>());
        self.expect(expected, move |received| match received {
            Received::Message(message) => wants(message).map_err(Received::Message),
            other => Err(other),
        })
    }

    /// The end of a process that it [monitors](Self::monitor); the test has asked for it. Returns the reason.
    ///
    /// # Panics
    /// If it does not come in time.
    #[track_caller]
    pub fn expect_down(&mut self, of: impl Into<Pid>) -> impl Future<Output = ExitReason> + Send + '_ {
        let pid = of.into();
        let end = self.expect(format!("a Down of {pid}"), move |received| match received {
            Received::Info(Info::Down(Down { reason, target, .. })) if target.pid() == Some(pid) => Ok(reason),
            other => Err(other),
        });
        seen(pid, end)
    }

    /// The end of a process that it is [linked](Self::link) to; the test has asked for it. Returns the reason.
    ///
    /// # Panics
    /// If it does not come in time.
    #[track_caller]
    pub fn expect_exit(&mut self, from: impl Into<Pid>) -> impl Future<Output = ExitReason> + Send + '_ {
        let pid = from.into();
        let end = self.expect(format!("an Exit of {pid}"), move |received| match received {
            Received::Info(Info::Exit(Exit { from, reason, .. })) if from == pid => Ok(reason),
            other => Err(other),
        });
        seen(pid, end)
    }

    /// No message comes for so long: under seeds in virtual time, on the real scheduler by the clock, where that much time
    /// passes. What came before and was not expected counts.
    ///
    /// # Panics
    /// If one comes.
    #[track_caller]
    pub fn expect_no_msg(&mut self, during: Duration) -> impl Future<Output = ()> + Send + '_ {
        let place = std::panic::Location::caller();
        async move {
            // Not at once: what was sent before is to be here.
            let during = during.max(Duration::from_nanos(1));
            let came = self.find(during, |received| match received {
                Received::Message(message) => Ok(message),
                other => Err(other),
            });
            let came = came.await;
            assert!(came.is_none(), "a message of type {} came, where none was expected, at {place}", type_name::<M>());
        }
    }

    #[track_caller]
    fn expect<T: Send>(
        &mut self,
        expected: String,
        wants: impl FnMut(Received<M>) -> Result<T, Received<M>> + Send,
    ) -> impl Future<Output = T> + Send {
        let place = std::panic::Location::caller();
        async move {
            let patience = self.patience;
            match self.find(patience, wants).await {
                Some(found) => found,
                None => {
                    let others = self.kept.len();
                    panic!("{expected} did not come within {patience:?}, at {place}; {others} other things came")
                }
            }
        }
    }

    /// The first of what came, or comes in time, that `wants` turns into something.
    async fn find<T>(
        &mut self,
        patience: Duration,
        mut wants: impl FnMut(Received<M>) -> Result<T, Received<M>>,
    ) -> Option<T> {
        let mut passed = VecDeque::new();
        let found = loop {
            let Some(first) = self.kept.pop_front() else { break None };
            match wants(first) {
                Ok(found) => break Some(found),
                Err(other) => passed.push_back(other),
            }
        };
        passed.append(&mut self.kept);
        self.kept = passed;
        if found.is_some() {
            return found;
        }
        let wanted = async {
            while let Some(received) = self.inbox.recv().await {
                match wants(received) {
                    Ok(found) => return Some(found),
                    Err(other) => self.kept.push_back(other),
                }
            }
            // Somebody has killed it.
            std::future::pending().await
        };
        time::timeout(patience, wanted).await.ok().flatten()
    }
}

/// The test has seen how this process ends.
async fn seen(pid: Pid, end: impl Future<Output = ExitReason>) -> ExitReason {
    let reason = end.await;
    if let Some(kit) = node().runtime().director::<Kit>() {
        kit.with(|state| state.deaths.see(pid));
    }
    reason
}

impl<M: Send + 'static> fmt::Debug for Probe<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({})", self.pid())
    }
}
