//! Probes, stand-ins and trees.

use biotope::prelude::*;
use biotope::test;
use biotope::time;

use crate::{failure, real, seeded};

#[derive(Actor, Default)]
struct Prices;

#[handlers]
impl Prices {
    fn of(&mut self, item: String) -> u32 {
        item.len() as u32
    }
}

#[derive(Actor)]
struct Till {
    prices: ActorRef<Prices>,
}

#[handlers]
impl Till {
    async fn sum(&mut self, items: Vec<String>) -> Result<u32, CallFailed> {
        let mut sum = 0;
        for item in items {
            sum += self.prices.of(item).timeout(secs(1)).await?;
        }
        Ok(sum)
    }
}

#[test]
fn a_probe_sees_messages_in_order_and_what_was_not_wanted_stays() {
    for options in [seeded(100), real()] {
        test::test(options, || async {
            let mut probe = test::probe::<u32>();
            let to = probe.address();
            let sender = spawn_process(async move |_: Process<()>| {
                (1..=5).for_each(|n| to.cast(n));
                Ok(())
            });
            let even = probe.expect_msg_that(|n| if n % 2 == 0 { Ok(n) } else { Err(n) });
            assert_eq!(even.await, 2);
            let even = probe.expect_msg_that(|n| if n % 2 == 0 { Ok(n) } else { Err(n) });
            assert_eq!(even.await, 4);
            for left in [1, 3, 5] {
                assert_eq!(probe.expect_msg().await, left);
            }
            node().ended(&sender).await;
        });
    }
}

#[test]
fn a_probe_that_waits_in_vain_fails_after_its_patience_in_virtual_time() {
    let text = failure(seeded(1), || async {
        let mut probe = test::probe::<u32>().within(secs(3_600));
        probe.expect_msg().await;
    });
    assert!(text.contains("a message of type u32 did not come within 3600s, at "), "{text}");
    assert!(text.contains("asking.rs"), "{text}");
}

#[test]
fn no_message_means_none_for_so_long_and_not_a_moment_less() {
    for (delay, comes) in [(999, true), (1_001, false)] {
        let body = move || async move {
            let mut probe = test::probe::<u32>();
            let to = probe.address();
            let sender = spawn_process(async move |_: Process<()>| {
                time::sleep(millis(delay)).await;
                to.cast(1);
                Ok(())
            });
            let begin = time::now();
            probe.expect_no_msg(secs(1)).await;
            assert_eq!(time::now() - begin, secs(1));
            node().ended(&sender).await;
        };
        if comes {
            let text = failure(seeded(1), body);
            assert!(text.contains("a message of type u32 came, where none was expected, at "), "{text}");
        } else {
            test::test(seeded(20), body);
        }
    }
    // What came before counts.
    let text = failure(seeded(1), || async {
        let mut probe = test::probe::<u32>();
        probe.address().cast(1);
        time::sleep(secs(1)).await;
        probe.expect_no_msg(millis(1)).await;
    });
    assert!(text.contains("where none was expected"), "{text}");
}

#[test]
fn ends_that_a_probe_has_seen_are_asked_for() {
    for options in [seeded(100), real()] {
        test::test(options, || async {
            let mut probe = test::probe::<()>();
            let monitored = spawn_process(async |mut me: Process<()>| {
                me.receive().await?;
                panic!("as it was told")
            });
            let linked = spawn_process(async |mut me: Process<()>| {
                me.receive().await?;
                Err(std::io::Error::other("no disk").into())
            });
            probe.monitor(&monitored).await;
            probe.link(&linked).await;
            monitored.cast(());
            linked.cast(());
            assert!(matches!(probe.expect_down(&monitored).await, ExitReason::Panic(_)));
            let reason = probe.expect_exit(&linked).await;
            assert!(reason.to_string().contains("no disk"), "{reason}");
        });
    }
}

#[test]
fn an_unlinked_probe_sees_no_exit() {
    test::test(seeded(20), || async {
        let mut probe = test::probe::<()>();
        let ended = test::probe::<()>();
        probe.link(ended.pid()).await;
        probe.unlink(ended.pid()).await;
        let end = node().ended(ended.pid());
        drop(ended);
        end.await;
        probe.expect_no_msg(secs(1)).await;
    });
}

#[test]
fn a_stand_in_answers_one_by_one_and_by_a_script() {
    for options in [seeded(100), real()] {
        test::test(options, || async {
            let mut prices = test::stand_in::<Prices>();
            let till = test::spawn(Till { prices: prices.actor() });

            let sum = till.sum(vec!["tea".into(), "milk".into()]).send();
            for (item, price) in [("tea", 30), ("milk", 12)] {
                let PricesMsg::Of(asked, reply) = prices.expect_msg().await;
                assert_eq!(asked, item);
                reply.send(price);
            }
            assert_eq!(sum.await?, 42);

            let script = |PricesMsg::Of(item, reply)| reply.send(if item == "tea" { 1 } else { 2 });
            assert_eq!(prices.serve(script, till.sum(vec!["tea".into(), "milk".into()])).await?, 3);
            Ok::<_, biotope::Error>(())
        });
    }
}

/// An answer that does not come is a deadline of the caller's, in virtual time.
#[test]
fn a_stand_in_that_does_not_answer_lets_the_caller_wait_until_its_deadline() {
    test::test(seeded(20), || async {
        let mut prices = test::stand_in::<Prices>();
        let till = test::spawn(Till { prices: prices.actor() });
        let sum = till.sum(vec!["tea".into()]).send();
        let PricesMsg::Of(_, reply) = prices.expect_msg().await;
        let begin = time::now();
        assert!(matches!(sum.await, Err(CallError::Reply(CallFailed::Timeout))));
        assert!(time::now() - begin <= secs(1));
        drop(reply);
        Ok::<_, biotope::Error>(())
    });
}

#[test]
fn a_tree_is_compared_as_text() {
    for options in [seeded(50), real()] {
        test::test(options, || async {
            let tills = Supervisor::one_for_one()
                .child(Prices::spec().id("till 1"))
                .child(Prices::spec().id("till 2"))
                .id("tills");
            let shop = Supervisor::rest_for_one().named("shop").child(Prices::spec().id("prices")).child(tills);
            let shop = shop.start_link().await?;
            test::stop_at_end(&shop);
            let tree = test::tree(&shop).await;
            assert_eq!(tree.outline(), "shop (supervisor)\n  prices\n  tills (supervisor)\n    till 1\n    till 2\n");

            let tills = node().actor(tree.named("tills").and_then(|tills| tills.pid()).expect("it runs"));
            let tills: biotope::supervision::SupervisorRef = tills.expect("it is a supervisor");
            tills.terminate_child("till 2").await?;
            let text = test::tree(&shop).await.outline();
            assert_eq!(text, "shop (supervisor)\n  prices\n  tills (supervisor)\n    till 1\n    till 2: stopped\n");
            Ok::<_, biotope::Error>(())
        });
    }
}
