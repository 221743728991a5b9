#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Default)]
struct Cart;

#[handlers]
impl Cart {
    pub fn len(&self) -> usize {
        0
    }
}

fn main() {}
