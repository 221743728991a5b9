#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub fn add<T: Send>(&mut self, item: T) {}
}

fn main() {}
