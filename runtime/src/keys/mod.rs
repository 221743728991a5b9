//! Keys that processes hold, each with a value: what Elixir calls a registry.
//!
//! ```text
//!   register(me, key, value), Spec::keyed
//!        │   1. index, by pid          what each process holds          ◀── keys_of
//!        └─▶ 2. partitions, by key     who holds each key, and with what ◀── lookup, dispatch, …
//!
//!   the end of a process ──▶ release: its record leaves the index, then each of its keys its partition
//! ```
//!
//! # Who may touch what
//! Only a process registers, changes and unregisters its own entries: these operations take [`Me`]. Whoever
//! has the [`Keys`] may look. There is one order of locks: a part of the index, then a partition, or the
//! process's [`Control`](crate::process::Control). The user's functions run under none of them, and values
//! are dropped under none; `Hash`, `Eq` and `Clone` of keys and values run under them, and must not come back.
//!
//! # What is promised
//! Entries go away with their process, before its links and monitors are told, and before its state is dropped
//! with the replies that it owes. The process keeps a weak reference to each registry that it has registered
//! with ([`Holds`]), and its end calls [`Holds::release`]. A process that registers while it ends either comes
//! before that, and is released, or sees its own end, and registers nothing.
//!
//! A peer that chooses keys cannot choose them to collide: hashes have a secret key.
//!
//! # Not here
//! Other nodes. Entries belong to processes of one node and are seen on it.

mod entries;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
#[expect(deprecated, reason = "of the standard library's SipHashes, the one that takes a key")]
use std::hash::SipHasher;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Weak};
use std::task::Waker;

use parking_lot::{Mutex, RwLock};

use self::entries::Entries;
use crate::named::Place;
use crate::names::{NotRegistered, Waited, Waiters};
use crate::node::Node;
use crate::pid::{NodeId, Pid};
use crate::process::{Holds, Me};
use crate::runtime::Runtime;

/// Keys of one node, held by processes of it, each with a value. Cloning gives another handle to the same.
///
/// [`unique`](Self::unique) keys have one holder at most and serve as names of any type;
/// [`duplicate`](Self::duplicate) keys have any number and serve as topics. Either way an entry belongs to the
/// process that registered it. It is gone before a [`Down`](crate::Down) or an [`Exit`](crate::Exit) tells of the end
/// of that process: whoever hears of it finds the key free.
///
/// A key's and a value's `Hash`, `Eq` and `Clone` must not use the same `Keys`: they run under its locks.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// # #[biotope::main]
/// # async fn main() -> biotope::Result<()> {
/// let rooms = Keys::unique(&node());
/// let (opened, is_open) = tokio::sync::oneshot::channel();
/// let lobby = spawn_process({
///     let rooms = rooms.clone();
///     async move |mut me: Process<()>| {
///         rooms.register(&me, "lobby", 8_u32)?;
///         let _ = opened.send(());
///         me.receive().await?;
///         Ok(())
///     }
/// });
/// is_open.await?;
/// assert_eq!(rooms.lookup("lobby"), [(lobby.pid(), 8)]);
///
/// lobby.cast(());
/// node().ended(lobby.pid()).await;
/// assert_eq!(rooms.whereis("lobby"), None);
/// # Ok(())
/// # }
/// ```
pub struct Keys<K, V>(Arc<Shared<K, V>>);

/// Another process has the key, or this one has it already. To register again may succeed when the holder has ended or
/// unregistered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is already registered, by {holder}")]
pub struct AlreadyRegistered {
    /// Who has it.
    pub holder: Pid,
}

impl<K: Hash + Eq + Clone, V> Keys<K, V> {
    /// Keys that have one holder at most.
    pub fn unique(node: &Node) -> Self {
        Self(Arc::new(Shared::new(node.id(), Kind::Unique, Sip::new(node.runtime()))))
    }

    /// Keys that have any number of holders. A process may hold one several times, with several values.
    pub fn duplicate(node: &Node) -> Self {
        Self(Arc::new(Shared::new(node.id(), Kind::Duplicate, Sip::new(node.runtime()))))
    }

