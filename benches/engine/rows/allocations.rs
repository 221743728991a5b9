//! How often memory is allocated, once everything is warm.

use biotope::prelude::*;

use crate::counting;
use crate::host::Biotope;

/// After so many casts a call, so that the mailbox is as long in each batch as it was in the warm-up.
/// The call counts too: a thousandth of what one call allocates.
const BATCH: u64 = 1_000;

#[derive(Actor, Default)]
struct Counter {
    value: u64,
}

#[handlers]
impl Counter {
    fn value(&self) -> u64 {
        self.value
    }

    #[cast]
    fn add(&mut self, n: u64) {
        self.value += n;
    }

    /// Awaits something, and never has to wait.
    #[cast]
    async fn add_async(&mut self, n: u64) {
        self.value += std::future::ready(n).await;
    }
}

/// Three figures: for casts, for calls and for handlers that await.
pub(crate) fn on_biotope(count: u64) -> Vec<f64> {
    Biotope::new().run(async move {
        let counter = spawn(Counter::default());
        let casts = async |n| in_batches(n, &counter, |counter| counter.add(1)).await;
        let calls = async |n| {
            for _ in 0..n {
                counter.value().await?;
            }
            Ok::<(), CallFailed>(())
        };
        let awaits = async |n| in_batches(n, &counter, |counter| counter.add_async(1)).await;

        casts(count).await?;
        counting::begin();
        casts(count).await?;
        let of_casts = counting::end();

        calls(count).await?;
        counting::begin();
        calls(count).await?;
        let of_calls = counting::end();

        awaits(count).await?;
        counting::begin();
        awaits(count).await?;
        let of_awaits = counting::end();

        let per_million = |allocations: u64| allocations as f64 * 1e6 / count as f64;
        Ok([of_casts, of_calls, of_awaits].map(per_million).to_vec())
    })
}

async fn in_batches(
    count: u64,
    counter: &ActorRef<Counter>,
    cast: impl Fn(&ActorRef<Counter>),
) -> Result<(), CallFailed> {
    for _ in 0..count / BATCH {
        for _ in 0..BATCH {
            cast(counter);
        }
        counter.value().await?;
    }
    Ok(())
}
