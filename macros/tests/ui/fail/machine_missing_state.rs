use biotope::prelude::*;

#[derive(State, Clone, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Idle,
    Moving,
    Open,
}

#[derive(Actor, Default)]
struct Lift;

/// Without `otherwise`, each event is declared for each state.
#[machine(state = Phase)]
impl Lift {
    #[on(Idle => Moving)]
    #[postpone(Moving)]
    fn call(&mut self) {}

    /// What has no `#[on(…)]` is for all states that it does not name.
    #[ignore(Idle)]
    fn hold(&mut self) {}
}

fn main() {}
