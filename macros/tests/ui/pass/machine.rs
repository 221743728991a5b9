//! The forms of `#[machine]`.

use biotope::prelude::*;
use std::fmt::Debug;

#[derive(State, Clone, Debug, PartialEq)]
enum Phase<T: Clone + Debug + PartialEq + Send + Sync + 'static> {
    Idle,
    Busy(T),
    #[cfg(any())]
    Missing,
}

/// Generic over its payload, with handlers that travel, and those that do not exist.
#[derive(Actor, Default)]
struct Worker {
    done: Vec<u64>,
}

type At = Phase<u64>;

#[machine(state = At, initial = Idle, otherwise = postpone, remote)]
impl Worker {
    #[on(Idle => Busy)]
    pub async fn work(&mut self, n: u64, cx: &mut Context<Self>) -> Result<u64, String> {
        cx.goto(Phase::Busy(n));
        Ok(n)
    }

    #[cast]
    #[on(Busy if self.done.len() < 3 => Idle)]
    #[ignore(Busy)]
    #[postpone(_)]
    fn finish(&mut self, cx: &mut Context<Self>) -> biotope::Result<()> {
        let Phase::Busy(n) = *cx.state() else { return Err(ExitReason::value("idle").into()) };
        self.done.push(n);
        cx.goto(Phase::Idle);
        Ok(())
    }

    #[cfg(any())]
    #[on(Nowhere)]
    fn missing(&mut self) {}

    #[info]
    #[ignore(Idle)]
    async fn on_down(&mut self, _: Down) {}

    #[info]
    fn on_other(&mut self, _: Info) {}

    #[message]
    #[on(_)]
    fn greet(&mut self, greet: Greet) -> String {
        greet.0
    }

    #[enter(Busy)]
    async fn begin(&mut self, old: &At, cx: &mut Entering<Self>) -> biotope::Result<()> {
        assert_ne!(old, cx.state());
        cx.state_timeout(millis(1), |me| me.finish());
        Ok(())
    }
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(reply = String)]
struct Greet(String);

#[derive(State, Clone, Copy, Debug, Default, PartialEq)]
enum Only {
    #[default]
    One,
}

/// No events, one event, all of them async.
#[derive(Actor, Default)]
struct Empty;

#[machine(state = Only)]
impl Empty {}

#[derive(Actor, Default)]
struct Slow;

#[machine(state = Only)]
impl Slow {
    async fn one(&mut self) {}
    #[on(One)]
    async fn two(&self) {}
}

/// Each kind of info is an event.
#[derive(Actor, Default)]
struct Listener;

#[machine(state = Only)]
impl Listener {
    #[info]
    #[on(One => One)]
    fn on_down(&mut self, _: Down, cx: &mut Context<Self>) {
        cx.goto(Only::One);
    }
    #[info]
    #[on(One)]
    fn on_exit(&mut self, _: Exit) {}
    #[info]
    #[postpone(One)]
    fn on_node(&mut self, _: NodeEvent) {}
    #[info]
    #[on(One)]
    fn on_group(&mut self, _: GroupEvent) {}
    #[info]
    #[on(_)]
    fn on_others(&mut self, _: Info) {}
}

#[derive(Actor, Default)]
struct Wrapper<T: Send + 'static>(Option<T>);

#[machine(state = Only)]
impl<T: Send + 'static> Wrapper<T> {
    #[on(One => One)]
    fn put(&mut self, value: T) {
        self.0 = Some(value);
    }
}

fn main() {
    assert_eq!(At::NAMES, ["Idle", "Busy"]);
    assert!(Worker::diagram().contains("Idle --> Busy: work"));
    let _ = (spawn::<Listener>, spawn::<Empty>, spawn::<Slow>, spawn::<Wrapper<u8>>);
}
