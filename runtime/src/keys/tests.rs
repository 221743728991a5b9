//! The keys against a list of entries, whatever is done to them in whatever order.

use proptest::prelude::{Just, Strategy, prop, prop_oneof, proptest};

use super::*;

type Key = u8;
type Value = u16;

#[derive(Clone, Debug)]
enum Op {
    Register(u32, Key, Value),
    /// By a process that has ended.
    RegisterLate(u32, Key, Value),
    Unregister(u32, Key),
    Update(u32, Key, Value),
    Release(u32),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (slot, key) = (|| 0..5_u32, || 0..6_u8);
    let op = prop_oneof![
        6 => (slot(), key(), 0..100_u16).prop_map(|(slot, key, value)| Op::Register(slot, key, value)),
        1 => (slot(), key(), 0..100_u16).prop_map(|(slot, key, value)| Op::RegisterLate(slot, key, value)),
        2 => (slot(), key()).prop_map(|(slot, key)| Op::Unregister(slot, key)),
        2 => (slot(), key(), 0..100_u16).prop_map(|(slot, key, add)| Op::Update(slot, key, add)),
        1 => slot().prop_map(Op::Release),
    ];
    prop::collection::vec(op, 0..80)
}

fn pid(slot: u32) -> Pid {
    Pid::new(NodeId::new("n", 1), slot, 0)
}

/// All entries in the order registered. What the keys must agree with.
#[derive(Default)]
struct Model(Vec<(Key, Pid, Value)>);

impl Model {
    fn holder(&self, key: Key) -> Option<Pid> {
        self.0.iter().find(|entry| entry.0 == key).map(|entry| entry.1)
    }

    fn values(&self, key: Key, pid: Pid) -> Vec<Value> {
        self.0.iter().filter(|entry| (entry.0, entry.1) == (key, pid)).map(|entry| entry.2).collect()
    }
}

fn apply(keys: &Keys<Key, Value>, model: &mut Model, op: Op) {
    let unique = keys.0.kind == Kind::Unique;
    match op {
        Op::Register(slot, key, value) => {
            let registered = keys.0.insert(pid(slot), key, value, || true).map(Waited::wake);
            match model.holder(key) {
                Some(holder) if unique => assert_eq!(registered, Err(AlreadyRegistered { holder })),
                _ => {
                    assert_eq!(registered, Ok(()));
                    model.0.push((key, pid(slot), value));
                }
            }
        }
        Op::RegisterLate(slot, key, value) => {
            let registered = keys.0.insert(pid(slot), key, value, || false).map(Waited::wake);
            let holder = model.holder(key).filter(|_| unique);
            assert_eq!(registered, holder.map_or(Ok(()), |holder| Err(AlreadyRegistered { holder })));
        }
        Op::Unregister(slot, key) => {
            keys.0.remove(pid(slot), &key);
            model.0.retain(|entry| (entry.0, entry.1) != (key, pid(slot)));
        }
        Op::Update(slot, key, add) => {
            let updated = keys.0.update(pid(slot), &key, |old| old + add);
            let entry = model.0.iter_mut().find(|entry| unique && (entry.0, entry.1) == (key, pid(slot)));
            let expected = entry.map(|entry| {
                let old = entry.2;
                entry.2 += add;
                (entry.2, old)
            });
            assert_eq!(updated.ok(), expected);
        }
        Op::Release(slot) => {
            keys.0.release(pid(slot));
            model.0.retain(|entry| entry.1 != pid(slot));
        }
    }
}

