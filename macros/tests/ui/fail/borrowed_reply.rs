#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub fn name(&self) -> &str {
        "cart"
    }
    pub fn names(&self) -> Option<&[String]> {
        None
    }
}

fn main() {}
