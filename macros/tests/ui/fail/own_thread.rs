use std::rc::Rc;

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Editor {
    lines: Rc<Vec<String>>,
}

#[handlers(own_thread)]
impl Editor {
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    // What is sent to it comes from another thread.
    pub fn open(&mut self, lines: Rc<Vec<String>>) {
        self.lines = lines;
    }
}

// On a worker it would move from thread to thread.
#[derive(Actor, Default)]
struct Shared {
    lines: Rc<Vec<String>>,
}

#[handlers]
impl Shared {
    pub fn len(&self) -> usize {
        self.lines.len()
    }
}

fn main() {
    spawn(Editor::default());
}
