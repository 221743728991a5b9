#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor)]
struct Cart;

struct Borrowing<'a>(&'a str);

#[handlers]
impl<'a> Borrowing<'a> {
    pub fn len(&self) -> usize {
        0
    }
}

fn main() {}
