#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    #[cast]
    #[info]
    fn on_down(&mut self, down: Down) {}
    #[cast(now)]
    fn clear(&mut self) {}
    #[wire(name = "len")]
    fn len(&self) -> usize {
        0
    }
}

fn main() {}
