#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    #[cast]
    pub fn add(&mut self) -> usize {
        1
    }
}

fn main() {}
