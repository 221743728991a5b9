//! The cases of partition supervisors.

use std::collections::BTreeSet;

use biotope_runtime::{
    Actor, ActorRef, Address, Call, CallFailed, Context, ExitReason, Handle, LookupError, Pid, Process, Refused,
    ReplyTo, Runtime, Spec, Start, StartError, multi_call, node, time,
};
use biotope_supervision::{
    Child, ChildStatus, DynamicSupervisor, FindPartitions, Kind, PartitionStartError, PartitionSupervisor, Partitions,
    Permanent, Shutdown, Supervisor, SupervisorStartError,
};

use crate::support::*;

/// A partition that knows its number.
struct Shelf(usize);

enum Ask {
    Number(ReplyTo<usize>),
    Nothing,
    Refuse,
}

impl Actor for Shelf {
    type Msg = Ask;
    type Client = Address<Ask>;
    const NAME: &'static str = "Shelf";
}

impl Start for Shelf {
    type Args = usize;

    async fn start(number: usize, _: &mut Context<Self>) -> Result<Self, Refused> {
        if number == NONE { Err(Refused::Ignore) } else { Ok(Self(number)) }
    }
}

impl Handle for Shelf {
    async fn handle(&mut self, ask: Ask, cx: &mut Context<Self>) {
        match ask {
            Ask::Number(reply) => reply.send(self.0),
            Ask::Nothing => {}
            Ask::Refuse => cx.stop(reason("refused")),
        }
    }
}

/// A number that no shelf has.
const NONE: usize = 77;

fn shelves() -> PartitionSupervisor<Shelf> {
    PartitionSupervisor::new("shelves", |number| Spec::<Shelf>::new(move || number)).intensity(100, secs(5))
}

async fn number_of(shelf: &ActorRef<Shelf>) -> Result<usize, CallFailed> {
    Call::new(shelf, Ask::Number).await
}

/// Waits until another process is at the partition of `key`.
async fn another(shelves: &Partitions<Shelf>, key: i32, before: Pid) -> ActorRef<Shelf> {
    until(|| shelves.of(&key).pid() != before).await;
    shelves.of(&key)
}

#[test]
fn psup_01_there_are_as_many_as_were_asked_for_or_as_there_are_workers() {
    everywhere(async |_: Process<()>| {
        let workers = node().runtime().worker_count();
        let by_default = shelves().start_link().await?;
        assert_eq!((by_default.count(), by_default.supervisor().count_children().await?.active), (workers, workers));
        by_default.supervisor().stop_and_wait(ExitReason::Shutdown).await;
        let three = shelves().partitions(3).start_link().await?;
        assert_eq!((three.count(), three.all().len()), (3, 3));
        three.supervisor().stop_and_wait(ExitReason::Shutdown).await;
        let none = shelves().partitions(0).start_link().await;
        assert_eq!(none.err(), Some(PartitionStartError::NoPartitions));
        assert_eq!(node().whereis("shelves"), None);
        Ok(())
    });
}

/// A name is no matter of luck: there is none without one.
#[test]
fn psup_01_as_many_as_there_are_workers_by_default() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::builder().workers(3).build()?;
    let node = runtime.block_on(biotope_runtime::Node::builder("shop").runtime(runtime.clone()).start())?;
    let started = runtime.block_on(shelves().start_on(&node, biotope_runtime::SpawnOptions::default()))?;
    assert_eq!((started.count(), started.name()), (3, "shelves"));
    runtime.block_on(node.shutdown());
    Ok(())
}

#[test]
fn psup_01_a_partition_that_does_not_start_rolls_back_the_others() {
    everywhere(async |_: Process<()>| {
        let refuses = PartitionSupervisor::new("shelves", |number| {
            let number = if number == 2 { NONE } else { number };
            Spec::<Shelf>::new(move || number)
        });
        let Err(PartitionStartError::Supervisor(SupervisorStartError::Child { id, error })) =
            refuses.partitions(3).start_link().await
        else {
            panic!("it has started")
        };
        assert!(&*id == "2" && matches!(error, StartError::Refused(_)), "{id}: {error}");
        assert_eq!(node().registered().iter().filter(|name| name.starts_with("shelves")).count(), 0);
        Ok(())
    });
}

