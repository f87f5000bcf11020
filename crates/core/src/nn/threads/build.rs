//! Results made chunk by chunk, and sums of partial results, on the pool's threads.

use rayon::prelude::*;

use super::pieces::{is_piece, spreads};
use super::unset::Unset;

/// Calls `work` with all numbers below `count`, on the pool's threads when `cost`, the multiply-adds of the whole, is worth it.
pub fn each(count: usize, cost: usize, work: impl Fn(usize) + Sync) {
    if spreads(cost) {
        (0..count).into_par_iter().for_each(&work);
    } else {
        (0..count).for_each(&work);
    }
}

/// Calls `work` with each of `items` and its number, as [`each`] does.
pub fn each_of<T: Send>(items: Vec<T>, cost: usize, work: impl Fn(usize, T) + Sync) {
    let work = |(index, item)| work(index, item);
    if spreads(cost) {
        items.into_par_iter().enumerate().for_each(work);
    } else {
        items.into_iter().enumerate().for_each(work);
    }
}

/// Makes a vector of `len` values chunk by chunk: `work(index, chunk)` gets each chunk of `chunk_len` values zeroed.
///
/// The chunks run on the pool's threads when `cost`, the multiply-adds of the whole, is worth it. A chunk is zeroed by the thread
/// that fills it, just before: the memory is then in that core's cache, and a fresh page is mapped in parallel.
pub fn build<T: Zero>(len: usize, chunk_len: usize, cost: usize, work: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    // SAFETY: zeros are written everywhere.
    unsafe { build_unset(len, chunk_len, cost, |index, chunk| work(index, chunk.zeroed())) }
}

/// [`build`] without the zeros: of large results they take a tenth of the time, as they have to travel from one cache to the next.
///
/// # Safety
/// `work` writes every value of its chunk.
pub unsafe fn build_unset<T: Zero>(
    len: usize,
    chunk_len: usize,
    cost: usize,
    work: impl Fn(usize, Unset<'_, T>) + Sync,
) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    fill(Unset::room_of(&mut values, len), chunk_len, cost, work);
    // SAFETY: `work` wrote each of the first `len` values.
    unsafe { values.set_len(len) };
    values
}

