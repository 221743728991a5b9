//! Which partition a key belongs to.
//!
//! It must be the same on every machine and in every version: nodes will have to agree on it. So the standard library's hashers,
//! which promise neither, are not used, nor any that somebody may tune. This is FNV-1a with 64 bits (G. Fowler, L. C. Noll,
//! P. Vo), over numbers in little-endian order, with the last step of MurmurHash3 (A. Appleby), which spreads what is in the
//! upper bits to the lower. What a type feeds a hasher is up to its `Hash`, which is derived field by field.

use std::hash::{Hash, Hasher};

/// The partition, of `partitions`, that `key` belongs to: an integer's absolute value modulo their number, else by its hash.
pub(super) fn place_of<K: Hash + ?Sized>(key: &K, partitions: usize) -> usize {
    let mut placing = Placing { hash: FNV_OFFSET, integer: None, is_empty: true };
    key.hash(&mut placing);
    let partitions = partitions as u128;
    (placing.integer.unwrap_or_else(|| placing.finish().into()) % partitions) as usize
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

struct Placing {
    hash: u64,
    /// The absolute value of the key, if it has been one integer and nothing else so far.
    integer: Option<u128>,
    is_empty: bool,
}

impl Placing {
    fn take(&mut self, bytes: &[u8], integer: Option<u128>) {
        self.integer = integer.filter(|_| self.is_empty);
        self.is_empty = false;
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }
}

macro_rules! integers {
    ($($write:ident $int:ty, $magnitude:expr;)*) => {$(
        fn $write(&mut self, int: $int) {
            let magnitude: fn($int) -> u128 = $magnitude;
            self.take(&int.to_le_bytes(), Some(magnitude(int)));
        }
    )*};
}

impl Hasher for Placing {
    fn write(&mut self, bytes: &[u8]) {
        self.take(bytes, None);
    }

    integers! {
        write_u8 u8, u128::from;
        write_u16 u16, u128::from;
        write_u32 u32, u128::from;
        write_u64 u64, u128::from;
        write_u128 u128, u128::from;
        write_i8 i8, |int| int.unsigned_abs().into();
        write_i16 i16, |int| int.unsigned_abs().into();
        write_i32 i32, |int| int.unsigned_abs().into();
        write_i64 i64, |int| int.unsigned_abs().into();
        write_i128 i128, |int| int.unsigned_abs();
    }

    // As wide on every machine.
    fn write_usize(&mut self, int: usize) {
        self.write_u64(int as u64);
    }

    fn write_isize(&mut self, int: isize) {
        self.write_i64(int as i64);
    }

    fn finish(&self) -> u64 {
        let mut hash = self.hash;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::place_of;

    #[derive(Hash)]
    struct UserId(u64);

    proptest! {
        #[test]
        fn an_integer_is_placed_by_its_absolute_value(int: i64, n in 1_usize..1_000) {
            let expected = (int.unsigned_abs() % n as u64) as usize;
            prop_assert_eq!(place_of(&int, n), expected);
            prop_assert_eq!(place_of(&i128::from(int), n), expected);
            prop_assert_eq!(place_of(&UserId(int.unsigned_abs()), n), expected);
        }

        #[test]
        fn a_key_has_one_place_however_it_is_held(key: String, n in 1_usize..1_000) {
            let place = place_of(&key, n);
            prop_assert!(place < n);
            prop_assert_eq!(place_of(key.as_str(), n), place);
            prop_assert_eq!(place_of(&std::sync::Arc::<str>::from(key.as_str()), n), place);
        }
    }

    #[test]
    fn keys_of_every_kind_are_spread() {
        let mut places = [[0_u32; 8]; 3];
        for n in 0..8_000_u32 {
            places[0][place_of(&format!("user {n}"), 8)] += 1;
            places[1][place_of(&("cart", n), 8)] += 1;
            places[2][place_of(&[n; 3], 8)] += 1;
        }
        assert!(places.iter().flatten().all(|count| (850..1_150).contains(count)), "{places:?}");
    }

    /// Nodes of different versions and machines must agree on these.
    #[test]
    fn psup_02_places_are_the_same_for_ever() {
        assert_eq!(["ann", "ben", "cleo", ""].map(|key| place_of(key, 1_000)), PLACES);
        assert_eq!(place_of(&("ann", 1_u32), 1_000), PLACE_OF_A_PAIR);
        assert_eq!([0, 1, 2, 3, -1].map(|key: i32| place_of(&key, 3)), [0, 1, 2, 0, 1]);
    }

    const PLACES: [usize; 4] = [278, 78, 870, 295];
    const PLACE_OF_A_PAIR: usize = 144;
}
