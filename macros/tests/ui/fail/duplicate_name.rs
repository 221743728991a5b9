#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub fn add_item(&mut self) {}
    pub fn addItem(&mut self) {}
    #[info]
    fn on_down(&mut self, down: Down) {}
    #[info]
    fn on_other_down(&mut self, down: Down) {}
}

fn main() {}
