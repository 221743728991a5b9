//! A process of the test's that stands where an actor would.

use std::fmt;
use std::ops::{Deref, DerefMut};

use biotope_runtime::{Actor, ActorRef};

use crate::probe::{Probe, probe};

/// A [`Probe`] that others know as an `A`; made by [`stand_in`]. Its messages are those of the actor: the test answers them,
/// one by one or by a [script](Self::script).
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::test;
///
/// #[derive(Actor, Default)]
/// struct Prices;
///
/// #[handlers]
/// impl Prices {
///     fn of(&mut self, item: String) -> u32 {
///         item.len() as u32
///     }
/// }
///
/// #[derive(Actor)]
/// struct Till {
///     prices: ActorRef<Prices>,
/// }
///
/// #[handlers]
/// impl Till {
///     async fn sum(&mut self, items: Vec<String>) -> Result<u32, CallFailed> {
///         let mut sum = 0;
///         for item in items {
///             sum += self.prices.of(item).await?;
///         }
///         Ok(sum)
///     }
/// }
///
/// // #[biotope::test(seeds = 10)]
/// async fn a_till_asks_for_each_price() -> biotope::Result<()> {
///     let mut prices = test::stand_in::<Prices>();
///     let till = test::spawn(Till { prices: prices.actor() });
///     let sum = till.sum(vec!["tea".into(), "milk".into()]).send();
///     for price in [3, 4] {
///         let PricesMsg::Of(_, reply) = prices.expect_msg().await;
///         reply.send(price);
///     }
///     assert_eq!(sum.await?, 7);
///     Ok(())
/// }
/// # test::test(test::TestOptions { seeds: Some(10), ..Default::default() }, a_till_asks_for_each_price);
/// ```
pub struct StandIn<A: Actor> {
    probe: Probe<A::Msg>,
}

/// A new stand-in for an `A`.
///
/// # Panics
/// Outside of processes.
pub fn stand_in<A: Actor>() -> StandIn<A> {
    StandIn { probe: probe() }
}

impl<A: Actor> StandIn<A> {
    /// What others call it by.
    pub fn actor(&self) -> ActorRef<A> {
        ActorRef::new(self.probe.address())
    }

    /// Answers each message by `script` from now on, also those that have come; the test sees them no more. It goes on until
    /// the future is dropped: `select` it with what it is needed for, or [`serve`](Self::serve) it.
    pub async fn script(&mut self, mut script: impl FnMut(A::Msg) + Send) {
        loop {
            let next = self.probe.next_msg().await;
            script(next);
        }
    }

    /// Answers each message by `script` while `future` runs, and returns what that does.
    ///
    /// # Examples
    /// As for the [type](Self): `let sum = prices.serve(|PricesMsg::Of(_, reply)| reply.send(1), till.sum(items)).await?;`
    pub async fn serve<T>(&mut self, script: impl FnMut(A::Msg) + Send, future: impl IntoFuture<Output = T>) -> T {
        let script = std::pin::pin!(self.script(script));
        let future = std::pin::pin!(future.into_future());
        match futures_util::future::select(future, script).await {
            futures_util::future::Either::Left((done, _)) => done,
            futures_util::future::Either::Right(((), _)) => unreachable!("a script has no end"),
        }
    }
}

impl<A: Actor> Deref for StandIn<A> {
    type Target = Probe<A::Msg>;

    fn deref(&self) -> &Probe<A::Msg> {
        &self.probe
    }
}

impl<A: Actor> DerefMut for StandIn<A> {
    fn deref_mut(&mut self) -> &mut Probe<A::Msg> {
        &mut self.probe
    }
}

impl<A: Actor> fmt::Debug for StandIn<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StandIn<{}>({})", A::NAME, self.pid())
    }
}