    /// Divides the keys into `n` parts, so that processes that register at once seldom wait for each other.
    /// Without this there is one part, which is enough for what changes seldom.
    ///
    /// # Panics
    /// If `n` is 0, or if these keys have been cloned or registered with before.
    #[must_use = "it is these keys that have the partitions"]
    #[track_caller]
    pub fn partitions(mut self, n: usize) -> Self {
        assert!(n > 0, "keys have at least one partition");
        let Some(shared) = Arc::get_mut(&mut self.0) else { panic!("keys are partitioned before they are used") };
        shared.divide(n);
        self
    }
}

/// What a process does with its own entries.
impl<K, V> Keys<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Registers this process under `key`, with `value`. If it has ended, which only code that carried its
    /// [`Process`](crate::Process) elsewhere can meet, nothing is registered.
    ///
    /// # Errors
    /// [`AlreadyRegistered`] if the keys are unique and `key` is held, by whomever; nothing has changed.
    ///
    /// # Panics
    /// If the process is one of another node.
    #[track_caller]
    pub fn register(&self, me: &Me, key: K, value: V) -> Result<(), AlreadyRegistered> {
        assert!(me.node().id() == self.0.node, "a process registers with keys of its own node");
        let shared: Weak<Shared<K, V>> = Arc::downgrade(&self.0);
        self.0.insert(me.pid(), key, value, || me.attach(shared)).map(Waited::wake)
    }

    /// Removes all that this process has under `key`, if it has anything. What others have stays.
    pub fn unregister<Q: Hash + Eq + ?Sized>(&self, me: &Me, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.0.remove(me.pid(), key);
    }

    /// Replaces the value that this process has under `key`, and returns the new one and the old one.
    ///
    /// `change` runs here and may use these keys; if it unregisters `key`, that stands.
    ///
    /// # Errors
    /// [`NotRegistered`] if this process does not hold `key`, or the keys are not unique. `change` was not run.
    pub fn update<Q: Hash + Eq + ?Sized>(
        &self,
        me: &Me,
        key: &Q,
        change: impl FnOnce(&V) -> V,
    ) -> Result<(V, V), NotRegistered>
    where
        K: Borrow<Q>,
    {
        self.0.update(me.pid(), key, change)
    }
}

/// What anybody may ask. Each answer is that of one moment.
impl<K, V> Keys<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Who holds `key`, and with which values. The values of one process are in the order it registered them.
    pub fn lookup<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Vec<(Pid, V)>
    where
        K: Borrow<Q>,
    {
        self.0.partition(key).read().entries.get(key).map_or_else(Vec::new, Entries::all)
    }

    /// The process that holds the unique `key`. In duplicate keys there is no such process.
    pub fn whereis<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Pid>
    where
        K: Borrow<Q>,
    {
        match self.0.kind {
            Kind::Unique => self.0.partition(key).read().entries.get(key)?.first_holder(),
            Kind::Duplicate => None,
        }
    }

    /// The values that `pid` has under `key`, in the order registered.
    pub fn values<Q: Hash + Eq + ?Sized>(&self, key: &Q, pid: impl Into<Pid>) -> Vec<V>
    where
        K: Borrow<Q>,
    {
        let pid = pid.into();
        self.0.partition(key).read().entries.get(key).map_or_else(Vec::new, |entries| entries.of(pid))
    }

    /// The keys that `pid` holds, in no particular order, each as often as it holds it.
    pub fn keys_of(&self, pid: impl Into<Pid>) -> Vec<K> {
        let pid = pid.into();
        let index = self.0.index(pid).lock();
        let record = index.get(&pid).into_iter().flatten();
        record.flat_map(|(key, &times)| std::iter::repeat_n(key, times).cloned()).collect()
    }

    /// How many entries there are. Entries that come and go meanwhile may be counted or not.
    pub fn count(&self) -> usize {
        self.0.partitions.iter().map(|partition| partition.read().count).sum()
    }

    /// How many entries there are under `key`.
    pub fn count_of<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.0.partition(key).read().entries.get(key).map_or(0, Entries::len)
    }

    /// Runs `f` here with all entries under `key`, and returns what it returns; `None`, without running it,
    /// if there are none. No lock is held: `f` may use these keys, and entries may have gone when it sees them.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// # #[biotope::main]
    /// # async fn main() -> biotope::Result<()> {
    /// let topics = Keys::<String, Address<u32>>::duplicate(&node()).partitions(4);
    /// let told = topics.dispatch("prices", |entries| {
    ///     for (_, subscriber) in entries {
    ///         subscriber.cast(12);
    ///     }
    /// });
    /// assert_eq!(told, None, "nobody has subscribed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn dispatch<Q: Hash + Eq + ?Sized, R>(&self, key: &Q, f: impl FnOnce(&[(Pid, V)]) -> R) -> Option<R>
    where
        K: Borrow<Q>,
    {
        let entries = self.lookup(key);
        (!entries.is_empty()).then(|| f(&entries))
    }

    /// Returns when the entries of every process whose end has been announced are gone, which is at once:
    /// they go before the announcement. It is here for whoever knows registries that clean up later.
    pub fn sync(&self) {}
}

