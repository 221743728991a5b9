#![allow(unused_variables)]

use biotope::prelude::*;

#[handlers]
struct Cart;

fn main() {}
