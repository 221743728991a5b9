use std::rc::Rc;

use biotope::prelude::*;

// On a worker it would move from thread to thread.
#[derive(Actor, Default)]
struct Moved {
    lines: Rc<Vec<String>>,
}

#[handlers]
impl Moved {
    pub fn len(&self) -> usize {
        self.lines.len()
    }
}

#[derive(Actor, Default)]
struct Editor {
    lines: Rc<Vec<String>>,
}

#[handlers(own_thread)]
impl Editor {
    pub fn len(&self) -> usize {
        self.lines.len()
    }
}

fn main() {
    spawn(Editor::default());
}
