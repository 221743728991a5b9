//! Who has the next turn, and how that is written down.
//!
//! A run is drawn from its seed, and each choice is noted as a [`Step`]: which process had its how-manieth turn. To replay it,
//! turns are taken first in, first out, but for a list of steps: the first of the list has its turn as soon as it is
//! ready, and then the next one is waited for. With all the steps of a run that is the same run. With some of them left
//! out it is another one, close to it, in which those processes wait for their place: so a failing run can be made
//! smaller ([`shrink`](crate::shrink)).

use std::fmt;
use std::str::FromStr;

use biotope_runtime::Choices;

use crate::cast::{Cast, Path};

/// So many choices of a run are noted. A longer run is replayed by its seed, and not made smaller.
const MOST_STEPS: usize = 100_000;

/// One choice: this process has this turn of its turns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    process: Path,
    turn: u64,
}

/// How a run chooses.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// As the seed has drawn it.
    Drawn,
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
}

impl Schedule {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, done: 0, noted: Vec::new(), is_whole: true }
    }

    /// The place of the one that has the next turn.
    pub(crate) fn pick(&mut self, choices: &Choices<'_>, cast: &mut Cast) -> usize {
        let id = |place, cast: &mut Cast| cast.id(choices.at(place).pid());
        let chosen = match &self.plan {
            Plan::Drawn => choices.drawn(),
            Plan::Steps(steps) => {
                let ready: Vec<_> = (0..choices.len()).map(|place| id(place, cast)).collect();
                let mut chosen = 0;
                while let Some(step) = steps.get(self.done) {
                    let found = ready.iter().position(|id| *cast.path(*id) == step.process);
                    let Some(place) = found else { break };
                    let next = cast.next_turn(ready[place]);
                    if next < step.turn {
                        break;
                    }
                    // A turn that it has had already is waited for no more.
                    self.done += 1;
                    if next == step.turn {
                        chosen = place;
                        break;
                    }
                }
                chosen
            }
        };
        let id = id(chosen, cast);
        let turn = cast.turn(id);
        if choices.len() > 1 {
            if self.noted.len() < MOST_STEPS {
                self.noted.push(Step { process: cast.path(id).clone(), turn });
            } else {
                self.is_whole = false;
            }
        }
        chosen
    }

    /// The choices that were made, if all of them were noted.
    pub(crate) fn take_steps(&mut self) -> Option<Vec<Step>> {
        self.is_whole.then(|| std::mem::take(&mut self.noted))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.process, self.turn)
    }
}

/// What is no step.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no step of a schedule: those look like `2.1@3`, the third turn of the first child of process 2")]
pub(crate) struct NoStep(String);

impl FromStr for Step {
    type Err = NoStep;

    fn from_str(text: &str) -> Result<Self, NoStep> {
        let step = text
            .split_once('@')
            .and_then(|(process, turn)| Some(Self { process: Path::parse(process)?, turn: turn.parse().ok()? }));
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
