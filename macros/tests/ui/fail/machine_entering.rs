use biotope::prelude::*;

#[derive(State, Clone, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Idle,
    Moving,
}

#[derive(Actor, Default)]
struct Lift;

#[machine(state = Phase)]
impl Lift {
    #[cast]
    fn call(&mut self) {}

    /// Entering is no event: it changes no state, and inserts nothing.
    #[enter(Idle)]
    fn rest(&mut self, cx: &mut Entering<Self>) {
        cx.goto(Phase::Moving);
        cx.repeat();
        cx.then(|me| me.call());
    }
}

fn main() {}
