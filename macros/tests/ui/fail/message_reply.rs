#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[derive(Message)]
#[message(reply = String)]
struct Greet;

#[handlers]
impl Cart {
    #[message]
    fn greet(&mut self, greet: Greet) -> usize {
        1
    }
}

fn main() {}
