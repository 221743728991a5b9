use biotope::prelude::*;

#[derive(State, Clone, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Idle,
    Moving,
}

#[derive(Actor, Default)]
struct Lift;

#[machine(state = Phase, otherwise = crash)]
impl Lift {
    #[on(Idle | Flying => Moving)]
    fn call(&mut self) {}
    #[on(Idle => Landed)]
    fn land(&mut self) {}
    #[enter(Sunk)]
    fn sink(&mut self) {}
}

fn main() {}
