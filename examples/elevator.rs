//! An elevator: a state machine that draws itself.
//!
//! ```text
//! cargo run --example elevator
//! ```
//!
//! What its methods say of states is checked while it runs, and drawn: paste the diagram where Mermaid is understood. Then it is
//! ridden, in virtual time, so that a minute passes at once. Calls while it stands still between two floors wait until it goes on.
//! Prints:
//!
//! ```text
//! stateDiagram-v2
//!     [*] --> Idle
//!     Idle --> Moving: call, go_down
//!     Idle --> Open: call
//!     Idle --> Halted: halt
//!     Moving --> Open: pass
//!     Moving --> Halted: halt
//!     Open --> Idle: close
//!     Open --> Moving: close
//!     Open --> Halted: halt
//!     Halted --> Idle: release
//!     Halted --> Moving: release
//!     Halted --> Open: release
//!     note right of Halted: postpones call
//!  0 s: waits on floor 0
//!  0 s: is called to floor 4
//!  0 s: moves to floor 4
//!  1 s: is called to floor 2
//!  2 s: passes floor 1
//!  4 s: opens on floor 2
//!  6 s: is held
//!  9 s: moves to floor 4
//! 10 s: is halted, and was moving
//!       it is above floor 2, and whoever calls it now waits
//! 30 s: is released
//! 30 s: moves to floor 4
//! 30 s: is called to floor 1
//! 32 s: passes floor 3
//! 34 s: opens on floor 4
//! 37 s: moves to floor 1
//! 39 s: passes floor 3
//! 41 s: passes floor 2
//! 43 s: opens on floor 1
//! 46 s: waits on floor 1
//! 56 s: moves to floor 0
//! 58 s: opens on floor 0
//! 61 s: waits on floor 0
//! ```

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use biotope::prelude::*;
use biotope::run;

/// What the elevator is at.
#[derive(State, Clone, Debug, PartialEq)]
enum Car {
    /// It waits for a call.
    Idle,
    /// It is on its way to this floor, and stops before if it is wanted there.
    Moving { to: u8 },
    /// Its doors are open.
    Open,
    /// Somebody has pushed the red button.
    Halted,
}

/// From one floor to the next.
const FLOOR: Duration = secs(2);
/// How long the doors stay open.
const DOORS: Duration = secs(3);
/// After how long without a call it goes down to the entrance.
const REST: Duration = secs(10);

#[derive(Actor)]
struct Elevator {
    floor: u8,
    /// Where it is to stop.
    wanted: BTreeSet<u8>,
    lines: Lines,
    begin: Instant,
}

/// Where the lines go.
type Lines = mpsc::Sender<String>;

#[machine(state = Car, initial = Idle, otherwise = crash)]
impl Elevator {
    /// Somebody wants it on this floor, or to be taken there.
    #[cast]
    #[on(Idle => Moving | Open)]
    #[on(Moving | Open)]
    #[postpone(Halted)]
    fn call(&mut self, floor: u8, cx: &mut Context<Self>) {
        self.say(format!("is called to floor {floor}"));
        match cx.state() {
            Car::Open if floor == self.floor => cx.state_timeout(DOORS, |me| me.close()),
            Car::Idle => {
                self.wanted.insert(floor);
                cx.goto(self.next());
            }
            _ => drop(self.wanted.insert(floor)),
        }
    }

    /// It has come to the next floor.
    #[cast]
    #[on(Moving => Open)]
    fn pass(&mut self, cx: &mut Context<Self>) {
        let Car::Moving { to } = *cx.state() else { return };
        self.floor = if self.floor < to { self.floor + 1 } else { self.floor.saturating_sub(1) };
        match self.wanted.contains(&self.floor) {
            true => cx.goto(Car::Open),
            false => {
                self.say(format!("passes floor {}", self.floor));
                cx.state_timeout(FLOOR, |me| me.pass());
            }
        }
    }

    /// Somebody stands in the door: it stays open for as long again.
    #[cast]
    #[on(Open)]
    #[ignore(_)]
    fn hold(&mut self, cx: &mut Context<Self>) {
        self.say("is held");
        cx.state_timeout(DOORS, |me| me.close());
    }

    #[cast]
    #[on(Open => Idle | Moving)]
    fn close(&mut self, cx: &mut Context<Self>) {
        cx.goto(self.next());
    }

    /// Nobody has called for a while.
    #[cast]
    #[on(Idle => Moving)]
    fn go_down(&mut self, cx: &mut Context<Self>) {
        self.wanted.insert(0);
        cx.goto(self.next());
    }

    /// The red button. Returns the floor that it was at last.
    #[on(Halted)]
    #[on(_ => Halted)]
    fn halt(&mut self, cx: &mut Context<Self>) -> u8 {
        cx.goto(Car::Halted);
        self.floor
    }

