//! Who has the next turn, and how that is written down.
//!
//! A run is drawn from its seed, and each choice is noted as a [`Step`]: which process had its how-manieth turn, and whether
//! that was cut short, after one message: so it may be on the real scheduler, where a turn ends when its time is over. To
//! replay it, turns are taken first in, first out, and in full, but for a list of steps: the first of the list has its turn
//! as soon as it is ready, and then the next one is waited for. With all the steps of a run that is the same run. With
//! some of them left out it is another one, close to it, in which those processes wait for their place: so a failing run
//! can be made smaller ([`shrink`](crate::shrink)). Seed 0 has no choices.

use std::fmt;
use std::str::FromStr;

use biotope_runtime::Choices;

use crate::cast::{Cast, Path};
use crate::random::Random;

/// So many choices of a run are noted. A longer run is replayed by its seed, and not made smaller.
const MOST_STEPS: usize = 100_000;

/// Of so many turns one is cut short.
const CUT_EVERY: u64 = 4;

/// One choice: this process has this turn of its turns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    process: Path,
    turn: u64,
    is_cut: bool,
}

/// How a run chooses.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// As it is drawn from this seed.
    Drawn(u64),
    /// First in, first out, but for these.
    Steps(Vec<Step>),
}

/// The choices of one run.
pub(crate) struct Schedule {
    plan: Plan,
    /// How many of the plan's steps are behind it.
    done: usize,
    noted: Vec<Step>,
    is_whole: bool,
    /// The turn that was picked last is cut short.
    is_cut: bool,
    random: Random,
}

impl Schedule {
    pub(crate) fn new(plan: Plan) -> Self {
        let seed = if let Plan::Drawn(seed) = plan { seed } else { 0 };
        Self { plan, done: 0, noted: Vec::new(), is_whole: true, is_cut: false, random: Random::new(seed) }
    }

    /// Whether the turn that was picked last is cut short.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The place of the one that has the next turn.
    pub(crate) fn pick(&mut self, choices: &Choices<'_>, cast: &mut Cast) -> usize {
        self.is_cut = false;
        let chosen = match &self.plan {
            Plan::Drawn(seed) => {
                self.is_cut = *seed != 0 && self.random.next().is_multiple_of(CUT_EVERY);
                choices.drawn()
            }
            Plan::Steps(steps) => {
                let mut chosen = 0;
                while let Some(step) = steps.get(self.done) {
                    let pid = cast.pid_at(&step.process);
                    let found = (0..choices.len()).find(|place| Some(choices.at(*place).pid()) == pid);
                    let Some(place) = found else { break };
                    let id = cast.id(choices.at(place).pid());
                    let next = cast.next_turn(id);
                    if next < step.turn {
                        break;
                    }
                    // A turn that it has had already is waited for no more.
                    self.done += 1;
                    if next == step.turn {
                        (chosen, self.is_cut) = (place, step.is_cut);
                        break;
                    }
                }
                chosen
            }
        };
        let id = cast.id(choices.at(chosen).pid());
        let turn = cast.turn(id);
        if choices.len() > 1 || self.is_cut {
            if self.noted.len() < MOST_STEPS {
                self.noted.push(Step { process: cast.path(id).clone(), turn, is_cut: self.is_cut });
            } else {
                self.is_whole = false;
            }
        }
        chosen
    }

    /// How many steps of the plan have not come.
    pub(crate) fn left(&self) -> usize {
        match &self.plan {
            Plan::Drawn(_) => 0,
            Plan::Steps(steps) => steps.len() - self.done,
        }
    }

    /// The choices that were made, if all of them were noted.
    pub(crate) fn take_steps(&mut self) -> Option<Vec<Step>> {
        self.is_whole.then(|| std::mem::take(&mut self.noted))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.is_cut { "x" } else { "" };
        write!(f, "{}@{}{cut}", self.process, self.turn)
    }
}

/// What is no step.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no step of a schedule: those look like `2.1@3`, the third turn of the first child of process 2, and `2.1@3x` if it is cut short"
)]
pub(crate) struct NoStep(String);

impl FromStr for Step {
    type Err = NoStep;

    fn from_str(text: &str) -> Result<Self, NoStep> {
        let step = text.split_once('@').and_then(|(process, turn)| {
            let (turn, is_cut) = turn.strip_suffix('x').map_or((turn, false), |turn| (turn, true));
            Some(Self { process: Path::parse(process)?, turn: turn.parse().ok()?, is_cut })
        });
        step.ok_or_else(|| NoStep(text.to_owned()))
    }
}

/// The steps as one word, for a command line.
pub(crate) fn written(steps: &[Step]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What [`written`] has written.
pub(crate) fn read(text: &str) -> Result<Vec<Step>, NoStep> {
    text.split(',').filter(|step| !step.is_empty()).map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::{read, written};

    #[test]
    fn an_order_is_read_as_it_is_written_and_anything_else_is_refused() {
        for order in ["", "2.1@3", "1@1,2.1.17@30x,2@2"] {
            assert_eq!(written(&read(order).expect("it is one")), order);
        }
        for wrong in ["2.1", "@3", "2.1@", "2.a@3", "2.1@3xx", "2.1@3!", "2..1@3", "2.1@-1"] {
            assert!(read(wrong).unwrap_err().to_string().contains("is no step of a schedule"), "{wrong}");
        }
    }
}
