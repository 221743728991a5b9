#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(State, Clone, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Idle,
}

#[derive(Actor, Default)]
struct Stateless;

#[machine]
impl Stateless {
    fn len(&self) -> usize {
        0
    }
}

#[derive(Actor, Default)]
struct Unsure;

#[machine(state = Phase, otherwise = panic)]
impl Unsure {
    fn len(&self) -> usize {
        0
    }
}

#[derive(Actor, Default)]
struct Bound;

#[machine(state = Phase, own_thread)]
impl Bound {
    fn len(&self) -> usize {
        0
    }
}

fn main() {}
