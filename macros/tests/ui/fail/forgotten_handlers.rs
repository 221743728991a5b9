#![allow(unused_variables)]

use biotope::prelude::*;
use biotope_macros::cast;

#[derive(Actor, Default)]
struct Cart;

impl Cart {
    #[cast]
    pub fn clear(&mut self) {}

    #[biotope_macros::info]
    fn on_down(&mut self, down: Down) {}
}

fn main() {}
