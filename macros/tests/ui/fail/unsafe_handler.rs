#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub unsafe fn add(&mut self) {}
    pub fn len(&self) -> usize where Self: Sized {
        0
    }
    pub fn clear(&mut self, cx: Context<Self>) {}
}

fn main() {}
