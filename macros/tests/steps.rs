//! Plain handlers run at once and async ones in a future; every message knows whose it is.

use std::fmt;
use std::marker::PhantomData;

use biotope::prelude::*;
use biotope::{Actor, Handle, NodeEvent, Step};

/// Which handler a message is for, by name.
fn name_of<A: Actor>(message: &A::Msg) -> &'static str {
    A::HANDLERS[A::handler_of(message) as usize]
}

/// Handlers of both sorts, some of them for configurations that are not, and with names that `Handle` has too.
#[derive(Actor, Default)]
struct Mixed(Vec<&'static str>);

#[handlers]
impl Mixed {
    #[cfg(any())]
    fn missing(&mut self, nothing: NoSuchType) {}

    fn step(&mut self) {
        self.0.push("step");
    }

    async fn handle(&mut self) {
        self.0.push("handle");
    }

    #[cfg(any())]
    #[cast]
    async fn absent(&mut self) {}

    #[cfg(test)]
    #[cfg(not(any()))]
    #[cast]
    fn r#type(&mut self) {
        self.0.push("type");
    }

    #[cfg(test)]
    #[cfg(any())]
    #[cast]
    fn half(&mut self) {}

    #[cast]
    fn fail(&mut self) -> Result<(), fmt::Error> {
        self.0.push("fail");
        Err(fmt::Error)
    }

    #[info]
    fn on_exit(&mut self, _: Exit) {
        self.0.push("on_exit");
    }

    #[info]
    async fn on_anything(&mut self, _: Info) {}

    /// Takes a step with each of the messages above but `fail`, and tells which of them made a future.
    fn steps(&mut self, cx: &mut Context<Self>) -> Vec<&'static str> {
        let nobody = || ReplyTo::from_fn(drop);
        let messages = [MixedMsg::Type(), MixedMsg::Handle(nobody()), MixedMsg::Step(nobody())];
        let waits = messages.into_iter().filter_map(|message| {
            let name = name_of::<Self>(&message);
            matches!(Handle::step(self, message, cx), Step::Async(_)).then_some(name)
        });
        waits.collect()
    }

    /// Takes a step with an exit and another info, and tells whether they made a future.
    fn steps_of_infos(&mut self, cx: &mut Context<Self>) -> [bool; 2] {
        let exit = Exit { from: cx.pid(), reason: ExitReason::Normal };
        [Info::Exit(exit), Info::Node(NodeEvent::Up("here".into()))]
            .map(|info| matches!(Handle::step_info(self, info, cx), Step::Async(_)))
    }

    fn done(&self) -> Vec<&'static str> {
        self.0.clone()
    }
}

#[biotope::test(seed = 0, allow_leftovers)]
async fn a_plain_handler_makes_no_future() {
    let mixed = spawn(Mixed::default());

    assert_eq!(mixed.steps().await.unwrap(), ["handle"]);
    assert_eq!(mixed.steps_of_infos().await.unwrap(), [false, true]);
}

#[biotope::test(seed = 0, allow_crashes, allow_leftovers)]
async fn an_error_ends_the_process_after_a_step_as_well() {
    let mixed = spawn(Mixed::default());

    mixed.step().await.unwrap();
    mixed.handle().await.unwrap();
    mixed.r#type();
    assert_eq!(mixed.done().await.unwrap(), ["step", "handle", "type"]);

    mixed.fail();
    assert!(mixed.done().await.is_err());
}

#[test]
fn handlers_have_the_numbers_of_those_that_are_there() {
    assert_eq!(Mixed::HANDLERS, ["step", "handle", "type", "fail", "steps", "steps_of_infos", "done"]);
    let nobody = || ReplyTo::from_fn(drop);
    let numbers = [
        MixedMsg::Step(nobody()),
        MixedMsg::Handle(nobody()),
        MixedMsg::Type(),
        MixedMsg::Fail(),
        MixedMsg::Steps(ReplyTo::from_fn(drop)),
    ];
    assert_eq!(numbers.map(|message| Mixed::handler_of(&message)), [0, 1, 2, 3, 4]);
}

/// Its parameters are in messages that may not be there.
#[derive(Actor, Default)]
struct Shelf<T, U>(Option<T>, PhantomData<U>);

#[handlers]
impl<T: Send + 'static, U: Send + 'static> Shelf<T, U> {
    #[cfg(any())]
    #[cast]
    fn give(&mut self, value: U) {}

    #[cast]
    fn put(&mut self, value: T) {
        self.0 = Some(value);
    }

    #[cfg(test)]
    fn take(&mut self) -> Option<T> {
        self.0.take()
    }
}

#[biotope::test(seed = 0, allow_leftovers)]
async fn generic_actors_have_steps_and_numbers_too() {
    let shelf = spawn(Shelf::<String, u8>::default());
    shelf.put("a".to_owned());

    assert_eq!(shelf.take().await.unwrap().as_deref(), Some("a"));
    assert_eq!(Shelf::<String, u8>::HANDLERS, ["put", "take"]);
    let sizes: Vec<usize> = Shelf::<[u8; 100], u8>::handler_sizes().iter().map(|handler| handler.message).collect();
    assert_eq!(sizes, [100, size_of::<ReplyTo<Option<[u8; 100]>>>()]);
    assert_eq!(name_of::<Shelf<u8, u8>>(&ShelfMsg::Put(1)), "put");
    assert_eq!(name_of::<Shelf<u8, u8>>(&ShelfMsg::Take(ReplyTo::from_fn(drop))), "take");
}