fn agree(keys: &Keys<Key, Value>, model: &Model) {
    assert_eq!(keys.count(), model.0.len());
    for key in 0..6 {
        let mut expected: Vec<(Pid, Value)> =
            model.0.iter().filter(|entry| entry.0 == key).map(|entry| (entry.1, entry.2)).collect();
        assert_eq!(keys.count_of(&key), expected.len());
        assert_eq!(keys.dispatch(&key, <[_]>::len), (!expected.is_empty()).then_some(expected.len()));
        for slot in 0..5 {
            assert_eq!(keys.values(&key, pid(slot)), model.values(key, pid(slot)));
        }
        // Stable: what one process has stays in the order registered.
        expected.sort_by_key(|entry| entry.0);
        assert_eq!(keys.lookup(&key), expected);
        let unique_holder = model.holder(key).filter(|_| keys.0.kind == Kind::Unique);
        assert_eq!(keys.whereis(&key), unique_holder);
    }
    for slot in 0..5 {
        let mut held = keys.keys_of(pid(slot));
        held.sort_unstable();
        let mut expected: Vec<Key> = model.0.iter().filter(|entry| entry.1 == pid(slot)).map(|entry| entry.0).collect();
        expected.sort_unstable();
        assert_eq!(held, expected);
    }
    // Nothing is kept for a process without keys, nor for a key without entries.
    for index in &keys.0.index {
        assert!(index.lock().values().all(|record| !record.is_empty()));
    }
    for partition in &keys.0.partitions {
        assert!(partition.read().entries.values().all(|entries| entries.len() > 0));
    }
}

proptest! {
    #[test]
    fn they_agree_with_a_list_of_entries(
        kind in prop_oneof![Just(Kind::Unique), Just(Kind::Duplicate)],
        partitions in 1..9_usize,
        secret: u64,
        ops in ops(),
    ) {
        let keys = Keys(Arc::new(Shared::new(NodeId::new("n", 1), kind, Sip(secret, !secret)))).partitions(partitions);
        let mut model = Model::default();
        for op in ops {
            apply(&keys, &mut model, op);
            agree(&keys, &model);
        }
    }
}

/// KREG-03: no record of a process without keys, whichever way it lost them.
#[test]
fn no_record_is_left_of_a_process_without_keys() {
    for partitions in [1, 8] {
        let shared = Shared::new(NodeId::new("n", 1), Kind::Duplicate, Sip(1, 2));
        let keys = Keys(Arc::new(shared)).partitions(partitions);
        for slot in 0..100 {
            for key in 0..10_u32 {
                keys.0.insert(pid(slot), key, slot, || true).unwrap().wake();
            }
        }
        for slot in 0..100 {
            if slot % 2 == 0 {
                keys.0.release(pid(slot));
            } else {
                (0..10).for_each(|key| keys.0.remove(pid(slot), &key));
            }
        }
        assert_eq!(keys.count(), 0);
        assert!(keys.0.index.iter().all(|index| index.lock().is_empty()));
        assert!(keys.0.partitions.iter().all(|partition| partition.read().entries.is_empty()));
    }
}

#[test]
fn keys_spread_over_partitions_and_another_secret_spreads_them_otherwise() {
    let spread = |sip| {
        let keys = Keys(Arc::new(Shared::new(NodeId::new("n", 1), Kind::Unique, sip))).partitions(8);
        for key in 0..800_u32 {
            keys.0.insert(pid(key), key, (), || true).unwrap().wake();
        }
        let held = |partition: &RwLock<Partition<u32, ()>>| partition.read().entries.contains_key(&0);
        let counts: Vec<usize> = keys.0.partitions.iter().map(|partition| partition.read().count).collect();
        (keys.0.partitions.iter().position(held), counts)
    };
    let (_, counts) = spread(Sip(1, 2));
    assert!(counts.iter().all(|&count| count > 50), "{counts:?}");
    assert_eq!(spread(Sip(1, 2)), spread(Sip(1, 2)));
    assert!((3..20).any(|secret| spread(Sip(1, secret)).0 != spread(Sip(1, 2)).0));
}

#[test]
#[should_panic(expected = "keys are partitioned before they are used")]
fn keys_that_are_shared_are_not_divided_any_more() {
    let keys = Keys(Arc::new(Shared::<Key, Value>::new(NodeId::new("n", 1), Kind::Unique, Sip(1, 2))));
    let _other = keys.clone();
    let _ = keys.partitions(2);
}
