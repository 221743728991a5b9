#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub fn stop(&mut self) {}
    #[cast]
    pub fn clone(&mut self) {}
}

fn main() {}