#[test]
fn psup_02_an_integer_goes_by_its_absolute_value_and_any_key_always_to_the_same() {
    everywhere(async |_: Process<()>| {
        let shelves = shelves().partitions(3).start_link().await?;
        for (key, expected) in [(0, 0), (1, 1), (2, 2), (3, 0), (-1, 1)] {
            assert_eq!(number_of(&shelves.of(&key)).await?, expected);
            assert_eq!(shelves.place_of(&key), expected);
        }
        let keys: Vec<_> = (0..100).map(|number| (format!("key {number}"), number)).collect();
        let once: Vec<_> = keys.iter().map(|key| shelves.of(key)).collect();
        let twice: Vec<_> = keys.iter().map(|key| shelves.of(key)).collect();
        assert_eq!(once, twice);
        assert_eq!(once.iter().map(ActorRef::pid).collect::<BTreeSet<_>>().len(), 3);
        for (key, shelf) in keys.iter().zip(&once) {
            assert_eq!(number_of(shelf).await?, shelves.place_of(key));
        }
        Ok(())
    });
}

#[test]
fn psup_03_a_partition_that_is_started_again_has_its_keys() {
    everywhere(async |_: Process<()>| {
        let shelves = shelves().partitions(2).start_link().await?;
        let [even, odd] = [0, 3].map(|key| shelves.of(&key));
        let named = shelves.named(&3);
        node().exit(&odd, ExitReason::Kill);
        let again = another(&shelves, 3, odd.pid()).await;
        assert_eq!(number_of(&again).await?, 1);
        assert_eq!(shelves.of(&1), again);
        assert_eq!(shelves.of(&0), even);
        // What was kept follows.
        assert_eq!(named.now()?, again);
        Ok(())
    });
}

#[test]
fn psup_03_calls_of_a_partition_that_is_down_fail_and_it_can_be_waited_for() {
    virtually(async |_: Process<()>| {
        let slow =
            shelves().partitions(2).backoff(biotope_supervision::Backoff::constant(secs(3))).start_link().await?;
        let before = slow.of(&1);
        Address::cast(&before, Ask::Refuse);
        settle().await;
        assert_eq!(slow.of(&1), before);
        assert_eq!(number_of(&slow.of(&1)).await, Err(CallFailed::NoProc));
        assert_eq!(number_of(&slow.of(&0)).await, Ok(0));
        let began = time::now();
        let waited = slow.named(&1).within(secs(60)).await?;
        assert_eq!((number_of(&waited).await?, time::now() - began < secs(4)), (1, true));
        assert_eq!(slow.of(&1), waited);

        // From elsewhere they are found as soon as all are there.
        node().exit(&waited, ExitReason::Kill);
        settle().await;
        let found = node().partitions::<Shelf>("shelves").await?;
        assert_eq!(number_of(&found.of(&1)).await?, 1);
        Ok(())
    });
}

#[test]
fn psup_04_partitions_are_listed_and_counted_by_number_and_leave_the_name_free() {
    everywhere(async |_: Process<()>| {
        let workers = shelves().partitions(3).start_link().await?;
        let children = workers.supervisor().which_children().await?;
        let shown: Vec<_> = children.iter().map(|child| (&*child.id, child.kind, child.status)).collect();
        let running = |key: i32| ChildStatus::Running(workers.of(&key).pid());
        let expected = [("0", 0), ("1", 1), ("2", 2)].map(|(id, key)| (id, Kind::Worker, running(key)));
        assert_eq!(shown, expected);
        let counts = workers.supervisor().count_children().await?;
        assert_eq!((counts.specs, counts.active, counts.supervisors, counts.workers), (3, 3, 0, 3));

        let supervisors = PartitionSupervisor::new("sessions", |_| DynamicSupervisor::new()).partitions(2);
        let supervisors = supervisors.start_link().await?;
        let counts = supervisors.supervisor().count_children().await?;
        assert_eq!((counts.specs, counts.active, counts.supervisors, counts.workers), (2, 2, 2, 0));
        let session = supervisors.of("ann").start_child(plan().child(Permanent)).await?;
        assert!(session.is_some());
        assert_eq!(supervisors.of("ann").count_children().await?.active, 1);

        let (supervisor, first) = (workers.supervisor().clone(), workers.of(&0));
        supervisor.stop_and_wait(ExitReason::Shutdown).await;
        assert_eq!((node().whereis("shelves"), node().whereis("shelves/0")), (None, None));
        assert_eq!(supervisor.which_children().await.err(), Some(CallFailed::NoProc));
        assert_eq!(workers.of(&0), first);
        assert_eq!(number_of(&first).await, Err(CallFailed::NoProc));
        let again = shelves().partitions(2).start_link().await?;
        assert_eq!(number_of(&again.of(&1)).await?, 1);
        Ok(())
    });
}

