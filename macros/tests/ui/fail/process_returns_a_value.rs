use biotope::prelude::*;

fn main() {
    let _ = spawn_process(async |mut me: Process<u32>| Ok(me.receive().await?));
    let _ = spawn_process(async |_: Process<()>| 7);
}
