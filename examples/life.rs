//! Conway's game of life with a process for each cell: 10,000 processes that know their neighbours and nobody else.
//!
//! ```text
//! cargo run --release --example life
//! ```
//!
//! There is no clock and no barrier. A cell tells its eight neighbours whether it lives, and is a generation older when it has
//! heard the same of all of them; so neighbours are never more than one generation apart, and cells far from each other may be
//! many. The board is a torus of 100 by 100. It begins with the R-pentomino, five living cells that take 1103 generations to
//! come to rest. In the end it is compared with a plain array. Prints:
//!
//! ```text
//! generation 0      generation 5      generation 10     generation 15
//! ................  ................  ................  ................
//! ................  ................  ................  ................
//! ................  ................  ................  ....##..........
//! ................  ........#.......  .....##.........  ..##.##.........
//! ........##......  ......##.##.....  ....##..........  ..#....#........
//! .......##.......  ......#..#......  .....##.........  ..#...###.......
//! ........#.......  .......##.......  ......###.......  ...##....#......
//! ................  ................  ........#.......  .......#.#......
//! ................  ................  ........#.......  .......##.......
//! ................  ................  ................  ................
//! ................  ................  ................  ................
//! 10000 cells have lived for … generations more: … generations/s, … messages/s
//! … of them are alive, and the same as in a plain array
//! ```

use std::env;
use std::time::Instant;

use biotope::prelude::*;

#[cfg(test)]
mod promise;

/// One cell.
#[derive(Actor)]
struct Cell {
    place: usize,
    alive: bool,
    generation: u64,
    /// The generation at which it rests.
    until: u64,
    neighbours: Vec<ActorRef<Cell>>,
    /// What it has heard of its own generation, and of the next, in which neighbours may be already: by whether it is odd.
    heard: [Heard; 2],
    census: ActorRef<Census>,
}

/// What a cell has heard of one generation.
#[derive(Clone, Copy, Default)]
struct Heard {
    neighbours: u8,
    living: u8,
}

#[handlers]
impl Cell {
    #[cast]
    fn meet(&mut self, neighbours: Vec<ActorRef<Cell>>) {
        self.neighbours = neighbours;
    }

    /// Goes on until this generation.
    #[cast]
    fn live(&mut self, until: u64) {
        self.until = until;
        self.tell();
        self.grow_older();
    }

    /// A neighbour lives, or not, in this generation.
    #[cast]
    fn hear(&mut self, generation: u64, alive: bool) {
        let heard = &mut self.heard[generation as usize % 2];
        heard.neighbours += 1;
        heard.living += u8::from(alive);
        self.grow_older();
    }
}

impl Cell {
    fn new(place: usize, alive: bool, census: ActorRef<Census>) -> Self {
        Self { place, alive, generation: 0, until: 0, neighbours: Vec::new(), heard: [Heard::default(); 2], census }
    }

    /// Tells its neighbours of itself, or, at rest, the census.
    fn tell(&self) {
        if self.generation == self.until {
            return self.census.count(self.place, self.alive);
        }
        for neighbour in &self.neighbours {
            neighbour.hear(self.generation, self.alive);
        }
    }

    /// Is a generation older if all neighbours have been heard of.
    fn grow_older(&mut self) {
        while self.generation < self.until {
            let heard = &mut self.heard[self.generation as usize % 2];
            if heard.neighbours < 8 {
                return;
            }
            self.alive = lives_on(self.alive, std::mem::take(heard).living);
            self.generation += 1;
            self.tell();
        }
    }
}

/// Whether a cell with so many living neighbours lives in the next generation.
fn lives_on(alive: bool, living: u8) -> bool {
    living == 3 || alive && living == 2
}

/// Waits until each cell was counted, and tells the whole board.
#[derive(Actor)]
struct Census {
    counted: usize,
    board: Vec<bool>,
    asked: Option<ReplyTo<Vec<bool>>>,
}

#[handlers]
impl Census {
    #[cast]
    fn count(&mut self, place: usize, alive: bool) {
        self.board[place] = alive;
        self.counted += 1;
        self.answer();
    }

    /// The board, when all cells rest.
    fn board(&mut self, reply: ReplyTo<Vec<bool>>) {
        self.asked = Some(reply);
        self.answer();
    }
}

impl Census {
    fn answer(&mut self) {
        if self.counted == self.board.len()
            && let Some(asked) = self.asked.take()
        {
            self.counted = 0;
            asked.send(self.board.clone());
        }
    }
}

/// A torus of cells.
struct World {
    cells: Vec<ActorRef<Cell>>,
    census: ActorRef<Census>,
}

impl World {
    /// A world that is so many cells wide.
    fn new(width: usize, board: &[bool]) -> Self {
        let census = spawn(Census { counted: 0, board: board.to_vec(), asked: None });
        let cells: Vec<_> =
            board.iter().enumerate().map(|(place, alive)| spawn(Cell::new(place, *alive, census.clone()))).collect();
        for (place, cell) in cells.iter().enumerate() {
            cell.meet(neighbours(place, width, cells.len()).map(|place| cells[place].clone()).into());
        }
        Self { cells, census }
    }

    /// Lets all cells live until this generation, and returns which are alive then.
    async fn live(&self, until: u64) -> Result<Vec<bool>, CallFailed> {
        let board = self.census.board().timeout(secs(3600)).send();
        self.cells.iter().for_each(|cell| cell.live(until));
        board.await
    }
}

