#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub fn add(&mut self, reply: ReplyTo<usize>) -> usize {
        1
    }
}

fn main() {}
