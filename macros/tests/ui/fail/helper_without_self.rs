#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    fn new() -> Self {
        Cart
    }
}

fn main() {}
