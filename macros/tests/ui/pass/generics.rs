//! Parameters, constants and bounds of the actor are those of its messages; unused ones do no harm.

use std::fmt::Debug;
use std::marker::PhantomData;

use biotope::prelude::*;

#[derive(Actor)]
struct Ring<T: Clone, U: ?Sized, const N: usize>
where
    T: Debug,
{
    last: [Option<T>; N],
    next: usize,
    unused: PhantomData<fn(&U)>,
}

#[handlers]
impl<T: Clone, U: ?Sized, const N: usize> Ring<T, U, N>
where
    T: Debug + Send + 'static,
    U: 'static,
    Self: Sized,
{
    #[start]
    fn open(first: T) -> Self {
        let mut last = [const { None }; N];
        last[0] = Some(first);
        Self { last, next: 1 % N, unused: PhantomData }
    }

    pub fn push(&mut self, value: T) -> Option<T> {
        let old = self.last[self.next].replace(value);
        self.next = (self.next + 1) % N;
        old
    }

    pub fn all(&mut self) -> [Option<T>; N] {
        self.last.clone()
    }
}

/// Calls work in generic code, too.
async fn push_twice<T: Clone + Debug + Send + 'static>(ring: &ActorRef<Ring<T, str, 2>>, value: T) -> Option<T> {
    ring.push(value.clone()).await.unwrap();
    ring.push(value).await.unwrap()
}

#[derive(Actor)]
struct Idle<T>(PhantomData<T>);

#[handlers]
impl<T: Send + 'static> Idle<T> {
    #[cast]
    fn nudge(&mut self) {}
}

mod elsewhere {
    use super::*;

    #[derive(Actor, Default)]
    pub struct Far;
}

#[handlers]
impl elsewhere::Far {
    pub fn near(&self) -> bool {
        true
    }
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let ring = spawn(Ring::<String, str, 2>::spec_with(|| "a".to_owned()));
    assert_eq!(push_twice(&ring, "b".to_owned()).await.as_deref(), Some("a"));
    assert_eq!(ring.all().await?, [Some("b".to_owned()), Some("b".to_owned())]);
    spawn(Idle::<u8>(PhantomData)).nudge();
    assert!(spawn(elsewhere::Far).near().await?);
    Ok(())
}