/// The eight places around `place`, on a torus of so many cells that is so wide.
fn neighbours(place: usize, width: usize, cells: usize) -> [usize; 8] {
    let (row, column, height) = (place / width, place % width, cells / width);
    let (up, down) = ((row + height - 1) % height, (row + 1) % height);
    let (left, right) = ((column + width - 1) % width, (column + 1) % width);
    [(up, left), (up, column), (up, right), (row, left), (row, right), (down, left), (down, column), (down, right)]
        .map(|(row, column)| row * width + column)
}

/// The same without any process: the board after so many generations.
fn in_an_array(width: usize, mut board: Vec<bool>, generations: u64) -> Vec<bool> {
    let height = board.len() / width;
    let steps = |at: usize, size: usize| [at + size - 1, at, at + 1].map(|at| at % size);
    for _ in 0..generations {
        let before = board.clone();
        for (place, alive) in board.iter_mut().enumerate() {
            let rows = steps(place / width, height);
            let around = rows.iter().flat_map(|row| steps(place % width, width).map(|column| row * width + column));
            // The nine of them, itself among them.
            let living = around.filter(|place| before[*place]).count();
            *alive = living == 3 || *alive && living == 4;
        }
    }
    board
}

const WIDTH: usize = 100;

/// An empty board, but for the R-pentomino in its middle.
fn pentomino() -> Vec<bool> {
    let mut board = vec![false; WIDTH * WIDTH];
    for (row, column) in [(49, 50), (49, 51), (50, 49), (50, 50), (51, 50)] {
        board[row * WIDTH + column] = true;
    }
    board
}

/// The middle of the board, row by row.
fn window(board: &[bool]) -> impl Iterator<Item = String> {
    (45..56).map(|row| (42..58).map(|column| if board[row * WIDTH + column] { '#' } else { '.' }).collect())
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let generations = env::args().nth(1).map_or(Ok(100), |generations| generations.parse())?;
    live(generations, |line| println!("{line}")).await
}

/// All that this shows, line by line.
async fn live(generations: u64, mut print: impl FnMut(String) + Send) -> biotope::Result<()> {
    let begin = pentomino();
    let world = World::new(WIDTH, &begin);
    let shown = [0, 5, 10, 15];
    let mut columns = vec![];
    for generation in shown {
        let board = world.live(generation).await?;
        let title = format!("{:<16}", format!("generation {generation}"));
        columns.push([title].into_iter().chain(window(&board)).collect::<Vec<_>>());
    }
    for line in 0..columns[0].len() {
        let line: Vec<_> = columns.iter().map(|column| column[line].as_str()).collect();
        print(line.join("  ").trim_end().to_owned());
    }

    let last = shown[shown.len() - 1] + generations;
    let start = Instant::now();
    let board = world.live(last).await?;
    let took = start.elapsed().as_secs_f64();
    let (cells, alive) = (board.len(), board.iter().filter(|alive| **alive).count());
    print(format!(
        "{cells} cells have lived for {generations} generations more: {:.0} generations/s, {:.0} messages/s",
        generations as f64 / took,
        (generations * cells as u64 * 8) as f64 / took
    ));
    assert_eq!(board, in_an_array(WIDTH, begin, last));
    print(format!("{alive} of them are alive, and the same as in a plain array"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[biotope::test(allow_leftovers)]
    async fn it_prints_what_its_header_promises() -> biotope::Result<()> {
        let mut printed = Vec::new();
        live(5, |line| printed.push(line)).await?;
        assert_eq!(promise::kept(&printed.join("\n"), &promise::in_header(include_str!("life.rs"))), Ok(()));
        Ok(())
    }

    /// A board of any cells.
    fn soup(cells: usize) -> Vec<bool> {
        (0..cells).map(|_| node().runtime().random().is_multiple_of(3)).collect()
    }

    #[biotope::test(seeds = 200, allow_leftovers)]
    async fn whoever_is_first_the_board_is_that_of_an_array() -> biotope::Result<()> {
        for (width, height) in [(3, 3), (5, 4), (8, 7)] {
            let board = soup(width * height);
            let world = World::new(width, &board);
            for until in [1, 2, 9] {
                assert_eq!(world.live(until).await?, in_an_array(width, board.clone(), until));
            }
        }
        Ok(())
    }

    #[biotope::test(allow_leftovers)]
    async fn so_it_is_on_threads() -> biotope::Result<()> {
        let board = soup(40 * 40);
        let world = World::new(40, &board);
        assert_eq!(world.live(50).await?, in_an_array(40, board, 50));
        Ok(())
    }

    /// Goal: what it is compared with is right itself.
    #[test]
    fn the_array_knows_a_blinker_and_a_block() {
        let board = |rows: [&str; 5]| rows.concat().chars().map(|cell| cell == '#').collect::<Vec<_>>();
        let upright = board([".....", "..#..", "..#..", "..#..", "....."]);
        let across = board([".....", ".....", ".###.", ".....", "....."]);
        assert_eq!(in_an_array(5, upright.clone(), 1), across);
        assert_eq!(in_an_array(5, upright.clone(), 2), upright);
        let block = board([".....", ".##..", ".##..", ".....", "....."]);
        assert_eq!(in_an_array(5, block.clone(), 7), block);
    }
}
