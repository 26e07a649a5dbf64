//! Numbers from a seed: SplitMix64, so that a plan is the same on every machine and in every version of
//! every library. Not for secrets.

/// A sequence of numbers that its seed determines.
#[derive(Clone, Debug)]
pub struct Numbers {
    state: u64,
}

impl Numbers {
    /// The sequence of this seed. `purpose` separates sequences of the same seed.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut numbers = Self { state: seed ^ purpose.rotate_left(32) };
        numbers.draw();
        numbers
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    /// An index below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        let index = self.draw() % count as u64;
        // Less than `count`, which is a usize.
        index as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.draw().is_multiple_of(n)
    }

    /// `how_many` different numbers below `count`, ascending.
    pub fn choose(&mut self, how_many: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..count).collect();
        self.shuffle(&mut all);
        all.truncate(how_many);
        all.sort_unstable();
        all
    }

    /// Puts a list in another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        // The first numbers for state 0, as published with the algorithm.
        let mut numbers = Numbers { state: 0 };
        assert_eq!(numbers.draw(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(numbers.draw(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn choices_are_different_and_within_bounds() {
        let mut numbers = Numbers::new(7, 1);
        for _ in 0..200 {
            let chosen = numbers.choose(2, 4);
            assert!(chosen[0] < chosen[1] && chosen[1] < 4);
            assert!((3..=5).contains(&numbers.between(3, 5)));
        }
        assert_ne!(Numbers::new(7, 1).draw(), Numbers::new(7, 2).draw());
    }
}
