#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub fn close(self) {}
    pub fn open(self: Box<Self>) {}
}

fn main() {}
