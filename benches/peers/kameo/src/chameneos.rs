//! A meeting place where a hundred creatures meet in pairs and change their colours.
//!
//! Each message to it carries a reference to its sender.

use std::time::Instant;

use kameo::prelude::{Actor, ActorRef, Context, Message};
use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;

use crate::host::{spawn, tell};

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

#[derive(Actor)]
struct MeetingPlace {
    waiting: Option<Meet>,
    left: u64,
}

struct Meet(ActorRef<Creature>, Colour);

impl Message<Meet> for MeetingPlace {
    type Reply = ();

    async fn handle(&mut self, Meet(who, colour): Meet, _: &mut Context<Self, ()>) {
        if self.left == 0 {
            return tell(&who, GoHome);
        }
        match self.waiting.take() {
            None => self.waiting = Some(Meet(who, colour)),
            Some(Meet(other, other_colour)) => {
                self.left -= 1;
                tell(&other, Met(colour));
                tell(&who, Met(other_colour));
            }
        }
    }
}

#[derive(Actor)]
struct Creature {
    place: ActorRef<MeetingPlace>,
    colour: Colour,
    home: &'static Batch,
}

struct SetOut;

impl Message<SetOut> for Creature {
    type Reply = ();

    async fn handle(&mut self, _: SetOut, cx: &mut Context<Self, ()>) {
        tell(&self.place, Meet(cx.actor_ref().clone(), self.colour));
    }
}

struct Met(Colour);

impl Message<Met> for Creature {
    type Reply = ();

    async fn handle(&mut self, Met(other): Met, cx: &mut Context<Self, ()>) {
        self.colour = self.colour.with(other);
        tell(&self.place, Meet(cx.actor_ref().clone(), self.colour));
    }
}

struct GoHome;

impl Message<GoHome> for Creature {
    type Reply = ();

    async fn handle(&mut self, _: GoHome, _: &mut Context<Self, ()>) {
        self.home.count();
    }
}

pub(crate) async fn run(meetings: u64) -> f64 {
    // Their number is even: at the end nobody is left waiting.
    let (home, all_home) = Countdown::from(CREATURES);
    let place = spawn(MeetingPlace { waiting: None, left: meetings });
    let creature = |number| Creature { place: place.clone(), colour: Colour::of(number), home: home.batch(number) };
    let creatures: Vec<ActorRef<Creature>> = (0..CREATURES).map(|number| spawn(creature(number))).collect();
    let start = Instant::now();
    for creature in &creatures {
        tell(creature, SetOut);
    }
    all_home.await.expect("everybody comes home");
    nanos_each(start, meetings)
}
