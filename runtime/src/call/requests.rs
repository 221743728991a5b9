//! Requests in flight, kept together, and one call of many processes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};

use super::{CallFailed, Request};

/// Requests that have been sent and are not answered yet, each with a label: what is answered first comes first. As OTP's
/// collections of request identifiers (`gen_server:reqids_new/0`).
///
/// `T` and `E` are what an answer holds, `R` is what the handlers return; see [`Call`](super::Call). It is a
/// [`Stream`] of answers, too.
///
/// # Errors
/// Each request has its own outcome and its own deadline, by default 5 s after it was sent.
///
/// # Cancel safety
/// [`next`](Self::next) dropped before it is done takes nothing. With the collection all replies that are still to come are
/// given up, and not the requests.
///
/// # Examples
/// ```
/// use biotope::Requests;
/// use biotope::prelude::*;
///
/// #[derive(Actor)]
/// struct Shop {
///     price: u32,
/// }
///
/// #[handlers]
/// impl Shop {
///     pub fn price(&self, _article: &str) -> u32 {
///         self.price
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let shops = [("corner", spawn(Shop { price: 12 })), ("market", spawn(Shop { price: 9 }))];
///     // All are asked before the first has answered.
///     let mut offers: Requests<&str, u32> =
///         shops.iter().map(|(name, shop)| (*name, shop.price("tea").timeout(secs(1)).send())).collect();
///     let mut best = None;
///     while let Some((name, offer)) = offers.next().await {
///         match offer {
///             Ok(price) => best = best.min(Some((price, name))).or(Some((price, name))),
///             Err(failed) => println!("{name}: {failed}"),
///         }
///     }
///     assert_eq!(best, Some((9, "market")));
///     Ok(())
/// }
/// ```
#[must_use = "dropping requests gives up their replies"]
pub struct Requests<L, R, T = R, E = CallFailed> {
    waiting: FuturesUnordered<Labelled<L, R, T, E>>,
}

/// One of them.
struct Labelled<L, R, T, E> {
    /// There until it is answered.
    label: Option<L>,
    request: Request<R, T, E>,
}

// Nothing in it is pinned: a request can be moved.
impl<L, R, T, E> Unpin for Labelled<L, R, T, E> {}

impl<L, R: Send + 'static, T, E> Future for Labelled<L, R, T, E> {
    type Output = (L, Result<T, E>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let outcome = std::task::ready!(Pin::new(&mut self.request).poll(cx));
        let label = self.label.take().expect("who has answered is not polled again");
        Poll::Ready((label, outcome))
    }
}

impl<L, R, T, E> Requests<L, R, T, E> {
    /// None yet.
    pub fn new() -> Self {
        Self { waiting: FuturesUnordered::new() }
    }

    /// Adds a request. Labels need not be different.
    pub fn add(&mut self, label: L, request: Request<R, T, E>) {
        self.waiting.push(Labelled { label: Some(label), request });
    }

    /// Waits for the next answer, or failure, and takes it out. `None` if no request is left.
    pub async fn next(&mut self) -> Option<(L, Result<T, E>)>
    where
        R: Send + 'static,
    {
        self.waiting.next().await
    }

    /// How many are not answered yet, or not taken out.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The labels of those that are not taken out, in no order.
    pub fn labels(&self) -> impl Iterator<Item = &L> {
        self.waiting.iter().filter_map(|one| one.label.as_ref())
    }
}

impl<L, R, T, E> Default for Requests<L, R, T, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L, R, T, E> Extend<(L, Request<R, T, E>)> for Requests<L, R, T, E> {
    fn extend<I: IntoIterator<Item = (L, Request<R, T, E>)>>(&mut self, more: I) {
        more.into_iter().for_each(|(label, request)| self.add(label, request));
    }
}

impl<L, R, T, E> FromIterator<(L, Request<R, T, E>)> for Requests<L, R, T, E> {
    fn from_iter<I: IntoIterator<Item = (L, Request<R, T, E>)>>(requests: I) -> Self {
        let mut all = Self::new();
        all.extend(requests);
        all
    }
}

impl<L, R: Send + 'static, T, E> Stream for Requests<L, R, T, E> {
    type Item = (L, Result<T, E>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.waiting).poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<L: fmt::Debug, R, T, E> fmt::Debug for Requests<L, R, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.labels()).finish()
    }
}

/// Sends each of `servers` the request that `call` makes for it, and waits until all have answered or failed. Returns them
/// with their outcomes, in the order in which they were given. As OTP's `gen_server:multi_call/4`.
///
/// It takes as long as the slowest, or until its deadline; each call has its own, by default 5 s.
///
/// # Cancel safety
/// Dropped before it is done, it gives up the replies, not the requests.
///
/// # Examples
/// ```
/// use biotope::multi_call;
/// use biotope::prelude::*;
///
/// #[derive(Actor)]
/// struct Shelf(usize);
///
/// #[handlers]
/// impl Shelf {
///     pub fn count(&self) -> usize {
///         self.0
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let shelves = [3, 4].map(|books| spawn(Shelf(books)));
///     let counts = multi_call(&shelves, |shelf| shelf.count().timeout(secs(1)).send()).await;
///     let total: usize = counts.into_iter().filter_map(|(_, count)| count.ok()).sum();
///     assert_eq!(total, 7);
///     Ok(())
/// }
/// ```
pub async fn multi_call<S, R: Send + 'static, T, E>(
    servers: impl IntoIterator<Item = S>,
    mut call: impl FnMut(&S) -> Request<R, T, E>,
) -> Vec<(S, Result<T, E>)> {
    // All are sent before the first is awaited.
    let (mut requests, mut answered) = (Requests::new(), Vec::new());
    for (number, server) in servers.into_iter().enumerate() {
        requests.add(number, call(&server));
        answered.push((server, None));
    }
    while let Some((number, outcome)) = requests.next().await {
        answered[number].1 = Some(outcome);
    }
    answered.into_iter().filter_map(|(server, outcome)| Some((server, outcome?))).collect()
}
