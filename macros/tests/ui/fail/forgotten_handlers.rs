use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

impl Cart {
    #[cast]
    pub fn clear(&mut self) {}

    #[biotope::info]
    fn on_down(&mut self, down: Down) {}
}

fn main() {}
