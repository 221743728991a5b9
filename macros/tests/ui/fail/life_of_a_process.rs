#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    #[start]
    fn open(&mut self) -> Self {
        Cart
    }
    #[start]
    fn make(first: u32, second: u32) -> Self {
        Cart
    }
    #[start]
    fn build() -> Option<Self> {
        None
    }
    #[init]
    fn begin(&mut self, name: String) {}
    #[init]
    fn first(&mut self) -> usize {
        1
    }
    #[terminate]
    fn end(&mut self, reason: ExitReason) {}
}

fn main() {}
