#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Drop for Cart {
    fn drop(&mut self) {}
}

fn main() {}
