//! A meeting place where a hundred creatures meet in pairs and change their colours.
//!
//! Each message to it carries a reference to its sender.

use std::time::Instant;

use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::host::{Handled, spawn};

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

struct Meet(ActorRef<ToCreature>, Colour);

struct MeetingPlace;

struct Mall {
    waiting: Option<Meet>,
    left: u64,
}

impl Actor for MeetingPlace {
    type Msg = Meet;
    type State = Mall;
    type Arguments = u64;

    async fn pre_start(&self, _: ActorRef<Meet>, meetings: u64) -> Result<Mall, ActorProcessingErr> {
        Ok(Mall { waiting: None, left: meetings })
    }

    async fn handle(&self, _: ActorRef<Meet>, Meet(who, colour): Meet, mall: &mut Mall) -> Handled {
        if mall.left == 0 {
            return Ok(who.cast(ToCreature::GoHome)?);
        }
        match mall.waiting.take() {
            None => mall.waiting = Some(Meet(who, colour)),
            Some(Meet(other, other_colour)) => {
                mall.left -= 1;
                other.cast(ToCreature::Met(colour))?;
                who.cast(ToCreature::Met(other_colour))?;
            }
        }
        Ok(())
    }
}

enum ToCreature {
    SetOut,
    Met(Colour),
    GoHome,
}

struct Creature {
    place: ActorRef<Meet>,
    home: &'static Batch,
}

impl Actor for Creature {
    type Msg = ToCreature;
    type State = Colour;
    type Arguments = Colour;

    async fn pre_start(&self, _: ActorRef<ToCreature>, colour: Colour) -> Result<Colour, ActorProcessingErr> {
        Ok(colour)
    }

    async fn handle(&self, myself: ActorRef<ToCreature>, message: ToCreature, colour: &mut Colour) -> Handled {
        match message {
            ToCreature::SetOut => self.place.cast(Meet(myself, *colour))?,
            ToCreature::Met(other) => {
                *colour = colour.with(other);
                self.place.cast(Meet(myself, *colour))?;
            }
            ToCreature::GoHome => self.home.count(),
        }
        Ok(())
    }
}

pub(crate) async fn run(meetings: u64) -> f64 {
    // Their number is even: at the end nobody is left waiting.
    let (home, all_home) = Countdown::from(CREATURES);
    let place = spawn(MeetingPlace, meetings).await;
    let mut creatures = Vec::new();
    for number in 0..CREATURES {
        let creature = Creature { place: place.clone(), home: home.batch(number) };
        creatures.push(spawn(creature, Colour::of(number)).await);
    }
    let start = Instant::now();
    for creature in &creatures {
        creature.cast(ToCreature::SetOut).expect("the creature lives");
    }
    all_home.await.expect("everybody comes home");
    nanos_each(start, meetings)
}