impl<K, V> Keys<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The node whose processes hold them.
    pub(crate) fn node(&self) -> NodeId {
        self.0.node
    }

    /// `key` as the name of whoever holds it.
    pub(crate) fn place(&self, key: K) -> impl Place + use<K, V> {
        Under { keys: self.clone(), key }
    }
}

/// A unique key, as a name.
struct Under<K, V> {
    keys: Keys<K, V>,
    key: K,
}

impl<K, V> Place for Under<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn holder(&self) -> Option<Pid> {
        self.keys.whereis(&self.key)
    }

    fn watch(&self, number: &mut Option<u64>, waker: &Waker) -> Option<Pid> {
        let mut partition = self.keys.0.partition(&self.key).write();
        let holder = partition.entries.get(&self.key).and_then(Entries::first_holder);
        let holder = holder.filter(|_| self.keys.0.kind == Kind::Unique);
        if holder.is_none() {
            partition.waiters.add(&self.key, number, waker);
        }
        holder
    }

    fn forget(&self, number: u64) {
        self.keys.0.partition(&self.key).write().waiters.forget(&self.key, number);
    }
}

impl<K, V> Clone for Keys<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> fmt::Debug for Keys<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?}, {} partitions)", self.0.kind, self.0.partitions.len())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unique,
    Duplicate,
}

struct Shared<K, V> {
    node: NodeId,
    kind: Kind,
    sip: Sip,
    /// What each process holds, by the slot of its pid.
    index: Box<[Mutex<Index<K>>]>,
    /// Who holds each key, by its hash.
    partitions: Box<[RwLock<Partition<K, V>>]>,
}

/// Of each process that holds keys, which, and how often each. There is no record without keys.
type Index<K> = HashMap<Pid, HashMap<K, usize, Sip>, Sip>;

struct Partition<K, V> {
    /// There is no key without entries.
    entries: HashMap<K, Entries<V>, Sip>,
    count: usize,
    /// Who waits for a key to be held.
    waiters: Waiters<K, Sip>,
}

impl<K: Hash + Eq + Clone, V> Shared<K, V> {
    fn new(node: NodeId, kind: Kind, sip: Sip) -> Self {
        let mut shared = Self { node, kind, sip, index: Box::default(), partitions: Box::default() };
        shared.divide(1);
        shared
    }

    fn divide(&mut self, n: usize) {
        let sip = self.sip;
        self.index = (0..n).map(|_| Mutex::new(HashMap::with_hasher(sip))).collect();
        let partition =
            || Partition { entries: HashMap::with_hasher(sip), count: 0, waiters: Waiters::with_hasher(sip) };
        self.partitions = (0..n).map(|_| RwLock::new(partition())).collect();
    }

    fn index(&self, pid: Pid) -> &Mutex<Index<K>> {
        &self.index[pid.slot() as usize % self.index.len()]
    }

