//! A meeting place where a hundred creatures meet in pairs and change their colours.
//!
//! Each message carries a reference to its sender, as messages between actors often do.

use std::time::Instant;

use actix::prelude::*;
use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;

use crate::arbiters::Arbiters;

const CREATURES: u64 = 100;

#[derive(Clone, Copy, PartialEq)]
enum Colour {
    Blue,
    Red,
    Yellow,
}

impl Colour {
    fn of(number: u64) -> Self {
        [Self::Blue, Self::Red, Self::Yellow][(number % 3) as usize]
    }

    /// What both become who met with these colours.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Blue, Self::Red) | (Self::Red, Self::Blue) => Self::Yellow,
            (Self::Blue, Self::Yellow) | (Self::Yellow, Self::Blue) => Self::Red,
            (Self::Red, Self::Yellow) | (Self::Yellow, Self::Red) => Self::Blue,
            (same, _) => same,
        }
    }
}

struct MeetingPlace {
    waiting: Option<(Addr<Creature>, Colour)>,
    left: u64,
}

impl Actor for MeetingPlace {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Meet {
    who: Addr<Creature>,
    colour: Colour,
}

impl Handler<Meet> for MeetingPlace {
    type Result = ();

    fn handle(&mut self, Meet { who, colour }: Meet, _: &mut Context<Self>) {
        if self.left == 0 {
            return who.do_send(GoHome);
        }
        match self.waiting.take() {
            None => self.waiting = Some((who, colour)),
            Some((other, other_colour)) => {
                self.left -= 1;
                other.do_send(Met(colour));
                who.do_send(Met(other_colour));
            }
        }
    }
}

struct Creature {
    place: Addr<MeetingPlace>,
    colour: Colour,
    home: &'static Batch,
}

impl Creature {
    fn meet_somebody(&self, cx: &mut Context<Self>) {
        self.place.do_send(Meet { who: cx.address(), colour: self.colour });
    }
}

impl Actor for Creature {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct SetOut;

impl Handler<SetOut> for Creature {
    type Result = ();

    fn handle(&mut self, _: SetOut, cx: &mut Context<Self>) {
        self.meet_somebody(cx);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Met(Colour);

impl Handler<Met> for Creature {
    type Result = ();

    fn handle(&mut self, Met(other): Met, cx: &mut Context<Self>) {
        self.colour = self.colour.with(other);
        self.meet_somebody(cx);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct GoHome;

impl Handler<GoHome> for Creature {
    type Result = ();

    fn handle(&mut self, _: GoHome, _: &mut Context<Self>) {
        self.home.count();
    }
}

/// The place is on the first arbiter, the creatures are on the second if there is one.
pub async fn work(arbiters: &Arbiters, meetings: u64) -> f64 {
    // Their number is even: at the end nobody is left waiting.
    let (home, all_home) = Countdown::from(CREATURES);
    let place = arbiters.start(0, MeetingPlace { waiting: None, left: meetings });
    let creature = |number| Creature { place: place.clone(), colour: Colour::of(number), home: home.batch(number) };
    let creatures: Vec<Addr<Creature>> = (0..CREATURES).map(|number| arbiters.start(1, creature(number))).collect();
    let start = Instant::now();
    for creature in &creatures {
        creature.do_send(SetOut);
    }
    all_home.await.expect("everybody comes home");
    nanos_each(start, meetings)
}
