#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    #[info]
    fn on_down(&mut self, reason: String) {}
    #[info]
    fn on_exit(&mut self) {}
}

fn main() {}
