//! Whatever form arguments have, the client's parameters are owned and have sensible names.

use std::collections::HashMap;

use biotope::prelude::*;

#[derive(Debug, PartialEq)]
pub struct Point {
    x: i32,
    y: i32,
}

#[derive(Actor, Default)]
struct Forms(Vec<String>);

#[handlers]
impl Forms {
    const SIDES: usize = 2;

    pub fn pattern(&mut self, (left, right): (u32, u32), Point { x, y }: Point, mut sum: i64) -> i64 {
        sum += i64::from(left + right) + i64::from(x + y);
        sum
    }

    pub fn nameless(&mut self, _: Point, _: Point, _kept: u8, _1: u8, _self: u8) {}

    pub fn text(&mut self, cx: &mut Context<Self>, name: &str, others: &[String]) -> usize {
        let _ = cx.myself();
        self.0.push(name.to_owned());
        name.len() + others.len()
    }

    pub fn convert(&mut self, name: impl Into<String>, cx: &mut biotope::Context<Forms>, sides: [u8; Self::SIDES]) -> String {
        let _ = (cx, sides);
        name.into()
    }

    pub fn keywords(&mut self, r#type: u8, reply: u8, cx: u8, message: u8, this: &'static str) -> u8 {
        r#type + reply + cx + message + this.len() as u8
    }

    pub fn myself(&mut self, other: ActorRef<Self>, each: Option<ActorRef<Self>>) -> ActorRef<Self> {
        each.unwrap_or(other)
    }

    pub fn function(&mut self, apply: fn(&str) -> usize, boxed: Box<dyn Fn(&[u8]) -> usize + Send>) -> usize {
        apply("four") + boxed(&[1])
    }

    #[cast]
    pub fn map(&mut self, values: HashMap<String, Vec<u8>>) {
        drop(values);
    }
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let forms = spawn(Forms::default());
    assert_eq!(forms.pattern((1, 2), Point { x: 3, y: 4 }, 5).await?, 15);
    forms.nameless(Point { x: 0, y: 0 }, Point { x: 0, y: 0 }, 1, 2, 3).await?;
    assert_eq!(forms.text("Ada", [String::new()]).await?, 4);
    assert_eq!(forms.convert("Grace", [1, 2]).await?, "Grace");
    assert_eq!(forms.keywords(1, 2, 3, 4, "five").await?, 14);
    assert_eq!(forms.myself(forms.clone(), None).await?, forms);
    assert_eq!(forms.function(str::len, Box::new(<[u8]>::len)).await?, 5);
    forms.map(HashMap::new());
    Ok(())
}
