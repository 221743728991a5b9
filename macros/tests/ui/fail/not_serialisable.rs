#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

pub struct Item;
pub struct Receipt;

#[handlers(remote)]
impl Cart {
    pub fn add(&mut self, count: usize, item: Item) -> Receipt {
        Receipt
    }
    #[cast]
    pub fn put(&mut self, item: Item) {}
}

fn main() {}
