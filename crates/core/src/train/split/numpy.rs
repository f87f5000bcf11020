//! `numpy`'s legacy random generator, as far as scikit-learn's splits use it.
//!
//! `numpy.random.RandomState` is frozen (NEP 19): its streams are the same in every version of `numpy`.

use rand_mt::Mt;

/// `numpy.random.RandomState(seed)`: MT19937, seeded with one integer.
pub(super) struct RandomState(Mt);

impl RandomState {
    pub(super) fn new(seed: u32) -> Self {
        Self(Mt::new(seed))
    }

    /// A number from 0 to `max`, inclusive: 32-bit draws, masked to the bits of `max`, until one is not above it. `numpy` draws 64 bits
    /// for bounds beyond 32; no table has so many rows.
    fn interval(&mut self, max: u32) -> u32 {
        if max == 0 {
            return 0;
        }
        let mask = u32::MAX >> max.leading_zeros();
        loop {
            let value = self.0.next_u32() & mask;
            if value <= max {
                return value;
            }
        }
    }

    /// Shuffles in place, from the last item down.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let max = u32::try_from(last).unwrap_or(u32::MAX);
            items.swap(last, self.interval(max) as usize);
        }
    }

    /// The numbers from 0 to `n - 1` in random order.
    pub(super) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..n).collect();
        self.shuffle(&mut numbers);
        numbers
    }

    /// `size` of the items, without replacement.
    pub(super) fn choice(&mut self, items: &[usize], size: usize) -> Vec<usize> {
        self.permutation(items.len())
            .into_iter()
            .take(size)
            .map(|index| items[index])
            .collect()
    }
}
