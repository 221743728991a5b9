use biotope::prelude::*;

#[handlers]
struct Cart;

fn main() {}