    /// The red button is pulled out again.
    #[cast]
    #[on(Halted => Idle | Moving | Open)]
    #[ignore(_)]
    fn release(&mut self, cx: &mut Context<Self>) {
        self.say("is released");
        cx.goto(self.next());
    }

    #[enter(Idle)]
    fn rest(&mut self, cx: &mut Entering<Self>) {
        self.say(format!("waits on floor {}", self.floor));
        if self.floor > 0 {
            cx.state_timeout(REST, |me| me.go_down());
        }
    }

    #[enter(Moving)]
    fn depart(&mut self, cx: &mut Entering<Self>) {
        if let Car::Moving { to } = cx.state() {
            self.say(format!("moves to floor {to}"));
        }
        cx.state_timeout(FLOOR, |me| me.pass());
    }

    #[enter(Open)]
    fn open(&mut self, cx: &mut Entering<Self>) {
        self.wanted.remove(&self.floor);
        self.say(format!("opens on floor {}", self.floor));
        cx.state_timeout(DOORS, |me| me.close());
    }

    #[enter(Halted)]
    fn stand_still(&mut self, old: &Car) {
        self.say(format!("is halted, and was {}", old.name().to_lowercase()));
    }
}

/// What is no event.
impl Elevator {
    fn new(lines: Lines) -> Self {
        Self { floor: 0, wanted: BTreeSet::new(), lines, begin: time::now() }
    }

    /// Where it goes when it is free to.
    fn next(&self) -> Car {
        let nearest = self.wanted.iter().min_by_key(|floor| floor.abs_diff(self.floor));
        match nearest {
            None => Car::Idle,
            Some(floor) if *floor == self.floor => Car::Open,
            Some(floor) => Car::Moving { to: *floor },
        }
    }

    fn say(&self, what: impl AsRef<str>) {
        let passed = (time::now() - self.begin).as_secs();
        // Nobody has to listen.
        let _ = self.lines.send(format!("{passed:>2} s: {}", what.as_ref()));
    }
}

/// A ride with all that can happen.
async fn ride(lines: Lines) -> biotope::Result<()> {
    let elevator = spawn(Elevator::new(lines.clone()));
    elevator.call(4);
    time::sleep(secs(1)).await;
    elevator.call(2);
    time::sleep(secs(5)).await;
    elevator.hold();
    time::sleep(secs(4)).await;
    let floor = elevator.halt().await?;
    elevator.call(1);
    lines.send(format!("      it is above floor {floor}, and whoever calls it now waits"))?;
    time::sleep(secs(20)).await;
    elevator.release();
    while elevator.machine_state().await? != Car::Idle || elevator.with_state(|elevator| elevator.floor).await? > 0 {
        time::sleep(secs(1)).await;
    }
    elevator.stop_and_wait(ExitReason::Normal).await;
    Ok(())
}

/// The diagram, and the ride.
fn show(lines: &Lines) -> biotope::Result<()> {
    lines.send(Elevator::diagram().trim_end().to_owned())?;
    run(Runtime::builder().seeded(0), "building", ride(lines.clone()))??;
    Ok(())
}

fn main() -> biotope::Result<()> {
    let (lines, printed) = mpsc::channel();
    let printer = thread::spawn(move || printed.iter().for_each(|line| println!("{line}")));
    let shown = show(&lines);
    drop(lines);
    let _ = printer.join();
    shown
}

#[cfg(test)]
mod promise;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_what_its_header_promises() {
        let (lines, printed) = mpsc::channel();
        let shown = show(&lines);
        drop(lines);
        let printed: Vec<String> = printed.iter().collect();
        assert_eq!(promise::kept(&printed.join("\n"), &promise::in_header(include_str!("elevator.rs"))), Ok(()));
        shown.expect("all is shown");
    }

    /// Whoever calls is fetched, whatever happens meanwhile.
    #[biotope::test(seeds = 200)]
    async fn every_call_is_answered_by_open_doors() -> biotope::Result<()> {
        let (lines, printed) = mpsc::channel();
        let elevator = spawn(Elevator::new(lines));
        let (random, mut called) = (node(), BTreeSet::new());
        let draw = |below: u64| random.runtime().random() % below;
        for _ in 0..20 {
            let floor = u8::try_from(draw(8))?;
            elevator.call(floor);
            called.insert(format!("opens on floor {floor}"));
            match draw(4) {
                0 => drop(elevator.halt().await?),
                1 => elevator.hold(),
                _ => {}
            }
            time::sleep(millis(draw(9_000))).await;
            elevator.release();
        }
        time::sleep(secs(120)).await;
        assert_eq!(elevator.machine_state().await?, Car::Idle);
        elevator.stop_and_wait(ExitReason::Normal).await;
        let said: Vec<String> = printed.try_iter().collect();
        called.retain(|opens| !said.iter().any(|line| line.ends_with(opens)));
        assert_eq!(called, BTreeSet::new(), "{said:#?}");
        Ok(())
    }
}
