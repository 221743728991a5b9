#![allow(unused_variables)]

use biotope::prelude::*;

#[derive(Actor)]
#[actor(mailbx = bounded(8))]
struct Unknown;

#[derive(Actor)]
#[actor(trap_exit, trap_exit)]
struct Twice;

#[derive(Actor)]
#[actor(mailbox = 8)]
struct Unbounded;

#[derive(Actor)]
#[actor(mailbox(8))]
struct NoValue;

#[derive(Actor)]
#[actor(mailbox = bounded(0))]
struct Empty;

#[derive(Actor)]
#[actor(mailbox = bounded(8, drop))]
struct Unclear;

#[derive(Actor)]
struct Borrows<'a>(&'a str);

#[derive(Actor)]
#[actor(max_memory = 0)]
struct Nothing;

#[derive(Actor)]
#[actor(max_memory)]
struct SoMuch;

#[derive(Actor)]
#[actor(mailbox = bounded(8, reject, drop_oldest))]
struct Both;

#[derive(Actor)]
#[actor(priority = urgent)]
struct Hasty;

#[derive(Actor)]
#[actor(priority = 3)]
struct Numbered;

#[derive(Actor)]
#[actor(restart = always)]
struct Tireless;

#[derive(Actor)]
#[actor(restart)]
struct Again;

#[derive(Actor)]
#[actor(shutdown = 5)]
struct NoUnit;

#[derive(Actor)]
#[actor(shutdown = never)]
struct Endless;

// That its options are wrong is all that is wrong with it.
#[handlers]
impl Both {
    #[cast]
    fn poke(&mut self) {}
}

fn main() {}
