//! The links or the monitors of one process.
//!
//! Most processes have one or two, which lie beside everything else that the process needs seldom; a few
//! have a hundred thousand. They are told in the order in which they were tied, as long as none is removed
//! from among many.

use std::hash::Hash;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use smallvec::SmallVec;

/// So many are looked through one by one. More are found by their hash.
const FEW: usize = 16;

/// A map that is small while it has few entries.
pub(crate) enum Ties<K, V = ()> {
    Few(SmallVec<[(K, V); 1]>),
    Many(Box<IndexMap<K, V, RandomState>>),
}

impl<K: Eq + Hash, V> Ties<K, V> {
    /// Adds or replaces an entry. Returns whether the key is new.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        let few = match self {
            Self::Few(few) => few,
            Self::Many(many) => return many.insert(key, value).is_none(),
        };
        if let Some(entry) = few.iter_mut().find(|entry| entry.0 == key) {
            entry.1 = value;
            return false;
        }
        if few.len() < FEW {
            few.push((key, value));
        } else {
            let mut many: IndexMap<K, V, RandomState> = few.drain(..).collect();
            many.insert(key, value);
            *self = Self::Many(Box::new(many));
        }
        true
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::Few(few) => {
                let at = few.iter().position(|entry| entry.0 == *key)?;
                let (_, value) = few.remove(at);
                if few.is_empty() {
                    few.shrink_to_fit();
                }
                Some(value)
            }
            Self::Many(many) => {
                let value = many.swap_remove(key);
                self.shrink();
                value
            }
        }
    }

    /// Keeps the entries for which `keep` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        match self {
            Self::Few(few) => few.retain(|entry| keep(&entry.0)),
            Self::Many(many) => {
                many.retain(|key, _| keep(key));
                self.shrink();
            }
        }
    }

    /// What was many and is few takes little room again.
    fn shrink(&mut self) {
        if let Self::Many(many) = self
            && many.len() <= FEW / 2
        {
            *self = Self::Few(many.drain(..).collect());
        }
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        match self {
            Self::Few(few) => few.iter().any(|entry| entry.0 == *key),
            Self::Many(many) => many.contains_key(key),
        }
    }
}

impl<K, V> Ties<K, V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    /// The entry of this number, in the order of [`iter`](Self::iter).
    pub(crate) fn get(&self, number: usize) -> Option<(&K, &V)> {
        match self {
            Self::Few(few) => few.get(number).map(|(key, value)| (key, value)),
            Self::Many(many) => many.get_index(number),
        }
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few), None),
            Self::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten().map(|(key, value)| (key, value));
        few.chain(many.into_iter().flat_map(|many| many.iter()))
    }
}

impl<K, V> Default for Ties<K, V> {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is inserted, removed and retained, it holds what a map holds, and little of it lies in a
        /// large one.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..4_u8, 0..40_u32, any::<u16>()), 0..400)) {
            let (mut ties, mut model) = (Ties::default(), BTreeMap::new());
            for (what, key, value) in steps {
                match what {
                    0 | 1 => prop_assert_eq!(ties.insert(key, value), model.insert(key, value).is_none()),
                    2 => prop_assert_eq!(ties.remove(&key), model.remove(&key)),
                    _ => {
                        let keep = |candidate: &u32| candidate % 8 != key % 8;
                        ties.retain(keep);
                        model.retain(|candidate, _| keep(candidate));
                    }
                }
                prop_assert_eq!(ties.contains_key(&key), model.contains_key(&key));
                prop_assert_eq!(ties.len(), model.len());
                let numbered = (0..).map_while(|number| ties.get(number));
                prop_assert!(numbered.eq(ties.iter()));
                prop_assert_eq!(ties.iter().collect::<BTreeMap<_, _>>(), model.iter().collect::<BTreeMap<_, _>>());
                prop_assert!(model.len() > FEW / 2 || matches!(ties, Ties::Few(_)));
            }
        }
    }
}