    fn partition<Q: Hash + ?Sized>(&self, key: &Q) -> &RwLock<Partition<K, V>> {
        // Hashed with a word before it, so that it says nothing of the key's place within its partition.
        let hash = self.sip.hash_one(("partition", key));
        &self.partitions[(hash % self.partitions.len() as u64) as usize]
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shared<K, V> {
    /// Enters `pid` under `key`, if it is free for it and `attach` says that the process has not ended.
    fn insert(&self, pid: Pid, key: K, value: V, attach: impl FnOnce() -> bool) -> Result<Waited, AlreadyRegistered> {
        let held = key.clone();
        let mut index = self.index(pid).lock();
        let mut partition = self.partition(&key).write();
        let holder = partition.entries.get(&key).and_then(Entries::first_holder);
        if let (Kind::Unique, Some(holder)) = (self.kind, holder) {
            return Err(AlreadyRegistered { holder });
        }
        // Asked under the lock on the index: a release that has not seen this entry yet comes after it,
        // one that has been there came after the end that `attach` sees.
        if attach() {
            let record = index.entry(pid).or_insert_with(|| HashMap::with_hasher(self.sip));
            *record.entry(held).or_insert(0) += 1;
            let waited = partition.waiters.take(&key);
            partition.insert(key, pid, value);
            return Ok(waited);
        }
        Ok(Waited::default())
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, pid: Pid, key: &Q)
    where
        K: Borrow<Q>,
    {
        let mut index = self.index(pid).lock();
        let Some(record) = index.get_mut(&pid) else { return };
        if record.remove(key).is_none() {
            return;
        }
        if record.is_empty() {
            index.remove(&pid);
        }
        let values = self.partition(key).write().remove(key, pid);
        drop(index);
        // Values are dropped under no lock: that is the user's code.
        drop(values);
    }

    fn update<Q: Hash + Eq + ?Sized>(
        &self,
        pid: Pid,
        key: &Q,
        change: impl FnOnce(&V) -> V,
    ) -> Result<(V, V), NotRegistered>
    where
        K: Borrow<Q>,
    {
        if self.kind == Kind::Duplicate {
            return Err(NotRegistered);
        }
        let partition = self.partition(key);
        let old = partition.read().entries.get(key).and_then(|entries| entries.only(pid)).cloned();
        let old = old.ok_or(NotRegistered)?;
        let new = change(&old);
        let mut replaced = new.clone();
        // Nobody else changes it meanwhile: it is this process's own.
        let mut partition = partition.write();
        if let Some(value) = partition.entries.get_mut(key).and_then(|entries| entries.only_mut(pid)) {
            std::mem::swap(value, &mut replaced);
        }
        drop(partition);
        Ok((new, old))
    }
}

impl<K, V> Holds for Shared<K, V>
where
    K: Hash + Eq + Clone + Send + Sync,
    V: Clone + Send + Sync,
{
    fn release(&self, pid: Pid) {
        let record = self.index(pid).lock().remove(&pid);
        let mut values = Vec::new();
        for key in record.iter().flat_map(HashMap::keys) {
            values.push(self.partition(key).write().remove(key, pid));
        }
        // All entries are gone before the first value is dropped, which is the user's code and may panic.
        drop(values);
    }
}

impl<K: Hash + Eq, V> Partition<K, V> {
    fn insert(&mut self, key: K, pid: Pid, value: V) {
        self.count += 1;
        match self.entries.get_mut(&key) {
            Some(entries) => entries.push(pid, value),
            None => drop(self.entries.insert(key, Entries::One(pid, value))),
        }
    }

    fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, pid: Pid) -> Vec<V>
    where
        K: Borrow<Q>,
    {
        let Some(entries) = self.entries.get_mut(key) else { return Vec::new() };
        let values = entries.remove(pid);
        if entries.len() == 0 {
            self.entries.remove(key);
        }
        self.count -= values.len();
        values
    }
}

/// SipHash with a secret key, drawn from the runtime: in a seeded run, the same in every run of the seed.
#[derive(Clone, Copy)]
struct Sip(u64, u64);

impl Sip {
    fn new(runtime: &Runtime) -> Self {
        Self(runtime.random(), runtime.random())
    }
}

#[expect(deprecated, reason = "of the standard library's SipHashes, the one that takes a key")]
impl BuildHasher for Sip {
    type Hasher = SipHasher;

    fn build_hasher(&self) -> SipHasher {
        SipHasher::new_with_keys(self.0, self.1)
    }
}
