#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub fn add(&mut self, items: impl Iterator<Item = u32>) {}
    pub fn items(&self) -> impl Iterator<Item = u32> {
        0..3
    }
}

fn main() {}
