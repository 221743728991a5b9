use biotope::prelude::*;

#[derive(Actor, Default)]
struct Lift;

#[handlers]
impl Lift {
    #[biotope::on(Idle => Moving)]
    fn call(&mut self) {}
    #[biotope::enter(Idle)]
    fn rest(&mut self) {}
}

#[machine(state = Phase)]
struct Plain;

fn main() {}
