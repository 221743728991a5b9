#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor)]
struct Cart(u32);

#[handlers]
impl Cart {
    pub fn len(&self) -> u32 {
        self.0
    }
}

fn main() {
    Cart::spec();
}
