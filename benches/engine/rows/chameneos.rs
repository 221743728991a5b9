//! A meeting place where a hundred creatures meet in pairs and change their colours.
//!
//! Each message carries a reference to its sender, as messages between actors often do.

use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::mpsc;

use crate::countdown::{Batch, Countdown};
use crate::host::nanos_each;

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
    waiting: Option<(ActorRef<Creature>, Colour)>,
    left: u64,
}

#[handlers]
impl MeetingPlace {
    #[cast]
    fn meet(&mut self, who: ActorRef<Creature>, colour: Colour) {
        if self.left == 0 {
            return who.go_home();
        }
        match self.waiting.take() {
            None => self.waiting = Some((who, colour)),
            Some((other, other_colour)) => {
                self.left -= 1;
                other.met(colour);
                who.met(other_colour);
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

#[handlers]
impl Creature {
    #[cast]
    fn set_out(&mut self, cx: &mut Context<Self>) {
        self.place.meet(cx.myself(), self.colour);
    }

    #[cast]
    fn met(&mut self, other: Colour, cx: &mut Context<Self>) {
        self.colour = self.colour.with(other);
        self.place.meet(cx.myself(), self.colour);
    }

    #[cast]
    fn go_home(&mut self) {
        self.home.count();
    }
}

pub(crate) async fn on_biotope(meetings: u64) -> biotope::Result<f64> {
    // Their number is even: at the end nobody is left waiting.
    let (home, all_home) = Countdown::from(CREATURES);
    let place = spawn(MeetingPlace { waiting: None, left: meetings });
    let creature = |number| Creature { place: place.clone(), colour: Colour::of(number), home: home.batch(number) };
    let creatures: Vec<ActorRef<Creature>> = (0..CREATURES).map(|number| spawn(creature(number))).collect();
    let start = Instant::now();
    for creature in &creatures {
        creature.set_out();
    }
    all_home.await?;
    Ok(nanos_each(start, meetings))
}

enum ToCreature {
    Met(Colour),
    GoHome,
}

pub(crate) async fn on_tokio(meetings: u64) -> f64 {
    let (home, all_home) = Countdown::from(CREATURES);
    let (place, mut at_place) = mpsc::unbounded_channel::<(mpsc::UnboundedSender<ToCreature>, Colour)>();
    tokio::spawn(async move {
        let mut waiting: Option<(mpsc::UnboundedSender<ToCreature>, Colour)> = None;
        let mut left = meetings;
        while let Some((who, colour)) = at_place.recv().await {
            if left == 0 {
                let _ = who.send(ToCreature::GoHome);
                continue;
            }
            match waiting.take() {
                None => waiting = Some((who, colour)),
                Some((other, other_colour)) => {
                    left -= 1;
                    let _ = other.send(ToCreature::Met(colour));
                    let _ = who.send(ToCreature::Met(other_colour));
                }
            }
        }
    });
    let start = Instant::now();
    for number in 0..CREATURES {
        let (place, home) = (place.clone(), home.batch(number));
        let (myself, mut inbox) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut colour = Colour::of(number);
            let _ = place.send((myself.clone(), colour));
            while let Some(message) = inbox.recv().await {
                match message {
                    ToCreature::Met(other) => {
                        colour = colour.with(other);
                        let _ = place.send((myself.clone(), colour));
                    }
                    ToCreature::GoHome => home.count(),
                }
            }
        });
    }
    all_home.await.expect("everybody comes home");
    nanos_each(start, meetings)
}
