#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(State, Clone, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Idle,
    Moving,
    Open,
}

#[derive(Actor, Default)]
struct Lift;

#[machine(state = Phase, otherwise = crash)]
impl Lift {
    #[on(Phase::Idle)]
    fn qualified(&mut self) {}
    #[on]
    fn nowhere(&mut self) {}
    #[on(Idle -> Moving)]
    fn thin(&mut self) {}
    #[ignore(Idle => Moving)]
    fn leads(&mut self) {}
    #[postpone(Idle => Moving | Open)]
    fn leads_twice(&mut self) {}
    #[terminate]
    #[on(Idle)]
    fn end(&mut self) {}
    #[init]
    #[postpone(Idle)]
    fn begin(&mut self) {}
    #[enter]
    fn all(&mut self) {}
    #[enter(Open)]
    fn open(&mut self, cx: &mut Context<Self>) {}
    #[enter(Open)]
    fn opened(&mut self, at: u8) {}
    #[enter(Moving)]
    #[cast]
    fn depart(&mut self) {}
}

fn main() {}
