#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Message)]
#[message(replies = String)]
struct Greet;

#[derive(Message)]
#[message(reply)]
struct Ask;

fn main() {}