#[test]
fn psup_04_they_are_found_by_name_under_a_supervisor() {
    everywhere(async |_: Process<()>| {
        let top = Supervisor::one_for_one().child(shelves().partitions(3)).start_link().await?;
        let found = node().partitions::<Shelf>("shelves").await?;
        assert_eq!((found.count(), number_of(&found.of(&2)).await?), (3, 2));
        let wrong = node().partitions::<DynamicSupervisor>("shelves").await.err();
        assert!(matches!(wrong, Some(LookupError::OtherMessages { .. })), "{wrong:?}");
        let nobody = node().partitions::<Shelf>("books").await.err();
        assert_eq!(nobody, Some(LookupError::NotRegistered("books".into())));
        // A supervisor that has no partitions is none of these.
        let plain = Supervisor::one_for_one().named("plain").child(plan().child(Permanent)).start_link().await?;
        assert!(node().partitions::<Shelf>("plain").await.is_err());
        drop((top, plain));
        Ok(())
    });
}

#[test]
fn partitions_stop_as_all_of_them_are_told_to() {
    virtually(async |_: Process<()>| {
        let plan = plan().stop_time(secs(100));
        let of_this = plan.clone();
        let workers = PartitionSupervisor::new("workers", move |_| {
            let plan = of_this.clone();
            Spec::<Worker>::new(move || plan.clone())
        });
        let workers = workers.partitions(2).children(|child: Child| child.shutdown(Shutdown::BrutalKill));
        let workers = workers.start_link().await?;
        let ended = end_of(workers.supervisor());
        workers.supervisor().stop();
        assert_eq!(ended.await?.1, secs(0));
        assert_eq!(plan.starts(), 2);
        Ok(())
    });
}

#[test]
fn any_is_one_that_has_little_to_do() {
    virtually(async |_: Process<()>| {
        let shelves = shelves().partitions(8).start_link().await?;
        // All but one are busy.
        for shelf in &shelves.all()[1..] {
            node().suspend(shelf);
            (0..5).for_each(|_| shelf.cast(Ask::Nothing));
        }
        let free = shelves.of(&0);
        let chosen = (0..200).filter(|_| shelves.any() == free).count();
        // One of two that are drawn: 2 of 8 times.
        assert!((25..80).contains(&chosen), "{chosen} of 200");
        // And one that is not there is not chosen, as long as the other is.
        let two = PartitionSupervisor::new("two", |number| Spec::<Shelf>::new(move || number)).partitions(2);
        let two = two.backoff(biotope_supervision::Backoff::constant(secs(9))).start_link().await?;
        node().exit(two.of(&0), ExitReason::Kill);
        settle().await;
        assert!((0..20).all(|_| two.any() == two.of(&1)));
        for shelf in shelves.all() {
            node().resume(&shelf);
        }
        Ok(())
    });
}

#[test]
fn all_of_them_are_called_at_once_or_told() {
    everywhere(async |_: Process<()>| {
        let shelves = shelves().partitions(4).start_link().await?;
        let numbers = multi_call(shelves.all(), |shelf| Call::new(shelf, Ask::Number).send()).await;
        let numbers: Vec<_> = numbers.into_iter().filter_map(|(_, number)| number.ok()).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        let before: Vec<_> = shelves.all().iter().map(ActorRef::pid).collect();
        shelves.cast(|shelf| shelf.cast(Ask::Refuse));
        for (key, before) in before.into_iter().enumerate() {
            another(&shelves, key as i32, before).await;
        }
        Ok(())
    });
}

/// Whoever looks for the partitions while one is terminated is told so, and does not wait for it.
#[test]
fn a_partition_that_somebody_has_terminated_is_not_waited_for() {
    virtually(async |_: Process<()>| {
        let shelves = shelves().partitions(2).start_link().await?;
        shelves.supervisor().terminate_child("1").await?;
        let name = shelves.name();
        let found = time::timeout(secs(60), node().partitions::<Shelf>(name)).await;
        assert!(matches!(found, Ok(Err(_))), "{found:?}");
        shelves.supervisor().restart_child("1").await?;
        assert!(node().partitions::<Shelf>(name).await.is_ok());
        Ok(())
    });
}
