//! What a user sees: one crate, in which every member is a module. (The README's example is a doc test.)

use std::any::TypeId;

/// Goal: each member is reached through the facade, and it is the same thing under both names.
#[test]
fn every_member_is_a_module_of_the_facade() {
    fn same<A: 'static, B: 'static>() -> bool {
        TypeId::of::<A>() == TypeId::of::<B>()
    }
    assert!(same::<biotope::Node, biotope::runtime::Node>());
    assert!(same::<biotope::prelude::Node, biotope::runtime::Node>());
    assert!(same::<biotope::prelude::Supervisor, biotope::supervision::Supervisor>());
    assert!(same::<biotope::distribution::Authority, biotope::distribution::Authority>());
    assert!(same::<biotope::test::Faults, biotope::test::Faults>());
}

mod user {
    //! A program that knows the prelude and nothing else.

    use biotope::prelude::*;

    #[derive(Actor, Default)]
    #[actor(mailbox = bounded(16))]
    struct Cart {
        items: Vec<String>,
    }

    #[derive(Message)]
    #[message(reply = usize)]
    struct Count;

    #[handlers]
    impl Cart {
        fn add(&mut self, item: &str) -> usize {
            self.items.push(item.to_owned());
            self.items.len()
        }

        #[biotope::cast]
        fn clear(&mut self) {
            self.items.clear();
        }

        #[message]
        fn count(&self, _: Count) -> usize {
            self.items.len()
        }

        #[info]
        fn on_down(&mut self, _: Down, _: &mut Context<Self>) {}
    }

    #[biotope::test(seeds = 20)]
    async fn the_prelude_is_enough_for_a_program() -> biotope::Result<()> {
        let cart: ActorRef<Cart> = spawn(Cart::default());
        assert_eq!(cart.add("tea").await?, 1);
        assert_eq!(cart.add("milk").timeout(secs(1)).await?, 2);
        let anybody: Recipient<Count> = cart.clone().into();
        assert_eq!(anybody.call(Count).await?, 2);
        cart.clear();
        assert_eq!(anybody.call(Count).timeout(secs(1)).send().await?, 0);
        node().suspend(&cart);
        assert_eq!(anybody.call(Count).timeout(secs(1)).await, Err(CallFailed::Timeout));
        assert_eq!(cart.stop_and_wait(ExitReason::Shutdown).await, ExitReason::Shutdown);
        assert_eq!(anybody.call(Count).await, Err(CallFailed::NoProc));

        let shop = Supervisor::one_for_one().child(Cart::spec().named("cart").restart(Transient)).start_link().await?;
        assert_eq!(shop.count_children().await?.active, 1);
        let named = node().lookup::<Cart>("cart").expect("the supervisor has started it");
        assert_eq!(named.add("tea").await?, 1);

        time::sleep(secs(3600)).await;
        Ok(())
    }

    #[biotope::test]
    async fn the_same_program_runs_on_threads() -> biotope::Result<()> {
        let cart = biotope::test::spawn(Cart::default());
        assert_eq!(cart.add("tea").await?, 1);
        Ok(())
    }
}
