use biotope::prelude::*;

#[derive(Clone, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Idle,
}

#[derive(Actor, Default)]
struct Lift;

#[machine(state = Phase)]
impl Lift {
    fn call(&mut self) {}
}

#[derive(State, Clone, Debug, PartialEq)]
struct Speed(u8);

#[derive(State, Clone, Debug, PartialEq)]
enum Nothing {}

fn main() {}
