//! Large memory that is used again by the next batch.
//!
//! What training keeps of a batch is tens of megabytes, and the system hands out such memory page by page, zeroed: that alone would
//! cost a tenth of the time. So the memory of the last batches is kept.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::nn::threads::Aligned;

/// How much is kept: as many recurrent layers as a network has at most in practice.
const MOST_KEPT: usize = 8;

static FREE: Mutex<Vec<Aligned>> = Mutex::new(Vec::new());

/// Numbers with whatever was left in them, beginning at a cache line; returned when dropped.
#[derive(Debug, Default)]
pub(super) struct Memory {
    values: Aligned,
    len: usize,
}

impl Memory {
    /// `len` numbers of any value.
    pub(super) fn take(len: usize) -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = |values: &&Aligned| values.len() >= len;
        let smallest = free.iter().filter(fitting).map(|values| values.len()).min();
        let place = free.iter().position(|values| Some(values.len()) == smallest);
        // If none fits, the largest has been outgrown.
        let place = place.or_else(|| (0..free.len()).max_by_key(|&at| free[at].len()));
        let found = place
            .map(|place| free.swap_remove(place))
            .filter(|values| values.len() >= len);
        drop(free);
        // Batches differ: a little more is asked for than needed now.
        Self {
            values: found.unwrap_or_else(|| Aligned::zeroed(len + len / 8)),
            len,
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < MOST_KEPT && !self.values.is_empty() {
            free.push(std::mem::take(&mut self.values));
        }
    }
}

impl Deref for Memory {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_the_length_that_was_asked_for_also_when_used_again() {
        for len in [0, 1000, 10, 2000, 1500, 7] {
            let mut memory = Memory::take(len);
            assert_eq!(memory.len(), len);
            memory.fill(1.0);
        }
    }
}
