use biotope::prelude::*;

use std::rc::Rc;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub fn share(&mut self, item: Rc<u32>) {}
}

fn main() {}
