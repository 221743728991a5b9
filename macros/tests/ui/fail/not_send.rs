#![allow(unused_variables)]

use std::rc::Rc;

use biotope::prelude::*;

#[derive(Actor, Default)]
struct Cart;

#[handlers]
impl Cart {
    pub async fn add(&mut self) {
        let shared = Rc::new(1);
        std::future::ready(()).await;
        drop(shared);
    }
    pub fn len(&self) -> usize {
        *Rc::new(0)
    }
}

#[derive(Actor, Default)]
struct Till;

#[handlers]
impl Till {
    #[cast]
    pub async fn open(&mut self) {
        let shared = Rc::new(1);
        std::future::ready(()).await;
        drop(shared);
    }
}

fn main() {}
