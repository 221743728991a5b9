#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers(distant)]
impl Cart {
    pub fn len(&self) -> usize {
        0
    }
}

fn main() {}
