//! A process that has very many timers cancels one and sets another, again and again.

use std::time::{Duration, Instant};

use biotope::prelude::*;
use tokio::sync::oneshot;

use crate::host::{Biotope, nanos_each};

/// Shares no factor with the counts, so that its multiples reach every timer, and far apart.
const STRIDE: usize = 611_953;

/// Between ten minutes and ten hours, so that none fires meanwhile and not all are alike.
fn delay(number: usize) -> Duration {
    Duration::from_millis(600_000 + (number * STRIDE % 35_400_000) as u64)
}

/// One figure: for a cancel and a set with `count` timers outstanding, for a quarter of them.
pub(crate) fn on_biotope(count: u64) -> Vec<f64> {
    let timers = count as usize;
    let steps = timers / 4;
    Biotope::new().run(async move {
        let (sender, figure) = oneshot::channel();
        spawn_process(async move |me: Process<u64>| {
            let myself = me.address();
            let set = |number| me.send_after(delay(number), &myself, number as u64);
            let mut outstanding: Vec<_> = (0..timers).map(set).collect();
            let start = Instant::now();
            for step in 0..steps {
                let number = step * STRIDE % timers;
                let timer = &mut outstanding[number];
                assert!(me.cancel_timer(*timer).is_some(), "it cannot have fired");
                *timer = set(timers + step);
            }
            let _ = sender.send(nanos_each(start, steps as u64));
            Ok(())
        });
        Ok(vec![figure.await?])
    })
}
