//! Area TIME, in virtual time, to the instant.

use std::time::Duration;

use biotope_runtime::{Process, Runtime, spawn_process, time};
use biotope_testkit::under_seeds;

use crate::probe::observe;

fn seeded<F: Future<Output = biotope_runtime::Result<()>> + Send + 'static>(name: &'static str, body: fn() -> F) {
    under_seeds(name, 100, body);
}

/// TIME-01: a delayed message comes at its instant, and a cancelled one never.
#[test]
fn time_01_a_delayed_message_comes_at_its_instant() {
    seeded("time_01", || {
        observe(async move |_| {
            let (done, seen) = tokio::sync::oneshot::channel();
            spawn_process(async move |mut me: Process<u8>| {
                let start = time::now();
                let to = me.address();
                me.send_after(Duration::from_secs(3_600), &to, 2);
                let cancelled = me.send_after(Duration::from_secs(1), &to, 1);
                me.send_after(Duration::from_millis(10), &to, 0);
                let first = (me.receive().await?, time::now() - start);
                assert!(me.cancel_timer(cancelled).is_some());
                assert!(me.cancel_timer(cancelled).is_none());
                let second = (me.receive().await?, time::now() - start);
                let _ = done.send([first, second]);
                Ok(())
            });
            assert_eq!(seen.await?, [(0, Duration::from_millis(10)), (2, Duration::from_secs(3_600))]);
            Ok(())
        })
    });
}

/// RECV-02, RECV-03: a time-out counts from the start of the receive, whatever junk comes.
#[test]
fn recv_03_a_timeout_is_not_restarted_by_junk() {
    seeded("recv_03", || {
        observe(async move |_| {
            let (done, waited) = tokio::sync::oneshot::channel();
            let process = spawn_process(async move |mut me: Process<u8>| {
                let start = time::now();
                let outcome = me.receive_match(|n| *n == 9).timeout(Duration::from_millis(100)).await;
                let waited = time::now() - start;
                let now = me.receive_match(|n| *n == 1).timeout(Duration::ZERO).await?;
                let _ = done.send((outcome.is_err(), waited, now));
                Ok(())
            });
            for _ in 0..5 {
                time::sleep(Duration::from_millis(30)).await;
                process.cast(1);
            }
            assert_eq!(waited.await?, (true, Duration::from_millis(100), 1));
            Ok(())
        })
    });
}

/// TIME-07: a timer belongs to the process that it is for, and not to the one that set it.
#[test]
fn time_07_a_timer_outlives_the_process_that_set_it() {
    seeded("time_07", || {
        observe(async move |me| {
            let (done, came) = tokio::sync::oneshot::channel();
            let target = spawn_process(async move |mut me: Process<u8>| {
                let came = me.receive().timeout(Duration::from_secs(10)).await;
                let _ = done.send(came.is_ok());
                Ok(())
            });
            let creator = spawn_process(async move |mut me: Process<()>| {
                me.send_after(Duration::from_secs(5), &target, 1);
                me.receive().await?;
                Ok(())
            });
            time::sleep(Duration::from_secs(1)).await;
            me.exit(creator.pid(), biotope_runtime::ExitReason::Kill);
            assert!(came.await?);
            Ok(())
        })
    });
}

/// A timer that is due at once races with the code that sets it; none is lost.
#[test]
fn no_timer_is_lost_however_soon_it_fires() {
    biotope_testkit::once(biotope_runtime::Runtime::builder(), async {
        let (done, all) = tokio::sync::oneshot::channel();
        spawn_process(async move |mut me: Process<u32>| {
            let to = me.address();
            for n in 0..20_000 {
                me.send_after(Duration::ZERO, &to, n);
                // A lost one would never come.
                if me.receive().timeout(Duration::from_secs(10)).await.is_err() {
                    let _ = done.send(Some(n));
                    return Ok(());
                }
            }
            let _ = done.send(None);
            Ok(())
        });
        assert_eq!(all.await.unwrap(), None, "a timer was lost");
    })
    .unwrap();
}

/// What a timer is to do is the user's, and may panic: that ends nothing else, and no other timer. An interval
/// that panics is given up.
#[test]
fn time_a_timer_that_panics_ends_nothing_else() {
    for runtime in [Runtime::builder().seeded(1), Runtime::builder().workers(1)] {
        biotope_testkit::once(runtime, async {
            let (tell, told) = tokio::sync::oneshot::channel();
            spawn_process(async move |mut me: Process<u32>| {
                let myself = me.address();
                me.start_timer(Duration::from_millis(1), &myself, |_| panic!("in a timer"));
                me.send_interval(Duration::from_millis(1), &myself, || panic!("in an interval"));
                me.send_after(Duration::from_millis(5), &myself, 7);
                let _ = tell.send(me.receive().await?);
                Ok(())
            });
            assert_eq!(told.await, Ok(7));
        })
        .expect("nothing else panics");
    }
}

/// "For ever" is a time too.
#[test]
fn time_the_longest_timeout_is_no_panic() {
    biotope_testkit::once(Runtime::builder().seeded(1), async {
        let (tell, told) = tokio::sync::oneshot::channel();
        spawn_process(async move |mut me: Process<u32>| {
            let timer = me.send_after(Duration::MAX, &me.address(), 1);
            me.send_after(Duration::from_millis(1), &me.address(), 2);
            let _ = tell.send(me.receive().timeout(Duration::MAX).await?);
            assert!(me.cancel_timer(timer).is_some());
            Ok(())
        });
        assert_eq!(told.await, Ok(2));
    })
    .expect("no panic");
}
