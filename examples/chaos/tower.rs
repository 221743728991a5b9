//! The tree: a tower of floors, with rooms on them, with clerks in these. Each floor and each room is a supervisor.

use biotope::prelude::*;
use biotope::supervision::Strategy;

/// What a job comes to: enough that an answer to another job is noticed.
pub(crate) fn answer_to(job: u64) -> u64 {
    job.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ job
}

/// Does jobs, unless it breaks down.
#[derive(Actor, Default)]
pub(crate) struct Clerk {
    done: u64,
}

#[handlers]
impl Clerk {
    /// In two steps, between which it can be killed.
    pub(crate) async fn work(&mut self, job: u64) -> u64 {
        time::yield_now().await;
        self.done += 1;
        answer_to(job)
    }

    #[cast]
    pub(crate) fn break_down(&mut self) {
        panic!("broke down after {} jobs", self.done);
    }
}

/// Where each process of the tree can be found, by name: a name follows a restart.
pub(crate) struct Tower {
    pub(crate) root: Supervisor,
    pub(crate) floors: Vec<String>,
    pub(crate) rooms: Vec<String>,
    pub(crate) clerks: Vec<String>,
}

/// A floor has about so many processes, itself included.
const FLOOR: usize = 100;
/// A room has about so many, itself included.
const ROOM: usize = 11;

impl Tower {
    /// A tower of so many processes, at least 4.
    ///
    /// Of floors and rooms some restart one child at a time, some all of them, and some those behind it. A room gives up after 3
    /// restarts within 5 seconds, and a floor after 30, so that what goes wrong too often in a room is the floor's concern, and
    /// then the tower's, which never gives up.
    pub(crate) fn of(processes: usize) -> Self {
        let root = Supervisor::one_for_one().named("tower").intensity(u32::MAX, secs(1));
        let mut tower = Self { root, floors: Vec::new(), rooms: Vec::new(), clerks: Vec::new() };
        let left = processes.max(4) - 1;
        for part in parts(left, left.div_ceil(FLOOR)) {
            let floor = tower.floor(part);
            tower.root = tower.root.child(floor);
        }
        tower
    }

    /// How many processes it has when all of them run.
    pub(crate) fn processes(&self) -> usize {
        1 + self.floors.len() + self.rooms.len() + self.clerks.len()
    }

    fn floor(&mut self, processes: usize) -> Supervisor {
        let name = format!("floor {}", self.floors.len());
        let mut floor = supervisor(self.floors.len()).named(&*name).intensity(30, secs(5));
        self.floors.push(name);
        for part in parts(processes - 1, (processes - 1).div_ceil(ROOM)) {
            floor = floor.child(self.room(part));
        }
        floor
    }

    fn room(&mut self, processes: usize) -> Supervisor {
        let name = format!("room {}", self.rooms.len());
        let mut room = supervisor(self.rooms.len()).named(&*name).intensity(3, secs(5));
        self.rooms.push(name);
        for _ in 1..processes {
            let name = format!("clerk {}", self.clerks.len());
            room = room.child(Clerk::spec().named(&*name).shutdown(secs(1)));
            self.clerks.push(name);
        }
        room
    }
}

/// One of this number: they take turns in how they restart.
fn supervisor(number: usize) -> Supervisor {
    Supervisor::new([Strategy::OneForOne, Strategy::RestForOne, Strategy::OneForAll][number % 3])
}

/// `whole` in so many parts that differ by one at most.
fn parts(whole: usize, parts: usize) -> impl Iterator<Item = usize> {
    (0..parts).map(move |part| (whole * (part + 1)) / parts - (whole * part) / parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tower_has_as_many_processes_as_are_asked_for() {
        for processes in [4, 11, 12, 13, 100, 101, 102, 500, 1000, 1001] {
            let tower = Tower::of(processes);
            assert_eq!(tower.processes(), processes);
            assert!(!tower.clerks.is_empty());
            assert_eq!(tower.root.to_string().lines().count(), processes);
        }
    }
}
