#![allow(unused_variables)]

use biotope::prelude::*;
use biotope_macros::boxed;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    #[start]
    #[boxed]
    fn open(capacity: [u8; 500]) -> Self {
        Self
    }
    #[boxed]
    #[init]
    async fn begin(&mut self) {}
    #[info]
    #[boxed]
    fn on_down(&mut self, down: Down) {}
    #[boxed(always)]
    fn add(&mut self, picture: [u8; 500]) {}
    #[boxed]
    #[cast]
    #[boxed]
    fn twice(&mut self, picture: [u8; 500]) {}
    #[boxed]
    fn len(&self) -> usize {
        0
    }
    #[cast]
    fn fine(&mut self, picture: [u8; 500]) {}
}

impl Cart {
    #[boxed]
    fn elsewhere(&mut self, picture: [u8; 500]) {}
}

fn main() {}
