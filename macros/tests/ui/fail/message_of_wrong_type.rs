use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

struct Tick;

#[derive(Message)]
#[message(reply = String)]
struct Greet;

#[handlers]
impl Cart {
    #[message]
    fn tick(&mut self, tick: Tick) {}
    #[message]
    fn greet(&mut self, greet: Greet) -> usize {
        1
    }
}

fn main() {}
