#![allow(unused_variables)]

#[biotope::main(threads = 2)]
async fn main() {}

#[biotope::test(seeds = 2)]
fn it_works() {}

#[biotope::test(seed = 1, seeds = 2)]
async fn it_replays() {}

#[biotope::test]
async fn it_takes(n: u32) {}