/// Calls `work` with each chunk of `room`, as [`build_unset`] does.
pub(super) fn fill<T: Zero>(
    room: Unset<'_, T>,
    chunk_len: usize,
    cost: usize,
    work: impl Fn(usize, Unset<'_, T>) + Sync,
) {
    each_of(room.chunks(chunk_len.max(1)).collect(), cost, work);
}

/// [`build_unset`] for two vectors that are filled together, such as maxima and where they were found.
///
/// # Safety
/// `work` writes every value of both its chunks.
///
/// # Panics
/// When the vectors have not the same number of chunks.
pub unsafe fn build_pair_unset<T: Zero, U: Zero>(
    len: (usize, usize),
    chunk_len: (usize, usize),
    cost: usize,
    work: impl Fn(usize, Unset<'_, T>, Unset<'_, U>) + Sync,
) -> (Vec<T>, Vec<U>) {
    let mut first = Vec::with_capacity(len.0);
    let mut second = Vec::with_capacity(len.1);
    let chunk_len = (chunk_len.0.max(1), chunk_len.1.max(1));
    assert_eq!(
        len.0.div_ceil(chunk_len.0),
        len.1.div_ceil(chunk_len.1),
        "both vectors have the same number of chunks"
    );
    let chunks = Unset::room_of(&mut first, len.0)
        .chunks(chunk_len.0)
        .zip(Unset::room_of(&mut second, len.1).chunks(chunk_len.1));
    each_of(chunks.collect(), cost, |index, (first, second)| {
        work(index, first, second);
    });
    // SAFETY: both have the same number of chunks, so zip left none out; they cover both vectors, and `work` wrote each value.
    unsafe {
        first.set_len(len.0);
        second.set_len(len.1);
    }
    (first, second)
}

/// The sum of `groups` partial results of `len` values each, added in the groups' order: `work(group, partial)` adds into a zeroed
/// partial. `cost` is as in [`build`].
///
/// `groups` must follow from shapes alone, as it decides the order of summation: [`reduction_groups`] chooses it.
pub fn sum_groups(len: usize, groups: usize, cost: usize, work: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    /// Values whose partial results are added by one thread.
    const SUM_CHUNK: usize = 2048;
    if len == 0 {
        return Vec::new();
    }
    let mut partials = build(len * groups.max(1), len, cost, |group, partial| {
        if group < groups {
            work(group, partial);
        }
    });
    let (sum, rest) = partials.split_at_mut(len);
    let add = |(chunk, sum): (usize, &mut [f32])| {
        for partial in rest.chunks_exact(len) {
            for (total, value) in sum.iter_mut().zip(&partial[chunk * SUM_CHUNK..]) {
                *total += value;
            }
        }
    };
    if spreads(rest.len() * 4) {
        sum.par_chunks_mut(SUM_CHUNK).enumerate().for_each(add);
    } else {
        sum.chunks_mut(SUM_CHUNK).enumerate().for_each(add);
    }
    partials.truncate(len);
    partials
}

/// Into how many groups a reduction over `rows` rows with a result of `len` values is cut: enough to feed many threads, few enough
/// that the partial results stay below 16 MB together and are small beside what is summed. The pieces of [`in_order`](super::in_order)
/// feed the threads themselves, and are cut into fewer, on any number of threads.
#[must_use]
pub fn reduction_groups(rows: usize, len: usize) -> usize {
    const MOST_GROUPS: usize = 32;
    const MOST_VALUES: usize = 4 << 20;
    /// A group sums at least so many rows, as it has a result to zero and to add.
    const FEWEST_ROWS: usize = 4;
    const FEWEST_ROWS_OF_A_PIECE: usize = 16;
    let fewest = if is_piece() {
        FEWEST_ROWS_OF_A_PIECE
    } else {
        FEWEST_ROWS
    };
    (MOST_VALUES / len.max(1))
        .clamp(1, MOST_GROUPS)
        .min(rows.div_ceil(fewest).max(1))
}

/// The rows of group `group` of `groups`, as even as can be.
#[must_use]
pub fn group_rows(rows: usize, groups: usize, group: usize) -> std::ops::Range<usize> {
    rows * group / groups..rows * (group + 1) / groups
}

/// Plain numbers, whose zero fills fresh memory.
pub trait Zero: Copy + Send + Sync {
    /// Zero.
    const ZERO: Self;
}

impl Zero for f32 {
    const ZERO: Self = 0.0;
}

impl Zero for u8 {
    const ZERO: Self = 0;
}

impl Zero for u32 {
    const ZERO: Self = 0;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_precision_loss, reason = "small whole numbers")]

    use super::super::{WORTH_WAKING_THREADS, pool};
    use super::*;

    #[test]
    fn chunks_are_built_in_place_and_the_last_may_be_short() {
        for cost in [0, WORTH_WAKING_THREADS] {
            let built: Vec<u32> = build(7, 3, cost, |index, chunk| {
                assert!(chunk.iter().all(|value| *value == 0));
                chunk.fill(u32::try_from(10 * index + chunk.len()).unwrap());
            });
            assert_eq!(built, [3, 3, 3, 13, 13, 13, 21]);
        }
    }

    #[test]
    fn sums_have_the_same_bytes_on_any_number_of_threads() {
        let sum = || {
            sum_groups(3, 20, WORTH_WAKING_THREADS, |group, partial| {
                for (index, value) in partial.iter_mut().enumerate() {
                    *value = 1.0 / (1.0 + (group * 3 + index) as f32);
                }
            })
        };
        let alone = pool(1).unwrap().install(sum);
        assert!((alone[0] - (0..20).map(|g| 1.0 / (1.0 + 3.0 * g as f32)).sum::<f32>()).abs() < 1e-6);
        for threads in [2, 7] {
            assert_eq!(pool(threads).unwrap().install(sum), alone);
        }
    }

    #[test]
    fn groups_cover_every_row_once() {
        for (rows, len) in [(1, 10), (31, 10), (500, 18_432), (7, 9_000_000)] {
            let groups = reduction_groups(rows, len);
            let covered: Vec<usize> = (0..groups).flat_map(|group| group_rows(rows, groups, group)).collect();
            assert_eq!(covered, (0..rows).collect::<Vec<_>>());
        }
    }
}
