#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

struct Item;

#[handlers]
impl Cart {
    pub fn add(&mut self, item: &Item) {}
    pub fn change(&mut self, items: &mut Vec<Item>) {}
    pub fn name(&mut self, name: std::borrow::Cow<'_, str>) {}
}

fn main() {}
